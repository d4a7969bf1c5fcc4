/** A small exploration of every plan: without faults, and to a small depth with one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore } from './explore.ts'
import { plans } from './plans.ts'

for (const plan of plans) {
  test(`two peers agree whatever is delivered when: ${plan.name}`, () => {
    const { states, leaves, violations } = explore(plan, {
      depth: 3,
      faults: 0,
      jobs: false,
      kernel: false,
      until: Infinity,
    })
    const [first] = violations
    assert.equal(first, undefined, `${first?.message}\n${first?.drawing}`)
    assert.ok(states > 3 && leaves > 1)
  })
}
