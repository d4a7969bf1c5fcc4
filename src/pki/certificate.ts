import { createHash, type KeyObject } from 'node:crypto'
import { DecodeError } from '../wire/errors.ts'
import { contextConstructed, contextPrimitive, DerReader, SEQUENCE } from './der.ts'
import { type Extensions, readExtensions } from './extensions.ts'
import { type KeyType, keyTypeOf, publicKeyFromInfo, sha1, subjectPublicKey } from './keys.ts'
import { comparableName, formatName, type Name, readName } from './name.ts'
import { decodePem, isPem } from './pem.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm, verifySignature } from './signature-algorithm.ts'
import { readTime } from './time.ts'

/** An X.509 certificate, RFC 5280 §4.1. Immutable, and independent of the bytes it was read from. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array
  /** SHA-256 of the DER in hexadecimal. */
  readonly fingerprint: string
  /** 1, 2 or 3. */
  readonly version: number
  /** Content of the INTEGER: big-endian, two's complement. */
  readonly serial: Uint8Array
  readonly subject: Name
  readonly issuer: Name
  /** As charon prints them. */
  readonly subjectText: string
  readonly issuerText: string
  /** Equal for names that RFC 5280 §7.1 calls equal. */
  readonly subjectKey: string
  readonly issuerKey: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: KeyObject
  readonly keyType: KeyType
  /** The SubjectPublicKeyInfo in DER. */
  readonly publicKeyInfo: Uint8Array
  /** SHA-1 of the SubjectPublicKeyInfo, 20 bytes: how CERTREQ names a CA, RFC 7296 §3.7. */
  readonly keyId: Uint8Array
  /** SHA-1 of the subjectPublicKey bit string in hexadecimal: the id of the private key that belongs to it. */
  readonly publicKeyId: string
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** TBSCertificate in DER: what is signed. */
  readonly tbs: Uint8Array
  /** Subject and issuer are the same name. */
  readonly selfIssued: boolean
}

/** A certificate from its DER, at most 64 KiB. Throws DecodeError and nothing else. */
export function parseCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > MAX_CERTIFICATE)
    throw new DecodeError('certificate', 0, `${bytes.length} bytes are more than ${MAX_CERTIFICATE}`)
  const der = Uint8Array.from(bytes)
  const reader = DerReader.over(der, 'certificate')
  const outer = reader.sequence('Certificate')
  reader.end('Certificate')
  const tbs = outer.take(SEQUENCE, 'tbsCertificate')
  const signatureAlgorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringBytes('signature')
  outer.end('Certificate')
  return {
    der,
    fingerprint: createHash('sha256').update(der).digest('hex'),
    signatureAlgorithm,
    signature,
    tbs: tbs.whole,
    ...readTbs(tbs.children(), signatureAlgorithm),
  }
}

/** All certificates of a PEM text, or the one of a DER file. Other PEM blocks are passed over. Throws DecodeError. */
export function certificatesFrom(bytes: Uint8Array): Certificate[] {
  if (!isPem(bytes)) return [parseCertificate(bytes)]
  const blocks = decodePem(bytes).filter(({ label }) => CERTIFICATE_LABELS.has(label))
  if (blocks.length === 0) throw new DecodeError('PEM', 0, 'there is no CERTIFICATE block in the text')
  return blocks.map(({ der }) => parseCertificate(der))
}

/** Whether the issuer's key made the certificate's signature. Names and rights are not looked at. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  return verifySignature(certificate.signatureAlgorithm, issuer.publicKey, certificate.tbs, certificate.signature)
}

/** Whether two certificates are the same bytes. */
export function sameCertificate(a: Certificate, b: Certificate): boolean {
  return a.fingerprint === b.fingerprint
}

/** Whether this is a CA's certificate: it says so in its basic constraints. */
export function isCa(certificate: Certificate): boolean {
  return certificate.basicConstraints?.ca === true
}

type TbsFields = Omit<Certificate, 'der' | 'fingerprint' | 'signatureAlgorithm' | 'signature' | 'tbs'>

function readTbs(tbs: DerReader, outer: SignatureAlgorithm): TbsFields {
  const explicitVersion = tbs.optional(contextConstructed(0), 'version')?.children()
  const version = 1 + (explicitVersion?.smallInteger('version') ?? 0)
  explicitVersion?.end('version')
  if (version > 3) tbs.fail(`there is no version ${version}`)
  const serial = tbs.integer('serialNumber')
  const inner = readSignatureAlgorithm(tbs, 'signature')
  if (Buffer.compare(inner.der, outer.der) !== 0) tbs.fail('the two signature algorithms differ') // RFC 5280 §4.1.1.2
  const issuer = readName(tbs, 'issuer')
  const validity = tbs.sequence('validity')
  const notBefore = readTime(validity, 'notBefore')
  const notAfter = readTime(validity, 'notAfter')
  validity.end('validity')
  const subject = readName(tbs, 'subject')
  const publicKeyInfo = tbs.take(SEQUENCE, 'subjectPublicKeyInfo').whole
  const uniqueIds = [1, 2].map((n) => tbs.optional(contextPrimitive(n), 'unique identifier'))
  if (version === 1 && uniqueIds.some((id) => id !== undefined)) tbs.fail('version 1 has no unique identifiers')
  const extensions = tbs.optional(contextConstructed(3), 'extensions')?.children()
  if (version < 3 && extensions !== undefined) tbs.fail(`version ${version} has no extensions`)
  tbs.end('tbsCertificate')
  const publicKey = publicKeyFromInfo(publicKeyInfo)
  const subjectKey = comparableName(subject)
  const issuerKey = comparableName(issuer)
  return {
    version,
    serial,
    subject,
    issuer,
    subjectText: formatName(subject),
    issuerText: formatName(issuer),
    subjectKey,
    issuerKey,
    notBefore,
    notAfter,
    publicKey,
    keyType: keyTypeOf(publicKey),
    publicKeyInfo,
    keyId: sha1(publicKeyInfo),
    publicKeyId: Buffer.from(sha1(subjectPublicKey(publicKeyInfo))).toString('hex'),
    selfIssued: subjectKey === issuerKey,
    ...readExtensions(extensions),
  }
}

const MAX_CERTIFICATE = 64 * 1024

const CERTIFICATE_LABELS: ReadonlySet<string> = new Set(['CERTIFICATE', 'X509 CERTIFICATE'])
