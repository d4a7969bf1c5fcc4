import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { concat } from './bytes.ts'
import { PRF, prf, prfPlus } from './prf.ts'
import { Secret } from './secret.ts'

function known(id: number) {
  const row = prf(id)
  assert.ok(row)
  return row
}

test('RFC 4868 and RFC 4231: HMAC with SHA-2 as prf', () => {
  type Case = { case: string | number; key: string; data: string; sha256: string; sha384: string; sha512: string }
  const cases = [
    ...vectors<{ prf: Case[] }>('rfc/rfc4868-ipsec-hmac-sha2.json').prf,
    ...vectors<{ cases: Case[] }>('rfc/rfc4231-hmac-sha2.json').cases,
  ]
  for (const { case: name, key, data, ...expected } of cases) {
    for (const [id, hash] of [
      [5, 'sha256'],
      [6, 'sha384'],
      [7, 'sha512'],
    ] as const) {
      const truncated = expected[hash].length
      assert.equal(toHex(known(id).compute(hex(key), hex(data))).slice(0, truncated), expected[hash], `${name} ${hash}`)
    }
  }
})

test('RFC 2202: HMAC-SHA-1 as prf', () => {
  const { cases } = vectors<{ cases: { alg: string; key: string; data: string; digest: string }[] }>(
    'rfc/rfc2202-hmac-md5-sha1.json',
  )
  const sha1 = cases.filter(({ alg }) => alg === 'sha1')
  assert.equal(sha1.length, 7)
  for (const { key, data, digest } of sha1) assert.equal(toHex(known(2).compute(hex(key), hex(data))), digest)
})

test('RFC 4434 and RFC 4615: prfs on AES with keys of 10, 16 and 18 octets', () => {
  for (const [id, path] of [
    [4, 'rfc/rfc3566-4434-aes-xcbc.json'],
    [8, 'rfc/rfc4493-4494-4615-aes-cmac.json'],
  ] as const) {
    const { prf128 } = vectors<{ prf128: { key: string; message: string; output: string }[] }>(path)
    assert.deepEqual(
      prf128.map(({ key }) => key.length / 2).sort((a, b) => a - b),
      [10, 16, 18],
    )
    for (const { key, message, output } of prf128) {
      assert.equal(toHex(known(id).compute(hex(key), hex(message))), output)
      assert.equal(toHex(known(id).compute(Secret.of(hex(key)), hex(message))), output)
    }
  }
})

test('Wycheproof: HMAC', () => {
  let checked = 0
  for (const [id, hash, bits] of [
    [2, 'sha1', 160],
    [5, 'sha256', 256],
    [6, 'sha384', 384],
    [7, 'sha512', 512],
  ] as const) {
    type Group = { tagSize: number; tests: { key: string; msg: string; tag: string; result: string }[] }
    const { testGroups } = vectors<{ testGroups: Group[] }>(`wycheproof/hmac_${hash}_test.json.gz`)
    for (const { tagSize, tests } of testGroups) {
      for (const { key, msg, tag, result } of tests) {
        const mac = toHex(known(id).compute(hex(key), hex(msg))).slice(0, tagSize / 4)
        assert.equal(mac === tag, result === 'valid', `${hash} ${bits} ${msg}`)
        checked++
      }
    }
  }
  assert.equal(checked, 170 + 3 * 174)
})

test('ACVP: HMAC', () => {
  for (const [id, mode] of [
    [2, 'HMAC-SHA-1'],
    [5, 'HMAC-SHA2-256'],
    [6, 'HMAC-SHA2-384'],
    [7, 'HMAC-SHA2-512'],
  ] as const) {
    type Group = { tests: { key: string; msg: string; mac: string }[] }
    const { testGroups } = vectors<{ testGroups: Group[] }>(`acvp/${mode}-2.0.internalProjection.json.gz`)
    for (const { key, msg, mac } of testGroups.flatMap(({ tests }) => tests)) {
      assert.equal(toHex(known(id).compute(hex(key), hex(msg))).slice(0, mac.length), mac.toLowerCase())
    }
  }
})

test('the data may come in any number of parts', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 })
  for (const row of PRF) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), parts, (key, data) => {
        assert.equal(toHex(row.compute(key, ...data)), toHex(row.compute(Secret.of(key.slice()), concat(...data))))
      }),
      { numRuns: 30 },
    )
  }
})

test('prf+ is the chain of RFC 7296 §2.13, checked with another HMAC', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 70 }),
      fc.uint8Array({ maxLength: 100 }),
      fc.integer({ min: 0, max: 400 }),
      (key, seed, bytes) => {
        let t: Uint8Array = new Uint8Array(0)
        let all: Uint8Array = new Uint8Array(0)
        for (let n = 1; all.length < bytes; n++) {
          t = hmac(sha256, key, concat(t, seed, Uint8Array.of(n)))
          all = concat(all, t)
        }
        assert.equal(toHex(prfPlus(known(5), key, seed, bytes)), toHex(all.slice(0, bytes)))
      },
    ),
    { numRuns: 50 },
  )
})

test('prf+ is the expansion of HKDF, whose RFC 5869 took it from IKEv2', () => {
  const expected = hkdf(sha256, hex('0b0b'), hex('000102'), hex('f0f1f2'), 300)
  const extracted = hmac(sha256, hex('000102'), hex('0b0b'))
  assert.equal(toHex(prfPlus(known(5), extracted, hex('f0f1f2'), 300)), toHex(expected))
})

test('prf+ ends after 255 rounds, as its counter has one octet', () => {
  assert.equal(prfPlus(known(5), hex('01'), hex('02'), 255 * 32).length, 255 * 32)
  assert.throws(() => prfPlus(known(5), hex('01'), hex('02'), 255 * 32 + 1), RangeError)
})

test('what RFC 8247 forbids is not there', () => {
  assert.equal(prf(1), undefined)
})
