/** The steps of an exploration, and what limits them. */
import type { SideName } from '../simulation/connection.ts'
import { type Plan, type Refusal, sides } from './plans.ts'

export interface Limits {
  /** Messages delivered before the rest is left to itself. */
  readonly depth: number
  /** Messages lost or repeated, operations that a kernel refuses. */
  readonly faults: number
  /** Whether kernels refuse operations: then what was made halfway has to be taken back. */
  readonly kernel: boolean
  /** Whether the jobs of a host are a step of their own: then messages also meet exchanges that wait for the kernel. */
  readonly jobs: boolean
  /** Of processor time, after which it stops. */
  readonly seconds: number
}

export type Step =
  | { readonly kind: 'wish' | 'jobs'; readonly side: SideName }
  /** The kernel refuses the next operation of this kind. */
  | { readonly kind: 'refuse'; readonly side: SideName; readonly operation: Refusal }
  /**
   * The datagram at this place in line. `twice`: it is delivered, and a copy of it stays in line. `late`: it is lost, and
   * time passes until a timer goes off.
   */
  | { readonly kind: 'deliver' | 'lose' | 'repeat' | 'twice' | 'late'; readonly place: number }
  /** Time passes until a timer goes off. */
  | { readonly kind: 'time' }

/** What has been used of the plan and of the limits. */
export interface Spent {
  /** Wishes that were given. */
  readonly left: number
  readonly right: number
  readonly delivered: number
  readonly faults: number
  /** Datagrams that were lost, and no time has passed for them. */
  readonly lost: number
}

export const nothingSpent: Spent = { left: 0, right: 0, delivered: 0, faults: 0, lost: 0 }

export type FaultSteps = readonly ['lose', 'repeat'] | readonly ['late', 'twice']

/** As much of two hosts as decides what can come next. */
export interface Scene {
  readonly hasJobs: (side: SideName) => boolean
  /** Names the datagrams in line: the same octets on the same way have the same name. */
  readonly flights: readonly (string | number)[]
}

/**
 * All that may happen next. Of two copies of a datagram it does not matter which. `lose`, `repeat` and `time` are all that
 * a network does; the other set has fewer paths to the same: nobody notices that a datagram is lost before time passes
 * without it, nor that there are two of it before one of them has come.
 */
export function possible(plan: Plan, limits: Limits, spent: Spent, scene: Scene, faults: FaultSteps): Step[] {
  const { hasJobs, flights } = scene
  const steps: Step[] = []
  for (const side of sides) if (limits.jobs && hasJobs(side)) steps.push({ kind: 'jobs', side })
  for (const side of sides) if (spent[side] < plan[side].length) steps.push({ kind: 'wish', side })
  const mayFail = spent.faults < limits.faults
  if (spent.delivered < limits.depth) {
    flights.forEach((flight, place) => {
      if (flights.indexOf(flight) < place) return
      steps.push({ kind: 'deliver', place })
    })
    // After what has no fault: then states that are better off have been seen.
    const [loss, repetition] = faults
    flights.forEach((flight, place) => {
      if (mayFail && flights.indexOf(flight) === place) steps.push({ kind: loss, place }, { kind: repetition, place })
    })
  }
  if (limits.kernel && mayFail) {
    for (const side of sides) {
      for (const operation of ['allocate-spi', 'install-sa'] as const) steps.push({ kind: 'refuse', side, operation })
    }
  }
  // What was lost comes again after a while, and meets what has happened since.
  if (spent.lost > 0 && spent.delivered < limits.depth) steps.push({ kind: 'time' })
  return steps
}

export function after(spent: Spent, step: Step): Spent {
  switch (step.kind) {
    case 'wish':
      return { ...spent, [step.side]: spent[step.side] + 1 }
    case 'jobs':
      return spent
    case 'deliver':
      return { ...spent, delivered: spent.delivered + 1 }
    case 'lose':
      return { ...spent, faults: spent.faults + 1, lost: spent.lost + 1 }
    case 'twice':
      return { ...spent, delivered: spent.delivered + 1, faults: spent.faults + 1 }
    case 'repeat':
    case 'late':
    case 'refuse':
      return { ...spent, faults: spent.faults + 1 }
    case 'time':
      return { ...spent, lost: spent.lost - 1 }
  }
}
