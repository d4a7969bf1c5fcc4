/**
 * IKE_SA_INIT, RFC 7296 §1.2, §2.6, §2.7:
 *
 *   HDR, SAi1, KEi, Ni  -->
 *                      <--  HDR, SAr1, KEr, Nr, [CERTREQ]
 *
 * with a cookie when the responder is under load, and again with another group when the first was the wrong one:
 *
 *   HDR(A,0), SAi1, KEi, Ni  -->
 *                      <--  HDR(A,0), N(COOKIE)
 *   HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
 *                      <--  HDR(A,0), N(INVALID_KE_PAYLOAD)
 *   HDR(A,0), N(COOKIE), SAi1, KEi', Ni  -->
 *                      <--  HDR(A,B), SAr1, KEr, Nr
 */

import { algorithmName } from '../../config/algorithms.ts'
import type { ConfiguredProposal, Connection } from '../../config/connection.ts'
import { formatProposal } from '../../config/proposals.ts'
import { keyExchange } from '../../crypto/key-exchange/key-exchange.ts'
import { ikeKeys, skeyseed } from '../../crypto/keys.ts'
import type { Secret } from '../../crypto/secret.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { DecodeError } from '../../wire/errors.ts'
import type { Header } from '../../wire/header.ts'
import { decodeMessage, encodeMessage, type Message } from '../../wire/message.ts'
import { describeMessage } from '../../wire/mnemonic.ts'
import { EXCHANGE, NOTIFY, nameOf, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { NPayload, Payload, VPayload } from '../../wire/payloads/index.ts'
import { formatGateway, type Gateway } from '../../wire/redirect.ts'
import { ShapeError, shape } from '../../wire/shape.ts'
import { announceLookup } from '../auth/hash-and-url.ts'
import { ocspRequest } from '../auth/ocsp.ts'
import { hasSeveralRounds } from '../auth/rounds.ts'
import { certificateRequest, readCertificateRequests } from '../auth/signature.ts'
import { capabilities, learn } from '../capabilities.ts'
import type { Core } from '../core.ts'
import { assert, PeerRefused, Refusal } from '../errors.ts'
import { IkeSa } from '../ike-sa.ts'
import { refuseCritical, spiBytes } from '../messages.ts'
import { errorIn, find, has, notify } from '../notifies.ts'
import {
  accepted,
  additionalKeyExchanges,
  proposalOf,
  type Selected,
  type SelectionRules,
  select,
  suiteOf,
  transformOf,
} from '../proposals.ts'
import { redirectAtInit, redirectInInit, redirectNotify } from '../redirect.ts'
import { type Received, request, run, type Script, sleep } from '../script.ts'

const requestShape = shape({ SA: 'one', KE: 'one', Nonce: 'one', N: 'many', CERTREQ: 'many' })
const responseShape = shape({ SA: 'one', KE: 'one', Nonce: 'one', N: 'many', CERTREQ: 'many' })
const refusalShape = shape({ N: 'many' })
const lackingShape = shape({ SA: 'optional', N: 'many' })

/** How long to wait for something better after an unauthenticated refusal. */
const graceMs = 500
/** How often a peer may ask for another group, or for another cookie, before we stop believing it. */
const mostGroups = 8
const mostCookies = 20
/** From the third cookie on we take our time: somebody who forges them must not make us send at their pace. */
const hastyCookies = 2
const cookiePauseMs = 500

/**
 * As initiator: negotiates the algorithms, exchanges keys, learns of NATs, moves to port 4500. When the gateway sends us
 * to another one, comes back with that and has done nothing.
 */
export function* initiate(sa: IkeSa): Script<Gateway | undefined> {
  const { core, connection } = sa
  assert(connection, 'an initiator has a connection')
  const { proposals } = connection
  const rules = selectionRules(core)
  const groups = keyExchangesOf(proposals)
  let [method] = groups
  assert(method !== undefined, 'an IKE proposal has a key exchange')
  const ni = core.random(32)
  const proposalPayload: Payload = { type: 'SA', proposals: proposals.map((p, i) => proposalOf(p, i + 1, noSpi)) }
  using held = new DisposableStack()
  let pair = yield* run({ kind: 'key-exchange-generate', method })
  held.defer(() => pair.private[Symbol.dispose]())
  let cookie: NPayload | undefined
  let [cookies, groupChanges] = [0, 0]

  for (;;) {
    const wanted = method
    const [sentCookie, changes] = [cookie?.data, groupChanges]
    const response = yield* request(
      EXCHANGE.IKE_SA_INIT,
      [
        ...(cookie ? [cookie] : []),
        proposalPayload,
        { type: 'KE', method, data: pair.public },
        { type: 'Nonce', nonce: ni },
        ...capabilities(sa, connection),
        ...vendorIds(core),
      ],
      (received) => {
        if (redirectInInit(sa, refusalShape(received.payloads).N, ni) !== undefined) return undefined
        const asked = { method: wanted, groups, changes, sentCookie }
        return acceptable(received, proposals, rules, asked) ?? lacking(core, connection, received)
      },
    )
    const { N } = refusalShape(response.payloads)
    const elsewhere = redirectInInit(sa, N, ni)
    if (elsewhere !== undefined) return elsewhere
    const asked = find(N, NOTIFY.COOKIE)
    if (asked !== undefined) {
      // RFC 7296 §2.6: the same request again, with the cookie in front.
      cookie = notify(NOTIFY.COOKIE, asked.data)
      cookies++
      if (cookies > mostCookies) throw new PeerRefused(NOTIFY.COOKIE, `peer refused ${mostCookies} of its own cookies`)
      if (cookies > hastyCookies) yield* sleep(cookiePauseMs)
      continue
    }
    const wrongGroup = find(N, NOTIFY.INVALID_KE_PAYLOAD)
    if (wrongGroup !== undefined) {
      const other = groupIn(wrongGroup)
      core.log(
        'IKE',
        1,
        `peer didn't accept key exchange method ${algorithmName(TRANSFORM_TYPE.KE, method)}, it requested ${algorithmName(TRANSFORM_TYPE.KE, other)}`,
        sa,
      )
      pair.private[Symbol.dispose]()
      groupChanges++
      method = other
      pair = yield* run({ kind: 'key-exchange-generate', method })
      continue
    }

    const answer = responseShape(response.payloads)
    const selected = accepted(proposals, answer.SA.proposals, rules)
    assert(selected, 'an unacceptable selection has been ignored')
    core.log('CFG', 1, `selected proposal: ${formatProposal(selected)}`, sa)
    using shared = yield* run({
      kind: 'key-exchange-finish',
      method,
      private: pair.private,
      peerPublic: answer.KE.data,
    })
    const sent = sa.lastInitRequest
    assert(sent, 'the request was sent')
    sa.spiR = spiRIn(response.bytes)
    sa.init = { request: sent, response: response.bytes, ni, nr: answer.Nonce.nonce }
    deriveKeys(sa, selected, shared)
    learn(sa, answer.N)
    readCertificateRequests(sa, answer.CERTREQ)
    float(sa, connection)
    return undefined
  }
}

/**
 * As responder, before anything is stored: syntax, cookie, connection, proposal, group. Answers statelessly or begins
 * an IKE SA.
 */
export function admit(core: Core, header: Header, bytes: Uint8Array, local: Endpoint, remote: Endpoint): void {
  const refuse = (type: number, data?: Uint8Array) => {
    const payloads = [notify(type, data)]
    const message = statelessResponse(header, payloads)
    core.counters.message(undefined, header.exchange, 'out', true)
    core.log('ENC', 1, `generating ${describeMessage(message)}`)
    const encoded = encodeMessage(message)
    core.log('NET', 1, sendingLine(local, remote, encoded))
    core.send(local, remote, encoded)
  }
  let payloads: ReturnType<typeof requestShape>
  try {
    const message = decodeMessage(bytes)
    core.counters.message(undefined, header.exchange, 'in', false)
    core.log('ENC', 1, `parsed ${describeMessage(message)}`)
    refuseCritical(message.payloads)
    payloads = requestShape(message.payloads)
  } catch (error) {
    core.drops.malformed++
    core.alert('parse-error-body')
    core.log('NET', 1, `invalid IKE_SA_INIT request from ${formatEndpoint(remote)}: ${messageOf(error)}`)
    if (error instanceof Refusal) refuse(error.notify, error.data)
    // §3.10.1: INVALID_SYNTAX is for messages that are protected.
    else if (!(error instanceof DecodeError || error instanceof ShapeError)) throw error
    return
  }
  const { SA, KE, Nonce, N } = payloads

  // Before the limits, and before cookies: it costs nothing, and is what a gateway that is full has to say.
  const elsewhere = core.settings.initiatorOnly ? undefined : redirectAtInit(core, N, local.address)
  if (elsewhere !== undefined && core.connections.matching(local, remote).length > 0) {
    core.log('IKE', 1, `redirecting client ${remote.address} to ${formatGateway(elsewhere)}`)
    return refuse(NOTIFY.REDIRECT, redirectNotify(elsewhere, Nonce.nonce).data)
  }
  const admitted = core.admission.decide(remote.address, header.spiI, Nonce.nonce, find(N, NOTIFY.COOKIE)?.data)
  if (admitted.kind === 'dropped') {
    core.drops.limits++
    core.log('NET', 1, `ignoring IKE_SA setup from ${remote.address}, ${admitted.reason}`)
    return
  }
  if (admitted.kind === 'cookie') return refuse(NOTIFY.COOKIE, admitted.cookie)

  const candidates = core.connections.matching(local, remote)
  if (candidates.length === 0) {
    core.log('IKE', 1, `no IKE config found for ${local.address}...${remote.address}, sending NO_PROPOSAL_CHOSEN`)
    return refuse(NOTIFY.NO_PROPOSAL_CHOSEN)
  }
  const chosen = selectFrom(core, candidates, SA.proposals, N)
  if (chosen === undefined) {
    core.nextIkeId() // charon has an IKE SA by now: `swanctl --list-sas --ike-id` is to show the same for the next one
    core.log('IKE', 1, `remote host ${remote.address}: received proposals unacceptable`)
    core.alert('proposal-mismatch-ike')
    return refuse(NOTIFY.NO_PROPOSAL_CHOSEN)
  }
  const method = transformOf(chosen, TRANSFORM_TYPE.KE)?.id ?? 0
  if (KE.method !== method) {
    core.log(
      'IKE',
      1,
      `key exchange method ${algorithmName(TRANSFORM_TYPE.KE, KE.method)} unacceptable, requesting ${algorithmName(TRANSFORM_TYPE.KE, method)}`,
    )
    core.nextIkeId() // likewise
    return refuse(NOTIFY.INVALID_KE_PAYLOAD, Uint8Array.of(method >> 8, method & 0xff))
  }
  if (keyExchange(method)?.publicBytes !== KE.data.length) {
    core.drops.malformed++
    core.log(
      'IKE',
      1,
      `key exchange data of ${KE.data.length} bytes for ${algorithmName(TRANSFORM_TYPE.KE, method)}, ignored`,
    )
    return
  }

  const sa = new IkeSa(core, { role: 'responder', spiI: header.spiI, spiR: core.newSpi(), local, remote })
  sa.state = 'CONNECTING'
  sa.candidates = candidates
  sa.selected = chosen
  sa.beginHalfOpen(bytes)
  core.log('IKE', 0, `${remote.address} is initiating IKE_SA ${sa.name}`, sa)
  core.log('CFG', 1, `selected proposal: ${formatProposal(chosen)}`, sa)
  const received = { exchange: header.exchange, messageId: 0, payloads: decodeMessage(bytes).payloads, bytes }
  sa.dialogue.begin(received)
}

/** As responder: exchanges keys and answers. What was stateless about it has happened in `admit`. */
export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  const { core, selected } = sa
  const { KE, Nonce, N, CERTREQ } = requestShape(received.payloads)
  assert(selected, 'admit has selected a proposal')
  const nr = core.random(32)
  const ours = yield* run({ kind: 'key-exchange-respond', method: KE.method, peerPublic: KE.data }, (late) =>
    late.shared[Symbol.dispose](),
  )
  using shared = ours.shared
  const [connection] = sa.candidates
  const remoteRounds = sa.candidates.flatMap(({ sendCertreq, remote }) => (sendCertreq ? remote : []))
  const certreq = certificateRequest(sa, remoteRounds)
  const answer: Payload[] = [
    { type: 'SA', proposals: [proposalOf(selected, selected.number, noSpi)] },
    { type: 'KE', method: KE.method, data: ours.public },
    { type: 'Nonce', nonce: nr },
    ...capabilities(sa, connection, N),
    ...vendorIds(core),
  ]
  const ocsp = ocspRequest(sa.candidates.filter(({ sendCertreq }) => sendCertreq))
  if (certreq !== undefined) answer.splice(5, 0, certreq, ...(ocsp ? [ocsp] : []), ...announceLookup(sa))
  sa.init = { request: received.bytes, response: new Uint8Array(), ni: Nonce.nonce, nr }
  deriveKeys(sa, selected, shared)
  learn(sa, N)
  readCertificateRequests(sa, CERTREQ)
  return answer
}

/** What our request had in it, and what it had to change already. */
interface Asked {
  readonly method: number
  readonly groups: readonly number[]
  readonly changes: number
  readonly sentCookie: Uint8Array | undefined
}

/** Why a response does not count, or how. Nothing here is authenticated (RFC 7296 §2.21.1). */
function acceptable(
  received: Received,
  proposals: readonly ConfiguredProposal[],
  rules: SelectionRules,
  { method, groups, changes, sentCookie }: Asked,
): { failAfterMs: number; error: Error } | undefined {
  const { N } = refusalShape(received.payloads)
  const cookie = find(N, NOTIFY.COOKIE)
  if (cookie !== undefined) {
    if (sentCookie !== undefined && Buffer.compare(sentCookie, cookie.data) === 0) {
      throw new Error('it asks for the cookie that it has')
    }
    if (cookie.data.length === 0 || cookie.data.length > 64) throw new Error('a cookie has 1 to 64 octets')
    return undefined
  }
  const wrongGroup = find(N, NOTIFY.INVALID_KE_PAYLOAD)
  if (wrongGroup !== undefined) {
    const other = groupIn(wrongGroup)
    if (changes >= mostGroups) throw new Error('too many other groups in a row')
    if (other === method || !groups.includes(other)) {
      const error = new PeerRefused(
        NOTIFY.INVALID_KE_PAYLOAD,
        `peer requested key exchange method ${algorithmName(TRANSFORM_TYPE.KE, other)}, which is not in our proposals: add it, or let the peer accept ${algorithmName(TRANSFORM_TYPE.KE, method)}`,
      )
      return { failAfterMs: graceMs, error }
    }
    return undefined
  }
  const refused = errorIn(N)
  if (refused !== undefined) {
    const name = nameOf(NOTIFY, refused.notify)
    return { failAfterMs: graceMs, error: new PeerRefused(refused.notify, `received ${name} notify error`) }
  }
  const { SA, KE } = responseShape(received.payloads)
  const selected = accepted(proposals, SA.proposals, rules)
  if (selected === undefined) throw new Error('it selects what we did not propose')
  if (additionalKeyExchanges(selected).length > 0 && !has(N, NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED)) {
    throw new Error('it selects additional key exchanges, but does not support IKE_INTERMEDIATE')
  }
  if (KE.method !== method || transformOf(selected, TRANSFORM_TYPE.KE)?.id !== method) {
    throw new Error('its key exchange method is not the one it selects')
  }
  if (keyExchange(method)?.responderBytes !== KE.data.length)
    throw new Error('its key exchange data has a wrong length')
  if (spiRIn(received.bytes) === 0n) throw new Error('it has no responder SPI')
  return undefined
}

/** What the connection cannot do without. RFC 8784 §6: perhaps only a forged response lacks it. */
function lacking(
  { settings }: Core,
  connection: Connection,
  { payloads }: Received,
): { failAfterMs: number; error: Error } | undefined {
  const { N, SA } = lackingShape(payloads)
  if (SA === undefined) return undefined
  const fail = (message: string) => ({ failAfterMs: graceMs, error: new PeerRefused(0, message) })
  if (connection.ppkRequired && !has(N, NOTIFY.USE_PPK)) return fail('PPK required, but the peer does not support it')
  if (!hasSeveralRounds(connection)) return undefined
  const several = `${connection.name} has several authentication rounds`
  if (!settings.multipleAuthentication) return fail(`${several}, but charon.multiple_authentication = no`)
  if (!has(N, NOTIFY.MULTIPLE_AUTH_SUPPORTED)) return fail(`${several}, but the peer does not support them`)
  return undefined
}

/** The first of several connections that has a proposal in common with the peer. */
function selectFrom(
  core: Core,
  candidates: readonly Connection[],
  received: Parameters<typeof select>[1],
  notifies: readonly NPayload[],
): Selected | undefined {
  const withoutIntermediate = !has(notifies, NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED)
  for (const [i, { proposals }] of candidates.entries()) {
    const selected = select(proposals, received, { ...selectionRules(core), withoutIntermediate })
    if (selected !== undefined) return selected
    core.log('CFG', 1, `received proposals: ${received.map(formatReceived).join(', ')}`)
    core.log('CFG', 1, `configured proposals: ${proposals.map(formatProposal).join(', ')}`)
    if (i + 1 < candidates.length) core.log('IKE', 1, 'no matching proposal found, trying alternative config')
  }
  return undefined
}

function formatReceived(proposal: Parameters<typeof select>[1][number]): string {
  return formatProposal({ protocol: 'IKE', transforms: proposal.transforms })
}

/** Derives and stores the seven keys of RFC 7296 §2.14. */
function deriveKeys(sa: IkeSa, selected: Selected, shared: Secret): void {
  const { init } = sa
  assert(init, 'both nonces are known')
  const suite = suiteOf(selected)
  using seed = skeyseed(suite.prf, init.ni, init.nr, shared)
  sa.selected = selected
  sa.suite = suite
  sa.keys = ikeKeys(suite, seed, init.ni, init.nr, spiBytes(sa.spiI), spiBytes(sa.spiR))
}

/** RFC 7296 §2.23: with a NAT the initiator moves to port 4500; with MOBIKE it does so in any case (RFC 4555 §3.3). */
function float(sa: IkeSa, connection: Connection): void {
  const { portIke, portNatT } = sa.core.settings
  if (!sa.udpEncapsulation && !(connection.mobike && sa.peer.natTraversal)) return
  if (sa.local.port !== portIke || sa.remote.port !== 500) return
  sa.moveTo({ ...sa.local, port: portNatT }, { ...sa.remote, port: 4500 }) // which is no news to anybody
}

/** Key exchange methods of our proposals, in order, without repetition. */
function keyExchangesOf(proposals: readonly ConfiguredProposal[]): number[] {
  const methods = proposals.flatMap(({ transforms }) =>
    transforms.flatMap(({ type, id }) => (type === TRANSFORM_TYPE.KE && id !== 0 ? [id] : [])),
  )
  return [...new Set(methods)]
}

export function selectionRules(core: Core): SelectionRules {
  return { preferConfigured: core.settings.preferConfiguredProposals }
}

/** What we say of ourselves, if we are to: charon's Vendor IDs, so that its rules for peers that it knows hold for us. */
function vendorIds({ settings }: Core): VPayload[] {
  return [
    ...(settings.sendVendorId ? [strongSwan] : []),
    ...(settings.ciscoFlexvpn ? [Buffer.from('FLEXVPN-SUPPORTED')] : []),
  ].map((data) => ({ type: 'V', data: Uint8Array.from(data) }))
}

/** MD5 of `strongSwan`. */
const strongSwan: Uint8Array = Buffer.from('882fe56d6fd20dbc2251613b2ebe5beb', 'hex')

function groupIn({ data }: NPayload): number {
  return ((data[0] ?? 0) << 8) | (data[1] ?? 0)
}

function spiRIn(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8)
}

function statelessResponse(header: Header, payloads: readonly Payload[]): Message {
  const { spiI, exchange, messageId } = header
  return {
    spiI,
    spiR: 0n,
    major: 2,
    minor: 0,
    exchange,
    flags: { initiator: false, response: true },
    messageId,
    payloads,
  }
}

function sendingLine(local: Endpoint, remote: Endpoint, bytes: Uint8Array): string {
  return `sending packet: from ${formatEndpoint(local)} to ${formatEndpoint(remote)} (${bytes.length} bytes)`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const noSpi = new Uint8Array()
