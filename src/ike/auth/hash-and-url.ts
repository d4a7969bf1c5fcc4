/**
 * Certificates by their hash and a URL, RFC 7296 §3.6: a CERT payload of encoding 12 or 13 is the SHA-1 of what is to be
 * found at an `http:` URL, a certificate or a bundle of them. It keeps IKE_AUTH small.
 *
 *   HDR, SK {IDi, CERTREQ, N(HTTP_CERT_LOOKUP_SUPPORTED), AUTH, ...}  -->
 *                      <--  HDR, SK {IDr, CERT(hash, URL), AUTH, ...}
 *
 * Whoever takes them asks a web server that the peer names before it knows the peer: it is off unless
 * `charon.hash_and_url = yes`, few at a time, small, and what has another hash is as if it had not come.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Certificate } from '../../pki/certificate.ts'
import { readCertificateBundle } from '../../pki/certificate-bundle.ts'
import { DecodeError } from '../../wire/errors.ts'
import { AUTH_METHOD, CERT_ENCODING, NOTIFY } from '../../wire/numbers.ts'
import type { AUTHPayload, CERTPayload, NPayload } from '../../wire/payloads/index.ts'
import type { IkeSa } from '../ike-sa.ts'
import { notify } from '../notifies.ts'
import { run, type Script } from '../script.ts'

const hashBytes = 20
/** Bounds for what a peer that is not authenticated yet has us do. */
const mostLookups = 4
const mostUrlBytes = 1024
const mostBytes = 65_536
const timeoutMs = 5_000

/** Beside a CERTREQ: that we look certificates up. */
export function announceLookup({ core }: IkeSa): NPayload[] {
  return core.settings.hashAndUrl ? [notify(NOTIFY.HTTP_CERT_LOOKUP_SUPPORTED)] : []
}

/** A certificate of ours: by its URL, if the peer looks up and the authority that issued it has a `cert_uri_base`. */
export function certificatePayload(sa: IkeSa, certificate: Certificate): CERTPayload {
  const { der } = certificate
  const base = sa.peer.certificateLookup ? uriBaseOf(sa, certificate) : undefined
  if (base === undefined) return { type: 'CERT', encoding: CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE, data: der }
  const hash = createHash('sha1').update(der).digest()
  const data = Buffer.concat([hash, Buffer.from(base + hash.toString('hex'), 'latin1')])
  return { type: 'CERT', encoding: CERT_ENCODING.HASH_AND_URL_OF_X_509_CERTIFICATE, data }
}

/** The payloads with what hashes and URLs stand for; what cannot be had is left out, and the log says why. */
export function* lookUpCertificates(
  sa: IkeSa,
  payloads: readonly CERTPayload[],
  auth: AUTHPayload,
): Script<CERTPayload[]> {
  const { core } = sa
  const found: CERTPayload[] = []
  let lookups = 0
  for (const payload of payloads) {
    if (!byUrl.includes(payload.encoding)) {
      found.push(payload)
      continue
    }
    if (!core.settings.hashAndUrl) {
      core.log('IKE', 1, 'ignoring a certificate by hash and URL, charon.hash_and_url = no', sa)
      continue
    }
    if (auth.method === AUTH_METHOD.SHARED_KEY_MESSAGE_INTEGRITY_CODE) continue
    if (++lookups > mostLookups) {
      core.log('IKE', 1, `ignoring a certificate by hash and URL, ${mostLookups} are enough`, sa)
      break
    }
    try {
      found.push(...(yield* lookUp(sa, payload)))
    } catch (error) {
      if (!(error instanceof Error)) throw error
      core.log('IKE', 1, `ignoring a certificate by hash and URL: ${error.message}`, sa)
    }
  }
  return found
}

const byUrl: readonly number[] = [
  CERT_ENCODING.HASH_AND_URL_OF_X_509_CERTIFICATE,
  CERT_ENCODING.HASH_AND_URL_OF_X_509_BUNDLE,
]

function* lookUp(sa: IkeSa, { encoding, data }: CERTPayload): Script<CERTPayload[]> {
  const hash = data.subarray(0, hashBytes)
  const url = urlIn(data.subarray(hashBytes))
  sa.core.log('IKE', 1, `fetching certificate from '${url}'`, sa)
  const body = yield* run({ kind: 'fetch', url, mostBytes, timeoutMs })
  if (!timingSafeEqual(createHash('sha1').update(body).digest(), hash)) {
    throw new DecodeError(url, 0, 'what is there has another hash')
  }
  const ders = encoding === CERT_ENCODING.HASH_AND_URL_OF_X_509_BUNDLE ? readCertificateBundle(body) : [body]
  return ders.map((der) => ({ type: 'CERT', encoding: CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE, data: der }))
}

/** @throws DecodeError unless it is an `http:` URL of printable characters, as RFC 7296 §3.6 wants it */
function urlIn(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1')
  if (bytes.length > mostUrlBytes) throw new DecodeError('CERT', hashBytes, `a URL of ${bytes.length} octets`)
  if (!/^http:\/\/[!-~]+$/i.test(text) || !URL.canParse(text)) {
    throw new DecodeError('CERT', hashBytes, 'what is behind the hash is no http URL')
  }
  return text
}

/** The `cert_uri_base` of the authority that issued the certificate. */
function uriBaseOf({ core }: IkeSa, { issuerKey, authorityKeyId }: Certificate): string | undefined {
  const wanted = authorityKeyId?.keyId
  return core.credentials.certUriBases?.find(({ authority: { subjectKey, subjectKeyId } }) => {
    if (subjectKey !== issuerKey) return false
    return wanted === undefined || subjectKeyId === undefined || Buffer.compare(wanted, subjectKeyId) === 0
  })?.base
}
