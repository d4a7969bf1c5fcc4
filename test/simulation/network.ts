/**
 * The network between simulated hosts: datagrams in flight, the faults they meet, and NAT boxes on the way. Time is
 * given by the caller.
 */
import type { EspPacket } from '../../src/kernel/simulated/packet.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { Draw } from './draw.ts'

/** A datagram on its way. */
export interface Flight {
  readonly number: number
  readonly from: string
  /** As the wire shows it: behind the sender's NAT. */
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly bytes: Uint8Array
  /** What it is, for the drawing. */
  readonly label: string
  /** When it arrives (epoch milliseconds). */
  readonly at: number
}

/** A datagram at its goal: the last hop's translation is done. */
export interface Arrival {
  readonly host: string
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly bytes: Uint8Array
}

/** Probabilities per datagram and times in milliseconds. */
export interface Faults {
  readonly loss: number
  readonly duplication: number
  /** One octet of the datagram is changed. */
  readonly corruption: number
  readonly leastDelayMs: number
  readonly mostDelayMs: number
}

export const noFaults: Faults = { loss: 0, duplication: 0, corruption: 0, leastDelayMs: 0, mostDelayMs: 0 }

/**
 * A NAT with endpoint-independent mappings: every host behind it shows itself as `outside`, with ports of the box's
 * choice. `forwards` are ports that reach an inside host from outside without a mapping.
 */
export class NatBox {
  readonly outside: string
  readonly #inside: Set<string>
  readonly #forwards: ReadonlyMap<number, Endpoint>
  readonly #mappings = new Map<string, number>()
  #nextPort = 20_000

  constructor(outside: string, inside: readonly string[], forwards: ReadonlyMap<number, Endpoint> = new Map()) {
    this.outside = outside
    this.#inside = new Set(inside)
    this.#forwards = forwards
  }

  /** One more address is behind it. */
  hide(address: string): void {
    this.#inside.add(address)
  }

  isInside(address: string): boolean {
    return this.#inside.has(address)
  }

  outward(source: Endpoint): Endpoint {
    for (const [port, { address, port: insidePort }] of this.#forwards) {
      if (address === source.address && insidePort === source.port) return { address: this.outside, port }
    }
    const name = `${source.address} ${source.port}`
    let port = this.#mappings.get(name)
    if (port === undefined) {
      port = this.#nextPort++
      this.#mappings.set(name, port)
    }
    return { address: this.outside, port }
  }

  /** Where a datagram to this port of the box goes, if it passes. */
  inward(port: number): Endpoint | undefined {
    const forward = this.#forwards.get(port)
    if (forward !== undefined) return forward
    for (const [name, mapped] of this.#mappings) {
      const [address = '', insidePort] = name.split(' ')
      if (mapped === port) return { address, port: Number(insidePort) }
    }
    return undefined
  }

  /** Forgets all mappings: the next packets get new ports. */
  rebind(): void {
    this.#mappings.clear()
  }
}

export class Network {
  faults: Faults = noFaults
  /** Nothing passes while it is true. */
  partitioned = false
  /** Hosts that nothing reaches, and that reach nobody. */
  readonly cutOff: Set<string> = new Set<string>()
  readonly #draw: Draw
  readonly #addresses: (host: string) => readonly string[]
  readonly #hosts: readonly string[]
  readonly nats: readonly NatBox[]
  #flights: Flight[] = []
  #past: Flight[] = []
  #sent = 0
  #arrived: Arrival[] = []

  constructor(options: {
    readonly hosts: readonly string[]
    readonly addresses: (host: string) => readonly string[]
    readonly nats: readonly NatBox[]
    readonly draw: Draw
  }) {
    this.#hosts = options.hosts
    this.#addresses = options.addresses
    this.nats = options.nats
    this.#draw = options.draw
  }

  /** In the order in which they were sent. */
  get flights(): readonly Flight[] {
    return this.#flights
  }

  /** Some of the last datagrams that arrived. */
  get past(): readonly Flight[] {
    return this.#past
  }

  /** What has arrived since the last look. */
  takeArrived(): readonly Arrival[] {
    const arrived = this.#arrived
    this.#arrived = []
    return arrived
  }

  /** Puts a datagram on the wire: what becomes of it, as often as it flies. */
  transmit(
    from: string,
    source: Endpoint,
    destination: Endpoint,
    bytes: Uint8Array,
    label: string,
    now: number,
  ): Flight[] {
    const { loss, duplication, corruption, leastDelayMs, mostDelayMs } = this.faults
    const nat = this.nats.find((box) => box.isInside(source.address))
    const shown = nat === undefined ? source : nat.outward(source)
    const cut = this.partitioned || this.cutOff.has(from)
    const copies = cut || this.#draw.chance(loss) ? 0 : this.#draw.chance(duplication) ? 2 : 1
    const flights: Flight[] = []
    for (let i = 0; i < copies; i++) {
      const at = now + this.#draw.between(leastDelayMs, mostDelayMs)
      const flight = { number: ++this.#sent, from, source: shown, destination, bytes, label, at }
      flights.push(this.#draw.chance(corruption) ? this.#corrupted(flight) : flight)
    }
    this.#flights = [...this.#flights, ...flights]
    return flights
  }

  /** Sends a datagram a second time, also one that has arrived long ago. */
  duplicate(flight: Flight): void {
    this.#flights = [...this.#flights, { ...flight, number: ++this.#sent }]
  }

  /** Takes a datagram off the wire. */
  remove(flight: Flight): void {
    this.#flights = this.#flights.filter((other) => other !== flight)
  }

  /** The host that a datagram is on its way to. */
  goal(flight: Flight): string | undefined {
    const destination = this.#inward(flight.destination)
    return destination && this.#hostAt(destination.address)
  }

  /** Takes a datagram off the wire and says where it came to; undefined if nobody is there. */
  arrive(flight: Flight): Arrival | undefined {
    this.remove(flight)
    this.#past.push(flight)
    if (this.#past.length > 20) this.#past.shift()
    const destination = this.#inward(flight.destination)
    const host = destination && this.#hostAt(destination.address)
    if (host === undefined || destination === undefined || this.cutOff.has(host)) return undefined
    const arrival = { host, source: flight.source, destination, bytes: flight.bytes }
    this.#arrived.push(arrival)
    if (this.#arrived.length > 20) this.#arrived.shift()
    return arrival
  }

  /** Brings an ESP packet to its host at once; NATs lose what is not in UDP. */
  carry(packet: EspPacket): { readonly host: string; readonly packet: EspPacket } | undefined {
    const { encapsulation } = packet
    const crossesNat =
      this.nats.some((box) => box.isInside(packet.source)) ||
      this.nats.some((box) => box.outside === packet.destination)
    if (encapsulation === undefined) {
      const host = crossesNat ? undefined : this.#hostAt(packet.destination)
      return host === undefined ? undefined : { host, packet }
    }
    const from = { address: packet.source, port: encapsulation.sourcePort }
    const nat = this.nats.find((box) => box.isInside(from.address))
    const source = nat === undefined ? from : nat.outward(from)
    const goal = this.#inward({ address: packet.destination, port: encapsulation.destinationPort })
    const host = goal && this.#hostAt(goal.address)
    if (host === undefined || goal === undefined) return undefined
    const ports = { sourcePort: source.port, destinationPort: goal.port }
    return { host, packet: { ...packet, source: source.address, destination: goal.address, encapsulation: ports } }
  }

  #corrupted(flight: Flight): Flight {
    const bytes = Uint8Array.from(flight.bytes)
    const at = this.#draw.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#draw.below(8))
    return { ...flight, bytes, label: `${flight.label} (octet ${at} changed)` }
  }

  #inward(destination: Endpoint): Endpoint | undefined {
    const nat = this.nats.find((box) => box.outside === destination.address)
    return nat === undefined ? destination : nat.inward(destination.port)
  }

  #hostAt(address: string): string | undefined {
    return this.#hosts.find((host) => this.#addresses(host).includes(address))
  }
}
