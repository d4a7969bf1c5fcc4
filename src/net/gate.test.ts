import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate } from './gate.ts'

test('what comes before the gate opens is passed on then, in order, as far as there is room', () => {
  const passed: number[] = []
  const gate = new Gate<number>(2, (item) => passed.push(item))
  for (const item of [1, 2, 3]) gate.take(item)
  assert.deepEqual(passed, [])
  gate.open()
  gate.take(4)
  gate.open()
  assert.deepEqual(passed, [1, 2, 4])
})
