/** Socket addresses and packet information, as the kernel lays them out (linux/in.h, linux/in6.h). */
import { concat } from '../crypto/bytes.ts'
import {
  type Addresses,
  address,
  be16,
  type Numbers,
  type Struct,
  struct,
  u16,
  u32,
  u64,
} from '../kernel/netlink/struct.ts'
import { formatAddress } from '../wire/address.ts'

/** One end of a datagram. `scope` is the interface of a link-local IPv6 address, else 0. */
export interface SocketAddress {
  readonly address: string
  readonly port: number
  readonly scope: number
}

/** A sockaddr_in or sockaddr_in6, after the number of octets. */
export function encodeSocketAddress(octets: Uint8Array, port: number, scope: number): Uint8Array {
  if (octets.length === 4) return sockaddr_in.encode({ family: AF_INET, port, addr: littleEndian(octets) })
  return sockaddr_in6.encode({ family: AF_INET6, port, addr: octets, scope_id: isLinkLocal(octets) ? scope : 0 })
}

/** Undefined if it is neither IPv4 nor IPv6. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  const family = bytes.length >= 2 ? (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8) : 0
  if (family === AF_INET && bytes.length >= sockaddr_in.size) {
    const { port } = sockaddr_in.decode(bytes)
    return { address: formatAddress(bytes.subarray(4, 8)), port, scope: 0 }
  }
  if (family === AF_INET6 && bytes.length >= sockaddr_in6.size) {
    const { port, addr, scope_id } = sockaddr_in6.decode(bytes)
    return { address: formatAddress(addr), port, scope: isLinkLocal(addr) ? scope_id : 0 }
  }
  return undefined
}

/** Control data that sets the source address of a datagram. */
export function encodePacketInfo(source: Uint8Array, scope: number): Uint8Array {
  if (source.length === 4)
    return controlMessage(IPPROTO_IP, IP_PKTINFO, in_pktinfo.encode({ spec_dst: littleEndian(source) }))
  const ifindex = isLinkLocal(source) ? scope : 0
  return controlMessage(IPPROTO_IPV6, IPV6_PKTINFO, in6_pktinfo.encode({ addr: source, ifindex }))
}

/** Control data that gives one datagram a TOS octet (IPv4) or a traffic class (IPv6). */
export function encodeTrafficClass(family: 4 | 6, octet: number): Uint8Array {
  const value = new Uint8Array(Int32Array.of(octet).buffer)
  return family === 4 ? controlMessage(IPPROTO_IP, IP_TOS, value) : controlMessage(IPPROTO_IPV6, IPV6_TCLASS, value)
}

/** The address that a datagram was sent to, from its control data; undefined if that does not say so. */
export function decodePacketInfo(
  control: Uint8Array,
): { readonly address: string; readonly ifindex: number } | undefined {
  for (let at = 0; at + cmsghdr.size <= control.length; ) {
    const { len, level, type } = cmsghdr.decode(control.subarray(at))
    const length = Number(len)
    if (length < cmsghdr.size || at + length > control.length) return undefined
    const data = control.subarray(at + cmsghdr.size, at + length)
    if (level === IPPROTO_IP && type === IP_PKTINFO && data.length >= in_pktinfo.size)
      return { address: formatAddress(data.subarray(8, 12)), ifindex: in_pktinfo.decode(data).ifindex }
    if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && data.length >= in6_pktinfo.size) {
      const { addr, ifindex } = in6_pktinfo.decode(data)
      return { address: formatAddress(addr), ifindex }
    }
    at += (length + 7) & ~7
  }
  return undefined
}

function controlMessage(level: number, type: number, data: Uint8Array): Uint8Array {
  const length = cmsghdr.size + data.length
  return concat(cmsghdr.encode({ len: BigInt(length), level, type }), data, new Uint8Array(-length & 7))
}

/** fe80::/10. */
function isLinkLocal(octets: Uint8Array): boolean {
  return octets[0] === 0xfe && ((octets[1] ?? 0) & 0xc0) === 0x80
}

/** An in_addr as the number that, stored in the order of the CPU, gives its octets. */
function littleEndian(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0, true)
}

export const sockaddr_in: Struct<Numbers<'family' | 'port' | 'addr'> & { readonly zero: bigint }> = struct(
  'sockaddr_in',
  16,
  { family: u16, port: be16, addr: u32, zero: u64 },
)

export const sockaddr_in6: Struct<Addresses<'addr'> & Numbers<'family' | 'port' | 'flowinfo' | 'scope_id'>> = struct(
  'sockaddr_in6',
  28,
  { family: u16, port: be16, flowinfo: u32, addr: address, scope_id: u32 },
)

export const in_pktinfo: Struct<Numbers<'ifindex' | 'spec_dst' | 'addr'>> = struct('in_pktinfo', 12, {
  ifindex: u32,
  spec_dst: u32,
  addr: u32,
})

export const in6_pktinfo: Struct<Addresses<'addr'> & Numbers<'ifindex'>> = struct('in6_pktinfo', 20, {
  addr: address,
  ifindex: u32,
})

export const cmsghdr: Struct<{ readonly len: bigint } & Numbers<'level' | 'type'>> = struct('cmsghdr', 16, {
  len: u64,
  level: u32,
  type: u32,
})

const AF_INET = 2
const AF_INET6 = 10
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_PKTINFO = 8
const IPV6_PKTINFO = 50
const IP_TOS = 1
const IPV6_TCLASS = 67
