/**
 * The kernel in memory: performs the operations at once, refuses what Linux refuses, and moves packets the way that
 * xfrm_policy.c, xfrm_state.c, xfrm_input.c and xfrm_output.c do. Nothing in it reads a clock: the caller says what
 * time it is.
 */
import type { Random } from '../../crypto/random.ts'
import {
  KernelError,
  type KernelEvent,
  type KernelOperation,
  type KernelPolicy,
  type KernelResults,
  type KernelRoute,
  type KernelSelector,
  type PolicyTemplate,
  type SaProtocol,
} from '../operations.ts'
import { type Flow, familyOf, inSubnet, selects } from './address.ts'
import { tagOf } from './algorithms.ts'
import type { EspPacket, Packet, ReceiveOutcome, SendOutcome, XfrmCounter } from './packet.ts'
import { PolicyTable } from './policies.ts'
import { larvalState, type State, StateTable, validState } from './states.ts'

export interface SimulatedKernelOptions {
  /** Addresses of the host, the first of a family is the preferred one. */
  readonly addresses: readonly string[]
  readonly random: Random
  /** What the kernel has been built with; everything by default. */
  readonly protocols?: readonly { readonly protocol: SaProtocol; readonly family: 4 | 6 }[]
  /** net.core.xfrm_acq_expires: life of larval and acquire states. charon sets 165. */
  readonly acquireSeconds?: number
  /** Next hop of every route. */
  readonly gateway?: string
  readonly interface?: string
}

/** Refuses the `nth` operation (from 1, counted from now on) of a kind. */
export interface Fault {
  readonly kind: KernelOperation['kind']
  readonly nth: number
  readonly errno: string
}

export class SimulatedKernel {
  readonly #random: Random
  readonly #protocols: SimulatedKernelOptions['protocols']
  readonly #acquireMs: number
  readonly #gateway: string | undefined
  readonly #interface: string | undefined
  readonly #addresses: string[]
  readonly #states = new StateTable()
  readonly #policies = new PolicyTable()
  readonly #routes: KernelRoute[] = []
  readonly #counters = new Map<XfrmCounter, number>()
  #added: string[] = []
  #faults: { readonly fault: Fault; left: number }[] = []
  #events: KernelEvent[] = []
  #acquireSequence = 0
  #now = 0

  constructor(options: SimulatedKernelOptions) {
    this.#random = options.random
    this.#protocols = options.protocols
    this.#acquireMs = (options.acquireSeconds ?? 165) * 1000
    this.#gateway = options.gateway
    this.#interface = options.interface ?? 'eth0'
    this.#addresses = [...options.addresses]
  }

  /** All states: SAs, larval ones and the acquire states (SPI 0) that the kernel made by itself. */
  get states(): readonly Readonly<State>[] {
    return this.#states.all
  }

  get policies(): readonly KernelPolicy[] {
    return this.#policies.all
  }

  get routes(): readonly KernelRoute[] {
    return this.#routes
  }

  /** Addresses that `add-address` added, in order: each once for each of its users. */
  get addedAddresses(): readonly string[] {
    return this.#added
  }

  get addresses(): readonly string[] {
    return [...new Set([...this.#addresses, ...this.#added])]
  }

  /** How often each counter of xfrm_stat was raised. */
  get counters(): ReadonlyMap<XfrmCounter, number> {
    return this.#counters
  }

  /** From now on one operation will be refused. */
  refuse(fault: Fault): void {
    this.#faults.push({ fault, left: fault.nth })
  }

  /** The operations that will be refused, in order. */
  get willRefuse(): readonly KernelOperation['kind'][] {
    return this.#faults.map(({ fault }) => fault.kind)
  }

  /** Forgets the refusals that have not happened. */
  forgive(): void {
    this.#faults = []
  }

  /** The host's own addresses changed (not those of `add-address`). Raises `roam`. */
  readdress(addresses: readonly string[]): void {
    this.#addresses.splice(0, this.#addresses.length, ...addresses)
    this.#events.push({ kind: 'roam' })
  }

  /** Carries out one operation at `now` (epoch milliseconds), or throws KernelError and changes nothing. */
  perform<K extends KernelOperation['kind']>(
    operation: Extract<KernelOperation, { kind: K }>,
    now: number,
  ): KernelResults[K]
  perform(operation: KernelOperation, now: number): KernelResults[KernelOperation['kind']] {
    this.advance(now)
    this.#meetFault(operation.kind)
    switch (operation.kind) {
      case 'allocate-spi':
        return this.#allocateSpi(operation)
      case 'install-sa':
        return this.#installSa(operation)
      case 'move-sa':
        return this.#moveSa(operation)
      case 'delete-sa': {
        const state = this.#states.locate(operation.id)
        if (state === undefined) throw new KernelError('delete-sa', 'ESRCH', undefined, spiText(operation.id.spi))
        this.#states.remove(state)
        return undefined
      }
      case 'query-sa': {
        const state = this.#states.locate(operation.id)
        if (state === undefined) return undefined
        const { bytes, packets, lastUsedMs } = state
        return { bytes, packets, ...(lastUsedMs !== undefined && { lastUsedMs }) }
      }
      case 'install-policy':
        this.#policies.install(operation.policy, operation.replace)
        return undefined
      case 'delete-policy':
        this.#policies.remove(operation.key)
        return undefined
      case 'route-lookup':
        return this.#routeLookup(operation)
      case 'local-addresses':
        return [...this.#addresses]
      case 'add-route': {
        const text = routeText(operation.route)
        if (this.#routes.some((route) => routeText(route) === text)) throw new KernelError('add-route', 'EEXIST')
        this.#routes.push(operation.route)
        return undefined
      }
      case 'delete-route': {
        const text = routeText(operation.route)
        const at = this.#routes.findIndex((route) => routeText(route) === text)
        if (at < 0) throw new KernelError('delete-route', 'ESRCH', undefined, text)
        this.#routes.splice(at, 1)
        return undefined
      }
      case 'add-address':
        this.#added.push(operation.address)
        return undefined
      case 'delete-address': {
        const at = this.#added.indexOf(operation.address)
        if (at < 0) throw new KernelError('delete-address', 'EADDRNOTAVAIL')
        this.#added.splice(at, 1)
        return undefined
      }
      case 'flush':
        this.#states.clear()
        this.#policies.clear()
        this.#routes.length = 0
        this.#added = []
        return undefined
    }
  }

  /** Lets time pass: states expire. Must be called with times that do not go back. */
  advance(now: number): void {
    if (now < this.#now) return
    this.#now = now
    const due = this.#due
    if (due === undefined || due > now) return
    for (const state of this.#states.all) {
      if (hardAt(state, this.#acquireMs) <= now) {
        this.#states.remove(state)
        this.#expire(state, true)
      } else if (!state.dying && softAt(state) <= now) {
        state.dying = true
        this.#expire(state, false)
      }
    }
  }

  /** When `advance` should be called next, if nothing else happens. */
  get deadline(): number | undefined {
    return this.#due
  }

  /** The events since the last call. */
  drain(): KernelEvent[] {
    const events = this.#events
    this.#events = []
    return events
  }

  /** A local program, or a host behind this one, sends a packet. */
  send(packet: Packet, now: number): SendOutcome {
    this.advance(now)
    const mark = packet.mark ?? 0
    const policy = this.#policies.lookup('out', packet, mark, packet.ifId ?? 0)
    if (policy === undefined || policy.action === 'pass') return { kind: 'plain', packet }
    if (policy.action === 'drop') return this.#drop('XfrmOutPolBlock')
    // Nested templates are for IPComp and AH around ESP, which nobody here installs.
    const template = policy.templates[0]
    if (template === undefined) return { kind: 'plain', packet }
    const state = this.#outboundState(template, packet, policy)
    if (state === undefined) return this.#drop('XfrmOutNoStates')
    return this.#seal(state, packet)
  }

  /** A sealed packet comes in; `sourcePort` of the encapsulation may be what a NAT made of it. */
  receive(packet: EspPacket, now: number): ReceiveOutcome {
    this.advance(now)
    const state = this.#states.find(packet.protocol, packet.spi, packet.destination, packet.inner.mark ?? 0)
    if (state === undefined) return this.#drop('XfrmInNoStates')
    if (state.sa === undefined || state.seal === undefined) return this.#drop('XfrmAcquireError')
    if ((state.sa.encapsulation !== undefined) !== (packet.encapsulation !== undefined)) {
      return this.#drop('XfrmInStateMismatch')
    }
    const sequence = state.replay.whole(packet.sequence)
    if (!state.replay.fits(sequence)) return this.#drop('XfrmInStateSeqError')
    if (!this.#withinLimits(state)) return this.#drop('XfrmInStateExpired')
    if (tagOf(state.seal, sealedText(packet, sequence)) !== packet.tag) return this.#drop('XfrmInStateProtoError')
    if (packet.mode !== state.mode) return this.#drop('XfrmInStateModeError')
    state.replay.accept(sequence)
    this.#count(state, packet.inner.length)
    this.#noteMapping(state, packet)
    const delivered = restored(packet)
    if (state.sa.selector !== undefined && !selects(state.sa.selector, delivered)) {
      return this.#drop('XfrmInStateMismatch')
    }
    return this.#deliver(delivered, state)
  }

  /** A packet comes in without protection. */
  receivePlain(packet: Packet, now: number): ReceiveOutcome {
    this.advance(now)
    return this.#deliver(packet, undefined)
  }

  #meetFault(kind: KernelOperation['kind']): void {
    let met: Fault | undefined
    for (const entry of this.#faults) if (entry.fault.kind === kind && --entry.left === 0) met ??= entry.fault
    this.#faults = this.#faults.filter((entry) => entry.left > 0)
    if (met !== undefined) throw new KernelError(kind, met.errno, 'a fault of the simulation')
  }

  #allocateSpi(operation: Extract<KernelOperation, { kind: 'allocate-spi' }>): { spi: number } {
    const { protocol, source, destination, reqid, min, max } = operation
    if (min < 1 || min > max) throw new KernelError('allocate-spi', 'EINVAL', undefined, `${min} to ${max}`)
    for (let tries = 0; tries < 64; tries++) {
      const drawn = Buffer.from(this.#random(4)).readUInt32BE()
      const spi = min + (drawn % (max - min + 1))
      if (this.#states.find(protocol, spi, destination, 0) !== undefined) continue
      // ALLOCSPI does not know the mode of the SA to come; it plays no part for a state with an SPI.
      this.#states.add(larvalState({ protocol, spi, source, destination }, reqid, 'tunnel', 0, this.#now))
      return { spi }
    }
    throw new KernelError('allocate-spi', 'ENOENT', undefined, 'no free SPI')
  }

  #installSa(operation: Extract<KernelOperation, { kind: 'install-sa' }>): undefined {
    const { sa, larval } = operation
    this.#haveProtocol('install-sa', sa.protocol, familyOf(sa.destination))
    const state = validState('install-sa', sa, this.#now)
    const old = this.#states.locate(sa)
    if (larval) {
      if (old === undefined) throw new KernelError('install-sa', 'ESRCH', undefined, `no larval ${spiText(sa.spi)}`)
      // UPDSA of a state that lives changes limits but no keys; the core never means that.
      if (old.kind === 'valid') throw new KernelError('install-sa', 'EEXIST', undefined, spiText(sa.spi))
      this.#states.remove(old)
    } else if (old !== undefined) {
      throw new KernelError('install-sa', 'EEXIST', undefined, spiText(sa.spi))
    }
    this.#states.add(state)
    this.#states.endAcquire(sa)
    return undefined
  }

  #moveSa(operation: Extract<KernelOperation, { kind: 'move-sa' }>): undefined {
    const { id, sa } = operation
    const old = this.#states.locate(id)
    if (old === undefined || old.kind !== 'valid') {
      throw new KernelError('move-sa', 'ESRCH', undefined, spiText(id.spi))
    }
    this.#haveProtocol('move-sa', sa.protocol, familyOf(sa.destination))
    const state = validState('move-sa', sa, this.#now)
    const there = this.#states.locate(sa)
    if (there !== undefined && there !== old) throw new KernelError('move-sa', 'EEXIST', undefined, spiText(sa.spi))
    this.#states.remove(old)
    const { addedMs, replay, sent, bytes, packets, lastUsedMs, dying } = old
    this.#states.add({ ...state, addedMs, replay, sent, bytes, packets, lastUsedMs, dying })
    this.#states.endAcquire(sa)
    return undefined
  }

  #haveProtocol(kind: KernelOperation['kind'], protocol: SaProtocol, family: 4 | 6): void {
    if (this.#protocols?.some((have) => have.protocol === protocol && have.family === family) ?? true) return
    const module = `${protocol.toLowerCase()}${family}`
    throw new KernelError(kind, 'EPROTONOSUPPORT', `the kernel has no ${protocol} for IPv${family}: load ${module}`)
  }

  #routeLookup(operation: Extract<KernelOperation, { kind: 'route-lookup' }>): KernelResults['route-lookup'] {
    const { remote, local, within } = operation
    const addresses = this.addresses
    const family = familyOf(remote)
    const source =
      local !== undefined && addresses.includes(local)
        ? local
        : addresses.find((address) => familyOf(address) === family)
    const localWithin = within && addresses.find((address) => inSubnet(address, within.address, within.prefix))
    return {
      ...(source !== undefined && { source }),
      ...(source !== undefined && this.#gateway !== undefined && { gateway: this.#gateway }),
      ...(source !== undefined && this.#interface !== undefined && { interface: this.#interface }),
      ...(localWithin !== undefined && { localWithin }),
    }
  }

  get #due(): number | undefined {
    let due = Number.POSITIVE_INFINITY
    for (const state of this.#states.all) {
      due = Math.min(due, hardAt(state, this.#acquireMs), state.dying ? Number.POSITIVE_INFINITY : softAt(state))
    }
    return due === Number.POSITIVE_INFINITY ? undefined : due
  }

  #expire(state: State, hard: boolean): void {
    const { protocol, spi, destination } = state
    this.#events.push({ kind: 'expire', protocol, spi, destination, hard })
  }

  /** xfrm_state_find(): the best state of the template, or an acquire if there is none and none is on its way. */
  #outboundState(template: PolicyTemplate, packet: Packet, policy: KernelPolicy): State | undefined {
    const [source, destination] = outerOf(template, packet)
    let best: State | undefined
    let acquiring = false
    for (const state of this.#states.all) {
      const fits =
        state.protocol === template.protocol &&
        state.reqid === template.reqid &&
        state.mode === template.mode &&
        state.destination === destination &&
        state.source === source &&
        state.ifId === (packet.ifId ?? 0) &&
        (template.spi === undefined || template.spi === 0 || template.spi === state.spi)
      if (!fits) continue
      if (state.kind !== 'valid') acquiring ||= state.kind === 'acquire'
      else if (
        state.sa?.direction === 'out' &&
        (state.sa.selector === undefined || selects(state.sa.selector, packet))
      ) {
        if (best === undefined || betterThan(state, best)) best = state
      }
    }
    if (best !== undefined || acquiring) return best
    const { protocol, reqid, mode } = template
    this.#states.add(larvalState({ protocol, spi: 0, source, destination }, reqid, mode, packet.ifId ?? 0, this.#now))
    const sequence = ++this.#acquireSequence
    const event = { kind: 'acquire', reqid, protocol, source, destination, sequence } as const
    this.#events.push({ ...event, packet: packetSelector(packet, policy.selector.family) })
    return undefined
  }

  #seal(state: State, packet: Packet): SendOutcome {
    const { sa, seal } = state
    if (sa === undefined || seal === undefined) return this.#drop('XfrmOutNoStates')
    if (!this.#withinLimits(state)) return this.#drop('XfrmOutStateExpired')
    if (!sa.esn && state.sent >= 0xffff_ffff) return this.#drop('XfrmOutStateSeqError')
    state.sent++
    this.#count(state, packet.length)
    const sealed = {
      protocol: state.protocol,
      source: state.source,
      destination: state.destination,
      ...(sa.encapsulation && { encapsulation: sa.encapsulation }),
      spi: state.spi,
      sequence: state.sent % 0x1_0000_0000,
      mode: state.mode,
      inner: packet,
    }
    return {
      kind: 'sealed',
      packet: { ...sealed, tag: tagOf(seal, sealedText(sealed, sa.esn ? state.sent : sealed.sequence)) },
    }
  }

  /** __xfrm_policy_check(): inbound policies ask whether the packet came as they demand. */
  #deliver(packet: Packet, state: State | undefined): ReceiveOutcome {
    const direction = this.addresses.includes(packet.destination) ? 'in' : 'fwd'
    const mark = packet.mark ?? 0
    const policy = this.#policies.lookup(direction, packet, mark, packet.ifId ?? state?.ifId ?? 0)
    if (policy === undefined) {
      if (state !== undefined && state.mode !== 'transport') return this.#drop('XfrmInNoPols')
    } else if (policy.action === 'drop') {
      return this.#drop('XfrmInPolBlock')
    } else {
      const template = policy.templates[0]
      const met = template === undefined ? state === undefined || state.mode === 'transport' : meets(state, template)
      if (!met) return this.#drop('XfrmInTmplMismatch')
    }
    return { kind: 'delivered', packet, spi: state?.spi }
  }

  /** xfrm_state_check_expire(): reports limits in bytes and packets, and stops a state that is over them. */
  #withinLimits(state: State): boolean {
    const { hardBytes, hardPackets, softBytes, softPackets } = state.sa?.limits ?? {}
    const over = (limit: bigint | undefined, used: bigint): boolean => limit !== undefined && used >= limit
    if (over(hardBytes, state.bytes) || over(hardPackets, state.packets)) {
      this.#states.remove(state)
      this.#expire(state, true)
      return false
    }
    if (!state.dying && (over(softBytes, state.bytes) || over(softPackets, state.packets))) {
      state.dying = true
      this.#expire(state, false)
    }
    return true
  }

  #count(state: State, bytes: number): void {
    state.bytes += BigInt(bytes)
    state.packets++
    state.lastUsedMs = this.#now
  }

  /** esp_input_done2(): an authentic packet in UDP from another place than the state says. */
  #noteMapping(state: State, packet: EspPacket): void {
    const { sourcePort } = packet.encapsulation ?? {}
    if (sourcePort === undefined) return
    if (packet.source === state.source && sourcePort === state.sa?.encapsulation?.sourcePort) return
    const { spi, reqid, source } = state
    this.#events.push({ kind: 'mapping', spi, reqid, source, newSource: packet.source, newPort: sourcePort })
  }

  #drop(counter: XfrmCounter): { readonly kind: 'dropped'; readonly counter: XfrmCounter } {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1)
    return { kind: 'dropped', counter }
  }
}

/** `best` selection of xfrm_state_look_at(): not dying before dying, then the younger one. */
function betterThan(state: State, best: State): boolean {
  if (state.dying !== best.dying) return best.dying
  // Linux counts whole seconds here, and has the newest at the head of its list.
  return Math.floor(state.addedMs / 1000) >= Math.floor(best.addedMs / 1000)
}

/** xfrm_state_ok(): whether a packet that came by `state` is what the template demands. */
function meets(state: State | undefined, template: PolicyTemplate): boolean {
  if (state === undefined) return false
  return (
    state.protocol === template.protocol &&
    (template.spi === undefined || template.spi === 0 || template.spi === state.spi) &&
    (template.reqid === 0 || template.reqid === state.reqid) &&
    state.mode === template.mode &&
    (state.mode === 'transport' || (state.source === template.source && state.destination === template.destination))
  )
}

function outerOf(template: PolicyTemplate, packet: Packet): readonly [source: string, destination: string] {
  return template.mode === 'transport' ? [packet.source, packet.destination] : [template.source, template.destination]
}

/** What is inside after decapsulation: in transport mode the addresses are those of the outer header. */
function restored(packet: EspPacket): Packet {
  if (packet.mode !== 'transport') return packet.inner
  return { ...packet.inner, source: packet.source, destination: packet.destination }
}

/** Everything that the integrity check covers; never the outer header, which a NAT may change. */
function sealedText(packet: Omit<EspPacket, 'tag'>, sequence: number): string {
  const { id, family, source, destination, protocol, sourcePort, destinationPort, length } = packet.inner
  const addresses = packet.mode === 'transport' ? '' : `${family} ${source} ${destination}`
  return `${packet.spi} ${sequence} ${packet.mode} ${id} ${addresses} ${protocol} ${sourcePort} ${destinationPort} ${length}`
}

function packetSelector(flow: Flow, family: 4 | 6): KernelSelector {
  const prefix = family === 6 ? 128 : 32
  return {
    family,
    protocol: flow.protocol,
    source: { address: flow.source, prefix, port: flow.sourcePort, portMask: 0xffff },
    destination: { address: flow.destination, prefix, port: flow.destinationPort, portMask: 0xffff },
  }
}

function softAt(state: State): number {
  const seconds = state.sa?.limits.softSeconds
  return seconds === undefined ? Number.POSITIVE_INFINITY : state.addedMs + seconds * 1000
}

function hardAt(state: State, acquireMs: number): number {
  if (state.sa === undefined) return state.addedMs + acquireMs
  const seconds = state.sa.limits.hardSeconds
  return seconds === undefined ? Number.POSITIVE_INFINITY : state.addedMs + seconds * 1000
}

function routeText(route: KernelRoute): string {
  return `${route.table} ${route.family} ${route.destination.address}/${route.destination.prefix}`
}

function spiText(spi: number): string {
  return `SPI ${spi.toString(16).padStart(8, '0')}`
}
