/**
 * What IKE_AUTH and CREATE_CHILD_SA have in common: SA, TSi, TSr and the notifies beside them (RFC 7296 §1.2, §1.3.1,
 * §2.9, §2.17). `draft` and `conclude` are the initiator's halves, `grant` is the responder.
 */

import type { ChildConfig, ConfiguredProposal } from '../config/connection.ts'
import { formatProposal } from '../config/proposals.ts'
import { type ChildKeys, childKeymat } from '../crypto/keys.ts'
import type { Secret } from '../crypto/secret.ts'
import type { SaMode } from '../kernel/operations.ts'
import { NOTIFY, nameOf, PROTOCOL } from '../wire/numbers.ts'
import type { AddressSelector, NPayload, Payload, SAPayload, TSiPayload, TSrPayload } from '../wire/payloads/index.ts'
import { formatSelectors, narrow } from '../wire/selector.ts'
import {
  addressSelectors,
  type ChildPayloads,
  childRules,
  choose,
  proposalsOf,
  shown,
  throughNat,
} from './child-choice.ts'
import type { ChildPlan } from './child-plan.ts'
import { reqidKey } from './child-policies.ts'
import { type ChildAgreement, ChildSa } from './child-sa.ts'
import { assert, PeerRefused, Refusal } from './errors.ts'
import type { FollowedUp } from './exchanges/ike-followup-ke.ts'
import { settleFirstChild } from './first-child.ts'
import type { IkeSa } from './ike-sa.ts'
import { idleSince, watchInactivity } from './inactivity.ts'
import { ipcompSupported, mayCompress, peerCpi } from './ipcomp.ts'
import type { Marking } from './marks.ts'
import { errorIn, has, notify } from './notifies.ts'
import type { AlertKind } from './output.ts'
import { accepted, childSuiteOf, proposalOf, type Selected } from './proposals.ts'
import { type ReservedSpi, reserveSpi } from './reserved-spi.ts'
import type { Script } from './script.ts'
import { labelSelectors, labelsFit } from './security-labels.ts'
import { packetSelectors, pairs, within } from './selectors.ts'
import { awaitTurn, predecessorOf } from './take-over.ts'
import { announceChild } from './updown.ts'
import { localSelectors, remoteSelectors, requireRequest } from './virtual-ips.ts'

/** What an initiator has offered. */
export interface Draft {
  readonly plan: ChildPlan
  readonly uniqueId: number
  readonly proposals: readonly ConfiguredProposal[]
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
  readonly transport: boolean
  readonly proposal: readonly Payload[]
  readonly selectors: readonly Payload[]
  /** The SA that is being rekeyed. */
  readonly old?: ChildSa
}

/** As responder: the child, and the payloads of the answer, which may have a nonce and a key exchange in between. */
export interface Granted {
  readonly child: ChildSa
  readonly proposal: readonly Payload[]
  readonly selectors: readonly Payload[]
  /** The payloads of the last answer: with additional key exchanges those above have gone out before. */
  readonly answer: readonly Payload[]
}

/** Nonces and, with a key exchange, its secret: what the keys of a Child SA come from (§2.17). */
export interface ChildKeySeed {
  readonly ni: Uint8Array
  readonly nr: Uint8Array
  readonly shared?: Secret
  /** Of the additional key exchanges (RFC 9370 §2.2.4). */
  readonly additional?: readonly Secret[]
}

/** As initiator: has the kernel reserve what the Child SA will receive on. */
export function* reserve(sa: IkeSa, config: ChildConfig, old?: ChildSa): Script<ReservedSpi> {
  const protocol = old?.protocol ?? (proposalsOf(config)[0]?.protocol === 'AH' ? 'AH' : 'ESP')
  const localTs = old?.agreement.localTs ?? localSelectors(sa, config.localTs)
  const remoteTs = old?.agreement.remoteTs ?? remoteSelectors(sa, config.remoteTs)
  return yield* reserveSpi(sa, protocol, mayCompress(sa, config, [...localTs, ...remoteTs]))
}

/**
 * As initiator: what we ask for. `withoutKeyExchange` in IKE_AUTH, which has none of its own. A rekeying asks for the
 * selectors of the `old` SA (RFC 7296 §2.8: they should not differ).
 */
export function draft(sa: IkeSa, plan: ChildPlan, spi: ReservedSpi, withoutKeyExchange: boolean, old?: ChildSa): Draft {
  const { core } = sa
  const { config } = plan
  const proposals = proposalsOf(config)
  const localTs = old?.agreement.localTs ?? plan.selectors?.local ?? localSelectors(sa, config.localTs)
  const remoteTs = old?.agreement.remoteTs ?? plan.selectors?.remote ?? remoteSelectors(sa, config.remoteTs)
  const uniqueId = core.nextChildId()
  const reqid = plan.reqid ?? (config.reqid || undefined)
  core.log(
    'IKE',
    0,
    `establishing CHILD_SA ${config.name}{${uniqueId}}${reqid === undefined ? '' : ` reqid ${reqid}`}`,
    sa,
  )
  const packet = plan.packet && !core.settings.ignoreAcquireTs ? packetSelectors(plan.packet) : undefined
  const transport = old === undefined ? config.mode === 'transport' : old.agreement.mode === 'transport'
  const spiField = spiBytes32(spi.spi)
  const proposal: Payload[] = [
    ...(old === undefined ? [] : [rekeyNotify(old)]),
    ...modeNotifies(transport),
    ...ipcompNotify(spi),
    { type: 'SA', proposals: proposals.map((p, i) => proposalOf(p, i + 1, spiField, withoutKeyExchange)) },
  ]
  const selectors: Payload[] = [
    { type: 'TSi', selectors: [...(packet ? [packet.local] : []), ...localTs, ...labelSelectors(config)] },
    { type: 'TSr', selectors: [...(packet ? [packet.remote] : []), ...remoteTs, ...labelSelectors(config)] },
  ]
  return { plan, uniqueId, proposals, localTs, remoteTs, transport, proposal, selectors, ...(old && { old }) }
}

/**
 * As initiator: checks the answer, derives the keys, installs. A `redundant` child only receives.
 * @throws PeerRefused when the answer is a refusal, Refusal when we cannot accept it, KernelError, DeletedByPeer
 */
export function* conclude(
  sa: IkeSa,
  draft: Draft,
  spi: ReservedSpi,
  answer: {
    readonly SA?: SAPayload | undefined
    readonly TSi?: TSiPayload | undefined
    readonly TSr?: TSrPayload | undefined
    readonly N: readonly NPayload[]
  },
  seed: ChildKeySeed,
  withoutKeyExchange: boolean,
  redundant = false,
): Script<ChildSa> {
  const { core } = sa
  const { SA, TSi, TSr, N } = answer
  const { config } = draft.plan
  const refused = errorIn(N)
  if (refused !== undefined || SA === undefined || TSi === undefined || TSr === undefined) {
    const name = refused === undefined ? 'no SA and no selectors' : `${nameOf(NOTIFY, refused.notify)} notify`
    const alert = alerts[refused?.notify ?? 0]
    if (alert !== undefined) sa.core.alert(alert, sa)
    throw new PeerRefused(
      refused?.notify ?? 0,
      `received ${name}, no CHILD_SA built${hint(refused?.notify, draft, withoutKeyExchange)}`,
    )
  }
  const selected = accepted(draft.proposals, SA.proposals, childRules(sa, withoutKeyExchange))
  if (selected === undefined) {
    throw new Refusal(NOTIFY.NO_PROPOSAL_CHOSEN, 'peer selected a proposal that we did not offer, no CHILD_SA built')
  }
  core.log('CFG', 1, `selected proposal: ${formatProposal(selected)}`, sa)
  if (!labelsFit(config, TSi, TSr)) {
    const message = 'the security labels of the answer are not those of the request, no CHILD_SA built'
    throw new Refusal(NOTIFY.TS_UNACCEPTABLE, message)
  }
  const transport = has(N, NOTIFY.USE_TRANSPORT_MODE)
  const given = [addressSelectors(TSi.selectors), addressSelectors(TSr.selectors)] as const
  const [answeredTs, remoteTs] = throughNat(sa, draft.transport && transport, ...given)
  // What was asked for before the virtual IP was known may have been granted as it was (§2.19).
  const hasVirtualIp = draft.old === undefined && sa.virtualIps.local.length > 0
  const localTs = hasVirtualIp ? narrow(answeredTs, localSelectors(sa, config.localTs)) : answeredTs
  const usable = pairs(localTs, remoteTs).length > 0
  if (!usable || !within(localTs, draft.localTs) || !within(remoteTs, draft.remoteTs)) {
    throw new Refusal(
      NOTIFY.TS_UNACCEPTABLE,
      `traffic selectors ${formatSelectors(localTs)} === ${formatSelectors(remoteTs)} are not within ours, no CHILD_SA built`,
    )
  }
  // RFC 7296 §1.3.1: without the peer's consent it is tunnel mode, which protects the same packets; charon takes it, too.
  if (draft.transport && !transport) core.log('IKE', 1, 'peer declined transport mode, using tunnel mode', sa)
  const agreement = agree(selected, N, transport ? 'transport' : 'tunnel', localTs, remoteTs, spi.cpi)
  const child = yield* establish(sa, {
    ...(draft.old && { old: draft.old }),
    uniqueId: draft.uniqueId,
    config,
    agreement,
    spi,
    seed,
    initiator: true,
    ...(draft.plan.sequence !== undefined && { sequence: draft.plan.sequence }),
    ...(draft.plan.kept && { kept: draft.plan.kept }),
    deferOutbound: redundant,
  })
  if (sa.deletedUnseen.has(child.spiOut)) {
    sa.removeChild(child)
    throw new DeletedByPeer(`peer deleted CHILD_SA ${config.name}{${child.uniqueId}} at once`)
  }
  return child
}

/** The peer deleted a Child SA before its answer reached us (a DELETE overtook it). */
export class DeletedByPeer extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'DeletedByPeer'
  }
}

/**
 * As responder: chooses a child of the connection, algorithms and selectors, installs, and gives the payloads to
 * answer with. With `followUp` there may be further exchanges before the SA is made.
 * @throws Refusal NO_PROPOSAL_CHOSEN, TS_UNACCEPTABLE or NO_ADDITIONAL_SAS, KernelError
 */
export function* grant(
  sa: IkeSa,
  offer: ChildPayloads,
  seed: ChildKeySeed,
  withoutKeyExchange: boolean,
  old?: ChildSa,
  followUp?: (selected: Selected, proposal: readonly Payload[], selectors: readonly Payload[]) => Script<FollowedUp>,
): Script<Granted> {
  if (old === undefined) requireRequest(sa)
  requireRoom(sa)
  const choice = choose(sa, offer, withoutKeyExchange, old)
  const { config, selected, localTs, remoteTs } = choice
  const transport = config.mode === 'transport' && has(offer.N, NOTIFY.USE_TRANSPORT_MODE)
  const compress = peerCpi(offer.N) !== undefined && mayCompress(sa, config, [...localTs, ...remoteTs])
  using spi = yield* reserveSpi(sa, childSuiteOf(selected).protocol, compress)
  const agreement = agree(selected, offer.N, transport ? 'transport' : 'tunnel', localTs, remoteTs, spi.cpi)
  const uniqueId = sa.core.nextChildId()
  const proposal: Payload[] = [
    ...modeNotifies(transport),
    ...ipcompNotify(spi),
    ...(choice.more ? [notify(NOTIFY.ADDITIONAL_TS_POSSIBLE)] : []),
    { type: 'SA', proposals: [proposalOf(selected, selected.number, spiBytes32(spi.spi), withoutKeyExchange)] },
  ]
  const selectors: Payload[] = [
    { type: 'TSi', selectors: [...remoteTs, ...labelSelectors(config)] },
    { type: 'TSr', selectors: [...localTs, ...labelSelectors(config)] },
  ]
  using followed = followUp && (yield* followUp(selected, proposal, selectors))
  const child = yield* establish(sa, {
    config,
    uniqueId,
    agreement,
    spi,
    seed: { ...seed, ...(followed && { additional: followed.additional }) },
    initiator: false,
    deferOutbound: old !== undefined,
    ...(old && { old }),
  })
  return { child, proposal, selectors, answer: followed?.answer ?? [...proposal, ...selectors] }
}

/** An ESP SPI as it stands in payloads. */
export function spiBytes32(spi: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, spi)
  return bytes
}

interface Establishment {
  readonly config: ChildConfig
  readonly uniqueId: number
  readonly agreement: ChildAgreement
  readonly spi: ReservedSpi
  readonly seed: ChildKeySeed
  /** Of the exchange that makes the child. */
  readonly initiator: boolean
  readonly deferOutbound: boolean
  /** The SA that the new one replaces. */
  readonly old?: ChildSa
  /** Of the acquire that wants it. */
  readonly sequence?: number
  /** What one in another IKE SA has, in whose place it comes. */
  readonly kept?: Marking
}

/** Derives the keys, installs states and policies, and makes the child the IKE SA's own. */
function* establish(sa: IkeSa, options: Establishment): Script<ChildSa> {
  const { core, keys, suite } = sa
  const { config, uniqueId, agreement, spi, seed, initiator, old } = options
  assert(keys && suite, 'a Child SA comes from an IKE SA with keys')
  const idleSinceMs = old && config.inactivitySeconds > 0 ? yield* idleSince(old) : core.now
  const { encr, encrKeyBits, integ } = agreement.suite
  const keymat = childKeymat({ prf: suite.prf, d: keys.d, ...seed, encr, keyBits: encrKeyBits, integ })
  const [ours, theirs]: [ChildKeys, ChildKeys] = initiator
    ? [keymat.initiator, keymat.responder]
    : [keymat.responder, keymat.initiator]
  const { localTs, remoteTs } = agreement
  if (config.label !== undefined) core.log('CFG', 1, `selected security label: ${config.label}`, sa)
  // The child of a trap shares its reqid when it has its selectors. One that was narrowed has policies of its own, and
  // they must agree with those of every other child with these selectors.
  const marking = old?.marking ?? core.uniqueNumbers.marking(config, sa.interfaceIds, options.kept)
  const reqid =
    old === undefined
      ? core.reqids.acquire(reqidKey(localTs, remoteTs, marking), config.reqid)
      : core.reqids.share(old.reqid)
  const spiOut = new DataView(agreement.selected.spi.slice().buffer).getUint32(0)
  const child = new ChildSa({ uniqueId, config, owner: sa, reqid, spiIn: spi.spi, spiOut, agreement, marking })
  using undo = new DisposableStack()
  undo.defer(() => {
    child.uninstall(core, sa)
    core.reqids.release(reqid)
  })
  const before = initiator || old !== undefined ? undefined : predecessorOf(sa, child)
  if (before !== undefined) awaitTurn(child, before)
  const taken = spi.take(agreement.ipcomp !== undefined) // from here on `uninstall` removes the reserved state with the rest
  try {
    yield* child.install(sa, { ours, theirs }, options.deferOutbound || before !== undefined, spi.at, options.sequence)
  } catch (error) {
    core.log(
      'IKE',
      1,
      `unable to install IPsec SA (SAD) of CHILD_SA ${config.name}{${uniqueId}}: ${error instanceof Error ? error.message : error}`,
      sa,
      'error',
    )
    core.alert('install-child-sa-failed', sa)
    throw error
  }
  undo.move()
  child.initiated = initiator
  child.idleSinceMs = idleSinceMs
  watchInactivity(core, child)
  child.installedAfter = core.lastChildId
  sa.children.set(uniqueId, child)
  core.sas.addChild(child)
  core.log(
    'IKE',
    0,
    `${options.deferOutbound ? 'inbound ' : ''}CHILD_SA ${config.name}{${uniqueId}} established with SPIs ${hex(taken)}_i ${hex(spiOut)}_o and TS ${formatSelectors(localTs)} === ${formatSelectors(remoteTs)}`,
    sa,
  )
  return child
}

/** Announces a child that is up. Not for rekeyings. */
export function announceUp(sa: IkeSa, child: ChildSa): void {
  announceChild(sa, child, true)
  settleFirstChild(sa, child)
}

/**
 * A peer cannot fill our memory with Child SAs. One that is rekeyed counts as well, for there will be two of it.
 * @throws Refusal NO_ADDITIONAL_SAS
 */
function requireRoom(sa: IkeSa): void {
  const { childSaLimit } = sa.core.settings
  const count = [...sa.children.values()].filter(({ state }) => state !== 'DELETED').length
  if (childSaLimit === 0 || count < childSaLimit) return
  const message = `the peer has ${count} CHILD_SAs on this IKE_SA, child_sa_limit allows no more`
  throw new Refusal(NOTIFY.NO_ADDITIONAL_SAS, message)
}

/** Names the SA to be rekeyed, by the SPI that its rekeyer receives on (RFC 7296 §1.3.3). */
function rekeyNotify(old: ChildSa): NPayload {
  return {
    type: 'N',
    protocol: PROTOCOL[old.protocol],
    spi: spiBytes32(old.spiIn),
    notify: NOTIFY.REKEY_SA,
    data: new Uint8Array(),
  }
}

/**
 * @param N what the peer says beside its SA payload
 * @param cpiIn where we take compressed packets, if we do
 */
function agree(
  selected: Selected,
  N: readonly NPayload[],
  mode: SaMode,
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
  cpiIn: number | undefined,
): ChildAgreement {
  const cpiOut = peerCpi(N)
  const ipcomp = cpiIn !== undefined && cpiOut !== undefined && { ipcomp: { cpiIn, cpiOut } }
  const tfc = !has(N, NOTIFY.ESP_TFC_PADDING_NOT_SUPPORTED)
  return { selected, suite: childSuiteOf(selected), mode, localTs, remoteTs, tfc, ...ipcomp }
}

function ipcompNotify({ cpi }: ReservedSpi): Payload[] {
  return cpi === undefined ? [] : [ipcompSupported(cpi)]
}

/** What we say of the mode: whoever receives in transport mode cannot tell padding from payload (RFC 4303 §2.7). */
function modeNotifies(transport: boolean): Payload[] {
  return transport ? [notify(NOTIFY.USE_TRANSPORT_MODE), notify(NOTIFY.ESP_TFC_PADDING_NOT_SUPPORTED)] : []
}

/** What clients are told of a peer that refused. */
const alerts: Readonly<Record<number, AlertKind>> = {
  [NOTIFY.NO_PROPOSAL_CHOSEN]: 'proposal-mismatch-child',
  [NOTIFY.TS_UNACCEPTABLE]: 'ts-mismatch',
}

/** What the operator should compare when the peer refused. */
function hint(type: number | undefined, draft: Draft, withoutKeyExchange: boolean): string {
  switch (type) {
    case NOTIFY.NO_PROPOSAL_CHOSEN:
      return ` (we proposed ${draft.proposals.map((p) => formatProposal(shown(p, withoutKeyExchange))).join(', ')})`
    case NOTIFY.NO_ADDITIONAL_SAS:
      return ': the peer takes no more of them on this IKE_SA'
    case NOTIFY.TS_UNACCEPTABLE:
      return ` (we offered ${formatSelectors(draft.localTs)} === ${formatSelectors(draft.remoteTs)})`
    default:
      return ''
  }
}

export function hex(spi: number): string {
  return spi.toString(16).padStart(8, '0')
}
