import { TS_TYPE } from '../numbers.ts'
import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'
import type { Codec } from './codec.ts'

/** Traffic selectors of the initiator's side, RFC 7296 §3.13: count (1 octet), reserved (3), selectors. */
export interface TSiPayload {
  readonly type: 'TSi'
  readonly selectors: readonly TrafficSelector[]
}

/** Traffic selectors of the responder's side. */
export interface TSrPayload {
  readonly type: 'TSr'
  readonly selectors: readonly TrafficSelector[]
}

/** RFC 7296 §3.13.1; `other` is a type of selector that we do not speak, and never matches anything. */
export type TrafficSelector = AddressSelector | OtherSelector

/** TS_IPV4_ADDR_RANGE and TS_IPV6_ADDR_RANGE. A start above its end is kept as it came; it selects nothing. */
export interface AddressSelector {
  readonly kind: 'address'
  readonly family: 4 | 6
  /** IP protocol; 0 is any. */
  readonly protocol: number
  /** 0 to 65535 is any, 65535 to 0 is OPAQUE; for ICMP the type in the high and the code in the low octet. */
  readonly startPort: number
  readonly endPort: number
  /** 4 or 16 octets. */
  readonly start: Uint8Array
  /** The last address of the range. */
  readonly end: Uint8Array
}

/** A selector of another type. */
export interface OtherSelector {
  readonly kind: 'other'
  /** `TS_TYPE`. */
  readonly tsType: number
  /** The octet behind the type; RFC 9478 reserves it for TS_SECLABEL. */
  readonly protocol: number
  /** What follows the length. */
  readonly data: Uint8Array
}

export const tsi: Codec<TSiPayload> = {
  number: 44,
  type: 'TSi',
  decode: (body) => ({ type: 'TSi', selectors: decodeSelectors(body) }),
  encode: encodeSelectors,
}

export const tsr: Codec<TSrPayload> = {
  number: 45,
  type: 'TSr',
  decode: (body) => ({ type: 'TSr', selectors: decodeSelectors(body) }),
  encode: encodeSelectors,
}

function decodeSelectors(body: Reader): readonly TrafficSelector[] {
  const count = body.u8()
  body.bytes(3)
  const selectors: TrafficSelector[] = []
  for (let i = 0; i < count; i++) {
    const tsType = body.u8()
    const protocol = body.u8()
    const length = body.u16()
    if (length < 4) body.fail(`selector ${i} is ${length} octets long`)
    const part = body.sub(length - 4, `selector[${i}]`)
    const family = familyOfType(tsType)
    selectors.push(
      family === undefined
        ? { kind: 'other', tsType, protocol, data: part.rest() }
        : decodeAddresses(part, family, protocol),
    )
  }
  body.end()
  return selectors
}

function decodeAddresses(body: Reader, family: 4 | 6, protocol: number): AddressSelector {
  const size = family === 4 ? 4 : 16
  const startPort = body.u16()
  const endPort = body.u16()
  const start = body.bytes(size)
  const end = body.bytes(size)
  body.end()
  return { kind: 'address', family, protocol, startPort, endPort, start, end }
}

function encodeSelectors({ selectors }: { readonly selectors: readonly TrafficSelector[] }, body: Writer): void {
  body.u8(selectors.length)
  body.zeros(3)
  for (const selector of selectors) {
    const at = body.length
    body.u8(selector.kind === 'other' ? selector.tsType : typeOfFamily(selector.family))
    body.u8(selector.protocol)
    body.zeros(2)
    if (selector.kind === 'other') body.bytes(selector.data)
    else {
      body.u16(selector.startPort)
      body.u16(selector.endPort)
      body.bytes(selector.start)
      body.bytes(selector.end)
    }
    body.length16(at + 2)
  }
}

function familyOfType(tsType: number): 4 | 6 | undefined {
  if (tsType === TS_TYPE.IPV4_ADDR_RANGE) return 4
  return tsType === TS_TYPE.IPV6_ADDR_RANGE ? 6 : undefined
}

function typeOfFamily(family: 4 | 6): number {
  return family === 4 ? TS_TYPE.IPV4_ADDR_RANGE : TS_TYPE.IPV6_ADDR_RANGE
}
