/** Addresses of simulated packets: canonical text outside, octets for matching. */
import { parseAddress } from '../../wire/address.ts'
import type { KernelSelector, SelectorSide } from '../operations.ts'

/** The octets of an IPv4 or IPv6 address; throws RangeError for other text. */
export function octetsOf(address: string): Uint8Array {
  let octets = known.get(address)
  if (octets === undefined) {
    octets = parseAddress(address)
    if (octets === undefined) throw new RangeError(`not an address: ${address}`)
    if (known.size >= 10_000) known.clear()
    known.set(address, octets)
  }
  return octets
}

/** 4 or 6. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4
}

/** Is `address` inside `network`/`prefix`? Addresses of the other family never are. */
export function inSubnet(address: string, network: string, prefix: number): boolean {
  const a = octetsOf(address)
  const n = octetsOf(network)
  if (a.length !== n.length) return false
  const whole = prefix >> 3
  for (let i = 0; i < whole; i++) if (a[i] !== n[i]) return false
  const rest = prefix & 7
  if (rest === 0) return true
  const mask = 0xff << (8 - rest)
  return (((a[whole] ?? 0) ^ (n[whole] ?? 0)) & mask & 0xff) === 0
}

/** What a selector is compared with: the header fields of one packet. */
export interface Flow {
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly protocol: number
  readonly sourcePort: number
  readonly destinationPort: number
}

/** xfrm_selector_match(). */
export function selects(selector: KernelSelector, flow: Flow): boolean {
  return (
    selector.family === flow.family &&
    (selector.protocol === 0 || selector.protocol === flow.protocol) &&
    sideMatches(selector.source, flow.source, flow.sourcePort) &&
    sideMatches(selector.destination, flow.destination, flow.destinationPort)
  )
}

/** A text that is the same for the same selector. */
export function selectorText(selector: KernelSelector): string {
  const side = (s: SelectorSide): string => `${s.address}/${s.prefix}[${s.port}/${s.portMask}]`
  return `${side(selector.source)} ${side(selector.destination)} ${selector.protocol} ${selector.interface ?? ''}`
}

function sideMatches(side: SelectorSide, address: string, port: number): boolean {
  return ((side.port ^ port) & side.portMask) === 0 && inSubnet(address, side.address, side.prefix)
}

const known = new Map<string, Uint8Array>()
