/**
 * Crossing first contacts: both sides begin an IKE SA with each other at the same time, because both have
 * start_action = start, or packets met traps on both sides.
 *
 *   HDR, SAi1, KEi, Ni  -->
 *                      <--  HDR, SAi1, KEi, Ni
 *                       ...
 *   two IKE SAs, each with the same children
 *
 * RFC 7296 has rules for crossing rekeyings (§2.8.1, §2.8.2) and none for this; charon keeps both, and both are rekeyed
 * for ever. Here the same rule decides: of the four nonces of the two IKE_SA_INIT exchanges the lowest one names the
 * redundant IKE SA. Both sides know all four, so two Sallyports agree without a word, and its initiator deletes it,
 * as the initiator of a redundant rekeying does. A peer without this rule does nothing, so the other side deletes it
 * when that has not happened after a while.
 *
 * Nothing is deleted in a hurry: one IKE SA has to stay. So the one that is to stay
 * - must be established, and have every child that the redundant one has (they are made on it first);
 * - must answer a request: the peer may have dropped it on an INITIAL_CONTACT, in an IKE_AUTH that it read before it
 *   knew of the other exchange (charon does; a Sallyport does not, uniqueness.ts). If it does not answer it is dead,
 *   and the redundant one is what stays.
 *
 * Where one side gets an address from the other, the two are not alike, whoever began them, and both stay.
 *
 * Only contacts that crossed are duplicates: an IKE SA that was begun when the other was up is a reauthentication or a
 * wish of the peer. `unique = never` says that several are wanted.
 *
 * Whether contacts crossed the side that was slow to answer cannot see: the peer may have begun long ago, to somebody
 * who was not there yet, and the first of its requests that comes through finds our own IKE SA up. The other side knows,
 * if it has this rule. Otherwise we look when it would have acted, and a reauthentication would be over: if both are
 * there even then, ours is the redundant one, because the peer began the other one knowing of it or after it.
 * `reuse_ikesa = no` says that such IKE SAs are wanted.
 */
import { sameConnection } from '../config/equality.ts'
import { EXCHANGE } from '../wire/numbers.ts'
import { ChildPlan } from './child-plan.ts'
import { reqidKey } from './child-policies.ts'
import type { ChildSa } from './child-sa.ts'
import { loser, type Nonces } from './collisions.ts'
import { ExchangeTimeout } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeSa, createChild } from './initiation.ts'
import { request } from './script.ts'

/** When the initiator of the redundant IKE SA looks at the two, and when the other side does. */
const initiatorLooksMs = 1_000
const responderLooksMs = 10_000
/** Between one look and the next while the other IKE SA is not ready to stay alone. */
const againMs = 5_000
const mostLooks = 6
/** When we look at two that may have crossed: after the last look of a peer that knows it. */
const doubtfulLooksMs = 30_000
/** So long a peer goes on with what it began before our IKE SA was up: 165 s with charon's settings, and some more. */
const goesOnMs = 180_000

/** An IKE SA is up: looks for one that was begun at the same time by the other side. */
export function settleFirstContact(sa: IkeSa): void {
  const { connection, localId, remoteId } = sa
  if (connection === undefined || localId === undefined || connection.unique === 'never') return
  if (connection.vips.length > 0 || connection.pools.length > 0) return
  for (const other of sa.core.sas.between(localId, remoteId)) {
    if (other.connection === undefined || !sameConnection(connection, other.connection)) continue
    if (other === sa) continue
    if (mayHaveCrossed(sa, other)) other.after(doubtfulLooksMs, () => look(other, sa, 1))
    if (!crossed(sa, other)) continue
    const [redundant, staying] = redundantOf(sa, other)
    const delayMs = redundant.role === 'initiator' ? initiatorLooksMs : responderLooksMs
    lookLater(redundant, staying, delayMs)
  }
}

/** Looks at both after a while; what has taken the place of one by rekeying stands for it. */
function lookLater(redundant: IkeSa, staying: IkeSa, delayMs: number): void {
  redundant.after(delayMs, () => look(redundant, staying.latest, 1))
  redundant.onDestroy(() => {
    const { latest } = redundant
    if (!latest.destroyed) lookLater(latest, staying.latest, delayMs)
  })
}

/** Whether each of two IKE SAs was begun by another side before the other one was up. */
function crossed(a: IkeSa, b: IkeSa): boolean {
  if (a.role === b.role) return false
  return a.uniqueId <= (b.establishedAfter ?? 0) && b.uniqueId <= (a.establishedAfter ?? 0)
}

/** Whether `sa`, which the peer has begun, may have been on its way already when our `other` came up; `crossed` is sure. */
function mayHaveCrossed(sa: IkeSa, other: IkeSa): boolean {
  const { now, settings } = sa.core
  if (!settings.reuseIkeSa || crossed(sa, other) || sa.remote.address !== other.remote.address) return false
  if (sa.role !== 'responder' || other.role !== 'initiator' || other.establishedAtMs === undefined) return false
  return now - other.establishedAtMs <= goesOnMs
}

/** The redundant one of two, and the one that stays. */
function redundantOf(a: IkeSa, b: IkeSa): readonly [IkeSa, IkeSa] {
  return loser(noncesOf(a), noncesOf(b)) === 'ours' ? [a, b] : [b, a]
}

function noncesOf({ init }: IkeSa): Nonces {
  return { ni: init?.ni ?? new Uint8Array(), nr: init?.nr ?? new Uint8Array() }
}

/** Closes the redundant IKE SA as soon as the other one can do without it. */
function look(redundant: IkeSa, staying: IkeSa, looks: number): void {
  const { core } = redundant
  const again = (): void => {
    if (looks < mostLooks) redundant.after(againMs, () => look(redundant, staying.latest, looks + 1))
    else core.log('IKE', 1, `keeping ${redundant.name} beside ${staying.name} with the same peer`, redundant)
  }
  if (redundant.closing || staying.destroyed || staying.closing) return
  if (redundant.state === 'REKEYING') return again()
  if (redundant.state !== 'ESTABLISHED') return
  if (staying.state !== 'ESTABLISHED') return again()
  const missing = missingChildren(redundant, staying)
  if (missing.length > 0) {
    const begun = childrenOf(staying)
    for (const config of missing) if (!begun.has(config.name)) createChild(staying, new ChildPlan(config))
    return again()
  }
  staying.enqueue({
    names: ['IKE_DPD'],
    *script() {
      yield* request(EXCHANGE.INFORMATIONAL, [])
    },
    done() {
      if (redundant.closing || staying.closing) return
      if (redundant.state === 'REKEYING') return again()
      if (redundant.state !== 'ESTABLISHED') return
      if (staying.state !== 'ESTABLISHED' || missingChildren(redundant, staying).length > 0) return again()
      core.log(
        'IKE',
        1,
        `closing ${redundant.name}, both sides began an IKE_SA at once and ${staying.name} stays`,
        redundant,
      )
      closeSa(redundant)
    },
    failed(error, owner) {
      if (error instanceof ExchangeTimeout) owner.lost()
    },
  })
}

/** Children that only the redundant IKE SA has or is about to have; the same name and selectors make the same child. */
function missingChildren(redundant: IkeSa, staying: IkeSa): ChildPlan['config'][] {
  const there = childrenOf(staying)
  const configs = redundant.connection?.children ?? []
  return [...childrenOf(redundant)].flatMap(([name, selectors]) => {
    const same = there.get(name)
    if (selectors === undefined ? there.has(name) : same === selectors) return []
    return configs.find((config) => config.name === name) ?? []
  })
}

/** The children by their names, with their selectors if they are up. */
function childrenOf(sa: IkeSa): Map<string, string | undefined> {
  const begun = [...sa.activeTasks, ...sa.queuedTasks].flatMap((task) => task.child ?? [])
  const up = [...sa.children.values()].filter(({ leaving }) => !leaving)
  return new Map([
    ...begun.map((name) => [name, undefined] as const),
    ...up.map((child) => [child.name, selectorsOf(child)] as const),
  ])
}

function selectorsOf({ agreement, config }: ChildSa): string {
  return reqidKey(agreement.localTs, agreement.remoteTs, config)
}
