/** What the lab wants of a daemon, whichever it is. */
import type { Connection, End } from '../connection.ts'
import type { Host, HostName } from '../hosts.ts'
import type { Credentials } from '../pki.ts'
import type { Ran } from '../shell.ts'

export type PeerName = 'sallyport' | 'strongswan' | 'libreswan'

/** One end of a scenario: everything that its configuration is written from. */
export interface Side {
  readonly host: Host
  readonly other: Host
  readonly connection: Connection
  readonly end: End
  /** Trap policies are for the one that initiates. */
  readonly initiates: boolean
  readonly own: Credentials | undefined
  /** Certificates of the CAs that this side trusts. */
  readonly anchors: readonly string[]
}

/** An established connection as one end shows it. */
export interface Established {
  readonly mode: 'TUNNEL' | 'TRANSPORT'
  readonly isEncapsulated: boolean
  /** Traffic selectors as swanctl prints them; libreswan's are not read. */
  readonly selectors?: { readonly local: string; readonly remote: string }
}

/** What a daemon lists. The names of SAs are its own: numbers or SPIs, never used twice. */
export interface Sas {
  /** Those that are established, or installed. */
  readonly ike: readonly string[]
  readonly children: readonly string[]
  /** States of those that come or go. */
  readonly others: readonly string[]
}

/** A daemon that runs. */
export interface Running<Name extends string = HostName> {
  readonly name: PeerName
  readonly host: Host<Name>
  /** Brings the connection up and says how that went. */
  readonly up: () => Promise<Ran>
  readonly down: () => Promise<Ran>
  /** Takes away what would bring the connection up again. */
  readonly disarm: () => Promise<unknown>
  /** The connection, if it is established with exactly one Child SA. */
  readonly established: () => Promise<Established | undefined>
  /** All SAs of the connection. */
  readonly sas: () => Promise<Sas>
  /** Has the daemon rekey, or reauthenticate, an SA; does not wait for the end of it. */
  readonly rekey: (what: 'child' | 'ike') => Promise<Ran>
  readonly reauthenticate: () => Promise<Ran>
  /** Stops the daemon where it is, without a word to anybody, and lets it go on. */
  readonly freeze: () => Promise<unknown>
  readonly thaw: () => Promise<unknown>
  /** Kills the daemon and empties the kernel, as the loss of power would; starts it again as after a boot. */
  readonly crash: () => Promise<unknown>
  readonly restart: () => Promise<unknown>
  /** The log so far, as text lines. */
  readonly log: () => string
  /** Ends the daemon; the error says if it did not end by itself. */
  readonly stop: () => Promise<void>
}

/** Starts a daemon with a side's configuration; resolves when it can be told to initiate, or to wait for the peer. */
export type Start = (side: Side) => Promise<Running>
