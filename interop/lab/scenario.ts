/** A scenario: data, plus what must be true in the end. */
import type { Dmvpn } from '../frr/dmvpn.ts'
import type { Language } from '../vici/libraries.ts'
import type { ChildProof } from './children.ts'
import type { Connection, End } from './connection.ts'
import type { Death } from './deaths.ts'
import type { OnDebian } from './debian.ts'
import type { DropIn, Placement } from './dropin/dropin.ts'
import type { Debian } from './machine.ts'
import type { MarkingProof } from './marking.ts'
import type { Mesh } from './mesh.ts'
import type { PeerName } from './peers/peer.ts'
import type { Rekeys } from './rekeys.ts'
import type { Change } from './roaming.ts'

/** What goes over the wire besides ESP in both directions. */
export interface OnTheWire {
  /** ESP travels in UDP, because of a NAT or because it was asked for. */
  readonly udp?: boolean
  /** IKE_AUTH comes in fragments, in the requests, the responses, or both. */
  readonly fragments?: readonly ('request' | 'response')[]
  /** Exchange types that are seen, besides the usual ones. */
  readonly exchanges?: readonly number[]
  /** Notify messages that a response to IKE_SA_INIT carries in the clear. */
  readonly initNotifies?: readonly number[]
}

export type Expectation =
  | {
      readonly kind: 'up'
      readonly wire?: OnTheWire
      /** Who ends it: an end by `down`, or the initiator's daemon by ending itself. */
      readonly endedBy?: 'initiator' | 'responder' | 'end-of-daemon'
      /** The selectors that both ends show in the end (in swanctl's words), the initiator's first. */
      readonly selectors?: readonly [initiators: string, responders: string]
      /** What the initiator rekeys, one after the other, before the end. */
      readonly rekeys?: readonly ('child' | 'ike')[]
      /** Text that the logs of both ends hold. */
      readonly says?: string
      /** Text that every state in both kernels shows (`ip -s xfrm state`). */
      readonly kernel?: readonly string[]
    }
  | {
      readonly kind: 'refused'
      /** What the log of each end must say. Not asked of libreswan, whose words differ. */
      readonly initiator: RegExp
      readonly responder: RegExp
    }
  /** swanctl prints the same fields, whether it talks to Sallyport or to charon. */
  | { readonly kind: 'same-surface' }
  /** The same of every sub-command and of files that are wrong (lab/subcommands.ts). */
  | { readonly kind: 'same-subcommands' }
  /** The messages behind these are the same, too (vici/swanctl.ts). */
  | { readonly kind: 'same-messages' }
  /** Our command under the name of swanctl does as swanctl does, with this daemon (lab/same-client.ts). */
  | { readonly kind: 'same-client'; readonly daemon: 'sallyport' | 'strongswan' }
  /** An observer is told the same events (vici/events.ts). */
  | { readonly kind: 'same-events' }
  /** What no library does gets the same answers, or none (vici/odd.ts). */
  | { readonly kind: 'odd-input' }
  /** Prometheus exporters give the same series (vici/series.ts). */
  | { readonly kind: 'same-series' }
  /** A library of strongSwan's source tree gets the same (vici/libraries.ts). */
  | { readonly kind: 'library'; readonly language: Language }
  /** Two road warriors get addresses from the responder's pools (lab/virtual-ips.ts). */
  | { readonly kind: 'virtual-ips' }
  /** One road warrior gets an address from a pool (lab/leased.ts). */
  | { readonly kind: 'leased' }
  /** Somebody moves, and the Child SA stays the same. */
  | { readonly kind: 'roams'; readonly change: Change }
  /** The responder sends the initiator to another address of its own (lab/redirect.ts). */
  | { readonly kind: 'redirected'; readonly when: 'established' | 'begun' }
  /** A child that asks for more than a tunnel (lab/children.ts). */
  | { readonly kind: 'child'; readonly proof: ChildProof }
  /** Marks and interface ids, fixed or chosen by the daemon (lab/marking.ts). */
  | { readonly kind: 'marking'; readonly proof: MarkingProof }
  /** Our own client, `sallyport`, drives the daemon on moon. */
  | { readonly kind: 'own-client' }
  /** SAs are replaced while traffic runs. */
  | Rekeys
  /** A daemon falls silent or dies. */
  | Death
  /** Six hosts that all begin at once; without the usual two. */
  | Mesh
  /** A scenario for swanctl, whatever it drives (lab/dropin); without the usual two. */
  | { readonly kind: 'drop-in'; readonly dropIn: DropIn; readonly placement: Placement }
  /** A hub and two spokes with FRRouting; without the usual two hosts. */
  | Dmvpn
  /** Our package on a Debian machine, in place of charon-systemd (lab/debian.ts); on hosts of its own. */
  | OnDebian
  /** A test file of ours that needs a kernel with ESP, without any daemon. */
  | { readonly kind: 'test-file'; readonly file: string }

/** Ours runs on moon, the peer on sun. */
export interface Scenario {
  readonly name: string
  readonly peer: Exclude<PeerName, 'sallyport'>
  readonly initiator: 'ours' | 'peer'
  /** The initiator is behind a NAT. */
  readonly nat: boolean
  /** The networks are behind the hosts, on clients: packets are forwarded. */
  readonly clients: boolean
  /** The root of the peer, where it is not the usual one of its kind. */
  readonly root?: 'strongswan-new'
  /** The root of swanctl, and of the charon that ours is compared with, where it is not the usual one. */
  readonly reference?: 'strongswan-new' | 'strongswan-old' | 'vici-clients'
  /** A root with further programs, below /mnt. */
  readonly also?: 'frr' | Debian
  /** What not every kernel has. */
  readonly needs?: 'xfrm-interfaces'
  /** Milliseconds that it may take, while others run beside it. */
  readonly limitMs: number
  /** Before anything else the responder gets an IKE_SA_INIT that nobody follows up, so that it asks for cookies. */
  readonly halfOpenFirst: boolean
  readonly connection: Connection
  readonly ours: End
  readonly theirs: End
  readonly expect: Expectation
}
