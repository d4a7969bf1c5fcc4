/**
 * strongswan.conf: the settings of the daemon. Every option is looked up as `charon-systemd.x` first, then `charon.x`, then
 * `libstrongswan.x`.
 */

import { whyAbsent } from './absent-options.ts'
import { ConfigError, formatPlace } from './config-error.ts'
import { coreOptions } from './core-options.ts'
import { type CoreSettings, defaultCoreSettings } from './daemon-settings.ts'
import type { ConfigFiles } from './files.ts'
import { type Conf, type ConfSection, type ConfValue, confText, readConf } from './grammar.ts'
import { defaultHostSettings, type HostSettings, hostOptions } from './host-options.ts'
import { isLoggerOption, type LogSettings, readLogSettings } from './log-settings.ts'
import type { Draft, OptionTable } from './option-table.ts'
import { poolAttribute } from './pools.ts'
import { defaultRevocationSettings, type RevocationSettings, revocationOptions } from './revocation-options.ts'

export interface DaemonSettings {
  readonly core: CoreSettings
  readonly host: HostSettings
  readonly log: LogSettings
  readonly revocation: RevocationSettings
  /** Commands for the shell after start and before stop, by name, in order. */
  readonly startScripts: readonly Script[]
  readonly stopScripts: readonly Script[]
  /** The file that was read, if there is one. */
  readonly path: string
  /** For the log: options that Sallyport does not have, values that were not usable. */
  readonly warnings: readonly string[]
}

export interface Script {
  readonly name: string
  readonly command: string
}

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
  const warnings: string[] = []
  const options = merged(conf, warnings)
  const core: Draft<CoreSettings> = { ...defaultCoreSettings }
  readOptions(options, coreOptions, core, warnings)
  core.attributes = [...core.attributes, ...pluginAttributes(options, warnings)]
  if (core.cookieThresholdIp >= core.blockThreshold) {
    warnings.push(`block_threshold is raised to ${core.cookieThresholdIp + 1}, above cookie_threshold_ip`)
    core.blockThreshold = core.cookieThresholdIp + 1
  }
  const host: Draft<HostSettings> = { ...defaultHostSettings }
  readOptions(options, hostOptions, host, warnings)
  const revocation: Draft<RevocationSettings> = { ...defaultRevocationSettings }
  readOptions(options, revocationOptions, revocation, warnings)
  const log = readLogSettings(options)
  const scripts = (name: string) =>
    [...(options.sections.get(name)?.values ?? [])].map(([key, item]) => ({ name: key, command: confText(item) }))
  return {
    core,
    host,
    log: log.settings,
    revocation,
    startScripts: scripts('start-scripts'),
    stopScripts: scripts('stop-scripts'),
    path,
    warnings: [...(conf?.warnings ?? []), ...warnings, ...log.warnings, ...withoutEffect(options)],
  }
}

/** Reads the options of a table that are set; what cannot be is warned of with its place, and its default stays. */
function readOptions<D>(options: ConfSection, table: OptionTable<D>, draft: D, warnings: string[]): void {
  for (const [name, { read }] of Object.entries(table)) {
    const found = find(options, name)
    if (found !== undefined) attempt(name, found, warnings, () => read(draft, confText(found).trim()))
  }
}

/** `plugins.attr`: for every client that gets an address. Other names than charon's are numbers. */
function pluginAttributes(options: ConfSection, warnings: string[]): readonly ReturnType<typeof poolAttribute>[] {
  const plugin = options.sections.get('plugins')?.sections.get('attr')
  return [...(plugin?.values ?? [])].flatMap(([name, item]) => {
    if (name === 'load') return []
    const values = confText(item)
      .split(',')
      .map((part) => part.trim())
    const read = () => poolAttribute(name.replaceAll('-', '_'), values)
    return attempt(`plugins.attr.${name}`, item, warnings, read) ?? []
  })
}

function attempt<T>(name: string, item: ConfValue, warnings: string[], read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    warnings.push(`${formatPlace(item.place)}: ${name}: ${error.message}; its default is used`)
    return undefined
  }
}

function find(options: ConfSection, path: string): ConfValue | undefined {
  const names = path.split('.')
  const last = names.pop() ?? ''
  let found: ConfSection | undefined = options
  for (const name of names) found = found?.sections.get(name)
  return found?.values.get(last)
}

/** One section in place of the namespaces: what an earlier one says goes before what a later one says. */
function merged(conf: Conf | undefined, warnings: string[]): ConfSection {
  const sections = ['charon-systemd', 'charon', 'libstrongswan'].flatMap((name) => conf?.root.sections.get(name) ?? [])
  const all = mergedSections('charon', sections, 0)
  if (all === undefined) warnings.push('sections of strongswan.conf are nested too deeply')
  return all ?? { name: 'charon', place: { file: '', line: 1 }, values: new Map(), sections: new Map() }
}

function mergedSections(name: string, parts: readonly ConfSection[], depth: number): ConfSection | undefined {
  if (depth > deepest) return undefined
  const [first] = parts
  const values = new Map<string, ConfValue>()
  const names = new Set<string>()
  for (const part of parts) {
    for (const [key, item] of part.values) if (!values.has(key)) values.set(key, item)
    for (const inner of part.sections.keys()) names.add(inner)
  }
  const sections = [...names].flatMap((inner) => {
    const found = parts.flatMap((part) => part.sections.get(inner) ?? [])
    const one = mergedSections(inner, found, depth + 1)
    return one === undefined ? [] : ([[inner, one]] as const)
  })
  return { name, place: first?.place ?? { file: '', line: 1 }, values, sections: new Map(sections) }
}

const deepest = 16

/** One warning that lists the options that nobody reads, with their places, and why where charon would have read them. */
function withoutEffect(options: ConfSection): readonly string[] {
  const found: string[] = []
  const walk = (section: ConfSection, prefix: string): void => {
    for (const [name, { place }] of section.values) {
      const path = prefix + name
      if (isKnown(path)) continue
      const why = whyAbsent(path)
      if (why !== 'nothing to do') found.push(`${path} (${formatPlace(place)}${why === undefined ? '' : `: ${why}`})`)
    }
    for (const inner of section.sections.values()) walk(inner, `${prefix}${inner.name}.`)
  }
  walk(options, '')
  return found.length === 0 ? [] : [`options of strongswan.conf without effect: ${found.join(', ')}`]
}

function isKnown(path: string): boolean {
  if ([coreOptions, hostOptions, revocationOptions].some((table) => Object.hasOwn(table, path))) return true
  return isLoggerOption(path) || /^(?:start-scripts|stop-scripts|plugins\.attr)\.[^.]+$/.test(path)
}
