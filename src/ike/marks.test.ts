import assert from 'node:assert/strict'
import test from 'node:test'
import { outputMark, UniqueNumbers } from './marks.ts'

const full = 0xffff_ffff

test('each direction that asks gets a number, and directions of their own get two', () => {
  const numbers = new UniqueNumbers()
  const ids = (ifIdIn: number | '%unique' | '%unique-dir', ifIdOut: number | '%unique' | '%unique-dir') => {
    const chosen = numbers.interfaceIds({ ifIdIn, ifIdOut })
    return [chosen.ifIdIn, chosen.ifIdOut]
  }
  assert.deepEqual(ids(7, 8), [7, 8])
  assert.deepEqual(ids('%unique', 42), [1, 42])
  assert.deepEqual(ids(42, '%unique'), [42, 2])
  assert.deepEqual(ids('%unique-dir', 42), [3, 42])
  assert.deepEqual(ids('%unique', '%unique'), [4, 4])
  assert.deepEqual(ids('%unique-dir', '%unique'), [5, 6])
  assert.deepEqual(ids('%unique', '%unique-dir'), [7, 8])
  assert.deepEqual(numbers.interfaceIds({}), {})
})

test('marks and interface ids are counted apart, and masks are those of the configuration', () => {
  const numbers = new UniqueNumbers()
  const config = { markIn: { value: '%unique', mask: 0xff }, markOut: { value: 9, mask: full } } as const
  assert.deepEqual(numbers.marking(config, { ifIdIn: '%unique' }), {
    ifIdIn: 1,
    markIn: { value: 1, mask: 0xff },
    markOut: { value: 9, mask: full },
  })
})

test('a child has the interface ids of its IKE SA where it has none of its own', () => {
  const numbers = new UniqueNumbers()
  assert.deepEqual(numbers.marking({ ifIdOut: 5 }, { ifIdIn: 3, ifIdOut: 4 }), { ifIdIn: 3, ifIdOut: 5 })
})

test('marks that are kept are not chosen anew', () => {
  const numbers = new UniqueNumbers()
  const unique = { value: '%unique', mask: full } as const
  const config = { markIn: unique, markOut: unique, ifIdIn: '%unique' } as const
  const first = numbers.marking(config, {})
  assert.deepEqual(numbers.marking(config, {}, first), { ...first, ifIdIn: 2 })
})

test('a mark of 0 under a mask is for packets without one, and without a mask it is none', () => {
  const numbers = new UniqueNumbers()
  const zero = { markIn: { value: 0, mask: full }, markOut: { value: 0, mask: 0 } }
  assert.deepEqual(numbers.marking(zero, {}), { markIn: { value: 0, mask: full } })
})

test('packets get the mark of the direction, or another one, or none', () => {
  const own = { value: 7, mask: full }
  assert.deepEqual(outputMark({ value: '%same', mask: 0xff }, own), { value: 7, mask: 0xff })
  assert.deepEqual(outputMark({ value: 9, mask: full }, own), { value: 9, mask: full })
  assert.deepEqual(outputMark({ value: 0, mask: full }, own), { value: 0, mask: full })
  assert.deepEqual(outputMark({ value: '%same', mask: full }, undefined), { value: 0, mask: full })
  assert.equal(outputMark(undefined, own), undefined)
})
