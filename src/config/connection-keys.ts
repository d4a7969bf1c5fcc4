/** The keys of `connections.<conn>`. */
import { addressBytes, addressText } from '../pki/address.ts'
import { type Identity, parseIdentity } from '../pki/identity.ts'
import { ConfigError } from './config-error.ts'
import type { AddressPattern, ConfiguredProposal, Connection, UniqueValue } from './connection.ts'
import { field, ignored, items, type KeyRow, type KeyTable, textOf } from './key-table.ts'
import { parseProposals } from './proposals.ts'
import {
  parseAddressPattern,
  parseBool,
  parseDscp,
  parseIfId,
  parseKeywordOf,
  parseNumberPrefix,
  parseTime,
  parseUint32,
} from './values.ts'

/** A connection being read; what was not given is missing. */
export interface ConnectionDraft {
  version?: Connection['version']
  readonly local: { readonly patterns: AddressPattern[]; readonly texts: string[] }
  readonly remote: { readonly patterns: AddressPattern[]; readonly texts: string[] }
  localPort?: number
  remotePort?: number
  readonly proposals: ConfiguredProposal[]
  readonly vips: string[]
  dscp?: number
  encap?: boolean
  mobike?: boolean
  dpdDelaySeconds?: number | undefined
  dpdTimeoutSeconds?: number | undefined
  fragmentation?: Connection['fragmentation']
  childless?: Connection['childless']
  sendCertreq?: boolean
  sendCert?: Connection['sendCert']
  ocsp?: Connection['ocsp']
  ppkId?: Identity | undefined
  ppkRequired?: boolean
  keyingTries?: number
  unique?: Connection['unique']
  reauthSeconds?: number | undefined
  rekeySeconds?: number | undefined
  overSeconds?: number | undefined
  randSeconds?: number | undefined
  readonly pools: string[]
  ifIdIn?: UniqueValue | undefined
  ifIdOut?: UniqueValue | undefined
}

export function newConnectionDraft(): ConnectionDraft {
  const addresses = () => ({ patterns: [], texts: [] })
  return { local: addresses(), remote: addresses(), proposals: [], vips: [], pools: [] }
}

export const connectionKeys: KeyTable<ConnectionDraft> = {
  version: field('version', parseVersion, { syntax: '0, 1 or 2', default: '2' }),
  local_addrs: addresses('local'),
  remote_addrs: addresses('remote'),
  local_port: field('localPort', parsePort, { syntax: 'port', default: 'charon.port' }),
  remote_port: field('remotePort', parsePort, { syntax: 'port', default: '500' }),
  proposals: items((draft, bytes) => void draft.proposals.push(...parseProposals('IKE', textOf(bytes))), {
    syntax: 'IKE proposal',
    default: 'default',
  }),
  vips: items((draft, bytes) => void draft.vips.push(parseVip(textOf(bytes))), {
    syntax: 'address',
    default: '',
  }),
  aggressive: ignored(parseBool, { syntax: 'bool', default: 'no' }),
  pull: ignored(parseBool, { syntax: 'bool', default: 'yes' }),
  dscp: field('dscp', parseDscp, { syntax: 'six binary digits', default: '000000' }),
  encap: field('encap', parseBool, { syntax: 'bool', default: 'no' }),
  mobike: field('mobike', parseBool, { syntax: 'bool', default: 'yes' }),
  dpd_delay: field('dpdDelaySeconds', parseTime, { syntax: 'time', default: '0s' }),
  dpd_timeout: field('dpdTimeoutSeconds', parseTime, { syntax: 'time', default: '0s', support: 'IKEv1' }),
  fragmentation: field('fragmentation', parseKeywordOf(['yes', 'accept', 'no', 'force']), {
    syntax: 'yes, accept, no, force',
    default: 'yes',
  }),
  childless: field('childless', parseKeywordOf(['allow', 'prefer', 'force', 'never']), {
    syntax: 'allow, prefer, force, never',
    default: 'allow',
  }),
  send_certreq: field('sendCertreq', parseBool, { syntax: 'bool', default: 'yes' }),
  send_cert: field('sendCert', parseKeywordOf(['ifasked', 'always', 'never']), {
    syntax: 'ifasked, always, never',
    default: 'ifasked',
  }),
  ocsp: field('ocsp', parseKeywordOf(['reply', 'request', 'both', 'never']), {
    syntax: 'reply, request, both, never',
    default: 'reply',
  }),
  ppk_id: field('ppkId', parseIdentity, { syntax: 'identity', default: '' }),
  ppk_required: field('ppkRequired', parseBool, { syntax: 'bool', default: 'no' }),
  keyingtries: field('keyingTries', parseUint32, { syntax: 'number', default: '1' }),
  unique: field('unique', parseKeywordOf(['no', 'never', 'keep', 'replace']), {
    syntax: 'no, never, keep, replace',
    default: 'no',
  }),
  reauth_time: field('reauthSeconds', parseTime, { syntax: 'time', default: '0s' }),
  rekey_time: field('rekeySeconds', parseTime, { syntax: 'time', default: '4h' }),
  over_time: field('overSeconds', parseTime, { syntax: 'time', default: '10% of rekey_time or reauth_time' }),
  rand_time: field('randSeconds', parseTime, { syntax: 'time', default: 'over_time' }),
  pools: items((draft, bytes) => void draft.pools.push(textOf(bytes)), {
    syntax: 'name of a pool',
    default: '',
  }),
  if_id_in: field('ifIdIn', parseIfId, { syntax: 'interface id', default: '0' }),
  if_id_out: field('ifIdOut', parseIfId, { syntax: 'interface id', default: '0' }),
  mediation: refused((text) => !parseBool(text), 'no'),
  mediated_by: refused((text) => text === '', ''),
  mediation_peer: refused((text) => text === '', ''),
}

function addresses(side: 'local' | 'remote'): KeyRow<ConnectionDraft> {
  return items(
    (draft, bytes) => {
      // charon keeps them as one text joined with commas, so an item may hold several.
      for (const item of textOf(bytes).split(',')) {
        const text = item.trim()
        draft[side].patterns.push(parseAddressPattern(text))
        draft[side].texts.push(text)
      }
    },
    { syntax: 'address, subnet, range or host name', default: '%any' },
  )
}

function refused(nothing: (text: string) => boolean, byDefault: string): KeyRow<ConnectionDraft> {
  return ignored(
    (text) => {
      if (!nothing(text)) throw new ConfigError('mediation (IKE-ME) is not supported; remove this key')
    },
    { syntax: 'mediation', default: byDefault, support: 'refused', refused: 'no mediation (IKE-ME)' },
  )
}

/** charon takes any number here; what is neither 0 nor 1 is IKEv2 to us. */
function parseVersion(text: string): 0 | 1 | 2 {
  const version = parseUint32(text)
  return version === 0 || version === 1 ? version : 2
}

/** Cut to 16 bits, as charon does. */
function parsePort(text: string): number {
  const { number, rest } = parseNumberPrefix(text)
  if (rest !== '') throw new ConfigError(`'${text}' is no port number`)
  return Number(BigInt.asUintN(16, number))
}

function parseVip(text: string): string {
  if (text === '%any' || text === '%any4') return '0.0.0.0'
  if (text === '%any6') return '::'
  const bytes = addressBytes(text)
  if (bytes === undefined) throw new ConfigError(`'${text}' is no address; write 0.0.0.0 or :: for any`)
  return addressText(bytes)
}
