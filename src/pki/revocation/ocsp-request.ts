/** OCSP requests, RFC 6960 §4.1: the status of one certificate, with a nonce (RFC 9654). */
import { createHash } from 'node:crypto'
import { sameBytes } from '../bytes.ts'
import type { Certificate } from '../certificate.ts'
import { contextConstructed, derEncode, INTEGER, NULL, OCTET_STRING, SEQUENCE } from '../der.ts'
import { subjectPublicKey } from '../keys.ts'
import { oidDer, oids } from '../oid.ts'

/** How OCSP names a certificate: its serial number, and hashes of its issuer's name and key. */
export interface CertId {
  /** Dotted OID of the hash. */
  readonly hash: string
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  readonly serial: Uint8Array
}

/** The name of a certificate with SHA-1, which every responder understands (RFC 5019 §2.1.1). */
export function certIdOf(certificate: Certificate, issuer: Certificate): CertId {
  return { hash: oids.sha1, ...issuerHashes('sha1', issuer), serial: certificate.serial }
}

/** Whether the name is that of this certificate. */
export function namesCertificate(id: CertId, certificate: Certificate, issuer: Certificate): boolean {
  const hash = HASHES.get(id.hash)
  if (hash === undefined || !sameBytes(id.serial, certificate.serial)) return false
  const { issuerNameHash, issuerKeyHash } = issuerHashes(hash, issuer)
  return sameBytes(id.issuerNameHash, issuerNameHash) && sameBytes(id.issuerKeyHash, issuerKeyHash)
}

/** An OCSPRequest in DER, not signed. The nonce has 1 to 32 octets. */
export function encodeOcspRequest(id: CertId, nonce: Uint8Array): Uint8Array {
  const algorithm = derEncode(SEQUENCE, oidDer(id.hash), derEncode(NULL))
  const hashes = [derEncode(OCTET_STRING, id.issuerNameHash), derEncode(OCTET_STRING, id.issuerKeyHash)]
  const certId = derEncode(SEQUENCE, algorithm, ...hashes, derEncode(INTEGER, id.serial))
  const requests = derEncode(SEQUENCE, derEncode(SEQUENCE, certId))
  const extension = derEncode(SEQUENCE, oidDer(oids.ocspNonce), derEncode(OCTET_STRING, derEncode(OCTET_STRING, nonce)))
  const extensions = derEncode(contextConstructed(2), derEncode(SEQUENCE, extension))
  return derEncode(SEQUENCE, derEncode(SEQUENCE, requests, extensions))
}

function issuerHashes(hash: string, { subject, publicKeyInfo }: Certificate): Omit<CertId, 'hash' | 'serial'> {
  const digest = (bytes: Uint8Array): Uint8Array => createHash(hash).update(bytes).digest()
  return { issuerNameHash: digest(subject.der), issuerKeyHash: digest(subjectPublicKey(publicKeyInfo)) }
}

const HASHES: ReadonlyMap<string, string> = new Map([
  [oids.sha1, 'sha1'],
  [oids.sha256, 'sha256'],
])
