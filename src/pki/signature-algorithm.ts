import { constants, type KeyObject, verify } from 'node:crypto'
import { contextConstructed, type DerReader, NULL, OID, SEQUENCE } from './der.ts'
import { keyTypeOf } from './keys.ts'
import { oids, oidText } from './oid.ts'

/** How a certificate, CRL or OCSP response is signed. */
export interface SignatureAlgorithm {
  /** Name of a scheme as charon prints it, or the OID of one that we do not know. */
  readonly name: string
  /** The kind of key that can make such a signature; undefined for an unknown scheme. */
  readonly keyType?: 'rsa' | 'ecdsa' | 'ed25519' | 'ed448'
  /** The hash as node:crypto calls it, null where the scheme includes it (EdDSA). */
  readonly hash: string | null
  /** The length of the salt for RSASSA-PSS. */
  readonly pssSaltBytes?: number
  /** The AlgorithmIdentifier in DER. */
  readonly der: Uint8Array
}

/** Reads an AlgorithmIdentifier. Unknown schemes are not an error here, they just verify nothing. Throws DecodeError. */
export function readSignatureAlgorithm(reader: DerReader, what: string): SignatureAlgorithm {
  const value = reader.take(SEQUENCE, what)
  const inside = value.children()
  const oid = oidText(inside.take(OID, what).content)
  const der = value.whole
  if (oid === oids.rsassaPss) return readPss(inside, what, der)
  const known = SCHEMES.get(oid)
  if (known === undefined) return { name: oid, hash: null, der }
  // RFC 4055 §5 wants NULL behind RSA, RFC 5758 §3.2 and RFC 8410 §3 want nothing; RSA without is seen and harmless
  if (known.keyType === 'rsa') inside.optional(NULL, what)
  inside.end(what)
  return { ...known, der }
}

/** Whether `signature` is a signature of `key` over `data`. False, too, if the key cannot have made it. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (algorithm.keyType === undefined || algorithm.keyType !== keyTypeOf(key)) return false
  const pss = algorithm.pssSaltBytes !== undefined
  if (key.asymmetricKeyType === 'rsa-pss' && !pss) return false
  const padding = pss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: algorithm.pssSaltBytes }
    : algorithm.keyType === 'rsa'
      ? { padding: constants.RSA_PKCS1_PADDING }
      : {}
  try {
    return verify(algorithm.hash, data, { key, ...padding }, signature)
  } catch {
    return false // OpenSSL throws where a key's own parameters forbid the scheme
  }
}

/** RSASSA-PSS-params, RFC 4055 §3.1: the mask must use the same hash, the trailer must be 1. */
function readPss(algorithm: DerReader, what: string, der: Uint8Array): SignatureAlgorithm {
  const parameters = algorithm.sequence(what)
  algorithm.end(what)
  const hash = readHash(parameters.optional(contextConstructed(0), what)?.children(), what)
  const mask = parameters.optional(contextConstructed(1), what)?.children()
  if (mask === undefined) return { name: 'RSASSA_PSS', hash: null, der } // SHA-1 by default
  const mgf = mask.sequence(what)
  const mgf1 = oidText(mgf.take(OID, what).content) === oids.mgf1
  const maskHash = readHash(mgf, what)
  const pssSaltBytes = parameters.optional(contextConstructed(2), what)?.children().smallInteger(what) ?? 20
  const trailer = parameters.optional(contextConstructed(3), what)?.children().smallInteger(what) ?? 1
  parameters.end(what)
  if (hash === undefined || !mgf1 || hash !== maskHash || trailer !== 1 || pssSaltBytes > MAX_SALT)
    return { name: 'RSASSA_PSS', hash: null, der }
  const name = `RSA_EMSA_PSS_SHA2_${hash.slice(3)}_SALT_${pssSaltBytes}`
  return { name, keyType: 'rsa', hash, pssSaltBytes, der }
}

function readHash(reader: DerReader | undefined, what: string): string | undefined {
  if (reader === undefined) return undefined
  const algorithm = reader.sequence(what)
  const hash = HASHES.get(oidText(algorithm.take(OID, what).content))
  algorithm.optional(NULL, what)
  algorithm.end(what)
  return hash
}

const MAX_SALT = 512

const HASHES: ReadonlyMap<string, string> = new Map([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
])

/** MD5 and MD2 are not here: a signature with them proves nothing. SHA-1 is, for old roots and leaves, as in charon. */
const SCHEMES: ReadonlyMap<string, Omit<SignatureAlgorithm, 'der'>> = new Map([
  ['1.2.840.113549.1.1.5', { name: 'RSA_EMSA_PKCS1_SHA1', keyType: 'rsa', hash: 'sha1' }],
  ['1.2.840.113549.1.1.14', { name: 'RSA_EMSA_PKCS1_SHA2_224', keyType: 'rsa', hash: 'sha224' }],
  ['1.2.840.113549.1.1.11', { name: 'RSA_EMSA_PKCS1_SHA2_256', keyType: 'rsa', hash: 'sha256' }],
  ['1.2.840.113549.1.1.12', { name: 'RSA_EMSA_PKCS1_SHA2_384', keyType: 'rsa', hash: 'sha384' }],
  ['1.2.840.113549.1.1.13', { name: 'RSA_EMSA_PKCS1_SHA2_512', keyType: 'rsa', hash: 'sha512' }],
  ['1.2.840.10045.4.1', { name: 'ECDSA_WITH_SHA1_DER', keyType: 'ecdsa', hash: 'sha1' }],
  ['1.2.840.10045.4.3.2', { name: 'ECDSA_WITH_SHA256_DER', keyType: 'ecdsa', hash: 'sha256' }],
  ['1.2.840.10045.4.3.3', { name: 'ECDSA_WITH_SHA384_DER', keyType: 'ecdsa', hash: 'sha384' }],
  ['1.2.840.10045.4.3.4', { name: 'ECDSA_WITH_SHA512_DER', keyType: 'ecdsa', hash: 'sha512' }],
  [oids.ed25519, { name: 'ED25519', keyType: 'ed25519', hash: null }],
  [oids.ed448, { name: 'ED448', keyType: 'ed448', hash: null }],
])
