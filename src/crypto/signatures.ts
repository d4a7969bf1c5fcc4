import {
  constants,
  type KeyObject,
  publicDecrypt,
  type SignKeyObjectInput,
  sign as signNode,
  verify as verifyNode,
} from 'node:crypto'
import { AUTH_METHOD, HASH_ALGORITHM as HASH } from '../wire/numbers.ts'
import { concat, plain, sameBytes } from './bytes.ts'
import { AuthDecodeError } from './errors.ts'
import { decodePss } from './pss.ts'
import {
  classicEcdsa,
  curveOfMethod,
  digitalSignatures,
  type KeyType,
  pss,
  rsaMethod1,
  type SignatureScheme,
} from './signature-schemes.ts'

export { AuthDecodeError } from './errors.ts'
export type { KeyType, SignatureScheme } from './signature-schemes.ts'
export { authName } from './signature-schemes.ts'

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
  const { scheme, signature } =
    method === AUTH_METHOD.DIGITAL_SIGNATURE ? digitalSignature(data) : classicSignature(method, data, peerKey)
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
  if (method === AUTH_METHOD.RSA_DIGITAL_SIGNATURE) return { scheme: rsaWithHashOf(signature, key), signature }
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
      return [HASH.IDENTITY]
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
      return bits <= 3072 ? from256 : bits <= 7680 ? from384 : from512
    }
    case 'ecdsa': {
      const bits = curveBits(key)
      return bits <= 256 ? from256 : bits <= 384 ? from384 : from512
    }
  }
}

const from256 = [HASH.SHA2_256, HASH.SHA2_384, HASH.SHA2_512]
const from384 = [HASH.SHA2_384, HASH.SHA2_512, HASH.SHA2_256]
const from512 = [HASH.SHA2_512, HASH.SHA2_384, HASH.SHA2_256]

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
    case HASH.SHA1:
      return 'sha1'
    case HASH.SHA2_256:
      return 'sha256'
    case HASH.SHA2_384:
      return 'sha384'
    case HASH.SHA2_512:
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
      return { key, dsaEncoding: scheme.method === AUTH_METHOD.DIGITAL_SIGNATURE ? 'der' : 'ieee-p1363' }
    default:
      return { key }
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && sameBytes(bytes.subarray(0, start.length), start)
}
