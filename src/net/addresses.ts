/** The addresses of this host, and which of them the kernel would use to reach a peer. */
import { NetlinkError, type NetlinkRequests } from '../kernel/netlink/netlink-socket.ts'
import { familyOf, parseAddress } from '../wire/address.ts'
import type { InterfaceFilter } from './network-options.ts'
import {
  decodeLink,
  decodeLocalAddress,
  decodeRoute,
  type LocalAddress,
  queryAddresses,
  queryLink,
  queryRoute,
  queryRoutes,
  type Route,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_TABLE_MAIN,
  RTN_UNICAST,
} from './rtnetlink.ts'

/** How to reach a peer. */
export interface Path {
  /** The source address that the kernel picks. */
  readonly source?: string
  readonly gateway?: string
  readonly ifindex?: number
}

/**
 * How packets travel to `remote`: undefined when there is no route.
 *
 * Routes in `ownTables` lead into tunnels. A peer can be inside the subnet that it protects (road warriors send
 * everything through the tunnel), so for the packets that carry the tunnel these routes do not count.
 */
export async function findPath(
  requests: NetlinkRequests,
  remote: string,
  options: PathOptions = {},
): Promise<Path | undefined> {
  const { local, ownTables = new Set(), ignoredTables = new Set(), interfaces } = options
  try {
    const [answer] = await requests.request(queryRoute(remote, local))
    const route = answer && decodeRoute(answer)
    if (route === undefined) return undefined
    const leads = !ownTables.has(route.table) && !ignoredTables.has(route.table)
    if (leads && (route.ifindex === undefined || interfaces?.allowsIndex(route.ifindex) !== false))
      return await preferred(requests, remote, pathOf(route, route.source ?? local), options)
  } catch (error) {
    // EINVAL: `local` is not an address of this host.
    if (error instanceof NetlinkError && unreachable.includes(error.code)) return undefined
    throw error
  }
  if (ignoredTables.has(RT_TABLE_MAIN)) return undefined
  return findPathInMainTable(requests, remote, options)
}

/** What may lead to a peer, and from where. */
export interface PathOptions {
  readonly local?: string
  readonly ownTables?: ReadonlySet<number>
  readonly ignoredTables?: ReadonlySet<number>
  readonly interfaces?: InterfaceFilter
  /** Which addresses of IPv6 are preferred as source; undefined: the kernel's choice. */
  readonly preferTemporary?: boolean
}

/** Of two kinds of IPv6 addresses on the interface the kernel may have chosen the other one. */
async function preferred(
  requests: NetlinkRequests,
  remote: string,
  path: Path,
  { local, preferTemporary }: PathOptions,
): Promise<Path> {
  const { source, ifindex } = path
  if (local !== undefined || preferTemporary === undefined || source === undefined || familyOf(remote) === 4)
    return path
  const all = await localAddresses(requests)
  const chosen = all.find(({ address }) => address === source)
  if (chosen === undefined || chosen.temporary === preferTemporary) return path
  const other = all.find(
    (one) =>
      one.ifindex === (ifindex ?? chosen.ifindex) &&
      one.temporary === preferTemporary &&
      one.usable &&
      one.scope === chosen.scope &&
      isWithin(one.address, chosen.address, chosen.prefix),
  )
  return other === undefined ? path : { ...path, source: other.address }
}

/** All addresses of this host, with those of the loopback interface. */
export async function localAddresses(requests: NetlinkRequests): Promise<LocalAddress[]> {
  const answers = await requests.dump(queryAddresses())
  return answers.map(decodeLocalAddress).filter((address) => address !== undefined)
}

/** The addresses that a peer could reach: neither link-local nor of the host only, and usable. */
export async function reachableAddresses(
  requests: NetlinkRequests,
  { interfaces, preferTemporary }: Pick<PathOptions, 'interfaces' | 'preferTemporary'> = {},
): Promise<string[]> {
  const addresses = (await localAddresses(requests)).filter(
    ({ scope, usable, ifindex }) =>
      usable && scope !== RT_SCOPE_HOST && scope !== RT_SCOPE_LINK && interfaces?.allowsIndex(ifindex) !== false,
  )
  const fits = ({ address, temporary }: LocalAddress): boolean =>
    familyOf(address) === 4 || temporary === (preferTemporary ?? false)
  // Where all are of the kind that is not preferred, they are all there is.
  const six = addresses.some((one) => familyOf(one.address) === 6 && fits(one))
  return addresses.filter((one) => !six || fits(one)).map(({ address }) => address)
}

/** The index of an interface, or undefined if there is none of that name. */
export async function interfaceIndex(requests: NetlinkRequests, name: string): Promise<number | undefined> {
  return (await link(requests, name))?.ifindex
}

/** The name of an interface, or undefined if there is none of that index. */
export async function interfaceName(requests: NetlinkRequests, ifindex: number): Promise<string | undefined> {
  return (await link(requests, ifindex))?.name
}

/** Whether `address` is inside `subnet`/`prefix`; never for different families. */
export function isWithin(address: string, subnet: string, prefix: number): boolean {
  const a = parseAddress(address)
  const b = parseAddress(subnet)
  if (a === undefined || b === undefined || a.length !== b.length) return false
  return a.every((octet, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i))
    return (octet ^ (b[i] ?? 0)) >> (8 - bits) === 0
  })
}

/** The longest prefix of the main table, for the rare case that one of our own routes hides it. */
async function findPathInMainTable(
  requests: NetlinkRequests,
  remote: string,
  { local, interfaces }: PathOptions,
): Promise<Path | undefined> {
  const family = familyOf(remote)
  const routes = (await requests.dump(queryRoutes(family)))
    .map(decodeRoute)
    .filter((route) => route !== undefined)
    .filter((route) => route.table === RT_TABLE_MAIN && route.type === RTN_UNICAST)
    .filter((route) => route.ifindex === undefined || interfaces?.allowsIndex(route.ifindex) !== false)
    .filter((route) => isWithin(remote, route.destination ?? (family === 4 ? '0.0.0.0' : '::'), route.prefix))
    .sort((a, b) => b.prefix - a.prefix || a.metric - b.metric)
  const best = routes[0]
  if (best === undefined) return undefined
  if (local !== undefined || best.source !== undefined) return pathOf(best, local ?? best.source)
  const near = best.gateway ?? remote
  const candidates = (await localAddresses(requests)).filter(
    ({ address, ifindex, usable, scope }) =>
      ifindex === best.ifindex && usable && scope !== RT_SCOPE_HOST && familyOf(address) === family,
  )
  const source = candidates.find(({ address, prefix }) => isWithin(near, address, prefix)) ?? candidates[0]
  return pathOf(best, source?.address)
}

function pathOf({ gateway, ifindex }: Route, source: string | undefined): Path {
  return {
    ...(source === undefined ? {} : { source }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(ifindex === undefined ? {} : { ifindex }),
  }
}

async function link(
  requests: NetlinkRequests,
  which: string | number,
): Promise<ReturnType<typeof decodeLink> | undefined> {
  if (typeof which === 'string' && (which === '' || which.length > longestName)) return undefined
  try {
    const [answer] = await requests.request(queryLink(which))
    return answer && decodeLink(answer)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined
    throw error
  }
}

const unreachable: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EADDRNOTAVAIL', 'EACCES', 'ESRCH']
const longestName = 15 // IFNAMSIZ - 1
