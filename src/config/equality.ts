/**
 * When two configurations are the same one: decides between updating and replacing a connection on reload, and whether
 * an IKE SA may be used again. As charon compares them: names are not looked at.
 */
import type { ChildConfig, Connection } from './connection.ts'

/** The same but for the children; the name, `dscp` and `dpd_timeout` do not count. */
export function sameConnection(a: Connection, b: Connection): boolean {
  return sameFields(a, b, connectionFields)
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
  'label',
  'labelMode',
  'perCpuSas',
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
