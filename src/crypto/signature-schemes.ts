import { AUTH_METHOD, HASH_ALGORITHM as HASH } from '../wire/numbers.ts'
import { encodePss } from './pss.ts'

/** The kinds of keys that sign. */
export type KeyType = 'rsa' | 'ecdsa' | 'ed25519' | 'ed448'

/** A way to sign the octets of RFC 7296 §2.15. */
export interface SignatureScheme {
  /** charon's name. */
  readonly name: string
  /** IANA authentication method: 1 (RFC 7296), 9 to 11 (RFC 4754) or 14 (RFC 7427, RFC 8420). */
  readonly method: number
  readonly keyType: KeyType
  /** IKEv2 hash algorithm: 1 SHA1, 2 SHA2-256, 3 SHA2-384, 4 SHA2-512, 5 Identity. */
  readonly hash?: number
  /** The DER that precedes the signature, with method 14. */
  readonly algorithmIdentifier?: Uint8Array
  /** With RSASSA-PSS the length of the salt; the mask generation uses the same hash. */
  readonly pssSaltBytes?: number
}

/** What charon's log says of an AUTH payload: its scheme where that is in it (method 14), else its method. */
export function authName({ name, method }: SignatureScheme): string {
  if (method === DIGITAL_SIGNATURE) return name
  return method === RSA_DIGITAL_SIGNATURE ? 'RSA signature' : `${name} signature`
}

/** PKCS #1 v1.5 without an identifier on the wire. */
export interface RsaMethod1 extends SignatureScheme {
  /** The DER in front of the hash inside the signature, RFC 8017 §9.2. */
  readonly digestInfo: Uint8Array
}

const { RSA_DIGITAL_SIGNATURE, DIGITAL_SIGNATURE } = AUTH_METHOD

function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** Method 1 with the DigestInfo (RFC 8017 §9.2) in front of each hash; SHA-1 is the one that we make. */
export const rsaMethod1: readonly [RsaMethod1, ...(readonly RsaMethod1[])] = [
  rsa1('RSA_EMSA_PKCS1_SHA1', HASH.SHA1, '3021300906052b0e03021a05000414'),
  rsa1('RSA_EMSA_PKCS1_SHA2_256', HASH.SHA2_256, '3031300d060960864801650304020105000420'),
  rsa1('RSA_EMSA_PKCS1_SHA2_384', HASH.SHA2_384, '3041300d060960864801650304020205000430'),
  rsa1('RSA_EMSA_PKCS1_SHA2_512', HASH.SHA2_512, '3051300d060960864801650304020305000440'),
]

function rsa1(name: string, hash: number, digestInfo: string): RsaMethod1 {
  return { name, method: RSA_DIGITAL_SIGNATURE, keyType: 'rsa', hash, digestInfo: octets(digestInfo) }
}

/** RFC 4754: each method is one curve with one hash. */
export const classicEcdsa: readonly SignatureScheme[] = [
  {
    name: 'ECDSA-256',
    method: AUTH_METHOD.ECDSA_WITH_SHA_256_ON_THE_P_256_CURVE,
    keyType: 'ecdsa',
    hash: HASH.SHA2_256,
  },
  {
    name: 'ECDSA-384',
    method: AUTH_METHOD.ECDSA_WITH_SHA_384_ON_THE_P_384_CURVE,
    keyType: 'ecdsa',
    hash: HASH.SHA2_384,
  },
  {
    name: 'ECDSA-521',
    method: AUTH_METHOD.ECDSA_WITH_SHA_512_ON_THE_P_521_CURVE,
    keyType: 'ecdsa',
    hash: HASH.SHA2_512,
  },
]

/** Curves by OpenSSL's names. */
export const curveOfMethod: ReadonlyMap<number, string> = new Map([
  [AUTH_METHOD.ECDSA_WITH_SHA_256_ON_THE_P_256_CURVE, 'prime256v1'],
  [AUTH_METHOD.ECDSA_WITH_SHA_384_ON_THE_P_384_CURVE, 'secp384r1'],
  [AUTH_METHOD.ECDSA_WITH_SHA_512_ON_THE_P_521_CURVE, 'secp521r1'],
])

/** A scheme of method 14. */
export interface DigitalSignature extends SignatureScheme {
  readonly algorithmIdentifier: Uint8Array
  /** Other spellings of the same algorithm. */
  readonly accepted: readonly Uint8Array[]
}

/** Method 14 with the identifiers of RFC 7427 appendix A and RFC 8420 appendix A. */
export const digitalSignatures: readonly DigitalSignature[] = [
  pss(HASH.SHA2_256, 32),
  pss(HASH.SHA2_384, 48),
  pss(HASH.SHA2_512, 64),
  pkcs1('SHA2_256', HASH.SHA2_256, '0b'),
  pkcs1('SHA2_384', HASH.SHA2_384, '0c'),
  pkcs1('SHA2_512', HASH.SHA2_512, '0d'),
  pkcs1('SHA1', HASH.SHA1, '05'),
  pss(HASH.SHA1, 20),
  ecdsa('ECDSA_WITH_SHA256_DER', HASH.SHA2_256, '300a06082a8648ce3d040302'),
  ecdsa('ECDSA_WITH_SHA384_DER', HASH.SHA2_384, '300a06082a8648ce3d040303'),
  ecdsa('ECDSA_WITH_SHA512_DER', HASH.SHA2_512, '300a06082a8648ce3d040304'),
  ecdsa('ECDSA_WITH_SHA1_DER', HASH.SHA1, '300906072a8648ce3d0401'),
  eddsa('ED25519', 'ed25519', '300506032b6570'),
  eddsa('ED448', 'ed448', '300506032b6571'),
]

/** RFC 4055 §5: the parameters are NULL; that they are missing must be accepted too. */
function pkcs1(hashLabel: string, hash: number, oidEnd: string): DigitalSignature {
  return {
    name: `RSA_EMSA_PKCS1_${hashLabel}`,
    method: DIGITAL_SIGNATURE,
    keyType: 'rsa',
    hash,
    algorithmIdentifier: octets(`300d06092a864886f70d0101${oidEnd}0500`),
    accepted: [octets(`300b06092a864886f70d0101${oidEnd}`)],
  }
}

function ecdsa(name: string, hash: number, der: string): DigitalSignature {
  return { name, method: DIGITAL_SIGNATURE, keyType: 'ecdsa', hash, algorithmIdentifier: octets(der), accepted: [] }
}

function eddsa(name: string, keyType: 'ed25519' | 'ed448', der: string): DigitalSignature {
  return {
    name,
    method: DIGITAL_SIGNATURE,
    keyType,
    hash: HASH.IDENTITY,
    algorithmIdentifier: octets(der),
    accepted: [],
  }
}

/** RSASSA-PSS with any salt; the mask generation uses the same hash. */
export function pss(hash: number, saltBytes: number): DigitalSignature {
  const label = ['', 'SHA1', 'SHA2_256', 'SHA2_384', 'SHA2_512'][hash] ?? hash
  return {
    name: `RSA_EMSA_PSS_${label}_SALT_${saltBytes}`,
    method: DIGITAL_SIGNATURE,
    keyType: 'rsa',
    hash,
    pssSaltBytes: saltBytes,
    algorithmIdentifier: encodePss({ hash, saltBytes }),
    accepted: [],
  }
}
