/** Everything the core can ask for. With input.ts this is its whole boundary. */
import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { Job } from './job.ts'
import type { NameServer } from './name-servers.ts'
import type { IkeSaView, PolicyView, PoolView } from './view.ts'

export type Output =
  /** A UDP payload to send as it is (the non-ESP marker is in it where it belongs). */
  | {
      readonly kind: 'send'
      readonly local: Endpoint
      readonly remote: Endpoint
      readonly bytes: Uint8Array
      /** Differentiated services code point (RFC 2474) of the IP packet, 0 to 63; 0 when it is left out. */
      readonly dscp?: number
    }
  | { readonly kind: 'job'; readonly id: number; readonly job: Job }
  | { readonly kind: 'log'; readonly entry: LogEntry }
  | { readonly kind: 'event'; readonly event: Event }
  | { readonly kind: 'answer'; readonly command: number; readonly answer: Answer }
  /** A command works on this IKE SA from now on: its log entries belong to the command's caller. */
  | { readonly kind: 'tracking'; readonly command: number; readonly uniqueId: number }
  /** The name servers that the host shall ask from now on, before its own; replaces the list before. */
  | { readonly kind: 'name-servers'; readonly servers: readonly NameServer[] }
  /** A child with an updown script has come up or gone down. */
  | { readonly kind: 'updown'; readonly script: UpdownScript }
  /** When to come back with a `timer` input (epoch milliseconds); undefined: nothing is due. Replaces the last one. */
  | { readonly kind: 'timer'; readonly at: number | undefined }

/** An updown script and what it is to be told: it runs once for each of `runs`. */
export interface UpdownScript {
  /** For the shell. */
  readonly command: string
  readonly up: boolean
  readonly ikeSa: { readonly name: string | undefined; readonly uniqueId: number }
  readonly child: { readonly name: string; readonly reqid: number }
  /** Our outer address: PLUTO_INTERFACE is the interface that has it. */
  readonly local: string
  /** The PLUTO variables of each pair of selectors, without PLUTO_INTERFACE. */
  readonly runs: readonly Readonly<Record<string, string>>[]
}

/** charon's subsystem of a log entry. */
export type LogGroup =
  | 'DMN'
  | 'MGR'
  | 'IKE'
  | 'CHD'
  | 'JOB'
  | 'WCH'
  | 'CFG'
  | 'KNL'
  | 'NET'
  | 'ASN'
  | 'ENC'
  | 'TNC'
  | 'IMC'
  | 'IMV'
  | 'PTS'
  | 'TLS'
  | 'APP'
  | 'ESP'
  | 'LIB'

export interface LogEntry {
  readonly group: LogGroup
  /** charon's level: 0 audit, 1 control flow, 2 details, 3 raw dumps, 4 private (never used). */
  readonly level: 0 | 1 | 2 | 3
  /** Beside charon's levels: is something broken (error), worth waking someone (warn), or neither. */
  readonly severity?: 'error' | 'warn'
  readonly message: string
  readonly ikeSa?: { readonly name: string | undefined; readonly uniqueId: number }
}

export type AlertKind =
  | 'local-auth-failed'
  | 'peer-auth-failed'
  | 'peer-addr-failed'
  | 'peer-init-unreachable'
  | 'invalid-ike-spi'
  | 'parse-error-header'
  | 'parse-error-body'
  | 'retransmit-send'
  | 'retransmit-send-cleared'
  | 'retransmit-send-timeout'
  | 'retransmit-receive'
  | 'half-open-timeout'
  | 'proposal-mismatch-ike'
  | 'proposal-mismatch-child'
  | 'ts-mismatch'
  | 'ts-narrowed'
  | 'install-child-sa-failed'
  | 'install-child-policy-failed'
  | 'unique-replace'
  | 'unique-keep'
  | 'keep-on-child-sa-failure'
  | 'vip-failure'
  | 'authorization-failed'
  | 'ike-sa-expired'
  | 'cert-expired'
  | 'cert-revoked'
  | 'cert-validation-failed'
  | 'cert-no-issuer'
  | 'cert-untrusted-root'
  | 'cert-exceeded-path-len'
  | 'cert-policy-violation'
  | 'shutdown-signal'

/** States of a Child SA that are told when it enters them. */
export type ToldChildState = 'INSTALLING' | 'INSTALLED' | 'UPDATING' | 'REKEYING' | 'REKEYED' | 'DESTROYING'

export type Event =
  | { readonly kind: 'ike-updown'; readonly up: boolean; readonly ikeSa: IkeSaView }
  /** `ikeSa.children` holds just the child it is about. */
  | { readonly kind: 'child-updown'; readonly up: boolean; readonly ikeSa: IkeSaView }
  | { readonly kind: 'ike-rekey'; readonly old: IkeSaView; readonly new: IkeSaView }
  /** `ikeSa.children` holds the old child, then the new one. */
  | { readonly kind: 'child-rekey'; readonly ikeSa: IkeSaView }
  | { readonly kind: 'ike-update'; readonly local: Endpoint; readonly remote: Endpoint; readonly ikeSa: IkeSaView }
  /** `ikeSa` has no children. */
  | { readonly kind: 'ike-state'; readonly state: 'ESTABLISHED' | 'DESTROYING'; readonly ikeSa: IkeSaView }
  /** `ikeSa.children` holds just the child it is about. */
  | { readonly kind: 'child-state'; readonly state: ToldChildState; readonly ikeSa: IkeSaView }
  | { readonly kind: 'alert'; readonly alert: AlertKind; readonly ikeSa?: IkeSaView }

/** Outcome of a command; `message` is the sentence VICI gives as `errmsg`. */
export type Answer =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'matched'; readonly matches: number; readonly done: number; readonly message?: string }
  /** `next`: there are more, from there on. */
  | { readonly kind: 'sas'; readonly ikeSas: readonly IkeSaView[]; readonly next?: number }
  | { readonly kind: 'policies'; readonly policies: readonly PolicyView[] }
  | { readonly kind: 'pools'; readonly pools: readonly PoolView[] }
  | { readonly kind: 'connections'; readonly connections: readonly Connection[] }
  | { readonly kind: 'stats'; readonly ikeSas: number; readonly halfOpen: number; readonly scheduled: number }
