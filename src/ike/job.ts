/**
 * Slow or outside work the core asks for: plain data out, a completion back as an input. The order of completions is
 * input too, so nothing here may assume that an earlier job ends first.
 */
import type { KeyObject } from 'node:crypto'
import type { KeyExchangePrivate } from '../crypto/key-exchange/key-exchange.ts'
import type { Secret } from '../crypto/secret.ts'
import type { SignatureScheme } from '../crypto/signatures.ts'
import type { KernelOperation, KernelResults } from '../kernel/operations.ts'
import type { PeerAuthentication, PeerVerdict } from '../pki/authenticate.ts'
import type { OwnStatus, OwnStatusRequest } from '../pki/revocation/verify.ts'

export type Job =
  /** A fresh key pair of a key exchange method (IANA number), as initiator. */
  | { readonly kind: 'key-exchange-generate'; readonly method: number }
  /** Our public value and the shared secret for the initiator's public value, as responder. */
  | { readonly kind: 'key-exchange-respond'; readonly method: number; readonly peerPublic: Uint8Array }
  /** The shared secret from our private value and the responder's public value; wipes `private`. */
  | {
      readonly kind: 'key-exchange-finish'
      readonly method: number
      readonly private: KeyExchangePrivate
      readonly peerPublic: Uint8Array
    }
  | { readonly kind: 'sign'; readonly key: KeyObject; readonly scheme: SignatureScheme; readonly data: Uint8Array }
  /** Path validation, revocation and the AUTH signature of a peer. */
  | { readonly kind: 'verify-peer'; readonly request: PeerAuthentication }
  /** An OCSP response that says that a certificate of ours is good; `issuers` are the CAs above it. */
  | ({ readonly kind: 'own-status' } & OwnStatusRequest)
  /** Addresses of a host name, in the resolver's order. */
  | { readonly kind: 'resolve'; readonly name: string; readonly family?: 4 | 6 }
  /** The octets at an `http:` URL, if they are not more and do not take longer. */
  | { readonly kind: 'fetch'; readonly url: string; readonly mostBytes: number; readonly timeoutMs: number }
  | KernelJob

export interface KernelJob<O extends KernelOperation = KernelOperation> {
  readonly kind: 'kernel'
  readonly operation: O
}

/** What each kind of job but `kernel` comes back with. */
export interface JobResults {
  readonly 'key-exchange-generate': { readonly public: Uint8Array; readonly private: KeyExchangePrivate }
  readonly 'key-exchange-respond': { readonly public: Uint8Array; readonly shared: Secret }
  readonly 'key-exchange-finish': Secret
  readonly sign: Uint8Array
  readonly 'verify-peer': PeerVerdict
  readonly 'own-status': OwnStatus
  readonly resolve: readonly string[]
  readonly fetch: Uint8Array
}

export type JobResult<J extends Job> =
  J extends KernelJob<infer O>
    ? KernelResults[O['kind']]
    : J['kind'] extends keyof JobResults
      ? JobResults[J['kind']]
      : never
