import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { DecodeError } from '../wire/errors.ts'
import { DerReader, INTEGER, OCTET_STRING, OID, SEQUENCE } from './der.ts'
import { oids, oidText } from './oid.ts'
import { decodePem, isPem, type PemBlock } from './pem.ts'

/** The kinds of keys that sign in IKE. */
export type KeyType = 'rsa' | 'ecdsa' | 'ed25519' | 'ed448'

/** A private key is encrypted and there is no passphrase for it. */
export class PassphraseMissing extends Error {
  override readonly name = 'PassphraseMissing'

  constructor() {
    super(
      'the private key is encrypted: give its passphrase, in swanctl.conf as secrets { private { file = …, secret = … } }',
    )
  }
}

/**
 * A private key from PKCS#1, SEC1 or PKCS#8, in PEM or DER, encrypted or not. Throws PassphraseMissing, or DecodeError for
 * everything else: what is wrong with the bytes, a wrong passphrase, a kind of key that does not sign in IKE.
 */
export function loadPrivateKey(bytes: Uint8Array, passphrase?: string | Uint8Array): KeyObject {
  if (bytes.length > MAX_KEY_FILE) fail(`${bytes.length} bytes are more than ${MAX_KEY_FILE}`)
  const key = isPem(bytes) ? fromPem(bytes, passphrase) : fromDer(bytes, passphrase)
  if (maybeKeyType(key) === undefined)
    fail(`keys of type ${key.asymmetricKeyType ?? 'unknown'} do not sign in IKE; RSA, ECDSA, Ed25519 and Ed448 keys do`)
  return key
}

/** A public key from SubjectPublicKeyInfo or PKCS#1, in PEM or DER. Throws DecodeError. */
export function loadPublicKey(bytes: Uint8Array): KeyObject {
  if (bytes.length > MAX_KEY_FILE) fail(`${bytes.length} bytes are more than ${MAX_KEY_FILE}`)
  const block = isPem(bytes) ? decodePem(bytes).find(({ label }) => label.endsWith('PUBLIC KEY')) : undefined
  if (isPem(bytes) && block === undefined) fail('there is no PUBLIC KEY block in the PEM text')
  const der = block?.der ?? bytes
  const inside = DerReader.over(der, 'public key').sequence('public key')
  if (inside.nextTag === SEQUENCE) return publicKeyFromInfo(der)
  return opening('RSA public key', () => createPublicKey({ key: Buffer.from(der), format: 'der', type: 'pkcs1' }))
}

/**
 * The key in a SubjectPublicKeyInfo, RFC 5280 §4.1.2.7. Curves must be named: a certificate that brings its own parameters could
 * make any signature fit (CVE-2020-0601). Throws DecodeError.
 */
export function publicKeyFromInfo(info: Uint8Array): KeyObject {
  const reader = DerReader.over(info, 'public key')
  const outer = reader.sequence('SubjectPublicKeyInfo')
  reader.end('SubjectPublicKeyInfo')
  const algorithm = outer.sequence('algorithm')
  const oid = oidText(algorithm.take(OID, 'algorithm').content)
  if (!KEY_OIDS.has(oid)) fail(`keys of type ${oid} are not supported; RSA, ECDSA, Ed25519 and Ed448 keys are`)
  if (oid === oids.ecPublicKey) {
    if (algorithm.nextTag !== OID) fail('the curve is not given by its name')
    const curve = oidText(algorithm.take(OID, 'curve').content)
    if (!CURVES.has(curve)) fail(`the curve ${curve} is not supported; ${[...CURVES.values()].join(', ')} are`)
  }
  const key = opening('public key', () => createPublicKey({ key: Buffer.from(info), format: 'der', type: 'spki' }))
  if (key.asymmetricKeyType?.startsWith('rsa')) checkRsa(key)
  return key
}

/** `rsa`, `ecdsa`, `ed25519` or `ed448`. Throws RangeError for any other key. */
export function keyTypeOf(key: KeyObject): KeyType {
  const type = maybeKeyType(key)
  if (type === undefined) throw new RangeError(`a key of type ${key.asymmetricKeyType ?? key.type} does not sign`)
  return type
}

/** The size of a key as administrators count it: modulus of RSA, curve of the others. */
export function keyBits(key: KeyObject): number {
  const details = key.asymmetricKeyDetails
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 256
    case 'ed448':
      return 456
    case 'ec':
      return CURVE_BITS.get(details?.namedCurve ?? '') ?? 0
    default:
      return details?.modulusLength ?? 0
  }
}

/** The name of an EC key's curve as OpenSSL calls it (`prime256v1`), undefined for other keys. */
export function curveOf(key: KeyObject): string | undefined {
  return key.asymmetricKeyType === 'ec' ? key.asymmetricKeyDetails?.namedCurve : undefined
}

/** charon's "subjkey" id, by which VICI names a private key: the SHA-1 of the subjectPublicKey bit string in hexadecimal. */
export function publicKeyId(key: KeyObject): string {
  return createHash('sha1')
    .update(subjectPublicKey(publicKeyInfo(key)))
    .digest('hex')
}

/** The SubjectPublicKeyInfo of a private or public key. */
export function publicKeyInfo(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
}

/** Key identifiers that a raw public key is known by (`keyid:`): SHA-1 of it with its algorithm, and without. */
export function keyIdentifiers(key: KeyObject): readonly [Uint8Array, Uint8Array] {
  const info = publicKeyInfo(key)
  return [sha1(info), sha1(subjectPublicKey(info))]
}

/** The bytes of the subjectPublicKey bit string in a SubjectPublicKeyInfo. Throws DecodeError. */
export function subjectPublicKey(info: Uint8Array): Uint8Array {
  const outer = DerReader.over(info, 'public key').sequence('SubjectPublicKeyInfo')
  outer.sequence('algorithm')
  return outer.bitStringBytes('subjectPublicKey')
}

/** SHA-1, for identifiers only. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha1').update(bytes).digest())
}

function fromPem(bytes: Uint8Array, passphrase: string | Uint8Array | undefined): KeyObject {
  const block: PemBlock | undefined = decodePem(bytes).find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (block === undefined) return fail('there is no PRIVATE KEY block in the PEM text')
  const encrypted = block.label === 'ENCRYPTED PRIVATE KEY' || block.headers.some((line) => line.includes('ENCRYPTED'))
  if (block.label === 'OPENSSH PRIVATE KEY') fail('OpenSSH keys must be converted: ssh-keygen -p -m PKCS8 -f FILE')
  if (encrypted && passphrase === undefined) throw new PassphraseMissing()
  if (block.headers.length === 0) {
    try {
      return fromDer(block.der, passphrase)
    } finally {
      block.der.fill(0)
    }
  }
  return opening(encrypted ? ENCRYPTED : block.label, () =>
    createPrivateKey({ key: block.text, format: 'pem', ...withPassphrase(encrypted ? passphrase : undefined) }),
  )
}

/** The four containers differ in their first values, RFC 8017 §A.1.2, RFC 5915, RFC 5958 §2 and §3. */
function fromDer(der: Uint8Array, passphrase: string | Uint8Array | undefined): KeyObject {
  const outer = DerReader.over(der, 'private key')
  const inside = outer.sequence('private key')
  outer.end('private key')
  const key = Buffer.from(der)
  try {
    if (inside.nextTag === SEQUENCE) {
      if (passphrase === undefined) throw new PassphraseMissing()
      checkKdf(inside)
      return opening(ENCRYPTED, () =>
        createPrivateKey({ key, format: 'der', type: 'pkcs8', ...withPassphrase(passphrase) }),
      )
    }
    inside.smallInteger('version')
    switch (inside.nextTag) {
      case SEQUENCE:
        return opening('PKCS#8 private key', () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }))
      case INTEGER:
        return opening('RSA private key', () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }))
      case OCTET_STRING:
        return opening('EC private key', () => createPrivateKey({ key, format: 'der', type: 'sec1' }))
      default:
        return fail('this is neither PKCS#1, SEC1 nor PKCS#8')
    }
  } finally {
    key.fill(0)
  }
}

/** Refuses an encrypted key whose key derivation would keep the daemon busy, RFC 8018 and RFC 7914. */
function checkKdf(encryptedKey: DerReader): void {
  const algorithm = encryptedKey.sequence('encryptionAlgorithm')
  if (oidText(algorithm.take(OID, 'encryptionAlgorithm').content) !== PBES2) {
    checkPbes1(algorithm)
    return
  }
  const kdf = algorithm.sequence('PBES2-params').sequence('keyDerivationFunc')
  const oid = oidText(kdf.take(OID, 'keyDerivationFunc').content)
  const parameters = kdf.sequence('key derivation parameters')
  parameters.any('salt')
  const cost = parameters.smallInteger('cost')
  if (oid === SCRYPT) {
    const blockSize = parameters.smallInteger('blockSize')
    const parallel = parameters.smallInteger('parallelizationParameter')
    if (cost * blockSize * parallel > MAX_SCRYPT) fail('the scrypt parameters of the encryption are too expensive')
  } else if (cost > MAX_ITERATIONS) fail(`the encryption wants ${cost} iterations, more than ${MAX_ITERATIONS}`)
}

function checkPbes1(algorithm: DerReader): void {
  const parameters = algorithm.sequence('encryption parameters')
  parameters.any('salt')
  if (parameters.smallInteger('iterations') > MAX_ITERATIONS) fail('the encryption wants too many iterations')
}

function checkRsa(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS)
    fail(`RSA keys of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits are supported, not ${modulusLength}`)
  if (publicExponent < 3n || publicExponent % 2n === 0n || publicExponent >= 1n << 64n)
    fail('the public exponent of an RSA key is odd, at least 3 and less than 2^64')
}

function maybeKeyType(key: KeyObject): KeyType | undefined {
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return 'rsa'
    case 'ec':
      return CURVE_BITS.has(key.asymmetricKeyDetails?.namedCurve ?? '') ? 'ecdsa' : undefined
    case 'ed25519':
    case 'ed448':
      return key.asymmetricKeyType
    default:
      return undefined
  }
}

/** OpenSSL's messages differ between versions, so they are quoted but never looked at. */
function opening(what: string, open: () => KeyObject): KeyObject {
  try {
    return open()
  } catch (error) {
    if (error instanceof DecodeError) throw error
    const cause = error instanceof Error ? error.message : String(error)
    if (what === ENCRYPTED) return fail(`the private key cannot be decrypted: is the passphrase right? (${cause})`)
    return fail(`the ${what} cannot be read (${cause})`)
  }
}

const withPassphrase = (passphrase: string | Uint8Array | undefined): { passphrase?: string | Buffer } =>
  passphrase === undefined ? {} : { passphrase: typeof passphrase === 'string' ? passphrase : Buffer.from(passphrase) }

function fail(reason: string): never {
  throw new DecodeError('key', 0, reason)
}

const ENCRYPTED = 'encrypted private key'
const PBES2 = '1.2.840.113549.1.5.13'
const SCRYPT = '1.3.6.1.4.1.11591.4.11'
const MAX_ITERATIONS = 2_000_000
const MAX_SCRYPT = 1 << 20
const MAX_KEY_FILE = 64 * 1024
const MIN_RSA_BITS = 1024
/** Verifying with larger keys takes milliseconds, and strangers choose the keys. */
const MAX_RSA_BITS = 8192

const KEY_OIDS: ReadonlySet<string> = new Set([
  oids.rsaEncryption,
  oids.rsassaPss,
  oids.ecPublicKey,
  oids.ed25519,
  oids.ed448,
])

const CURVES: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
  ['1.3.132.0.35', 'P-521'],
  ['1.3.36.3.3.2.8.1.1.7', 'brainpoolP256r1'],
  ['1.3.36.3.3.2.8.1.1.11', 'brainpoolP384r1'],
  ['1.3.36.3.3.2.8.1.1.13', 'brainpoolP512r1'],
])

const CURVE_BITS: ReadonlyMap<string, number> = new Map([
  ['prime256v1', 256],
  ['secp384r1', 384],
  ['secp521r1', 521],
  ['brainpoolP256r1', 256],
  ['brainpoolP384r1', 384],
  ['brainpoolP512r1', 512],
])
