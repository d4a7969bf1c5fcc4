/** Names of protocols and services, from /etc/protocols and /etc/services as charon has them. */
import { type ConfigFiles, diskFiles } from './files.ts'

export interface PortNames {
  protocolNumber(name: string): number | undefined
  protocolName(number: number): string | undefined
  /** The port of a service, whatever its protocol. */
  servicePort(name: string): number | undefined
  serviceName(port: number, protocol: number): string | undefined
}

/** The names that this host knows; read once. Without the files there are a few built-in protocols. */
export function systemPortNames(): PortNames {
  system ??= readPortNames(diskFiles())
  return system
}

let system: PortNames | undefined

export function readPortNames(files: ConfigFiles): PortNames {
  const protocols = new Map<string, number>()
  const protocolNames = new Map<number, string>()
  for (const [name, number, ...aliases] of [...rows(files, '/etc/protocols'), ...builtIn]) {
    const parsed = Number(number)
    if (name === undefined || !Number.isInteger(parsed) || parsed > 255) continue
    if (!protocolNames.has(parsed)) protocolNames.set(parsed, name)
    for (const alias of [name, ...aliases]) if (!protocols.has(alias)) protocols.set(alias, parsed)
  }
  const services = new Map<string, number>()
  const serviceNames = new Map<string, string>()
  for (const [name, port, ...aliases] of rows(files, '/etc/services')) {
    const [number, protocol] = (port ?? '').split('/')
    const parsed = Number(number)
    if (name === undefined || protocol === undefined || !Number.isInteger(parsed) || parsed > 65535) continue
    const key = `${parsed}/${protocol}`
    if (!serviceNames.has(key)) serviceNames.set(key, name)
    for (const alias of [name, ...aliases]) if (!services.has(alias)) services.set(alias, parsed)
  }
  return {
    protocolNumber: (name) => protocols.get(name),
    protocolName: (number) => protocolNames.get(number),
    servicePort: (name) => services.get(name),
    serviceName: (port, protocol) => serviceNames.get(`${port}/${protocolNames.get(protocol) ?? ''}`),
  }
}

function rows(files: ConfigFiles, path: string): string[][] {
  if (files.stat(path) === undefined) return []
  const lines = Buffer.from(files.read(path)).toString('latin1').split('\n')
  return lines.map((line) => (line.split('#', 1)[0] ?? '').split(/\s+/).filter((word) => word !== ''))
}

const builtIn: readonly (readonly string[])[] = [
  ['icmp', '1', 'ICMP'],
  ['tcp', '6', 'TCP'],
  ['udp', '17', 'UDP'],
  ['gre', '47', 'GRE'],
  ['esp', '50', 'IPSEC-ESP'],
  ['ah', '51', 'IPSEC-AH'],
  ['ipv6-icmp', '58', 'IPv6-ICMP'],
  ['ospf', '89', 'OSPFIGP'],
  ['l2tp', '115', 'L2TP'],
  ['sctp', '132', 'SCTP'],
]
