/** Traffic selectors (RFC 7296 §2.9, §3.13): from the configuration, narrowed, and turned into kernel policies. */
import type { ChildConfig, ConfiguredSelector } from '../config/connection.ts'
import type { KernelSelector, SelectorSide } from '../kernel/operations.ts'
import { formatAddress, parseAddress } from '../wire/address.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import { contains } from '../wire/selector.ts'

/** The configured selectors with `dynamic` replaced by the given hosts (an IKE endpoint or virtual IPs). */
export function resolveSelectors(
  configured: readonly ConfiguredSelector[],
  hosts: readonly string[],
): AddressSelector[] {
  return configured.flatMap((entry) => {
    if (entry.kind === 'fixed') return [entry.selector]
    const { protocol, startPort, endPort } = entry
    return hosts.map((host) => hostSelector(host, protocol, startPort, endPort))
  })
}

/** A selector for one host; by default all its traffic. */
export function hostSelector(host: string, protocol = 0, startPort = 0, endPort = 65535): AddressSelector {
  const address = parseAddress(host) ?? new Uint8Array(4)
  return {
    kind: 'address',
    family: address.length === 16 ? 6 : 4,
    protocol,
    startPort,
    endPort,
    start: address,
    end: address,
  }
}

/**
 * Transport mode through NAT, RFC 7296 §2.23.1: the selectors of one host with the address by which we know it in place
 * of the one that it has itself. Selectors with more than exactly one address stay as they are, and do not fit.
 */
export function substituted(selectors: readonly AddressSelector[], address: string): readonly AddressSelector[] {
  const host = hostSelector(address)
  const [first] = selectors
  const oneHost = selectors.every(({ start, end }) =>
    [start, end].every((x) => Buffer.compare(x, first?.start ?? x) === 0),
  )
  if (!oneHost || first?.family !== host.family) return selectors
  return selectors.map((selector) => ({ ...selector, start: host.start, end: host.end }))
}

/** Whether every selector of `part` lies within one of `whole`: an answer may narrow, never widen. */
export function within(part: readonly AddressSelector[], whole: readonly AddressSelector[]): boolean {
  return part.length > 0 && part.every((selector) => whole.some((other) => contains(other, selector)))
}

/** Whether there is one address on each side. */
export function isSinglePair(local: readonly AddressSelector[], remote: readonly AddressSelector[]): boolean {
  return [local, remote].every((side) => {
    const [first] = side
    return first !== undefined && side.every(({ start, end }) => [start, end].every((x) => sameOctets(x, first.start)))
  })
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** What one policy is for. */
export interface SelectorPair {
  readonly local: AddressSelector
  readonly remote: AddressSelector
  /** 0 is any. */
  readonly protocol: number
}

/** Pairs of a local and a remote selector that can be one policy: same family, protocols that agree. */
export function pairs(local: readonly AddressSelector[], remote: readonly AddressSelector[]): SelectorPair[] {
  return local.flatMap((ours) =>
    remote.flatMap((theirs) => {
      if (ours.family !== theirs.family) return []
      if (ours.protocol !== 0 && theirs.protocol !== 0 && ours.protocol !== theirs.protocol) return []
      return [{ local: ours, remote: theirs, protocol: ours.protocol || theirs.protocol }]
    }),
  )
}

/** The smallest subnet around a selector's range: `address/prefix`. The kernel knows subnets only. */
export function enclosingSubnet(selector: AddressSelector): { address: string; prefix: number } {
  const { start, end } = selector
  let prefix = 0
  while (prefix < start.length * 8 && bit(start, prefix) === bit(end, prefix)) prefix++
  const network = start.slice()
  for (let i = prefix; i < network.length * 8; i++) {
    network[i >> 3] = (network[i >> 3] ?? 0) & ~(0x80 >> (i & 7))
  }
  return { address: formatAddress(network), prefix }
}

/** The kernel selector of packets from `source` to `destination`. */
export function kernelSelector(
  source: AddressSelector,
  destination: AddressSelector,
  protocol: number,
  interfaceName?: string,
): KernelSelector {
  const [from, to] = isIcmp(protocol) ? icmpPorts(source, destination) : [portsOf(source), portsOf(destination)]
  const side = (selector: AddressSelector, ports: Ports): SelectorSide => ({ ...enclosingSubnet(selector), ...ports })
  return {
    family: source.family,
    protocol,
    source: side(source, from),
    destination: side(destination, to),
    ...(interfaceName !== undefined && { interface: interfaceName }),
  }
}

/** The selectors of a packet that met a trap: source and destination as hosts, with protocol and ports. */
export function packetSelectors(packet: KernelSelector): { local: AddressSelector; remote: AddressSelector } {
  const icmp = isIcmp(packet.protocol)
  const typeAndCode = ((packet.source.port & 0xff) << 8) | (packet.destination.port & 0xff)
  const side = ({ address, port }: SelectorSide): AddressSelector => {
    if (icmp) return hostSelector(address, packet.protocol, typeAndCode, typeAndCode)
    return port > 0 ? hostSelector(address, packet.protocol, port, port) : hostSelector(address, packet.protocol)
  }
  return { local: side(packet.source), remote: side(packet.destination) }
}

const priorityBase = { pass: 200_000, protect: 400_000, drop: 600_000 } as const

/**
 * charon's priority of a policy: the more specific the selector, the lower the number. A trap yields to the SA.
 * A configured priority is taken as it is.
 */
export function policyPriority(
  selector: KernelSelector,
  action: keyof typeof priorityBase,
  config: Pick<ChildConfig, 'priority'>,
  trap: boolean,
): number {
  if (config.priority > 0) return config.priority
  const bits = (mask: number) => mask.toString(2).replaceAll('0', '').length
  return (
    priorityBase[action] -
    512 * (selector.source.prefix + selector.destination.prefix) -
    (selector.protocol ? 256 : 0) -
    4 * (bits(selector.source.portMask) + bits(selector.destination.portMask)) -
    (selector.interface !== undefined ? 2 : 0) -
    (trap ? 0 : 1)
  )
}

interface Ports {
  readonly port: number
  readonly portMask: number
}

const anyPort: Ports = { port: 0, portMask: 0 }

function isIcmp(protocol: number): boolean {
  return protocol === 1 || protocol === 58
}

/** The smallest port/mask around a range. OPAQUE (start above end) cannot be said to the kernel: any. */
function portsOf({ startPort, endPort }: AddressSelector): Ports {
  if (startPort > endPort || (startPort === 0 && endPort === 65535)) return anyPort
  let fixed = 0
  while (fixed < 16 && ((startPort >> (15 - fixed)) & 1) === ((endPort >> (15 - fixed)) & 1)) fixed++
  const portMask = (0xffff << (16 - fixed)) & 0xffff
  return { port: startPort & portMask, portMask }
}

/** RFC 7296 §3.13.1: ICMP type and code are the halves of a port; the kernel wants the type first, the code second. */
function icmpPorts(source: AddressSelector, destination: AddressSelector): [Ports, Ports] {
  const chosen = [source, destination].find(({ startPort, endPort }) => startPort <= endPort && endPort !== 65535)
  if (chosen === undefined) return [anyPort, anyPort]
  const { startPort, endPort } = chosen
  const type = startPort >> 8 === endPort >> 8 ? { port: startPort >> 8, portMask: 0xffff } : anyPort
  const code = startPort === endPort ? { port: startPort & 0xff, portMask: 0xffff } : anyPort
  return [type, code]
}

function bit(bytes: Uint8Array, index: number): number {
  return ((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1
}
