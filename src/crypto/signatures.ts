import {
  constants,
  type KeyObject,
  publicDecrypt,
  type SignKeyObjectInput,
  sign as signNode,
  verify as verifyNode,
} from 'node:crypto'
import { concat, plain, sameBytes } from './bytes.ts'
import { AuthDecodeError } from './errors.ts'
import { decodePss, encodePss } from './pss.ts'

export { AuthDecodeError } from './errors.ts'

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

/** What decides about the scheme that we sign with. */
export interface SchemeOptions {
  /** The peer's SIGNATURE_HASH_ALGORITHMS; `undefined` if it sent none and so has no RFC 7427. */
  readonly peerHashes: readonly number[] | undefined
  /** What the configuration allows, in order of preference; by default the key decides. */
  readonly configured?: readonly { readonly keyType: KeyType; readonly hash: number; readonly pss?: boolean }[]
  /** Prefer RSASSA-PSS over PKCS #1 v1.5. */
  readonly rsaPss: boolean
}

/** The scheme to sign with, or `undefined` if the peer and the configuration leave none for this key. */
export function chooseScheme(key: KeyObject, options: SchemeOptions): SignatureScheme | undefined {
  const keyType = keyTypeOf(key)
  const { peerHashes, configured } = options
  if (keyType === undefined) return undefined
  if (peerHashes === undefined) return classicScheme(key, keyType, configured)
  const wanted = configured?.filter((entry) => entry.keyType === keyType) ?? []
  const candidates = wanted.length > 0 ? wanted : usualHashes(key, keyType).map((hash) => ({ keyType, hash }))
  for (const { hash, pss } of candidates as readonly { hash: number; pss?: boolean }[]) {
    if (!peerHashes.includes(hash)) continue
    const padding = pss ?? (options.rsaPss || key.asymmetricKeyType === 'rsa-pss')
    const scheme = digitalSignatures.find(
      (row) =>
        row.keyType === keyType &&
        row.hash === hash &&
        (row.pssSaltBytes !== undefined) === (padding && keyType === 'rsa'),
    )
    if (scheme !== undefined && fits(scheme, key)) return scheme
  }
  return undefined
}

/** Signs. The private key must be of the scheme's type. */
export function sign(key: KeyObject, scheme: SignatureScheme, data: Uint8Array): Uint8Array {
  return plain(signNode(hashName(scheme), data, keyInput(key, scheme)))
}

/** Signs on the thread pool. */
export function signAsync(key: KeyObject, scheme: SignatureScheme, data: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    signNode(hashName(scheme), data, keyInput(key, scheme), (error, signature) => {
      if (error === null || error === undefined) resolve(plain(signature))
      else reject(error)
    })
  })
}

/** Whether `signature` is right. Never throws: a key that does not fit the scheme is a wrong signature. */
export function verify(
  publicKey: KeyObject,
  scheme: SignatureScheme,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!fits(scheme, publicKey)) return false
  try {
    return verifyNode(hashName(scheme), data, keyInput(publicKey, scheme), signature)
  } catch {
    return false
  }
}

/** `verify` on the thread pool. */
export function verifyAsync(
  publicKey: KeyObject,
  scheme: SignatureScheme,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (!fits(scheme, publicKey)) return Promise.resolve(false)
  return new Promise((resolve) => {
    try {
      verifyNode(hashName(scheme), data, keyInput(publicKey, scheme), signature, (error, right) => {
        resolve((error === null || error === undefined) && right)
      })
    } catch {
      resolve(false)
    }
  })
}

/** The Authentication Data of an AUTH payload; for method 14 RFC 7427 §3: length, AlgorithmIdentifier, signature. */
export function encodeAuth({ algorithmIdentifier }: SignatureScheme, signature: Uint8Array): Uint8Array {
  if (algorithmIdentifier === undefined) return signature
  return concat(Uint8Array.of(algorithmIdentifier.length), algorithmIdentifier, signature)
}

/**
 * The scheme and the signature in the Authentication Data of the peer, whose certificate has `peerKey`. Throws
 * `AuthDecodeError` if the data is malformed, the algorithm unknown, or not one for this key. Whether the hash is
 * acceptable is for the caller to decide.
 */
export function decodeAuth(
  method: number,
  data: Uint8Array,
  peerKey: KeyObject,
): { readonly scheme: SignatureScheme; readonly signature: Uint8Array } {
  const { scheme, signature } = method === 14 ? digitalSignature(data) : classicSignature(method, data, peerKey)
  if (!fits(scheme, peerKey)) {
    throw new AuthDecodeError(`a signature by ${scheme.name} does not come from a key of type ${describe(peerKey)}`)
  }
  return { scheme, signature }
}

/** The type of a key that can sign for IKE, or `undefined` for any other key. */
export function keyTypeOf(key: KeyObject): KeyType | undefined {
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return 'rsa'
    case 'ec':
      return 'ecdsa'
    case 'ed25519':
    case 'ed448':
      return key.asymmetricKeyType
    default:
      return undefined
  }
}

function digitalSignature(data: Uint8Array): { scheme: SignatureScheme; signature: Uint8Array } {
  const length = data[0] ?? 0
  if (length === 0 || data.length <= 1 + length) throw new AuthDecodeError('the signature is shorter than it says')
  const identifier = data.subarray(1, 1 + length)
  const scheme = digitalSignatures.find(
    (row) => sameBytes(row.algorithmIdentifier, identifier) || row.accepted.some((der) => sameBytes(der, identifier)),
  )
  const parameters = scheme === undefined ? decodePss(identifier) : undefined
  const found = scheme ?? (parameters && pss(parameters.hash, parameters.saltBytes))
  if (found === undefined) {
    throw new AuthDecodeError(`unknown signature algorithm ${Buffer.from(identifier).toString('hex')}`)
  }
  return { scheme: found, signature: data.subarray(1 + length) }
}

function classicSignature(
  method: number,
  signature: Uint8Array,
  key: KeyObject,
): { scheme: SignatureScheme; signature: Uint8Array } {
  if (method === 1) return { scheme: rsaWithHashOf(signature, key), signature }
  const scheme = classicEcdsa.find((row) => row.method === method)
  if (scheme === undefined) throw new AuthDecodeError(`authentication method ${method} is not a signature we have`)
  return { scheme, signature }
}

/** RFC 7296 §3.8: SHA-1 is the default of method 1, but the DigestInfo inside the signature decides. */
function rsaWithHashOf(signature: Uint8Array, key: KeyObject): SignatureScheme {
  const [sha1] = rsaMethod1
  if (key.asymmetricKeyType !== 'rsa') return sha1
  try {
    const info = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return rsaMethod1.find((row) => startsWith(info, row.digestInfo)) ?? sha1
  } catch {
    return sha1
  }
}

function classicScheme(
  key: KeyObject,
  keyType: KeyType,
  configured: SchemeOptions['configured'],
): SignatureScheme | undefined {
  const [sha1] = rsaMethod1
  const scheme = keyType === 'rsa' ? sha1 : classicEcdsa.find((row) => fits(row, key))
  if (scheme === undefined || !fits(scheme, key)) return undefined
  const wanted = configured?.filter((entry) => entry.keyType === keyType) ?? []
  return wanted.length === 0 || wanted.some((entry) => entry.hash === scheme.hash) ? scheme : undefined
}

/** Hashes by preference: the one of the key's strength, stronger ones, weaker ones; never SHA-1. */
function usualHashes(key: KeyObject, keyType: KeyType): readonly number[] {
  switch (keyType) {
    case 'ed25519':
    case 'ed448':
      return [5]
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
      return bits <= 3072 ? [2, 3, 4] : bits <= 7680 ? [3, 4, 2] : [4, 3, 2]
    }
    case 'ecdsa': {
      const bits = curveBits(key)
      return bits <= 256 ? [2, 3, 4] : bits <= 384 ? [3, 4, 2] : [4, 3, 2]
    }
  }
}

function curveBits(key: KeyObject): number {
  return Number(/\d{3}/.exec(key.asymmetricKeyDetails?.namedCurve ?? '')?.[0] ?? 0)
}

/** Whether a key can make or check signatures of the scheme. */
function fits(scheme: SignatureScheme, key: KeyObject): boolean {
  if (keyTypeOf(key) !== scheme.keyType) return false
  const curve = curveOfMethod.get(scheme.method)
  if (curve !== undefined) return key.asymmetricKeyDetails?.namedCurve === curve
  if (key.asymmetricKeyType !== 'rsa-pss') return true
  // RFC 4055 §1.2: a key for RSASSA-PSS may fix the hash and the least salt, and never does PKCS #1 v1.5.
  const { hashAlgorithm, saltLength = 0 } = key.asymmetricKeyDetails ?? {}
  return (
    scheme.pssSaltBytes !== undefined &&
    (hashAlgorithm === undefined || hashAlgorithm === hashName(scheme)) &&
    scheme.pssSaltBytes >= saltLength
  )
}

function describe(key: KeyObject): string {
  return key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? key.type
}

function hashName({ hash }: SignatureScheme): string | null {
  switch (hash) {
    case 1:
      return 'sha1'
    case 2:
      return 'sha256'
    case 3:
      return 'sha384'
    case 4:
      return 'sha512'
    default:
      return null
  }
}

function keyInput(key: KeyObject, scheme: SignatureScheme): SignKeyObjectInput {
  switch (scheme.keyType) {
    case 'rsa':
      return scheme.pssSaltBytes === undefined
        ? { key, padding: constants.RSA_PKCS1_PADDING }
        : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.pssSaltBytes }
    case 'ecdsa':
      // RFC 4754 §7: r | s of fixed length; RFC 7427 appendix A.3: the DER of ECDSA-Sig-Value.
      return { key, dsaEncoding: scheme.method === 14 ? 'der' : 'ieee-p1363' }
    default:
      return { key }
  }
}

const octets = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

/** Method 1 with the DigestInfo (RFC 8017 §9.2) in front of each hash; SHA-1 is the one that we make. */
const rsaMethod1: readonly [
  SignatureScheme & { readonly digestInfo: Uint8Array },
  ...(readonly (SignatureScheme & { readonly digestInfo: Uint8Array })[]),
] = [
  rsa1('RSA_EMSA_PKCS1_SHA1', 1, '3021300906052b0e03021a05000414'),
  rsa1('RSA_EMSA_PKCS1_SHA2_256', 2, '3031300d060960864801650304020105000420'),
  rsa1('RSA_EMSA_PKCS1_SHA2_384', 3, '3041300d060960864801650304020205000430'),
  rsa1('RSA_EMSA_PKCS1_SHA2_512', 4, '3051300d060960864801650304020305000440'),
]

function rsa1(name: string, hash: number, digestInfo: string): SignatureScheme & { readonly digestInfo: Uint8Array } {
  return { name, method: 1, keyType: 'rsa', hash, digestInfo: octets(digestInfo) }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && sameBytes(bytes.subarray(0, start.length), start)
}

/** RFC 4754: each method is one curve with one hash. */
const classicEcdsa: readonly SignatureScheme[] = [
  { name: 'ECDSA-256', method: 9, keyType: 'ecdsa', hash: 2 },
  { name: 'ECDSA-384', method: 10, keyType: 'ecdsa', hash: 3 },
  { name: 'ECDSA-521', method: 11, keyType: 'ecdsa', hash: 4 },
]

/** Curves by OpenSSL's names. */
const curveOfMethod: ReadonlyMap<number, string> = new Map([
  [9, 'prime256v1'],
  [10, 'secp384r1'],
  [11, 'secp521r1'],
])

interface DigitalSignature extends SignatureScheme {
  readonly algorithmIdentifier: Uint8Array
  /** Other spellings of the same algorithm. */
  readonly accepted: readonly Uint8Array[]
}

/** Method 14 with the identifiers of RFC 7427 appendix A and RFC 8420 appendix A. */
const digitalSignatures: readonly DigitalSignature[] = [
  pss(2, 32),
  pss(3, 48),
  pss(4, 64),
  pkcs1('SHA2_256', 2, '0b'),
  pkcs1('SHA2_384', 3, '0c'),
  pkcs1('SHA2_512', 4, '0d'),
  pkcs1('SHA1', 1, '05'),
  pss(1, 20),
  ecdsa('ECDSA_WITH_SHA256_DER', 2, '300a06082a8648ce3d040302'),
  ecdsa('ECDSA_WITH_SHA384_DER', 3, '300a06082a8648ce3d040303'),
  ecdsa('ECDSA_WITH_SHA512_DER', 4, '300a06082a8648ce3d040304'),
  ecdsa('ECDSA_WITH_SHA1_DER', 1, '300906072a8648ce3d0401'),
  eddsa('ED25519', 'ed25519', '300506032b6570'),
  eddsa('ED448', 'ed448', '300506032b6571'),
]

/** RFC 4055 §5: the parameters are NULL; that they are missing must be accepted too. */
function pkcs1(hashLabel: string, hash: number, oidEnd: string): DigitalSignature {
  return {
    name: `RSA_EMSA_PKCS1_${hashLabel}`,
    method: 14,
    keyType: 'rsa',
    hash,
    algorithmIdentifier: octets(`300d06092a864886f70d0101${oidEnd}0500`),
    accepted: [octets(`300b06092a864886f70d0101${oidEnd}`)],
  }
}

function ecdsa(name: string, hash: number, der: string): DigitalSignature {
  return { name, method: 14, keyType: 'ecdsa', hash, algorithmIdentifier: octets(der), accepted: [] }
}

function eddsa(name: string, keyType: 'ed25519' | 'ed448', der: string): DigitalSignature {
  return { name, method: 14, keyType, hash: 5, algorithmIdentifier: octets(der), accepted: [] }
}

function pss(hash: number, saltBytes: number): DigitalSignature {
  const label = ['', 'SHA1', 'SHA2_256', 'SHA2_384', 'SHA2_512'][hash] ?? hash
  return {
    name: `RSA_EMSA_PSS_${label}_SALT_${saltBytes}`,
    method: 14,
    keyType: 'rsa',
    hash,
    pssSaltBytes: saltBytes,
    algorithmIdentifier: encodePss({ hash, saltBytes }),
    accepted: [],
  }
}
