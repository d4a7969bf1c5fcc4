/**
 * CREATE_CHILD_SA for a further Child SA, RFC 7296 §1.3.1:
 *
 *   HDR, SK {SA, Ni, [KEi,] TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
 *
 * and again with another group when the first was the wrong one (§1.3):
 *
 *                      <--  HDR, SK {N(INVALID_KE_PAYLOAD)}
 *
 * Rekeyings are the same exchange with more in it: rekey-child-sa.ts, rekey-ike-sa.ts.
 */
import { algorithmName } from '../../config/algorithms.ts'
import type { ConfiguredProposal } from '../../config/connection.ts'
import type { Secret } from '../../crypto/secret.ts'
import { EXCHANGE, NOTIFY, PROTOCOL, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type {
  KEPayload,
  NPayload,
  Payload,
  Proposal,
  SAPayload,
  TSiPayload,
  TSrPayload,
} from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { childRules, proposalsOf } from '../child-choice.ts'
import { announceUp, conclude, DeletedByPeer, draft, grant, reserve } from '../child-negotiation.ts'
import { askForPairs, askForRest } from '../child-parts.ts'
import type { ChildPlan } from '../child-plan.ts'
import { mayCreateChild, type Nonces } from '../collisions.ts'
import { assert, ExchangeTimeout, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import type { JobResults } from '../job.ts'
import { refuseCritical } from '../messages.ts'
import { errorIn, find } from '../notifies.ts'
import { accepted, type SelectionRules, select, transformOf } from '../proposals.ts'
import { createLater, isPutOff, noteOutcome } from '../put-off.ts'
import { type Received, request, run, type Script } from '../script.ts'
import { installRefused } from '../virtual-ips.ts'
import { deleteChild } from './delete.ts'
import * as followUps from './ike-followup-ke.ts'
import { respond as respondToChildRekey } from './rekey-child-sa.ts'
import { respond as respondToIkeRekey } from './rekey-ike-sa.ts'

const requestShape = shape({ SA: 'one', Nonce: 'one', KE: 'optional', TSi: 'optional', TSr: 'optional', N: 'many' })
const responseShape = shape({
  SA: 'optional',
  Nonce: 'optional',
  KE: 'optional',
  TSi: 'optional',
  TSr: 'optional',
  N: 'many',
})

/** As initiator: one more Child SA on an established IKE SA. */
export function* initiate(sa: IkeSa, plan: ChildPlan): Script<void> {
  const { core } = sa
  const proposals = proposalsOf(plan.config)
  yield* installRefused(sa)
  using spi = yield* reserve(sa, plan.config)
  const offered = draft(sa, plan, spi, false)
  using created = yield* exchange(sa, proposals, childRules(sa, false), offered.proposal, offered.selectors)
  try {
    const child = yield* conclude(sa, offered, spi, created.answer, created.seed, false)
    noteOutcome(sa)
    announceUp(sa, child)
    plan.up(child)
    askForRest(sa, offered, child, created.answer.N)
  } catch (error) {
    if (error instanceof ExchangeTimeout) throw error
    noteOutcome(sa, error instanceof Error ? error : undefined)
    const message = error instanceof Error ? error.message : String(error)
    core.log('IKE', 1, message, sa)
    if (isPutOff(error)) return createLater(sa, plan)
    if (askForPairs(sa, offered, error)) return
    core.log('IKE', 1, 'failed to establish CHILD_SA, keeping IKE_SA', sa)
    core.alert('keep-on-child-sa-failure', sa)
    plan.failed(message, error instanceof Error ? error : undefined)
    const theirs = created.answer.SA?.proposals[0]
    const known = error instanceof PeerRefused || error instanceof DeletedByPeer
    if (!known && theirs?.spi.length === 4) yield* deleteChild(theirs.protocol, spi.spi)
  }
}

/** As responder: tells the three uses of the exchange apart, and answers the first itself. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  refuseCritical(received.payloads)
  const { SA, Nonce, KE, TSi, TSr, N } = requestShape(received.payloads)
  if (SA.proposals.some(({ protocol }) => protocol === PROTOCOL.IKE))
    return yield* respondToIkeRekey(sa, { SA, Nonce, KE })
  if (TSi === undefined || TSr === undefined) throw new Refusal(NOTIFY.INVALID_SYNTAX, 'a Child SA needs TSi and TSr')
  const rekey = find(N, NOTIFY.REKEY_SA)
  if (rekey !== undefined) return yield* respondToChildRekey(sa, { SA, Nonce, KE, TSi, TSr, N, rekey })
  mayCreateChild(sa)
  const { connection } = sa
  assert(connection, 'an established IKE SA has a connection')
  if (sa.redirected) throw new Refusal(NOTIFY.NO_ADDITIONAL_SAS, 'no new CHILD_SA for a client that was redirected')
  const nr = sa.core.random(32)
  const proposals = connection.children.flatMap(proposalsOf)
  using granted = yield* answerKeyExchange(proposals, SA.proposals, KE, childRules(sa, false))
  const seed = { ni: Nonce.nonce, nr, ...(granted && { shared: granted.shared }) }
  const { child, answer } = yield* grant(
    sa,
    { SA, TSi, TSr, N },
    seed,
    false,
    undefined,
    function* (selected, proposal, selectors) {
      const first: Payload[] = [...proposal, { type: 'Nonce', nonce: nr }, ...(granted?.payload ?? []), ...selectors]
      return yield* followUps.respond(sa, selected, first, {
        task: 'CHILD_CREATE',
        stillPossible: () => mayCreateChild(sa),
      })
    },
  )
  sa.whenAnswered(() => announceUp(sa, child))
  return answer
}

/** What an initiator has in hand after the exchange. Disposing it wipes the shared secret. */
export interface Exchanged extends Disposable {
  readonly answer: {
    readonly SA: SAPayload | undefined
    readonly TSi: TSiPayload | undefined
    readonly TSr: TSrPayload | undefined
    readonly N: readonly NPayload[]
  }
  readonly seed: Nonces & { readonly shared?: Secret; readonly additional?: readonly Secret[] }
  /** The peer's rekeying of the same SA has won, before the additional key exchanges of ours began. */
  readonly lost?: true
}

/**
 * The exchange itself, with nonces and an optional key exchange, repeated once if the peer wants another group, and
 * followed by the additional key exchanges. `before` and `after` are the payloads around nonce and KE; `old` is what is
 * being rekeyed.
 * @throws Refusal when the answer's key exchange is not the one that was begun
 */
export function* exchange(
  sa: IkeSa,
  proposals: readonly ConfiguredProposal[],
  rules: SelectionRules,
  before: readonly Payload[],
  after: readonly Payload[],
  old?: followUps.Rekeyed,
): Script<Exchanged> {
  const { core } = sa
  const groups = proposals.flatMap(({ transforms }) =>
    transforms.flatMap(({ type, id }) => (type === TRANSFORM_TYPE.KE ? [id] : [])),
  )
  let method = groups.find((id) => id !== 0)
  // Another exchange that is under way may still need to know.
  if (sa.activeTasks.length <= 1) sa.deletedUnseen.clear()
  const ni = core.random(32)
  for (let retry = false; ; retry = true) {
    using held = new DisposableStack()
    const pair = method === undefined ? undefined : yield* run({ kind: 'key-exchange-generate', method })
    if (pair !== undefined) held.use(pair.private)
    const ke: Payload[] = pair && method !== undefined ? [{ type: 'KE', method, data: pair.public }] : []
    const nonce: Payload = { type: 'Nonce', nonce: ni }
    const response = yield* request(EXCHANGE.CREATE_CHILD_SA, [...before, nonce, ...ke, ...after])
    const { Nonce, KE, ...answer } = responseShape(response.payloads)
    const other = retry ? undefined : otherGroup(answer.N, groups, method)
    if (other !== undefined) {
      core.log(
        'IKE',
        1,
        `peer didn't accept key exchange method ${algorithmName(TRANSFORM_TYPE.KE, method ?? 0)}, it requested ${algorithmName(TRANSFORM_TYPE.KE, other)}`,
        sa,
      )
      method = other === 0 ? undefined : other
      continue
    }
    const nothing = { ni, nr: new Uint8Array() }
    // §3.10.1: with an error, known or not, the request has failed entirely.
    if (answer.SA === undefined || errorIn(answer.N) !== undefined) {
      return { answer: { ...answer, SA: undefined }, seed: nothing, [Symbol.dispose]: () => {} }
    }
    if (Nonce === undefined) throw new Refusal(NOTIFY.INVALID_SYNTAX, 'the answer has no nonce')
    const chosen = accepted(proposals, answer.SA.proposals, rules)
    const agreed = chosen && transformOf(chosen, TRANSFORM_TYPE.KE)?.id
    const seed = { ni, nr: Nonce.nonce }
    if (chosen === undefined || agreed === undefined) return { answer, seed, [Symbol.dispose]: () => {} }
    if (pair === undefined || KE === undefined || KE.method !== method || agreed !== method) {
      throw new Refusal(NOTIFY.INVALID_SYNTAX, 'the key exchange of the answer is not the one that was begun')
    }
    using secrets = new DisposableStack()
    const shared = secrets.use(
      yield* run({ kind: 'key-exchange-finish', method: agreed, private: pair.private, peerPublic: KE.data }, (late) =>
        late[Symbol.dispose](),
      ),
    )
    const followed = yield* followUps.initiate(sa, chosen, answer.N, seed, old)
    if (followed === 'lost') {
      return { answer: { ...answer, SA: undefined }, seed: nothing, lost: true, [Symbol.dispose]: () => {} }
    }
    secrets.use(followed)
    const kept = secrets.move()
    return {
      answer,
      seed: { ...seed, shared, additional: followed.additional },
      [Symbol.dispose]: () => kept.dispose(),
    }
  }
}

/** The responder's half of an optional key exchange. Disposing it wipes the secret. */
export interface AnsweredKeyExchange extends Disposable {
  readonly shared: Secret
  readonly payload: readonly [KEPayload]
}

/**
 * Answers a KE payload with the group that our proposals select; undefined when they select none.
 * @throws Refusal INVALID_KE_PAYLOAD naming the group that we want
 */
export function* answerKeyExchange(
  proposals: readonly ConfiguredProposal[],
  received: readonly Proposal[],
  KE: KEPayload | undefined,
  rules: SelectionRules,
): Script<AnsweredKeyExchange | undefined> {
  const selected = select(proposals, received, rules)
  const method = selected && transformOf(selected, TRANSFORM_TYPE.KE)?.id
  if (method === undefined) return undefined
  if (KE?.method !== method) {
    throw new Refusal(
      NOTIFY.INVALID_KE_PAYLOAD,
      `key exchange method ${algorithmName(TRANSFORM_TYPE.KE, KE?.method ?? 0)} unacceptable, requesting ${algorithmName(TRANSFORM_TYPE.KE, method)}`,
      { data: Uint8Array.of(method >> 8, method & 0xff) },
    )
  }
  const ours: JobResults['key-exchange-respond'] = yield* run(
    { kind: 'key-exchange-respond', method, peerPublic: KE.data },
    (late) => late.shared[Symbol.dispose](),
  )
  return {
    shared: ours.shared,
    payload: [{ type: 'KE', method, data: ours.public }],
    [Symbol.dispose]: () => ours.shared[Symbol.dispose](),
  }
}

/** The group that INVALID_KE_PAYLOAD asks for, if it is one that we proposed and have not tried. */
function otherGroup(
  notifies: readonly NPayload[],
  groups: readonly number[],
  tried: number | undefined,
): number | undefined {
  const wrong = find(notifies, NOTIFY.INVALID_KE_PAYLOAD)
  if (wrong === undefined) return undefined
  const other = ((wrong.data[0] ?? 0) << 8) | (wrong.data[1] ?? 0)
  return groups.includes(other) && other !== tried ? other : undefined
}
