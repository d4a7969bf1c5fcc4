/** A Child SA: the pair of ESP (or AH) states that an exchange made, with the policies and routes that lead to them. */
import { isDeepStrictEqual } from 'node:util'
import type { ChildConfig } from '../config/connection.ts'
import type { ChildKeys } from '../crypto/keys.ts'
import type { KernelPolicy, KernelRoute, KernelSa, SaId, SaMode, SaProtocol } from '../kernel/operations.ts'
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
import type { ChildSuite, Selected } from './proposals.ts'
import { readdressed } from './relocation.ts'
import { kernel, type Script } from './script.ts'
import type { Timer } from './timers.ts'
import type { ChildSaState } from './view.ts'

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
  state: ChildSaState = 'CREATED'
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
  /** The outbound state of a rekeying that we answered, until the old SA is deleted. */
  #deferred: KernelSa | undefined
  readonly #timers = new Map<'linger' | 'retry' | 'idle', Timer>()
  /** No packet is known to have used it since (epoch milliseconds). */
  idleSinceMs = 0
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
   * @param deferOutbound the outbound state waits for `enableOutbound`: as responder of a rekeying, because the peer
   * cannot receive on it before it has our answer (RFC 7296 §2.8), and for an SA that is redundant from the beginning
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
    yield* kernel({ kind: 'install-sa', sa: states.in, larval: true })
    if (deferOutbound) {
      this.#deferred = states.out
    } else {
      this.#out = states.out
      yield* kernel({ kind: 'install-sa', sa: states.out, larval: false })
    }
    if (this.config.policies) {
      for (const policy of policiesOf(sa.local.address, sa.remote.address, this, this.reqid, false)) {
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

  /**
   * Installs a deferred outbound state: once this is over, nothing is sent on the SA that this one replaces.
   * @throws KernelError
   */
  *sendOnIt(): Script<void> {
    const state = this.#deferred
    if (state === undefined) return
    this.#deferred = undefined
    this.#out = state
    try {
      yield* kernel({ kind: 'install-sa', sa: state, larval: false })
    } catch (error) {
      this.#out = undefined // there is nothing to remove
      wipe(state)
      throw error
    }
  }

  /** The same for those who cannot wait: `failed` hears that the kernel refused. */
  enableOutbound(core: Core, failed: (error: Error) => void): void {
    const state = this.#deferred
    if (state === undefined) return
    this.#deferred = undefined
    this.#out = state
    const job = { kind: 'kernel', operation: { kind: 'install-sa', sa: state, larval: false } } as const
    core.startJob(job, {
      resume: () => {},
      fail: (error) => {
        this.#out = undefined // there is nothing to remove
        wipe(state)
        failed(error)
      },
    })
  }

  /**
   * Stops sending on a replaced SA, and keeps receiving for packets under way; its owner forgets it when that ends too, after
   * `ended` was called.
   */
  retire(core: Core, lingerMs: number, ended: () => void): void {
    this.state = 'DELETED'
    this.#withdraw(core)
    this.#remove(core, this.owner, this.#out)
    this.#out = undefined
    this.#clearTimers()
    this.after(core, 'linger', lingerMs, () => {
      ended()
      this.owner.removeChild(this)
    })
  }

  /** Does something later, in place of what was to be done for the same reason, unless this SA is gone by then. */
  after(core: Core, why: 'linger' | 'retry' | 'idle', ms: number, action: () => void): void {
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
    this.#withdraw(core)
    this.#remove(core, sa, this.#out)
    this.#remove(core, sa, this.#in)
    this.#out = undefined
    this.#in = undefined
    if (this.#deferred !== undefined) wipe(this.#deferred)
    this.#deferred = undefined
  }

  /** Gives back policies and routes; those that another SA or a trap wants as well stay in the kernel. */
  #withdraw(core: Core): void {
    for (const route of this.#routes.splice(0).reverse()) core.policies.perform(core.policies.removeRoute(route, this))
    for (const policy of this.#policies.splice(0).reverse()) core.policies.perform(core.policies.remove(policy, this))
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
    const wanted = old.length > 0 ? policiesOf(local.address, remote.address, this, this.reqid, false) : []
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
