/** SAs, policies and events as VICI messages. The order of the fields is part of the interface: scripts match it. */
import { algorithmName } from '../config/algorithms.ts'
import { selectorText } from '../config/selectors.ts'
import { flag, list, optional, section, type Tree, type TreeItem, value } from '../config/tree.ts'
import type { Event } from '../ike/output.ts'
import type { AlgorithmView, ChildSaState, ChildSaView, IkeSaView, PolicyView, ProposalView } from '../ike/view.ts'
import type { Mark } from '../kernel/operations.ts'
import { formatIdentity } from '../pki/identity.ts'
import { TRANSFORM_TYPE } from '../wire/numbers.ts'

/** One `list-sa` event: the IKE SA with its children. */
export function ikeSaSection(sa: IkeSaView): Tree {
  const children = sa.children.map((child) => section(`${child.name}-${child.uniqueId}`, childFields(child)))
  return [section(nameOf(sa), [...ikeFields(sa), section('child-sas', children)])]
}

/** What clients register for to hear of it. */
export function eventName(event: Event): string {
  return event.kind === 'ike-state' || event.kind === 'child-state'
    ? `${event.kind}-${event.state.toLowerCase()}`
    : event.kind
}

/** An event that goes to every client registered for it. */
export function eventMessage(event: Event): { readonly name: string; readonly message: Tree } {
  switch (event.kind) {
    case 'ike-state':
      return { name: eventName(event), message: ikeSaSection(event.ikeSa) }
    case 'child-state': {
      const children = event.ikeSa.children.map((child) => section(child.name, childFields(child)))
      const fields = [...ikeFields(event.ikeSa), section('child-sas', children)]
      return { name: eventName(event), message: [section(nameOf(event.ikeSa), fields)] }
    }
    case 'ike-updown':
      return { name: event.kind, message: [...flag('up', event.up), bareIkeSa(event.ikeSa)] }
    case 'child-updown':
      return { name: event.kind, message: [...flag('up', event.up), ...ikeSaSection(event.ikeSa)] }
    case 'ike-rekey': {
      const both = [section('old', ikeFields(event.old)), section('new', ikeFields(event.new))]
      return { name: event.kind, message: [section(nameOf(event.new), both)] }
    }
    case 'child-rekey': {
      const [old, fresh] = event.ikeSa.children
      const both = [
        ...(old === undefined ? [] : [section('old', childFields(old))]),
        ...(fresh === undefined ? [] : [section('new', childFields(fresh))]),
      ]
      const children = section('child-sas', [section(old?.name ?? fresh?.name ?? '', both)])
      return { name: event.kind, message: [section(nameOf(event.ikeSa), [...ikeFields(event.ikeSa), children])] }
    }
    case 'ike-update':
      return { name: event.kind, message: [...hosts(event), bareIkeSa(event.ikeSa)] }
    case 'alert':
      return {
        name: event.kind,
        message: [
          value('type', event.alert),
          ...(event.ikeSa === undefined ? [] : [section('ike-sa', [bareIkeSa(event.ikeSa)])]),
        ],
      }
  }
}

/** One `list-policy` event. */
export function policySection(policy: PolicyView): Tree {
  const name = policy.connection === undefined ? policy.child : `${policy.connection}/${policy.child}`
  return [
    section(name, [
      value('child', policy.child),
      ...optional('reqid', policy.reqid),
      ...optional('ike', policy.connection),
      value('mode', policy.mode),
      ...optional('label', policy.label && Buffer.from(policy.label).toString('hex')),
      list('local-ts', policy.localTs.map(selectorText)),
      list('remote-ts', policy.remoteTs.map(selectorText)),
    ]),
  ]
}

function nameOf(sa: IkeSaView): string {
  return sa.name ?? '(unnamed)'
}

function bareIkeSa(sa: IkeSaView): TreeItem {
  return section(nameOf(sa), ikeFields(sa))
}

function hosts({ local, remote }: Pick<IkeSaView, 'local' | 'remote'>): Tree {
  return [
    value('local-host', local.address),
    value('local-port', local.port),
    value('remote-host', remote.address),
    value('remote-port', remote.port),
  ]
}

/** The fields of an IKE SA without its children. */
function ikeFields(sa: IkeSaView): Tree {
  const localId = sa.localId === undefined ? '%any' : formatIdentity(sa.localId)
  const remoteId = sa.remoteId === undefined ? '%any' : formatIdentity(sa.remoteId)
  const eapId = sa.remoteEapId && formatIdentity(sa.remoteEapId)
  const established = sa.state === 'ESTABLISHED'
  return [
    value('uniqueid', sa.uniqueId),
    value('version', 2),
    value('state', sa.state),
    value('local-host', sa.local.address),
    value('local-port', sa.local.port),
    value('local-id', localId),
    value('remote-host', sa.remote.address),
    value('remote-port', sa.remote.port),
    value('remote-id', remoteId),
    ...optional('remote-eap-id', eapId === remoteId ? undefined : eapId),
    ...flag('initiator', sa.initiator),
    value('initiator-spi', hex(sa.spiI, 16)),
    value('responder-spi', hex(sa.spiR, 16)),
    ...flag('nat-local', sa.natLocal),
    ...flag('nat-remote', sa.natRemote),
    ...flag('nat-fake', sa.natFake),
    ...flag('nat-any', sa.natAny),
    ...ifId('if-id-in', sa.ifIdIn),
    ...ifId('if-id-out', sa.ifIdOut),
    ...(sa.proposal === undefined ? [] : proposalFields(sa.proposal, true)),
    ...flag('ppk', sa.ppk),
    ...optional('established', established ? sa.established : undefined),
    ...optional('rekey-time', established ? sa.rekeyTime : undefined),
    ...optional('reauth-time', established ? sa.reauthTime : undefined),
    ...filled('local-vips', sa.localVips),
    ...filled('remote-vips', sa.remoteVips),
    ...filled('tasks-queued', sa.tasksQueued),
    ...filled('tasks-active', sa.tasksActive),
    ...filled('tasks-passive', sa.tasksPassive),
  ]
}

function childFields(child: ChildSaView): Tree {
  return [
    value('name', child.name),
    value('uniqueid', child.uniqueId),
    value('reqid', child.reqid),
    value('state', child.state),
    value('mode', child.mode),
    ...optional('label', child.label && Buffer.from(child.label).toString('hex')),
    ...(statesWithSa.has(child.state) ? installedFields(child) : []),
    list('local-ts', child.localTs.map(selectorText)),
    list('remote-ts', child.remoteTs.map(selectorText)),
  ]
}

const statesWithSa: ReadonlySet<ChildSaState> = new Set(['INSTALLED', 'REKEYING', 'REKEYED', 'DELETING', 'DELETED'])

function installedFields(child: ChildSaView): Tree {
  return [
    value('protocol', child.protocol),
    ...flag('encap', child.encap),
    value('spi-in', hex(child.spiIn, 8)),
    value('spi-out', hex(child.spiOut, 8)),
    ...optional('cpi-in', child.cpiIn === undefined ? undefined : hex(child.cpiIn, 4)),
    ...optional('cpi-out', child.cpiOut === undefined ? undefined : hex(child.cpiOut, 4)),
    ...mark('in', child.markIn),
    ...mark('out', child.markOut),
    ...ifId('if-id-in', child.ifIdIn),
    ...ifId('if-id-out', child.ifIdOut),
    ...flag('per-cpu-sas', child.perCpuSas),
    ...optional('cpu', child.cpu),
    ...proposalFields(child.proposal, false),
    ...(child.proposal.esn ? [value('esn', 1)] : []),
    value('bytes-in', child.bytesIn),
    value('packets-in', child.packetsIn),
    ...optional('use-in', child.useIn),
    value('bytes-out', child.bytesOut),
    value('packets-out', child.packetsOut),
    ...optional('use-out', child.useOut),
    ...optional('rekey-time', child.rekeyTime),
    ...optional('life-time', child.lifeTime),
    ...optional('install-time', child.installTime),
  ]
}

function proposalFields(proposal: ProposalView, withPrf: boolean): Tree {
  const ke = (name: string, id: number | undefined) =>
    id === undefined || id === 0 ? [] : [value(name, algorithmName(TRANSFORM_TYPE.KE, id))]
  return [
    ...algorithm('encr', TRANSFORM_TYPE.ENCR, proposal.encryption),
    ...algorithm('integ', TRANSFORM_TYPE.INTEG, proposal.integrity),
    ...(withPrf && proposal.prf !== undefined
      ? [value('prf-alg', algorithmName(TRANSFORM_TYPE.PRF, proposal.prf.id))]
      : []),
    ...ke('dh-group', proposal.keyExchange),
    ...proposal.additionalKeyExchanges.flatMap((id, index) => ke(`ake${index + 1}`, id)),
  ]
}

function algorithm(name: string, type: number, view: AlgorithmView | undefined): Tree {
  if (view === undefined) return []
  return [value(`${name}-alg`, algorithmName(type, view.id)), ...optional(`${name}-keysize`, view.keyBits)]
}

/** Left out when the value is zero; the mask when it is whole. */
function mark(direction: 'in' | 'out', found: Mark | undefined): Tree {
  if (found === undefined) return []
  const mask = found.mask === 0xffffffff ? [] : [value(`mark-mask-${direction}`, hex(found.mask, 8))]
  return [value(`mark-${direction}`, hex(found.value, 8)), ...mask]
}

function ifId(name: string, id: number | undefined): Tree {
  return id === undefined || id === 0 ? [] : [value(name, hex(id, 8))]
}

function filled(name: string, items: readonly string[]): Tree {
  return items.length === 0 ? [] : [list(name, items)]
}

function hex(n: number | bigint, digits: number): string {
  return n.toString(16).padStart(digits, '0')
}
