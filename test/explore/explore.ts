/**
 * Every order in which two peers can hear each other: commands, deliveries, losses and repetitions as a tree, walked in
 * depth. A world cannot be copied, so a branch is reached by running its steps again from the start; worlds that have
 * come to the same are looked at once. At each end the network is left alone, and then both peers must agree.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { SideName } from '../simulation/connection.ts'
import { installed, kernelIsAsSaid, nothingLeaks, packetOf } from '../simulation/expect.ts'
import type { Host } from '../simulation/host.ts'
import { pair } from '../simulation/pair.ts'
import { bringUp, rekey, terminate, withTwoChildren } from '../simulation/rekey.ts'
import { watchSafety } from '../simulation/safety.ts'
import type { World } from '../simulation/world.ts'
import { type Plan, sides, wish } from './plans.ts'

export interface Limits {
  /** Messages delivered before the rest is left to itself. */
  readonly depth: number
  /** Messages lost or repeated, operations that a kernel refuses. */
  readonly faults: number
  /** Whether kernels refuse operations: then what was made halfway has to be taken back. */
  readonly kernel: boolean
  /** Whether the jobs of a host are a step of their own: then messages also meet exchanges that wait for the kernel. */
  readonly jobs: boolean
  /** When to stop, in the terms of `performance.now()`. */
  readonly until: number
}

export type Step =
  | { readonly kind: 'wish' | 'jobs'; readonly side: SideName }
  /** The kernel refuses the next operation of this kind. */
  | { readonly kind: 'refuse'; readonly side: SideName; readonly operation: 'allocate-spi' | 'install-sa' }
  /** The datagram at this place in line. */
  | { readonly kind: 'deliver' | 'lose' | 'repeat'; readonly place: number }
  /** Time passes until a timer goes off. */
  | { readonly kind: 'time' }

export interface Explored {
  readonly plan: Plan
  states: number
  leaves: number
  /** Not everything was seen: the time was up. */
  incomplete: boolean
  readonly violations: { readonly path: readonly Step[]; readonly message: string; readonly drawing: string }[]
}

interface Position {
  readonly world: World
  /** What must hold after each step; steps that are only run again have been looked at. */
  readonly check: World['onStep']
  readonly path: readonly Step[]
  readonly left: number
  readonly right: number
  readonly delivered: number
  readonly faults: number
  readonly lost: number
}

export function explore(plan: Plan, limits: Limits): Explored {
  const seen = new Set<string>()
  const result: Explored = { plan, states: 0, leaves: 0, incomplete: false, violations: [] }
  const visit = (position: Position): void => {
    if (performance.now() > limits.until || result.violations.length >= mostViolations) {
      result.incomplete = true
      return
    }
    const state = signature(position)
    if (seen.has(state)) return
    seen.add(state)
    result.states++
    const steps = possible(plan, limits, position)
    if (steps.length === 0) {
      result.leaves++
      guarded(position, () => judge(position.world))
      return
    }
    steps.forEach((step, i) => {
      // The last branch goes on in the world that is there.
      let from = position
      if (i < steps.length - 1) {
        from = begin()
        for (const before of position.path) from = take(plan, limits, from, before)
        from.world.onStep = from.check
      }
      guarded(from, () => visit(take(plan, limits, from, step)), step)
    })
  }
  const guarded = (position: Position, body: () => void, step?: Step): void => {
    try {
      body()
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      const path = step === undefined ? position.path : [...position.path, step]
      result.violations.push({ path, message, drawing: position.world.ladder.toString() })
    }
  }
  const first = begin()
  first.world.onStep = first.check
  guarded(first, () => visit(first))
  return result
}

const mostViolations = 5

/** Runs a path again, to its end, with the drawing. */
export function replay(plan: Plan, limits: Limits, path: readonly Step[]): World {
  let position = begin()
  position.world.onStep = position.check
  for (const step of path) position = take(plan, limits, position, step)
  judge(position.world)
  return position.world
}

function begin(): Position {
  const world = pair(withTwoChildren())
  watchSafety(world)
  const check = world.onStep
  world.onStep = undefined
  bringUp(world)
  return { world, check, path: [], left: 0, right: 0, delivered: 0, faults: 0, lost: 0 }
}

function possible(plan: Plan, limits: Limits, position: Position): Step[] {
  const { world } = position
  const steps: Step[] = []
  for (const side of sides) {
    if (limits.jobs && world.host(side).jobs.length > 0) steps.push({ kind: 'jobs', side })
  }
  for (const side of sides) if (position[side] < plan[side].length) steps.push({ kind: 'wish', side })
  const { flights } = world.net
  if (position.delivered < limits.depth) {
    flights.forEach((flight, place) => {
      // Of two copies of the same datagram it does not matter which.
      if (flights.findIndex(({ bytes, from }) => from === flight.from && same(bytes, flight.bytes)) < place) return
      steps.push({ kind: 'deliver', place })
      if (position.faults >= limits.faults) return
      steps.push({ kind: 'lose', place }, { kind: 'repeat', place })
    })
  }
  if (limits.kernel && position.faults < limits.faults) {
    for (const side of sides) {
      for (const operation of ['allocate-spi', 'install-sa'] as const) steps.push({ kind: 'refuse', side, operation })
    }
  }
  // What was lost comes again after a while, and meets what has happened since.
  const passed = position.path.filter(({ kind }) => kind === 'time').length
  if (position.lost > passed && position.delivered < limits.depth) steps.push({ kind: 'time' })
  return steps
}

function take(plan: Plan, { jobs }: Limits, position: Position, step: Step): Position {
  const { world, path } = position
  const next = { ...position, path: [...path, step] }
  world.holdJobs = jobs
  switch (step.kind) {
    case 'wish': {
      const what = plan[step.side][position[step.side]]
      if (what !== undefined) attempt(world.host(step.side), what)
      if (!jobs) world.finishJobs()
      return { ...next, [step.side]: position[step.side] + 1 }
    }
    case 'jobs':
      world.finishJobsOf(world.host(step.side))
      return next
    case 'refuse':
      world.host(step.side).kernel.refuse({ kind: step.operation, nth: 1, errno: 'ENOMEM' })
      return { ...next, faults: position.faults + 1 }
    case 'time':
      world.passTime()
      return next
    default: {
      const flight = world.net.flights[step.place]
      assert.ok(flight !== undefined, 'the run could not be repeated')
      if (step.kind === 'lose') {
        world.net.remove(flight)
        world.ladder.lost(flight.from, flight.label, world.now)
        return { ...next, faults: position.faults + 1, lost: position.lost + 1 }
      }
      if (step.kind === 'repeat') {
        world.net.duplicate(flight)
        return { ...next, faults: position.faults + 1 }
      }
      world.deliverThis(flight)
      return { ...next, delivered: position.delivered + 1 }
    }
  }
}

/** There may be nothing left to rekey or to delete. */
function attempt(host: Host, what: Parameters<typeof wish>[1]): void {
  if (host.sas().length > 0) wish(host, what)
}

/**
 * What both hosts have done and said so far, without what makes no difference: datagrams that were ignored or answered
 * from the cache. The same past of a host is the same host.
 */
function signature({ world, left, right, delivered, faults, lost }: Position): string {
  const hash = createHash('sha256')
  hash.update(`${left} ${right} ${delivered} ${faults} ${lost} ${world.now}`)
  for (const host of world.hosts) {
    hash.update(host.name)
    for (const { group, message } of host.logs) {
      if (group !== 'NET' && !message.includes('retransmit')) hash.update(message).update('\n')
    }
    const said = new Set(host.sent.map(({ bytes }) => Buffer.from(bytes).toString('latin1')))
    for (const bytes of said) hash.update(bytes, 'latin1')
    for (const { id, job } of host.jobs) hash.update(`${id} ${job.kind}`)
    hash.update(`${host.kernel.willRefuse}`)
    for (const { spi, kind } of host.kernel.states) hash.update(`${spi} ${kind}`)
    hash.update(`${host.timerAt}`)
  }
  const flights = world.net.flights.map(({ from, bytes }) => from + Buffer.from(bytes).toString('latin1'))
  for (const flight of flights.sort()) hash.update(flight, 'latin1')
  return hash.digest('base64')
}

/** The network is left alone: both sides agree, packets pass, one more rekeying of each works, nothing leaks. */
function judge(world: World): void {
  world.holdJobs = false
  for (const { kernel } of world.hosts) kernel.forgive()
  world.wait(400)
  agree(world)
  if (world.left.sas().length > 0) {
    for (const what of ['child', 'IKE SA'] as const) {
      const there = world.left.sas().some(({ children }) => children.some(({ name }) => name === 'net'))
      if (what === 'child' && !there) continue
      rekey(world.left, what)
      world.wait(10)
      agree(world)
    }
  }
  for (const host of world.hosts) terminate(host, 'IKE SA')
  world.wait(10)
  nothingLeaks(world)
}

function agree(world: World): void {
  const [left, right] = world.hosts.map((host) => live(host, host.name === 'left'))
  assert.deepEqual(left, right, 'both sides have the same SAs')
  for (const host of world.hosts) {
    kernelIsAsSaid(host)
    const [sa, ...others] = host.sas()
    assert.equal(others.length, 0, `${host.name} has more than one IKE SA`)
    for (const { localTs, remoteTs, state } of sa?.children ?? []) {
      assert.equal(state, 'INSTALLED')
      const [local, remote] = [localTs[0], remoteTs[0]]
      assert.ok(local !== undefined && remote !== undefined)
      assert.equal(world.carry(host, packetOf(local, remote)), 'protected', `a packet from ${host.name}`)
    }
    assert.equal(installed(host).length, 2 * (sa?.children.length ?? 0))
  }
}

/** IKE SAs and children, as one side sees them and as it should look from the other. */
function live(host: Host, straight: boolean): unknown {
  return host.sas().map(({ state, spiI, spiR, children }) => ({
    state,
    spis: [spiI, spiR],
    children: children
      .map(({ name, spiIn, spiOut }) => (straight ? `${name} ${spiIn} ${spiOut}` : `${name} ${spiOut} ${spiIn}`))
      .sort(),
  }))
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
