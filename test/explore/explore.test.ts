/** A small exploration of every plan, and that what the search leaves out is nothing. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Found } from '../faults/seek.ts'
import { explore } from './explore.ts'
import { everyEnd } from './in-world.ts'
import { type Plan, plans } from './plans.ts'
import type { Limits } from './steps.ts'

const limits: Limits = { depth: 12, faults: 0, jobs: false, kernel: false, seconds: Number.POSITIVE_INFINITY }

for (const plan of plans) {
  test(`two peers agree whatever is delivered when: ${plan.name}`, () => {
    const { states, ends, violations } = explore(plan, { ...limits, depth: 3 })
    const [first] = violations
    assert.equal(first, undefined, `${first?.message}\n${first?.drawing}`)
    assert.ok(states > 3 && ends > 1)
  })
}

const small: readonly (readonly [Plan['left'], Plan['right'], Partial<Limits>])[] = [
  [['delete child'], [], { faults: 1 }],
  [['create child'], [], { faults: 1 }],
  [['rekey child'], [], { faults: 1 }],
  [['delete child'], ['delete IKE SA'], {}],
]

for (const [left, right, given] of small) {
  const plan = { name: `${left} | ${right}`, left, right }
  test(`the search comes to every end that a walk along every path does: ${plan.name}`, () => {
    const chosen = { ...limits, ...given }
    const walked = everyEnd(plan, chosen)
    const searched = explore(plan, chosen, true)
    assert.deepEqual(searched.violations, [])
    assert.equal(searched.cut, 0)
    assert.ok(walked.size > 0)
    assert.deepEqual([...searched.endStates].sort(), [...walked].sort())
  })
}

// A wrong answer to a copy, octets on the wire, and what is left after a collision: each needs another part of the search.
for (const fault of ['duplicate-executed-anew', 'iv-used-twice', 'nonces-compared-the-wrong-way']) {
  test(`the exploration alone finds a planted fault: ${fault}`, () => {
    const at = (file: string): string => fileURLToPath(new URL(`../faults/${file}`, import.meta.url))
    const args = ['--import', at('loader.ts'), at('seek.ts'), '--fault', fault, '--seeds', '0']
    const { by, message } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Found // its only line
    assert.match(by ?? 'nothing', /^plan \d/, message)
  })
}
