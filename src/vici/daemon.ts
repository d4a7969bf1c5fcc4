/** The daemon as VICI sees it: the one interface between the control socket and everything else. */
import type { CredentialSet } from '../config/credential-set.ts'
import type { Command } from '../ike/input.ts'
import type { Answer, Event, LogEntry } from '../ike/output.ts'
import type { StatusCache } from '../pki/revocation/cache.ts'

/** What `version` and `stats` say of the process. */
export interface Program {
  /** The namespace of its configuration; clients expect `charon-systemd`. */
  readonly name: string
  /** A dotted version; clients expect one of strongSwan's. */
  readonly version: string
  readonly sysname: string
  readonly release: string
  readonly machine: string
  /** Epoch milliseconds. */
  readonly startedMs: number
  /** What `stats` reports as worker threads. */
  readonly threads: number
}

export interface Listener {
  readonly log?: (entry: LogEntry) => void
  readonly event?: (event: Event) => void
}

/** Counters of `get-counters`, by connection; the global ones have the name ''. */
export interface Counters {
  readonly names: () => readonly string[]
  /** The 21 numbers by their VICI names, in order; undefined for a connection without any. */
  readonly read: (name: string) => Readonly<Record<string, number>> | undefined
  readonly reset: (name: string | 'all') => void
}

export interface Daemon {
  readonly program: Program
  readonly credentials: CredentialSet
  readonly counters?: Counters
  /** CRLs and OCSP responses that were fetched, and certificates that peers have shown. */
  readonly fetched?: StatusCache
  /** The port of our IKE socket, for connections that name none; 500 when it is left out. */
  readonly portIke?: number
  /**
   * Has the core carry out a command. `tracking` is called with the unique id of each IKE SA that it works on, before
   * the log entries of that SA. Never rejects for what the core refuses: that is an answer.
   */
  command(command: Command, tracking?: (uniqueId: number) => void): Promise<Answer>
  /** Calls back for every log entry (of any level) and event from now on, until the returned function is called. */
  subscribe(listener: Listener): () => void
  /** Writes an entry to the logs, as an entry of the core is. */
  log(entry: LogEntry): void
  /** Reads strongswan.conf again. Throws ConfigError. */
  reload(): Promise<void>
  /** Epoch milliseconds. */
  now(): number
}
