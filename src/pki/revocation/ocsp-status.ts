/** What an OCSP response says of a certificate: RFC 6960 §3.2 and §4.2.2. */
import { sameBytes } from '../bytes.ts'
import { type Certificate, isSignedBy } from '../certificate.ts'
import { sha1, subjectPublicKey } from '../keys.ts'
import { oids } from '../oid.ts'
import { verifySignature } from '../signature-algorithm.ts'
import { charonTimeText } from '../time.ts'
import { namesCertificate } from './ocsp-request.ts'
import type { OcspResponse, SingleStatus } from './ocsp-response.ts'
import { type CertificateStatus, CLOCK_SKEW, type StatusQuestion } from './question.ts'

export interface OcspOptions {
  /** Certificates that the operator trusts to sign responses for any CA. */
  readonly signers: readonly Certificate[]
  /** The nonce that was sent, if the response is the answer to a request of ours. */
  readonly nonce?: Uint8Array
  /** How long a response counts that does not say when the next one comes, in milliseconds; five minutes if not given. */
  readonly maximumAge?: number
}

/** The status of a certificate by one response. Appends charon's lines to `log`. */
export function ocspStatus(
  question: StatusQuestion,
  response: OcspResponse,
  options: OcspOptions,
  log: string[],
): CertificateStatus {
  const { certificate, issuers, now } = question
  const [issuer] = issuers
  const { nonce, maximumAge = 5 * 60_000 } = options
  if (response.unusable) return { kind: 'unknown' }
  if (response.producedAt < certificate.notBefore || response.producedAt > certificate.notAfter) {
    log.push('  ocsp response was produced when the certificate was not valid')
    return { kind: 'unknown' }
  }
  if (nonce !== undefined && response.nonce !== undefined && !sameBytes(nonce, response.nonce)) {
    log.push("nonce in ocsp response doesn't match")
    return { kind: 'unknown' }
  }
  const signer = signerOf(question, response, options)
  if (signer === undefined) {
    log.push(`ocsp response verification failed, no signer certificate '${response.responder.text}' found`)
    return { kind: 'unknown' }
  }
  log.push(`  ocsp response correctly signed by "${signer.subjectText}"`)
  const about = response.statuses.filter(({ id }) => namesCertificate(id, certificate, issuer))
  if (about.length === 0) {
    log.push('  ocsp response contains no status on our certificate')
    return { kind: 'unknown' }
  }
  const validUntil = ({ thisUpdate, nextUpdate }: SingleStatus): number => nextUpdate ?? thisUpdate + maximumAge
  const usable = about.filter(
    (each) =>
      !each.unusable &&
      each.thisUpdate <= now + CLOCK_SKEW &&
      (each.nextUpdate === undefined || each.nextUpdate >= each.thisUpdate),
  )
  for (const { status } of usable) if (typeof status === 'object') return { kind: 'revoked', ...status }
  // of several answers the worst counts
  if (usable.length < about.length || usable.some(({ status }) => status === 'unknown')) return { kind: 'unknown' }
  const until = Math.min(...usable.map(validUntil))
  if (until < now) {
    log.push(`  ocsp response is stale: since ${charonTimeText(until)}`)
    return { kind: 'stale', since: until }
  }
  log.push(`  ocsp response is valid: until ${charonTimeText(until)}`)
  return { kind: 'good', until }
}

/** The CA itself, whom it has delegated to (§4.2.2.2), or whom the operator trusts for this. */
function signerOf(
  { issuers: [issuer], now }: StatusQuestion,
  response: OcspResponse,
  { signers }: OcspOptions,
): Certificate | undefined {
  const delegated = response.certificates.filter(
    (each) =>
      each.extKeyUsage?.includes(oids.ocspSigning) === true &&
      each.issuerKey === issuer.subjectKey &&
      each.unknownCritical.length === 0 &&
      each.notBefore <= now &&
      now < each.notAfter + 1000,
  )
  const chosen = [issuer, ...signers, ...delegated].find((each) => isResponder(each, response))
  if (chosen === undefined) return undefined
  const { signatureAlgorithm, tbs, signature } = response
  if (!verifySignature(signatureAlgorithm, chosen.publicKey, tbs, signature)) return undefined
  return delegated.includes(chosen) && !isSignedBy(chosen, issuer) ? undefined : chosen
}

function isResponder({ subjectKey, publicKeyInfo }: Certificate, { responder }: OcspResponse): boolean {
  if ('nameKey' in responder) return subjectKey === responder.nameKey
  return sameBytes(sha1(subjectPublicKey(publicKeyInfo)), responder.keyHash)
}
