/**
 * CREATE_CHILD_SA for a further Child SA, RFC 7296 §1.3.1:
 *
 *   HDR, SK {SA, Ni, [KEi,] TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
 *
 * and again with another group when the first was the wrong one (§1.3):
 *
 *                      <--  HDR, SK {N(INVALID_KE_PAYLOAD)}
 */
import { algorithmName } from '../../config/algorithms.ts'
import type { Secret } from '../../crypto/secret.ts'
import { EXCHANGE, NOTIFY, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { announceUp, childRules, conclude, draft, grant, proposalsOf, reserveSpi } from '../child-negotiation.ts'
import type { ChildPlan } from '../child-plan.ts'
import { assert, ExchangeTimeout, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import type { JobResults } from '../job.ts'
import { refuseCritical } from '../messages.ts'
import { find, has } from '../notifies.ts'
import { select, transformOf } from '../proposals.ts'
import { type Received, request, run, type Script } from '../script.ts'
import { deleteChild } from './delete.ts'

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
  using spi = yield* reserveSpi(sa, proposals[0]?.protocol === 'AH' ? 'AH' : 'ESP')
  const offered = draft(sa, plan, spi, false)
  const groups = proposals.flatMap(({ transforms }) =>
    transforms.flatMap(({ type, id }) => (type === TRANSFORM_TYPE.KE ? [id] : [])),
  )
  let method = groups.find((id) => id !== 0)
  const ni = core.random(32)
  for (let retry = false; ; retry = true) {
    const pair = method === undefined ? undefined : yield* run({ kind: 'key-exchange-generate', method })
    using held = new DisposableStack()
    if (pair !== undefined) held.defer(() => pair.private[Symbol.dispose]())
    const response = yield* request(EXCHANGE.CREATE_CHILD_SA, [
      ...offered.proposal,
      { type: 'Nonce', nonce: ni },
      ...(pair && method !== undefined ? [{ type: 'KE' as const, method, data: pair.public }] : []),
      ...offered.selectors,
    ])
    const answer = responseShape(response.payloads)
    const wrongGroup = find(answer.N, NOTIFY.INVALID_KE_PAYLOAD)
    if (wrongGroup !== undefined && !retry) {
      const other = ((wrongGroup.data[0] ?? 0) << 8) | (wrongGroup.data[1] ?? 0)
      if (groups.includes(other) && other !== method) {
        core.log(
          'IKE',
          1,
          `peer didn't accept key exchange method ${algorithmName(TRANSFORM_TYPE.KE, method ?? 0)}, it requested ${algorithmName(TRANSFORM_TYPE.KE, other)}`,
          sa,
        )
        method = other === 0 ? undefined : other
        continue
      }
    }
    try {
      let shared: Secret | undefined
      const chosen = answer.SA && select(proposals, answer.SA.proposals, childRules(sa, false))
      const ke = chosen && transformOf(chosen, TRANSFORM_TYPE.KE)?.id
      if (ke !== undefined) {
        if (pair === undefined || answer.KE === undefined || answer.KE.method !== method || ke !== method) {
          throw new Refusal(
            NOTIFY.INVALID_SYNTAX,
            'the key exchange of the answer is not the one we began, no CHILD_SA built',
          )
        }
        shared = yield* run({
          kind: 'key-exchange-finish',
          method: ke,
          private: pair.private,
          peerPublic: answer.KE.data,
        })
        held.use(shared)
      }
      const nr = answer.Nonce?.nonce
      const seed = { ni, nr: nr ?? new Uint8Array(), ...(shared && { shared }) }
      if (answer.SA !== undefined && nr === undefined) {
        throw new Refusal(NOTIFY.INVALID_SYNTAX, 'the answer has no nonce, no CHILD_SA built')
      }
      const child = yield* conclude(sa, offered, spi, answer, seed, false)
      announceUp(sa, child)
      plan.up(child)
    } catch (error) {
      if (error instanceof ExchangeTimeout) throw error
      const message = error instanceof Error ? error.message : String(error)
      core.log('IKE', 1, message, sa)
      core.log('IKE', 1, 'failed to establish CHILD_SA, keeping IKE_SA', sa)
      core.alert('keep-on-child-sa-failure', sa)
      plan.failed(message)
      const theirs = answer.SA?.proposals[0]
      if (!(error instanceof PeerRefused) && theirs?.spi.length === 4) yield* deleteChild(theirs.protocol, spi.spi)
    }
    return
  }
}

/** As responder: a further Child SA. Rekeyings are told apart by N(REKEY_SA) and by an IKE proposal. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  const { core } = sa
  refuseCritical(received.payloads)
  const { SA, Nonce, KE, TSi, TSr, N } = requestShape(received.payloads)
  if (sa.state !== 'ESTABLISHED') throw new Refusal(NOTIFY.TEMPORARY_FAILURE, 'this IKE_SA is being closed')
  if (TSi === undefined || TSr === undefined || has(N, NOTIFY.REKEY_SA)) {
    throw new Refusal(NOTIFY.NO_ADDITIONAL_SAS, 'rekeying is not available')
  }
  const connection = sa.connection
  assert(connection, 'an established IKE SA has a connection')
  const nr = core.random(32)
  const granted = yield* keyExchange(sa, SA.proposals, KE, connection.children.flatMap(proposalsOf))
  using held = new DisposableStack()
  if (granted !== undefined) held.use(granted.shared)
  const seed = { ni: Nonce.nonce, nr, ...(granted && { shared: granted.shared }) }
  const { child, proposal, selectors } = yield* grant(sa, { SA, TSi, TSr, N }, seed, false)
  sa.whenAnswered(() => announceUp(sa, child))
  return [
    ...proposal,
    { type: 'Nonce', nonce: nr },
    ...(granted && KE ? [{ type: 'KE' as const, method: KE.method, data: granted.public }] : []),
    ...selectors,
  ]
}

/** The responder's half of an optional key exchange: with the group that our proposals select, or none. */
function* keyExchange(
  sa: IkeSa,
  received: Parameters<typeof select>[1],
  KE: { readonly method: number; readonly data: Uint8Array } | undefined,
  proposals: Parameters<typeof select>[0],
): Script<JobResults['key-exchange-respond'] | undefined> {
  const selected = select(proposals, received, childRules(sa, false))
  const method = selected && transformOf(selected, TRANSFORM_TYPE.KE)?.id
  if (method === undefined) return undefined
  if (KE === undefined || KE.method !== method) {
    throw new Refusal(
      NOTIFY.INVALID_KE_PAYLOAD,
      `key exchange method ${algorithmName(TRANSFORM_TYPE.KE, KE?.method ?? 0)} unacceptable, requesting ${algorithmName(TRANSFORM_TYPE.KE, method)}`,
      { data: Uint8Array.of(method >> 8, method & 0xff) },
    )
  }
  return yield* run({ kind: 'key-exchange-respond', method, peerPublic: KE.data }, (late) =>
    late.shared[Symbol.dispose](),
  )
}
