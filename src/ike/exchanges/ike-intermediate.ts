/**
 * IKE_INTERMEDIATE with additional key exchanges, RFC 9242 and RFC 9370 §2.2.2, between IKE_SA_INIT and IKE_AUTH: one
 * for each additional method that was selected, in the order of their transform types, NONE left out.
 *
 *   HDR, SK {KEi(1)}  -->
 *                      <--  HDR, SK {KEr(1)}
 *   HDR, SK {KEi(2)}  -->            (under the keys of the first one)
 *                      <--  HDR, SK {KEr(2)}
 *
 * Each is protected by the keys that there were before it, and changes all keys when it is over. Nothing in it is
 * authenticated until IKE_AUTH, whose signatures cover all of these messages.
 */
import { algorithmName } from '../../config/algorithms.ts'
import { keyExchange } from '../../crypto/key-exchange/key-exchange.ts'
import { ikeKeys, intAuth, updateSkeyseed } from '../../crypto/keys.ts'
import type { Secret } from '../../crypto/secret.ts'
import { EXCHANGE, NOTIFY, nameOf, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { KEPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { assert, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa, IntermediateAuth } from '../ike-sa.ts'
import { type CoveredMessage, coveredOf, refuseCritical, spiBytes } from '../messages.ts'
import { errorIn } from '../notifies.ts'
import { additionalKeyExchanges } from '../proposals.ts'
import { type Received, request, run, type Script } from '../script.ts'

const requestShape = shape({ KE: 'one' })
const responseShape = shape({ KE: 'optional', N: 'many' })

/**
 * As initiator: all of them, one after the other.
 * @throws PeerRefused, or Refusal when the answer is not the key exchange that was begun
 */
export function* initiate(sa: IkeSa): Script<void> {
  for (const method of intermediatesLeft(sa)) {
    using held = new DisposableStack()
    const pair = yield* run({ kind: 'key-exchange-generate', method }, (late) => late.private[Symbol.dispose]())
    held.use(pair.private)
    const payloads: Payload[] = [{ type: 'KE', method, data: pair.public }]
    const messageId = sa.dialogue.nextId
    const response = yield* request(EXCHANGE.IKE_INTERMEDIATE, payloads)
    const { KE, N } = responseShape(response.payloads)
    const refused = errorIn(N)
    if (refused !== undefined) {
      throw new PeerRefused(refused.notify, `received ${nameOf(NOTIFY, refused.notify)} notify error`)
    }
    const data = dataOf(KE, method, 'responder')
    using shared = yield* run(
      { kind: 'key-exchange-finish', method, private: pair.private, peerPublic: data },
      (late) => late[Symbol.dispose](),
    )
    assert(response.covered, 'an IKE_INTERMEDIATE message is covered by IntAuth')
    const sent = coveredOf(sa, { exchange: EXCHANGE.IKE_INTERMEDIATE, response: false, messageId, payloads })
    sa.intermediate = covering(sa, messageId, sent, response.covered)
    changeKeys(sa, shared)
  }
}

/** As responder: one of them. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  refuseCritical(received.payloads)
  const { KE } = requestShape(received.payloads)
  const [method] = intermediatesLeft(sa)
  assert(method !== undefined && received.covered, 'a key exchange is left to be done')
  const peerPublic = dataOf(KE, method, 'initiator')
  const { messageId, covered } = received
  const ours = yield* run({ kind: 'key-exchange-respond', method, peerPublic }, (late) => late.shared[Symbol.dispose]())
  const payloads: Payload[] = [{ type: 'KE', method, data: ours.public }]
  // The answer is sealed with the keys that the request came under; the new ones are for what follows.
  sa.whenAnswered(() => {
    using shared = ours.shared
    const sent = coveredOf(sa, { exchange: EXCHANGE.IKE_INTERMEDIATE, response: true, messageId, payloads })
    sa.intermediate = covering(sa, messageId, covered, sent)
    changeKeys(sa, shared, messageId)
  })
  return payloads
}

/** The methods of the exchanges that are still to be done before IKE_AUTH. */
export function intermediatesLeft(sa: IkeSa): number[] {
  if (sa.selected === undefined || sa.state !== 'CONNECTING') return []
  // Message 0 is IKE_SA_INIT, and each exchange takes the next ID.
  const done = sa.intermediate === undefined ? 0 : sa.intermediate.authId - 1
  return additionalKeyExchanges(sa.selected).slice(done)
}

/** IntAuth = IntAuth_iN | IntAuth_rN | IKE_AUTH_MID, which both sides sign (RFC 9242 §3.3.2). */
export function intermediateOctets({ i, r, authId }: IntermediateAuth): Uint8Array {
  const mid = new Uint8Array(4)
  new DataView(mid.buffer).setUint32(0, authId)
  return Buffer.concat([i, r, mid])
}

/** Both chains with one more exchange; SK_pi and SK_pr are those of its own generation. */
function covering(sa: IkeSa, messageId: number, request: CoveredMessage, response: CoveredMessage): IntermediateAuth {
  const { suite, keys, intermediate } = sa
  assert(suite && keys, 'IKE_INTERMEDIATE comes after IKE_SA_INIT')
  return {
    i: intAuth(suite.prf, keys.pi, intermediate?.i, request.head, request.plaintext),
    r: intAuth(suite.prf, keys.pr, intermediate?.r, response.head, response.plaintext),
    authId: messageId + 1,
  }
}

/** RFC 9370 §2.2.2: new SK_* from the new secret and the old SK_d. A responder keeps the old ones for `lastId`. */
function changeKeys(sa: IkeSa, shared: Secret, lastId?: number): void {
  const { suite, keys, init } = sa
  assert(suite && keys && init, 'IKE_INTERMEDIATE comes after IKE_SA_INIT')
  using seed = updateSkeyseed(suite.prf, keys.d, shared, init.ni, init.nr)
  sa.keys = ikeKeys(suite, seed, init.ni, init.nr, spiBytes(sa.spiI), spiBytes(sa.spiR))
  sa.replacedKeys?.keys[Symbol.dispose]()
  sa.replacedKeys = lastId === undefined ? undefined : { keys, lastId }
  if (lastId === undefined) keys[Symbol.dispose]()
}

/** @throws Refusal INVALID_SYNTAX, which ends the attempt (RFC 9370 §2.2.2: the method MUST be the negotiated one) */
function dataOf(KE: KEPayload | undefined, method: number, sender: 'initiator' | 'responder'): Uint8Array {
  const bytes = keyExchange(method)?.[sender === 'initiator' ? 'publicBytes' : 'responderBytes']
  if (KE?.method === method && KE.data.length === bytes) return KE.data
  throw new Refusal(
    NOTIFY.INVALID_SYNTAX,
    `the additional key exchange of the ${sender} is not the ${algorithmName(TRANSFORM_TYPE.KE, method)} that was agreed on`,
    { endsSa: true },
  )
}
