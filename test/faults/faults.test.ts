/** The faults can be planted, and planting one is found. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { patched } from './loader.ts'
import { faults } from './table.ts'

for (const fault of faults) {
  test(`fault ${fault.name} can be planted`, () => {
    const source = readFileSync(new URL(`../../src/ike/${fault.file}`, import.meta.url), 'utf8')
    assert.notEqual(patched(source, fault), source)
  })
}

test('a fault whose text is not there, or is there twice, is refused', () => {
  const [fault] = faults
  assert.ok(fault !== undefined)
  assert.throws(() => patched('nothing', fault), /its text is 0 times/)
  assert.throws(() => patched(fault.text.repeat(2), fault), /its text is 2 times/)
})

test('every fault has a name of its own', () => {
  assert.equal(new Set(faults.map(({ name }) => name)).size, faults.length)
})
