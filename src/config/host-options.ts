/** The options of strongswan.conf that the adapters read: sockets, kernel, name servers, the control socket. */
import { ConfigError } from './config-error.ts'
import { type Draft, type Option, type OptionTable, parseInteger, rows } from './option-table.ts'

/** A firewall mark that packets, or the rule for our routing table, have. */
export interface FirewallMark {
  readonly value: number
  readonly mask: number
  /** The rule is for all packets but these. */
  readonly invert: boolean
}

export interface HostSettings {
  /** `unix:///path`, `tcp://host:port` or `systemd://name`. */
  readonly viciUri: string
  /** Who may use the control socket, beside root: names, or nothing. */
  readonly user: string | undefined
  readonly group: string | undefined
  /** Only reported by `stats`. */
  readonly threads: number
  /** Where the host keeps its name servers. */
  readonly resolvFile: string
  readonly resolvconf: string
  /** The name under which resolvconf keeps ours. */
  readonly resolvconfInterface: string
  readonly ipv4: boolean
  readonly ipv6: boolean
  /** Datagrams go out from the address that the IKE SA has; else from what the kernel chooses. */
  readonly setSource: boolean
  readonly socketMark: FirewallMark | undefined
  /** Priority of the rule that asks our routing table; undefined: the number of the table. */
  readonly routingTablePriority: number | undefined
  readonly ruleMark: FirewallMark | undefined
  /** Tables whose routes do not lead to peers. */
  readonly ignoredTables: readonly number[]
  /** Names of interfaces; what is used goes before what is ignored. */
  readonly interfacesUse: readonly string[]
  readonly interfacesIgnore: readonly string[]
  readonly preferTemporaryAddresses: boolean
  /** Changes of routes are changes of the network. */
  readonly processRoute: boolean
  readonly roamEvents: boolean
  /** Of the routes that we add; 0 leaves them to the kernel. */
  readonly routeMtu: number
  readonly routeMss: number
  /** Octets of the receive buffers of netlink. */
  readonly netlinkBufferBytes: number
  /** How long the kernel keeps larval and acquire states. */
  readonly acquireSeconds: number
  /** From which prefix lengths on the kernel finds policies by hash: local and remote bits. */
  readonly policyHash4Local: number
  readonly policyHash4Remote: number
  readonly policyHash6Local: number
  readonly policyHash6Remote: number
}

export const defaultHostSettings: HostSettings = {
  viciUri: 'unix:///var/run/charon.vici',
  user: undefined,
  group: undefined,
  threads: 16,
  resolvFile: '/etc/resolv.conf',
  resolvconf: '/sbin/resolvconf',
  resolvconfInterface: 'lo.ipsec',
  ipv4: true,
  ipv6: true,
  setSource: true,
  socketMark: undefined,
  routingTablePriority: undefined,
  ruleMark: undefined,
  ignoredTables: [],
  interfacesUse: [],
  interfacesIgnore: [],
  preferTemporaryAddresses: false,
  processRoute: true,
  roamEvents: true,
  routeMtu: 0,
  routeMss: 0,
  netlinkBufferBytes: 8_388_608,
  acquireSeconds: 165,
  policyHash4Local: 32,
  policyHash4Remote: 32,
  policyHash6Local: 128,
  policyHash6Remote: 128,
}

type HostDraft = Draft<HostSettings>

const { bool, integer, text, words, numbers } = rows<HostDraft>()
const commas = /[\s,]+/

export const hostOptions: OptionTable<HostDraft> = {
  'plugins.vici.socket': text('viciUri', 'unix:///var/run/charon.vici'),
  user: text('user'),
  group: text('group'),
  threads: integer('threads', '16'),
  'plugins.resolve.file': text('resolvFile', '/etc/resolv.conf'),
  'plugins.resolve.resolvconf.path': text('resolvconf', '/sbin/resolvconf'),
  'plugins.resolve.resolvconf.iface': text('resolvconfInterface', 'lo.ipsec'),
  'plugins.socket-default.use_ipv4': bool('ipv4', 'yes'),
  'plugins.socket-default.use_ipv6': bool('ipv6', 'yes'),
  'plugins.socket-default.set_source': bool('setSource', 'yes'),
  'plugins.socket-default.fwmark': mark('socketMark'),
  routing_table_prio: {
    default: 'charon.routing_table',
    read: (host, value) => {
      host.routingTablePriority = parseInteger(value)
    },
  },
  'plugins.kernel-netlink.fwmark': mark('ruleMark'),
  ignore_routing_tables: numbers('ignoredTables'),
  interfaces_use: words('interfacesUse', commas),
  interfaces_ignore: words('interfacesIgnore', commas),
  prefer_temporary_addrs: bool('preferTemporaryAddresses', 'no'),
  process_route: bool('processRoute', 'yes'),
  'plugins.kernel-netlink.roam_events': bool('roamEvents', 'yes'),
  'plugins.kernel-netlink.mtu': integer('routeMtu', '0', 65535),
  'plugins.kernel-netlink.mss': integer('routeMss', '0', 65535),
  'plugins.kernel-netlink.receive_buffer_size': integer('netlinkBufferBytes', '8388608', 0x7fff_ffff),
  'plugins.kernel-netlink.xfrm_acq_expires': integer('acquireSeconds', '165'),
  'plugins.kernel-netlink.spdh_thresh.ipv4.lbits': integer('policyHash4Local', '32', 32),
  'plugins.kernel-netlink.spdh_thresh.ipv4.rbits': integer('policyHash4Remote', '32', 32),
  'plugins.kernel-netlink.spdh_thresh.ipv6.lbits': integer('policyHash6Local', '128', 128),
  'plugins.kernel-netlink.spdh_thresh.ipv6.rbits': integer('policyHash6Remote', '128', 128),
}

/** `[!]value[/mask]`. */
function mark(name: 'socketMark' | 'ruleMark'): Option<HostDraft> {
  return {
    default: '',
    read: (host, value) => {
      const [, not, number, mask] = /^(!?)([^/]+)(?:\/(.+))?$/.exec(value) ?? []
      if (number === undefined) throw new ConfigError(`'${value}' is no mark; write a number, or number/mask`)
      const parsedMask = mask === undefined ? 0xffff_ffff : parseInteger(mask)
      host[name] = { value: (parseInteger(number) & parsedMask) >>> 0, mask: parsedMask, invert: not === '!' }
    },
  }
}
