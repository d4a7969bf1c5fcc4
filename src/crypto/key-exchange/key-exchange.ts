import type { Random } from '../random.ts'
import type { Secret } from '../secret.ts'
import { curve448, curve25519 } from './curve25519-448.ts'
import { ecpGroups } from './ecp.ts'
import { mlKems } from './ml-kem.ts'
import { modpGroups } from './modp.ts'
import type { KeyExchangePrivate } from './private.ts'

export { KeyExchangePrivate } from './private.ts'

/** Our half of a key exchange. */
export interface KeyPair {
  /** The Key Exchange Data of our KE payload. */
  readonly public: Uint8Array
  readonly private: KeyExchangePrivate
}

/** What the responder has after the one message of the initiator. */
export interface Response {
  /** The Key Exchange Data of our KE payload; a ciphertext if the method is a KEM. */
  readonly public: Uint8Array
  readonly shared: Secret
}

/**
 * One row of IANA's "Transform Type 4 - Key Exchange Method Transform IDs". The initiator generates and finishes, the
 * responder responds; so a KEM fits as well as Diffie-Hellman.
 *
 * Every public value of the peer is checked before use (RFC 6989), and `InvalidPublicValue` is thrown, or the promise
 * rejected with it.
 */
export interface KeyExchange {
  /** IANA number. */
  readonly id: number
  /** charon's display name. */
  readonly name: string
  /** Exact length of the initiator's Key Exchange Data. */
  readonly publicBytes: number
  /** Exact length of the responder's; differs from `publicBytes` for a KEM. */
  readonly responderBytes: number
  /** Not to be proposed or accepted unless configured by name. */
  readonly weak: boolean
  /** Takes more than about 150 µs a step: use the asynchronous variants, which run on the thread pool. */
  readonly slow: boolean
  /** The same `random` gives the same pair. */
  generate(random: Random): KeyPair
  respond(peerPublic: Uint8Array, random: Random): Response
  finish(ours: KeyExchangePrivate, peerPublic: Uint8Array): Secret
  /** As `generate`, with OpenSSL's random numbers. */
  generateAsync(): Promise<KeyPair>
  /** As `respond`, with OpenSSL's random numbers. */
  respondAsync(peerPublic: Uint8Array): Promise<Response>
  finishAsync(ours: KeyExchangePrivate, peerPublic: Uint8Array): Promise<Secret>
  /** A private value from its octets (for ML-KEM the seed d | z), for known answers and replays. */
  privateFrom(bytes: Uint8Array): KeyPair
}

/** Every method that we have, the weak ones last. */
export const KEY_EXCHANGES: readonly KeyExchange[] = [
  curve25519,
  curve448,
  ...ecpGroups,
  ...mlKems,
  ...modpGroups,
].sort((a, b) => Number(a.weak) - Number(b.weak))

const byId = new Map(KEY_EXCHANGES.map((method) => [method.id, method]))

/** The method of an IANA number. */
export function keyExchange(id: number): KeyExchange | undefined {
  return byId.get(id)
}
