/** The keys of `connections.<conn>.children.<child>`. */
import { ConfigError } from './config-error.ts'
import type {
  Action,
  ChildConfig,
  ConfiguredMark,
  ConfiguredProposal,
  ConfiguredSelector,
  UniqueValue,
} from './connection.ts'
import { field, ignored, items, type KeyRow, type KeyTable, textOf } from './key-table.ts'
import { parseProposals } from './proposals.ts'
import { parseConfiguredSelector } from './selectors.ts'
import {
  parseAction,
  parseBool,
  parseBytes,
  parseIfId,
  parseKeywordOf,
  parseMark,
  parsePackets,
  parseTime,
  parseUint32,
} from './values.ts'

export interface ChildDraft {
  readonly ahProposals: ConfiguredProposal[]
  readonly espProposals: ConfiguredProposal[]
  readonly localTs: ConfiguredSelector[]
  readonly remoteTs: ConfiguredSelector[]
  updown?: string
  hostaccess?: boolean
  mode?: ChildConfig['mode']
  policies?: boolean
  policiesFwdOut?: boolean
  dpdAction?: Action
  startAction?: Action
  closeAction?: Action
  ipcomp?: boolean
  inactivitySeconds?: number | undefined
  reqid?: number
  rekeySeconds?: number | undefined
  lifeSeconds?: number | undefined
  randSeconds?: number | undefined
  rekeyBytes?: bigint | undefined
  lifeBytes?: bigint | undefined
  randBytes?: bigint | undefined
  rekeyPackets?: bigint | undefined
  lifePackets?: bigint | undefined
  randPackets?: bigint | undefined
  markIn?: ConfiguredMark | undefined
  markOut?: ConfiguredMark | undefined
  markInSa?: boolean
  setMarkIn?: ConfiguredMark | undefined
  setMarkOut?: ConfiguredMark | undefined
  ifIdIn?: UniqueValue | undefined
  ifIdOut?: UniqueValue | undefined
  interface?: string
  priority?: number
  tfcPadding?: number | 'mtu'
  replayWindow?: number
  hwOffload?: ChildConfig['hwOffload']
  copyDf?: boolean
  copyEcn?: boolean
  copyDscp?: ChildConfig['copyDscp']
  icmp?: boolean
  sha256_96?: boolean
  singlePair?: boolean
  label?: string
  labelMode?: ChildConfig['labelMode']
}

export function newChildDraft(): ChildDraft {
  return { ahProposals: [], espProposals: [], localTs: [], remoteTs: [] }
}

const bool = (byDefault: 'yes' | 'no') => ({ syntax: 'bool', default: byDefault })
const bytes = { syntax: 'bytes', default: '0' }
const packets = { syntax: 'number', default: '0' }
const mark = { syntax: 'mark', default: '0/0x00000000' }
const action = { syntax: 'action', default: 'none' }
const setMark = (text: string) => parseMark(text, true)

export const childKeys: KeyTable<ChildDraft> = {
  ah_proposals: proposals('ahProposals', 'AH', ''),
  esp_proposals: proposals('espProposals', 'ESP', 'default'),
  local_ts: selectors('localTs'),
  remote_ts: selectors('remoteTs'),
  updown: field('updown', (text) => text, { syntax: 'command', default: '' }),
  hostaccess: field('hostaccess', parseBool, bool('no')),
  mode: field('mode', parseMode, {
    syntax: 'tunnel, transport, pass, drop',
    default: 'tunnel',
  }),
  policies: field('policies', parseBool, bool('yes')),
  policies_fwd_out: field('policiesFwdOut', parseBool, bool('no')),
  dpd_action: field('dpdAction', parseAction, action),
  start_action: field('startAction', parseAction, action),
  close_action: field('closeAction', parseAction, action),
  ipcomp: field('ipcomp', parseBool, bool('no')),
  inactivity: field('inactivitySeconds', parseTime, { syntax: 'time', default: '0s' }),
  reqid: field('reqid', parseUint32, { syntax: 'number', default: '0' }),
  rekey_time: field('rekeySeconds', parseTime, { syntax: 'time', default: '1h' }),
  life_time: field('lifeSeconds', parseTime, { syntax: 'time', default: 'rekey_time + 10%' }),
  rand_time: field('randSeconds', parseTime, { syntax: 'time', default: 'life_time - rekey_time' }),
  rekey_bytes: field('rekeyBytes', parseBytes, bytes),
  life_bytes: field('lifeBytes', parseBytes, { ...bytes, default: 'rekey_bytes + 10%' }),
  rand_bytes: field('randBytes', parseBytes, { ...bytes, default: 'life_bytes - rekey_bytes' }),
  rekey_packets: field('rekeyPackets', parsePackets, packets),
  life_packets: field('lifePackets', parsePackets, { ...packets, default: 'rekey_packets + 10%' }),
  rand_packets: field('randPackets', parsePackets, { ...packets, default: 'life_packets - rekey_packets' }),
  mark_in: field('markIn', parseMark, mark),
  mark_out: field('markOut', parseMark, mark),
  mark_in_sa: field('markInSa', parseBool, bool('no')),
  set_mark_in: field('setMarkIn', setMark, mark),
  set_mark_out: field('setMarkOut', setMark, mark),
  if_id_in: field('ifIdIn', parseIfId, { syntax: 'interface id', default: "the connection's" }),
  if_id_out: field('ifIdOut', parseIfId, { syntax: 'interface id', default: "the connection's" }),
  interface: field('interface', (text) => text, { syntax: 'name', default: '' }),
  priority: field('priority', parseUint32, { syntax: 'number', default: '0' }),
  tfc_padding: field('tfcPadding', (text) => (text.toLowerCase() === 'mtu' ? 'mtu' : parseUint32(text)), {
    syntax: 'number or mtu',
    default: '0',
  }),
  replay_window: field('replayWindow', parseUint32, { syntax: 'number', default: 'charon.replay_window' }),
  hw_offload: field('hwOffload', parseHwOffload, { syntax: 'no, yes, crypto, packet, auto', default: 'no' }),
  copy_df: field('copyDf', parseBool, bool('yes')),
  copy_ecn: field('copyEcn', parseBool, bool('yes')),
  copy_dscp: field('copyDscp', parseKeywordOf(['no', 'in', 'out', 'yes']), {
    syntax: 'no, in, out, yes',
    default: 'out',
  }),
  icmp: field('icmp', parseBool, bool('no')),
  sha256_96: field('sha256_96', parseBool, bool('no')),
  single_pair: field('singlePair', parseBool, { ...bool('no'), support: 'own' }),
  label: field('label', parseLabel, { syntax: 'security label', default: '' }),
  label_mode: field('labelMode', parseLabelMode, { syntax: 'system, simple', default: 'system' }),
  per_cpu_sas: ignored(parsePerCpu, {
    syntax: 'no',
    default: 'no',
    support: 'refused',
    refused: 'no Child SAs for single processors (RFC 9611)',
  }),
}

function proposals(
  name: 'ahProposals' | 'espProposals',
  protocol: 'AH' | 'ESP',
  byDefault: string,
): KeyRow<ChildDraft> {
  return items((draft, item) => void draft[name].push(...parseProposals(protocol, textOf(item))), {
    syntax: `${protocol} proposal`,
    default: byDefault,
  })
}

function selectors(name: 'localTs' | 'remoteTs'): KeyRow<ChildDraft> {
  return items((draft, item) => void draft[name].push(parseConfiguredSelector(textOf(item))), {
    syntax: 'traffic selector',
    default: 'dynamic',
  })
}

function parseMode(text: string): ChildConfig['mode'] {
  const reason = refusedModes.get(text.toLowerCase())
  if (reason !== undefined) throw new ConfigError(reason)
  return parseKeywordOf(['tunnel', 'transport', 'pass', 'drop'])(text)
}

const refusedModes: ReadonlyMap<string, string> = new Map([
  ['iptfs', 'IP-TFS is not supported; use tunnel'],
  ['beet', 'BEET, a private extension, is not supported; use tunnel'],
  ['transport_proxy', 'transport mode for the hosts of a Mobile IPv6 proxy is not supported; use transport'],
])

function parsePerCpu(text: string): void {
  const isOff = text.toLowerCase() !== 'encap' && !parseBool(text)
  if (!isOff) throw new ConfigError('Child SAs for single processors (RFC 9611) are not supported')
}

function parseLabel(text: string): string {
  if (text === '') throw new ConfigError('a security label is empty')
  return text
}

function parseLabelMode(text: string): ChildConfig['labelMode'] {
  if (text.toLowerCase() === 'selinux')
    throw new ConfigError('labels that the kernel gives to packets (SELinux) are not supported; use simple')
  return parseKeywordOf(['system', 'simple'])(text)
}

function parseHwOffload(text: string): ChildConfig['hwOffload'] {
  const word = parseKeywordOf(['no', 'yes', 'crypto', 'packet', 'auto'])(text)
  return word === 'yes' ? 'crypto' : word
}
