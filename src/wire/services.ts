/**
 * Names of IP protocols and of ports, which traffic selectors show and accept as text. Which names there are depends on
 * the host; reading its files is up to the caller.
 */
export interface ServiceNames {
  readonly protocolNames: ReadonlyMap<number, string>
  readonly protocolNumbers: ReadonlyMap<string, number>
  /** By `80/tcp`. */
  readonly serviceNames: ReadonlyMap<string, string>
  /** By `http/tcp`. */
  readonly servicePorts: ReadonlyMap<string, number>
}

/** From the texts of /etc/protocols (`tcp 6 TCP # …`) and /etc/services (`http 80/tcp www # …`); odd lines are skipped. */
export function parseServiceNames(protocols: string, services: string): ServiceNames {
  const protocolNames = new Map<number, string>()
  const protocolNumbers = new Map<string, number>()
  for (const [name, number, ...aliases] of fields(protocols)) {
    if (!/^\d{1,3}$/.test(number) || Number(number) > 255) continue
    setFirst(protocolNames, Number(number), name)
    for (const each of [name, ...aliases]) setFirst(protocolNumbers, each, Number(number))
  }
  const serviceNames = new Map<string, string>()
  const servicePorts = new Map<string, number>()
  for (const [name, portAndProtocol, ...aliases] of fields(services)) {
    const match = /^(\d{1,5})\/([a-z0-9-]+)$/.exec(portAndProtocol)
    const port = Number(match?.[1])
    if (match === null || port > 65535) continue
    setFirst(serviceNames, `${port}/${match[2]}`, name)
    for (const each of [name, ...aliases]) setFirst(servicePorts, `${each}/${match[2]}`, port)
  }
  return { protocolNames, protocolNumbers, serviceNames, servicePorts }
}

/** The lines of such a file that have at least two fields. */
function* fields(text: string): Generator<[string, string, ...string[]]> {
  for (const line of text.split('\n')) {
    const [first, second, ...others] = (line.split('#', 1)[0] ?? '').split(/\s+/).filter((field) => field !== '')
    if (first !== undefined && second !== undefined) yield [first, second, ...others]
  }
}

function setFirst<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (!map.has(key)) map.set(key, value)
}

/** The protocols that every /etc/protocols has, and no services. */
export const wellKnownNames: ServiceNames = parseServiceNames(
  `ip 0 IP
icmp 1 ICMP
igmp 2 IGMP
ipencap 4 IP-ENCAP
tcp 6 TCP
egp 8 EGP
igp 9 IGP
udp 17 UDP
dccp 33 DCCP
ipv6 41 IPv6
rsvp 46 RSVP
gre 47 GRE
esp 50 IPSEC-ESP
ah 51 IPSEC-AH
ipv6-icmp 58 IPv6-ICMP
eigrp 88 EIGRP
ospf 89 OSPFIGP
pim 103 PIM
ipcomp 108 IPCOMP
vrrp 112 VRRP
l2tp 115 L2TP
sctp 132 SCTP
udplite 136 UDPLite`,
  '',
)
