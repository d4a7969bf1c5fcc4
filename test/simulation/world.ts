/** Hosts, the network between them and the clock of both: advanced by hand in scenarios, by a seed in the sweep. */
import type { CoreSettings } from '../../src/config/daemon-settings.ts'
import type { Packet, SendOutcome, XfrmCounter } from '../../src/kernel/simulated/packet.ts'
import type { SimulatedKernelOptions } from '../../src/kernel/simulated/simulated-kernel.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { Draw } from './draw.ts'
import { Host } from './host.ts'
import { Ladder } from './ladder.ts'
import { type Flight, type NatBox, Network } from './network.ts'

/** 2026-01-01: inside the validity of the test certificates. */
export const epoch: number = Date.UTC(2026, 0, 1)

export interface WorldOptions {
  readonly seed: number
  readonly draw: Draw
  readonly nats: readonly NatBox[]
  readonly left: SideOptions
  readonly right: SideOptions
}

export interface SideOptions {
  readonly settings: CoreSettings
  readonly kernel: Omit<SimulatedKernelOptions, 'random'>
  readonly names?: ReadonlyMap<string, readonly string[]>
  readonly web?: ReadonlyMap<string, Uint8Array>
  /** Takes the lines of a journal of the core. */
  readonly journal?: (line: string) => void
}

/** What became of a packet that a host sent to one behind the other. */
export type Carried = 'protected' | 'plain' | XfrmCounter | 'lost'

export class World {
  now: number = epoch
  readonly left: Host
  readonly right: Host
  readonly net: Network
  readonly ladder: Ladder = new Ladder(epoch)
  /** Jobs wait until they are completed by hand. */
  holdJobs = false
  #lastPacket = 0
  /** Called after every step. */
  onStep: ((who?: Host) => void) | undefined
  /** Somebody who comes at times of his own. */
  visitor: { readonly next: number; readonly act: () => void } | undefined
  /** Called with every datagram that a host sends. */
  onSend: ((from: Host, local: Endpoint, bytes: Uint8Array) => void) | undefined

  constructor(options: WorldOptions) {
    const host = (name: 'left' | 'right'): Host =>
      new Host({
        name,
        seed: options.seed,
        clock: this,
        ...options[name],
        transmit: (local, remote, bytes, label) => {
          this.onSend?.(this.host(name), local, bytes)
          const flights = this.net.transmit(name, local, remote, bytes, label, this.now)
          if (flights.length === 0) this.ladder.lost(name, label, this.now)
        },
        note: ({ level, message }) => {
          if (level <= 1 && !/^(generating|parsed|sending packet|received packet)/.test(message)) {
            this.ladder.note(name, message, this.now)
          }
        },
      })
    this.left = host('left')
    this.right = host('right')
    this.net = new Network({
      hosts: ['left', 'right'],
      addresses: (name) => this.host(name).kernel.addresses,
      nats: options.nats,
      draw: options.draw,
    })
  }

  get hosts(): readonly Host[] {
    return [this.left, this.right]
  }

  host(name: string): Host {
    return name === 'left' ? this.left : this.right
  }

  /** The other host. */
  peer(host: Host): Host {
    return host === this.left ? this.right : this.left
  }

  /** Completes all jobs, in the order in which they were asked for. */
  finishJobs(): void {
    for (let i = 0; i < tooMany; i++) {
      const host = this.hosts.find(({ jobs }) => jobs.length > 0)
      const job = host?.jobs[0]
      if (host === undefined || job === undefined) return
      host.complete(job)
      this.onStep?.()
    }
    throw new Error('the jobs do not end')
  }

  /** Completes the jobs of one host. */
  finishJobsOf(host: Host): void {
    for (let i = 0; i < tooMany; i++) {
      const [job] = host.jobs
      if (job === undefined) return
      host.complete(job)
      this.onStep?.()
    }
    throw new Error('the jobs do not end')
  }

  /** The clock goes to the next timer, which goes off; what it sends is in flight. */
  passTime(): void {
    const next = Math.min(...this.hosts.map(({ deadline }) => deadline ?? Number.POSITIVE_INFINITY))
    if (next === Number.POSITIVE_INFINITY) return
    this.now = Math.max(this.now, next)
    for (const host of this.hosts) if ((host.deadline ?? next + 1) <= next) host.wake()
    this.onStep?.()
    if (!this.holdJobs) this.finishJobs()
  }

  /** Delivers the oldest `count` datagrams in flight, one after the other, with the jobs that they cause. */
  deliver(count = 1): void {
    if (!this.holdJobs) this.finishJobs()
    for (let i = 0; i < count; i++) {
      const flight = this.net.flights[0]
      if (flight === undefined) throw new Error(`only ${i} of ${count} datagrams were in flight`)
      this.deliverThis(flight)
    }
  }

  /** Delivers a datagram, wherever it stands in line. */
  deliverThis(flight: Flight): void {
    this.#arrive(flight)
    this.onStep?.()
    if (!this.holdJobs) this.finishJobs()
  }

  /** Loses the oldest `count` datagrams in flight. */
  lose(count = 1): void {
    if (!this.holdJobs) this.finishJobs()
    for (let i = 0; i < count; i++) {
      const flight = this.net.flights[0]
      if (flight === undefined) throw new Error(`only ${i} of ${count} datagrams were in flight`)
      this.net.remove(flight)
      this.ladder.lost(flight.from, flight.label, this.now)
    }
  }

  /** Delivers everything, and what comes of it, at this moment: no timer goes off. */
  settle(): void {
    for (let i = 0; i < tooMany; i++) {
      if (!this.holdJobs) this.finishJobs()
      const flight = this.net.flights[0]
      if (flight === undefined) return
      this.deliverThis(flight)
    }
    throw new Error('the two hosts do not come to an end')
  }

  /** Lets time pass; timers go off, and with `deliver` everything that is sent arrives. */
  wait(seconds: number, options: { readonly deliver?: boolean } = {}): void {
    const until = this.now + seconds * 1000
    const { deliver = true } = options
    for (let i = 0; i < tooMany; i++) {
      if (deliver) this.settle()
      else if (!this.holdJobs) this.finishJobs()
      const next = Math.min(...this.hosts.map(({ deadline }) => deadline ?? Number.POSITIVE_INFINITY))
      if (next > until) {
        this.now = Math.max(this.now, until)
        return
      }
      this.now = Math.max(this.now, next)
      for (const host of this.hosts) if ((host.deadline ?? next + 1) <= next) host.wake()
      this.onStep?.()
    }
    throw new Error('the timers do not come to an end')
  }

  /**
   * One step of a run by seed: completes a job, delivers a datagram or wakes a host, whichever is drawn; when nothing is
   * due, the clock goes to what comes next, but not beyond `until`. False when there is nothing left to do.
   */
  step(draw: Draw, until: number): boolean {
    const due: (() => void)[] = []
    const stalled = this.hosts.some((host) => host.stalled)
    const readyAt = (flight: Flight): number => {
      const goal = stalled ? this.net.goal(flight) : undefined
      return goal === undefined ? flight.at : Math.max(flight.at, this.host(goal).stalledUntil)
    }
    for (const host of this.hosts) {
      if (host.stalled) continue
      if (!host.slow) for (const job of host.jobs) due.push(() => host.complete(job))
      if ((host.deadline ?? Number.POSITIVE_INFINITY) <= this.now) due.push(() => host.wake())
    }
    for (const flight of this.net.flights) {
      if (readyAt(flight) <= this.now) due.push(() => this.#arrive(flight))
    }
    const { visitor } = this
    if (visitor !== undefined && visitor.next <= this.now) due.push(() => visitor.act())
    if (due.length > 0) {
      draw.pick(due)()
      this.onStep?.()
      return true
    }
    const visit = visitor?.next ?? Number.POSITIVE_INFINITY
    const next = Math.min(...this.hosts.map(nextOf), ...this.net.flights.map(readyAt), visit)
    if (next > until) return false
    this.now = next
    return true
  }

  /** Sends a packet between hosts behind `from` and its peer, through whatever is there to protect it. */
  carry(from: Host, packet: Omit<Packet, 'id'>): Carried {
    return this.begin(from, packet)()
  }

  /** The same for a packet that has to wait when its way is chosen: it goes when the result is called. */
  begin(from: Host, packet: Omit<Packet, 'id'>): () => Carried {
    const id = ++this.#lastPacket
    const go = from.kernel.begin({ ...packet, id }, this.now)
    from.passKernelEvents()
    return () => this.#carry(from, go(this.now), id)
  }

  #carry(from: Host, sent: SendOutcome, id: number): Carried {
    const to = this.peer(from)
    from.passKernelEvents()
    this.onStep?.()
    if (sent.kind === 'dropped') return sent.counter
    if (sent.kind === 'plain') {
      to.kernel.receivePlain(sent.packet, this.now)
      return 'plain'
    }
    const carried = this.net.carry(sent.packet)
    if (carried === undefined || carried.host !== to.name) return 'lost'
    const received = to.kernel.receive(carried.packet, this.now)
    to.passKernelEvents()
    this.onStep?.()
    if (received.kind === 'dropped') return received.counter
    if (received.packet.id !== id) throw new Error('another packet came out than went in')
    return 'protected'
  }

  /** A datagram from somebody else reaches a host. */
  inject(host: Host, remote: Endpoint, bytes: Uint8Array, localPort = 500): void {
    const local = { address: host.kernel.addresses[0] ?? '', port: localPort }
    host.handle({ kind: 'datagram', local, remote, bytes })
    this.onStep?.()
    if (!this.holdJobs) this.finishJobs()
  }

  #arrive(flight: Flight): void {
    const arrival = this.net.arrive(flight)
    // The daemon has sockets on these two ports only.
    if (arrival === undefined || (arrival.destination.port !== 500 && arrival.destination.port !== 4500)) {
      this.ladder.lost(flight.from, flight.label, this.now)
      return
    }
    this.ladder.arrived(flight, this.now)
    const { source, destination, bytes } = arrival
    this.host(arrival.host).handle({ kind: 'datagram', local: destination, remote: source, bytes })
  }
}

/** When a host has something to do; one that is stalled also does its jobs then. */
export function nextOf({ deadline = Number.POSITIVE_INFINITY, jobs, slowUntil, stalledUntil }: Host): number {
  return jobs.length > 0 ? Math.min(Math.max(slowUntil, stalledUntil), deadline) : deadline
}

/** More inputs than any scenario has without time passing. */
const tooMany = 20_000
