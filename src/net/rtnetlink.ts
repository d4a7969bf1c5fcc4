/** Routes, addresses, links and rules as messages of rtnetlink (linux/rtnetlink.h and its neighbours). */
import {
  type Attribute,
  attribute,
  attribute32,
  decodeAttributes,
  encodeAttributes,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  value32,
} from '../kernel/netlink/message.ts'
import type { NetlinkRequest } from '../kernel/netlink/netlink-socket.ts'
import { i32, type Numbers, type Struct, struct, text, u8, u16, u32 } from '../kernel/netlink/struct.ts'
import type { KernelRoute } from '../kernel/operations.ts'
import { formatAddress, parseAddress } from '../wire/address.ts'
import { DecodeError } from '../wire/errors.ts'

export type Family = 4 | 6

/** A route as the kernel reports it. */
export interface Route {
  readonly family: Family
  readonly table: number
  /** RTN_UNICAST is 1. */
  readonly type: number
  readonly prefix: number
  readonly destination: string | undefined
  readonly source: string | undefined
  readonly gateway: string | undefined
  readonly ifindex: number | undefined
  readonly metric: number
}

/** An address of this host. */
export interface LocalAddress {
  readonly address: string
  readonly prefix: number
  readonly ifindex: number
  /** RT_SCOPE_UNIVERSE is 0, RT_SCOPE_LINK 253, RT_SCOPE_HOST 254. */
  readonly scope: number
  /** False while duplicate address detection runs, after it has failed, and for deprecated addresses. */
  readonly usable: boolean
  /** A privacy address of IPv6 (RFC 8981). */
  readonly temporary: boolean
}

/** How a packet would be routed to `remote`, from `local` if given. The table that decided is in the answer. */
export function queryRoute(remote: string, local?: string): NetlinkRequest {
  const bytes = octets(remote)
  const host = bytes.length * 8
  const fixed = rtmsg.encode({
    rtm_family: familyNumber(bytes),
    rtm_dst_len: host,
    rtm_src_len: local === undefined ? 0 : host,
    rtm_flags: RTM_F_LOOKUP_TABLE,
  })
  const attributes = [{ type: RTA_DST, value: bytes }]
  if (local !== undefined) attributes.push({ type: RTA_SRC, value: octets(local) })
  return { type: RTM_GETROUTE, fixed, attributes }
}

/** All routes of a family, for a dump. */
export function queryRoutes(family: Family): NetlinkRequest {
  return { type: RTM_GETROUTE, fixed: rtmsg.encode({ rtm_family: family === 4 ? AF_INET : AF_INET6 }) }
}

/** Reads RTM_NEWROUTE or RTM_DELROUTE; undefined for a family that is not ours. Throws `DecodeError`. */
export function decodeRoute({ body }: NetlinkMessage): Route | undefined {
  const header = rtmsg.decode(body)
  const family = familyOfNumber(header.rtm_family)
  if (family === undefined) return undefined
  const attributes = decodeAttributes(body, rtmsg.size)
  const number = (type: number) => optional(attributes.get(type), value32)
  const address = (type: number) => optional(attributes.get(type), addressText)
  return {
    family,
    table: number(RTA_TABLE) ?? header.rtm_table,
    type: header.rtm_type,
    prefix: header.rtm_dst_len,
    destination: address(RTA_DST),
    source: address(RTA_PREFSRC),
    gateway: address(RTA_GATEWAY),
    ifindex: number(RTA_OIF),
    metric: number(RTA_PRIORITY) ?? 0,
  }
}

/** What the routes that we add say of packet sizes; 0 says nothing. */
export interface RouteMetrics {
  readonly mtu: number
  readonly mss: number
}

/** RTM_NEWROUTE or RTM_DELROUTE. */
export function changeRoute(
  route: KernelRoute,
  ifindex: number | undefined,
  add: boolean,
  metrics: RouteMetrics = { mtu: 0, mss: 0 },
): NetlinkRequest {
  const { family, table, destination, source, gateway } = route
  const fixed = rtmsg.encode({
    rtm_family: family === 4 ? AF_INET : AF_INET6,
    rtm_dst_len: destination.prefix,
    rtm_table: table < 256 ? table : RT_TABLE_UNSPEC,
    rtm_protocol: RTPROT_STATIC,
    // Also without a gateway: what is behind a tunnel is not on the link.
    rtm_scope: add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
    rtm_type: route.passes ? RTN_THROW : RTN_UNICAST,
  })
  const attributes: Attribute[] = [{ type: RTA_DST, value: octets(destination.address) }, attribute32(RTA_TABLE, table)]
  if (source !== undefined) attributes.push({ type: RTA_PREFSRC, value: octets(source) })
  if (gateway !== undefined) attributes.push({ type: RTA_GATEWAY, value: octets(gateway) })
  if (ifindex !== undefined) attributes.push(attribute32(RTA_OIF, ifindex))
  const sizes = [
    ...(metrics.mtu > 0 ? [attribute32(RTAX_MTU, metrics.mtu)] : []),
    ...(metrics.mss > 0 ? [attribute32(RTAX_ADVMSS, metrics.mss)] : []),
  ]
  if (add && sizes.length > 0) attributes.push({ type: RTA_METRICS, value: encodeAttributes(sizes) })
  return { type: add ? RTM_NEWROUTE : RTM_DELROUTE, flags: add ? NLM_F_CREATE | NLM_F_EXCL : 0, fixed, attributes }
}

/** The packets that a rule is for: those with this mark, or all but those. */
export interface RuleMark {
  readonly value: number
  readonly mask: number
  readonly invert: boolean
}

/** RTM_NEWRULE or RTM_DELRULE of `from all [[not] fwmark MARK/MASK] lookup TABLE priority PRIORITY`. */
export function changeRule(
  family: Family,
  table: number,
  priority: number,
  add: boolean,
  mark?: RuleMark,
): NetlinkRequest {
  const fixed = fib_rule_hdr.encode({
    family: family === 4 ? AF_INET : AF_INET6,
    table: table < 256 ? table : RT_TABLE_UNSPEC,
    action: FR_ACT_TO_TBL,
    flags: mark?.invert ? FIB_RULE_INVERT : 0,
  })
  const attributes = [attribute32(FRA_PRIORITY, priority), attribute32(FRA_TABLE, table)]
  if (mark !== undefined) attributes.push(attribute32(FRA_FWMARK, mark.value), attribute32(FRA_FWMASK, mark.mask))
  return { type: add ? RTM_NEWRULE : RTM_DELRULE, flags: add ? NLM_F_CREATE | NLM_F_EXCL : 0, fixed, attributes }
}

/** All addresses of both families, for a dump. */
export function queryAddresses(): NetlinkRequest {
  return { type: RTM_GETADDR, fixed: ifaddrmsg.encode({}) }
}

/** Reads RTM_NEWADDR or RTM_DELADDR; undefined for a family that is not ours. Throws `DecodeError`. */
export function decodeLocalAddress({ body }: NetlinkMessage): LocalAddress | undefined {
  const { ifa_family, ifa_prefixlen, ifa_scope, ifa_index, ifa_flags } = ifaddrmsg.decode(body)
  if (familyOfNumber(ifa_family) === undefined) return undefined
  const attributes = decodeAttributes(body, ifaddrmsg.size)
  // On point-to-point links IFA_ADDRESS is the other end.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
  if (bytes === undefined) throw new DecodeError('ifaddrmsg', ifaddrmsg.size, 'an address message without an address')
  const flags = optional(attributes.get(IFA_FLAGS), value32) ?? ifa_flags
  return {
    address: addressText(bytes),
    prefix: ifa_prefixlen,
    ifindex: ifa_index,
    scope: ifa_scope,
    usable: (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) === 0 || (flags & IFA_F_OPTIMISTIC) !== 0,
    temporary: ifa_family === AF_INET6 && (flags & IFA_F_TEMPORARY) !== 0,
  }
}

/** RTM_NEWADDR or RTM_DELADDR of a virtual IP: a host address without duplicate address detection. */
export function changeAddress(address: string, ifindex: number, add: boolean): NetlinkRequest {
  const bytes = octets(address)
  const v6 = bytes.length === 16
  const fixed = ifaddrmsg.encode({
    ifa_family: familyNumber(bytes),
    ifa_prefixlen: bytes.length * 8,
    ifa_flags: v6 ? IFA_F_NODAD : 0,
    ifa_index: ifindex,
  })
  const attributes: Attribute[] = [{ type: IFA_LOCAL, value: bytes }]
  // Deprecated at once: only the traffic that is routed by a source route shall use it (RFC 6724 §5, rule 3).
  if (v6 && add) attributes.push(attribute(IFA_CACHEINFO, ifa_cacheinfo, { ifa_prefered: 0, ifa_valid: 0xffff_ffff }))
  return { type: add ? RTM_NEWADDR : RTM_DELADDR, flags: add ? NLM_F_CREATE | NLM_F_EXCL : 0, fixed, attributes }
}

/** RTM_GETLINK of one interface, by its index or its name. */
export function queryLink(interfaceName: string | number): NetlinkRequest {
  if (typeof interfaceName === 'number')
    return { type: RTM_GETLINK, fixed: ifinfomsg.encode({ ifi_index: interfaceName }) }
  const name = Buffer.from(`${interfaceName}\0`, 'latin1')
  return { type: RTM_GETLINK, fixed: ifinfomsg.encode({}), attributes: [{ type: IFLA_IFNAME, value: name }] }
}

/** All interfaces, for a dump. */
export function queryLinks(): NetlinkRequest {
  return { type: RTM_GETLINK, fixed: ifinfomsg.encode({}) }
}

/** Reads RTM_NEWLINK or RTM_DELLINK. Throws `DecodeError`. */
export function decodeLink({ body }: NetlinkMessage): { readonly ifindex: number; readonly name: string } {
  const { ifi_index } = ifinfomsg.decode(body)
  const name = decodeAttributes(body, ifinfomsg.size).get(IFLA_IFNAME)
  return { ifindex: ifi_index, name: name ? text(name) : '' }
}

export const rtmsg: Struct<
  Numbers<
    | 'rtm_family'
    | 'rtm_dst_len'
    | 'rtm_src_len'
    | 'rtm_tos'
    | 'rtm_table'
    | 'rtm_protocol'
    | 'rtm_scope'
    | 'rtm_type'
    | 'rtm_flags'
  >
> = struct('rtmsg', 12, {
  rtm_family: u8,
  rtm_dst_len: u8,
  rtm_src_len: u8,
  rtm_tos: u8,
  rtm_table: u8,
  rtm_protocol: u8,
  rtm_scope: u8,
  rtm_type: u8,
  rtm_flags: u32,
})

export const ifaddrmsg: Struct<Numbers<'ifa_family' | 'ifa_prefixlen' | 'ifa_flags' | 'ifa_scope' | 'ifa_index'>> =
  struct('ifaddrmsg', 8, { ifa_family: u8, ifa_prefixlen: u8, ifa_flags: u8, ifa_scope: u8, ifa_index: u32 })

export const ifa_cacheinfo: Struct<Numbers<'ifa_prefered' | 'ifa_valid' | 'cstamp' | 'tstamp'>> = struct(
  'ifa_cacheinfo',
  16,
  { ifa_prefered: u32, ifa_valid: u32, cstamp: u32, tstamp: u32 },
)

export const ifinfomsg: Struct<Numbers<'ifi_family' | 'ifi_type' | 'ifi_index' | 'ifi_flags' | 'ifi_change'>> = struct(
  'ifinfomsg',
  16,
  { ifi_family: u8, ifi_type: u16, ifi_index: i32, ifi_flags: u32, ifi_change: u32 },
)

export const fib_rule_hdr: Struct<
  Numbers<'family' | 'dst_len' | 'src_len' | 'tos' | 'table' | 'res1' | 'res2' | 'action' | 'flags'>
> = struct('fib_rule_hdr', 12, {
  family: u8,
  dst_len: u8,
  src_len: u8,
  tos: u8,
  table: u8,
  res1: u8,
  res2: u8,
  action: u8,
  flags: u32,
})

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
const RTM_GETLINK = 18
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
const RTM_GETADDR = 22
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETROUTE = 26
const RTM_NEWRULE = 32
const RTM_DELRULE = 33

/** Multicast groups: links, addresses and routes of both families. */
export const RTNLGRP_LINK = 1
export const RTNLGRP_IPV4_IFADDR = 5
export const RTNLGRP_IPV4_ROUTE = 7
export const RTNLGRP_IPV6_IFADDR = 9
export const RTNLGRP_IPV6_ROUTE = 11

export const RT_TABLE_MAIN = 254
export const RTN_UNICAST = 1
const RTN_THROW = 9
export const RT_SCOPE_LINK = 253
export const RT_SCOPE_HOST = 254

const RT_TABLE_UNSPEC = 0
const RTPROT_STATIC = 4
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_NOWHERE = 255
const RTM_F_LOOKUP_TABLE = 0x1000

const RTA_DST = 1
const RTA_SRC = 2
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_METRICS = 8
const RTA_TABLE = 15
const RTAX_MTU = 2
const RTAX_ADVMSS = 8

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_CACHEINFO = 6
const IFA_FLAGS = 8
const IFA_F_TEMPORARY = 0x01
const IFA_F_NODAD = 0x02
const IFA_F_OPTIMISTIC = 0x04
const IFA_F_DADFAILED = 0x08
const IFA_F_DEPRECATED = 0x20
const IFA_F_TENTATIVE = 0x40

const IFLA_IFNAME = 3

const FR_ACT_TO_TBL = 1
const FIB_RULE_INVERT = 2
const FRA_PRIORITY = 6
const FRA_FWMARK = 10
const FRA_TABLE = 15
const FRA_FWMASK = 16

const AF_INET = 2
const AF_INET6 = 10

function familyNumber(bytes: Uint8Array): number {
  return bytes.length === 4 ? AF_INET : AF_INET6
}

function familyOfNumber(number: number): Family | undefined {
  return number === AF_INET ? 4 : number === AF_INET6 ? 6 : undefined
}

function octets(address: string): Uint8Array {
  const bytes = parseAddress(address)
  if (bytes === undefined) throw new RangeError(`not an IP address: ${address}`)
  return bytes
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new DecodeError('rtattr', 0, `an address has 4 or 16 octets, not ${bytes.length}`)
  return formatAddress(bytes)
}

function optional<T>(bytes: Uint8Array | undefined, decode: (bytes: Uint8Array) => T): T | undefined {
  return bytes === undefined ? undefined : decode(bytes)
}
