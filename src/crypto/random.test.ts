import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { toHex } from '../../rfc-vectors/read.ts'
import { concat } from './bytes.ts'
import { seededRandom, systemRandom } from './random.ts'

test('the stream of a seed is SHA-256 of seed and counter, however it is cut', () => {
  const block = (n: number) =>
    Uint8Array.from(hash('sha256', concat(Uint8Array.of(9), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, n)), 'buffer'))
  const random = seededRandom(Uint8Array.of(9))
  const cut = [0, 1, 30, 2, 40, 23].map((bytes) => random(bytes))
  assert.equal(toHex(concat(...cut)), toHex(concat(block(0), block(1), block(2))))
})

test('another seed gives another stream, and the seed may be changed afterwards', () => {
  assert.notEqual(toHex(seededRandom(1)(16)), toHex(seededRandom(2)(16)))
  const seed = Uint8Array.of(1)
  const random = seededRandom(seed)
  seed[0] = 2
  assert.equal(toHex(random(8)), toHex(seededRandom(Uint8Array.of(1))(8)))
})

test('the system gives as many octets as are asked for, and never the same', () => {
  assert.equal(systemRandom(0).length, 0)
  assert.notEqual(toHex(systemRandom(16)), toHex(systemRandom(16)))
})
