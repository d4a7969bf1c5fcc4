import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timers } from './timers.ts'

test('timers fire in order of time, ties in order of setting', () => {
  const timers = new Timers()
  const fired: string[] = []
  timers.set(30, () => fired.push('c'))
  timers.set(10, () => fired.push('a'))
  timers.set(20, () => fired.push('b1'))
  timers.set(20, () => fired.push('b2'))
  assert.equal(timers.next, 10)
  timers.expire(20)
  assert.deepEqual(fired, ['a', 'b1', 'b2'])
  assert.equal(timers.next, 30)
})

test('a cleared timer never fires and is not counted', () => {
  const timers = new Timers()
  const fired: number[] = []
  const all = Array.from({ length: 1000 }, (_, i) => timers.set(i, () => fired.push(i)))
  for (const [i, timer] of all.entries()) if (i % 3 !== 0) timer.clear()
  all[1]?.clear()
  assert.equal(timers.size, 334)
  timers.expire(10_000)
  assert.deepEqual(
    fired,
    Array.from({ length: 334 }, (_, i) => i * 3),
  )
  assert.equal(timers.size, 0)
  assert.equal(timers.next, undefined)
})

test('an action may set and clear timers', () => {
  const timers = new Timers()
  const fired: string[] = []
  const never = timers.set(5, () => fired.push('never'))
  timers.set(1, () => {
    fired.push('first')
    never.clear()
    timers.set(2, () => fired.push('second'))
  })
  timers.expire(5)
  assert.deepEqual(fired, ['first', 'second'])
})
