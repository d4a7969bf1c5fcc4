/**
 * Two hosts and the network between them as a value: nodes of two host trees and the datagrams in flight. A step makes a
 * new value, and costs nothing when its host has made it before. It does what the World of test/simulation does, which
 * explore.test.ts compares.
 */
import type { SideName } from '../simulation/connection.ts'
import { type Twin, twinsAgree } from '../simulation/safety.ts'
import { epoch } from '../simulation/world.ts'
import { type Datagram, Datagrams } from './datagrams.ts'
import { type HostInput, type HostNode, type HostStep, HostTree, type KernelStates } from './host-tree.ts'
import { quietSeconds } from './judge.ts'
import { type Plan, sides } from './plans.ts'
import type { Spent, Step } from './steps.ts'

export interface TwoHosts {
  readonly left: HostNode
  readonly right: HostNode
  /** In the order in which they were sent. */
  readonly flights: readonly Datagram[]
  /** Epoch milliseconds. */
  readonly now: number
}

/** An input without its time. */
type Given = HostInput extends infer I ? (I extends HostInput ? Omit<I, 'at' | 'hold'> : never) : never

/** What two hosts can come to. */
export class Histories {
  readonly #datagrams = new Datagrams()
  readonly #trees = { left: new HostTree('left', this.#datagrams), right: new HostTree('right', this.#datagrams) }
  readonly #compared = new Set<string>()
  readonly #hold: boolean

  /** With `hold` the jobs of a host are a step of their own. */
  constructor(hold: boolean) {
    this.#hold = hold
  }

  /** How many different hosts there are, of both sides. */
  get size(): number {
    return this.#trees.left.size + this.#trees.right.size
  }

  /** The child is up. */
  begin(): TwoHosts {
    const { left, right } = this.#trees
    const configured = { left: left.root, right: right.root, flights: [], now: epoch }
    return this.#wait(this.#give(configured, 'left', { kind: 'initiate' }, false), 6)
  }

  /** @throws Error when a rule is broken */
  take(plan: Plan, spent: Spent, hosts: TwoHosts, step: Step): TwoHosts {
    switch (step.kind) {
      case 'wish': {
        const what = plan[step.side][spent[step.side]]
        return what === undefined ? hosts : this.#give(hosts, step.side, { kind: 'wish', wish: what })
      }
      case 'jobs':
        return this.#give(hosts, step.side, { kind: 'jobs' })
      case 'refuse':
        return this.#give(hosts, step.side, { kind: 'refuse', operation: step.operation })
      case 'time':
        return this.#passTime(hosts)
      case 'deliver':
        return this.#deliver(hosts, step.place)
      case 'lose':
        return lost(hosts, step.place)
      case 'repeat':
        return repeated(hosts, step.place)
      case 'twice':
        return this.#deliver(repeated(hosts, step.place), step.place)
      case 'late':
        return this.#passTime(lost(hosts, step.place))
    }
  }

  /**
   * The place of a datagram that makes no difference any more, whenever it comes. Its receiver has had it, and now does
   * nothing with it, or sends an answer of which the same holds: the windows of RFC 7296 §2.3 only go up, so what is
   * an old message for a host stays one.
   */
  idle(hosts: TwoHosts): number | undefined {
    const place = hosts.flights.findIndex((datagram) => this.#isIdle(hosts, datagram))
    return place < 0 ? undefined : place
  }

  #isIdle(hosts: TwoHosts, datagram: Datagram): boolean {
    const node = receiver(hosts, datagram)
    if (!node.heard.has(datagram)) return false
    const step = this.#step(hosts, sideOf(datagram), { kind: 'datagram', datagram })
    return step.node === node && step.error === undefined && step.sent.every((answer) => this.#isIdle(hosts, answer))
  }

  #passTime(hosts: TwoHosts): TwoHosts {
    const next = nextOf(hosts)
    return next === Number.POSITIVE_INFINITY ? hosts : this.#wake({ ...hosts, now: Math.max(hosts.now, next) })
  }

  /**
   * Nothing is lost or refused any more, and time passes.
   * @throws Error when a rule is broken
   */
  beQuiet(hosts: TwoHosts): TwoHosts {
    let quiet = hosts
    for (const side of sides) quiet = this.#give(quiet, side, { kind: 'forgive' }, true)
    for (const side of sides) if (quiet[side].hasJobs) quiet = this.#give(quiet, side, { kind: 'jobs' })
    return this.#wait(quiet, quietSeconds)
  }

  #give(hosts: TwoHosts, side: SideName, given: Given, hold = this.#hold): TwoHosts {
    const { node, sent, moments, error } = this.#step(hosts, side, given, hold)
    if (error !== undefined) throw error
    const peer = side === 'left' ? hosts.right : hosts.left
    for (const [i, moment] of moments.entries())
      this.#compare(`${side} ${node.number} ${i}/${moments.length} ${peer.number}`, side, moment, peer)
    return { ...hosts, [side]: node, flights: sent.length === 0 ? hosts.flights : [...hosts.flights, ...sent] }
  }

  #step(hosts: TwoHosts, side: SideName, given: Given, hold = this.#hold): HostStep {
    return this.#trees[side].give(hosts[side], { at: hosts.now, hold, ...given })
  }

  #compare(name: string, side: SideName, states: KernelStates, peer: HostNode): void {
    if (this.#compared.has(name)) return
    this.#compared.add(name)
    twinsAgree([twin(side, states), twin(side === 'left' ? 'right' : 'left', peer.states)])
  }

  #deliver(hosts: TwoHosts, place: number, hold = this.#hold): TwoHosts {
    const datagram = hosts.flights[place]
    if (datagram === undefined) throw new RangeError(`no datagram at ${place}`)
    const rest = { ...hosts, flights: hosts.flights.toSpliced(place, 1) }
    return this.#give(rest, sideOf(datagram), { kind: 'datagram', datagram }, hold)
  }

  /** The hosts whose timers are due; what they send is in flight before any of their jobs is done. */
  #wake(hosts: TwoHosts, hold = this.#hold): TwoHosts {
    const due = sides.filter((side) => (hosts[side].deadline ?? Number.POSITIVE_INFINITY) <= hosts.now)
    let woken = hosts
    for (const side of due) woken = this.#give(woken, side, { kind: 'wake' }, true)
    if (hold) return woken
    for (const side of due) if (woken[side].hasJobs) woken = this.#give(woken, side, { kind: 'jobs' })
    return woken
  }

  #wait(hosts: TwoHosts, seconds: number): TwoHosts {
    const until = hosts.now + seconds * 1000
    let waiting = hosts
    for (let i = 0; i < tooMany; i++) {
      for (let j = 0; waiting.flights.length > 0; j++) {
        if (j > tooMany) throw new Error('the two hosts do not come to an end')
        waiting = this.#deliver(waiting, 0, false)
      }
      const next = nextOf(waiting)
      if (next > until) return { ...waiting, now: until }
      waiting = this.#wake({ ...waiting, now: Math.max(waiting.now, next) }, false)
    }
    throw new Error('the timers do not come to an end')
  }
}

const tooMany = 20_000

/** Whom a datagram goes to. */
function sideOf({ from }: Datagram): SideName {
  return from === 'left' ? 'right' : 'left'
}

function receiver(hosts: TwoHosts, datagram: Datagram): HostNode {
  return hosts[sideOf(datagram)]
}

function lost(hosts: TwoHosts, place: number): TwoHosts {
  return { ...hosts, flights: hosts.flights.toSpliced(place, 1) }
}

function repeated(hosts: TwoHosts, place: number): TwoHosts {
  return { ...hosts, flights: [...hosts.flights, ...hosts.flights.slice(place, place + 1)] }
}

function nextOf({ left, right }: TwoHosts): number {
  return Math.min(left.deadline ?? Number.POSITIVE_INFINITY, right.deadline ?? Number.POSITIVE_INFINITY)
}

function twin(name: SideName, states: KernelStates): Twin {
  return { name, kernel: { states }, sas: () => [] }
}
