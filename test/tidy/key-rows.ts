/** The rows of the matrices of keys, from the tables in src/config. */
import { authorityKeys } from '../../src/config/authority-keys.ts'
import { childKeys } from '../../src/config/child-keys.ts'
import { connectionKeys } from '../../src/config/connection-keys.ts'
import { coreOptions } from '../../src/config/core-options.ts'
import { hostOptions } from '../../src/config/host-options.ts'
import type { Support } from '../../src/config/key-table.ts'
import { filelogKeys, syslogKeys } from '../../src/config/log-settings.ts'
import type { OptionTable } from '../../src/config/option-table.ts'
import { attributeKinds } from '../../src/config/pools.ts'
import { revocationOptions } from '../../src/config/revocation-options.ts'
import { certificateKeys, roundKeys } from '../../src/config/round-keys.ts'
import { type SecretKind, secretKinds } from '../../src/config/secret-kinds.ts'

/** Keys of one section of a file. */
export interface Section {
  readonly title: string
  readonly intro?: string
  readonly rows: readonly Row[]
}

export interface Row {
  /** With its sections, as `children.<child>.mode`. */
  readonly key: string
  readonly default: string
  readonly support: string
}

interface TableRow {
  readonly default: string
  readonly support: Support
  readonly refused?: string
}

const words: Readonly<Record<Support, string>> = {
  yes: 'yes',
  own: 'yes; charon has no such key',
  refused: 'refused',
  IKEv1: 'no effect with IKEv2, as in charon',
  EAP: 'no effect without EAP methods that carry TLS, as in charon, and those are refused',
}

function table(title: string, rows: Readonly<Record<string, TableRow>>, intro?: string): Section {
  return {
    title,
    ...(intro !== undefined && { intro }),
    rows: Object.entries(rows).map(([name, row]) => ({
      key: `${title}.${name}`,
      default: row.default,
      support: row.refused === undefined ? words[row.support] : `${words[row.support]}: ${row.refused}`,
    })),
  }
}

/** The sections of swanctl.conf. */
export const swanctlSections: readonly Section[] = [
  table('connections.<conn>', connectionKeys),
  table(
    'connections.<conn>.local|remote',
    roundKeys,
    'Rounds of authentication: sections whose names begin with `local` or `remote`.',
  ),
  table('connections.<conn>.local|remote.cert<suffix>', certificateKeys, 'The same in `cacert<suffix>`.'),
  table('children.<child>', childKeys, 'Sections of `connections.<conn>.children`.'),
  { title: 'secrets', rows: secretKinds.flatMap(secretRows) },
  { title: 'pools.<name>', rows: ['addrs', ...attributeKinds.keys(), '<number>'].map(poolRow) },
  table('authorities.<name>', authorityKeys),
]

function secretRows({ prefix, keys, refused, listed }: SecretKind): Row[] {
  const support =
    refused !== undefined ? `refused: ${refused}` : listed === undefined ? 'yes' : `loaded and listed: ${listed}`
  return keys.map((name) => ({ key: `secrets.${prefix}<suffix>.${name}`, default: '', support }))
}

function poolRow(name: string): Row {
  return { key: `pools.<name>.${name}`, default: '', support: 'yes' }
}

/** The options of strongswan.conf that are read. */
export const strongswanSections: readonly Section[] = [
  options('charon', { ...coreOptions, ...hostOptions, ...revocationOptions }),
  {
    title: 'charon.plugins.attr',
    rows: [{ key: 'charon.plugins.attr.<attr>', default: '', support: 'yes' }],
  },
  {
    title: 'scripts',
    rows: ['charon.start-scripts.<name>', 'charon.stop-scripts.<name>'].map((key) => ({
      key,
      default: '',
      support: 'yes',
    })),
  },
  loggers('charon.filelog.<name>', filelogKeys),
  loggers('charon.syslog.<facility>', syslogKeys, { 'charon.syslog.identifier': 'charon-systemd' }),
  loggers('charon-systemd.journal', {}),
]

function options(title: string, table: OptionTable<never>): Section {
  return {
    title,
    rows: Object.entries(table).map(([name, { default: byDefault, own }]) => ({
      key: `${title}.${name}`,
      default: byDefault,
      support: own ? words.own : words.yes,
    })),
  }
}

function loggers(
  title: string,
  keys: Readonly<Record<string, string>>,
  others: Readonly<Record<string, string>> = {},
): Section {
  const all = { default: '1', '<subsystem>': '<default>', ...keys }
  const named = Object.entries(all).map(([name, byDefault]) => [`${title}.${name}`, byDefault] as const)
  return {
    title,
    rows: [...named, ...Object.entries(others)].map(([key, byDefault]) => ({
      key,
      default: byDefault,
      support: 'yes',
    })),
  }
}
