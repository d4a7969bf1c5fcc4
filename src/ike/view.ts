/**
 * What the core shows of its state: plain data for listings and events. Field for field it is what VICI's `list-sa`
 * knows; the adapter turns it into text.
 */

import type { Mark, SaProtocol } from '../kernel/operations.ts'
import type { Identity } from '../pki/identity.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'

export type IkeSaState = 'CREATED' | 'CONNECTING' | 'ESTABLISHED' | 'REKEYING' | 'REKEYED' | 'DELETING' | 'DESTROYING'

export type ChildSaState =
  | 'CREATED'
  | 'ROUTED'
  | 'INSTALLING'
  | 'INSTALLED'
  | 'UPDATING'
  | 'REKEYING'
  | 'REKEYED'
  | 'RETRYING'
  | 'DELETING'
  | 'DELETED'
  | 'DESTROYING'

export interface AlgorithmView {
  readonly id: number
  readonly keyBits?: number
}

/** The negotiated algorithms; `integrity` is missing for AEAD, `prf` for Child SAs. */
export interface ProposalView {
  readonly encryption?: AlgorithmView
  readonly integrity?: AlgorithmView
  readonly prf?: AlgorithmView
  readonly keyExchange?: number
  /** ADDKE1 … ADDKE7 in order (RFC 9370). */
  readonly additionalKeyExchanges: readonly number[]
  readonly esn: boolean
}

export interface ChildSaView {
  readonly name: string
  readonly uniqueId: number
  readonly reqid: number
  readonly state: ChildSaState
  readonly mode: 'TUNNEL' | 'TRANSPORT' | 'TRANSPORT_PROXY' | 'BEET' | 'IPTFS'
  readonly label?: Uint8Array
  readonly protocol: SaProtocol
  readonly encap: boolean
  readonly spiIn: number
  readonly spiOut: number
  readonly cpiIn?: number
  readonly cpiOut?: number
  readonly markIn?: Mark
  readonly markOut?: Mark
  readonly ifIdIn?: number
  readonly ifIdOut?: number
  readonly cpu?: number
  readonly perCpuSas: boolean
  readonly proposal: ProposalView
  readonly bytesIn: bigint
  readonly packetsIn: bigint
  /** Seconds since the last packet; missing before the first. */
  readonly useIn?: number
  readonly bytesOut: bigint
  readonly packetsOut: bigint
  readonly useOut?: number
  /** Seconds until; may be negative. */
  readonly rekeyTime?: number
  readonly lifeTime?: number
  /** Seconds since installation; missing when not installed. */
  readonly installTime?: number
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
}

export interface IkeSaView {
  /** The connection's name; missing until one is selected. */
  readonly name?: string
  readonly uniqueId: number
  readonly state: IkeSaState
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly localId?: Identity
  readonly remoteId?: Identity
  readonly remoteEapId?: Identity
  readonly initiator: boolean
  readonly spiI: bigint
  readonly spiR: bigint
  readonly natLocal: boolean
  readonly natRemote: boolean
  readonly natFake: boolean
  readonly natAny: boolean
  readonly ifIdIn?: number
  readonly ifIdOut?: number
  readonly proposal?: ProposalView
  readonly ppk: boolean
  /** Seconds ago, in state ESTABLISHED. */
  readonly established?: number
  readonly rekeyTime?: number
  readonly reauthTime?: number
  readonly localVips: readonly string[]
  readonly remoteVips: readonly string[]
  /** charon's task names (CHILD_CREATE, IKE_AUTH, …). */
  readonly tasksQueued: readonly string[]
  readonly tasksActive: readonly string[]
  readonly tasksPassive: readonly string[]
  readonly children: readonly ChildSaView[]
}

/** A trap or a shunt as `list-policies` shows it. */
export interface PolicyView {
  readonly connection?: string
  readonly child: string
  readonly reqid?: number
  readonly mode: 'TUNNEL' | 'TRANSPORT' | 'TRANSPORT_PROXY' | 'BEET' | 'PASS' | 'DROP'
  readonly label?: Uint8Array
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
}

/** A pool as `get-pools` shows it; leases in the order in which the addresses were first given out. */
export interface PoolView {
  readonly name: string
  readonly base: string
  readonly size: number
  readonly online: number
  readonly offline: number
  readonly leases: readonly { readonly address: string; readonly identity: Identity; readonly online: boolean }[]
}
