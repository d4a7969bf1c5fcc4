import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Writer } from './writer.ts'

test('a writer that begins anew leaves nothing of before', () => {
  const out = new Writer(4)
  out.u32(0x0102_0304)
  const first = out.copy()
  out.clear()
  out.u8(9)
  out.zeros(2)
  assert.deepEqual([...first], [1, 2, 3, 4])
  assert.deepEqual([...out.copy()], [9, 0, 0])
  assert.equal(out.length, 3)
})
