/**
 * IKE_AUTH, RFC 7296 §1.2, §2.15:
 *
 *   HDR, SK {IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, [CP,] SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, [CP,] SAr2, TSi, TSr}
 *
 * When only the Child SA is refused the IKE SA stays:
 *
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, N(TS_UNACCEPTABLE)}
 *
 * and an initiator that does not believe the responder says so in an exchange of its own (§2.21.2):
 *
 *   HDR, SK {N(AUTHENTICATION_FAILED)}  -->
 *                      <--  HDR, SK {}
 */
import { KernelError } from '../../kernel/operations.ts'
import { formatIdentity, hasWildcards, type Identity } from '../../pki/identity.ts'
import { EXCHANGE, NOTIFY, nameOf, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { identification, identityOfPayload, ourIdentity, type Proof, prove, verify } from '../auth/auth.ts'
import { acceptPpk, forgetUnused, ppkAnswer, provePpk } from '../auth/ppk.ts'
import { certificateRequest, readCertificateRequests } from '../auth/signature.ts'
import { proposalsOf } from '../child-choice.ts'
import { announceUp, conclude, draft, grant } from '../child-negotiation.ts'
import type { ChildPlan } from '../child-plan.ts'
import { fitting } from '../connections.ts'
import { assert, ExchangeTimeout, LocalFailure, PeerRefused, Refusal } from '../errors.ts'
import { announceEstablished } from '../established.ts'
import type { IkeSa } from '../ike-sa.ts'
import { refuseCritical } from '../messages.ts'
import { announceMobike, learnMobike } from '../mobike.ts'
import { errorIn, notify } from '../notifies.ts'
import { select, transformOf } from '../proposals.ts'
import { authLifetime, receiveAuthLifetime } from '../reauthentication.ts'
import { reserveSpi } from '../reserved-spi.ts'
import { type Received, request, type Script } from '../script.ts'
import { enforceUniqueness, isFirstContact } from '../uniqueness.ts'
import { giveAddresses, requestAddresses, requireAddresses, takeAddresses } from '../virtual-ips.ts'
import { deleteChild } from './delete.ts'
import { selectionRules } from './ike-sa-init.ts'

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
  CP: 'optional',
  SA: 'optional',
  TSi: 'optional',
  TSr: 'optional',
  N: 'many',
})

/**
 * As initiator. Without a plan no child is asked for (RFC 6023).
 * @throws PeerRefused when the peer refuses us; Refusal when we refuse the peer; LocalFailure without key or secret
 */
export function* initiate(sa: IkeSa, plan: ChildPlan | undefined): Script<void> {
  const { core, connection } = sa
  assert(connection && sa.init, 'IKE_AUTH comes after IKE_SA_INIT')
  const remoteId = connection.remote[0]?.id
  const wanted = remoteId !== undefined && !('regex' in remoteId) && !hasWildcards(remoteId) ? remoteId : undefined
  sa.localId = ourIdentity(sa, connection.local[0])

  using spi = plan && (yield* reserveSpi(sa, protocolOf(plan)))
  const certreq = connection.sendCertreq ? certificateRequest(sa, connection.remote) : undefined
  using ppk = yield* provePpk(sa, () => prove(sa, wanted))
  const { proof } = ppk
  const first = isFirstContact(sa, wanted) ? [notify(NOTIFY.INITIAL_CONTACT)] : []
  const offered = plan && spi && draft(sa, plan, spi, true)
  const mobike = yield* announceMobike(sa)
  const response = yield* request(EXCHANGE.IKE_AUTH, [
    { type: 'IDi', ...identification(sa.localId) },
    ...proof.certificates,
    ...first,
    ...(certreq ? [certreq] : []),
    ...(wanted ? [{ type: 'IDr' as const, ...identification(wanted) }] : []),
    proof.auth,
    ...ppk.notifies,
    ...requestAddresses(sa),
    ...(offered ? [...offered.proposal, ...offered.selectors] : []),
    ...mobike,
  ])
  const answer = responseShape(response.payloads)
  if (answer.AUTH === undefined || answer.IDr === undefined) {
    const refused = errorIn(answer.N)
    const name = refused === undefined ? 'no AUTH payload' : `${nameOf(NOTIFY, refused.notify)} notify error`
    if (refused?.notify === NOTIFY.AUTHENTICATION_FAILED) core.alert('local-auth-failed', sa)
    throw new PeerRefused(refused?.notify ?? NOTIFY.INVALID_SYNTAX, `received ${name}`)
  }

  const peerId = identityOfPayload(answer.IDr)
  try {
    ppk.settle(answer.N)
    yield* verify(sa, { id: peerId, certificates: answer.CERT, auth: answer.AUTH })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    core.log('IKE', 1, error.message, sa)
    core.alert('peer-auth-failed', sa)
    yield* tellPeer(NOTIFY.AUTHENTICATION_FAILED)
    throw error
  }
  sa.remoteId = peerId
  learnMobike(sa, answer.N, response.path, mobike)
  yield* takeAddresses(sa, answer.CP)
  announceEstablished(sa)
  receiveAuthLifetime(sa, answer.N)
  if (plan === undefined || spi === undefined || offered === undefined) return

  const { ni, nr } = sa.init
  try {
    if (answer.SA !== undefined) requireAddresses(sa)
    const child = yield* conclude(sa, offered, spi, answer, { ni, nr }, true)
    announceUp(sa, child)
    plan.up(child)
  } catch (error) {
    if (error instanceof ExchangeTimeout) throw error
    const message = error instanceof Error ? error.message : String(error)
    if (!(error instanceof KernelError)) core.log('IKE', 1, message, sa)
    core.log('IKE', 1, 'failed to establish CHILD_SA, keeping IKE_SA', sa)
    core.alert('keep-on-child-sa-failure', sa)
    plan.failed(message, error instanceof Error ? error : undefined)
    // What the peer has installed must go again.
    const theirs = answer.SA?.proposals[0]
    if (theirs?.spi.length === 4) yield* deleteChild(theirs.protocol, spi.spi)
  }
}

/** As responder. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  const { core } = sa
  assert(sa.init && sa.selected, 'IKE_AUTH comes after IKE_SA_INIT')
  if (sa.state !== 'CONNECTING') throw new Refusal(NOTIFY.INVALID_SYNTAX, 'IKE_AUTH on an established IKE_SA')
  refuseCritical(received.payloads)
  const { IDi, IDr, CERT, CERTREQ, AUTH, CP, SA, TSi, TSr, N } = requestShape(received.payloads)
  if (AUTH === undefined) {
    throw failed(sa, 'the peer wants EAP, which no connection offers: use auth = psk or pubkey on both sides')
  }
  readCertificateRequests(sa, CERTREQ)
  const peerId = identityOfPayload(IDi)
  const idr = IDr && identityOfPayload(IDr)
  core.log(
    'CFG',
    1,
    `looking for peer configs matching ${sa.local.address}[${idr ? formatIdentity(idr) : '%any'}]...${sa.remote.address}[${formatIdentity(peerId)}]`,
    sa,
  )
  const proof = yield* authenticate(sa, peerId, idr, { certificates: CERT, auth: AUTH }, N)
  if (SA === undefined && sa.connection?.childless === 'never') {
    const message = 'the peer wants no CHILD_SA in IKE_AUTH, which childless = never does not allow'
    throw new Refusal(NOTIFY.INVALID_SYNTAX, message, { endsSa: true })
  }
  const { localId } = sa
  assert(localId, 'a connection is selected')
  learnMobike(sa, N, received.path)
  enforceUniqueness(sa, N)
  const given = giveAddresses(sa, CP)
  const identity: Payload = { type: 'IDr', ...identification(localId) }
  const payloads: Payload[] = [identity, ...proof.certificates, proof.auth, ...ppkAnswer(sa), ...given.reply]
  announceEstablished(sa)
  payloads.push(...authLifetime(sa))
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
    core.log('IKE', 1, 'failed to establish CHILD_SA, keeping IKE_SA', sa)
    core.alert('keep-on-child-sa-failure', sa)
    return [...payloads, notify(type), ...mobike]
  }
}

/**
 * Selects a connection by the identities and verifies the peer against it; the next one that fits is tried when the
 * peer authenticated in a way that the first does not want.
 * @throws Refusal AUTHENTICATION_FAILED
 */
function* authenticate(
  sa: IkeSa,
  peerId: Identity,
  idr: Identity | undefined,
  peer: Proof,
  notifies: readonly NPayload[],
): Script<Proof> {
  const { core, keys } = sa
  assert(keys, 'IKE_AUTH comes after IKE_SA_INIT')
  using unused = new DisposableStack()
  unused.defer(() => forgetUnused(sa, keys))
  const { rdnMatching } = core.settings
  const possible = fitting(sa.candidates, idr, peerId, rdnMatching).filter((connection) =>
    couldHaveSelected(sa, connection.proposals),
  )
  const [first, ...others] = possible
  if (first === undefined) {
    throw failed(
      sa,
      `no matching peer config found for '${formatIdentity(peerId)}' (connections with these addresses: ${sa.candidates.map(({ name }) => name).join(', ') || 'none'})`,
    )
  }
  sa.connection = first
  core.log('CFG', 1, `selected peer config '${first.name}'`, sa)
  for (;;) {
    const { connection } = sa
    // What the initiator asks for as IDr is only a wish; we are who the connection says (RFC 7296 §2.15).
    sa.localId =
      connection?.local[0]?.id === undefined &&
      idr !== undefined &&
      !hasWildcards(idr) &&
      connection?.local[0]?.certificates.length === 0
        ? idr
        : ourIdentity(sa, connection?.local[0])
    try {
      const auth = acceptPpk(sa, keys, notifies, peer.auth)
      yield* verify(sa, { id: peerId, certificates: peer.certificates, auth })
      break
    } catch (error) {
      const next = others.shift()
      if (!(error instanceof Refusal) || next === undefined) {
        if (error instanceof Refusal) core.alert('peer-auth-failed', sa)
        throw error
      }
      core.log('IKE', 1, error.message, sa)
      core.log('CFG', 1, `switching to peer config '${next.name}'`, sa)
      sa.connection = next
    }
  }
  sa.remoteId = peerId
  try {
    return yield* prove(sa, peerId)
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

function failed(sa: IkeSa, message: string): Refusal {
  sa.core.alert('peer-auth-failed', sa)
  return new Refusal(NOTIFY.AUTHENTICATION_FAILED, message, { endsSa: true })
}

/** An INFORMATIONAL with one error notify; whether it is answered does not matter any more. */
function* tellPeer(type: number): Script<void> {
  try {
    yield* request(EXCHANGE.INFORMATIONAL, [notify(type)])
  } catch (error) {
    if (!(error instanceof ExchangeTimeout)) throw error
  }
}

function protocolOf(plan: ChildPlan): 'ESP' | 'AH' {
  return proposalsOf(plan.config)[0]?.protocol === 'AH' ? 'AH' : 'ESP'
}
