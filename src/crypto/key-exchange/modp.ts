import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPair,
  getDiffieHellman,
  type KeyObject,
} from 'node:crypto'
import { KE } from '../../wire/numbers.ts'
import { buffer, concat, leftPad } from '../bytes.ts'
import { InvalidPublicValue } from '../errors.ts'
import { systemRandom } from '../random.ts'
import { diffieHellmanExchange, drawScalar, type Group } from './diffie-hellman.ts'
import type { KeyExchange } from './key-exchange.ts'

/**
 * Groups of integers modulo a prime: RFC 7296 appendix B and RFC 3526 (safe primes, generator 2), RFC 5114 (with a
 * subgroup). Node has no raw form for them, so keys go in and out as PKCS #8 and SubjectPublicKeyInfo; that way the
 * thread pool can do them, which the `DiffieHellman` class cannot.
 */
interface Modp {
  readonly id: number
  readonly name: string
  readonly p: Uint8Array
  readonly g: Uint8Array
  /** Order of the subgroup that g generates; absent for safe primes. */
  readonly q?: Uint8Array
  /** Length of our private values. */
  readonly privateBytes: number
  readonly weak: boolean
}

function modp({ id, name, p, g, q, privateBytes, weak }: Modp): KeyExchange {
  const parameters = der(0x30, dhKeyAgreement, der(0x30, integer(p), integer(g)))
  const privateKey = (x: Uint8Array): KeyObject => {
    const number = integer(x)
    const octets = der(4, number)
    const key = der(0x30, version, parameters, octets)
    try {
      return createPrivateKey({ key: buffer(key), format: 'der', type: 'pkcs8' })
    } finally {
      for (const bytes of [number, octets, key]) bytes.fill(0)
    }
  }
  const publicKey = (y: Uint8Array): KeyObject => {
    const key = buffer(der(0x30, parameters, der(3, zero, integer(y))))
    return createPublicKey({ key, format: 'der', type: 'spki' })
  }
  const publicOf = (ours: KeyObject): Uint8Array =>
    leftPad(integerAtEnd(createPublicKey(ours).export({ format: 'der', type: 'spki' })), p.length)
  const draw: Group['draw'] = (random) => {
    const x = q === undefined ? random(privateBytes) : drawScalar(q, 0xff, random)
    // An exponent of zero would be refused at import; it comes with a probability of 2^-256.
    const key = privateKey(x)
    x.fill(0)
    return key
  }
  const pMinus1 = p.slice()
  pMinus1[p.length - 1] = (p.at(-1) ?? 0) - 1
  let inverter: KeyObject | undefined

  return diffieHellmanExchange({
    id,
    name,
    publicBytes: p.length,
    sharedBytes: p.length,
    weak,
    slow: p.length > 128,
    draw,
    generateAsync() {
      // generateKeyPair takes no generator that is a large number.
      if (q !== undefined) return Promise.resolve(draw(systemRandom))
      return new Promise((resolve, reject) => {
        generateDh('dh', { prime: Buffer.from(p), generator: 2 }, (error, _public, ours) => {
          if (error === null || error === undefined) resolve(ours)
          else reject(error)
        })
      })
    },
    privateFrom: privateKey,
    publicOf,
    decode(y) {
      // RFC 6989 §2.1 and §2.2: 1 < y < p - 1.
      const small = y.subarray(0, -1).every((octet) => octet === 0) && (y.at(-1) ?? 0) <= 1
      if (small || Buffer.compare(y, pMinus1) >= 0) {
        throw new InvalidPublicValue(`${name}: the public value is outside 2 to p - 2`)
      }
      const peer = publicKey(y)
      if (q !== undefined) {
        // RFC 6989 §2.2: y^q = 1 mod p. OpenSSL gives no result of 1, so y^(q-1) must be the inverse of y. (OpenSSL 3.5
        // knows these groups and refuses such values too; nothing promises it for every version.)
        inverter ??= privateKey(decremented(q))
        const inverse = power(inverter, peer)
        if (inverse === undefined || (toBigInt(inverse) * toBigInt(y)) % toBigInt(p) !== 1n) {
          throw new InvalidPublicValue(`${name}: the public value is outside the subgroup`)
        }
      }
      return peer
    },
  })
}

/** `generateKeyPair('dh', …)` is documented by Node and missing in its types. */
const generateDh = generateKeyPair as unknown as (
  type: 'dh',
  options: { readonly prime: Buffer; readonly generator: number },
  done: (error: Error | null | undefined, publicKey: KeyObject, privateKey: KeyObject) => void,
) => void

function power(exponent: KeyObject, base: KeyObject): Uint8Array | undefined {
  try {
    return diffieHellman({ privateKey: exponent, publicKey: base })
  } catch {
    return undefined
  }
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function decremented(odd: Uint8Array): Uint8Array {
  const less = odd.slice()
  less[less.length - 1] = (less.at(-1) ?? 0) - 1
  return less
}

/** OID 1.2.840.113549.1.3.1. */
const dhKeyAgreement = Uint8Array.from(Buffer.from('06092a864886f70d010301', 'hex'))

const version = Uint8Array.of(2, 1, 0)
const zero = Uint8Array.of(0)

function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const n = content.reduce((sum, part) => sum + part.length, 0)
  const header = n < 128 ? [tag, n] : n < 256 ? [tag, 0x81, n] : [tag, 0x82, n >> 8, n & 0xff]
  // No other copy is made: the content may be a private value.
  return concat(Uint8Array.from(header), ...content)
}

function integer(value: Uint8Array): Uint8Array {
  let first = 0
  while (first < value.length - 1 && value[first] === 0) first++
  const digits = value.subarray(first)
  return (digits[0] ?? 0) & 0x80 ? der(2, zero, digits) : der(2, digits)
}

/** The INTEGER in the BIT STRING of a SubjectPublicKeyInfo that OpenSSL wrote. */
function integerAtEnd(spki: Uint8Array): Uint8Array {
  const content = (at: number) => at + 2 + ((spki[at + 1] ?? 0) & 0x80 ? (spki[at + 1] ?? 0) & 0x7f : 0)
  const length = (at: number) =>
    spki
      .subarray(at + 2, content(at))
      .reduce((sum, octet) => sum * 256 + octet, content(at) === at + 2 ? (spki[at + 1] ?? 0) : 0)
  const algorithm = content(0)
  const bits = content(algorithm) + length(algorithm)
  const value = content(content(bits) + 1)
  return spki.subarray(spki[value] === 0 ? value + 1 : value)
}

function safePrime(id: number, bits: number, privateBytes: number, weak = false): KeyExchange {
  const p = Uint8Array.from(getDiffieHellman(`modp${id}`).getPrime())
  return modp({ id, name: `MODP_${bits}`, p, g: Uint8Array.of(2), privateBytes, weak })
}

function withSubgroup(id: number, name: string, p: string, g: string, q: string): KeyExchange {
  const octets = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
  return modp({ id, name, p: octets(p), g: octets(g), q: octets(q), privateBytes: q.length / 2, weak: true })
}

/**
 * The groups with the length of our private values: at least twice the strength of the group (SP 800-56A rev. 3,
 * appendix D), as RFC 3526 §8 wants.
 */
export const modpGroups: readonly KeyExchange[] = [
  safePrime(KE.MODP_3072, 3072, 36),
  safePrime(KE.MODP_4096, 4096, 42),
  safePrime(KE.MODP_6144, 6144, 48),
  safePrime(KE.MODP_8192, 8192, 50),
  safePrime(KE.MODP_2048, 2048, 32),
  safePrime(KE.MODP_1536, 1536, 32, true),
  safePrime(KE.MODP_1024, 1024, 32, true),
  safePrime(KE.MODP_768, 768, 32, true),
  withSubgroup(
    KE.MODP_1024_160,
    'MODP_1024_160',
    'b10b8f96a080e01dde92de5eae5d54ec52c99fbcfb06a3c69a6a9dca52d23b616073e28675a23d189838ef1e2ee652c013ec' +
      'b4aea906112324975c3cd49b83bfaccbdd7d90c4bd7098488e9c219a73724effd6fae5644738faa31a4ff55bccc0a151af5f' +
      '0dc8b4bd45bf37df365c1a65e68cfda76d4da708df1fb2bc2e4a4371',
    'a4d1cbd5c3fd34126765a442efb99905f8104dd258ac507fd6406cff14266d31266fea1e5c41564b777e690f5504f2131602' +
      '17b4b01b886a5e91547f9e2749f4d7fbd7d3b9a92ee1909d0d2263f80a76a6a24c087a091f531dbf0a0169b6a28ad662a4d1' +
      '8e73afa32d779d5918d08bc8858f4dcef97c2a24855e6eeb22b3b2e5',
    'f518aa8781a8df278aba4e7d64b7cb9d49462353',
  ),
  withSubgroup(
    KE.MODP_2048_224,
    'MODP_2048_224',
    'ad107e1e9123a9d0d660faa79559c51fa20d64e5683b9fd1b54b1597b61d0a75e6fa141df95a56dbaf9a3c407ba1df15eb3d' +
      '688a309c180e1de6b85a1274a0a66d3f8152ad6ac2129037c9edefda4df8d91e8fef55b7394b7ad5b7d0b6c12207c9f98d11' +
      'ed34dbf6c6ba0b2c8bbc27be6a00e0a0b9c49708b3bf8a317091883681286130bc8985db1602e714415d9330278273c7de31' +
      'efdc7310f7121fd5a07415987d9adc0a486dcdf93acc44328387315d75e198c641a480cd86a1b9e587e8be60e69cc928b2b9' +
      'c52172e413042e9b23f10b0e16e79763c9b53dcf4ba80a29e3fb73c16b8e75b97ef363e2ffa31f71cf9de5384e71b81c0ac4' +
      'dffe0c10e64f',
    'ac4032ef4f2d9ae39df30b5c8ffdac506cdebe7b89998caf74866a08cfe4ffe3a6824a4e10b9a6f0dd921f01a70c4afaab73' +
      '9d7700c29f52c57db17c620a8652be5e9001a8d66ad7c17669101999024af4d027275ac1348bb8a762d0521bc98ae2471504' +
      '22ea1ed409939d54da7460cdb5f6c6b250717cbef180eb34118e98d119529a45d6f834566e3025e316a330efbb77a86f0c1a' +
      'b15b051ae3d428c8f8acb70a8137150b8eeb10e183edd19963ddd9e263e4770589ef6aa21e7f5f2ff381b539cce3409d13cd' +
      '566afbb48d6c019181e1bcfe94b30269edfe72fe9b6aa4bd7b5a0f1c71cfff4c19c418e1f6ec017981bc087f2a7065b384b8' +
      '90d3191f2bfa',
    '801c0d34c58d93fe997177101f80535a4738cebcbf389a99b36371eb',
  ),
  withSubgroup(
    KE.MODP_2048_256,
    'MODP_2048_256',
    '87a8e61db4b6663cffbbd19c651959998ceef608660dd0f25d2ceed4435e3b00e00df8f1d61957d4faf7df4561b2aa3016c3' +
      'd91134096faa3bf4296d830e9a7c209e0c6497517abd5a8a9d306bcf67ed91f9e6725b4758c022e0b1ef4275bf7b6c5bfc11' +
      'd45f9088b941f54eb1e59bb8bc39a0bf12307f5c4fdb70c581b23f76b63acae1caa6b7902d52526735488a0ef13c6d9a51bf' +
      'a4ab3ad8347796524d8ef6a167b5a41825d967e144e5140564251ccacb83e6b486f6b3ca3f7971506026c0b857f689962856' +
      'ded4010abd0be621c3a3960a54e710c375f26375d7014103a4b54330c198af126116d2276e11715f693877fad7ef09cadb09' +
      '4ae91e1a1597',
    '3fb32c9b73134d0b2e77506660edbd484ca7b18f21ef205407f4793a1a0ba12510dbc15077be463fff4fed4aac0bb555be3a' +
      '6c1b0c6b47b1bc3773bf7e8c6f62901228f8c28cbb18a55ae31341000a650196f931c77a57f2ddf463e5e9ec144b777de62a' +
      'aab8a8628ac376d282d6ed3864e67982428ebc831d14348f6f2f9193b5045af2767164e1dfc967c1fb3f2e55a4bd1bffe83b' +
      '9c80d052b985d182ea0adb2a3b7313d3fe14c8484b1e052588b9b7d2bbd2df016199ecd06e1557cd0915b3353bbb64e0ec37' +
      '7fd028370df92b52c7891428cdc67eb6184b523d1db246c32f63078490f00ef8d647d148d47954515e2327cfef98c582664b' +
      '4c0f6cc41659',
    '8cf83642a709a097b447997640129da299b1a47d1eb3750ba308b0fe64f5fbd3',
  ),
]
