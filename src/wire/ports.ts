import type { ServiceNames } from './services.ts'

/** The protocol and ports that a traffic selector is limited to, RFC 7296 §3.13.1. */
export interface ProtocolAndPorts {
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
}

/** All protocols, all ports. */
export const anyProtocol: ProtocolAndPorts = { protocol: 0, startPort: 0, endPort: 65535 }

/** Whether the ports are OPAQUE, those of packets whose ports are not to be seen (RFC 7296 §3.13.1). */
export function isOpaque({ startPort, endPort }: ProtocolAndPorts): boolean {
  return startPort === 65535 && endPort === 0
}

/** The ports that both select; undefined if there are none. The protocols are not looked at. */
export function intersectPorts(a: ProtocolAndPorts, b: ProtocolAndPorts): Ports | undefined {
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

/** As charon prints it behind the addresses: `[tcp/http]`, `[gre]`, `[0/80]`; empty if nothing is limited. */
export function formatLimits(limits: ProtocolAndPorts, names: ServiceNames): string {
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

/** Reads what stands between the brackets: `tcp/http`, `gre/`, `/80`, `icmp/8`. Undefined if it is not such a text. */
export function parseLimits(text: string, names: ServiceNames): ProtocolAndPorts | undefined {
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

function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58
}

function wholeNumber(text: string, most: number): number | undefined {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return number <= most ? number : undefined
}
