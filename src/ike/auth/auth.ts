/**
 * Authentication of both sides in IKE_AUTH (RFC 7296 §2.15): each signs or MACs its own IKE_SA_INIT message, the
 * other's nonce and its own identity. One file per method; this one knows which applies.
 */
import type { AuthRound } from '../../config/connection.ts'
import { authOctets, macedId } from '../../crypto/keys.ts'
import { type Certificate, parseCertificate } from '../../pki/certificate.ts'
import {
  formatIdentity,
  hasWildcards,
  type Identity,
  identityFromName,
  identityFromWire,
  matchIdentity,
  parseIdentity,
} from '../../pki/identity.ts'
import { AUTH_METHOD, NOTIFY } from '../../wire/numbers.ts'
import type { AUTHPayload, CERTPayload, Identification } from '../../wire/payloads/index.ts'
import { assert, LocalFailure, Refusal } from '../errors.ts'
import { intermediateOctets } from '../exchanges/ike-intermediate.ts'
import type { IkeSa } from '../ike-sa.ts'
import type { Script } from '../script.ts'
import { provePsk, verifyPsk } from './psk.ts'
import { proveSignature, verifySignature } from './signature.ts'

/** What a side shows of itself in IKE_AUTH. */
export interface Proof {
  readonly certificates: readonly CERTPayload[]
  readonly auth: AUTHPayload
}

/** What the peer has shown of itself in one round. */
export interface Shown extends Proof {
  readonly id: Identity
  /** The reserved octets of its ID payload, if they are not zero. */
  readonly reserved: Uint8Array | undefined
}

/** Our identity for a round: the configured one, else the first certificate's subject, else our address. */
export function ourIdentity(sa: IkeSa, round: AuthRound | undefined): Identity {
  const id = round?.id
  if (id !== undefined && !('regex' in id) && !hasWildcards(id)) return id
  const [first] = round?.certificates ?? []
  if (first !== undefined) return identityFromName(certificateOf(first).subject)
  return parseIdentity(sa.local.address)
}

/** The ID payload's content for an identity. */
export function identification(identity: Identity): Identification {
  return { idType: identity.type, data: identity.data }
}

/**
 * Our proof for one of our rounds, as `sa.localId`.
 * @throws LocalFailure when there is no key or secret for it, saying which
 */
export function* prove(sa: IkeSa, round: AuthRound | undefined, peerId: Identity | undefined): Script<Proof> {
  const { localId } = sa
  assert(localId, 'our identity is chosen before we prove it')
  const octets = octetsOf(sa, sa.role, localId)
  const kind = round?.class === 'any' || round === undefined ? preferredClass(sa) : round.class
  switch (kind) {
    case 'psk':
      return { certificates: [], auth: provePsk(sa, localId, peerId, octets) }
    case 'pubkey':
      return yield* proveSignature(sa, round, localId, octets)
    default:
      throw new LocalFailure(`authentication by ${kind} is not available for ${formatIdentity(localId)}`)
  }
}

/**
 * Checks the peer's proof against one of its rounds.
 * @throws Refusal AUTHENTICATION_FAILED, with a message that says exactly what differed
 */
export function* verify(sa: IkeSa, round: AuthRound | undefined, peer: Shown): Script<void> {
  const { auth, id } = peer
  checkIdentity(sa, round, id)
  const octets = octetsOf(sa, sa.role === 'initiator' ? 'responder' : 'initiator', id, peer.reserved)
  const byPsk = auth.method === AUTH_METHOD.SHARED_KEY_MESSAGE_INTEGRITY_CODE
  const allowed = round?.class ?? 'any'
  if (allowed !== 'any' && allowed !== (byPsk ? 'psk' : 'pubkey')) {
    const wants = { psk: 'a pre-shared key', pubkey: 'a signature', eap: 'EAP' }[allowed]
    throw authenticationFailed(
      `selected peer config '${sa.connection?.name}' unacceptable: non-matching authentication done (it wants ${wants}, ${formatIdentity(id)} used ${byPsk ? 'a pre-shared key' : 'a signature'})`,
    )
  }
  if (byPsk) verifyPsk(sa, id, auth.data, octets)
  else yield* verifySignature(sa, round, peer, octets)
}

export function authenticationFailed(message: string): Refusal {
  return new Refusal(NOTIFY.AUTHENTICATION_FAILED, message, { endsSa: true })
}

/** The DER of a certificate in a configuration, which was parsed when it was loaded. */
export function certificateOf(der: Uint8Array): Certificate {
  return parseCertificate(der)
}

export function identityOfPayload(payload: Identification): Identity {
  return identityFromWire(payload.idType, payload.data)
}

/** @throws Refusal AUTHENTICATION_FAILED when the round wants somebody else */
export function checkIdentity(sa: IkeSa, round: AuthRound | undefined, id: Identity): void {
  const pattern = round?.id
  if (pattern === undefined || matchIdentity(id, pattern, sa.core.settings.rdnMatching) > 0) return
  throw authenticationFailed(
    `constraint check failed: identity '${formatIdentity(pattern)}' required, the peer is '${formatIdentity(id)}'`,
  )
}

/** Without a configured class: a signature if there is any key, else a pre-shared key. */
function preferredClass(sa: IkeSa): 'pubkey' | 'psk' {
  return sa.core.credentials.privateKeys.size > 0 ? 'pubkey' : 'psk'
}

/**
 * RFC 7296 §2.15: RealMessage | NonceData of the other side | prf(SK_p, RestOfIDPayload) [| IntAuth, RFC 9242].
 * @param reserved of the ID payload: the octets are covered as they were sent, and ours are zero
 */
export function octetsOf(
  sa: IkeSa,
  who: 'initiator' | 'responder',
  id: Identity,
  reserved: Uint8Array = new Uint8Array(3),
): Uint8Array {
  const { init, keys, suite } = sa
  assert(init && keys && suite, 'authentication comes after IKE_SA_INIT')
  const body = new Uint8Array(4 + id.data.length)
  body[0] = id.type
  body.set(reserved, 1)
  body.set(id.data, 4)
  const intermediate = sa.intermediate && intermediateOctets(sa.intermediate)
  return who === 'initiator'
    ? authOctets(init.request, init.nr, macedId(suite.prf, keys.pi, body), intermediate)
    : authOctets(init.response, init.ni, macedId(suite.prf, keys.pr, body), intermediate)
}
