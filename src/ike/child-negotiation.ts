/**
 * What IKE_AUTH and CREATE_CHILD_SA have in common: SA, TSi, TSr and the notifies beside them (RFC 7296 §1.2, §1.3.1,
 * §2.9, §2.17). `draft` and `conclude` are the initiator's halves, `grant` is the responder.
 */

import type { ChildConfig, ConfiguredProposal } from '../config/connection.ts'
import { formatProposal } from '../config/proposals.ts'
import { type ChildKeys, childKeymat } from '../crypto/keys.ts'
import type { Secret } from '../crypto/secret.ts'
import type { SaMode } from '../kernel/operations.ts'
import type { Path } from '../wire/endpoint.ts'
import { NOTIFY, nameOf, PROTOCOL, TRANSFORM_TYPE } from '../wire/numbers.ts'
import type {
  AddressSelector,
  NPayload,
  Payload,
  SAPayload,
  TrafficSelector,
  TSiPayload,
  TSrPayload,
} from '../wire/payloads/index.ts'
import { formatSelectors, narrow } from '../wire/selector.ts'
import type { ChildPlan } from './child-plan.ts'
import { type ChildAgreement, ChildSa, reqidKey } from './child-sa.ts'
import { assert, PeerRefused, Refusal } from './errors.ts'
import type { FollowedUp } from './exchanges/ike-followup-ke.ts'
import { selectionRules } from './exchanges/ike-sa-init.ts'
import { settleFirstChild } from './first-child.ts'
import type { IkeSa } from './ike-sa.ts'
import { errorIn, has, notify } from './notifies.ts'
import { accepted, childSuiteOf, proposalOf, type Selected, type SelectionRules, select } from './proposals.ts'
import { kernel, type Script } from './script.ts'
import { packetSelectors, pairs, substituted, within } from './selectors.ts'
import { ikeSaView } from './views.ts'
import { localSelectors, remoteSelectors, requireRequest } from './virtual-ips.ts'

/** An SPI that the kernel keeps for us until a Child SA takes it; disposed, it is given back. */
export class ReservedSpi implements Disposable {
  readonly spi: number
  /** The addresses that the kernel keeps it for. */
  readonly at: Path
  readonly #release: () => void
  #taken = false

  constructor(spi: number, at: Path, release: () => void) {
    this.spi = spi
    this.at = at
    this.#release = release
  }

  /** The SPI belongs to an installed state from now on. */
  take(): number {
    this.#taken = true
    return this.spi
  }

  [Symbol.dispose](): void {
    if (!this.#taken) this.#release()
  }
}

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

/** The payloads of a request or response that concern a Child SA. */
export interface ChildPayloads {
  readonly SA: SAPayload
  readonly TSi: TSiPayload
  readonly TSr: TSrPayload
  readonly N: readonly NPayload[]
}

/** Has the kernel reserve an inbound SPI. */
export function* reserveSpi(sa: IkeSa, protocol: 'ESP' | 'AH'): Script<ReservedSpi> {
  const { core, local, remote } = sa
  const { spiMin: min, spiMax: max } = core.settings
  const id = (spi: number) => ({ protocol, spi, source: remote.address, destination: local.address })
  const release = ({ spi }: { spi: number }) => core.kernel({ kind: 'delete-sa', id: id(spi) }, sa)
  const allocated = yield* kernel(
    { kind: 'allocate-spi', protocol, source: remote.address, destination: local.address, reqid: 0, min, max },
    release,
  )
  return new ReservedSpi(allocated.spi, { local, remote }, () => release(allocated))
}

/**
 * As initiator: what we ask for. `withoutKeyExchange` in IKE_AUTH, which has none of its own. A rekeying asks for the
 * selectors of the `old` SA (RFC 7296 §2.8: they should not differ).
 */
export function draft(sa: IkeSa, plan: ChildPlan, spi: ReservedSpi, withoutKeyExchange: boolean, old?: ChildSa): Draft {
  const { core } = sa
  const { config } = plan
  const proposals = proposalsOf(config)
  const localTs = old?.agreement.localTs ?? localSelectors(sa, config.localTs)
  const remoteTs = old?.agreement.remoteTs ?? remoteSelectors(sa, config.remoteTs)
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
    ...(transport ? [notify(NOTIFY.USE_TRANSPORT_MODE)] : []),
    { type: 'SA', proposals: proposals.map((p, i) => proposalOf(p, i + 1, spiField, withoutKeyExchange)) },
  ]
  const selectors: Payload[] = [
    { type: 'TSi', selectors: packet ? [packet.local, ...localTs] : localTs },
    { type: 'TSr', selectors: packet ? [packet.remote, ...remoteTs] : remoteTs },
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
  if (SA === undefined || TSi === undefined || TSr === undefined) {
    const refused = errorIn(N)
    const name = refused === undefined ? 'no SA and no selectors' : `${nameOf(NOTIFY, refused.notify)} notify`
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
  if (draft.transport && !transport) {
    // RFC 7296 §1.3.1: an initiator that cannot accept tunnel mode MUST delete the SA.
    throw new Refusal(
      NOTIFY.NO_PROPOSAL_CHOSEN,
      'peer declined transport mode, no CHILD_SA built: set mode = tunnel, or transport on both sides',
    )
  }
  const agreement = agree(selected, transport ? 'transport' : 'tunnel', localTs, remoteTs)
  const child = yield* establish(sa, {
    ...(draft.old && { old: draft.old }),
    uniqueId: draft.uniqueId,
    config,
    agreement,
    spi,
    seed,
    initiator: true,
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
 * @throws Refusal NO_PROPOSAL_CHOSEN or TS_UNACCEPTABLE, KernelError
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
  const choice = choose(sa, offer, withoutKeyExchange, old)
  const { config, selected, localTs, remoteTs } = choice
  const transport = config.mode === 'transport' && has(offer.N, NOTIFY.USE_TRANSPORT_MODE)
  const agreement = agree(selected, transport ? 'transport' : 'tunnel', localTs, remoteTs)
  using spi = yield* reserveSpi(sa, agreement.suite.protocol)
  const uniqueId = sa.core.nextChildId()
  const proposal: Payload[] = [
    ...(transport ? [notify(NOTIFY.USE_TRANSPORT_MODE)] : []),
    { type: 'SA', proposals: [proposalOf(selected, selected.number, spiBytes32(spi.spi), withoutKeyExchange)] },
  ]
  const selectors: Payload[] = [
    { type: 'TSi', selectors: remoteTs },
    { type: 'TSr', selectors: localTs },
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

/** The proposals of a child: ESP, or AH where that is configured. */
export function proposalsOf(config: ChildConfig): readonly ConfiguredProposal[] {
  return config.ahProposals.length > 0 ? config.ahProposals : config.espProposals
}

/** The rules of selection for Child SAs. */
export function childRules(sa: IkeSa, withoutKeyExchange: boolean): SelectionRules {
  return { ...selectionRules(sa.core), withoutKeyExchange }
}

/** An ESP SPI as it stands in payloads. */
export function spiBytes32(spi: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, spi)
  return bytes
}

interface Choice {
  readonly config: ChildConfig
  readonly selected: Selected
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
}

/** The child whose selectors fit best, and what is left of the offer after narrowing; a rekeying keeps its child. */
function choose(sa: IkeSa, offer: ChildPayloads, withoutKeyExchange: boolean, old: ChildSa | undefined): Choice {
  const { core, connection } = sa
  assert(connection, 'a connection has been selected')
  const askedLocal = addressSelectors(offer.TSr.selectors)
  const askedRemote = addressSelectors(offer.TSi.selectors)
  const fits = (old ? [old.config] : connection.children).flatMap((config) => {
    if (config.mode === 'pass' || config.mode === 'drop') return []
    const ourLocal = old?.agreement.localTs ?? localSelectors(sa, config.localTs)
    const ourRemote = old?.agreement.remoteTs ?? remoteSelectors(sa, config.remoteTs)
    const transport = config.mode === 'transport' && has(offer.N, NOTIFY.USE_TRANSPORT_MODE)
    const [offeredLocal, offeredRemote] = throughNat(sa, transport, askedLocal, askedRemote)
    const localTs = narrow(offeredLocal, ourLocal)
    const remoteTs = narrow(offeredRemote, ourRemote)
    // Selectors of two families alone would be an SA that no packet can use.
    if (pairs(localTs, remoteTs).length === 0) return []
    return [{ config, localTs, remoteTs, score: exactness(offeredLocal, localTs) + exactness(offeredRemote, remoteTs) }]
  })
  fits.sort((a, b) => b.score - a.score)
  const [best] = fits
  if (best === undefined) {
    core.log(
      'IKE',
      1,
      `traffic selectors ${formatSelectors(askedLocal)} === ${formatSelectors(askedRemote)} unacceptable${configuredSelectors(sa)}`,
      sa,
    )
    core.alert('ts-mismatch', sa)
    throw new Refusal(NOTIFY.TS_UNACCEPTABLE, 'no child of the connection has these traffic selectors')
  }
  const proposals = proposalsOf(best.config)
  const selected = select(proposals, offer.SA.proposals, childRules(sa, withoutKeyExchange))
  if (selected === undefined || selected.spi.length !== 4) {
    const received = offer.SA.proposals.map((p) =>
      formatProposal({ protocol: p.protocol === PROTOCOL.AH ? 'AH' : 'ESP', transforms: p.transforms }),
    )
    core.log('CFG', 1, `received proposals: ${received.join(', ')}`, sa)
    core.log(
      'CFG',
      1,
      `configured proposals: ${proposals.map((p) => formatProposal(shown(p, withoutKeyExchange))).join(', ')}`,
      sa,
    )
    core.alert('proposal-mismatch-child', sa)
    throw new Refusal(NOTIFY.NO_PROPOSAL_CHOSEN, 'no acceptable proposal found')
  }
  core.log('CFG', 1, `selected proposal: ${formatProposal(selected)}`, sa)
  return { config: best.config, selected, localTs: best.localTs, remoteTs: best.remoteTs }
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
}

/** Derives the keys, installs states and policies, and makes the child the IKE SA's own. */
function* establish(sa: IkeSa, options: Establishment): Script<ChildSa> {
  const { core, keys, suite } = sa
  const { config, uniqueId, agreement, spi, seed, initiator, deferOutbound, old } = options
  assert(keys && suite, 'a Child SA comes from an IKE SA with keys')
  const { encr, encrKeyBits, integ } = agreement.suite
  const keymat = childKeymat({ prf: suite.prf, d: keys.d, ...seed, encr, keyBits: encrKeyBits, integ })
  const [ours, theirs]: [ChildKeys, ChildKeys] = initiator
    ? [keymat.initiator, keymat.responder]
    : [keymat.responder, keymat.initiator]
  const { localTs, remoteTs } = agreement
  // The child of a trap shares its reqid when it has its selectors. One that was narrowed has policies of its own, and
  // they must agree with those of every other child with these selectors.
  const reqid =
    old === undefined
      ? core.reqids.acquire(reqidKey(localTs, remoteTs, config), config.reqid)
      : core.reqids.share(old.reqid)
  const spiOut = new DataView(agreement.selected.spi.slice().buffer).getUint32(0)
  const child = new ChildSa({ uniqueId, config, owner: sa, reqid, spiIn: spi.spi, spiOut, agreement })
  using undo = new DisposableStack()
  undo.defer(() => {
    child.uninstall(core, sa)
    core.reqids.release(reqid)
  })
  const taken = spi.take() // from here on `uninstall` removes the reserved state with the rest
  try {
    yield* child.install(sa, { ours, theirs }, deferOutbound, spi.at)
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
  child.installedAfter = core.lastChildId
  sa.children.set(uniqueId, child)
  core.sas.addChild(child)
  core.log(
    'IKE',
    0,
    `${deferOutbound ? 'inbound ' : ''}CHILD_SA ${config.name}{${uniqueId}} established with SPIs ${hex(taken)}_i ${hex(spiOut)}_o and TS ${formatSelectors(localTs)} === ${formatSelectors(remoteTs)}`,
    sa,
  )
  return child
}

/** Announces a child that is up. Not for rekeyings. */
export function announceUp(sa: IkeSa, child: ChildSa): void {
  sa.core.event({ kind: 'child-updown', up: true, ikeSa: ikeSaView(sa, [child]) })
  settleFirstChild(sa, child)
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

function agree(
  selected: Selected,
  mode: SaMode,
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
): ChildAgreement {
  return { selected, suite: childSuiteOf(selected), mode, localTs, remoteTs }
}

function addressSelectors(selectors: readonly TrafficSelector[]): AddressSelector[] {
  return selectors.flatMap((selector) => (selector.kind === 'address' ? [selector] : []))
}

/**
 * §2.23.1, whoever begins: each side names the two hosts by the addresses that it knows, so in transport mode whoever
 * is behind a NAT is called here as its packets are.
 */
function throughNat(
  { nat, local, remote }: IkeSa,
  transport: boolean,
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
): [localTs: readonly AddressSelector[], remoteTs: readonly AddressSelector[]] {
  if (!transport) return [localTs, remoteTs]
  return [
    nat.local ? substituted(localTs, local.address) : localTs,
    nat.remote ? substituted(remoteTs, remote.address) : remoteTs,
  ]
}

/** 2 when nothing of the offer was lost, 1 otherwise. */
function exactness(offered: readonly AddressSelector[], kept: readonly AddressSelector[]): number {
  return within(offered, kept) ? 2 : 1
}

function configuredSelectors(sa: IkeSa): string {
  const children = sa.connection?.children ?? []
  if (children.length === 0) return ''
  const texts = children.map((config) => {
    const ours = localSelectors(sa, config.localTs)
    const theirs = remoteSelectors(sa, config.remoteTs)
    return `${config.name}: ${formatSelectors(ours)} === ${formatSelectors(theirs)}`
  })
  return ` (configured: ${texts.join('; ')})`
}

/** What the operator should compare when the peer refused. */
function hint(type: number | undefined, draft: Draft, withoutKeyExchange: boolean): string {
  switch (type) {
    case NOTIFY.NO_PROPOSAL_CHOSEN:
      return ` (we proposed ${draft.proposals.map((p) => formatProposal(shown(p, withoutKeyExchange))).join(', ')})`
    case NOTIFY.TS_UNACCEPTABLE:
      return ` (we offered ${formatSelectors(draft.localTs)} === ${formatSelectors(draft.remoteTs)})`
    default:
      return ''
  }
}

function shown(proposal: ConfiguredProposal, withoutKeyExchange: boolean): ConfiguredProposal {
  if (!withoutKeyExchange) return proposal
  const transforms = proposal.transforms.filter(
    ({ type }) => type !== TRANSFORM_TYPE.KE && type < TRANSFORM_TYPE.ADDKE1,
  )
  return { ...proposal, transforms }
}

export function hex(spi: number): string {
  return spi.toString(16).padStart(8, '0')
}
