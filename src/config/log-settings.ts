/** The loggers of strongswan.conf: `filelog`, `syslog` and `journal` sections with a level for each group. */
import type { LogGroup } from '../ike/output.ts'
import { formatPlace } from './config-error.ts'
import { type ConfSection, confText } from './grammar.ts'
import { parseBool } from './values.ts'

/** Levels −1 (silent) to 4 by group. */
export interface LogLevels {
  readonly default: number
  readonly groups: Readonly<Partial<Record<LogGroup, number>>>
}

export interface FileLogSettings {
  readonly kind: 'filelog'
  /** `stdout`, `stderr` or a path. */
  readonly path: string
  readonly levels: LogLevels
  readonly append: boolean
  readonly flushLine: boolean
  readonly ikeName: boolean
  readonly logLevel: boolean
  /** strftime; undefined: no time. */
  readonly timeFormat?: string
  readonly timePrecision?: 'ms' | 'us'
  readonly json: boolean
}

export interface SyslogSettings {
  readonly kind: 'syslog'
  readonly facility: 'daemon' | 'auth'
  readonly levels: LogLevels
  readonly ikeName: boolean
  readonly logLevel: boolean
  /** Level 0 has this priority of syslog, each higher level the next one; -1: all are LOG_INFO. */
  readonly mapLevel: number
  readonly identifier?: string
}

/** Entries with charon's fields when systemd started us, else the daemon's own lines, JSON by pino, on standard error. */
export interface JournalSettings {
  readonly kind: 'journal'
  readonly levels: LogLevels
}

export interface LogSettings {
  readonly loggers: readonly (FileLogSettings | SyslogSettings | JournalSettings)[]
}

export const logGroups: readonly LogGroup[] = [
  'DMN',
  'MGR',
  'IKE',
  'CHD',
  'JOB',
  'WCH',
  'CFG',
  'KNL',
  'NET',
  'ASN',
  'ENC',
  'TNC',
  'IMC',
  'IMV',
  'PTS',
  'TLS',
  'APP',
  'ESP',
  'LIB',
]

export const defaultLogSettings: LogSettings = { loggers: [{ kind: 'journal', levels: { default: 1, groups: {} } }] }

/** The keys of logger sections that are no groups, with their defaults. */
export const filelogKeys: Readonly<Record<string, string>> = {
  path: '<name>',
  append: 'yes',
  flush_line: 'no',
  ike_name: 'no',
  log_level: 'no',
  json: 'no',
  time_format: '',
  time_precision: '',
}
export const syslogKeys: Readonly<Record<string, string>> = { ike_name: 'no', log_level: 'no', map_level: '-1' }

/** Whether a logger reads this option. */
export function isLoggerOption(path: string): boolean {
  const [kind = '', ...rest] = path.split('.')
  const key = rest.at(-1) ?? ''
  const level = key === 'default' || logGroups.includes(key.toUpperCase() as LogGroup)
  if (kind === 'journal') return rest.length === 1 && level
  if (path === 'syslog.identifier') return true
  if (rest.length !== 2) return false
  if (kind === 'filelog') return level || Object.hasOwn(filelogKeys, key)
  return kind === 'syslog' && (level || Object.hasOwn(syslogKeys, key) || key === 'identifier')
}

/** The loggers of strongswan.conf. Without a journal section there is a journal at level 1, as in charon-systemd. */
export function readLogSettings(options: ConfSection): {
  readonly settings: LogSettings
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
  const inside = (name: string) => [...(options.sections.get(name)?.sections.values() ?? [])]
  const syslogs = options.sections.get('syslog')
  const identifier = syslogs && text(syslogs, 'identifier')
  const loggers: LogSettings['loggers'] = [
    { kind: 'journal', levels: levels(options.sections.get('journal'), warnings) },
    ...inside('filelog').map((conf) => filelog(conf, warnings)),
    ...inside('syslog').flatMap((conf) => syslog(conf, identifier, warnings)),
  ]
  return { settings: { loggers }, warnings }
}

function filelog(conf: ConfSection, warnings: string[]): FileLogSettings {
  const timeFormat = text(conf, 'time_format')
  const precision = text(conf, 'time_precision')
  if (precision !== undefined && precision !== 'ms' && precision !== 'us' && precision !== '')
    warnings.push(`${formatPlace(conf.place)}: time_precision is ms or us, not '${precision}'`)
  return {
    kind: 'filelog',
    path: text(conf, 'path') ?? conf.name,
    levels: levels(conf, warnings),
    append: bool(conf, 'append', true, warnings),
    flushLine: bool(conf, 'flush_line', false, warnings),
    ikeName: bool(conf, 'ike_name', false, warnings),
    logLevel: bool(conf, 'log_level', false, warnings),
    ...(timeFormat !== undefined && { timeFormat }),
    ...((precision === 'ms' || precision === 'us') && { timePrecision: precision }),
    json: bool(conf, 'json', false, warnings),
  }
}

function syslog(conf: ConfSection, byDefault: string | undefined, warnings: string[]): SyslogSettings[] {
  if (conf.name !== 'daemon' && conf.name !== 'auth') {
    warnings.push(`${formatPlace(conf.place)}: there is no syslog facility '${conf.name}'; use daemon or auth`)
    return []
  }
  const identifier = text(conf, 'identifier') ?? byDefault
  return [
    {
      kind: 'syslog',
      facility: conf.name,
      levels: levels(conf, warnings),
      ikeName: bool(conf, 'ike_name', false, warnings),
      logLevel: bool(conf, 'log_level', false, warnings),
      mapLevel: priorityOffset(conf, warnings),
      ...(identifier !== undefined && { identifier }),
    },
  ]
}

function priorityOffset(conf: ConfSection, warnings: string[]): number {
  const found = conf.values.get('map_level')
  if (found === undefined) return -1
  const parsed = Number(confText(found))
  if (Number.isInteger(parsed) && parsed >= -1 && parsed <= 7) return parsed
  warnings.push(`${formatPlace(found.place)}: map_level is a number from -1 to 7, not '${confText(found)}'`)
  return -1
}

function levels(conf: ConfSection | undefined, warnings: string[]): LogLevels {
  const level = (name: string): number | undefined => {
    const found = conf?.values.get(name)
    if (found === undefined) return undefined
    const parsed = Number(confText(found))
    if (Number.isInteger(parsed) && parsed >= -1 && parsed <= 4) return parsed
    warnings.push(`${formatPlace(found.place)}: a log level is a number from -1 to 4, not '${confText(found)}'`)
    return undefined
  }
  const groups: Partial<Record<LogGroup, number>> = {}
  for (const group of logGroups) {
    const own = level(group.toLowerCase())
    if (own !== undefined) groups[group] = own
  }
  return { default: level('default') ?? 1, groups }
}

function text(conf: ConfSection, name: string): string | undefined {
  const found = conf.values.get(name)
  return found && confText(found)
}

function bool(conf: ConfSection, name: string, byDefault: boolean, warnings: string[]): boolean {
  const found = conf.values.get(name)
  if (found === undefined) return byDefault
  try {
    return parseBool(confText(found))
  } catch {
    warnings.push(`${formatPlace(found.place)}: ${name} is yes or no, not '${confText(found)}'`)
    return byDefault
  }
}
