/** Numbers of linux/xfrm.h and its neighbours, spelled as there, and the conversions between them and our words. */

import { formatAddress, parseAddress } from '../../wire/address.ts'
import { DecodeError } from '../../wire/errors.ts'
import type { Partially } from '../netlink/struct.ts'
import type { KernelSelector, PolicyDirection, SaMode, SaProtocol, StateProtocol } from '../operations.ts'
import type { XfrmSelector } from './structs.ts'

export const XFRM_MSG_NEWSA = 0x10
export const XFRM_MSG_DELSA = 0x11
export const XFRM_MSG_GETSA = 0x12
export const XFRM_MSG_NEWPOLICY = 0x13
export const XFRM_MSG_DELPOLICY = 0x14
export const XFRM_MSG_GETPOLICY = 0x15
export const XFRM_MSG_ALLOCSPI = 0x16
export const XFRM_MSG_ACQUIRE = 0x17
export const XFRM_MSG_EXPIRE = 0x18
export const XFRM_MSG_UPDPOLICY = 0x19
export const XFRM_MSG_UPDSA = 0x1a
export const XFRM_MSG_NEWAE = 0x1e
export const XFRM_MSG_NEWSPDINFO = 0x24
export const XFRM_MSG_MAPPING = 0x26
export const XFRMA_SPD_IPV4_HTHRESH = 3
export const XFRMA_SPD_IPV6_HTHRESH = 4

export const XFRMNLGRP_ACQUIRE = 1
export const XFRMNLGRP_EXPIRE = 2
export const XFRMNLGRP_MAPPING = 8

export const XFRMA_ALG_AUTH_TRUNC = 20
export const XFRMA_ALG_CRYPT = 2
export const XFRMA_ALG_COMP = 3
export const XFRMA_ENCAP = 4
export const XFRMA_TMPL = 5
export const XFRMA_LTIME_VAL = 9
export const XFRMA_REPLAY_VAL = 10
export const XFRMA_SRCADDR = 13
export const XFRMA_LASTUSED = 15
export const XFRMA_ALG_AEAD = 18
export const XFRMA_MARK = 21
export const XFRMA_TFCPAD = 22
export const XFRMA_REPLAY_ESN_VAL = 23
export const XFRMA_SA_EXTRA_FLAGS = 24
export const XFRMA_OFFLOAD_DEV = 28
export const XFRMA_SET_MARK = 29
export const XFRMA_SET_MARK_MASK = 30
export const XFRMA_IF_ID = 31

export const XFRM_STATE_NOECN = 1
export const XFRM_STATE_DECAP_DSCP = 2
export const XFRM_STATE_NOPMTUDISC = 4
export const XFRM_STATE_AF_UNSPEC = 32
export const XFRM_STATE_ICMP = 16
export const XFRM_STATE_ALIGN4 = 64
export const XFRM_STATE_ESN = 128
export const XFRM_SA_XFLAG_DONT_ENCAP_DSCP = 1

export const XFRM_POLICY_ALLOW = 0
export const XFRM_POLICY_BLOCK = 1
/** Of `flags`. */
export const XFRM_POLICY_ICMP = 2

export const XFRM_OFFLOAD_INBOUND = 2
export const XFRM_OFFLOAD_PACKET = 4

/** "Never" for octets and packets. */
export const XFRM_INF = 0xffff_ffff_ffff_ffffn

export const UDP_ENCAP_ESPINUDP = 2

export const AF_INET = 2
export const AF_INET6 = 10

/** IP protocol numbers. */
export const protocolNumbers: Readonly<Record<StateProtocol, number>> = { ESP: 50, AH: 51, IPCOMP: 108 }

/** XFRM_MODE_*. */
export const modeNumbers: Readonly<Record<SaMode, number>> = { transport: 0, tunnel: 1, beet: 4 }

/** XFRM_POLICY_IN, OUT, FWD. */
export const directionNumbers: Readonly<Record<PolicyDirection, number>> = { in: 0, out: 1, fwd: 2 }

/** ESP or AH, or undefined for something else (IPComp, routing headers). */
export function protocolOf(number: number): SaProtocol | undefined {
  return number === 50 ? 'ESP' : number === 51 ? 'AH' : undefined
}

/**
 * The octets of an address.
 * @throws RangeError if it is none, which is a mistake of our own: the core gives canonical text
 */
export function octets(address: string): Uint8Array {
  const bytes = parseAddress(address)
  if (bytes === undefined) throw new RangeError(`not an IP address: ${address}`)
  return bytes
}

/** AF_INET or AF_INET6. */
export function addressFamily(address: string): number {
  return octets(address).length === 4 ? AF_INET : AF_INET6
}

/** An xfrm_address_t as text. */
export function addressText(bytes: Uint8Array, family: number): string {
  return formatAddress(family === AF_INET ? bytes.subarray(0, 4) : bytes)
}

/** @param ifindex of `selector.interface`, 0 if there is none */
export function encodeSelector(selector: KernelSelector, ifindex: number): Partially<XfrmSelector> {
  const { source, destination } = selector
  return {
    daddr: octets(destination.address),
    saddr: octets(source.address),
    dport: destination.port,
    dport_mask: destination.portMask,
    sport: source.port,
    sport_mask: source.portMask,
    family: selector.family === 4 ? AF_INET : AF_INET6,
    prefixlen_d: destination.prefix,
    prefixlen_s: source.prefix,
    proto: selector.protocol,
    ifindex,
  }
}

/** The interface is left out: the kernel fills in the one a packet would take. */
export function decodeSelector(sel: XfrmSelector): KernelSelector {
  if (sel.family !== AF_INET && sel.family !== AF_INET6)
    throw new DecodeError('xfrm_selector', 40, `address family ${sel.family}`)
  return {
    family: sel.family === AF_INET ? 4 : 6,
    protocol: sel.proto,
    source: {
      address: addressText(sel.saddr, sel.family),
      prefix: sel.prefixlen_s,
      port: sel.sport,
      portMask: sel.sport_mask,
    },
    destination: {
      address: addressText(sel.daddr, sel.family),
      prefix: sel.prefixlen_d,
      port: sel.dport,
      portMask: sel.dport_mask,
    },
  }
}
