import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { test } from 'node:test'
import { cbc, ctr, gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import fc from 'fast-check'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { concat } from './bytes.ts'
import { ENCRYPTION, type EncryptionAlgorithm, encryption } from './encryption.ts'
import { IntegrityError } from './errors.ts'
import { Secret } from './secret.ts'

const nothing = new Uint8Array(0)

function known(id: number) {
  const row = encryption(id)
  assert.ok(row)
  return row
}

test('RFC 3602: AES-CBC, four texts and four ESP packets', () => {
  const { cbc, esp } = vectors<{
    cbc: { key: string; iv: string; plaintext: string; ciphertext: string }[]
    esp: { key: string; iv: string; plaintext_padded: string; ciphertext: string }[]
  }>('rfc/rfc3602-aes-cbc.json')
  const cases = [...cbc, ...esp.map((packet) => ({ ...packet, plaintext: packet.plaintext_padded }))]
  assert.equal(cases.length, 8)
  for (const { key, iv, plaintext, ciphertext } of cases) {
    assert.equal(toHex(known(12).seal(Secret.of(hex(key)), hex(iv), nothing, hex(plaintext))), ciphertext)
    assert.equal(toHex(known(12).open(Secret.of(hex(key)), hex(iv), nothing, hex(ciphertext))), plaintext)
  }
})

test('RFC 3686: AES-CTR', () => {
  const { cases } = vectors<{
    cases: { key: string; nonce: string; iv: string; plaintext: string; ciphertext: string }[]
  }>('rfc/rfc3686-aes-ctr.json')
  assert.ok(cases.length >= 9)
  for (const { key, nonce, iv, plaintext, ciphertext } of cases) {
    const secret = Secret.of(hex(key + nonce))
    assert.equal(toHex(known(13).seal(secret, hex(iv), nothing, hex(plaintext))), ciphertext)
    assert.equal(toHex(known(13).open(secret, hex(iv), nothing, hex(ciphertext))), plaintext)
  }
})

test('RFC 8439 and RFC 7634: ChaCha20-Poly1305, and an ESP packet', () => {
  const { aead, esp } = vectors<{
    aead: Record<'key' | 'nonce' | 'aad' | 'plaintext' | 'ciphertext' | 'tag', string>[]
    esp: Record<'key' | 'salt' | 'iv' | 'aad' | 'plaintext' | 'ciphertext' | 'tag', string>
  }>('rfc/rfc8439-7634-chacha20-poly1305.json')
  for (const c of [...aead, { ...esp, nonce: esp.salt + esp.iv }]) {
    const secret = Secret.of(hex(c.key + c.nonce.slice(0, 8)))
    const iv = hex(c.nonce.slice(8))
    assert.equal(toHex(known(28).seal(secret, iv, hex(c.aad), hex(c.plaintext))), c.ciphertext + c.tag)
    assert.equal(toHex(known(28).open(secret, iv, hex(c.aad), hex(c.ciphertext + c.tag))), c.plaintext)
  }
})

interface AeadGroup {
  ivSize: number
  tagSize: number
  tests: Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag' | 'result', string>[]
}

for (const [file, id, count] of [
  ['aes_gcm', 20, 197],
  ['chacha20_poly1305', 28, 316],
] as const) {
  test(`Wycheproof: ${file}`, () => {
    const { testGroups } = vectors<{ testGroups: AeadGroup[] }>(`wycheproof/${file}_test.json.gz`)
    // IKE and ESP know nonces of 96 bits and tags of 128 only.
    const tests = testGroups.filter(({ ivSize, tagSize }) => ivSize === 96 && tagSize === 128).flatMap((g) => g.tests)
    assert.equal(tests.length, count)
    for (const { key, iv, aad, msg, ct, tag, result } of tests) {
      const secret = Secret.of(hex(key + iv.slice(0, 8)))
      const open = () => known(id).open(secret, hex(iv.slice(8)), hex(aad), hex(ct + tag))
      if (result === 'valid') {
        assert.equal(toHex(open()), msg)
        assert.equal(toHex(known(id).seal(secret, hex(iv.slice(8)), hex(aad), hex(msg))), ct + tag)
      } else assert.throws(open, IntegrityError)
    }
  })
}

test('ACVP: AES-GCM with a nonce of 96 bits', () => {
  type Group = {
    ivLen: number
    tests: (Record<'pt' | 'key' | 'aad' | 'iv' | 'ct' | 'tag', string> & { testPassed: boolean })[]
  }
  const { testGroups } = vectors<{ testGroups: Group[] }>('acvp/ACVP-AES-GCM-1.0.internalProjection.json.gz')
  const tests = testGroups.filter(({ ivLen }) => ivLen === 96).flatMap((group) => group.tests)
  assert.equal(tests.length, 30)
  for (const { pt, key, aad, iv, ct, tag, testPassed } of tests) {
    const open = () => known(20).open(Secret.of(hex(key + iv.slice(0, 8))), hex(iv.slice(8)), hex(aad), hex(ct + tag))
    if (testPassed) assert.equal(toHex(open()), pt.toLowerCase())
    else assert.throws(open, IntegrityError)
  }
})

test('ACVP: AES-CBC and AES-CTR', () => {
  type Group = { testType: string; tests: Record<'pt' | 'key' | 'iv' | 'ct', string>[] }
  const cbcGroups = vectors<{ testGroups: Group[] }>('acvp/ACVP-AES-CBC-1.0.internalProjection.json.gz').testGroups
  const cbcTests = cbcGroups.filter(({ testType }) => testType === 'AFT').flatMap(({ tests }) => tests)
  assert.ok(cbcTests.length > 2000)
  for (const { pt, key, iv, ct } of cbcTests) {
    assert.equal(toHex(known(12).seal(Secret.of(hex(key)), hex(iv), nothing, hex(pt))), ct.toLowerCase())
    assert.equal(toHex(known(12).open(Secret.of(hex(key)), hex(iv), nothing, hex(ct))), pt.toLowerCase())
  }
  type CtrTest = Record<'pt' | 'key' | 'iv' | 'ct', string> & { payloadLen: number }
  const ctrGroups = vectors<{ testGroups: { tests: CtrTest[] }[] }>(
    'acvp/ACVP-AES-CTR-1.0.internalProjection.json.gz',
  ).testGroups
  let checked = 0
  for (const { pt, key, iv, ct, payloadLen } of ctrGroups.flatMap(({ tests }) => tests)) {
    assert.equal(iv.slice(24), '00000001')
    const bits = (text: string) => BigInt(`0x${text}`) >> BigInt((8 - (payloadLen % 8)) % 8)
    const secret = Secret.of(hex(key + iv.slice(0, 8)))
    const sealed = toHex(known(13).seal(secret, hex(iv.slice(8, 24)), nothing, hex(pt)))
    assert.equal(bits(sealed), bits(ct))
    checked++
  }
  assert.equal(checked, 150)
})

// No published set has CCM with the nonce of 11 octets of RFC 4309; so this is RFC 3610 §2 built from single AES blocks.
function ccmByHand(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  text: Uint8Array,
  icvBytes: number,
): Uint8Array {
  const block = (input: Uint8Array) => {
    const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null)
    cipher.setAutoPadding(false)
    return cipher.update(input)
  }
  const word = (n: number, bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => n / 256 ** (bytes - 1 - i))
  const whole = (data: Uint8Array) => concat(data, new Uint8Array((16 - (data.length % 16)) % 16))
  const l = 15 - nonce.length
  const flags = (aad.length > 0 ? 64 : 0) + 8 * ((icvBytes - 2) / 2) + (l - 1)
  const blocks = concat(
    Uint8Array.of(flags),
    nonce,
    word(text.length, l),
    aad.length > 0 ? whole(concat(word(aad.length, 2), aad)) : nothing,
    whole(text),
  )
  let mac: Uint8Array = new Uint8Array(16)
  for (let at = 0; at < blocks.length; at += 16) mac = block(mac.map((octet, i) => octet ^ (blocks[at + i] ?? 0)))
  const stream = (i: number) => block(concat(Uint8Array.of(l - 1), nonce, word(i, l)))
  const out = text.map((octet, i) => octet ^ (stream(1 + Math.floor(i / 16))[i % 16] ?? 0))
  const s0 = stream(0)
  return concat(
    out,
    mac.slice(0, icvBytes).map((octet, i) => octet ^ (s0[i] ?? 0)),
  )
}

test('AES-CCM is RFC 3610 with the nonce salt(3) | IV(8)', () => {
  for (const row of ENCRYPTION.filter(({ name }) => name.startsWith('AES_CCM'))) {
    fc.assert(
      fc.property(
        fc.constantFrom(16, 24, 32),
        fc.uint8Array({ minLength: 43, maxLength: 43 }),
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ maxLength: 60 }),
        (keyBytes, random, aad, text) => {
          const key = random.slice(0, keyBytes)
          const salt = random.slice(32, 35)
          const iv = random.slice(35)
          const expected = ccmByHand(key, concat(salt, iv), aad, text, row.icvBytes)
          assert.equal(toHex(row.seal(Secret.of(concat(key, salt)), iv, aad, text)), toHex(expected))
        },
      ),
      { numRuns: 40 },
    )
  }
})

test('the ciphers agree with another implementation', () => {
  type Oracle = (key: Uint8Array, iv: Uint8Array, aad: Uint8Array, text: Uint8Array) => Uint8Array
  const salted = (row: EncryptionAlgorithm, key: Uint8Array, iv: Uint8Array) => {
    const at = key.length - row.saltBytes
    return { key: key.slice(0, at), nonce: concat(key.slice(at), iv) }
  }
  const gcmOracle =
    (row: EncryptionAlgorithm): Oracle =>
    (secret, iv, aad, text) => {
      const { key, nonce } = salted(row, secret, iv)
      return gcm(key, nonce, aad)
        .encrypt(text)
        .slice(0, text.length + row.icvBytes)
    }
  const oracles: readonly [number, Oracle][] = [
    [18, gcmOracle(known(18))],
    [19, gcmOracle(known(19))],
    [20, gcmOracle(known(20))],
    [
      28,
      (secret, iv, aad, text) => {
        const { key, nonce } = salted(known(28), secret, iv)
        return chacha20poly1305(key, nonce, aad).encrypt(text)
      },
    ],
    [12, (key, iv, _aad, text) => cbc(key, iv, { disablePadding: true }).encrypt(text)],
    [
      13,
      (secret, iv, _aad, text) => {
        const { key, nonce } = salted(known(13), secret, iv)
        return ctr(key, concat(nonce, Uint8Array.of(0, 0, 0, 1))).encrypt(text)
      },
    ],
  ]
  for (const [id, oracle] of oracles) {
    const row = known(id)
    fc.assert(
      fc.property(
        fc.constantFrom(...row.keyBits),
        fc.uint8Array({ minLength: 52, maxLength: 52 }),
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 100 }),
        (keyBits, random, aad, bytes) => {
          const key = random.slice(0, row.keyMaterialBytes(keyBits))
          const iv = random.slice(36, 36 + row.ivBytes)
          const text = bytes.slice(0, bytes.length - (bytes.length % row.blockBytes))
          const sealed = row.seal(Secret.of(key.slice()), iv, aad, text)
          assert.equal(toHex(sealed), toHex(oracle(key, iv, aad, text)), row.name)
          assert.equal(toHex(row.open(Secret.of(key.slice()), iv, aad, sealed)), toHex(text), row.name)
        },
      ),
      { numRuns: 40 },
    )
  }
})

test('an AEAD sees any changed octet of ciphertext, ICV, associated data, IV and salt', () => {
  for (const row of ENCRYPTION.filter(({ aead, ikeSupported }) => aead && ikeSupported)) {
    const key = new Uint8Array(row.keyMaterialBytes(row.keyBits[0] ?? 0)).fill(3)
    const iv = new Uint8Array(8).fill(4)
    const aad = hex('0506')
    const sealed = row.seal(Secret.of(key.slice()), iv, aad, hex('0708090a'))
    const flipped = (bytes: Uint8Array, at: number) => bytes.map((octet, i) => (i === at ? octet ^ 0x20 : octet))
    const fails = (k: Uint8Array, i: Uint8Array, a: Uint8Array, s: Uint8Array) =>
      assert.throws(() => row.open(Secret.of(k), i, a, s), IntegrityError, row.name)
    for (let at = 0; at < sealed.length; at++) fails(key.slice(), iv, aad, flipped(sealed, at))
    for (let at = 0; at < 8; at++) fails(key.slice(), flipped(iv, at), aad, sealed)
    for (let at = 0; at < 2; at++) fails(key.slice(), iv, flipped(aad, at), sealed)
    fails(flipped(key, key.length - 1), iv, aad, sealed)
    for (let length = 0; length < sealed.length; length++) fails(key.slice(), iv, aad, sealed.subarray(0, length))
    assert.equal(toHex(row.open(Secret.of(key), iv, aad, sealed)), '0708090a')
  }
})

test('AES-CBC refuses what is not whole blocks', () => {
  const key = () => Secret.of(new Uint8Array(16))
  assert.throws(() => known(12).open(key(), new Uint8Array(16), nothing, new Uint8Array(17)), IntegrityError)
  assert.throws(() => known(12).open(key(), new Uint8Array(15), nothing, new Uint8Array(16)), IntegrityError)
  assert.throws(() => known(12).seal(key(), new Uint8Array(16), nothing, new Uint8Array(17)), RangeError)
})

test('a key length is allowed or not', () => {
  assert.equal(encryption(20, 256)?.name, 'AES_GCM_16')
  assert.equal(encryption(20, 255), undefined)
  assert.equal(encryption(28, 256)?.fixedKey, true)
  assert.equal(encryption(2), undefined)
  assert.throws(() => known(20).seal(Secret.of(new Uint8Array(32)), new Uint8Array(8), nothing, nothing), RangeError)
})

test('key material: key and salt', () => {
  const octets = (id: number, bits: number) => known(id).keyMaterialBytes(bits)
  assert.deepEqual(
    [octets(20, 256), octets(16, 128), octets(28, 256), octets(12, 192), octets(13, 128), octets(21, 128)],
    [36, 19, 36, 24, 20, 20],
  )
  assert.deepEqual([octets(11, 0), octets(3, 192)], [0, 24])
})

test('what only the kernel does is refused here', () => {
  for (const id of [11, 21]) {
    assert.equal(known(id).ikeSupported, false)
    assert.throws(() => known(id).seal(Secret.of(nothing), nothing, nothing, nothing), /ESP in the kernel/)
  }
})
