import { contextConstructed, DerReader, SEQUENCE } from './der.ts'

/**
 * The certificates of a bundle in DER, RFC 7296 §3.6:
 *
 *    CertificateOrCRL ::= CHOICE { cert [0] Certificate, crl [1] CertificateList }
 *    CertificateBundle ::= SEQUENCE OF CertificateOrCRL
 *
 * CRLs in it are passed over. Throws DecodeError and nothing else.
 */
export function readCertificateBundle(bytes: Uint8Array): Uint8Array[] {
  const reader = DerReader.over(bytes, 'certificate bundle')
  const items = reader.sequence('CertificateBundle')
  reader.end('CertificateBundle')
  const certificates: Uint8Array[] = []
  while (items.more) {
    const item = items.any('CertificateOrCRL')
    const inside = item.children()
    const { whole } = inside.take(SEQUENCE, 'CertificateOrCRL')
    inside.end('CertificateOrCRL')
    if (item.tag === contextConstructed(0)) certificates.push(whole)
    else if (item.tag !== contextConstructed(1)) items.fail('a bundle has certificates and CRLs')
  }
  return certificates
}
