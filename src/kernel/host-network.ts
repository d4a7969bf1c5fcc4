import {
  findPath,
  interfaceIndex,
  interfaceName,
  isWithin,
  localAddresses,
  type Path,
  reachableAddresses,
} from '../net/addresses.ts'
import type { NetworkOptions } from '../net/network-options.ts'
import {
  changeAddress,
  changeRoute,
  changeRule,
  decodeLink,
  decodeLocalAddress,
  decodeRoute,
  queryLinks,
  RT_TABLE_MAIN,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTN_UNICAST,
} from '../net/rtnetlink.ts'
import type { NetlinkMessage } from './netlink/message.ts'
import { ignoring, NetlinkError, type NetlinkRequest, type NetlinkRequests } from './netlink/netlink-socket.ts'
import type { KernelOperation, KernelResults, KernelRoute } from './operations.ts'

type Operation<K extends KernelOperation['kind']> = Extract<KernelOperation, { kind: K }>

/**
 * Routes, addresses and rules: what we added to the network configuration of this host, and questions about the rest of
 * it. Failures are `NetlinkError`.
 */
export class HostNetwork {
  readonly #netlink: NetlinkRequests
  readonly #routes = new Map<string, { readonly route: KernelRoute; readonly ifindex: number | undefined }>()
  readonly #addresses = new Map<string, { readonly ifindex: number; users: number; readonly ours: boolean }>()
  /** Tables that we made a rule for. */
  readonly #tables = new Set<number>()

  readonly #options: NetworkOptions

  constructor(netlink: NetlinkRequests, options: NetworkOptions) {
    this.#netlink = netlink
    this.#options = options
  }

  /** How packets travel to `remote`, not counting routes into tunnels; undefined when there is no route. */
  path(remote: string, local?: string): Promise<Path | undefined> {
    const { ignoredTables, interfaces, preferTemporary } = this.#options
    return findPath(this.#netlink, remote, {
      ownTables: this.#tables,
      ignoredTables,
      interfaces,
      preferTemporary,
      ...(local === undefined ? {} : { local }),
    })
  }

  /** The index of an interface. ENODEV if there is none of that name. */
  async ifindex(name: string): Promise<number> {
    const ifindex = await interfaceIndex(this.#netlink, name)
    if (ifindex === undefined) throw new NetlinkError('ENODEV', `no interface ${name}`)
    return ifindex
  }

  async lookup({ remote, local, within }: Operation<'route-lookup'>): Promise<KernelResults['route-lookup']> {
    const { source, gateway, ifindex } = (await this.path(remote, local)) ?? {}
    const localWithin = within && (await this.#localWithin(within, source))
    const name = ifindex === undefined ? undefined : await interfaceName(this.#netlink, ifindex)
    return {
      ...(source === undefined ? {} : { source }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(name === undefined ? {} : { interface: name }),
      ...(localWithin === undefined ? {} : { localWithin }),
    }
  }

  /** Where a peer could reach this host: not at the addresses that we added, which are behind a tunnel. */
  async reachable(): Promise<KernelResults['local-addresses']> {
    const addresses = await reachableAddresses(this.#netlink, this.#options)
    return addresses.filter((address) => !this.#addresses.get(address)?.ours)
  }

  /** A route that is there already is not ours and stays. */
  async addRoute({ route }: Operation<'add-route'>): Promise<undefined> {
    const { metrics } = this.#options
    await this.addRule(route.table)
    const ifindex = route.interface === undefined ? undefined : await this.ifindex(route.interface)
    const added = await ignoring(['EEXIST'], this.#netlink.request(changeRoute(route, ifindex, true, metrics)))
    if (added !== undefined) this.#routes.set(routeKey(route), { route, ifindex })
  }

  async deleteRoute({ route }: Pick<Operation<'delete-route'>, 'route'>): Promise<undefined> {
    const ours = this.#routes.get(routeKey(route))
    if (ours === undefined) return
    // With its source address or its interface the kernel has removed the route too.
    await ignoring(['ESRCH', 'ENODEV'], this.#netlink.request(changeRoute(ours.route, ours.ifindex, false)))
    this.#routes.delete(routeKey(route))
  }

  /**
   * Puts back the routes of ours that the kernel has dropped, with an interface or with its last address. What cannot be put
   * back now is tried at the next change.
   */
  async restoreRoutes(): Promise<void> {
    for (const { route, ifindex } of [...this.#routes.values()]) {
      const request = changeRoute(route, ifindex, true, this.#options.metrics)
      await this.#netlink.request(request).catch((error: unknown) => {
        if (!(error instanceof NetlinkError)) throw error
      })
    }
  }

  /** Counts its users. An address that is there already is not ours and stays. */
  async addAddress({ address, interface: name, peer }: Operation<'add-address'>): Promise<undefined> {
    const known = this.#addresses.get(address)
    if (known !== undefined) {
      known.users++
      return
    }
    const ifindex = name === undefined ? (await this.path(peer))?.ifindex : await this.ifindex(name)
    if (ifindex === undefined) throw new NetlinkError('ENODEV')
    const added = await ignoring(['EEXIST'], this.#netlink.request(changeAddress(address, ifindex, true)))
    this.#addresses.set(address, { ifindex, users: 1, ours: added !== undefined })
  }

  async deleteAddress({ address }: Operation<'delete-address'>): Promise<undefined> {
    const known = this.#addresses.get(address)
    if (known !== undefined && --known.users <= 0) await this.#removeAddress(address)
  }

  /** Removes all routes and addresses of ours; goes on after a failure and returns all of them. */
  async flush(): Promise<unknown[]> {
    const failures: unknown[] = []
    const attempt = (done: Promise<unknown>): Promise<unknown> => done.catch((error: unknown) => failures.push(error))
    for (const { route } of [...this.#routes.values()]) await attempt(this.deleteRoute({ route }))
    for (const address of [...this.#addresses.keys()]) await attempt(this.#removeAddress(address))
    return failures
  }

  /** Packets ask our table before the main one: `from all lookup 220 priority 220`. */
  async addRule(table: number): Promise<void> {
    if (table === 0 || table === RT_TABLE_MAIN || this.#tables.has(table)) return
    for (const family of [4, 6] as const)
      await ignoring(['EEXIST', 'EAFNOSUPPORT'], this.#netlink.request(this.#rule(family, table, true)))
    this.#tables.add(table)
  }

  /** Removes the rules for our tables. */
  async removeRules(): Promise<void> {
    for (const table of this.#tables)
      for (const family of [4, 6] as const)
        await ignoring(['ENOENT', 'EAFNOSUPPORT'], this.#netlink.request(this.#rule(family, table, false)))
    this.#tables.clear()
  }

  /** Learns the names of the interfaces, if there are any that are not to be used. */
  async learnInterfaces(): Promise<void> {
    const { interfaces } = this.#options
    if (!interfaces.restricts) return
    for (const message of await this.#netlink.dump(queryLinks())) {
      const { ifindex, name } = decodeLink(message)
      interfaces.learn(ifindex, name)
    }
  }

  /** Whether a notification of rtnetlink says that the network has changed, other than by us. Throws `DecodeError`. */
  isChange(message: NetlinkMessage): boolean {
    if (message.type === RTM_NEWLINK || message.type === RTM_DELLINK) {
      const { ifindex, name } = decodeLink(message)
      this.#options.interfaces.learn(ifindex, message.type === RTM_NEWLINK ? name : undefined)
    }
    if (!this.#options.roamEvents) return false
    switch (message.type) {
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        const route = this.#options.processRoute ? decodeRoute(message) : undefined
        if (route === undefined || route.type !== RTN_UNICAST || this.#tables.has(route.table)) return false
        // Each address brings a route to itself.
        return route.destination === undefined || !this.#addresses.has(route.destination)
      }
      case RTM_NEWADDR:
      case RTM_DELADDR: {
        const local = decodeLocalAddress(message)
        return local !== undefined && !this.#addresses.has(local.address)
      }
      default:
        return true
    }
  }

  async #localWithin(
    { address, prefix }: { readonly address: string; readonly prefix: number },
    preferred: string | undefined,
  ): Promise<string | undefined> {
    if (preferred !== undefined && isWithin(preferred, address, prefix)) return preferred
    const all = await localAddresses(this.#netlink)
    // Virtual IPs of IPv6 are deprecated on purpose and still meant here.
    const candidates = all.filter((local) => local.usable || this.#addresses.has(local.address))
    return candidates.find((local) => isWithin(local.address, address, prefix))?.address
  }

  #rule(family: 4 | 6, table: number, add: boolean): NetlinkRequest {
    const { rulePriority = table, ruleMark } = this.#options
    return changeRule(family, table, rulePriority, add, ruleMark)
  }

  async #removeAddress(address: string): Promise<void> {
    const known = this.#addresses.get(address)
    if (known?.ours)
      await ignoring(['EADDRNOTAVAIL', 'ENODEV'], this.#netlink.request(changeAddress(address, known.ifindex, false)))
    this.#addresses.delete(address)
  }
}

function routeKey({ family, table, destination }: KernelRoute): string {
  return `${family} ${table} ${destination.address}/${destination.prefix}`
}
