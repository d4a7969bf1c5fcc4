import { familyOf, formatAddress, parseAddress } from './address.ts'
import { knownName, TS_TYPE } from './numbers.ts'
import type { AddressSelector, TrafficSelector } from './payloads/index.ts'
import { anyProtocol, formatLimits, intersectPorts, type ProtocolAndPorts, parseLimits } from './ports.ts'
import { type ServiceNames, wellKnownNames } from './services.ts'

/**
 * Traffic selectors as sets of packets (RFC 7296 §2.9), as subnets, and as the text that charon prints and reads.
 */

/** A selector whose address is found out later: the host's own, or the virtual IP it is given. */
export interface DynamicSelector extends ProtocolAndPorts {
  readonly kind: 'dynamic'
}

/** What both select; undefined if that is nothing. Selectors of unknown types select nothing. */
export function intersect(a: TrafficSelector, b: TrafficSelector): AddressSelector | undefined {
  if (a.kind !== 'address' || b.kind !== 'address' || a.family !== b.family) return undefined
  if (a.protocol !== 0 && b.protocol !== 0 && a.protocol !== b.protocol) return undefined
  const ports = intersectPorts(a, b)
  const start = compare(a.start, b.start) >= 0 ? a.start : b.start
  const end = compare(a.end, b.end) <= 0 ? a.end : b.end
  if (ports === undefined || compare(start, end) > 0) return undefined
  return {
    kind: 'address',
    family: a.family,
    protocol: a.protocol === 0 ? b.protocol : a.protocol,
    ...ports,
    start,
    end,
  }
}

/** Whether everything that `inner` selects is selected by `outer`. */
export function contains(outer: TrafficSelector, inner: TrafficSelector): boolean {
  const common = intersect(outer, inner)
  return common !== undefined && equal(common, inner)
}

/** Whether both are the same, field by field. */
export function equal(a: TrafficSelector, b: TrafficSelector): boolean {
  if (a.kind === 'other' || b.kind === 'other')
    return (
      a.kind === 'other' &&
      b.kind === 'other' &&
      a.tsType === b.tsType &&
      a.protocol === b.protocol &&
      compare(a.data, b.data) === 0
    )
  return (
    a.family === b.family &&
    a.protocol === b.protocol &&
    a.startPort === b.startPort &&
    a.endPort === b.endPort &&
    compare(a.start, b.start) === 0 &&
    compare(a.end, b.end) === 0
  )
}

/**
 * What of `offered` lies within `configured`, in the order of the offer and without selectors that another one
 * contains; at most 255, as many as fit a payload. Empty means TS_UNACCEPTABLE.
 */
export function narrow(
  offered: readonly TrafficSelector[],
  configured: readonly TrafficSelector[],
): readonly AddressSelector[] {
  let narrowed: AddressSelector[] = []
  for (const theirs of offered) {
    for (const ours of configured) {
      const common = intersect(theirs, ours)
      if (common === undefined || narrowed.some((other) => contains(other, common))) continue
      narrowed = narrowed.filter((other) => !contains(common, other))
      narrowed.push(common)
      if (narrowed.length === MOST_SELECTORS) return narrowed
    }
  }
  return narrowed
}

/**
 * What of `all` no selector of `taken` selects, in whole addresses: where only some protocols or ports of an address are
 * taken, none of it is left.
 */
export function without(all: readonly AddressSelector[], taken: readonly AddressSelector[]): AddressSelector[] {
  return taken.reduce<AddressSelector[]>((left, one) => left.flatMap((selector) => cut(selector, one)), [...all])
}

function cut(selector: AddressSelector, taken: AddressSelector): AddressSelector[] {
  const common = intersect(selector, taken)
  if (common === undefined) return [selector]
  const before = compare(selector.start, common.start) < 0 && { ...selector, end: neighbour(common.start, -1) }
  const after = compare(common.end, selector.end) < 0 && { ...selector, start: neighbour(common.end, 1) }
  return [before, after].filter((part) => part !== false)
}

/** The address before or after another one. */
function neighbour(address: Uint8Array, step: 1 | -1): Uint8Array {
  const next = address.slice()
  for (let i = next.length - 1; i >= 0; i--) {
    const sum = (next[i] ?? 0) + step
    next[i] = sum & 0xff
    if (sum >= 0 && sum <= 0xff) break
  }
  return next
}

/** The selector of a subnet; bits of `address` behind the prefix do not matter. */
export function fromSubnet(
  address: Uint8Array,
  prefix: number,
  limits: ProtocolAndPorts = anyProtocol,
): AddressSelector {
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > address.length * 8) throw new RangeError(`prefix ${prefix}`)
  const start = Uint8Array.from(address, (octet, i) => octet & maskOctet(prefix, i))
  const end = Uint8Array.from(address, (octet, i) => octet | (~maskOctet(prefix, i) & 0xff))
  const { protocol, startPort, endPort } = limits
  return { kind: 'address', family: familyOf(address), protocol, startPort, endPort, start, end }
}

/** The smallest subnet around the addresses of a selector, and whether it is no larger than they are. */
export function toSubnet(selector: AddressSelector): {
  readonly address: Uint8Array
  readonly prefix: number
  readonly exact: boolean
} {
  const { start, end } = selector
  const prefix = commonBits(start, end)
  const subnet = fromSubnet(start, prefix)
  const exact = compare(subnet.start, start) === 0 && compare(subnet.end, end) === 0
  return { address: subnet.start, prefix, exact }
}

/**
 * As charon prints it: `10.1.0.0/16[tcp/http]`, `10.0.0.1..10.0.0.9`, `dynamic[udp]`; a selector of an unknown type as
 * the name of that type.
 */
export function formatSelector(
  selector: TrafficSelector | DynamicSelector,
  names: ServiceNames = wellKnownNames,
): string {
  if (selector.kind === 'other') return knownName(TS_TYPE, selector.tsType) ?? `TS(${selector.tsType})`
  return formatRange(selector) + formatLimits(selector, names)
}

/** Several selectors as in charon's log, with blanks between. */
export function formatSelectors(selectors: readonly TrafficSelector[], names?: ServiceNames): string {
  return selectors.map((selector) => formatSelector(selector, names)).join(' ')
}

/**
 * Reads what charon's configuration reads: `dynamic`, `10.1.0.0/16`, `10.0.0.1`, `10.0.0.1-10.0.0.9`, `%any`, each with
 * `[proto[/port]]` behind. Undefined if it is not such a text.
 */
export function parseSelector(
  text: string,
  names: ServiceNames = wellKnownNames,
): AddressSelector | DynamicSelector | undefined {
  const match = /^([^[\]\s]+)(?:\[([^[\]]*)\])?$/.exec(text)
  if (match === null) return undefined
  const [, where = '', limitText] = match
  const limits = limitText === undefined ? anyProtocol : parseLimits(limitText, names)
  if (limits === undefined) return undefined
  if (where === 'dynamic') return { kind: 'dynamic', ...limits }
  const [start, end] = parseRange(where) ?? []
  if (start === undefined || end === undefined) return undefined
  return { kind: 'address', family: familyOf(start), ...limits, start, end }
}

function formatRange(selector: AddressSelector | DynamicSelector): string {
  if (selector.kind === 'dynamic') return 'dynamic'
  const { address, prefix, exact } = toSubnet(selector)
  if (exact) return `${formatAddress(address)}/${prefix}`
  return `${formatAddress(selector.start)}..${formatAddress(selector.end)}`
}

function parseRange(text: string): readonly [Uint8Array, Uint8Array] | undefined {
  if (text === '%any' || text === '%any4') return subnetRange('0.0.0.0', 0)
  if (text === '%any6') return subnetRange('::', 0)
  const [from = '', to, ...more] = text.split('-')
  if (more.length > 0) return undefined
  if (to !== undefined) {
    const [start, end] = [parseAddress(from), parseAddress(to)]
    if (start?.length !== end?.length || start === undefined || end === undefined) return undefined
    return compare(start, end) <= 0 ? [start, end] : undefined
  }
  const [address = '', prefix, ...parts] = text.split('/')
  if (parts.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined
  return subnetRange(address, prefix === undefined ? undefined : Number(prefix))
}

function subnetRange(text: string, prefix: number | undefined): readonly [Uint8Array, Uint8Array] | undefined {
  const address = parseAddress(text)
  if (address === undefined) return undefined
  const bits = address.length * 8
  if (prefix !== undefined && prefix > bits) return undefined
  const { start, end } = fromSubnet(address, prefix ?? bits)
  return [start, end]
}

/** The order of two equally long strings of octets as numbers; of others by length. */
function compare(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return a.length - b.length
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number) // both have `a.length` octets
    if (difference !== 0) return difference
  }
  return 0
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((octet, i) => octet !== b[i])
  return at < 0 ? a.length * 8 : at * 8 + Math.clz32((a[at] as number) ^ (b[at] as number)) - 24 // found, so both are there
}

/** The octet at `i` of the netmask with `prefix` bits. */
function maskOctet(prefix: number, i: number): number {
  const bits = Math.min(Math.max(prefix - 8 * i, 0), 8)
  return (0xff00 >>> bits) & 0xff
}

/** The count in a TS payload has one octet. */
const MOST_SELECTORS = 255
