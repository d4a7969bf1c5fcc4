/** The connection of a scenario, as plain data that each peer turns into its own configuration. */
import type { Family, HostName } from './hosts.ts'

export type Auth = 'psk' | 'ecdsa' | 'rsa' | 'ed25519'

/** One proposal (or a list, comma separated) in the words of each peer. */
export interface Proposal {
  readonly swanctl: string
  readonly libreswan: string
}

/** What both ends agree on. */
export interface Connection {
  readonly auth: Auth
  readonly mode: 'tunnel' | 'transport'
  /** The family of the addresses that the daemons talk between. */
  readonly outer: Family
  /** The families of the networks in the tunnel. */
  readonly inner: readonly Family[]
  readonly ike: Proposal
  readonly esp: Proposal
  /** `trap`: the initiator waits for the first packet; `start`: it begins as soon as it has the connection. */
  readonly start: 'none' | 'trap' | 'start'
  /** Further lines for the connection and for the child, in the words of swanctl.conf. */
  readonly settings: readonly string[]
  readonly childSettings: readonly string[]
  /** Further lines for the connection in the words of ipsec.conf. */
  readonly libreswan: readonly string[]
}

/** What is different at one end. */
export interface End {
  readonly ike?: Proposal
  readonly esp?: Proposal
  readonly secret?: string
  /** A post-quantum preshared key, whose id is `lab-ppk`. */
  readonly ppk?: string
  /** Whose certificates: the common CA's, those of a CA the peer does not trust, a chain, or what is over by now. */
  readonly certificate?: 'common' | 'untrusted' | 'chain' | 'expired'
  readonly localNetworks?: readonly string[]
  readonly remoteNetworks?: readonly string[]
  /** Further lines in the words of swanctl.conf: for the connection, the child, beside the connection, and for `pools`. */
  readonly settings?: readonly string[]
  readonly childSettings?: readonly string[]
  readonly connections?: readonly string[]
  readonly pools?: readonly string[]
  /** Further secrets. */
  readonly secrets?: readonly string[]
  /** Further lines for the connection in the words of ipsec.conf. */
  readonly libreswan?: readonly string[]
  /** libreswan's end takes its peer at any address, in place of the one that it is seen at. */
  readonly anyPeer?: boolean
  /** Lines for the section `charon` of strongswan.conf. */
  readonly daemon?: readonly string[]
}

/** The child and the connection have this name everywhere. */
export const connectionName = 'net'

/** The identity of a host. */
export function identity(name: HostName): string {
  return `${name}.lab.test`
}
