/**
 * When two configurations are the same one: decides between updating and replacing a connection on reload, and whether
 * an IKE SA may be used again. As charon compares them: names are not looked at.
 */
import { createHash } from 'node:crypto'
import type { ChildConfig, Connection } from './connection.ts'

/** The same but for the children; the name, `dscp` and `dpd_timeout` do not count. */
export function sameConnection(a: Connection, b: Connection): boolean {
  return sameFields(a, b, connectionFields)
}

const keys = new WeakMap<Connection, string>()

/** A text that is the same for connections that `sameConnection` calls the same, for looking them up. */
export function connectionKey(connection: Connection): string {
  const known = keys.get(connection)
  if (known !== undefined) return known
  const hash = createHash('sha256')
  for (const name of connectionFields) hash.update(`${name}=${JSON.stringify(connection[name], plainly) ?? ''};`)
  const key = hash.digest('base64')
  keys.set(connection, key)
  return key
}

/** Values of a connection as JSON: records in the order of their fields' names, expressions left to their text. */
function plainly(name: string, value: unknown): unknown {
  if (name === 'expression') return undefined
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Whether what we show of ourselves is the same with both: the peer cannot tell which of them we have chosen. */
export function sameProof(a: Connection, b: Connection): boolean {
  return sameFields(a, b, ['local', 'ppkId', 'ppkRequired'])
}

/** The same Child SA configuration, whatever it is called. */
export function sameChild(a: ChildConfig, b: ChildConfig): boolean {
  return sameFields(a, b, childFields)
}

const connectionFields: readonly (keyof Connection)[] = [
  'version',
  'localAddressTexts',
  'remoteAddressTexts',
  'localPort',
  'remotePort',
  'proposals',
  'vips',
  'encap',
  'mobike',
  'dpdDelaySeconds',
  'fragmentation',
  'childless',
  'sendCertreq',
  'sendCert',
  'ocsp',
  'ppkId',
  'ppkRequired',
  'keyingTries',
  'unique',
  'reauthSeconds',
  'rekeySeconds',
  'overSeconds',
  'randSeconds',
  'pools',
  'ifIdIn',
  'ifIdOut',
  'local',
  'remote',
]

const childFields: readonly (keyof ChildConfig)[] = [
  'mode',
  'espProposals',
  'ahProposals',
  'localTs',
  'remoteTs',
  'startAction',
  'dpdAction',
  'closeAction',
  'lifetimeSeconds',
  'lifetimeBytes',
  'lifetimePackets',
  'inactivitySeconds',
  'reqid',
  'policies',
  'policiesFwdOut',
  'priority',
  'interface',
  'updown',
  'hostaccess',
  'ipcomp',
  'markIn',
  'markOut',
  'markInSa',
  'setMarkIn',
  'setMarkOut',
  'ifIdIn',
  'ifIdOut',
  'tfcPadding',
  'replayWindow',
  'hwOffload',
  'copyDf',
  'copyEcn',
  'copyDscp',
  'icmp',
  'sha256_96',
  'singlePair',
  'label',
  'labelMode',
]

function sameFields<T extends object>(a: T, b: T, fields: readonly (keyof T)[]): boolean {
  return fields.every((name) => sameValue(a[name], b[name]))
}

/** Equality of plain data: bytes by content, lists in order, records by their fields. Functions do not count. */
function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a === 'function' && typeof b === 'function') return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => sameValue(item, b[at]))
    )
  }
  // A regular expression of an identity is compared by its text, which is a field beside it.
  const of = (record: object) =>
    Object.entries(record).filter(([name, field]) => field !== undefined && name !== 'expression')
  const left = of(a)
  const right = new Map(of(b))
  return (
    left.length === right.size && left.every(([name, field]) => right.has(name) && sameValue(field, right.get(name)))
  )
}
