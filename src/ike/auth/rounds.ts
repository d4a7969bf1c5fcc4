/**
 * Several authentications of a side in one IKE_AUTH, RFC 4739: each round has its own identity, and its own AUTH over
 * the same octets but for the identity. Who has another one to show says so beside the AUTH of the one before; who has
 * shown all sends empty messages until the other has, too.
 *
 *   HDR, SK {IDi, [CERT,] AUTH, SAi2, TSi, TSr, N(MULTIPLE_AUTH_SUPPORTED), N(ANOTHER_AUTH_FOLLOWS)}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH}
 *   HDR, SK {IDi, [CERT,] AUTH}  -->
 *                      <--  HDR, SK {SAr2, TSi, TSr}
 *
 * A connection wants its rounds in their order, all of them, and no more.
 */
import type { AuthRound, Connection } from '../../config/connection.ts'
import { sameProof } from '../../config/equality.ts'
import { formatIdentity, hasWildcards, type Identity } from '../../pki/identity.ts'
import { NOTIFY } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { assert, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { notify } from '../notifies.ts'
import type { Script } from '../script.ts'
import { authenticationFailed, identification, ourIdentity, prove, type Shown, verify } from './auth.ts'

/** Whether a connection has more than one round on one of its sides. */
export function hasSeveralRounds({ local, remote }: Connection): boolean {
  return local.length > 1 || remote.length > 1
}

/** What an initiator says in its first IKE_AUTH request, and a responder in its IKE_SA_INIT response. */
export function announceMultipleAuth({ core }: IkeSa): NPayload[] {
  return core.settings.multipleAuthentication ? [notify(NOTIFY.MULTIPLE_AUTH_SUPPORTED)] : []
}

/** Says that another of our rounds follows on number `round`. */
export function anotherFollows({ connection }: IkeSa, round: number): NPayload[] {
  return hasRound(connection?.local, round + 1) ? [notify(NOTIFY.ANOTHER_AUTH_FOLLOWS)] : []
}

/** Whether the list has that round; the first one is always there. */
export function hasRound(rounds: readonly AuthRound[] | undefined, round: number): boolean {
  return round < (rounds?.length ?? 1)
}

/** The identity that we want of the peer in a round, if it is a certain one. */
export function soughtIdentity(round: AuthRound | undefined): Identity | undefined {
  const id = round?.id
  return id !== undefined && !('regex' in id) && !hasWildcards(id) ? id : undefined
}

/**
 * One of our rounds but the first, or nothing when all are done.
 * @throws LocalFailure when there is no key or secret for it
 */
export function* showRound(sa: IkeSa, round: number): Script<Payload[]> {
  const { connection, role } = sa
  if (!hasRound(connection?.local, round)) return []
  const ours = connection?.local[round]
  const sought = role === 'initiator' ? soughtIdentity(connection?.remote[round]) : undefined
  sa.localId = ourIdentity(sa, ours)
  const proof = yield* prove(sa, ours, sought ?? sa.remoteId)
  const identity = identification(sa.localId)
  return [
    role === 'initiator' ? { type: 'IDi', ...identity } : { type: 'IDr', ...identity },
    ...proof.certificates,
    ...(sought ? [{ type: 'IDr' as const, ...identification(sought) }] : []),
    proof.auth,
    ...anotherFollows(sa, round),
  ]
}

/**
 * Checks one round of the peer against the connection; `another` is what it says about the next.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function* verifyRound(sa: IkeSa, round: number, shown: Shown, another: boolean): Script<void> {
  const { connection } = sa
  assert(connection, 'a connection is selected')
  const { name, remote } = connection
  yield* verify(sa, remote[round], shown)
  if (hasRound(remote, round + 1) === another) return
  const who = formatIdentity(shown.id)
  throw authenticationFailed(
    another
      ? `selected peer config '${name}' unacceptable: '${who}' wants to authenticate once more than it has remote rounds (${remote.length})`
      : `selected peer config '${name}' unacceptable: insufficient authentication rounds ('${who}' did ${round + 1} of ${remote.length})`,
  )
}

/** As responder: the connections that are left to choose from, and what the peer has shown so far. */
export interface Choice {
  others: Connection[]
  readonly rounds: { readonly shown: Shown; readonly another: boolean }[]
}

/**
 * As responder: takes a round but the first. When it does not fit the connection, the next one takes its place whose
 * rounds fit what the peer has shown until now, and with which we would have shown the same.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function* acceptRound(sa: IkeSa, choice: Choice, shown: Shown, another: boolean): Script<void> {
  const { core, connection } = sa
  assert(connection, 'a connection is selected')
  choice.rounds.push({ shown, another })
  choice.others = choice.others.filter((other) => sameProof(other, connection))
  let from = choice.rounds.length - 1
  for (;;) {
    try {
      for (let round = from; round < choice.rounds.length; round++) {
        const one = choice.rounds[round]
        if (one !== undefined) yield* verifyRound(sa, round, one.shown, one.another)
      }
      sa.remoteId = shown.id
      return
    } catch (error) {
      if (!(error instanceof Refusal) || !nextConnection(sa, choice, error)) throw error
      from = 0
      core.log('IKE', 2, 'looking at all authentication rounds again', sa)
    }
  }
}

/** Goes on with the next connection that is possible; false, and an alert, if there is none. */
export function nextConnection(sa: IkeSa, choice: Choice, error: Refusal): boolean {
  const { core } = sa
  const next = choice.others.shift()
  if (next === undefined) {
    core.alert('peer-auth-failed', sa)
    return false
  }
  core.log('IKE', 1, error.message, sa)
  const told = error.message.startsWith('selected peer config')
  if (!told)
    core.log('CFG', 1, `selected peer config '${sa.connection?.name}' unacceptable: constraint checking failed`, sa)
  core.log('CFG', 1, `switching to peer config '${next.name}'`, sa)
  sa.connection = next
  return true
}
