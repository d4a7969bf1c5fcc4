import { familyOf, formatAddress, parseAddress } from './address.ts'
import { knownName, TS_TYPE } from './numbers.ts'
import type { AddressSelector, TrafficSelector } from './payloads/index.ts'
import { type ServiceNames, wellKnownNames } from './services.ts'

/**
 * Traffic selectors as sets of packets (RFC 7296 §2.9), as subnets, and as the text that charon prints and reads.
 */

/** A selector whose address is found out later: the host's own, or the virtual IP it is given. */
export interface DynamicSelector {
  readonly kind: 'dynamic'
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
}

/** The protocol and ports that a selector is limited to. */
export interface ProtocolAndPorts {
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
}

/** All protocols, all ports. */
export const anyProtocol: ProtocolAndPorts = { protocol: 0, startPort: 0, endPort: 65535 }

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

/** Whether the ports are OPAQUE, those of packets whose ports are not to be seen (RFC 7296 §3.13.1). */
export function isOpaque({ startPort, endPort }: ProtocolAndPorts): boolean {
  return startPort === 65535 && endPort === 0
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

function formatLimits(limits: ProtocolAndPorts, names: ServiceNames): string {
  const { protocol } = limits
  const allPorts = limits.startPort === 0 && limits.endPort === 65535
  if (protocol === 0 && allPorts) return ''
  const name = (protocol === 0 ? undefined : names.protocolNames.get(protocol)) ?? `${protocol}`
  return allPorts ? `[${name}]` : `[${name}/${formatPorts(limits, name, names)}]`
}

function formatPorts(limits: ProtocolAndPorts, protocolName: string, names: ServiceNames): string {
  const { protocol, startPort, endPort } = limits
  if (isOpaque(limits)) return 'OPAQUE'
  if (isIcmp(protocol))
    return startPort === endPort ? formatIcmp(startPort) : `${formatIcmp(startPort)}-${formatIcmp(endPort)}`
  if (startPort !== endPort) return `${startPort}-${endPort}`
  return names.serviceNames.get(`${startPort}/${protocolName}`) ?? `${startPort}`
}

/** RFC 7296 §3.13.1: the type is in the high octet of a port, the code in the low one. */
function formatIcmp(port: number): string {
  const code = port & 0xff
  return code === 0 ? `${port >>> 8}` : `${port >>> 8}(${code})`
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

function parseLimits(text: string, names: ServiceNames): ProtocolAndPorts | undefined {
  const slash = text.indexOf('/')
  const protocolText = slash < 0 ? text : text.slice(0, slash)
  const protocol = parseProtocol(protocolText, names)
  if (protocol === undefined) return undefined
  const ports = parsePorts(slash < 0 ? '' : text.slice(slash + 1), protocol, names)
  return ports === undefined ? undefined : { protocol, ...ports }
}

function parseProtocol(text: string, names: ServiceNames): number | undefined {
  if (text === '' || text === 'any') return 0
  return names.protocolNumbers.get(text) ?? wholeNumber(text, 255)
}

type Ports = Pick<ProtocolAndPorts, 'startPort' | 'endPort'>

function parsePorts(text: string, protocol: number, names: ServiceNames): Ports | undefined {
  if (text === '' || text === 'any') return { startPort: 0, endPort: 65535 }
  if (text.toLowerCase() === 'opaque') return { startPort: 65535, endPort: 0 }
  if (isIcmp(protocol)) return parseIcmp(text)
  const protocolName = names.protocolNames.get(protocol) ?? `${protocol}`
  const service = names.servicePorts.get(`${text}/${protocolName}`)
  if (service !== undefined) return { startPort: service, endPort: service }
  const [from = '', to = from, ...more] = text.split('-')
  const [startPort, endPort] = [wholeNumber(from, 65535), wholeNumber(to, 65535)]
  if (startPort === undefined || endPort === undefined || startPort > endPort || more.length > 0) return undefined
  return { startPort, endPort }
}

/** `8`: a type with all its codes; `3(1)`: one code; ranges of both; 256 and above: type and code in one number. */
function parseIcmp(text: string): Ports | undefined {
  const match = /^(\d{1,5})(?:\((\d{1,3})\))?(?:-(\d{1,5})(?:\((\d{1,3})\))?)?$/.exec(text)
  if (match === null) return undefined
  const [, type, code, lastType = type, lastCode = match[3] === undefined ? code : undefined] = match
  const startPort = icmpPort(type, code, 0)
  const endPort = icmpPort(lastType, lastCode, 255)
  if (startPort === undefined || endPort === undefined || startPort > endPort) return undefined
  return { startPort, endPort }
}

function icmpPort(type: string | undefined, code: string | undefined, anyCode: number): number | undefined {
  const number = wholeNumber(type ?? '', 65535)
  if (number === undefined || number > 255) return code === undefined ? number : undefined
  const low = code === undefined ? anyCode : wholeNumber(code, 255)
  return low === undefined ? undefined : (number << 8) | low
}

function intersectPorts(a: ProtocolAndPorts, b: ProtocolAndPorts): Ports | undefined {
  // RFC 4301 §4.4.1.1: OPAQUE is met by OPAQUE and by ANY.
  if (isOpaque(a) || isOpaque(b)) {
    const other = isOpaque(a) ? b : a
    const fits = isOpaque(other) || (other.startPort === 0 && other.endPort === 65535)
    return fits ? { startPort: 65535, endPort: 0 } : undefined
  }
  const startPort = Math.max(a.startPort, b.startPort)
  const endPort = Math.min(a.endPort, b.endPort)
  return startPort <= endPort ? { startPort, endPort } : undefined
}

function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58
}

function wholeNumber(text: string, most: number): number | undefined {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return number <= most ? number : undefined
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
