/**
 * The kernel in memory: performs the operations at once, refuses what Linux refuses, and moves packets the way that
 * xfrm_policy.c, xfrm_state.c, xfrm_input.c and xfrm_output.c do. Nothing in it reads a clock: the caller says what
 * time it is.
 */
import type { Random } from '../../crypto/random.ts'
import { leftBehind, type TemplateEnds } from '../left-behind.ts'
import {
  KernelError,
  type KernelEvent,
  type KernelOperation,
  type KernelPolicy,
  type KernelResults,
  type KernelRoute,
  type KernelSa,
  type KernelTemplate,
  type PolicyTemplate,
  type SaId,
  type SaUsage,
  type StateProtocol,
  templatesOf,
} from '../operations.ts'
import { familyOf, inSubnet, selects } from './address.ts'
import { tagOf } from './algorithms.ts'
import type { EspPacket, Packet, ReceiveOutcome, SendOutcome, XfrmCounter } from './packet.ts'
import { betterThan, compressedFrom, meets, packetSelector, restored, sealedText } from './path.ts'
import { PolicyTable } from './policies.ts'
import { compressionState, larvalState, type State, StateTable, validState } from './states.ts'

export interface SimulatedKernelOptions {
  /** Addresses of the host, the first of a family is the preferred one. */
  readonly addresses: readonly string[]
  readonly random: Random
  /** What the kernel has been built with; everything by default. */
  readonly protocols?: readonly { readonly protocol: StateProtocol; readonly family: 4 | 6 }[]
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
        // At its hard limit a state goes alone: the IPComp state of it is still there.
        const states = [this.#states.locate(operation.id), this.#compressionOf(operation.id)]
        const there = states.filter((state) => state !== undefined)
        if (there.length === 0) throw new KernelError('delete-sa', 'ESRCH', undefined, spiText(operation.id.spi))
        for (const state of there) this.#states.remove(state)
        return undefined
      }
      case 'query-sa':
        return this.#usage(operation.id)
      case 'query-sas':
        return operation.ids.map((id) => this.#usage(id))
      case 'skip-sequence': {
        const state = this.#states.locate(operation.id)
        if (state === undefined) throw new KernelError('skip-sequence', 'ESRCH', undefined, spiText(operation.id.spi))
        state.sent += Number(operation.by)
        return undefined
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
    return this.begin(packet, now)(now)
  }

  /**
   * The same with time in between: the policy and the states are chosen now, and the packet goes on its way when the
   * result is called with the time of then. A state that has been deleted meanwhile carries nothing (xfrm_output_one()).
   */
  begin(packet: Packet, now: number): (now: number) => SendOutcome {
    this.advance(now)
    const chosen = this.#choose(packet)
    if (!Array.isArray(chosen)) return () => chosen
    return (then) => {
      this.advance(then)
      const state = chosen.at(-1)
      if (state === undefined) return { kind: 'plain', packet }
      if (chosen.some((one) => !this.#states.has(one))) return this.#drop('XfrmOutStateInvalid')
      const [compression] = chosen.length > 1 ? chosen : []
      return this.#seal(state, packet, compression)
    }
  }

  /** The states that a packet is to go through, or what becomes of it without. */
  #choose(packet: Packet): State[] | SendOutcome {
    const mark = packet.mark ?? 0
    const policy = this.#policies.lookup('out', packet, mark, packet.ifId ?? 0)
    if (policy === undefined || policy.action === 'pass') return { kind: 'plain', packet }
    if (policy.action === 'drop') return this.#drop('XfrmOutPolBlock')
    // xfrm_tmpl_resolve(): a template in transport mode goes between the addresses of the tunnel before it.
    let outer: readonly [source: string, destination: string] = [packet.source, packet.destination]
    const bundle: State[] = []
    for (const template of templatesOf(policy)) {
      if (template.mode !== 'transport') outer = [template.source, template.destination]
      const state = this.#outboundState(template, outer, packet, policy)
      if (state === undefined) return this.#drop('XfrmOutNoStates')
      bundle.push(state)
    }
    return bundle
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
    if (packet.ipcomp === undefined) return this.#deliver(delivered, [state])
    const compression = this.#decompressing(packet, packet.ipcomp)
    if (compression === undefined) return this.#drop('XfrmInNoStates')
    if (compression === 'none') return this.#deliver(delivered, [state])
    if (compression.mode !== packet.ipcomp.mode) return this.#drop('XfrmInStateModeError')
    this.#count(compression, packet.inner.length)
    return this.#deliver(delivered, [state, compression])
  }

  #usage(id: SaId): SaUsage | undefined {
    const state = this.#states.locate(id)
    if (state === undefined) return undefined
    const { bytes, packets, lastUsedMs } = state
    return { bytes, packets, ...(lastUsedMs !== undefined && { lastUsedMs }) }
  }

  /** The IPComp state that a packet comes by; what was not compressed in tunnel mode meets any of that tunnel. */
  #decompressing(packet: EspPacket, ipcomp: NonNullable<EspPacket['ipcomp']>): State | 'none' | undefined {
    const { source, destination } = packet
    if (ipcomp.cpi !== undefined) return this.#states.find('IPCOMP', ipcomp.cpi, destination, packet.inner.mark ?? 0)
    if (ipcomp.mode === 'transport') return 'none'
    return this.#states.all.find(
      (state) =>
        state.protocol === 'IPCOMP' &&
        state.kind === 'valid' &&
        state.mode === 'tunnel' &&
        state.source === source &&
        state.destination === destination,
    )
  }

  #compressionOf({ cpi, ...id }: SaId): State | undefined {
    return cpi === undefined ? undefined : this.#states.locate({ ...id, protocol: 'IPCOMP', spi: cpi })
  }

  /** The IPComp state of an SA takes the place of the one that was reserved for it, or of one that it had. */
  #installCompression(sa: KernelSa): void {
    const state = compressionState(sa, this.#now)
    if (state === undefined) return
    this.#haveProtocol('install-sa', 'IPCOMP', familyOf(sa.destination))
    const old = this.#states.locate(state)
    if (old?.kind === 'valid') throw new KernelError('install-sa', 'EEXIST', undefined, `CPI ${sa.cpi}`)
    if (old !== undefined) this.#states.remove(old)
    this.#states.add(state)
  }

  /**
   * A daemon starts after another that was killed, as the performer does it: what that has left behind goes, the rest of
   * it can be taken over. Routes that are there are taken as they are, which is as if there were none.
   * @returns the reqids that are still in use
   */
  startAnew(spis: { readonly min: number; readonly max: number }): readonly number[] {
    const left = leftBehind(this.#states.all, new Set(this.#addresses), spis)
    const ends = ({ mode, reqid, source, destination }: PolicyTemplate): TemplateEnds =>
      mode === 'transport' ? { reqid } : { reqid, source, destination }
    for (const policy of this.policies) if (left.hasPolicy(policy.templates.map(ends))) this.#policies.remove(policy)
    for (const state of this.states) if (left.hasState(state)) this.#states.remove(state)
    this.#policies.disown()
    this.#routes.length = 0
    const templates = this.policies.flatMap((policy) => policy.templates)
    return [...new Set([...this.states, ...templates].map(({ reqid }) => reqid))].filter((reqid) => reqid !== 0)
  }

  /** A packet comes in without protection. */
  receivePlain(packet: Packet, now: number): ReceiveOutcome {
    this.advance(now)
    return this.#deliver(packet, [])
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
    this.#installCompression(sa)
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
    const compression = this.#compressionOf(id)
    if (compression !== undefined) this.#states.remove(compression)
    this.#installCompression(sa)
    const { addedMs, replay, sent, bytes, packets, lastUsedMs, dying } = old
    this.#states.add({ ...state, addedMs, replay, sent, bytes, packets, lastUsedMs, dying })
    this.#states.endAcquire(sa)
    return undefined
  }

  #haveProtocol(kind: KernelOperation['kind'], protocol: StateProtocol, family: 4 | 6): void {
    if (this.#protocols?.some((have) => have.protocol === protocol && have.family === family) ?? true) return
    const module = protocol === 'IPCOMP' && family === 4 ? 'ipcomp' : `${protocol.toLowerCase()}${family}`
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
    if (protocol === 'IPCOMP') return // only one that was reserved, and of that the core needs no word
    this.#events.push({ kind: 'expire', protocol, spi, destination, hard })
  }

  /** xfrm_state_find(): the best state of the template, or an acquire if there is none and none is on its way. */
  #outboundState(
    template: KernelTemplate,
    [source, destination]: readonly [source: string, destination: string],
    packet: Packet,
    policy: KernelPolicy,
  ): State | undefined {
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
        (state.protocol === 'IPCOMP' || state.sa.selector === undefined || selects(state.sa.selector, packet))
      ) {
        if (best === undefined || betterThan(state, best)) best = state
      }
    }
    if (best !== undefined || acquiring) return best
    const { protocol, reqid, mode } = template
    const sequence = ++this.#acquireSequence
    const id = { protocol, spi: 0, source, destination }
    this.#states.add({ ...larvalState(id, reqid, mode, packet.ifId ?? 0, this.#now), sequence })
    if (protocol === 'IPCOMP') return undefined // the daemon hears of it, and does nothing
    const event = { kind: 'acquire', reqid, protocol, source, destination, sequence } as const
    this.#events.push({ ...event, packet: packetSelector(packet, policy.selector.family) })
    return undefined
  }

  #seal(state: State, packet: Packet, compression?: State): SendOutcome {
    const { sa, seal } = state
    const { protocol } = sa ?? {}
    if (sa === undefined || seal === undefined || protocol === undefined) return this.#drop('XfrmOutNoStates')
    if (!this.#withinLimits(state)) return this.#drop('XfrmOutStateExpired')
    if (!sa.esn && state.sent >= 0xffff_ffff) return this.#drop('XfrmOutStateSeqError')
    state.sent++
    this.#count(state, packet.length)
    if (compression !== undefined) this.#count(compression, packet.length)
    const cpi = packet.length < compressedFrom ? undefined : compression?.spi
    const sealed = {
      protocol,
      source: state.source,
      destination: state.destination,
      ...(sa.encapsulation && { encapsulation: sa.encapsulation }),
      spi: state.spi,
      sequence: state.sent % 0x1_0000_0000,
      mode: state.mode,
      ...(compression && { ipcomp: { mode: compression.mode, ...(cpi !== undefined && { cpi }) } }),
      inner: packet,
    }
    return {
      kind: 'sealed',
      packet: { ...sealed, tag: tagOf(seal, sealedText(sealed, sa.esn ? state.sent : sealed.sequence)) },
    }
  }

  /** __xfrm_policy_check(): inbound policies ask whether the packet came as they demand. */
  #deliver(packet: Packet, path: readonly State[]): ReceiveOutcome {
    const [state] = path
    const last = path.at(-1)
    const direction = this.addresses.includes(packet.destination) ? 'in' : 'fwd'
    const mark = packet.mark ?? 0
    const policy = this.#policies.lookup(direction, packet, mark, packet.ifId ?? last?.ifId ?? 0)
    if (policy === undefined) {
      if (path.some(({ mode }) => mode !== 'transport')) return this.#drop('XfrmInNoPols')
    } else if (policy.action === 'drop') {
      return this.#drop('XfrmInPolBlock')
    } else {
      if (!meets(path, templatesOf(policy))) return this.#drop('XfrmInTmplMismatch')
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
