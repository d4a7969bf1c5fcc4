/** As responder: which child of the connection a request is for, and what of it is granted (RFC 7296 §2.7, §2.9). */
import type { ChildConfig, ConfiguredProposal } from '../config/connection.ts'
import { formatProposal } from '../config/proposals.ts'
import { NOTIFY, PROTOCOL, TRANSFORM_TYPE } from '../wire/numbers.ts'
import type {
  AddressSelector,
  NPayload,
  SAPayload,
  TrafficSelector,
  TSiPayload,
  TSrPayload,
} from '../wire/payloads/index.ts'
import { formatSelectors, narrow } from '../wire/selector.ts'
import type { ChildSa } from './child-sa.ts'
import { assert, Refusal } from './errors.ts'
import { selectionRules } from './exchanges/ike-sa-init.ts'
import type { IkeSa } from './ike-sa.ts'
import { has } from './notifies.ts'
import { type Selected, type SelectionRules, select } from './proposals.ts'
import { labelsFit } from './security-labels.ts'
import { isSinglePair, pairs, substituted, within } from './selectors.ts'
import { localSelectors, remoteSelectors } from './virtual-ips.ts'

/** The payloads of a request or response that concern a Child SA. */
export interface ChildPayloads {
  readonly SA: SAPayload
  readonly TSi: TSiPayload
  readonly TSr: TSrPayload
  readonly N: readonly NPayload[]
}

export interface Choice {
  readonly config: ChildConfig
  readonly selected: Selected
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
  /** More of the offer would be granted, in other Child SAs. */
  readonly more: boolean
}

/** The child whose selectors fit best, and what is left of the offer after narrowing; a rekeying keeps its child. */
export function choose(sa: IkeSa, offer: ChildPayloads, withoutKeyExchange: boolean, old: ChildSa | undefined): Choice {
  const { core, connection } = sa
  assert(connection, 'a connection has been selected')
  const askedLocal = addressSelectors(offer.TSr.selectors)
  const askedRemote = addressSelectors(offer.TSi.selectors)
  const fits = (old ? [old.config] : connection.children).flatMap((config) => {
    if (config.mode === 'pass' || config.mode === 'drop') return []
    if (!labelsFit(config, offer.TSi, offer.TSr)) return []
    const ourLocal = old?.agreement.localTs ?? localSelectors(sa, config.localTs)
    const ourRemote = old?.agreement.remoteTs ?? remoteSelectors(sa, config.remoteTs)
    const transport = config.mode === 'transport' && has(offer.N, NOTIFY.USE_TRANSPORT_MODE)
    const [offeredLocal, offeredRemote] = throughNat(sa, transport, askedLocal, askedRemote)
    const localTs = narrow(offeredLocal, ourLocal)
    const remoteTs = narrow(offeredRemote, ourRemote)
    // Selectors of two families alone would be an SA that no packet can use.
    if (pairs(localTs, remoteTs).length === 0) return []
    // RFC 7296 §2.9: what comes first is of a packet, and what is granted MUST include it if it can.
    const first = {
      localTs: narrow(offeredLocal.slice(0, 1), ourLocal),
      remoteTs: narrow(offeredRemote.slice(0, 1), ourRemote),
    }
    const forPacket = pairs(first.localTs, first.remoteTs).length > 0 ? 4 : 0
    const score = forPacket + exactness(offeredLocal, localTs) + exactness(offeredRemote, remoteTs)
    const equal = sameSelectors(offeredLocal, ourLocal) + sameSelectors(offeredRemote, ourRemote)
    return [{ config, localTs, remoteTs, first, score, equal }]
  })
  // Of two that grant the same, the one that is configured as it is asked for, as with charon.
  fits.sort((a, b) => b.score - a.score || b.equal - a.equal)
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
  const granted = best.config.singlePair ? singlePair(best) : best
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
  const { localTs, remoteTs } = granted
  const more = old === undefined && fits.some((fit) => !covers(granted, fit))
  return { config: best.config, selected, localTs, remoteTs, more }
}

/** The proposals of a child: ESP, or AH where that is configured. */
export function proposalsOf(config: ChildConfig): readonly ConfiguredProposal[] {
  return config.ahProposals.length > 0 ? config.ahProposals : config.espProposals
}

/** The rules of selection for Child SAs. */
export function childRules(sa: IkeSa, withoutKeyExchange: boolean): SelectionRules {
  return { ...selectionRules(sa.core), withoutKeyExchange }
}

/** The selectors that are ranges of addresses: others are not for us (RFC 7296 §2.9). */
export function addressSelectors(selectors: readonly TrafficSelector[]): AddressSelector[] {
  return selectors.flatMap((selector) => (selector.kind === 'address' ? [selector] : []))
}

/**
 * §2.23.1, whoever begins: each side names the two hosts by the addresses that it knows, so in transport mode whoever
 * is behind a NAT is called here as its packets are.
 */
export function throughNat(
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

/** A proposal as it is offered. */
export function shown(proposal: ConfiguredProposal, withoutKeyExchange: boolean): ConfiguredProposal {
  if (!withoutKeyExchange) return proposal
  const transforms = proposal.transforms.filter(
    ({ type }) => type !== TRANSFORM_TYPE.KE && type < TRANSFORM_TYPE.ADDKE1,
  )
  return { ...proposal, transforms }
}

interface Narrowed {
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
}

/**
 * What is left for a child that wants an SA for each pair of addresses: the pair of the packet that the initiator has put
 * first (RFC 7296 §2.9: narrowing is better than refusing).
 * @throws Refusal SINGLE_PAIR_REQUIRED when it names no packet
 */
function singlePair({ localTs, remoteTs, first }: Narrowed & { readonly first: Narrowed }): Narrowed {
  if (isSinglePair(localTs, remoteTs)) return { localTs, remoteTs }
  const [local, remote] = [first.localTs[0], first.remoteTs[0]]
  if (local === undefined || remote === undefined || !isSinglePair([local], [remote])) {
    throw new Refusal(NOTIFY.SINGLE_PAIR_REQUIRED, 'the child is configured for single pairs of addresses')
  }
  const host = ({ start, end, family }: AddressSelector) => ({ ...anySelector, start, end, family })
  return { localTs: narrow(localTs, [host(local)]), remoteTs: narrow(remoteTs, [host(remote)]) }
}

const anySelector = { kind: 'address', protocol: 0, startPort: 0, endPort: 65535 } as const

/** Whether all that `other` would be for is in what is granted. */
function covers(granted: Narrowed, other: Narrowed): boolean {
  return pairs(other.localTs, other.remoteTs).every(
    ({ local, remote }) => within([local], granted.localTs) && within([remote], granted.remoteTs),
  )
}

/** 2 when nothing of the offer was lost, 1 otherwise. */
function exactness(offered: readonly AddressSelector[], kept: readonly AddressSelector[]): number {
  return within(offered, kept) ? 2 : 1
}

/** How many of the selectors that are asked for are configured just so; earlier ones count more. */
function sameSelectors(offered: readonly AddressSelector[], ours: readonly AddressSelector[]): number {
  return offered.reduce((sum, asked, i) => {
    const isOurs = ours.some((own) => within([own], [asked]) && within([asked], [own]))
    return sum + (isOurs ? offered.length - i : 0)
  }, 0)
}

function configuredSelectors(sa: IkeSa): string {
  const children = sa.connection?.children ?? []
  if (children.length === 0) return ''
  const texts = children.map((config) => {
    const ours = localSelectors(sa, config.localTs)
    const theirs = remoteSelectors(sa, config.remoteTs)
    const labelled = config.label === undefined ? '' : ` with the label '${config.label}'`
    return `${config.name}: ${formatSelectors(ours)} === ${formatSelectors(theirs)}${labelled}`
  })
  return ` (configured: ${texts.join('; ')})`
}
