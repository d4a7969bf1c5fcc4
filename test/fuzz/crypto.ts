import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { encryption } from '../../src/crypto/encryption.ts'
import { IntegrityError, InvalidPublicValue } from '../../src/crypto/errors.ts'
import { integrity } from '../../src/crypto/integrity.ts'
import { keyExchange } from '../../src/crypto/key-exchange/key-exchange.ts'
import { decodePss, encodePss } from '../../src/crypto/pss.ts'
import { seededRandom, systemRandom } from '../../src/crypto/random.ts'
import { nextIv, open, type Sealer, seal, sealedSize } from '../../src/crypto/sealed.ts'
import { Secret } from '../../src/crypto/secret.ts'
import { AuthDecodeError, chooseScheme, decodeAuth, encodeAuth, sign, verify } from '../../src/crypto/signatures.ts'
import type { Target } from './harness.ts'

function known<T>(row: T | undefined): T {
  if (row === undefined) throw new Error('an algorithm is missing')
  return row
}

const gcm: Sealer = { encr: known(encryption(20)), keyBits: 128 }
const cbc: Sealer = { encr: known(encryption(12)), keyBits: 128, integ: known(integrity(12)) }

/** A sealed message and the keys to open it. */
function sealedBy(suite: Sealer, length: number, fragment: boolean) {
  const random = seededRandom(1)
  const keyE = Secret.of(random(suite.encr.keyMaterialBytes(suite.keyBits)))
  const keyA = Secret.of(random(suite.integ?.keyBytes ?? 0))
  const message = seal({
    suite,
    keyE,
    keyA,
    header: { spiI: random(8), spiR: random(8), exchange: 35, flags: 8, messageId: 1 },
    inner: { first: 35, bytes: random(length) },
    fragment: fragment ? { number: 1, total: 2 } : undefined,
    iv: nextIv(suite, 1, random),
  })
  return { keyE, keyA, message }
}

/** Messages of somebody who does not hold the keys. */
function forged(suite: Sealer): Target {
  const { keyE, keyA } = sealedBy(suite, 0, false)
  const genuine = [0, 1, 15, 16, 200].flatMap((n) => [false, true].map((f) => sealedBy(suite, n, f).message))
  const sent = new Set(genuine.map(toHex))
  return {
    name: `open ${suite.encr.name}`,
    corpus: genuine,
    decode(message) {
      const fragment = message[16] === 53
      const plaintext = open({ suite, keyE, keyA, message, start: 28, fragment })
      assert.ok(sent.has(toHex(message)), 'a forged message was opened')
      return plaintext
    },
    allowed: (error) => error instanceof IntegrityError,
  }
}

/** A peer that holds the keys puts any octets behind a right ICV: as plaintext with padding, block after block. */
const hostilePeer: Target = {
  name: 'open padding of a peer',
  corpus: [0, 1, 15, 16, 255].map((last) => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? last : i))),
  decode(input) {
    const { keyE, keyA, message } = sealedBy(cbc, 0, false)
    const integ = known(cbc.integ)
    const padded = new Uint8Array(Math.ceil(input.length / 16) * 16)
    padded.set(input)
    const all = new Uint8Array(48 + padded.length + integ.icvBytes)
    all.set(message.subarray(0, 48))
    new DataView(all.buffer).setUint16(30, all.length - 28)
    all.set(cbc.encr.seal(keyE, all.subarray(32, 48), new Uint8Array(0), padded), 48)
    all.set(integ.sign(keyA, all.subarray(0, 48 + padded.length)), 48 + padded.length)
    const plaintext = open({ suite: cbc, keyE, keyA, message: all, start: 28, fragment: false })
    assert.ok(plaintext.length < padded.length)
    assert.ok(sealedSize(cbc, plaintext.length, false) <= all.length)
    return plaintext
  },
  allowed: (error) => error instanceof IntegrityError,
}

const signers = [
  generateKeyPairSync('rsa', { modulusLength: 1024 }),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ed25519'),
]
const signed = Uint8Array.of(1, 2, 3)
const methods = [1, 9, 14]

/** AUTH data: the first octet chooses method and key, the rest is from the peer. */
const authData: Target = {
  name: 'AUTH signature',
  corpus: signers.flatMap(({ privateKey }, k) =>
    [undefined, [1, 2, 3, 4, 5]].flatMap((peerHashes) =>
      [false, true].flatMap((rsaPss) => {
        const scheme = chooseScheme(privateKey, { peerHashes, rsaPss })
        if (scheme === undefined) return []
        const selector = methods.indexOf(scheme.method) * signers.length + k
        return [Uint8Array.of(selector, ...encodeAuth(scheme, sign(privateKey, scheme, signed)))]
      }),
    ),
  ),
  decode(input) {
    const selector = input[0] ?? 0
    const key: KeyObject = known(signers[selector % signers.length]).publicKey
    const method = methods[Math.floor(selector / signers.length) % methods.length] ?? 0
    const { scheme, signature } = decodeAuth(method, input.subarray(1), key)
    // Whatever the signature is, checking it gives an answer.
    return verify(key, scheme, signed, signature)
  },
  allowed: (error) => error instanceof AuthDecodeError,
}

const identifiers = vectors<{ algorithms: { der: string }[] }>('rfc/rfc7427-8420-signature-algorithm-identifiers.json')

const pss: Target = {
  name: 'PSS parameters',
  corpus: identifiers.algorithms.map(({ der }) => hex(der)),
  decode(input) {
    const parameters = decodePss(input)
    if (parameters !== undefined) assert.deepEqual(decodePss(encodePss(parameters)), parameters)
    return parameters
  },
  allowed: () => false,
}

/** One method of each kind, the quickest. */
const exchanges = [31, 19, 36, 2].map((id) => {
  const method = known(keyExchange(id))
  return { method, ours: method.generate(seededRandom(1)) }
})

/** Public values: the first octet chooses the method, the second whether the length is made right. */
const publicValues: Target = {
  name: 'public values',
  corpus: exchanges.flatMap(({ ours }, i) => [0, 1].map((right) => Uint8Array.of(i, right, ...ours.public))),
  decode(input) {
    const { method, ours } = known(exchanges[(input[0] ?? 0) % exchanges.length])
    let value: Uint8Array = input.subarray(2)
    if ((input[1] ?? 0) & 1) {
      value = new Uint8Array(method.publicBytes)
      value.set(input.subarray(2, 2 + value.length))
    }
    // A KEM answers; the others are quicker with a private value at hand.
    const kem = method.publicBytes !== method.responderBytes
    const shared = kem ? method.respond(value, systemRandom).shared : method.finish(ours.private, value)
    assert.ok(shared.bytes().some((octet) => octet !== 0))
  },
  allowed: (error) => error instanceof InvalidPublicValue,
}

/** Every decoder of src/crypto. */
export const targets: readonly Target[] = [forged(gcm), forged(cbc), hostilePeer, authData, pss, publicValues]
