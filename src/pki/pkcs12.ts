/** PKCS#12 containers, RFC 7292: certificates and private keys behind a passphrase. Only reading. */
import { createDecipheriv, createHash, createHmac, type KeyObject, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { concat } from '../crypto/bytes.ts'
import { DecodeError } from '../wire/errors.ts'
import { contextConstructed, contextPrimitive, DerReader, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE } from './der.ts'
import { loadPrivateKey, PassphraseMissing } from './keys.ts'
import { oidText } from './oid.ts'

export interface Pkcs12 {
  /** In DER, in the order of the container. */
  readonly certificates: readonly Uint8Array[]
  readonly keys: readonly KeyObject[]
}

/**
 * Opens a container whose integrity a passphrase protects. Throws PassphraseMissing without one, DecodeError for what is
 * broken, for a wrong passphrase, and for algorithms that Node does not have (RC2, which old programs used).
 */
export function readPkcs12(bytes: Uint8Array, passphrase?: Uint8Array): Pkcs12 {
  if (bytes.length > MAX_CONTAINER) fail(`${bytes.length} bytes are more than ${MAX_CONTAINER}`)
  const outer = DerReader.over(bytes, PLACE)
  const pfx = outer.sequence('PFX')
  outer.end('PFX')
  if (pfx.smallInteger('version') !== 3) fail('the version is not 3')
  const authSafe = pfx.sequence('authSafe')
  if (oid(authSafe, 'authSafe') !== DATA)
    fail('containers that are signed, not protected by a passphrase, are not supported')
  const safe = explicit(authSafe, 'authSafe').take(OCTET_STRING, 'authSafe').content
  if (passphrase === undefined) throw new PassphraseMissing()
  const phrase: Phrase = { bytes: passphrase, bmp: bmpString(passphrase) }
  try {
    if (!pfx.more) fail('there is no MAC')
    verifyMac(pfx.sequence('macData'), safe, phrase)
    const certificates: Uint8Array[] = []
    const keys: KeyObject[] = []
    const contents = DerReader.over(safe, PLACE).sequence('AuthenticatedSafe')
    while (contents.more) readContent(contents.sequence('ContentInfo'), phrase, certificates, keys)
    return { certificates, keys }
  } finally {
    phrase.bmp.fill(0)
  }
}

/** A passphrase as it is, and as RFC 7292 §B.1 wants it. */
interface Phrase {
  readonly bytes: Uint8Array
  readonly bmp: Uint8Array
}

function readContent(info: DerReader, phrase: Phrase, certificates: Uint8Array[], keys: KeyObject[]): void {
  const type = oid(info, 'contentType')
  const content = explicit(info, 'content')
  if (type === DATA) {
    readBags(content.take(OCTET_STRING, 'content').content, phrase, certificates, keys)
    return
  }
  if (type !== ENCRYPTED_DATA) fail(`content of type ${type} is not supported`)
  const data = content.sequence('EncryptedData')
  data.smallInteger('version')
  const encrypted = data.sequence('EncryptedContentInfo')
  oid(encrypted, 'contentType')
  const algorithm = encrypted.sequence('contentEncryptionAlgorithm')
  const sealed = encrypted.take(contextPrimitive(0), 'encryptedContent').content
  const plain = decrypt(algorithm, sealed, phrase)
  try {
    readBags(plain, phrase, certificates, keys)
  } finally {
    plain.fill(0)
  }
}

function readBags(bytes: Uint8Array, phrase: Phrase, certificates: Uint8Array[], keys: KeyObject[], depth = 0): void {
  const bags = DerReader.over(bytes, PLACE).sequence('SafeContents')
  while (bags.more) {
    const bag = bags.sequence('SafeBag')
    const type = oid(bag, 'bagId')
    const value = explicit(bag, 'bagValue').any('bagValue')
    switch (type) {
      case `${BAGS}.1`:
        keys.push(loadPrivateKey(value.whole))
        break
      case `${BAGS}.2`:
        keys.push(loadPrivateKey(value.whole, phrase.bytes))
        break
      case `${BAGS}.3`: {
        const inside = value.children()
        if (oid(inside, 'certId') !== X509_CERTIFICATE) break
        certificates.push(Uint8Array.from(explicit(inside, 'certValue').take(OCTET_STRING, 'certValue').content))
        break
      }
      case `${BAGS}.6`:
        if (depth === MAX_DEPTH) fail(`bags nest deeper than ${MAX_DEPTH}`)
        readBags(value.whole, phrase, certificates, keys, depth + 1)
        break
      default: // CRLs and secrets have no use here
    }
    if (certificates.length + keys.length > MAX_ENTRIES) fail(`more than ${MAX_ENTRIES} entries`)
  }
}

/** RFC 7292 §4: an HMAC over the contents, with a key from the passphrase. */
function verifyMac(mac: DerReader, safe: Uint8Array, phrase: Phrase): void {
  const digestInfo = mac.sequence('mac')
  const hash = hashes.get(oid(digestInfo.sequence('digestAlgorithm'), 'digestAlgorithm'))
  if (hash === undefined) fail('the algorithm of the MAC is not supported; SHA-1 and SHA-2 are')
  const expected = digestInfo.take(OCTET_STRING, 'digest').content
  const salt = mac.take(OCTET_STRING, 'macSalt').content
  const iterations = mac.nextTag === INTEGER ? mac.smallInteger('iterations') : 1
  const key = deriveKey(hash, phrase, 3, salt, iterations, hash.bytes)
  const found = createHmac(hash.name, key).update(safe).digest()
  key.fill(0)
  if (expected.length !== found.length || !timingSafeEqual(expected, found))
    fail('the MAC is wrong: is the passphrase right?')
}

function decrypt(algorithm: DerReader, sealed: Uint8Array, phrase: Phrase): Uint8Array {
  const type = oid(algorithm, 'encryption algorithm')
  const parameters = algorithm.sequence('encryption parameters')
  if (type === PBES2) return pbes2(parameters, sealed, phrase)
  const bytes = legacyKeyBytes.get(type)
  if (bytes === undefined) fail(`the encryption ${type} is not supported; write the container again with AES`)
  const salt = parameters.take(OCTET_STRING, 'salt').content
  const iterations = parameters.smallInteger('iterations')
  const key = deriveKey(sha1, phrase, 1, salt, iterations, bytes)
  const iv = deriveKey(sha1, phrase, 2, salt, iterations, 8)
  // With two keys the first one is used again.
  const three = bytes === 16 ? concat(key, key.subarray(0, 8)) : key
  return open('des-ede3-cbc', three, iv, sealed)
}

/** RFC 8018 §6.2 with PBKDF2 (§5.2) and a cipher in CBC mode. */
function pbes2(parameters: DerReader, sealed: Uint8Array, phrase: Phrase): Uint8Array {
  const kdf = parameters.sequence('keyDerivationFunc')
  const scheme = parameters.sequence('encryptionScheme')
  if (oid(kdf, 'keyDerivationFunc') !== PBKDF2) fail('the key derivation is not PBKDF2')
  const cipher = ciphers.get(oid(scheme, 'encryptionScheme'))
  if (cipher === undefined) fail('the cipher is not supported; AES and 3DES in CBC mode are')
  const iv = scheme.take(OCTET_STRING, 'iv').content
  const values = kdf.sequence('PBKDF2-params')
  const salt = values.take(OCTET_STRING, 'salt').content
  const iterations = checked(values.smallInteger('iterationCount'))
  if (values.nextTag === INTEGER) values.smallInteger('keyLength')
  const prf = values.nextTag === SEQUENCE ? hmacHash(values.sequence('prf')) : 'sha1'
  const key = pbkdf2Sync(phrase.bytes, salt, iterations, cipher.bytes, prf)
  return open(cipher.name, key, iv, sealed)
}

function hmacHash(algorithm: DerReader): string {
  const found = hmacs.get(oid(algorithm, 'prf'))
  algorithm.optional(NULL, 'prf')
  return found ?? fail('the PRF of PBKDF2 is not supported; HMAC with SHA-1 and SHA-2 are')
}

function open(cipher: string, key: Uint8Array, iv: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    const decipher = createDecipheriv(cipher, key, iv)
    return concat(decipher.update(sealed), decipher.final())
  } catch (error) {
    return fail(`the contents cannot be decrypted (${(error as Error).message})`)
  } finally {
    key.fill(0)
  }
}

interface Hash {
  readonly name: string
  readonly bytes: number
  /** The block size, `v` in RFC 7292 §B.2. */
  readonly block: number
}

/** Keys from a passphrase, RFC 7292 §B.2; `id` is 1 for keys, 2 for IVs, 3 for MACs. */
function deriveKey(
  hash: Hash,
  { bmp }: Phrase,
  id: number,
  salt: Uint8Array,
  rounds: number,
  bytes: number,
): Uint8Array {
  checked(rounds)
  const { block } = hash
  const diversifier = new Uint8Array(block).fill(id)
  const input = concat(stretched(salt, block), stretched(bmp, block))
  const out = new Uint8Array(Math.ceil(bytes / hash.bytes) * hash.bytes)
  for (let at = 0; at < bytes; at += hash.bytes) {
    let a: Uint8Array = createHash(hash.name).update(diversifier).update(input).digest()
    for (let n = 1; n < rounds; n++) a = createHash(hash.name).update(a).digest()
    out.set(a, at)
    const b = stretched(a, block)
    for (let from = 0; from < input.length; from += block) addOne(input.subarray(from, from + block), b)
  }
  input.fill(0)
  return out.subarray(0, bytes)
}

/** `bytes` again and again, up to a multiple of the block. */
function stretched(bytes: Uint8Array, block: number): Uint8Array {
  const length = block * Math.ceil(bytes.length / block)
  return Uint8Array.from({ length }, (_, n) => bytes[n % bytes.length] ?? 0)
}

/** a = a + b + 1 as numbers, what is too much falls off. */
function addOne(a: Uint8Array, b: Uint8Array): void {
  let carry = 1
  for (let at = a.length - 1; at >= 0; at--) {
    carry += (a[at] ?? 0) + (b[at] ?? 0)
    a[at] = carry & 0xff
    carry >>= 8
  }
}

/** UTF-16 with the high byte first, and two zeros behind. */
function bmpString(passphrase: Uint8Array): Uint8Array {
  const text = Buffer.from(passphrase).toString('utf8')
  return new Uint8Array(Buffer.from(`${text}\0`, 'utf16le').swap16())
}

/** A count of iterations that does not keep us busy. */
function checked(iterations: number): number {
  if (iterations < 1 || iterations > MAX_ITERATIONS) fail(`${iterations} iterations; 1 to ${MAX_ITERATIONS} are taken`)
  return iterations
}

function oid(reader: DerReader, what: string): string {
  return oidText(reader.take(OID, what).content)
}

function explicit(reader: DerReader, what: string): DerReader {
  return reader.take(contextConstructed(0), what).children()
}

function fail(reason: string): never {
  throw new DecodeError(PLACE, 0, reason)
}

const PLACE = 'PKCS#12'
const MAX_CONTAINER = 1024 * 1024
const MAX_ITERATIONS = 1_000_000
const MAX_ENTRIES = 256
const MAX_DEPTH = 4
const DATA = '1.2.840.113549.1.7.1'
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6'
const BAGS = '1.2.840.113549.1.12.10.1'
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1'
const PBES2 = '1.2.840.113549.1.5.13'
const PBKDF2 = '1.2.840.113549.1.5.12'

const sha1: Hash = { name: 'sha1', bytes: 20, block: 64 }
const hashes: ReadonlyMap<string, Hash> = new Map([
  ['1.3.14.3.2.26', sha1],
  ['2.16.840.1.101.3.4.2.4', { name: 'sha224', bytes: 28, block: 64 }],
  ['2.16.840.1.101.3.4.2.1', { name: 'sha256', bytes: 32, block: 64 }],
  ['2.16.840.1.101.3.4.2.2', { name: 'sha384', bytes: 48, block: 128 }],
  ['2.16.840.1.101.3.4.2.3', { name: 'sha512', bytes: 64, block: 128 }],
])
const hmacs: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.8', 'sha224'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
])
const ciphers: ReadonlyMap<string, { readonly name: string; readonly bytes: number }> = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', bytes: 16 }],
  ['2.16.840.1.101.3.4.1.22', { name: 'aes-192-cbc', bytes: 24 }],
  ['2.16.840.1.101.3.4.1.42', { name: 'aes-256-cbc', bytes: 32 }],
  ['1.2.840.113549.3.7', { name: 'des-ede3-cbc', bytes: 24 }],
])
/** pbeWithSHAAnd3-KeyTripleDES-CBC and pbeWithSHAAnd2-KeyTripleDES-CBC, RFC 7292 §C. */
const legacyKeyBytes: ReadonlyMap<string, number> = new Map([
  ['1.2.840.113549.1.12.1.3', 24],
  ['1.2.840.113549.1.12.1.4', 16],
])
