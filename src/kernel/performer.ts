import { writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { defaultNetworkOptions, type NetworkOptions } from '../net/network-options.ts'
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
} from '../net/rtnetlink.ts'
import { DecodeError } from '../wire/errors.ts'
import { cureFor, cureForCompression } from './cures.ts'
import { HostNetwork } from './host-network.ts'
import { leftBehind } from './left-behind.ts'
import type { NetlinkMessage } from './netlink/message.ts'
import {
  ignoring,
  NETLINK_ROUTE,
  NETLINK_XFRM,
  NetlinkError,
  NetlinkEvents,
  type NetlinkRequest,
  NetlinkRequests,
} from './netlink/netlink-socket.ts'
import {
  type Kernel,
  KernelError,
  type KernelEvent,
  type KernelOperation,
  type KernelPolicy,
  type KernelResults,
  type KernelSa,
  type PolicyKey,
  type SaId,
  type SaUsage,
} from './operations.ts'
import { decodeEvent } from './xfrm/events.ts'
import { XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING } from './xfrm/numbers.ts'
import {
  deletePolicy,
  deleteSamePolicy,
  installPolicy,
  queryPolicies,
  setPolicyHash,
  templatesIn,
} from './xfrm/policies.ts'
import {
  allocateSpi,
  compressionOf,
  decodeState,
  deleteSameState,
  deleteState,
  endsOf,
  installCompression,
  installState,
  queryState,
  queryStates,
  replaceReplayState,
  type StateContext,
  skipAhead,
} from './xfrm/states.ts'

/** The kernel of this host. */
export interface HostKernel extends Kernel {
  /**
   * Removes what a daemon has left behind that was killed (left-behind.ts).
   * @returns how many states and policies that were
   */
  readonly removeLeft: (spis: { readonly min: number; readonly max: number }) => Promise<number>
  /**
   * The reqids of all states and policies that are there, whosever they are: a trap with one of them would be served by a
   * state that is not its own, for example one of a daemon that was killed, and its packets would never raise an acquire.
   */
  readonly reqidsInUse: () => Promise<readonly number[]>
}

/**
 * The kernel of this host, through netlink. Deleting what is gone already succeeds; so does adding a route or an address
 * that is there already, but it is then not ours and stays. A policy that somebody else has installed is taken over.
 * @param log takes what an operator should know
 * @throws SystemCallError if netlink sockets cannot be opened
 */
export function openKernel(
  options: NetworkOptions = defaultNetworkOptions,
  log: (message: string) => void = () => {},
): HostKernel {
  const kernel = new NetlinkKernel(options, log)
  keepLarvalStates(options.acquireSeconds)
  return kernel
}

type Operation<K extends KernelOperation['kind']> = Extract<KernelOperation, { kind: K }>
type Performers = { readonly [K in KernelOperation['kind']]: (operation: Operation<K>) => Promise<KernelResults[K]> }

interface InstalledPolicy {
  readonly key: PolicyKey
  readonly ifindex: number
  readonly reqids: readonly number[]
}

class NetlinkKernel implements HostKernel {
  readonly #log: (message: string) => void
  readonly #opened = new DisposableStack()
  readonly #xfrm: NetlinkRequests
  readonly #route: NetlinkRequests
  readonly #listeners: ((event: KernelEvent) => void)[] = []

  // What we installed and have not removed. States and policies by their key, with what is needed to delete them.
  readonly #states = new Map<string, SaId>()
  readonly #policies = new Map<string, InstalledPolicy>()
  /** How many policies ask for each reqid. */
  readonly #reqids = new Map<number, number>()
  readonly #network: HostNetwork
  #roamTimer: NodeJS.Timeout | undefined
  /** Ends with the last operation that has been asked for. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: NetworkOptions, log: (message: string) => void) {
    this.#log = log
    using opening = new DisposableStack()
    this.#xfrm = opening.adopt(new NetlinkRequests(NETLINK_XFRM), (socket) => socket.close())
    this.#route = opening.adopt(new NetlinkRequests(NETLINK_ROUTE), (socket) => socket.close())
    this.#network = new HostNetwork(this.#route, options)
    const groups = [XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING]
    opening.adopt(
      new NetlinkEvents(
        NETLINK_XFRM,
        groups,
        (message) => this.#onXfrmEvent(message),
        () => void this.#findLostStates(),
        options.bufferBytes,
      ),
      (socket) => socket.close(),
    )
    const changes = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE]
    opening.adopt(
      new NetlinkEvents(
        NETLINK_ROUTE,
        changes,
        (message) => this.#onRouteEvent(message),
        () => options.roamEvents && this.#roamSoon(),
        options.bufferBytes,
      ),
      (socket) => socket.close(),
    )
    this.#opened = opening.move()
    // What the kernel has against the rule, the first route for the table tells.
    this.#last = this.#network.addRule(options.routingTable).catch(() => {})
    this.#last = this.#last.then(() => this.#network.learnInterfaces()).catch(() => {})
    this.#hashPolicies(options)
  }

  /** Asks for nothing where the kernel has it so anyway. */
  #hashPolicies({ policyHash }: NetworkOptions): void {
    if (isDeepStrictEqual(policyHash, defaultNetworkOptions.policyHash)) return
    // A kernel without this looks through a list, which is slower and right.
    this.#last = this.#last.then(() => this.#xfrm.request(setPolicyHash(policyHash))).catch(() => {})
  }

  /**
   * Performs operations one after the other, in the order in which they come: an operation that first has to ask
   * something would else be overtaken, and the state that replaces another come after the end of that one.
   */
  perform<K extends KernelOperation['kind']>(operation: Operation<K>): Promise<KernelResults[K]> {
    const result = this.#last.then(() => this.#perform(operation))
    this.#last = result.catch(() => {})
    return result
  }

  async #perform<K extends KernelOperation['kind']>(operation: Operation<K>): Promise<KernelResults[K]> {
    // A table over a union of kinds: TypeScript does not see that the entry fits the operation.
    const perform = this.#performers[operation.kind as K] as (operation: Operation<K>) => Promise<KernelResults[K]>
    try {
      return await perform(operation)
    } catch (error) {
      throw kernelError(operation, error)
    }
  }

  onEvent(listener: (event: KernelEvent) => void): void {
    this.#listeners.push(listener)
  }

  async removeLeft(spis: { readonly min: number; readonly max: number }): Promise<number> {
    const [states, policies] = await this.#dump()
    const left = leftBehind(states.map(endsOf), new Set(await this.#network.reachable()), spis)
    const requests = [
      // Policies first: packets that meet a policy without its state would raise acquires.
      ...policies.filter((policy) => left.hasPolicy(templatesIn(policy))).map(deleteSamePolicy),
      ...states.filter((state) => left.hasState(endsOf(state))).map(deleteSameState),
    ]
    for (const request of requests) await ignoring(['ENOENT', 'ESRCH'], this.#xfrm.request(request))
    for (const { body } of states) body.fill(0) // they hold keys
    return requests.length
  }

  async reqidsInUse(): Promise<readonly number[]> {
    const [states, policies] = await this.#dump()
    const reqids = [...states.map(endsOf), ...policies.flatMap(templatesIn)].map(({ reqid }) => reqid)
    for (const { body } of states) body.fill(0)
    return [...new Set(reqids)].filter((reqid) => reqid !== 0)
  }

  /** All states, with their keys, and all policies. */
  async #dump(): Promise<readonly [states: readonly NetlinkMessage[], policies: readonly NetlinkMessage[]]> {
    return [await this.#xfrm.dump(queryStates()), await this.#xfrm.dump(queryPolicies())]
  }

  /** Closes the sockets and removes the routing rules; states and policies stay unless they were flushed before. */
  async close(): Promise<void> {
    clearTimeout(this.#roamTimer)
    this.#listeners.length = 0
    await this.#last
    await this.#network.removeRules()
    this.#opened.dispose()
  }

  readonly #performers: Performers = {
    'allocate-spi': async (operation) => {
      const [answer] = await this.#xfrm.request(allocateSpi(operation))
      if (answer === undefined) throw new NetlinkError('EBADMSG', 'no state in the answer')
      const { spi } = decodeState(answer)
      const { protocol, source, destination } = operation
      this.#remember({ protocol, spi, source, destination })
      return { spi }
    },
    'install-sa': async ({ sa, larval }) => {
      await this.#install(sa, larval)
      return undefined
    },
    'move-sa': async ({ id, sa }) => {
      await this.#move(id, sa)
      return undefined
    },
    'delete-sa': async ({ id }) => {
      for (const one of [id, compressionOf(id)]) {
        if (one === undefined) continue
        await ignoring(['ESRCH'], this.#xfrm.request(deleteState(one)))
        this.#states.delete(stateKey(one))
      }
      return undefined
    },
    'query-sa': ({ id }) => this.#usage(id),
    'query-sas': async ({ ids }) => {
      const usages: (SaUsage | undefined)[] = []
      for (const id of ids) usages.push(await this.#usage(id))
      return usages
    },
    'skip-sequence': async ({ id, by }) => {
      const [answer] = await this.#xfrm.request(queryState(id))
      if (answer === undefined) throw new NetlinkError('ESRCH')
      // Between our look and the change packets go out, and no number may be used twice under one key.
      await this.#xfrm.request(replaceReplayState(id, skipAhead(stateOf(answer).carried, by + 65_536n)))
      return undefined
    },
    'install-policy': async ({ policy, replace }) => {
      await this.#installPolicy(policy, replace)
      return undefined
    },
    'delete-policy': async ({ key }) => {
      const ifindex = this.#policies.get(policyKey(key))?.ifindex ?? (await this.#selectorIfindex(key))
      await ignoring(['ENOENT'], this.#xfrm.request(deletePolicy(key, ifindex)))
      this.#forgetPolicy(policyKey(key))
      return undefined
    },
    'route-lookup': (operation) => this.#network.lookup(operation),
    'local-addresses': () => this.#network.reachable(),
    'add-route': (operation) => this.#network.addRoute(operation),
    'delete-route': (operation) => this.#network.deleteRoute(operation),
    'add-address': (operation) => this.#network.addAddress(operation),
    'delete-address': (operation) => this.#network.deleteAddress(operation),
    flush: async () => {
      await this.#flush()
      return undefined
    },
  }

  // ---- states

  async #usage(id: SaId): Promise<SaUsage | undefined> {
    const [answer] = (await ignoring(['ESRCH'], this.#xfrm.request(queryState(id)))) ?? []
    return answer && stateOf(answer).usage
  }

  async #install(sa: KernelSa, larval: boolean): Promise<void> {
    const context = await this.#context(sa)
    await this.#installCompression(sa, larval)
    try {
      await this.#xfrm.request(installState(sa, larval, context))
    } catch (error) {
      const code = error instanceof NetlinkError ? error.code : ''
      // The larval state has expired, because the negotiation took longer than the kernel keeps it.
      if (larval && code === 'ESRCH') await this.#xfrm.request(installState(sa, false, context))
      else if (sa.hwOffload === 'auto' && context.offloadIfindex !== undefined && noOffload.includes(code)) {
        const { offloadIfindex: _, ...without } = context
        await this.#xfrm.request(installState(sa, larval, without))
      } else throw error
    }
    this.#remember(sa)
  }

  /** The IPComp state comes first: the other is found in transport mode around it. */
  async #installCompression(sa: KernelSa, larval: boolean): Promise<void> {
    const id = compressionOf(sa)
    if (id === undefined) return
    try {
      await this.#xfrm.request(installCompression(sa, larval))
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error
      if (!larval || error.code !== 'ESRCH') {
        throw new KernelError('install-sa', error.code, cureForCompression(sa, error.code), error.detail)
      }
      await this.#xfrm.request(installCompression(sa, false))
    }
    this.#remember(id)
  }

  /**
   * The new state counts on where the old one ends. Between the two the kernel has none: packets are dropped. If the
   * kernel refuses the new one, neither is left.
   */
  async #move(id: SaId, sa: KernelSa): Promise<void> {
    const context = await this.#context(sa)
    const [answer] = await this.#xfrm.request(queryState(id))
    if (answer === undefined) throw new NetlinkError('ESRCH')
    const state = stateOf(answer)
    const carried = sa.direction === 'out' ? skipAhead(state.carried) : state.carried
    const compression = compressionOf(id)
    for (const one of [id, ...(compression ? [compression] : [])]) {
      await this.#xfrm.request(deleteState(one))
      this.#states.delete(stateKey(one))
    }
    await this.#installCompression(sa, false)
    await this.#xfrm.request(installState(sa, false, { ...context, carried }))
    this.#remember(sa)
  }

  async #context(sa: KernelSa): Promise<StateContext> {
    const { selector, hwOffload } = sa
    const selectorIfindex = selector?.interface === undefined ? 0 : await this.#network.ifindex(selector.interface)
    if (hwOffload === undefined) return { selectorIfindex }
    const [ours, theirs] = sa.direction === 'in' ? [sa.destination, sa.source] : [sa.source, sa.destination]
    const offloadIfindex =
      sa.interface === undefined
        ? (await this.#network.path(theirs, ours))?.ifindex
        : await this.#network.ifindex(sa.interface)
    return { selectorIfindex, ...(offloadIfindex === undefined ? {} : { offloadIfindex }) }
  }

  #remember({ protocol, spi, source, destination, mark }: SaId): void {
    const id = { protocol, spi, source, destination, ...(mark ? { mark } : {}) }
    this.#states.set(stateKey(id), id)
  }

  // ---- policies

  async #installPolicy(policy: KernelPolicy, replace: boolean): Promise<void> {
    const ifindex = await this.#selectorIfindex(policy)
    const reqids = policy.templates.map(({ reqid }) => reqid)
    // Before the kernel knows: the first packet may come at once, and the kernel asks only once.
    for (const reqid of reqids) this.#reqids.set(reqid, (this.#reqids.get(reqid) ?? 0) + 1)
    try {
      await this.#xfrm.request(installPolicy(policy, replace, ifindex)).catch((error: unknown) => {
        const isTaken = error instanceof NetlinkError && error.code === 'EEXIST'
        if (!isTaken || this.#policies.has(policyKey(policy))) throw error
        // Left by a daemon that was killed, perhaps by ourselves; as charon we make it ours.
        this.#log(`policy ${selectorText(policy)} ${policy.direction} already exists, try to update it`)
        return this.#xfrm.request(installPolicy(policy, true, ifindex))
      })
    } catch (error) {
      this.#forgetReqids(reqids)
      throw error
    }
    this.#forgetPolicy(policyKey(policy))
    this.#policies.set(policyKey(policy), { key: policy, ifindex, reqids })
  }

  #forgetPolicy(key: string): void {
    this.#forgetReqids(this.#policies.get(key)?.reqids ?? [])
    this.#policies.delete(key)
  }

  #forgetReqids(reqids: readonly number[]): void {
    for (const reqid of reqids) {
      const others = (this.#reqids.get(reqid) ?? 0) - 1
      if (others > 0) this.#reqids.set(reqid, others)
      else this.#reqids.delete(reqid)
    }
  }

  async #selectorIfindex({ selector }: PolicyKey): Promise<number> {
    return selector.interface === undefined ? 0 : this.#network.ifindex(selector.interface)
  }

  /** Goes on after a failure, so that one refusal leaves as little as possible behind; reports the first. */
  async #flush(): Promise<void> {
    const failures: unknown[] = []
    const attempt = (code: string, request: NetlinkRequest): Promise<unknown> =>
      ignoring([code], this.#xfrm.request(request)).catch((error: unknown) => failures.push(error))
    // Policies first: packets that meet a policy without its state would raise acquires.
    for (const { key, ifindex } of this.#policies.values()) await attempt('ENOENT', deletePolicy(key, ifindex))
    for (const id of this.#states.values()) await attempt('ESRCH', deleteState(id))
    this.#policies.clear()
    this.#reqids.clear()
    this.#states.clear()
    failures.push(...(await this.#network.flush()))
    if (failures.length > 0) throw failures[0]
  }

  // ---- events

  #onXfrmEvent(message: NetlinkMessage): void {
    const event = decodeEvent(message)
    if (event === undefined || !this.#concernsUs(event)) return
    this.#emit(event)
  }

  /** Others may use XFRM on this host too: what they installed is not our business. */
  #concernsUs(event: KernelEvent): boolean {
    switch (event.kind) {
      case 'acquire':
        return this.#reqids.has(event.reqid)
      case 'expire': {
        const key = stateKey(event)
        const ours = this.#states.has(key)
        if (event.hard) this.#states.delete(key) // the kernel has deleted it
        return ours
      }
      case 'mapping': // names no destination; the core knows its SPIs
      case 'roam':
        return true
    }
  }

  /** Notifications were lost. What has expired meanwhile is found by its absence; packets will acquire again. */
  async #findLostStates(): Promise<void> {
    for (const [key, id] of [...this.#states]) {
      const answers = await this.#xfrm.request(queryState(id)).catch((error: unknown) => error)
      if (!(answers instanceof NetlinkError && answers.code === 'ESRCH') || !this.#states.delete(key)) continue
      const { protocol, spi, destination } = id
      if (protocol === 'IPCOMP') continue // it ends with the one that it goes with
      this.#emit({ kind: 'expire', protocol, spi, destination, hard: true })
    }
  }

  #onRouteEvent(message: NetlinkMessage): void {
    if (this.#network.isChange(message)) this.#roamSoon()
  }

  /** One change of a network comes as a row of messages. */
  #roamSoon(): void {
    if (this.#roamTimer !== undefined) return
    this.#roamTimer = setTimeout(() => {
      this.#roamTimer = undefined
      this.#last = this.#last.then(() => this.#network.restoreRoutes()).catch(() => {})
      this.#emit({ kind: 'roam' })
    }, roamDelayMs)
    this.#roamTimer.unref()
  }

  #emit(event: KernelEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}

/** The answer of GETSA holds the keys of the state. */
function stateOf(answer: NetlinkMessage): ReturnType<typeof decodeState> {
  try {
    return decodeState(answer)
  } finally {
    answer.body.fill(0)
  }
}

function kernelError(operation: KernelOperation, error: unknown): unknown {
  if (error instanceof NetlinkError)
    return new KernelError(operation.kind, error.code, cureFor(operation, error.code), error.detail)
  if (error instanceof DecodeError) return new KernelError(operation.kind, 'EBADMSG', undefined, error.message)
  return error
}

function stateKey({ protocol, spi, destination }: Pick<SaId, 'protocol' | 'spi' | 'destination'>): string {
  return `${protocol} ${spi} ${destination}`
}

function policyKey({ direction, selector, mark, ifId }: PolicyKey | KernelPolicy): string {
  const { family, protocol, source, destination } = selector
  return JSON.stringify([direction, family, protocol, source, destination, selector.interface, mark, ifId])
}

function selectorText({ selector: { source, destination } }: KernelPolicy): string {
  return `${source.address}/${source.prefix} === ${destination.address}/${destination.prefix}`
}

/**
 * The kernel forgets an allocated SPI after 30 s, but a negotiation may take as long as its retransmissions. Without the
 * permission to say so the SPI may be lost in slow negotiations, which `install-sa` survives.
 */
function keepLarvalStates(seconds: number): void {
  try {
    writeFileSync('/proc/sys/net/core/xfrm_acq_expires', `${seconds}`)
  } catch {
    // Read-only /proc, e.g. in a container.
  }
}

const roamDelayMs = 100
const noOffload: readonly string[] = ['EOPNOTSUPP', 'EINVAL', 'ENODEV', 'EPROTONOSUPPORT']
