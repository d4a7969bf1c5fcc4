/** A Child SA: the pair of ESP (or AH) states that an exchange made, with the policies and routes that lead to them. */
import { isDeepStrictEqual } from 'node:util'
import type { ChildConfig } from '../config/connection.ts'
import type { ChildKeys } from '../crypto/keys.ts'
import {
  KernelError,
  type KernelOperation,
  type KernelPolicy,
  type KernelRoute,
  type KernelSa,
  type SaId,
  type SaMode,
  type SaProtocol,
} from '../kernel/operations.ts'
import type { Path } from '../wire/endpoint.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import { policiesOf, routesFor, samePolicy } from './child-policies.ts'
import { type ChildLifetime, drawLifetime, idOf, kernelSas, relocated, wipe } from './child-states.ts'
import type { AnsweredRekey, FollowUps } from './collisions.ts'
import type { Core } from './core.ts'
import type { IkeSa } from './ike-sa.ts'
import type { IpcompAgreement } from './ipcomp.ts'
import type { Use } from './last-use.ts'
import type { Marking } from './marks.ts'
import type { ToldChildState } from './output.ts'
import type { ChildSuite, Selected } from './proposals.ts'
import { readdressed } from './relocation.ts'
import { kernel, type Script } from './script.ts'
import type { Timer } from './timers.ts'
import type { ChildSaState } from './view.ts'
import { type ChildUsage, ikeSaView } from './views.ts'

/** What the two sides agreed on. */
export interface ChildAgreement {
  readonly selected: Selected
  readonly suite: ChildSuite
  readonly mode: SaMode
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
  /** The peer takes packets with padding for traffic flow confidentiality (RFC 4303 §2.7). */
  readonly tfc: boolean
  /** Packets are compressed before they are protected. */
  readonly ipcomp?: IpcompAgreement
}

export class ChildSa {
  readonly uniqueId: number
  readonly config: ChildConfig
  readonly reqid: number
  readonly spiIn: number
  readonly spiOut: number
  readonly protocol: SaProtocol
  /** Rekeying keeps it. */
  readonly marking: Marking
  agreement: ChildAgreement
  #state: ChildSaState = 'CREATED'
  /** Our own request to delete it is on its way. */
  deleteSent = false
  /** We want it to go: nothing brings it back. */
  leaving = false
  /** The peer has said that it does not know it. */
  doubted = false
  installedAtMs: number | undefined
  /** We were the initiator of the exchange that made it. */
  initiated = false
  /** Which children had been begun when it was installed: all up to this unique id. */
  installedAfter = 0
  lifetime: ChildLifetime = { limits: {} }
  /** Kernel objects that exist because of this SA. */
  #in: KernelSa | undefined
  #out: KernelSa | undefined
  /** The outbound state of an SA that is to take over later; its outbound policies come with it. */
  #deferred: KernelSa | undefined
  readonly #timers = new Map<'linger' | 'retry' | 'idle' | 'switch', Timer>()
  /** Those that send in its place once it goes (take-over.ts). */
  readonly heirs: Set<ChildSa> = new Set()
  /** In whose place it will send. */
  heirOf: ChildSa | undefined
  /** No packet is known to have used it since (epoch milliseconds). */
  idleSinceMs = 0
  /** What the kernel had counted when it was asked last. */
  usage: ChildUsage | undefined
  /** What the last looks at its states have shown. */
  readonly uses: { in?: Use; out?: Use } = {}
  /** The peer's own rekeying of this SA, which we have answered (collisions.ts). */
  theirRekey: AnsweredRekey<ChildSa> | undefined
  readonly followUps: FollowUps = { ours: false, theirs: undefined }
  /** The IKE SA it belongs to; a rekeyed one hands it on. */
  owner: IkeSa
  /** What has taken its place by rekeying. */
  replacedBy: ChildSa | undefined
  readonly #policies: KernelPolicy[] = []
  readonly #routes: KernelRoute[] = []

  constructor(options: {
    uniqueId: number
    config: ChildConfig
    owner: IkeSa
    reqid: number
    spiIn: number
    spiOut: number
    agreement: ChildAgreement
    marking: Marking
  }) {
    this.owner = options.owner
    this.uniqueId = options.uniqueId
    this.config = options.config
    this.reqid = options.reqid
    this.spiIn = options.spiIn
    this.spiOut = options.spiOut
    this.agreement = options.agreement
    this.marking = options.marking
    this.protocol = options.agreement.suite.protocol
  }

  get name(): string {
    return this.config.name
  }

  get state(): ChildSaState {
    return this.#state
  }

  set state(state: ChildSaState) {
    if (state === this.#state) return
    this.#state = state
    if (isTold(state)) tellState(this, state)
  }

  get encapsulated(): boolean {
    return this.#in?.encapsulation !== undefined
  }

  /** The peer has not shown yet that it has our answer: we do not send on it. */
  get awaited(): boolean {
    return this.#deferred !== undefined
  }

  get inboundId(): SaId | undefined {
    return this.#in && idOf(this.#in)
  }

  get outboundId(): SaId | undefined {
    return this.#out && idOf(this.#out)
  }

  /**
   * Installs both states, then the policies, then the routes. What is installed is remembered at once, so that
   * `uninstall` can take back whatever there is when something fails or the script ends in between.
   * @param deferOutbound the outbound half waits for `enableOutbound`: as responder, where another SA carries the packets
   * so far, because the peer cannot receive on it before it has our answer (RFC 7296 §2.8), and for an SA that is redundant
   * from the beginning
   * @param sequence of the acquire that this answers
   * @param at where the SPI was reserved: states are made there and then follow the IKE SA
   * @throws KernelError
   */
  *install(
    sa: IkeSa,
    keys: { readonly ours: ChildKeys; readonly theirs: ChildKeys },
    deferOutbound = false,
    at: Path = sa,
    sequence?: number,
  ): Script<void> {
    this.state = 'INSTALLING'
    this.lifetime = drawLifetime(sa.core, this.config)
    const states = kernelSas(sa, this, keys, at, sequence)
    this.#in = states.in
    if (deferOutbound) this.#deferred = states.out
    yield* kernel({ kind: 'install-sa', sa: states.in, larval: true })
    if (!deferOutbound) {
      this.#out = states.out
      yield* kernel({ kind: 'install-sa', sa: states.out, larval: false })
    }
    if (this.config.policies) {
      for (const policy of this.#policiesBetween(sa.local.address, sa.remote.address)) {
        if (policy.direction === 'out' && deferOutbound) continue
        this.#policies.push(policy)
        const operation = sa.core.policies.add(policy, this)
        if (operation?.kind === 'install-policy') yield* kernel(operation)
      }
      yield* this.#installRoutes(sa)
    }
    yield* this.move(sa)
    this.state = 'INSTALLED'
    this.installedAtMs = sa.core.now
  }

  #policiesBetween(local: string, remote: string): KernelPolicy[] {
    const { config, agreement, reqid, protocol, spiOut } = this
    if (!config.policies) return []
    const { ipcomp } = agreement
    const outbound = { spi: spiOut, ...(ipcomp && { cpi: ipcomp.cpiOut }) }
    return policiesOf(local, remote, this, reqid, false, protocol, outbound)
  }

  *#installRoutes(sa: IkeSa): Script<void> {
    const { settings, policies } = sa.core
    if (!settings.installRoutes || this.agreement.mode !== 'tunnel' || this.marking.ifIdOut !== undefined) return
    for (const route of yield* routesFor(sa.core, sa.local.address, sa.remote.address, this.agreement)) {
      this.#routes.push(route)
      const operation = policies.addRoute(route, this)
      if (operation?.kind !== 'add-route') continue
      try {
        yield* kernel(operation)
      } catch (error) {
        // The tunnel works for traffic that is routed some other way: say so and go on.
        sa.core.log('KNL', 1, error instanceof Error ? error.message : String(error), sa, 'warn')
      }
    }
  }

  /** Which SA carries the packets that this one would carry, if there is one already. */
  predecessor({ core, local, remote }: IkeSa): ChildSa | undefined {
    const [policy] = this.#policiesBetween(local.address, remote.address).filter(({ direction }) => direction === 'out')
    const owner = policy && core.policies.inForce(policy)
    if (!(owner instanceof ChildSa) || owner.#out === undefined) return undefined
    const { source, destination } = owner.#out
    return source === local.address && destination === remote.address ? owner : undefined
  }

  /**
   * Installs a deferred outbound half: once this is over, nothing is sent on the SA that this one replaces.
   * @param failed hears that the kernel refused
   */
  *sendOnIt(core: Core, failed: (error: Error) => void): Script<void> {
    const state = this.#deferred
    if (state === undefined) return
    this.enableOutbound(core, failed)
    yield* performed(state)
  }

  /** Before it goes: another SA sends what both can, if there is one. */
  *stepAside(core: Core): Script<void> {
    const state = this.#out
    const operations = this.#policies.flatMap((policy) => core.policies.stepBack(policy, this) ?? [])
    core.policies.perform(operations)
    if (state !== undefined && operations.length > 0) yield* performed(state)
  }

  /** The same for those who cannot wait. */
  enableOutbound(core: Core, failed: (error: Error) => void): void {
    let refused = false
    const fail = (error: Error): void => {
      if (refused) return
      refused = true
      this.#giveUpOutbound(core)
      failed(error)
    }
    for (const operation of this.#beginOutbound(core))
      core.startJob({ kind: 'kernel', operation }, { resume: () => {}, fail })
  }

  /**
   * The operations of the deferred half. From here on it is remembered as installed: an SA that goes in the meantime
   * does not take the policy with it.
   */
  #beginOutbound(core: Core): KernelOperation[] {
    const state = this.#deferred
    if (state === undefined) return []
    this.#deferred = undefined
    this.#timers.get('switch')?.clear()
    this.heirOf?.heirs.delete(this)
    this.#out = state
    const policies = this.#policiesBetween(state.source, state.destination).filter(
      ({ direction }) => direction === 'out',
    )
    this.#policies.push(...policies)
    const operations = policies.map((policy) => core.policies.add(policy, this))
    return [
      { kind: 'install-sa', sa: state, larval: false },
      ...operations.filter((operation) => operation !== undefined),
    ]
  }

  #giveUpOutbound(core: Core): void {
    const ours = this.#policies.filter(({ direction }) => direction === 'out')
    for (const policy of ours) {
      this.#policies.splice(this.#policies.indexOf(policy), 1)
      core.policies.perform(core.policies.remove(policy, this))
    }
    this.#remove(core, this.owner, this.#out)
    this.#out = undefined
  }

  /**
   * Stops sending on a replaced SA, and keeps receiving for packets under way; its owner forgets it when that ends too, after
   * `ended` was called.
   */
  retire(core: Core, lingerMs: number, ended: () => void): void {
    this.state = 'DELETED'
    this.#withdraw(core)
    if (this.#out !== undefined) core.lingering.add(this.#out)
    this.#out = undefined
    this.#clearTimers()
    const endsAtMs = lingerMs > 0 ? core.now + lingerMs : (this.lifetime.expireAtMs ?? core.now)
    this.after(core, 'linger', Math.max(0, endsAtMs - core.now), () => {
      ended()
      this.owner.removeChild(this)
    })
  }

  /** Does something later, in place of what was to be done for the same reason, unless this SA is gone by then. */
  after(core: Core, why: 'linger' | 'retry' | 'idle' | 'switch', ms: number, action: () => void): void {
    this.#timers.get(why)?.clear()
    this.#timers.set(why, core.timers.set(core.now + ms, action))
  }

  #clearTimers(): void {
    for (const timer of this.#timers.values()) timer.clear()
    this.#timers.clear()
  }

  /** Removes everything of this SA from the kernel, in the reverse order. Nobody waits for it. */
  uninstall(core: Core, sa?: IkeSa): void {
    this.#clearTimers()
    this.heirOf?.heirs.delete(this)
    if (this.#withdraw(core)) {
      for (const state of [this.#out, this.#in]) if (state !== undefined) core.lingering.add(state)
    } else {
      this.#remove(core, sa, this.#out)
      this.#remove(core, sa, this.#in)
      core.lingering.end(this.reqid)
    }
    this.#out = undefined
    this.#in = undefined
    if (this.#deferred !== undefined) wipe(this.#deferred)
    this.#deferred = undefined
  }

  /**
   * Gives back policies and routes; those that another SA or a trap wants as well stay in the kernel.
   * @returns whether another SA goes on sending in place of this one
   */
  #withdraw(core: Core): boolean {
    const { policies } = core
    for (const route of this.#routes.splice(0).reverse()) policies.perform(policies.removeRoute(route, this))
    let replaced = false
    for (const policy of this.#policies.splice(0).reverse()) {
      policies.perform(policies.remove(policy, this))
      if (policy.direction === 'out') replaced ||= policies.inForce(policy) instanceof ChildSa
    }
    return replaced
  }

  #remove(core: Core, sa: IkeSa | undefined, state: KernelSa | undefined): void {
    if (state === undefined) return
    // Operations are performed in order: once the removal is done, nobody reads the keys any more.
    core.kernel({ kind: 'delete-sa', id: idOf(state) }, sa, () => wipe(state))
  }

  /** Whether the states are where the IKE SA is. */
  isAt(sa: IkeSa): boolean {
    return this.#in === undefined || isDeepStrictEqual(this.#in, relocated(this.#in, sa, this.agreement))
  }

  /**
   * Moves both states to the SA's present addresses and ports; policies and routes follow when the addresses changed.
   * What is new is remembered before the kernel has it: whoever removes the child meanwhile removes it by its new name.
   * @throws KernelError
   */
  *move(sa: IkeSa): Script<void> {
    if (this.#in === undefined || this.isAt(sa)) return
    const { core, local, remote } = sa
    const wasInstalled = this.state === 'INSTALLED'
    if (wasInstalled) tellState(this, 'UPDATING')
    const { localTs, remoteTs } = this.agreement
    this.idleSinceMs = core.now // Linux forgets when a state that moves was used
    this.agreement = {
      ...this.agreement,
      localTs: readdressed(localTs, this.#in.destination, local.address),
      remoteTs: readdressed(remoteTs, this.#in.source, remote.address),
    }
    const at = { local, remote, udpEncapsulation: sa.udpEncapsulation }
    if (this.#deferred !== undefined) this.#deferred = relocated(this.#deferred, at, this.agreement)
    const old = this.#policies.splice(0)
    const wanted = this.#policiesBetween(local.address, remote.address).filter(
      ({ direction }) => old.length > 0 && (direction !== 'out' || this.#out !== undefined),
    )
    this.#policies.push(...wanted)
    using afterwards = new DisposableStack()
    afterwards.defer(() => {
      const replaced = old.filter((policy) => !wanted.some((other) => samePolicy(policy, other)))
      for (const policy of replaced) core.policies.perform(core.policies.remove(policy, this))
    })
    // The new ones first, and in place where the selectors are the same: in between a packet would leave in clear. Of
    // packets that ask for an SA in between, the kernel forgets the question when the state comes.
    yield* this.#movePolicies(
      core,
      wanted.filter(({ direction }) => direction === 'out'),
    )
    if (this.#out !== undefined) {
      const before = idOf(this.#out)
      this.#out = relocated(this.#out, at, this.agreement)
      yield* kernel({ kind: 'move-sa', id: before, sa: this.#out })
    }
    if (this.#in !== undefined) {
      const before = idOf(this.#in)
      this.#in = relocated(this.#in, at, this.agreement)
      yield* kernel({ kind: 'move-sa', id: before, sa: this.#in })
    }
    yield* this.#movePolicies(
      core,
      wanted.filter(({ direction }) => direction !== 'out'),
    )
    yield* this.#moveRoutes(sa)
    if (wasInstalled && this.state === 'INSTALLED') tellState(this, 'INSTALLED')
  }

  /** Those that have been removed meanwhile stay away. */
  *#movePolicies(core: Core, policies: readonly KernelPolicy[]): Script<void> {
    for (const policy of policies) {
      if (!this.#policies.includes(policy)) return
      const operation = core.policies.update(policy, this)
      if (operation?.kind === 'install-policy') yield* kernel(operation)
    }
  }

  /** The way to the peer is another one: so are the routes into the tunnel. */
  *#moveRoutes(sa: IkeSa): Script<void> {
    const { policies } = sa.core
    if (this.#routes.length === 0) return
    const wanted = yield* routesFor(sa.core, sa.local.address, sa.remote.address, this.agreement)
    if (this.#policies.length === 0 || isDeepStrictEqual(wanted, this.#routes)) return
    for (const route of this.#routes.splice(0)) policies.perform(policies.removeRoute(route, this))
    yield* this.#installRoutes(sa)
  }
}

/** Waits for what has been asked of the kernel: operations are performed in order, and with the last one all are. */
function* performed(state: KernelSa): Script<void> {
  try {
    yield* kernel({ kind: 'query-sa', id: idOf(state) })
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
  }
}

function isTold(state: ChildSaState): state is ToldChildState {
  return state === 'INSTALLING' || state === 'INSTALLED' || state === 'REKEYING' || state === 'REKEYED'
}

/** Says that a Child SA is in this state. */
export function tellState(child: ChildSa, state: ToldChildState): void {
  const view = ikeSaView(child.owner, [child])
  const ikeSa = { ...view, children: view.children.map((one) => ({ ...one, state })) }
  child.owner.core.event({ kind: 'child-state', state, ikeSa })
}
