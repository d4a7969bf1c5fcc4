import { writeFileSync } from 'node:fs'
import { findPath, interfaceIndex, interfaceName, isWithin, localAddresses } from '../net/addresses.ts'
import {
  changeAddress,
  changeRoute,
  changeRule,
  decodeLocalAddress,
  decodeRoute,
  RT_TABLE_MAIN,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
} from '../net/rtnetlink.ts'
import { DecodeError } from '../wire/errors.ts'
import { cureFor } from './cures.ts'
import type { NetlinkMessage } from './netlink/message.ts'
import {
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
  type KernelRoute,
  type KernelSa,
  type PolicyKey,
  type SaId,
} from './operations.ts'
import { decodeEvent } from './xfrm/events.ts'
import { XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING } from './xfrm/numbers.ts'
import { deletePolicy, installPolicy } from './xfrm/policies.ts'
import {
  allocateSpi,
  decodeState,
  deleteState,
  installState,
  queryState,
  type StateContext,
  skipAhead,
} from './xfrm/states.ts'

/**
 * The kernel of this host, through netlink. Deleting what is gone already succeeds; so does adding a route or an address
 * that is there already, but it is then not ours and stays.
 * @throws SystemCallError if netlink sockets cannot be opened
 */
export function openKernel(): Kernel {
  const kernel = new NetlinkKernel()
  keepLarvalStates()
  return kernel
}

type Operation<K extends KernelOperation['kind']> = Extract<KernelOperation, { kind: K }>
type Performers = { readonly [K in KernelOperation['kind']]: (operation: Operation<K>) => Promise<KernelResults[K]> }

interface InstalledPolicy {
  readonly key: PolicyKey
  readonly ifindex: number
  readonly reqids: readonly number[]
}

class NetlinkKernel implements Kernel {
  readonly #opened = new DisposableStack()
  readonly #xfrm: NetlinkRequests
  readonly #route: NetlinkRequests
  readonly #listeners: ((event: KernelEvent) => void)[] = []

  // What we installed and have not removed. States and policies by their key, with what is needed to delete them.
  readonly #states = new Map<string, SaId>()
  readonly #policies = new Map<string, InstalledPolicy>()
  /** How many policies ask for each reqid. */
  readonly #reqids = new Map<number, number>()
  readonly #routes = new Map<string, { readonly route: KernelRoute; readonly ifindex: number | undefined }>()
  readonly #addresses = new Map<string, { readonly ifindex: number; users: number; readonly ours: boolean }>()
  readonly #rules = new Set<number>()
  #roamTimer: NodeJS.Timeout | undefined

  constructor() {
    using opening = new DisposableStack()
    this.#xfrm = opening.adopt(new NetlinkRequests(NETLINK_XFRM), (socket) => socket.close())
    this.#route = opening.adopt(new NetlinkRequests(NETLINK_ROUTE), (socket) => socket.close())
    const groups = [XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING]
    opening.adopt(
      new NetlinkEvents(
        NETLINK_XFRM,
        groups,
        (message) => this.#onXfrmEvent(message),
        () => void this.#findLostStates(),
      ),
      (socket) => socket.close(),
    )
    const changes = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE]
    opening.adopt(
      new NetlinkEvents(
        NETLINK_ROUTE,
        changes,
        (message) => this.#onRouteEvent(message),
        () => this.#roamSoon(),
      ),
      (socket) => socket.close(),
    )
    this.#opened = opening.move()
  }

  async perform<K extends KernelOperation['kind']>(operation: Operation<K>): Promise<KernelResults[K]> {
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

  /** Closes the sockets and removes the routing rules; states and policies stay unless they were flushed before. */
  async close(): Promise<void> {
    clearTimeout(this.#roamTimer)
    this.#listeners.length = 0
    for (const table of this.#rules)
      for (const family of [4, 6] as const)
        await ignoring(['ENOENT', 'EAFNOSUPPORT'], this.#route.request(changeRule(family, table, table, false)))
    this.#rules.clear()
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
      await ignoring(['ESRCH'], this.#xfrm.request(deleteState(id)))
      this.#states.delete(stateKey(id))
      return undefined
    },
    'query-sa': async ({ id }) => {
      const [answer] = (await ignoring(['ESRCH'], this.#xfrm.request(queryState(id)))) ?? []
      return answer && stateOf(answer).usage
    },
    'install-policy': async ({ policy, replace }) => {
      const ifindex = await this.#selectorIfindex(policy)
      await this.#xfrm.request(installPolicy(policy, replace, ifindex))
      this.#forgetPolicy(policyKey(policy))
      const reqids = policy.templates.map(({ reqid }) => reqid)
      for (const reqid of reqids) this.#reqids.set(reqid, (this.#reqids.get(reqid) ?? 0) + 1)
      this.#policies.set(policyKey(policy), { key: policy, ifindex, reqids })
      return undefined
    },
    'delete-policy': async ({ key }) => {
      const ifindex = this.#policies.get(policyKey(key))?.ifindex ?? (await this.#selectorIfindex(key))
      await ignoring(['ENOENT'], this.#xfrm.request(deletePolicy(key, ifindex)))
      this.#forgetPolicy(policyKey(key))
      return undefined
    },
    'route-lookup': async ({ remote, local, within }) => {
      const path = await this.#path(remote, local)
      const localWithin = within && (await this.#localWithin(within, path?.source))
      const name = path?.ifindex === undefined ? undefined : await interfaceName(this.#route, path.ifindex)
      return {
        ...(path?.source === undefined ? {} : { source: path.source }),
        ...(path?.gateway === undefined ? {} : { gateway: path.gateway }),
        ...(name === undefined ? {} : { interface: name }),
        ...(localWithin === undefined ? {} : { localWithin }),
      }
    },
    'add-route': async ({ route }) => {
      await this.#addRule(route.table)
      const ifindex = route.interface === undefined ? undefined : await this.#ifindex(route.interface)
      const added = await ignoring(['EEXIST'], this.#route.request(changeRoute(route, ifindex, true)))
      if (added !== undefined) this.#routes.set(routeKey(route), { route, ifindex })
      return undefined
    },
    'delete-route': async ({ route }) => {
      const ours = this.#routes.get(routeKey(route))
      if (ours === undefined) return undefined
      await ignoring(['ESRCH', 'ENODEV'], this.#route.request(changeRoute(ours.route, ours.ifindex, false)))
      this.#routes.delete(routeKey(route))
      return undefined
    },
    'add-address': async ({ address, interface: name, peer }) => {
      const known = this.#addresses.get(address)
      if (known !== undefined) {
        known.users++
        return undefined
      }
      const ifindex = name === undefined ? (await this.#path(peer))?.ifindex : await this.#ifindex(name)
      if (ifindex === undefined) throw new NetlinkError('ENODEV')
      const added = await ignoring(['EEXIST'], this.#route.request(changeAddress(address, ifindex, true)))
      this.#addresses.set(address, { ifindex, users: 1, ours: added !== undefined })
      return undefined
    },
    'delete-address': async ({ address }) => {
      const known = this.#addresses.get(address)
      if (known === undefined || --known.users > 0) return undefined
      await this.#removeAddress(address)
      return undefined
    },
    flush: async () => {
      await this.#flush()
      return undefined
    },
  }

  // ---- states

  async #install(sa: KernelSa, larval: boolean): Promise<void> {
    const context = await this.#context(sa)
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

  /**
   * The new state counts on where the old one ends. Between the two the kernel has none: packets are dropped. If the
   * kernel refuses the new one, neither is left.
   */
  async #move(id: SaId, sa: KernelSa): Promise<void> {
    const [answer] = await this.#xfrm.request(queryState(id))
    if (answer === undefined) throw new NetlinkError('ESRCH')
    const { carried } = stateOf(answer)
    await this.#xfrm.request(deleteState(id))
    this.#states.delete(stateKey(id))
    const context = { ...(await this.#context(sa)), carried: sa.direction === 'out' ? skipAhead(carried) : carried }
    await this.#xfrm.request(installState(sa, false, context))
    this.#remember(sa)
  }

  async #context(sa: KernelSa): Promise<StateContext> {
    const { selector, hwOffload } = sa
    const selectorIfindex = selector?.interface === undefined ? 0 : await this.#ifindex(selector.interface)
    if (hwOffload === undefined) return { selectorIfindex }
    const [ours, theirs] = sa.direction === 'in' ? [sa.destination, sa.source] : [sa.source, sa.destination]
    const offloadIfindex =
      sa.interface === undefined ? (await this.#path(theirs, ours))?.ifindex : await this.#ifindex(sa.interface)
    return { selectorIfindex, ...(offloadIfindex === undefined ? {} : { offloadIfindex }) }
  }

  #remember({ protocol, spi, source, destination, mark }: SaId): void {
    const id = { protocol, spi, source, destination, ...(mark ? { mark } : {}) }
    this.#states.set(stateKey(id), id)
  }

  #forgetPolicy(key: string): void {
    for (const reqid of this.#policies.get(key)?.reqids ?? []) {
      const others = (this.#reqids.get(reqid) ?? 0) - 1
      if (others > 0) this.#reqids.set(reqid, others)
      else this.#reqids.delete(reqid)
    }
    this.#policies.delete(key)
  }

  // ---- routes and addresses

  #path(remote: string, local?: string): ReturnType<typeof findPath> {
    const ownTables = new Set([...this.#rules])
    return findPath(this.#route, remote, { ownTables, ...(local === undefined ? {} : { local }) })
  }

  async #localWithin(
    { address, prefix }: { readonly address: string; readonly prefix: number },
    preferred: string | undefined,
  ): Promise<string | undefined> {
    if (preferred !== undefined && isWithin(preferred, address, prefix)) return preferred
    const all = await localAddresses(this.#route)
    // Virtual IPs of IPv6 are deprecated on purpose and still meant here.
    const candidates = all.filter((local) => local.usable || this.#addresses.has(local.address))
    return candidates.find((local) => isWithin(local.address, address, prefix))?.address
  }

  /** Packets ask our table before the main one: `from all lookup 220 priority 220`. */
  async #addRule(table: number): Promise<void> {
    if (table === 0 || table === RT_TABLE_MAIN || this.#rules.has(table)) return
    for (const family of [4, 6] as const)
      await ignoring(['EEXIST', 'EAFNOSUPPORT'], this.#route.request(changeRule(family, table, table, true)))
    this.#rules.add(table)
  }

  async #removeAddress(address: string): Promise<void> {
    const known = this.#addresses.get(address)
    if (known?.ours)
      await ignoring(['EADDRNOTAVAIL', 'ENODEV'], this.#route.request(changeAddress(address, known.ifindex, false)))
    this.#addresses.delete(address)
  }

  async #ifindex(name: string): Promise<number> {
    const ifindex = await interfaceIndex(this.#route, name)
    if (ifindex === undefined) throw new NetlinkError('ENODEV', `no interface ${name}`)
    return ifindex
  }

  async #selectorIfindex({ selector }: PolicyKey): Promise<number> {
    return selector.interface === undefined ? 0 : this.#ifindex(selector.interface)
  }

  /** Goes on after a failure, so that one refusal leaves as little as possible behind; reports the first. */
  async #flush(): Promise<void> {
    const failures: unknown[] = []
    const attempt = async (done: Promise<unknown>): Promise<void> => {
      await done.catch((error: unknown) => failures.push(error))
    }
    const request = (socket: NetlinkRequests, codes: readonly string[], message: NetlinkRequest) =>
      attempt(ignoring(codes, socket.request(message)))
    // Policies first: packets that meet a policy without its state would raise acquires.
    for (const { key, ifindex } of this.#policies.values())
      await request(this.#xfrm, ['ENOENT'], deletePolicy(key, ifindex))
    for (const id of this.#states.values()) await request(this.#xfrm, ['ESRCH'], deleteState(id))
    for (const { route, ifindex } of this.#routes.values())
      await request(this.#route, ['ESRCH', 'ENODEV'], changeRoute(route, ifindex, false))
    for (const address of [...this.#addresses.keys()]) await attempt(this.#removeAddress(address))
    this.#policies.clear()
    this.#reqids.clear()
    this.#states.clear()
    this.#routes.clear()
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
      this.#emit({ kind: 'expire', protocol, spi, destination, hard: true })
    }
  }

  #onRouteEvent(message: NetlinkMessage): void {
    switch (message.type) {
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        const route = decodeRoute(message)
        if (route === undefined || route.type !== RTN_UNICAST || this.#rules.has(route.table)) return
        if (route.destination !== undefined && this.#addresses.has(route.destination)) return
        break
      }
      case RTM_NEWADDR:
      case RTM_DELADDR: {
        const local = decodeLocalAddress(message)
        if (local === undefined || this.#addresses.has(local.address)) return
        break
      }
    }
    this.#roamSoon()
  }

  /** One change of a network comes as a row of messages. */
  #roamSoon(): void {
    if (this.#roamTimer !== undefined) return
    this.#roamTimer = setTimeout(() => {
      this.#roamTimer = undefined
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

/** Undefined instead of a failure with one of `codes`. */
async function ignoring<T>(codes: readonly string[], done: Promise<T>): Promise<T | undefined> {
  try {
    return await done
  } catch (error) {
    if (error instanceof NetlinkError && codes.includes(error.code)) return undefined
    throw error
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

function routeKey({ family, table, destination }: KernelRoute): string {
  return `${family} ${table} ${destination.address}/${destination.prefix}`
}

/**
 * The kernel forgets an allocated SPI after 30 s, but a negotiation may take as long as its retransmissions. Without the
 * permission to say so the SPI may be lost in slow negotiations, which `install-sa` survives.
 */
function keepLarvalStates(): void {
  try {
    writeFileSync('/proc/sys/net/core/xfrm_acq_expires', `${larvalSeconds}`)
  } catch {
    // Read-only /proc, e.g. in a container.
  }
}

const larvalSeconds = 165
const roamDelayMs = 100
const noOffload: readonly string[] = ['EOPNOTSUPP', 'EINVAL', 'ENODEV', 'EPROTONOSUPPORT']
