/** Traffic selectors as text: `10.1.0.0/16[tcp/http]`, `dynamic`, `10.5.0.1..10.5.0.9`. */
import { addressText, maskBits } from '../pki/address.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import { ConfigError } from './config-error.ts'
import type { ConfiguredSelector } from './connection.ts'
import { type PortNames, systemPortNames } from './port-names.ts'
import { parseAddressRange, parseNumberPrefix } from './values.ts'

interface Ports {
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
}

/**
 * `dynamic`, an address, a subnet or `a-b`, then `[protocol/port]` without a blank before it.
 * @throws ConfigError
 */
export function parseSelector(text: string, names: PortNames = systemPortNames()): ConfiguredSelector {
  const bracket = text.indexOf('[')
  const address = bracket < 0 ? text : text.slice(0, bracket)
  if (bracket >= 0 && !text.endsWith(']')) throw new ConfigError(`'${text}' is no selector: the ']' is missing`)
  const ports = parsePorts(bracket < 0 ? '' : text.slice(bracket + 1, -1), names)
  if (address === 'dynamic') return { kind: 'dynamic', ...ports }
  const range = parseAddressRange(address === '%any' ? '0.0.0.0/0' : address)
  if (range === undefined) {
    throw new ConfigError(
      `'${text}' is no selector; write dynamic, an address, a subnet or from-to, then [protocol/port]`,
    )
  }
  const { from, to } = range
  return {
    kind: 'fixed',
    selector: { kind: 'address', family: from.length === 4 ? 4 : 6, ...ports, start: from, end: to },
  }
}

/** A selector as charon prints it, with the names of this host. */
export function formatSelector(selector: AddressSelector, names: PortNames = systemPortNames()): string {
  return formatAddresses(selector.start, selector.end) + formatPorts(selector, names)
}

/** The same for one of a configuration, which may be `dynamic`. */
export function formatConfiguredSelector(selector: ConfiguredSelector, names: PortNames = systemPortNames()): string {
  return selector.kind === 'fixed' ? formatSelector(selector.selector, names) : `dynamic${formatPorts(selector, names)}`
}

function parsePorts(text: string, names: PortNames): Ports {
  const slash = text.indexOf('/')
  const protocol = parseProtocol(slash < 0 ? text : text.slice(0, slash), names)
  const port = slash < 0 ? '' : text.slice(slash + 1)
  const any = { protocol, startPort: 0, endPort: 65535 }
  if (port === '' || port === 'any') return any
  if (port === 'opaque') return { protocol, startPort: 65535, endPort: 0 }
  const service = names.servicePort(port)
  if (service !== undefined) return { protocol, startPort: service, endPort: service }
  const first = parseNumberPrefix(port)
  const last = first.rest.startsWith('-') ? parseNumberPrefix(first.rest.slice(1)) : first
  const ok = first.rest !== port && (last === first ? first.rest === '' : last.rest === '' && first.rest.length > 1)
  if (!ok || first.number > last.number || last.number > 65535n) {
    throw new ConfigError(`'${port}' is no port; write a number, a range or the name of a service`)
  }
  return { protocol, startPort: icmp(protocol, first.number), endPort: icmp(protocol, last.number) }
}

/** For ICMP a small number is a type: it belongs into the high octet (RFC 7296 §3.13.1). */
function icmp(protocol: number, port: bigint): number {
  return isIcmp(protocol) && port < 256n ? Number(port) << 8 : Number(port)
}

function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58
}

function parseProtocol(text: string, names: PortNames): number {
  if (text === '' || text === 'any') return 0
  const known = names.protocolNumber(text)
  if (known !== undefined) return known
  const { number, rest } = parseNumberPrefix(text)
  if (rest !== '' || number > 255n) throw new ConfigError(`'${text}' is no protocol; write its name or a number to 255`)
  return Number(number)
}

function formatAddresses(start: Uint8Array, end: Uint8Array): string {
  const mask = start.map((byte, at) => ~(byte ^ (end[at] ?? 0)) & 0xff)
  const bits = maskBits(mask)
  const subnet =
    bits !== undefined &&
    start.every((byte, at) => (byte & ~(mask[at] ?? 0) & 0xff) === 0) &&
    end.every((byte, at) => (byte | (mask[at] ?? 0)) === 0xff)
  return subnet ? `${addressText(start)}/${bits}` : `${addressText(start)}..${addressText(end)}`
}

function formatPorts({ protocol, startPort, endPort }: Ports, names: PortNames): string {
  const anyPort = startPort === 0 && endPort === 65535
  if (protocol === 0 && anyPort) return ''
  const name = protocol === 0 ? '0' : (names.protocolName(protocol) ?? String(protocol))
  if (anyPort) return `[${name}]`
  if (startPort === 65535 && endPort === 0) return `[${name}/OPAQUE]`
  if (isIcmp(protocol)) {
    const range = startPort === endPort ? icmpText(startPort) : `${icmpText(startPort)}-${icmpText(endPort)}`
    return `[${name}/${range}]`
  }
  if (startPort !== endPort) return `[${name}/${startPort}-${endPort}]`
  return `[${name}/${names.serviceName(startPort, protocol) ?? startPort}]`
}

function icmpText(port: number): string {
  const code = port & 0xff
  return code === 0 ? String(port >> 8) : `${port >> 8}(${code})`
}
