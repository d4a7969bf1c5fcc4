/**
 * Authentication of the initiator by EAP, RFC 7296 §2.16: it sends no AUTH at first, the responder proves itself and then asks as
 * an EAP server. At the end both prove that they have had this conversation, with the key that the method has made (the MSK),
 * or with SK_pi and SK_pr where it makes none.
 *
 *   HDR, SK {IDi, [CERTREQ,] [IDr,] [CP,] SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, EAP}
 *   HDR, SK {EAP}  -->
 *                      <--  HDR, SK {EAP}          again and again, the last one a success
 *   HDR, SK {AUTH}  -->
 *                      <--  HDR, SK {AUTH, [CP,] SAr2, TSi, TSr}
 */
import { timingSafeEqual } from 'node:crypto'
import type { AuthRound } from '../../config/connection.ts'
import { pskAuth } from '../../crypto/keys.ts'
import { Secret } from '../../crypto/secret.ts'
import { EapFailure, type Established, type Password } from '../../eap/method.ts'
import { methodsFor } from '../../eap/methods.ts'
import { answerEap } from '../../eap/peer.ts'
import { type Served, serveEap } from '../../eap/server.ts'
import { formatIdentity, hasWildcards, ID, type Identity, matchIdentity, parseIdentity } from '../../pki/identity.ts'
import { AUTH_METHOD, EXCHANGE, NOTIFY } from '../../wire/numbers.ts'
import type { AUTHPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { assert, LocalFailure, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { refuseCritical } from '../messages.ts'
import { errorIn } from '../notifies.ts'
import { type Received, reply, request, type Script } from '../script.ts'
import { authenticationFailed, checkIdentity, octetsOf } from './auth.ts'

/** Whether we are to authenticate ourselves by EAP. */
export function usesEap(round: AuthRound | undefined): boolean {
  return round?.class === 'eap'
}

const requestShape = shape({ EAP: 'one', N: 'many' })
const proofShape = shape({ AUTH: 'one', N: 'many' })
const responseShape = shape({ EAP: 'optional', N: 'many' })

/**
 * As initiator, when the responder is believed and has sent its first EAP request: answers, and comes back with the response
 * to our AUTH. `first` is undefined when the responder wants no EAP.
 * @throws PeerRefused, Refusal AUTHENTICATION_FAILED, or LocalFailure without a secret
 */
export function* authenticateByEap(sa: IkeSa, first: Uint8Array | undefined): Script<Received> {
  const { core, connection, localId, remoteId } = sa
  const round = connection?.local[0]
  assert(localId && remoteId, 'the responder is known')
  if (first === undefined) throw new PeerRefused(NOTIFY.AUTHENTICATION_FAILED, 'the responder does not offer EAP')
  const user = round?.eapId ?? localId
  const conversation = answerEap(
    {
      random: core.random,
      user: nameOf(user),
      password: passwordOf(sa, user),
      methods: methodsFor(round?.eapMethod),
      log: (line) => core.log('IKE', 1, line, sa),
    },
    first,
  )
  const established = yield* converse(conversation)
  using msk = established.msk
  const auth = eapAuth(sa, 'initiator', localId, msk)
  core.log('IKE', 1, `authentication of '${formatIdentity(localId)}' (myself) with EAP`, sa)
  const response = yield* request(EXCHANGE.IKE_AUTH, [auth])
  const { AUTH } = eapAnswer(response.payloads)
  if (AUTH === undefined) throw refused(response.payloads)
  verifyEapAuth(sa, 'responder', remoteId, AUTH, msk)
  return response
}

const eapAnswer = shape({
  AUTH: 'optional',
  CP: 'optional',
  SA: 'optional',
  TSi: 'optional',
  TSr: 'optional',
  N: 'many',
})

function* converse(conversation: Generator<Uint8Array, Established, Uint8Array>): Script<Established> {
  try {
    let step = conversation.next()
    while (step.done !== true) {
      const { payloads } = yield* request(EXCHANGE.IKE_AUTH, [{ type: 'EAP', data: step.value }])
      const { EAP } = responseShape(payloads)
      if (EAP === undefined) throw refused(payloads)
      step = conversation.next(EAP.data)
    }
    return step.value
  } catch (error) {
    if (error instanceof EapFailure) throw new PeerRefused(NOTIFY.AUTHENTICATION_FAILED, error.message)
    throw error
  }
}

function refused(payloads: readonly Payload[]): PeerRefused {
  const notifies = payloads.filter((payload) => payload.type === 'N')
  const error = errorIn(notifies)
  return new PeerRefused(
    error?.notify ?? NOTIFY.INVALID_SYNTAX,
    `received ${error === undefined ? 'neither EAP nor AUTH' : `notify error ${error.notify}`} instead of EAP`,
  )
}

/**
 * As responder, with a connection selected and `ours` to send with the first EAP request: authenticates the peer, and comes
 * back with its request that had AUTH, and our AUTH for the answer.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function* acceptEap(
  sa: IkeSa,
  peer: { readonly id: Identity; readonly reserved: Uint8Array | undefined },
  ours: readonly Payload[],
): Script<{ readonly path: Received['path']; readonly payloads: readonly Payload[] }> {
  const { core, connection, localId } = sa
  const round = connection?.remote[0]
  assert(connection && localId, 'a connection is selected')
  if (connection.ppkRequired) throw authenticationFailed('PPK required, which is not available with EAP')
  checkIdentity(sa, round, peer.id)
  sa.remoteId = peer.id
  const served = yield* serve(sa, round, peer.id, ours)
  if (!served.ok) {
    core.log('IKE', 1, served.reason, sa)
    core.alert('peer-auth-failed', sa)
    throw new Refusal(NOTIFY.AUTHENTICATION_FAILED, served.reason, {
      endsSa: true,
      instead: [{ type: 'EAP', data: served.packet }],
    })
  }
  using msk = served.msk
  const user = served.user === undefined ? peer.id : parseIdentity(served.user)
  if (round?.eapId !== undefined && matchIdentity(user, round.eapId) === 0) {
    throw authenticationFailed(
      `constraint check failed: EAP identity '${formatIdentity(round.eapId)}' required, not matched by '${formatIdentity(user)}'`,
    )
  }
  const last = yield* reply([{ type: 'EAP', data: served.packet }])
  refuseCritical(last.payloads)
  const { AUTH } = proofShape(last.payloads)
  verifyEapAuth(sa, 'initiator', peer.id, AUTH, msk, peer.reserved)
  sa.remoteEapId = user
  core.log('IKE', 1, `authentication of '${formatIdentity(localId)}' (myself) with EAP`, sa)
  return { path: last.path, payloads: [eapAuth(sa, 'responder', localId, msk)] }
}

function* serve(sa: IkeSa, round: AuthRound | undefined, id: Identity, ours: readonly Payload[]): Script<Served> {
  const { core, localId } = sa
  const configured = round?.eapId
  const ask = configured !== undefined && (configured.type === ID.ANY || hasWildcards(configured))
  const conversation = serveEap({
    random: core.random,
    name: localId === undefined ? '' : nameOf(localId),
    askIdentity: ask,
    user: nameOf(configured === undefined || ask ? id : configured),
    methods: methodsFor(round?.eapMethod),
    passwordOf: (user) => passwordOf(sa, parseIdentity(user)),
    log: (line) => core.log('IKE', 1, line, sa),
  })
  let payloads = ours
  let step = conversation.next()
  while (step.done !== true) {
    const received: Received = yield* reply([...payloads, { type: 'EAP', data: step.value }])
    refuseCritical(received.payloads)
    payloads = []
    step = conversation.next(requestShape(received.payloads).EAP.data)
  }
  return step.value
}

/** AUTH with the MSK, or with SK_p of who sends it where there is none. */
function eapAuth(
  sa: IkeSa,
  who: 'initiator' | 'responder',
  id: Identity,
  msk: Secret | undefined,
  reserved?: Uint8Array,
): AUTHPayload {
  const { suite, keys } = sa
  assert(suite && keys, 'authentication comes after IKE_SA_INIT')
  // A copy, because a Secret wipes its bytes and the keys stay.
  using key = Secret.of(Uint8Array.from((msk ?? (who === 'initiator' ? keys.pi : keys.pr)).bytes()))
  const data = pskAuth(suite.prf, key, octetsOf(sa, who, id, reserved))
  return { type: 'AUTH', method: AUTH_METHOD.SHARED_KEY_MESSAGE_INTEGRITY_CODE, data }
}

/** @throws Refusal AUTHENTICATION_FAILED */
function verifyEapAuth(
  sa: IkeSa,
  who: 'initiator' | 'responder',
  id: Identity,
  { method, data }: AUTHPayload,
  msk: Secret | undefined,
  reserved?: Uint8Array,
): void {
  const expected = eapAuth(sa, who, id, msk, reserved)
  const same =
    method === expected.method && data.length === expected.data.length && timingSafeEqual(data, expected.data)
  if (!same) throw authenticationFailed(`verification of AUTH payload with${msk ? '' : 'out'} EAP MSK failed`)
  sa.core.log('IKE', 1, `authentication of '${formatIdentity(id)}' with EAP successful`, sa)
}

/** The password of an EAP identity: the secret that fits it best, `ntlm` being the hash of one. */
function passwordOf({ core }: IkeSa, user: Identity): Password | undefined {
  const fitting = core.credentials.secrets.flatMap((secret) => {
    if (secret.type !== 'eap' && secret.type !== 'ntlm') return []
    const fit = Math.max(0, ...secret.owners.map((owner) => matchIdentity(user, owner)))
    if (fit === 0 && secret.owners.length > 0) return []
    return [{ fit, bytes: secret.data, hashed: secret.type === 'ntlm' }]
  })
  return fitting.sort((a, b) => b.fit - a.fit)[0]
}

/** An identity as EAP has it: the text alone, or what stands for it. */
function nameOf({ type, data }: Identity): string {
  const plain = type === ID.FQDN || type === ID.RFC822_ADDR || type === ID.KEY_ID
  return plain ? Buffer.from(data).toString('utf8') : formatIdentity({ type, data })
}

/** @throws LocalFailure when the connection demands what EAP cannot have */
export function requireNoPpk({ connection }: IkeSa): void {
  if (connection?.ppkRequired) throw new LocalFailure('PPK required, which is not available with EAP')
}
