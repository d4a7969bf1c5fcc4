/** OCSP responses, RFC 6960 §4.2. */
import { DecodeError } from '../../wire/errors.ts'
import { type Certificate, parseCertificate } from '../certificate.ts'
import {
  BOOLEAN,
  contextConstructed,
  contextPrimitive,
  DerReader,
  ENUMERATED,
  NULL,
  OCTET_STRING,
  OID,
  SEQUENCE,
} from '../der.ts'
import { comparableName, formatName, readName } from '../name.ts'
import { oids, oidText } from '../oid.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm } from '../signature-algorithm.ts'
import { readTime } from '../time.ts'
import type { CertId } from './ocsp-request.ts'

/** A basic OCSP response. Immutable, and independent of the bytes it was read from. */
export interface OcspResponse {
  readonly der: Uint8Array
  readonly responder: Responder
  /** Milliseconds since 1970. */
  readonly producedAt: number
  readonly statuses: readonly SingleStatus[]
  /** Certificates that may help to verify the signature. */
  readonly certificates: readonly Certificate[]
  readonly nonce?: Uint8Array
  /** It has critical extensions that are not processed; it tells nothing. */
  readonly unusable: boolean
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** ResponseData in DER: what is signed. */
  readonly tbs: Uint8Array
}

/** Who says to have signed: by its name, or by the SHA-1 of its key. */
export type Responder =
  | { readonly nameKey: string; readonly text: string }
  | { readonly keyHash: Uint8Array; readonly text: string }

/** The status of one certificate. */
export interface SingleStatus {
  readonly id: CertId
  readonly status: 'good' | 'unknown' | { readonly time: number; readonly reason: number }
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  /** Milliseconds since 1970; without it there is always something newer at the responder. */
  readonly nextUpdate?: number
  readonly unusable: boolean
}

/** How many octets a response may have. */
export const MAX_OCSP_RESPONSE: number = 64 * 1024

/** A response from its DER. Throws DecodeError and nothing else, also for a response that is an error. */
export function parseOcspResponse(bytes: Uint8Array): OcspResponse {
  if (bytes.length > MAX_OCSP_RESPONSE)
    throw new DecodeError('OCSP response', 0, `${bytes.length} bytes are more than ${MAX_OCSP_RESPONSE}`)
  const der = Uint8Array.from(bytes)
  const reader = DerReader.over(der, 'OCSP response')
  const outer = reader.sequence('OCSPResponse')
  reader.end('OCSPResponse')
  const [status = 0] = outer.take(ENUMERATED, 'responseStatus').content
  if (status !== 0) outer.fail(`the responder answers ${ERRORS[status] ?? `status ${status}`}`)
  const wrapped = outer.take(contextConstructed(0), 'responseBytes').children()
  outer.end('OCSPResponse')
  const typed = wrapped.sequence('responseBytes')
  const type = oidText(typed.take(OID, 'responseType').content)
  if (type !== oids.ocspBasic) typed.fail(`a response of type ${type}`)
  const inner = typed.take(OCTET_STRING, 'response').reread()
  const basic = inner.sequence('BasicOCSPResponse')
  inner.end('BasicOCSPResponse')
  const tbs = basic.take(SEQUENCE, 'tbsResponseData')
  const signatureAlgorithm = readSignatureAlgorithm(basic, 'signatureAlgorithm')
  const signature = basic.bitStringBytes('signature')
  const certificates = readCertificates(basic.optional(contextConstructed(0), 'certs')?.children())
  basic.end('BasicOCSPResponse')
  return { der, signatureAlgorithm, signature, certificates, tbs: tbs.whole, ...readData(tbs.children()) }
}

function readData(data: DerReader): Pick<OcspResponse, 'responder' | 'producedAt' | 'statuses' | 'nonce' | 'unusable'> {
  const version = data.optional(contextConstructed(0), 'version')?.children()
  if (version !== undefined && version.smallInteger('version') !== 0) data.fail('there is only version 1')
  const responder = readResponder(data)
  const producedAt = readTime(data, 'producedAt')
  const list = data.sequence('responses')
  const statuses: SingleStatus[] = []
  while (list.more) {
    if (statuses.length >= MAX_STATUSES) list.fail(`more than ${MAX_STATUSES} statuses`)
    statuses.push(readStatus(list))
  }
  const extensions = readExtensions(data.optional(contextConstructed(1), 'responseExtensions')?.children())
  data.end('ResponseData')
  return { responder, producedAt, statuses, ...extensions }
}

function readResponder(data: DerReader): Responder {
  const byName = data.optional(contextConstructed(1), 'responderID')?.children()
  if (byName !== undefined) {
    const name = readName(byName, 'byName')
    byName.end('byName')
    return { nameKey: comparableName(name), text: formatName(name) }
  }
  const byKey = data.take(contextConstructed(2), 'responderID').children()
  const keyHash = byKey.take(OCTET_STRING, 'byKey').content
  byKey.end('byKey')
  return { keyHash, text: Buffer.from(keyHash).toString('hex') }
}

function readStatus(list: DerReader): SingleStatus {
  const fields = list.sequence('singleResponse')
  const id = readCertId(fields)
  const status = readCertStatus(fields)
  const thisUpdate = readTime(fields, 'thisUpdate')
  const next = fields.optional(contextConstructed(0), 'nextUpdate')?.children()
  const nextUpdate = next === undefined ? undefined : readTime(next, 'nextUpdate')
  next?.end('nextUpdate')
  const { unusable } = readExtensions(fields.optional(contextConstructed(1), 'singleExtensions')?.children())
  fields.end('singleResponse')
  return { id, status, thisUpdate, ...(nextUpdate !== undefined && { nextUpdate }), unusable }
}

function readCertId(fields: DerReader): CertId {
  const certId = fields.sequence('certID')
  const algorithm = certId.sequence('hashAlgorithm')
  const hash = oidText(algorithm.take(OID, 'hashAlgorithm').content)
  algorithm.optional(NULL, 'hashAlgorithm')
  algorithm.end('hashAlgorithm')
  const issuerNameHash = certId.take(OCTET_STRING, 'issuerNameHash').content
  const issuerKeyHash = certId.take(OCTET_STRING, 'issuerKeyHash').content
  const serial = certId.integer('serialNumber')
  certId.end('certID')
  return { hash, issuerNameHash, issuerKeyHash, serial }
}

function readCertStatus(fields: DerReader): SingleStatus['status'] {
  if (fields.optional(contextPrimitive(0), 'good') !== undefined) return 'good'
  if (fields.optional(contextPrimitive(2), 'unknown') !== undefined) return 'unknown'
  const revoked = fields.take(contextConstructed(1), 'certStatus').children()
  const time = readTime(revoked, 'revocationTime')
  const why = revoked.optional(contextConstructed(0), 'revocationReason')?.children()
  const reason = why?.take(ENUMERATED, 'revocationReason').content[0] ?? 0
  revoked.end('revoked')
  return { time, reason }
}

function readExtensions(reader: DerReader | undefined): { nonce?: Uint8Array; unusable: boolean } {
  if (reader === undefined) return { unusable: false }
  const list = reader.sequence('extensions')
  reader.end('extensions')
  let nonce: Uint8Array | undefined
  let unusable = false
  while (list.more) {
    const extension = list.sequence('extension')
    const oid = oidText(extension.take(OID, 'extension').content)
    const critical = extension.nextTag === BOOLEAN && extension.boolean('critical')
    const value = extension.take(OCTET_STRING, 'extension')
    extension.end('extension')
    // RFC 2560 did not say that the nonce is an OCTET STRING inside: some send it bare
    if (oid === oids.ocspNonce) nonce = nonceIn(value.content)
    else if (critical) unusable = true
  }
  return { ...(nonce && { nonce }), unusable }
}

function nonceIn(content: Uint8Array): Uint8Array {
  const wrapped = content[0] === OCTET_STRING && content[1] === content.length - 2
  return wrapped ? content.subarray(2) : content
}

/** Those that cannot be read may be somebody else's. */
function readCertificates(reader: DerReader | undefined): Certificate[] {
  const list = reader?.sequence('certs')
  reader?.end('certs')
  const found: Certificate[] = []
  while (list?.more) {
    const { whole } = list.take(SEQUENCE, 'certificate')
    if (found.length >= MAX_CERTIFICATES) break
    try {
      found.push(parseCertificate(whole))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
    }
  }
  return found
}

const ERRORS: readonly (string | undefined)[] = [
  undefined,
  'malformedRequest',
  'internalError',
  'tryLater',
  undefined,
  'sigRequired',
  'unauthorized',
]
const MAX_STATUSES = 256
const MAX_CERTIFICATES = 8
