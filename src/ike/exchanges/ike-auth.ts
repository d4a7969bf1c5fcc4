/**
 * IKE_AUTH, RFC 7296 §1.2, §2.15:
 *
 *   HDR, SK {IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, [CP,] SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, [CP,] SAr2, TSi, TSr}
 *
 * Several rounds of it are in auth/rounds.ts. When only the Child SA is refused the IKE SA stays:
 *
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, N(TS_UNACCEPTABLE)}
 *
 * and an initiator that does not believe the responder says so in an exchange of its own (§2.21.2):
 *
 *   HDR, SK {N(AUTHENTICATION_FAILED)}  -->
 *                      <--  HDR, SK {}
 */
import { KernelError } from '../../kernel/operations.ts'
import { formatIdentity } from '../../pki/identity.ts'
import { EXCHANGE, NOTIFY, nameOf } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { formatGateway, type Gateway } from '../../wire/redirect.ts'
import { shape } from '../../wire/shape.ts'
import { identification, identityOfPayload, ourIdentity, prove } from '../auth/auth.ts'
import { acceptEap, authenticateByEap, requireNoPpk, usesEap } from '../auth/eap.ts'
import { announceLookup, lookUpCertificates } from '../auth/hash-and-url.ts'
import { ocspRequest } from '../auth/ocsp.ts'
import { provePpk } from '../auth/ppk.ts'
import {
  announceMultipleAuth,
  anotherFollows,
  type Choice,
  hasRound,
  showRound,
  soughtIdentity,
  verifyRound,
} from '../auth/rounds.ts'
import { byProof, possibleConnections, selectForEap } from '../auth/selection.ts'
import { certificateRequest, readCertificateRequests } from '../auth/signature.ts'
import { announceUp, conclude, draft, grant, reserve } from '../child-negotiation.ts'
import { askForPairs, askForRest } from '../child-parts.ts'
import type { ChildPlan } from '../child-plan.ts'
import { assert, ExchangeTimeout, PeerRefused, Refusal } from '../errors.ts'
import { announceEstablished } from '../established.ts'
import type { IkeSa } from '../ike-sa.ts'
import { closeSa } from '../initiation.ts'
import { refuseCritical } from '../messages.ts'
import { announceMobike, learnMobike } from '../mobike.ts'
import { errorIn, has, notify } from '../notifies.ts'
import { authLifetime, receiveAuthLifetime } from '../reauthentication.ts'
import { awaitLeaving, redirectAtAuth, redirectIn, redirectNotify } from '../redirect.ts'
import { type Received, request, type Script } from '../script.ts'
import { enforceUniqueness, isFirstContact } from '../uniqueness.ts'
import { giveAddresses, requestAddresses, requireAddresses, takeAddresses } from '../virtual-ips.ts'
import { announceWindow, openWindows } from '../window-size.ts'
import { deleteChild } from './delete.ts'
import { announceSync, learnSync } from './message-id-sync.ts'

const requestShape = shape({
  IDi: 'one',
  CERT: 'many',
  CERTREQ: 'many',
  IDr: 'optional',
  AUTH: 'optional',
  CP: 'optional',
  SA: 'optional',
  TSi: 'optional',
  TSr: 'optional',
  N: 'many',
})
const responseShape = shape({
  IDr: 'optional',
  CERT: 'many',
  AUTH: 'optional',
  EAP: 'optional',
  CP: 'optional',
  SA: 'optional',
  TSi: 'optional',
  TSr: 'optional',
  N: 'many',
})

/**
 * As initiator. Without a plan no child is asked for (RFC 6023). When the gateway sends us to another one, comes back
 * with that, and the IKE SA is not established.
 * @throws PeerRefused when the peer refuses us; Refusal when we refuse the peer; LocalFailure without key or secret
 */
export function* initiate(sa: IkeSa, plan: ChildPlan | undefined): Script<Gateway | undefined> {
  const { core, connection } = sa
  assert(connection && sa.init, 'IKE_AUTH comes after IKE_SA_INIT')
  const { local, remote } = connection
  const wanted = soughtIdentity(remote[0])
  sa.localId = ourIdentity(sa, local[0])
  sa.claimed = { remote: wanted }

  using spi = plan && (yield* reserve(sa, plan.config))
  const certreq = connection.sendCertreq ? certificateRequest(sa, connection.remote) : undefined
  const ocsp = certreq && ocspRequest([connection])
  const byEap = usesEap(local[0])
  if (byEap) requireNoPpk(sa)
  using ppk = byEap ? undefined : yield* provePpk(sa, () => prove(sa, local[0], wanted))
  const first = isFirstContact(sa) ? [notify(NOTIFY.INITIAL_CONTACT)] : []
  const offered = plan && spi && draft(sa, plan, spi, true)
  const mobike = yield* announceMobike(sa)
  let response = yield* request(EXCHANGE.IKE_AUTH, [
    { type: 'IDi', ...identification(sa.localId) },
    ...(ppk?.proof.certificates ?? []),
    ...first,
    ...(certreq ? [certreq, ...(ocsp ? [ocsp] : []), ...announceLookup(sa)] : []),
    ...(wanted ? [{ type: 'IDr' as const, ...identification(wanted) }] : []),
    ...(ppk ? [ppk.proof.auth, ...ppk.notifies] : []),
    ...requestAddresses(sa),
    ...(offered ? [...offered.proposal, ...offered.selectors] : []),
    ...mobike,
    ...announceWindow(sa),
    ...announceSync(sa),
    ...(sa.peer.multipleAuth ? announceMultipleAuth(sa) : []),
    ...anotherFollows(sa, 0),
  ])
  let answer = responseShape(response.payloads)
  yield* believe(sa, 0, answer, ppk?.settle)
  if (byEap) {
    response = yield* authenticateByEap(sa, answer.EAP?.data)
    answer = responseShape(response.payloads)
  }
  // RFC 4739: the answer to everything but the authentication is in the last response.
  for (let round = 1; hasRound(local, round) || hasRound(remote, round); round++) {
    response = yield* request(EXCHANGE.IKE_AUTH, yield* showRound(sa, round))
    answer = responseShape(response.payloads)
    if (hasRound(remote, round)) yield* believe(sa, round, answer)
    else refusedLater(sa, answer, !hasRound(local, round + 1))
  }
  const elsewhere = redirectIn(sa, answer.N)
  if (elsewhere !== undefined) return elsewhere
  learnMobike(sa, answer.N, response.path, mobike)
  yield* takeAddresses(sa, answer.CP)
  announceEstablished(sa)
  receiveAuthLifetime(sa, answer.N)
  openWindows(sa, answer.N)
  learnSync(sa, answer.N)
  if (plan === undefined || spi === undefined || offered === undefined) return undefined

  const { ni, nr } = sa.init
  try {
    if (answer.SA !== undefined) requireAddresses(sa)
    const child = yield* conclude(sa, offered, spi, answer, { ni, nr }, true)
    announceUp(sa, child)
    plan.up(child)
    askForRest(sa, offered, child, answer.N)
  } catch (error) {
    if (error instanceof ExchangeTimeout) throw error
    const message = error instanceof Error ? error.message : String(error)
    if (!(error instanceof KernelError)) core.log('IKE', 1, message, sa)
    if (askForPairs(sa, offered, error)) return
    keepOrClose(sa)
    plan.failed(message, error instanceof Error ? error : undefined)
    if (sa.closing) return undefined
    // What the peer has installed must go again.
    const theirs = answer.SA?.proposals[0]
    if (theirs?.spi.length === 4) yield* deleteChild(theirs.protocol, spi.spi)
  }
  return undefined
}

/**
 * Believes one round of the responder, or tells it that we do not.
 * @param settle settles what the proof is over
 */
function* believe(
  sa: IkeSa,
  round: number,
  { IDr, CERT, AUTH, N }: ReturnType<typeof responseShape>,
  settle?: (notifies: readonly NPayload[]) => void,
): Script<void> {
  const { core } = sa
  if (AUTH === undefined || IDr === undefined) throw refusedByPeer(sa, errorIn(N))
  const id = identityOfPayload(IDr)
  try {
    settle?.(N)
    const certificates = yield* lookUpCertificates(sa, CERT, AUTH)
    const shown = { id, reserved: IDr.reserved, certificates, auth: AUTH }
    yield* verifyRound(sa, round, shown, has(N, NOTIFY.ANOTHER_AUTH_FOLLOWS))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    core.log('IKE', 1, error.message, sa)
    core.alert('peer-auth-failed', sa)
    yield* tellPeer(NOTIFY.AUTHENTICATION_FAILED)
    throw error
  }
  sa.remoteId = id
}

/**
 * The responder has shown all its rounds: an answer without AUTH says whether it believes ours.
 * @throws PeerRefused unless what is refused is just the child of the last answer
 */
function refusedLater(sa: IkeSa, { N }: ReturnType<typeof responseShape>, last: boolean): void {
  const refused = errorIn(N)
  if (refused !== undefined && !(last && aboutChild.includes(refused.notify))) throw refusedByPeer(sa, refused)
}

/** RFC 7296 §1.2: errors of IKE_AUTH after which the IKE SA is there all the same. */
const aboutChild: readonly number[] = [
  NOTIFY.NO_PROPOSAL_CHOSEN,
  NOTIFY.TS_UNACCEPTABLE,
  NOTIFY.SINGLE_PAIR_REQUIRED,
  NOTIFY.INTERNAL_ADDRESS_FAILURE,
  NOTIFY.FAILED_CP_REQUIRED,
]

function refusedByPeer(sa: IkeSa, refused: NPayload | undefined): PeerRefused {
  const name = refused === undefined ? 'no AUTH payload' : `${nameOf(NOTIFY, refused.notify)} notify error`
  if (refused?.notify === NOTIFY.AUTHENTICATION_FAILED) sa.core.alert('local-auth-failed', sa)
  return new PeerRefused(refused?.notify ?? NOTIFY.INVALID_SYNTAX, `received ${name}`)
}

/** As responder. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  const { core } = sa
  assert(sa.init && sa.selected, 'IKE_AUTH comes after IKE_SA_INIT')
  if (sa.state !== 'CONNECTING') throw new Refusal(NOTIFY.INVALID_SYNTAX, 'IKE_AUTH on an established IKE_SA')
  refuseCritical(received.payloads)
  const { IDi, IDr, CERT, CERTREQ, AUTH, CP, SA, TSi, TSr, N } = requestShape(received.payloads)
  readCertificateRequests(sa, CERTREQ)
  const peerId = identityOfPayload(IDi)
  const idr = IDr && identityOfPayload(IDr)
  sa.claimed = { local: idr, remote: peerId }
  core.log(
    'CFG',
    1,
    `looking for peer configs matching ${sa.local.address}[${idr ? formatIdentity(idr) : '%any'}]...${sa.remote.address}[${formatIdentity(peerId)}]`,
    sa,
  )
  sa.peer = {
    ...sa.peer,
    multipleAuth: has(N, NOTIFY.MULTIPLE_AUTH_SUPPORTED),
    certificateLookup: has(N, NOTIFY.HTTP_CERT_LOOKUP_SUPPORTED),
  }
  const another = has(N, NOTIFY.ANOTHER_AUTH_FOLLOWS)
  const choice: Choice = { others: possibleConnections(sa, peerId, idr), rounds: [] }
  const claimed = { id: peerId, reserved: IDi.reserved }
  const { path, payloads: shown } =
    AUTH === undefined
      ? yield* acceptEap(sa, claimed, yield* selectForEap(sa, choice, idr, peerId))
      : yield* byProof(sa, choice, idr, { ...claimed, certificates: CERT, auth: AUTH }, another, received, N)
  if (SA === undefined && sa.connection?.childless === 'never') {
    const message = 'the peer wants no CHILD_SA in IKE_AUTH, which childless = never does not allow'
    throw new Refusal(NOTIFY.INVALID_SYNTAX, message, { endsSa: true })
  }
  const elsewhere = redirectAtAuth(sa)
  if (elsewhere !== undefined) {
    // RFC 5685 §6: both are authenticated, and there is no child; the client deletes the IKE SA.
    core.log('IKE', 1, `redirecting client to ${formatGateway(elsewhere)}`, sa)
    if (has(N, NOTIFY.INITIAL_CONTACT)) enforceUniqueness(sa, N)
    announceEstablished(sa)
    awaitLeaving(sa)
    return [...shown, redirectNotify(elsewhere)]
  }
  learnMobike(sa, N, path)
  enforceUniqueness(sa, N)
  const given = giveAddresses(sa, CP)
  const payloads: Payload[] = [...shown, ...given.reply]
  announceEstablished(sa)
  payloads.push(...authLifetime(sa), ...announceWindow(sa), ...announceSync(sa, N))
  learnSync(sa, N)
  sa.whenAnswered(() => openWindows(sa, N))
  const mobike = yield* announceMobike(sa, N)

  if (SA === undefined || TSi === undefined || TSr === undefined) {
    return [...payloads, ...(given.failure ? [notify(given.failure.notify)] : []), ...mobike]
  }
  const { ni, nr } = sa.init
  try {
    if (given.failure !== undefined) throw given.failure
    if (sa.connection?.childless === 'force') {
      throw new Refusal(NOTIFY.NO_PROPOSAL_CHOSEN, 'childless = force: no CHILD_SA in IKE_AUTH')
    }
    const { child, proposal, selectors } = yield* grant(sa, { SA, TSi, TSr, N }, { ni, nr }, true)
    sa.whenAnswered(() => announceUp(sa, child))
    return [...payloads, ...proposal, ...selectors, ...mobike]
  } catch (error) {
    const type = error instanceof Refusal ? error.notify : NOTIFY.NO_PROPOSAL_CHOSEN
    // What the kernel refused to install has been logged where it happened.
    const logged = error instanceof KernelError && error.operation !== 'allocate-spi'
    if (!logged) core.log('IKE', 1, error instanceof Error ? error.message : String(error), sa)
    keepOrClose(sa)
    return [...payloads, notify(type), ...mobike]
  }
}

/** The child of IKE_AUTH could not be made. The answer that says so is to arrive before the DELETE of the IKE SA. */
function keepOrClose(sa: IkeSa): void {
  const { core } = sa
  if (core.settings.closeIkeOnChildFailure) {
    core.log('IKE', 1, 'closing IKE_SA due CHILD_SA setup failure', sa)
    if (sa.role === 'initiator') closeSa(sa)
    else sa.after(answerFirstMs, () => closeSa(sa))
    return
  }
  core.log('IKE', 1, 'failed to establish CHILD_SA, keeping IKE_SA', sa)
  core.alert('keep-on-child-sa-failure', sa)
}

const answerFirstMs = 100

/** An INFORMATIONAL with one error notify; whether it is answered does not matter any more. */
function* tellPeer(type: number): Script<void> {
  try {
    yield* request(EXCHANGE.INFORMATIONAL, [notify(type)])
  } catch (error) {
    if (!(error instanceof ExchangeTimeout)) throw error
  }
}
