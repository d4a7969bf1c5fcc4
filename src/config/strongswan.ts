/**
 * strongswan.conf: the settings of the daemon. Every option is looked up as `charon-systemd.x` first, then `charon.x`.
 */

import { parseGateway } from '../wire/redirect.ts'
import { ConfigError, formatPlace } from './config-error.ts'
import { type CoreSettings, defaultCoreSettings } from './daemon-settings.ts'
import type { ConfigFiles } from './files.ts'
import { type Conf, type ConfSection, type ConfValue, confText, readConf } from './grammar.ts'
import { type LogSettings, readLogSettings } from './log-settings.ts'
import { poolAttribute } from './pools.ts'
import { parseBool, parseNumberPrefix } from './values.ts'

export interface DaemonSettings {
  readonly core: CoreSettings
  /** `unix:///path`, `tcp://host:port` or `systemd://name`. */
  readonly viciUri: string
  readonly log: LogSettings
  readonly resolver: ResolverSettings
  readonly revocation: RevocationSettings
  /** Commands for the shell after start and before stop, by name, in order. */
  readonly startScripts: readonly Script[]
  readonly stopScripts: readonly Script[]
  /** `charon.threads`, only reported by `stats`. */
  readonly threads: number
  /** The file that was read, if there is one. */
  readonly path: string
  /** For the log: options that Sallyport does not have, values that were not usable. */
  readonly warnings: readonly string[]
}

/** Where the host keeps its name servers. */
export interface ResolverSettings {
  readonly file: string
  readonly resolvconf: string
  /** The name under which resolvconf keeps ours. */
  readonly resolvconfInterface: string
}

/** How the status of certificates is found out. */
export interface RevocationSettings {
  readonly useCrls: boolean
  readonly useOcsp: boolean
  readonly timeoutSeconds: number
  /** What was fetched is remembered. */
  readonly cache: boolean
  /** CRLs that were fetched are written to x509crl. */
  readonly writeCrls: boolean
  /** Octets, 1 to 32. */
  readonly ocspNonceLength: number
}

export interface Script {
  readonly name: string
  readonly command: string
}

export const defaultViciUri: string = 'unix:///var/run/charon.vici'

/** `$STRONGSWAN_CONF`, else /etc/strongswan.conf. */
export function strongswanConfPath(env: Readonly<Record<string, string | undefined>>): string {
  return env['STRONGSWAN_CONF'] || '/etc/strongswan.conf'
}

/**
 * The settings of a file; of no file, the defaults. A value that cannot be used is warned of and left at its default.
 * @throws ConfigError when the file does not follow the grammar
 */
export function readDaemonSettings(path: string, files: ConfigFiles): DaemonSettings {
  if (files.stat(path) === undefined) return daemonSettings(undefined, path)
  return daemonSettings(readConf(path, files), path)
}

function daemonSettings(conf: Conf | undefined, path: string): DaemonSettings {
  const options = new Options(conf)
  const core: { -readonly [K in keyof CoreSettings]: CoreSettings[K] } = { ...defaultCoreSettings }
  for (const [name, read] of Object.entries(coreOptions)) {
    const found = options.find(name)
    if (found !== undefined) options.attempt(name, found, () => read(core, confText(found).trim()))
  }
  if (core.cookieThresholdIp >= core.blockThreshold) {
    options.warnings.push(`block_threshold is raised to ${core.cookieThresholdIp + 1}, above cookie_threshold_ip`)
    core.blockThreshold = core.cookieThresholdIp + 1
  }
  const viciUri = options.text('plugins.vici.socket') ?? defaultViciUri
  const threads = options.find('threads')
  const log = readLogSettings(options.sections('filelog'), options.sections('syslog'), options.section('journal'))
  options.warnings.push(...log.warnings)
  const scripts = (name: string) => options.values(name).map(([key, item]) => ({ name: key, command: confText(item) }))
  return {
    core,
    viciUri,
    log: log.settings,
    resolver: {
      file: options.text('plugins.resolve.file') ?? '/etc/resolv.conf',
      resolvconf: options.text('plugins.resolve.resolvconf.path') ?? '/sbin/resolvconf',
      resolvconfInterface: options.text('plugins.resolve.resolvconf.iface') ?? 'lo.ipsec',
    },
    revocation: readRevocationSettings(options),
    startScripts: scripts('start-scripts'),
    stopScripts: scripts('stop-scripts'),
    threads: threads === undefined ? 16 : (options.attempt('threads', threads, () => number(confText(threads))) ?? 16),
    path,
    warnings: [...(conf?.warnings ?? []), ...options.warnings, ...options.unknown()],
  }
}

function readRevocationSettings(options: Options): RevocationSettings {
  const read = <T>(name: string, parse: (text: string) => T, fallback: T): T => {
    const found = options.find(name)
    return (found && options.attempt(name, found, () => parse(confText(found).trim()))) ?? fallback
  }
  return {
    useCrls: read('plugins.revocation.enable_crl', parseBool, true),
    useOcsp: read('plugins.revocation.enable_ocsp', parseBool, true),
    timeoutSeconds: read('plugins.revocation.timeout', time, 10),
    cache: read('cert_cache', parseBool, true),
    writeCrls: read('cache_crls', parseBool, false),
    ocspNonceLength: Math.min(32, Math.max(1, read('ocsp_nonce_len', number, 32))),
  }
}

type Reader = (core: { -readonly [K in keyof CoreSettings]: CoreSettings[K] }, text: string) => void

type KeysOf<T> = { [K in keyof CoreSettings]: CoreSettings[K] extends T ? K : never }[keyof CoreSettings]

const bool =
  (name: KeysOf<boolean>): Reader =>
  (core, text) => {
    core[name] = parseBool(text)
  }

const integer =
  (name: Exclude<KeysOf<number>, KeysOf<never>>, maximum = 0xffffffff): Reader =>
  (core, text) => {
    core[name] = atMost(number(text), maximum)
  }

const seconds =
  (name: Exclude<KeysOf<number>, KeysOf<never>>): Reader =>
  (core, text) => {
    core[name] = time(text)
  }

const decimal =
  (name: Exclude<KeysOf<number>, KeysOf<never>>): Reader =>
  (core, text) => {
    if (!/^\d+(\.\d+)?$/.test(text)) throw new ConfigError(`'${text}' is no number`)
    core[name] = Number(text)
  }

/** One that may be there several times under other names: comma-separated values for clients. */
const attribute =
  (name: string): Reader =>
  (core, text) => {
    const values = text.split(',').map((part) => part.trim())
    core.attributes = [...core.attributes, poolAttribute(name, values)]
  }

/** The options that the protocol core reads, by their names below `charon.`. */
export const coreOptions: Readonly<Record<string, Reader>> = {
  port: integer('portIke', 65535),
  port_nat_t: integer('portNatT', 65535),
  retransmit_timeout: decimal('retransmitTimeoutSeconds'),
  retransmit_base: decimal('retransmitBase'),
  retransmit_tries: integer('retransmitTries', 100),
  retransmit_jitter: (core, text) => {
    core.retransmitJitter = Math.min(20, number(text))
  },
  retransmit_limit: integer('retransmitLimitSeconds'),
  half_open_timeout: seconds('halfOpenTimeoutSeconds'),
  cookie_threshold: integer('cookieThreshold'),
  cookie_threshold_ip: integer('cookieThresholdIp'),
  block_threshold: integer('blockThreshold'),
  dos_protection: bool('dosProtection'),
  init_limit_half_open: integer('initLimitHalfOpen'),
  ikesa_limit: integer('ikeSaLimit'),
  child_sa_limit: integer('childSaLimit'),
  initiator_only: bool('initiatorOnly'),
  make_before_break: bool('makeBeforeBreak'),
  send_invalid_ike_spi: bool('sendInvalidIkeSpi'),
  window_size: integer('windowSize', 32),
  message_id_sync: bool('messageIdSync'),
  fragment_size: integer('fragmentSize', 65535),
  max_packet: integer('maxPacket', 0xffff_ffff),
  prefer_configured_proposals: bool('preferConfiguredProposals'),
  reuse_ikesa: bool('reuseIkeSa'),
  replay_window: integer('replayWindow'),
  spi_min: integer('spiMin'),
  spi_max: integer('spiMax'),
  reqid_base: integer('reqidBase'),
  keep_alive: seconds('keepAliveSeconds'),
  signature_authentication: bool('signatureAuthentication'),
  rsa_pss: bool('rsaPss'),
  multiple_authentication: bool('multipleAuthentication'),
  hash_and_url: bool('hashAndUrl'),
  follow_redirects: bool('followRedirects'),
  'redirect.gateway': (core, text) => {
    core.redirectGateway = parseGateway(text)
    if (core.redirectGateway === undefined) throw new ConfigError(`'${text}' is neither an address nor a host name`)
  },
  'redirect.exchange': (core, text) => {
    if (text !== 'init' && text !== 'auth') throw new ConfigError(`'${text}' is none of init, auth`)
    core.redirectExchange = text
  },
  'redirect.ike_sas': integer('redirectAbove'),
  install_routes: bool('installRoutes'),
  routing_table: integer('routingTable'),
  install_virtual_ip: bool('installVirtualIp'),
  install_virtual_ip_on: (core, text) => {
    core.installVirtualIpOn = text
  },
  dns1: attribute('dns'),
  dns2: attribute('dns'),
  nbns1: attribute('nbns'),
  nbns2: attribute('nbns'),
  'plugins.attr.dns': attribute('dns'),
  'plugins.attr.nbns': attribute('nbns'),
  'plugins.attr.dhcp': attribute('dhcp'),
  'plugins.attr.netmask': attribute('netmask'),
  'plugins.attr.subnet': attribute('subnet'),
  'plugins.attr.split-include': attribute('split_include'),
  'plugins.attr.split-exclude': attribute('split_exclude'),
  reject_trusted_end_entity: bool('rejectTrustedEndEntity'),
  rdn_matching: (core, text) => {
    if (text !== 'strict' && text !== 'reordered' && text !== 'relaxed') {
      throw new ConfigError(`'${text}' is none of strict, reordered, relaxed`)
    }
    core.rdnMatching = text
  },
  close_ike_on_child_failure: bool('closeIkeOnChildFailure'),
  inactivity_close_ike: bool('inactivityCloseIke'),
  ignore_acquire_ts: bool('ignoreAcquireTs'),
  accept_private_algs: bool('acceptPrivateAlgs'),
}

function number(text: string): number {
  const { number: parsed, rest } = parseNumberPrefix(text)
  if (rest !== '' || text === '') throw new ConfigError(`'${text}' is no number`)
  return Number(parsed)
}

function atMost(parsed: number, maximum: number): number {
  if (parsed > maximum) throw new ConfigError(`${parsed} is above ${maximum}`)
  return parsed
}

function time(text: string): number {
  const match = /^(\d{1,12}) *([smhd]?)$/.exec(text)
  if (match === null) throw new ConfigError(`'${text}' is no time; write a whole number and one of s, m, h, d`)
  return Number(match[1]) * ({ s: 1, m: 60, h: 3600, d: 86400 }[match[2] ?? ''] ?? 1)
}

/** Looks options up in both namespaces and remembers which were asked for. */
class Options {
  readonly warnings: string[] = []
  readonly #namespaces: readonly ConfSection[]
  readonly #known = new Set<string>()

  constructor(conf: Conf | undefined) {
    this.#namespaces = ['charon-systemd', 'charon'].flatMap((name) => conf?.root.sections.get(name) ?? [])
  }

  find(path: string): ConfValue | undefined {
    this.#known.add(path)
    const names = path.split('.')
    const last = names.pop() ?? ''
    for (const namespace of this.#namespaces) {
      let found: ConfSection | undefined = namespace
      for (const name of names) found = found?.sections.get(name)
      const item = found?.values.get(last)
      if (item !== undefined) return item
    }
    return undefined
  }

  text(path: string): string | undefined {
    const found = this.find(path)
    return found && confText(found)
  }

  /** The first section of that name; the namespace of charon-systemd comes first. */
  section(name: string): ConfSection | undefined {
    this.#known.add(`${name}.`)
    return this.#namespaces.map((namespace) => namespace.sections.get(name)).find((found) => found !== undefined)
  }

  sections(name: string): readonly ConfSection[] {
    return [...(this.section(name)?.sections.values() ?? [])]
  }

  values(name: string): readonly (readonly [string, ConfValue])[] {
    return [...(this.section(name)?.values ?? [])]
  }

  /** Runs `read`; what it refuses becomes a warning with the place. */
  attempt<T>(name: string, item: ConfValue, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.warnings.push(`${formatPlace(item.place)}: ${name}: ${error.message}; its default is used`)
      return undefined
    }
  }

  /** One warning that lists the options that nobody asked for. Plugins are not ours, so `load` is no option. */
  unknown(): readonly string[] {
    const names = new Set<string>()
    const walk = (found: ConfSection, prefix: string): void => {
      for (const name of found.values.keys()) {
        const path = prefix + name
        const below = [...this.#known].some((known) => known.endsWith('.') && path.startsWith(known))
        if (!this.#known.has(path) && !below && name !== 'load' && name !== 'load_modular') names.add(path)
      }
      for (const inner of found.sections.values()) walk(inner, `${prefix}${inner.name}.`)
    }
    for (const namespace of this.#namespaces) walk(namespace, '')
    return names.size === 0 ? [] : [`options of strongswan.conf without effect: ${[...names].join(', ')}`]
  }
}
