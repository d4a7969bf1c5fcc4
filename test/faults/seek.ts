/**
 * `node --import ./test/faults/loader.ts test/faults/seek.ts --fault NAME --seeds N --seconds S`: runs seeds of the sweep,
 * then plans of the exploration, until a rule is broken. Prints one line of JSON: what found the fault.
 */
import { parseArgs } from 'node:util'
import { explore } from '../explore/explore.ts'
import { plans } from '../explore/plans.ts'
import { sweepRun } from '../simulation/sweep-run.ts'

export interface Found {
  /** `seed 12`, or `plan 3`; undefined if nothing did. */
  readonly by: string | undefined
  readonly seconds: number
  /** The first line of what was said. */
  readonly message: string
}

const { values } = parseArgs({
  options: { fault: { type: 'string' }, seeds: { type: 'string' }, seconds: { type: 'string' } },
})
const started = performance.now()
const seeds = Number(values.seeds ?? 400)
const seconds = Number(values.seconds ?? 60)
console.log(JSON.stringify(bySweep() ?? byExploration() ?? found(undefined, '')))

function bySweep(): Found | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const { failure } = sweepRun(seed)
    if (failure !== undefined) return found(`seed ${seed}`, failure)
  }
  return undefined
}

function byExploration(): Found | undefined {
  for (const [i, plan] of plans.entries()) {
    const share = seconds / plans.length
    const { violations } = explore(plan, { depth: 12, faults: 1, jobs: false, kernel: false, seconds: share })
    if (violations[0] !== undefined) return found(`plan ${i} (${plan.name})`, violations[0].message)
  }
  return undefined
}

function found(by: string | undefined, message: string): Found {
  return { by, seconds: (performance.now() - started) / 1000, message: message.split('\n', 1)[0] ?? '' }
}
