/** Any number of hosts, every one with a connection to every other one, in one network with one clock. */
import assert from 'node:assert/strict'
import type { ChildConfig, Connection } from '../../src/config/connection.ts'
import { type CoreSettings, defaultCoreSettings } from '../../src/config/daemon-settings.ts'
import type { Pool } from '../../src/config/pools.ts'
import type { Packet } from '../../src/kernel/simulated/packet.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { addresses, authRound, child, connection, defaultSecret, subnet } from './connection.ts'
import { Draw } from './draw.ts'
import { Host } from './host.ts'
import { type Flight, type NatBox, Network, noFaults } from './network.ts'
import { type Carried, epoch, nextOf } from './world.ts'

export interface MeshOptions {
  readonly nodes: number
  readonly seed: number
  readonly child?: Partial<ChildConfig>
  readonly connection?: Partial<Connection>
  /** What a node has in place of a connection to every other one. */
  readonly connections?: (node: number) => readonly Connection[]
  readonly pools?: (node: number) => readonly Pool[]
  readonly settings?: (node: number) => Partial<CoreSettings>
  /** What every node's resolver knows. */
  readonly names?: ReadonlyMap<string, readonly string[]>
  readonly nats?: readonly NatBox[]
  /** Takes the lines of the journal of each node. */
  readonly journal?: (node: string, line: string) => void
}

export class Mesh {
  now: number = epoch
  /** Called after every step, with the host whose step it was if it was one's. */
  onStep: ((who?: Host) => void) | undefined
  /** Called with every datagram that a node sends. */
  onSend: ((from: Host, local: Endpoint, bytes: Uint8Array) => void) | undefined
  /** What the nodes log, with who and when; the last lines of it. */
  readonly story: string[] = []
  #lastPacket = 0
  readonly hosts: readonly Host[]
  readonly net: Network
  readonly #draw: Draw
  readonly #options: MeshOptions

  /** All nodes have loaded their connections: those of the children with start_action = start have begun. */
  constructor(options: MeshOptions) {
    const { nodes, seed } = options
    this.#options = options
    this.#draw = new Draw(seed)
    this.hosts = Array.from(
      { length: nodes },
      (_, i) =>
        new Host({
          name: nameOf(i),
          seed,
          clock: this,
          settings: { ...defaultCoreSettings, ...options.settings?.(i) },
          ...(options.names && { names: options.names }),
          ...(options.journal && { journal: (line) => options.journal?.(nameOf(i), line) }),
          kernel: { addresses: [addressOf(i), `10.${i + 1}.0.1`] },
          note: ({ level, message }) => {
            if (level <= 1 && !/^(generating|parsed|sending packet|received packet)/.test(message)) {
              this.note(nameOf(i), message)
            }
          },
          transmit: (local, remote, bytes, label) => {
            this.note(nameOf(i), `--> ${remote.address} ${label}`)
            this.onSend?.(this.#host(nameOf(i)), local, bytes)
            this.net.transmit(nameOf(i), local, remote, bytes, label, this.now)
          },
        }),
    )
    this.net = new Network({
      hosts: this.hosts.map(({ name }) => name),
      addresses: (name) => this.#host(name).kernel.addresses,
      nats: options.nats ?? [],
      draw: this.#draw,
    })
    for (let i = 0; i < nodes; i++) this.load(i)
  }

  /** Gives a node its configuration, as at its start. */
  load(node: number): void {
    const host = this.hosts[node] as Host // the caller counts nodes
    const secrets = [{ id: undefined, type: 'ike' as const, data: Buffer.from(defaultSecret), owners: [] }]
    host.command({
      kind: 'credentials',
      credentials: { anchors: [], certificates: [], privateKeys: new Map(), secrets },
    })
    for (const pool of this.#options.pools?.(node) ?? []) host.command({ kind: 'load-pool', pool })
    for (const connection of this.#options.connections?.(node) ?? this.#toAllOthers(node)) {
      host.command({ kind: 'load-connection', connection })
    }
  }

  heal(): void {
    this.net.faults = noFaults
    this.net.partitioned = false
    this.net.cutOff.clear()
    for (const host of this.hosts) {
      host.slowUntil = Math.min(host.slowUntil, this.now)
      host.kernel.forgive()
      host.stalledUntil = Math.min(host.stalledUntil, this.now)
    }
  }

  /** Adds a line to the story. */
  note(who: string, what: string): void {
    this.story.push(`${((this.now - epoch) / 1000).toFixed(3).padStart(9)} ${who} ${what}`)
    if (this.story.length > longestStory) this.story.shift()
  }

  /** Sends a packet between nodes, through whatever is there to protect it. */
  carry(from: Host, packet: Omit<Packet, 'id'>): Carried {
    const id = ++this.#lastPacket
    const sent = from.kernel.send({ ...packet, id }, this.now)
    from.passKernelEvents()
    if (sent.kind === 'dropped') return sent.counter
    if (sent.kind === 'plain') return 'plain'
    const carried = this.net.carry(sent.packet)
    if (carried === undefined) return 'lost'
    const to = this.#host(carried.host)
    const received = to.kernel.receive(carried.packet, this.now)
    to.passKernelEvents()
    return received.kind === 'dropped' ? received.counter : 'protected'
  }

  /** Lets time pass; everything that is due happens in the order that the seed draws. */
  wait(seconds: number): void {
    const until = this.now + seconds * 1000
    for (let steps = 0; steps < 2_000_000; steps++) {
      const due: (() => Host | undefined)[] = []
      for (const host of this.hosts) {
        if (host.stalled) continue
        // Any of the first ones: the order of completions is drawn, too.
        if (!host.slow) for (const job of host.jobs.slice(0, 4)) due.push(stepOf(host, () => host.complete(job)))
        if ((host.deadline ?? Number.POSITIVE_INFINITY) <= this.now) due.push(stepOf(host, () => host.wake()))
      }
      // Those for a node that is stopped stay, however many there are, and must not hide the ones behind them.
      const ready = this.net.flights.filter((flight) => this.#readyAt(flight) <= this.now)
      for (const flight of ready.slice(0, 50)) due.push(() => this.#arrive(flight))
      if (due.length > 0) {
        const who = this.#draw.pick(due)()
        if (who !== undefined) this.onStep?.(who)
        continue
      }
      const next = Math.min(...this.hosts.map(nextOf), ...this.net.flights.map((flight) => this.#readyAt(flight)))
      if (next > until) {
        this.now = until
        return
      }
      this.now = Math.max(this.now, next)
    }
    throw new Error('the mesh does not come to rest')
  }

  /** Every node has exactly one IKE SA with one Child SA to every other node, and both ends have the same one. */
  oneOfEach(): void {
    const seen = new Map<string, string[]>()
    for (const host of this.hosts) {
      const sas = host.sas()
      const expected = this.hosts.filter((other) => other !== host).map(({ name }) => `to-${name}`)
      assert.deepEqual(sas.map(({ name }) => name ?? '').sort(), expected.sort(), host.name)
      for (const { name, state, spiI, spiR, children } of sas) {
        assert.equal(state, 'ESTABLISHED', `${host.name} ${name}`)
        assert.equal(children.length, 1, `${host.name} ${name} has ${children.length} Child SAs`)
        const ends = [host.name, name?.slice(3) ?? ''].sort().join(' ')
        const [{ spiIn, spiOut } = { spiIn: 0, spiOut: 0 }] = children
        const what = `${spiI} ${spiR} ${[spiIn, spiOut].sort((a, b) => a - b).join(' ')}`
        seen.set(ends, [...(seen.get(ends) ?? []), what])
      }
    }
    for (const [ends, both] of seen) assert.equal(both[0], both[1], ends)
  }

  #toAllOthers(node: number): Connection[] {
    const others = this.hosts.map((_, other) => other).filter((other) => other !== node)
    return others.map((other) => this.#connection(node, other))
  }

  #connection(node: number, other: number): Connection {
    return connection({
      name: `to-${nameOf(other)}`,
      localAddresses: addresses(addressOf(node)),
      remoteAddresses: addresses(addressOf(other)),
      local: [authRound({ class: 'psk', id: parseIdentity(`${nameOf(node)}.lab`) })],
      remote: [authRound({ class: 'psk', id: parseIdentity(`${nameOf(other)}.lab`) })],
      keyingTries: 0,
      ...this.#options.connection,
      children: [
        child({
          name: `net-${nameOf(other)}`,
          localTs: [subnet(`10.${node + 1}.0.0/16`)],
          remoteTs: [subnet(`10.${other + 1}.0.0/16`)],
          startAction: { trap: false, start: true },
          dpdAction: { trap: false, start: true },
          ...this.#options.child,
        }),
      ],
    })
  }

  #host(name: string): Host {
    return this.hosts.find((host) => host.name === name) as Host // the network knows our names only
  }

  /** A node that is stopped takes what came meanwhile when it goes on. */
  #readyAt(flight: Flight): number {
    if (!this.hosts.some(({ stalled }) => stalled)) return flight.at
    const goal = this.net.goal(flight)
    return goal === undefined ? flight.at : Math.max(flight.at, this.#host(goal).stalledUntil)
  }

  /** Says who took it. */
  #arrive(flight: Flight): Host | undefined {
    const arrival = this.net.arrive(flight)
    if (arrival === undefined) return undefined
    const { host, source, destination, bytes } = arrival
    const goal = this.#host(host)
    goal.handle({ kind: 'datagram', local: destination, remote: source, bytes })
    return goal
  }
}

function stepOf(host: Host, act: () => void): () => Host {
  return () => {
    act()
    return host
  }
}

const longestStory = 400

/** `node01` for the first. */
export function nameOf(node: number): string {
  return `node${String(node + 1).padStart(2, '0')}`
}

/** Where a node is. */
export function addressOf(node: number): string {
  return `192.0.2.${node + 1}`
}
