import { aesCmac, aesXcbc } from './block-mac.ts'
import { sameBytes } from './bytes.ts'
import { encryption } from './encryption.ts'
import { integrity } from './integrity.ts'
import { keyExchange } from './key-exchange/key-exchange.ts'
import { prf } from './prf.ts'
import { seededRandom } from './random.ts'
import { Secret } from './secret.ts'

/**
 * Known answers for what the daemon rests on, computed once at start (a few milliseconds). Throws an error that names
 * the algorithm: a library that computes wrongly must not negotiate.
 */
export function selfTest(): void {
  for (const { name, expected, compute } of knownAnswers) {
    if (!sameBytes(compute(), octets(expected))) throw new Error(`self test failed: ${name} computes wrongly`)
  }
  for (const id of [31, 19, 36]) {
    const method = keyExchange(id)
    if (method === undefined) continue
    const random = seededRandom(id)
    const ours = method.generate(random)
    const theirs = method.respond(ours.public, random)
    using secret = method.finish(ours.private, theirs.public)
    if (!secret.equals(theirs.shared)) throw new Error(`self test failed: ${method.name} does not agree with itself`)
  }
}

interface KnownAnswer {
  readonly name: string
  readonly expected: string
  compute(): Uint8Array
}

const knownAnswers: readonly KnownAnswer[] = [
  {
    // RFC 4231 §4.3
    name: 'HMAC-SHA-256',
    expected: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    compute: () => known(prf(5)).compute(octets('4a656665'), text('what do ya want for nothing?')),
  },
  {
    // RFC 2202 §3, case 2
    name: 'HMAC-SHA-1-96',
    expected: 'effcdf6ae5eb2fa2d27416d5',
    compute: () => known(integrity(2)).sign(secret('4a656665'), text('what do ya want for nothing?')),
  },
  {
    // RFC 4493 §4, example 2
    name: 'AES-CMAC',
    expected: '070a16b46b4d4144f79bdd9dd04a287c',
    compute: () => aesCmac(secret('2b7e151628aed2a6abf7158809cf4f3c'), octets('6bc1bee22e409f96e93d7e117393172a')),
  },
  {
    // RFC 3566 §4.6, case 2
    name: 'AES-XCBC',
    expected: '5b376580ae2f19afe7219ceef172756f',
    compute: () => aesXcbc(secret('000102030405060708090a0b0c0d0e0f'), octets('000102')),
  },
  {
    // RFC 3602 §4, case 1
    name: 'AES-CBC',
    expected: 'e353779c1079aeb82708942dbe77181a',
    compute: () =>
      known(encryption(12)).seal(
        secret('06a9214036b8a15b512e03d534120006'),
        octets('3dafba429d9eb430b422da802c9fac41'),
        nothing,
        text('Single block msg'),
      ),
  },
  {
    // McGrew and Viega, The Galois/Counter Mode of Operation, test case 4, without the last four octets
    name: 'AES-GCM',
    expected:
      '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091' +
      '5bc94fbc3221a5db94fae95ae7121a47',
    compute: () =>
      known(encryption(20)).seal(
        secret('feffe9928665731c6d6a8f9467308308cafebabe'),
        octets('facedbaddecaf888'),
        octets('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
        octets(
          'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
        ),
      ),
  },
]

const nothing = new Uint8Array(0)

function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(Buffer.from(ascii, 'latin1'))
}

function secret(hex: string): Secret {
  return Secret.of(octets(hex))
}

function known<T>(row: T | undefined): T {
  if (row === undefined) throw new Error('self test failed: an algorithm is missing')
  return row
}
