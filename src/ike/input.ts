/** Everything that can happen to the core. With output.ts this is its whole boundary. */
import type { AddressPattern, Connection } from '../config/connection.ts'
import type { CoreSettings } from '../config/daemon-settings.ts'
import type { Pool } from '../config/pools.ts'
import type { KernelEvent } from '../kernel/operations.ts'
import type { IdentityPattern } from '../pki/identity.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { Gateway } from '../wire/redirect.ts'
import type { Credentials } from './credentials.ts'

export type Input =
  /** A UDP payload as it came from the socket, the non-ESP marker of port 4500 included. */
  | { readonly kind: 'datagram'; readonly local: Endpoint; readonly remote: Endpoint; readonly bytes: Uint8Array }
  /** A job ended. `value` is the JobResult of that job's kind. */
  | { readonly kind: 'completed'; readonly job: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly job: number; readonly error: Error }
  | { readonly kind: 'kernel'; readonly event: KernelEvent }
  /** The time asked for by the last `timer` output has come (or is past). */
  | { readonly kind: 'timer' }
  /** A command; `id` is the caller's and comes back in the answer. */
  | { readonly kind: 'command'; readonly id: number; readonly command: Command }

/** Selects SAs as VICI's terminate, rekey and list-sas do: all given fields must hold. */
export interface SaSelector {
  readonly ike?: string
  readonly ikeId?: number
  readonly child?: string
  readonly childId?: number
}

/** The addresses of an IKE SA, as far as they are given. */
export interface Between {
  readonly local?: string
  readonly remote?: string
}

export type Command =
  /** Adds, updates or replaces a connection (CHARON rules of load-conn) and runs its start actions. */
  | { readonly kind: 'load-connection'; readonly connection: Connection }
  | { readonly kind: 'unload-connection'; readonly name: string }
  /** The whole set of credentials, replacing the one before. */
  | { readonly kind: 'credentials'; readonly credentials: Credentials }
  | { readonly kind: 'settings'; readonly settings: CoreSettings }
  /**
   * Brings up a child (or an IKE SA without one). Answers when it is up or has failed; `timeoutMs` 0 waits without
   * end, a negative one answers as soon as the initiation is under way.
   */
  | {
      readonly kind: 'initiate'
      readonly ike?: string
      readonly child?: string
      readonly timeoutMs: number
      readonly initLimits?: boolean
      /** Between which addresses, for a connection that does not say it. */
      readonly between?: Between
    }
  | { readonly kind: 'terminate'; readonly select: SaSelector; readonly force: boolean; readonly timeoutMs: number }
  | { readonly kind: 'rekey'; readonly select: SaSelector; readonly reauth: boolean }
  /** Sends the clients of established IKE SAs to another gateway (RFC 5685). */
  | {
      readonly kind: 'redirect'
      readonly select: Pick<SaSelector, 'ike' | 'ikeId'>
      readonly peerIp?: AddressPattern
      readonly peerId?: IdentityPattern
      readonly gateway: Gateway
    }
  | { readonly kind: 'install'; readonly ike?: string; readonly child: string }
  | { readonly kind: 'uninstall'; readonly ike?: string; readonly child: string }
  /** Newest first; `most` of them, and only those with a smaller unique id than `before`. */
  | { readonly kind: 'list-sas'; readonly select: SaSelector; readonly before?: number; readonly most?: number }
  | { readonly kind: 'list-policies'; readonly ike?: string; readonly child?: string }
  | { readonly kind: 'list-connections' }
  /** Adds a pool, or replaces one of which no address is in use (CHARON 2.12). */
  | { readonly kind: 'load-pool'; readonly pool: Pool }
  | { readonly kind: 'unload-pool'; readonly name: string }
  | { readonly kind: 'list-pools'; readonly name?: string }
  | { readonly kind: 'stats' }
  /** Sends DELETE for every IKE SA, removes what is ours from the kernel, answers when the kernel is clean. */
  | { readonly kind: 'shutdown' }
