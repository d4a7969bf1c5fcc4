/**
 * A drop-in scenario: written once, and run with Sallyport on moon, on sun and on both, with the same outcome as with
 * charon on both. Only swanctl drives the daemons.
 */
import type { Auth } from '../connection.ts'
import type { HostName } from '../hosts.ts'
import type { PeerName } from '../peers/peer.ts'
import type { Actor } from './actor.ts'
import type { Conf, Confs } from './conf.ts'

/** The hosts under way, as the script of a scenario has them. */
export interface Play {
  readonly moon: Actor
  readonly sun: Actor
  /**
   * Notes what both hosts show: SAs and policies in swanctl's words, the kernel's states, policies, routes and addresses,
   * and what updown scripts were told. With Sallyport somewhere it must be what charon showed at this point.
   */
  readonly same: (point: string) => Promise<void>
  /** Allows packets that cross the wire unprotected, and waits for one. */
  readonly inClear: (what: RegExp) => Promise<void>
  /** Waits some milliseconds, where the scenario is about time that passes. */
  readonly pass: (ms: number) => Promise<void>
}

/** A scenario, whoever plays it. */
export interface DropIn extends Confs {
  readonly name: string
  /** The host that is behind a NAT, or both. A sun there can be reached through it. */
  readonly nat?: HostName | 'both'
  /** The networks are on clients behind the hosts. */
  readonly clients?: boolean
  /** Lines for the section `charon` of both hosts' strongswan.conf, or of one. */
  readonly daemon?: readonly string[] | Partial<Readonly<Record<HostName, readonly string[]>>>
  /** Both hosts have a certificate (`host.pem`) for a key of this kind, from the same CA. */
  readonly certificates?: Exclude<Auth, 'psk'>
  /** Further plugins that charon needs. */
  readonly plugins?: string
  readonly play: (play: Play) => Promise<unknown>
}

/** Who is on moon and on sun. */
export type Placement = readonly [moon: Exclude<PeerName, 'libreswan'>, sun: Exclude<PeerName, 'libreswan'>]

/** What charon is compared with, and the control. */
export const placements: readonly Placement[] = [
  ['sallyport', 'strongswan'],
  ['strongswan', 'sallyport'],
  ['sallyport', 'sallyport'],
  ['strongswan', 'strongswan'],
]

/** `[sallyport-charon]` and the like. */
export function placementName(placement: Placement): string {
  return `[${placement.map((who) => (who === 'strongswan' ? 'charon' : who)).join('-')}]`
}

export type { Conf }
