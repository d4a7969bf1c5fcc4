import { DecodeError } from '../wire/errors.ts'
import { derEncode, OID } from './der.ts'

/** The dotted form of an OBJECT IDENTIFIER's content, X.690 §8.19. Throws DecodeError. */
export function oidText(content: Uint8Array): string {
  if (content.length === 0 || content.length > MAX_OID_BYTES) fail(`an object identifier of ${content.length} bytes`)
  const arcs: string[] = []
  let arc = 0n
  let started = false
  for (const byte of content) {
    if (!started && byte === 0x80) fail('an object identifier with a padded number')
    arc = (arc << 7n) | BigInt(byte & 0x7f)
    started = byte >= 0x80
    if (started) continue
    if (arcs.length === 0) {
      const top = arc < 40n ? 0n : arc < 80n ? 1n : 2n
      arcs.push(top.toString(), (arc - top * 40n).toString())
    } else arcs.push(arc.toString())
    arc = 0n
  }
  if (started) fail('an object identifier that ends inside a number')
  return arcs.join('.')
}

/** The content of an OBJECT IDENTIFIER from its dotted form, which must be well formed. */
export function oidContent(dotted: string): Uint8Array {
  const [top = 0n, second = 0n, ...rest] = dotted.split('.').map((arc) => BigInt(arc))
  const bytes: number[] = []
  for (const arc of [top * 40n + second, ...rest]) {
    const digits = [Number(arc & 0x7fn)]
    for (let left = arc >> 7n; left > 0n; left >>= 7n) digits.unshift(Number(left & 0x7fn) | 0x80)
    bytes.push(...digits)
  }
  return Uint8Array.from(bytes)
}

/** A whole OBJECT IDENTIFIER in DER. */
export function oidDer(dotted: string): Uint8Array {
  return derEncode(OID, oidContent(dotted))
}

/** Object identifiers by the names that their RFCs use. */
export const oids = {
  // public keys: RFC 3279, 4055, 5480, 8410
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsassaPss: '1.2.840.113549.1.1.10',
  mgf1: '1.2.840.113549.1.1.8',
  ecPublicKey: '1.2.840.10045.2.1',
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
  // extensions: RFC 5280 §4.2
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  anyPolicy: '2.5.29.32.0',
  cps: '1.3.6.1.5.5.7.2.1',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  // CRLs: RFC 5280 §5.2, §5.3
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  inhibitAnyPolicy: '2.5.29.54',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  addressBlocks: '1.3.6.1.5.5.7.1.7',
  accessOcsp: '1.3.6.1.5.5.7.48.1',
  // OCSP: RFC 6960
  ocspBasic: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  // names
  emailAddress: '1.2.840.113549.1.9.1',
  xmppAddr: '1.3.6.1.5.5.7.8.5',
} as const

const MAX_OID_BYTES = 64

function fail(message: string): never {
  throw new DecodeError('object identifier', 0, message)
}
