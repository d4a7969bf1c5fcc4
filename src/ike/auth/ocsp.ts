/** OCSP responses beside certificates in IKE_AUTH (RFC 4806): who sends its certificate sends its status along. */
import type { Connection } from '../../config/connection.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { type OcspResponse, parseOcspResponse } from '../../pki/revocation/ocsp-response.ts'
import { issuersOf } from '../../pki/store.ts'
import { DecodeError } from '../../wire/errors.ts'
import { CERT_ENCODING } from '../../wire/numbers.ts'
import type { CERTPayload, CERTREQPayload } from '../../wire/payloads/index.ts'
import type { IkeSa } from '../ike-sa.ts'
import { run, type Script } from '../script.ts'

/** The CERTREQ that asks for OCSP responses (§3.1), if one of the connections wants them; any responder will do. */
export function ocspRequest(connections: readonly Connection[]): CERTREQPayload | undefined {
  if (!connections.some(asksForOcsp)) return undefined
  return { type: 'CERTREQ', encoding: CERT_ENCODING.OCSP_CONTENT, data: new Uint8Array() }
}

/** Takes notice of the peer's wish for OCSP responses. */
export function readOcspRequests(sa: IkeSa, requests: readonly CERTREQPayload[]): void {
  for (const { encoding, data } of requests) {
    if (encoding !== CERT_ENCODING.OCSP_CONTENT) continue
    sa.ocspRequested = true
    const trusted = Math.floor(data.length / 20)
    const names = trusted === 0 ? 'empty OCSP cert request' : `OCSP cert request with ${trusted} trusted certificates`
    sa.core.log('IKE', 1, `received ${names}`, sa)
  }
}

/** The status of the certificates that we send, as far as it is good; what a responder does not tell is left out (§3.2). */
export function* ownStatus(sa: IkeSa, chain: readonly Certificate[]): Script<CERTPayload[]> {
  const { core } = sa
  const wanted = sa.connection?.ocsp
  if (!sa.ocspRequested || (wanted !== 'reply' && wanted !== 'both')) return []
  const payloads: CERTPayload[] = []
  for (const certificate of chain) {
    const [issuer, ...rest] = issuersOf(core.credentials, certificate)
    if (issuer === undefined) continue
    const { status } = core.credentials
    const found = yield* run({ kind: 'own-status', certificate, issuers: [issuer, ...rest], ...(status && { status }) })
    for (const line of found.log) core.log('CFG', 1, line, sa)
    if (found.response === undefined) {
      core.log('IKE', 2, `no OCSP status for certificate "${certificate.subjectText}"`, sa)
      continue
    }
    core.log('IKE', 1, `sending OCSP status for certificate "${certificate.subjectText}"`, sa)
    payloads.push({ type: 'CERT', encoding: CERT_ENCODING.OCSP_CONTENT, data: found.response })
  }
  return payloads
}

/** The OCSP responses among the peer's CERT payloads, if we have asked for them. Who has signed them is checked later. */
export function receivedResponses(sa: IkeSa, payloads: readonly CERTPayload[]): OcspResponse[] {
  const { core, connection } = sa
  const sent = payloads.filter(({ encoding }) => encoding === CERT_ENCODING.OCSP_CONTENT).slice(0, mostResponses)
  if (sent.length > 0 && !(connection && asksForOcsp(connection))) {
    core.log('IKE', 1, "received OCSP response, but we didn't request any, ignore", sa)
    return []
  }
  return sent.flatMap(({ data }) => {
    try {
      const response = parseOcspResponse(data)
      core.log('IKE', 1, `received OCSP response issued by "${response.responder.text}"`, sa)
      return [response]
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      core.log('IKE', 1, `ignoring an OCSP response: ${error.message}`, sa)
      return []
    }
  })
}

const asksForOcsp = ({ ocsp }: Connection): boolean => ocsp === 'request' || ocsp === 'both'

const mostResponses = 10
