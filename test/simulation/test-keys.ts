/**
 * Keys and certificates of the simulation, the same in every process: keys come from a seed, certificates are signed
 * by Ed25519 CAs, whose signatures have no randomness in them. Never for anything but tests.
 */
import { checkPrimeSync, createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { seededRandom } from '../../src/crypto/random.ts'
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts'

export type TestKeyType = 'p256' | 'p384' | 'p521' | 'rsa2048' | 'ed25519' | 'ed448'

/** The key of that type and name; made once. */
export function testKey(type: TestKeyType, name: string): KeyObject {
  return once(`key ${type} ${name}`, () => makeKey(type, name))
}

export interface CertificateOptions {
  /** Common name, and dNSName unless it is a CA. */
  readonly name: string
  readonly key: KeyObject
  readonly issuer?: TestAuthority
  readonly ca?: boolean
  readonly notBefore?: string
  readonly notAfter?: string
}

export interface TestAuthority {
  readonly certificate: Certificate
  readonly key: KeyObject
}

/** A self-signed CA with an Ed25519 key. */
export function testAuthority(name: string): TestAuthority {
  return once(`ca ${name}`, () => {
    const key = testKey('ed25519', name)
    return { key, certificate: testCertificate({ name, key, ca: true }) }
  })
}

/** A certificate, valid from 2020 to 2049 unless said otherwise (`YYMMDDhhmmssZ`). */
export function testCertificate(options: CertificateOptions): Certificate {
  const { name, key, issuer, ca = false, notBefore = '200101000000Z', notAfter = '491231235959Z' } = options
  const publicInfo = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const serial = createHash('sha256').update(name).update(publicInfo).digest().subarray(0, 8)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // positive, and no leading zeros
  const time = (text: string): Buffer => tlv(0x17, Buffer.from(text))
  const extension = (oid: string, critical: boolean, value: Buffer): Buffer =>
    tlv(0x30, objectId(oid), ...(critical ? [tlv(0x01, Buffer.of(0xff))] : []), tlv(0x04, value))
  const extensions = [
    extension('551d13', true, tlv(0x30, ...(ca ? [tlv(0x01, Buffer.of(0xff))] : []))), // basicConstraints
    extension('551d0f', true, tlv(0x03, ca ? Buffer.of(1, 0x06) : Buffer.of(7, 0x80))), // keyUsage
    ...(ca ? [] : [extension('551d11', false, tlv(0x30, tlv(0x82, Buffer.from(name))))]), // subjectAltName: dNSName
  ]
  const tbs = tlv(
    0x30,
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, serial),
    ed25519Algorithm,
    issuer === undefined ? commonName(name) : Buffer.from(issuer.certificate.subject.der),
    tlv(0x30, time(notBefore), time(notAfter)),
    commonName(name),
    publicInfo,
    tlv(0xa3, tlv(0x30, ...extensions)),
  )
  const signature = sign(null, tbs, issuer?.key ?? key)
  return parseCertificate(tlv(0x30, tbs, ed25519Algorithm, tlv(0x03, Buffer.of(0), signature)))
}

const made = new Map<string, unknown>()

function once<T>(name: string, make: () => T): T {
  if (!made.has(name)) made.set(name, make())
  return made.get(name) as T // the name says the kind, and so the type
}

function makeKey(type: TestKeyType, name: string): KeyObject {
  const random = seededRandom(Buffer.from(`test key ${type} ${name}`))
  switch (type) {
    case 'p256':
      return ecKey('prime256v1', 32, random(32))
    case 'p384':
      return ecKey('secp384r1', 48, random(48))
    case 'p521':
      return ecKey('secp521r1', 66, random(66))
    case 'ed25519':
      return createPrivateKey({ key: Buffer.from(random(32)), format: 'raw-private', asymmetricKeyType: 'ed25519' })
    case 'ed448':
      return createPrivateKey({ key: Buffer.from(random(57)), format: 'raw-private', asymmetricKeyType: 'ed448' })
    case 'rsa2048':
      return rsaKey(1024, random)
  }
}

/** The top bits are cut, so that the scalar is below the order of every curve. */
function ecKey(namedCurve: string, bytes: number, scalar: Uint8Array): KeyObject {
  scalar[0] = 0
  const key = Buffer.from(scalar)
  if (key.length !== bytes) throw new Error('a scalar of another curve')
  return createPrivateKey({ key, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve })
}

function rsaKey(primeBits: number, random: (bytes: number) => Uint8Array): KeyObject {
  const e = 65537n
  const p = prime(primeBits, e, random)
  const q = prime(primeBits, e, random)
  const d = inverse(e, (p - 1n) * (q - 1n))
  const field = (value: bigint): string => {
    const hex = value.toString(16)
    return Buffer.from(hex.padStart(hex.length + (hex.length & 1), '0'), 'hex').toString('base64url')
  }
  const jwk = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const fields = Object.fromEntries(Object.entries(jwk).map(([name, value]) => [name, field(value)]))
  return createPrivateKey({ key: { kty: 'RSA', ...fields }, format: 'jwk' })
}

/** A prime whose two top bits are set, so that the product of two has all its bits. */
function prime(bits: number, e: bigint, random: (bytes: number) => Uint8Array): bigint {
  const start = BigInt(`0x${Buffer.from(random(bits / 8)).toString('hex')}`)
  let candidate = start | (3n << BigInt(bits - 2)) | 1n
  while (
    smallPrimes.some((small) => candidate % small === 0n) ||
    candidate % e === 1n ||
    !checkPrimeSync(candidate, { checks: 10 })
  ) {
    candidate += 2n
  }
  return candidate
}

const smallPrimes: readonly bigint[] = [3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n, 47n, 53n, 59n]

function inverse(value: bigint, modulus: bigint): bigint {
  let [r, nextR, t, nextT] = [modulus, value % modulus, 0n, 1n]
  while (nextR !== 0n) {
    const quotient = r / nextR
    ;[r, nextR] = [nextR, r - quotient * nextR]
    ;[t, nextT] = [nextT, t - quotient * nextT]
  }
  return ((t % modulus) + modulus) % modulus
}

function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content])
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content])
}

function objectId(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

function commonName(name: string): Buffer {
  return tlv(0x30, tlv(0x31, tlv(0x30, objectId('550403'), tlv(0x0c, Buffer.from(name)))))
}

const ed25519Algorithm: Buffer = tlv(0x30, objectId('2b6570'))
