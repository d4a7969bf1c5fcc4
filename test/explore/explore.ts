/**
 * Every order in which two peers can hear each other: commands, deliveries, losses and repetitions as a tree, walked in
 * depth. At each end the network is left alone, and then both peers must agree.
 *
 * What is not done twice, and why nothing is missed by it:
 * - A host is run once for each history of its own (host-tree.ts): what it does depends on nothing else.
 * - Two paths that come to the same two hosts with the same datagrams in flight, at the same time and with the same wishes
 *   left, go on in the same way: the second is not followed, unless it may deliver or lose more than the first. So steps of
 *   different hosts, which commute, are followed in one order. In which order datagrams were sent makes no difference, as
 *   any may come next.
 * - Losses and copies begin when somebody can notice them (steps.ts).
 * - A copy that makes no difference any more is delivered at once (two-hosts.ts).
 * - Ends that have come to the same two hosts after the quiet time are judged once.
 *
 * The rules are looked at when a host makes a step for the first time, those about both hosts for each pair that meets.
 * That message IDs, IVs and repeated octets are right is about the words of a host alone, and is looked at on the paths
 * whose ends are judged; these are run again in a world of test/simulation, which knows nothing of all this.
 */
import { replay } from './in-world.ts'
import { endState } from './judge.ts'
import type { Plan } from './plans.ts'
import { after, type Limits, nothingSpent, possible, type Spent, type Step } from './steps.ts'
import { Histories, type TwoHosts } from './two-hosts.ts'

export interface Explored {
  readonly plan: Plan
  states: number
  /** Different histories of one host. */
  hosts: number
  /** Paths that came to an end of their own. */
  ends: number
  /** Different pairs of hosts after the quiet time: these were judged. */
  settled: number
  /** Ends at which datagrams were in flight, because the depth was reached. */
  cut: number
  /** The time was up, or there were too many violations. */
  stopped: boolean
  /** Processor time. */
  seconds: number
  readonly violations: Violated[]
  /** With `keepEnds`: what `endState` says of each end that was judged. */
  readonly endStates: Set<string>
}

export interface Violated {
  readonly path: readonly Step[]
  readonly message: string
  readonly drawing: string
}

interface Position {
  readonly hosts: TwoHosts
  readonly spent: Spent
  readonly path: readonly Step[]
}

export function explore(plan: Plan, limits: Limits, keepEnds = false): Explored {
  const histories = new Histories(limits.jobs)
  const started = cpuSeconds()
  const until = started + limits.seconds
  const seen = new Map<string, Spent[]>()
  const judged = new Set<string>()
  const result: Explored = {
    plan,
    states: 0,
    hosts: 0,
    ends: 0,
    settled: 0,
    cut: 0,
    stopped: false,
    seconds: 0,
    violations: [],
    endStates: new Set(),
  }
  const violated = (path: readonly Step[], error: unknown): void => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    result.violations.push({ path, message, drawing: String(replay(plan, limits, path).world.ladder) })
  }
  const end = ({ hosts, path }: Position): void => {
    result.ends++
    if (hosts.flights.length > 0) result.cut++
    try {
      const quiet = histories.beQuiet(hosts)
      const name = `${quiet.left.number} ${quiet.right.number} ${quiet.now}`
      if (judged.has(name)) return
      judged.add(name)
      const { error } = replay(plan, limits, path, {
        watched: false,
        ended: (world) => keepEnds && result.endStates.add(endState(world)),
      })
      if (error !== undefined) throw error
    } catch (error) {
      violated(path, error)
    }
  }
  const visit = (position: Position): void => {
    result.stopped ||= cpuSeconds() > until || result.violations.length >= mostViolations
    if (result.stopped) {
      return
    }
    const { hosts, spent, path } = position
    const idle = histories.idle(hosts)
    if (idle !== undefined) {
      // It is delivered at once and not counted.
      const step = { kind: 'deliver', place: idle } as const
      return visit({ hosts: histories.take(plan, spent, hosts, step), spent, path: [...path, step] })
    }
    const state = nameOf(hosts, spent)
    const before = seen.get(state) ?? []
    if (before.some(({ delivered, faults }) => delivered <= spent.delivered && faults <= spent.faults)) return
    seen.set(state, [...before, spent])
    result.states++
    const flights = hosts.flights.map(({ number }) => number)
    const steps = possible(plan, limits, spent, { hasJobs: (side) => hosts[side].hasJobs, flights }, ['late', 'twice'])
    if (steps.length === 0) return end(position)
    for (const step of steps) {
      const further = [...path, step]
      let next: TwoHosts
      try {
        next = histories.take(plan, spent, hosts, step)
      } catch (error) {
        violated(further, error)
        continue
      }
      visit({ hosts: next, spent: after(spent, step), path: further })
    }
  }
  visit({ hosts: histories.begin(), spent: nothingSpent, path: [] })
  return { ...result, hosts: histories.size, settled: judged.size, seconds: cpuSeconds() - started }
}

const mostViolations = 5

function cpuSeconds(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1e6
}

function nameOf({ left, right, flights, now }: TwoHosts, spent: Spent): string {
  const line = flights.map(({ number }) => number).sort((a, b) => a - b)
  return `${left.number} ${right.number} ${now} ${spent.left} ${spent.right} ${spent.lost} ${line}`
}
