/**
 * Several Child SAs for the selectors of one, RFC 7296 §2.9. A responder that narrows may say that it would take more in
 * other SAs; then they are asked for, one after the other:
 *
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Nr, TSi, TSr, N(ADDITIONAL_TS_POSSIBLE)}
 *   HDR, SK {SA, Ni, TSi, TSr}  -->      what is left of the selectors
 *                      <--  HDR, SK {SA, Nr, TSi, TSr}
 *
 * One that wants an SA for each pair of addresses is asked again for the pair that the packet is of, or for the pairs that
 * are configured:
 *
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {N(SINGLE_PAIR_REQUIRED)}
 *   HDR, SK {SA, Ni, TSi, TSr}  -->      of one address each
 *                      <--  HDR, SK {SA, Nr, TSi, TSr}
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { AddressSelector, NPayload } from '../wire/payloads/index.ts'
import { formatSelectors, narrow, without } from '../wire/selector.ts'
import { type ChildPlan, mostParts, type Selectors } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import { LocalFailure, PeerRefused } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { createChild } from './initiation.ts'
import { has } from './notifies.ts'
import { hostSelector, isSinglePair, packetSelectors, pairs, within } from './selectors.ts'

/** What an initiator had asked for. */
interface Asked {
  readonly plan: ChildPlan
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
}

/** A child is up: asks for the rest of its selectors, if the peer says that it takes that in other SAs. */
export function askForRest(
  sa: IkeSa,
  { plan, localTs, remoteTs }: Asked,
  child: ChildSa,
  N: readonly NPayload[],
): void {
  // Of a trap the packets decide what is needed.
  if (!has(N, NOTIFY.ADDITIONAL_TS_POSSIBLE) || plan.packet !== undefined || sa.closing) return
  const granted = child.agreement
  const localRest = without(localTs, granted.localTs)
  const remoteRest = without(remoteTs, granted.remoteTs)
  const rests = [
    { local: localTs, remote: remoteRest },
    { local: localRest, remote: granted.remoteTs },
  ]
  for (const rest of rests) {
    if (pairs(rest.local, rest.remote).length === 0 || plan.budget.left === 0) continue
    plan.budget.left--
    sa.core.log(
      'IKE',
      1,
      `peer takes more in other CHILD_SAs, asking for ${formatSelectors(rest.local)} === ${formatSelectors(rest.remote)}`,
      sa,
    )
    createChild(sa, plan.part(rest))
  }
}

/** Whether the peer wants one SA for each pair of addresses, and has been asked for that now. */
export function askForPairs(sa: IkeSa, { plan, localTs, remoteTs }: Asked, error: unknown): boolean {
  if (!(error instanceof PeerRefused) || error.notify !== NOTIFY.SINGLE_PAIR_REQUIRED || sa.closing) return false
  if (isSinglePair(localTs, remoteTs)) return false
  const [first, ...others] =
    plan.packet === undefined ? hostPairs(localTs, remoteTs) : packetPair(plan, localTs, remoteTs)
  if (first === undefined) {
    const message =
      'peer wants a CHILD_SA for each pair of addresses: use start_action = trap, or name hosts in local_ts and remote_ts'
    sa.core.log('IKE', 1, message, sa)
    plan.failed(message, new LocalFailure(message))
    return true
  }
  sa.core.log('IKE', 1, 'peer wants a CHILD_SA for each pair of addresses, asking again', sa)
  const again = plan.part(first)
  again.listen({ up: (child) => plan.up(child), failed: (message, why) => plan.failed(message, why) })
  createChild(sa, again)
  for (const pair of others) createChild(sa, plan.part(pair))
  return true
}

/** The selectors for the two hosts of the packet. */
function packetPair(
  { packet }: ChildPlan,
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
): Selectors[] {
  if (packet === undefined) return []
  const local = narrow([hostSelector(packet.source.address)], localTs)
  const remote = narrow([hostSelector(packet.destination.address)], remoteTs)
  return local.length > 0 && remote.length > 0 ? [{ local, remote }] : []
}

/** All pairs of hosts, if the selectors are hosts and they are few. */
function hostPairs(localTs: readonly AddressSelector[], remoteTs: readonly AddressSelector[]): Selectors[] {
  const all = pairs(localTs, remoteTs).map(({ local, remote }) => ({ local: [local], remote: [remote] }))
  return all.length <= mostParts && all.every(({ local, remote }) => isSinglePair(local, remote)) ? all : []
}

/** Whether a child protects the packet that a plan is about; any packet, if it is about none. */
export function serves(child: ChildSa, { packet }: ChildPlan): boolean {
  if (packet === undefined) return true
  const { local, remote } = packetSelectors(packet)
  return within([local], child.agreement.localTs) && within([remote], child.agreement.remoteTs)
}
