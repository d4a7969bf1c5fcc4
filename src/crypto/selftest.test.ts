import assert from 'node:assert/strict'
import { test } from 'node:test'
import { selfTest } from './selftest.ts'

test('the self test passes', () => {
  assert.doesNotThrow(selfTest)
})
