/**
 * IKE_FOLLOWUP_KE, RFC 9370 §2.2.4: the additional key exchanges of a CREATE_CHILD_SA, one exchange each, in the order of
 * their transform types. What CREATE_CHILD_SA was for is made after the last one.
 *
 *   HDR, SK {SA, Ni, KEi, ...}  -->
 *                      <--  HDR, SK {SA, Nr, KEr, ..., N(ADDITIONAL_KEY_EXCHANGE)(link1)}
 *   HDR, SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link1)}  -->
 *                      <--  HDR, SK {KEr(1), N(ADDITIONAL_KEY_EXCHANGE)(link2)}
 *   HDR, SK {KEi(2), N(ADDITIONAL_KEY_EXCHANGE)(link2)}  -->
 *                      <--  HDR, SK {KEr(2)}
 *
 * Other exchanges may come in between. A responder that has forgotten what a link was for says so:
 *
 *                      <--  HDR, SK {N(STATE_NOT_FOUND)}
 */
import { algorithmName } from '../../config/algorithms.ts'
import { keyExchange } from '../../crypto/key-exchange/key-exchange.ts'
import type { Secret } from '../../crypto/secret.ts'
import { EXCHANGE, NOTIFY, nameOf, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { KEPayload, NPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { type FollowUps, loser, type Nonces } from '../collisions.ts'
import { PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { refuseCritical } from '../messages.ts'
import { errorIn, find, notify } from '../notifies.ts'
import { additionalKeyExchanges, type Selected } from '../proposals.ts'
import { type Received, reply, request, run, type Script } from '../script.ts'
import { closeIkeSa } from './delete.ts'

const requestShape = shape({ KE: 'one', N: 'many' })
const responseShape = shape({ KE: 'optional', N: 'many' })

/** RFC 9370 §2.2.4 suggests 5 to 20 seconds. */
const forgetAfterMs = 20_000
/** So many STATE_NOT_FOUND in a row end the IKE SA. */
const mostStatesNotFound = 3

/** An SA that is being rekeyed, of either kind. */
export interface Rekeyed {
  readonly followUps: FollowUps
  readonly theirRekey: { readonly nonces: Nonces } | undefined
}

/** The secrets of the additional key exchanges, in their order. Disposing wipes them. */
export interface Followed extends Disposable {
  readonly additional: readonly Secret[]
}

/** As responder: with the payloads that answer the last request. */
export interface FollowedUp extends Followed {
  readonly answer: readonly Payload[]
}

/**
 * As initiator, with the answer to CREATE_CHILD_SA in hand: all of them. `lost` when the peer's rekeying of the same SA
 * crossed ours, is complete and stays; nothing has been made that would have to be deleted.
 * @throws PeerRefused, also when the peer's rekeying will stay but is not complete yet
 */
export function* initiate(
  sa: IkeSa,
  selected: Selected,
  notifies: readonly NPayload[],
  nonces: Nonces,
  old: Rekeyed | undefined,
): Script<Followed | 'lost'> {
  const methods = additionalKeyExchanges(selected)
  if (methods.length === 0) return { additional: [], [Symbol.dispose]: () => {} }
  const crossing = old?.theirRekey?.nonces ?? old?.followUps.theirs
  if (crossing !== undefined && loser(nonces, crossing) === 'ours') {
    // RFC 9370 §2.2.4: whoever has the lowest nonce begins no IKE_FOLLOWUP_KE.
    sa.core.log('IKE', 1, 'rekey collision lost before the additional key exchanges', sa)
    if (old?.theirRekey !== undefined) return 'lost'
    throw new PeerRefused(0, 'rekey collision lost, the peer goes on with its own')
  }
  using held = new DisposableStack()
  if (old !== undefined) {
    // The peer will not go on with one that has crossed ours.
    sa.dialogue.forgetAside(old)
    old.followUps.ours = true
    held.defer(() => {
      old.followUps.ours = false
    })
  }
  using secrets = new DisposableStack()
  const additional: Secret[] = []
  let link = find(notifies, NOTIFY.ADDITIONAL_KEY_EXCHANGE)
  for (const method of methods) {
    if (link === undefined) throw new Refusal(NOTIFY.INVALID_SYNTAX, 'the answer does not say how to go on')
    using keys = new DisposableStack()
    const pair = yield* run({ kind: 'key-exchange-generate', method }, (late) => late.private[Symbol.dispose]())
    keys.use(pair.private)
    const response: Received = yield* request(EXCHANGE.IKE_FOLLOWUP_KE, [
      { type: 'KE', method, data: pair.public },
      notify(NOTIFY.ADDITIONAL_KEY_EXCHANGE, link.data),
    ])
    const { KE, N } = responseShape(response.payloads)
    const refused = errorIn(N)
    if (refused !== undefined) throw refusedBy(sa, refused)
    const peerPublic = dataOf(KE, method, 'responder')
    const shared = yield* run({ kind: 'key-exchange-finish', method, private: pair.private, peerPublic }, (late) =>
      late[Symbol.dispose](),
    )
    additional.push(secrets.use(shared))
    link = find(N, NOTIFY.ADDITIONAL_KEY_EXCHANGE)
  }
  sa.statesNotFound = 0
  const kept = secrets.move()
  return { additional, [Symbol.dispose]: () => kept.dispose() }
}

/** What a series of exchanges is for. */
export interface Series {
  /** charon's task name. */
  readonly task: string
  readonly rekey?: { readonly old: Rekeyed; readonly nonces: Nonces }
  /** Looks again after the waits; throws a Refusal. */
  readonly stillPossible: () => void
}

/**
 * As responder: gives `answer` to CREATE_CHILD_SA and does the exchanges that follow. Without any it gives `answer` back.
 * @throws Refusal INVALID_SYNTAX, or what `series.stillPossible` throws
 */
export function* respond(
  sa: IkeSa,
  selected: Selected,
  answer: readonly Payload[],
  series: Series,
): Script<FollowedUp> {
  const { task, rekey } = series
  using held = new DisposableStack()
  using secrets = new DisposableStack()
  const additional: Secret[] = []
  let payloads = answer
  for (const method of additionalKeyExchanges(selected)) {
    if (rekey !== undefined && additional.length === 0) {
      const { old, nonces } = rekey
      old.followUps.theirs = nonces
      held.defer(() => {
        if (old.followUps.theirs === nonces) old.followUps.theirs = undefined
      })
    }
    const link = sa.core.random(16)
    const request = yield* reply([...payloads, notify(NOTIFY.ADDITIONAL_KEY_EXCHANGE, link)], {
      exchange: EXCHANGE.IKE_FOLLOWUP_KE,
      recognises: (received) => linksTo(received, link),
      forMs: forgetAfterMs,
      about: rekey?.old ?? additional,
      task,
    })
    refuseCritical(request.payloads)
    const { KE } = requestShape(request.payloads)
    const peerPublic = dataOf(KE, method, 'initiator')
    const ours = yield* run({ kind: 'key-exchange-respond', method, peerPublic }, (late) =>
      late.shared[Symbol.dispose](),
    )
    additional.push(secrets.use(ours.shared))
    payloads = [{ type: 'KE', method, data: ours.public }]
  }
  if (additional.length > 0) series.stillPossible()
  const kept = secrets.move()
  return { additional, answer: payloads, [Symbol.dispose]: () => kept.dispose() }
}

/** As responder: the request continues nothing that we know of. Not fatal for the IKE SA (RFC 9370 §2.2.4). */
// biome-ignore lint/correctness/useYield: a script that answers at once
export function* respondWithoutState(received: Received): Script<readonly Payload[]> {
  refuseCritical(received.payloads)
  throw new Refusal(NOTIFY.STATE_NOT_FOUND, 'no state found for an additional key exchange')
}

/** After STATE_NOT_FOUND the whole series has failed; after several the two sides do not understand each other. */
function refusedBy(sa: IkeSa, { notify: type }: NPayload): PeerRefused {
  if (type === NOTIFY.STATE_NOT_FOUND && ++sa.statesNotFound >= mostStatesNotFound) {
    sa.cancelQueued()
    sa.enqueue({ names: ['IKE_DELETE'], script: () => closeIkeSa(sa), failed: () => sa.destroy() })
  }
  return new PeerRefused(type, `received ${nameOf(NOTIFY, type)} notify in an additional key exchange`)
}

function linksTo({ payloads }: Received, link: Uint8Array): boolean {
  return payloads.some(
    (payload) =>
      payload.type === 'N' &&
      payload.notify === NOTIFY.ADDITIONAL_KEY_EXCHANGE &&
      Buffer.compare(payload.data, link) === 0,
  )
}

/** @throws Refusal INVALID_SYNTAX: the method MUST be the negotiated one */
function dataOf(KE: KEPayload | undefined, method: number, sender: 'initiator' | 'responder'): Uint8Array {
  const bytes = keyExchange(method)?.[sender === 'initiator' ? 'publicBytes' : 'responderBytes']
  if (KE?.method === method && KE.data.length === bytes) return KE.data
  throw new Refusal(
    NOTIFY.INVALID_SYNTAX,
    `the additional key exchange of the ${sender} is not the ${algorithmName(TRANSFORM_TYPE.KE, method)} that was agreed on`,
  )
}
