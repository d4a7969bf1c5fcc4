/**
 * Authentication as responder: which of the connections it is that the peer's identities and proofs fit, round by round,
 * and what we show of ourselves in return.
 */
import type { AuthRound, Connection } from '../../config/connection.ts'
import { formatIdentity, hasWildcards, type Identity } from '../../pki/identity.ts'
import { NOTIFY, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { fitting } from '../connections.ts'
import { assert, LocalFailure, Refusal } from '../errors.ts'
import { selectionRules } from '../exchanges/ike-sa-init.ts'
import type { IkeSa } from '../ike-sa.ts'
import { refuseCritical } from '../messages.ts'
import { has } from '../notifies.ts'
import { select, transformOf } from '../proposals.ts'
import { type Received, reply, type Script } from '../script.ts'
import { authenticationFailed, identification, identityOfPayload, ourIdentity, prove, type Shown } from './auth.ts'
import { lookUpCertificates } from './hash-and-url.ts'
import { acceptPpk, forgetUnused, ppkAnswer } from './ppk.ts'
import {
  acceptRound,
  anotherFollows,
  type Choice,
  hasRound,
  hasSeveralRounds,
  nextConnection,
  showRound,
  verifyRound,
} from './rounds.ts'

/** A request with a round after the first, or with nothing when the initiator has shown all. */
const laterShape = shape({ IDi: 'optional', CERT: 'many', AUTH: 'optional', N: 'many' })

/**
 * As responder: the connections that the identities fit, the best one first.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function possibleConnections(sa: IkeSa, peerId: Identity, idr: Identity | undefined): Connection[] {
  const { core, candidates } = sa
  const possible = fitting(candidates, idr, peerId, core.settings.rdnMatching).filter((connection) =>
    couldHaveSelected(sa, connection.proposals),
  )
  if (possible.length > 0) return possible
  const names = candidates.map(({ name }) => name).join(', ') || 'none'
  throw failed(
    sa,
    `no matching peer config found for '${formatIdentity(peerId)}' (connections with these addresses: ${names})`,
  )
}

/**
 * Selects a connection and verifies the first round of the peer against it; the next one that is possible is tried when
 * the peer authenticated in a way that the first does not want. Comes back with the first round of our own.
 * @throws Refusal AUTHENTICATION_FAILED
 */
function* authenticate(
  sa: IkeSa,
  choice: Choice,
  idr: Identity | undefined,
  peer: Shown,
  another: boolean,
  notifies: readonly NPayload[],
): Script<readonly Payload[]> {
  const { core, keys } = sa
  assert(keys, 'IKE_AUTH comes after IKE_SA_INIT')
  using unused = new DisposableStack()
  unused.defer(() => forgetUnused(sa, keys))
  sa.connection = choice.others.shift()
  core.log('CFG', 1, `selected peer config '${sa.connection?.name}'`, sa)
  for (;;) {
    const { connection } = sa
    const ours = connection?.local[0]
    sa.localId = ourIdentityFor(sa, ours, idr)
    try {
      if (connection !== undefined && hasSeveralRounds(connection) && !severalPossible(sa)) {
        throw authenticationFailed(
          `selected peer config '${connection.name}' unacceptable: it has several authentication rounds, which ${sa.peer.multipleAuth ? 'charon.multiple_authentication = no does not allow' : 'the peer does not support'}`,
        )
      }
      const shown = { ...peer, auth: acceptPpk(sa, keys, notifies, peer.auth) }
      yield* verifyRound(sa, 0, shown, another)
      choice.rounds.push({ shown, another })
      break
    } catch (error) {
      if (!(error instanceof Refusal) || !nextConnection(sa, choice, error)) throw error
    }
  }
  sa.remoteId = peer.id
  const { localId } = sa
  const proof = yield* orFail(sa, () => prove(sa, sa.connection?.local[0], peer.id))
  const identity: Payload = { type: 'IDr', ...identification(localId) }
  return [identity, ...proof.certificates, proof.auth, ...ppkAnswer(sa), ...anotherFollows(sa, 0)]
}

/** What the initiator asks for as IDr is only a wish; we are who the connection says (RFC 7296 §2.15). */
function ourIdentityFor(sa: IkeSa, ours: AuthRound | undefined, idr: Identity | undefined): Identity {
  const free = ours?.id === undefined && ours?.certificates.length === 0
  return free && idr !== undefined && !hasWildcards(idr) ? idr : ourIdentity(sa, ours)
}

/**
 * The authentication of both sides by AUTH payloads, all rounds of it.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function* byProof(
  sa: IkeSa,
  choice: Choice,
  idr: Identity | undefined,
  peer: Shown,
  another: boolean,
  received: Received,
  notifies: readonly NPayload[],
): Script<{ readonly path: Received['path']; readonly payloads: readonly Payload[] }> {
  const certificates = yield* lookUpCertificates(sa, peer.certificates, peer.auth)
  const proof = yield* authenticate(sa, choice, idr, { ...peer, certificates }, another, notifies)
  return yield* furtherRounds(sa, choice, received, proof)
}

/**
 * Selects a connection whose peers authenticate by EAP, and comes back with our own proof (RFC 7296 §2.16).
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function* selectForEap(
  sa: IkeSa,
  choice: Choice,
  idr: Identity | undefined,
  peerId: Identity,
): Script<readonly Payload[]> {
  const { core } = sa
  const connection = choice.others.find(({ remote }) => remote[0]?.class === 'eap')
  if (connection === undefined)
    throw failed(sa, 'peer requested EAP, config unacceptable: no remote round has auth = eap')
  sa.connection = connection
  core.log('CFG', 1, `selected peer config '${connection.name}'`, sa)
  const [ours] = connection.local
  sa.localId = ourIdentityFor(sa, ours, idr)
  const { localId } = sa
  const proof = yield* orFail(sa, () => prove(sa, ours, peerId))
  return [{ type: 'IDr', ...identification(localId) }, ...proof.certificates, proof.auth]
}

/** Both have said that they can do several rounds. */
function severalPossible({ core, peer }: IkeSa): boolean {
  return core.settings.multipleAuthentication && peer.multipleAuth
}

/** As responder: the rounds after the first. Comes back with what is left to say of ourselves in the last answer. */
function* furtherRounds(
  sa: IkeSa,
  choice: Choice,
  first: Received,
  ours: readonly Payload[],
): Script<{ readonly path: Received['path']; readonly payloads: readonly Payload[] }> {
  let received = first
  let payloads = ours
  for (let round = 0; ; round++) {
    const { connection } = sa
    const done = !hasRound(connection?.local, round + 1) && !hasRound(connection?.remote, round + 1)
    if (done) return { path: received.path, payloads }
    received = yield* reply(payloads)
    refuseCritical(received.payloads)
    const { IDi, CERT, AUTH, N } = laterShape(received.payloads)
    if (hasRound(connection?.remote, round + 1)) {
      if (IDi === undefined || AUTH === undefined)
        throw failed(sa, 'the authentication round that was announced did not come')
      const certificates = yield* lookUpCertificates(sa, CERT, AUTH)
      const shown = { id: identityOfPayload(IDi), reserved: IDi.reserved, certificates, auth: AUTH }
      yield* acceptRound(sa, choice, shown, has(N, NOTIFY.ANOTHER_AUTH_FOLLOWS))
    }
    payloads = yield* orFail(sa, () => showRound(sa, round + 1))
  }
}

/** What we lack is nothing that the peer has to know more about than that it failed. */
function* orFail<T>(sa: IkeSa, script: () => Script<T>): Script<T> {
  try {
    return yield* script()
  } catch (error) {
    if (error instanceof LocalFailure) throw failed(sa, error.message)
    throw error
  }
}

/** The IKE proposal was chosen before the connection: the connection must allow it as well. */
function couldHaveSelected(sa: IkeSa, proposals: Parameters<typeof select>[0]): boolean {
  const { selected } = sa
  assert(selected, 'a proposal is selected')
  const received = [{ number: 1, protocol: 1, spi: new Uint8Array(), transforms: selected.transforms }]
  const again = select(proposals, received, selectionRules(sa.core))
  return (
    again !== undefined && transformOf(again, TRANSFORM_TYPE.KE)?.id === transformOf(selected, TRANSFORM_TYPE.KE)?.id
  )
}

/** A refusal that ends the IKE SA, with the alert that goes with it. */
export function failed(sa: IkeSa, message: string): Refusal {
  sa.core.alert('peer-auth-failed', sa)
  return new Refusal(NOTIFY.AUTHENTICATION_FAILED, message, { endsSa: true })
}
