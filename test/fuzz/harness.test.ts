import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FuzzFailure, fuzz, mutate, randomFrom } from './harness.ts'
import { targets } from './wire.ts'

const seen = (seed: number): string[] => {
  const random = randomFrom(seed)
  return Array.from({ length: 200 }, () => Buffer.from(mutate(target.corpus, random, 4096)).toString('hex'))
}
const target = { name: 'nothing', corpus: [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)], allowed: () => false }

test('the same seed gives the same inputs, another seed others', () => {
  assert.deepEqual(seen(1), seen(1))
  assert.notDeepEqual(seen(1), seen(2))
})

test('a throw that is not allowed ends the run and shows the input', async () => {
  const decode = (input: Uint8Array): void => {
    if (input.length < 4) throw new RangeError('too short for us')
  }
  await assert.rejects(
    () => fuzz({ ...target, decode, seed: 1, runs: 10_000 }),
    (error) =>
      error instanceof FuzzFailure && error.input.length < 4 && /seed 1 run \d+.*too short/.test(error.message),
  )
  const refusing = await fuzz({
    ...target,
    decode,
    allowed: (error) => error instanceof RangeError,
    seed: 1,
    runs: 10_000,
  })
  assert.equal(refusing.decoded + refusing.refused, 10_000)
  assert.ok(refusing.refused > 0)
})

test('the corpus is never written to', async () => {
  const corpus = [Uint8Array.of(1, 2, 3, 4)]
  await fuzz({ ...target, corpus, decode: (input) => input.fill(0), seed: 3, runs: 1000 })
  assert.deepEqual(corpus, [Uint8Array.of(1, 2, 3, 4)])
})

for (const each of targets) {
  test(`a short run of ${each.name}`, async () => {
    const { decoded, refused } = await fuzz({ ...each, seed: 20260101, runs: 2000 })
    assert.ok(decoded > 0, 'nothing was decoded: the corpus is not what the decoder reads')
    assert.equal(decoded + refused, 2000)
  })
}
