/**
 * Crossing creations: both sides create the same child on one IKE SA at the same time.
 *
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Ni, TSi, TSr}
 *
 * RFC 7296 has no rule for it, and both would be rekeyed for ever. The reasoning is that of first-contact.ts, where the
 * IKE SAs cross: the lowest of the four SPIs, which both sides know, names the redundant child; its initiator deletes
 * it, or the other side if that does not happen. Both are on one IKE SA, so that the one that stays needs no question.
 *
 *   HDR, SK {D}  -->
 *                      <--  HDR, SK {D}
 */
import { reqidKey } from './child-policies.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeChildSa } from './initiation.ts'

/** When the initiator of the redundant child looks at the two, and when the other side does. */
const initiatorLooksMs = 1_000
const responderLooksMs = 10_000
/** Between one look and the next while one of the two is being rekeyed. */
const againMs = 5_000
const mostLooks = 6

/** A child is up that is no rekeying: looks for the same one, created at the same time by the other side. */
export function settleFirstChild(sa: IkeSa, child: ChildSa): void {
  // Several alike are wanted.
  if (sa.connection?.unique === 'never') return
  for (const other of sa.children.values()) {
    if (other === child || !isSame(child, other) || !crossed(child, other)) continue
    const [redundant, staying] = lowestSpi(child) < lowestSpi(other) ? [child, other] : [other, child]
    sa.after(redundant.initiated ? initiatorLooksMs : responderLooksMs, () => look(sa, redundant, staying, 1))
  }
}

function isSame(a: ChildSa, b: ChildSa): boolean {
  return a.name === b.name && selectorsOf(a) === selectorsOf(b)
}

function selectorsOf({ agreement, config }: ChildSa): string {
  return reqidKey(agreement.localTs, agreement.remoteTs, config)
}

/** Whether each was begun by another side before the other one was installed. */
function crossed(a: ChildSa, b: ChildSa): boolean {
  return a.initiated !== b.initiated && a.uniqueId <= b.installedAfter && b.uniqueId <= a.installedAfter
}

function lowestSpi({ spiIn, spiOut }: ChildSa): number {
  return Math.min(spiIn, spiOut)
}

function look(sa: IkeSa, redundant: ChildSa, staying: ChildSa, looks: number): void {
  if (sa.closing || redundant.leaving || staying.leaving) return
  if (!sa.children.has(redundant.uniqueId) || !sa.children.has(staying.uniqueId)) return
  if (redundant.state !== 'INSTALLED' || staying.state !== 'INSTALLED') {
    if (looks < mostLooks) sa.after(againMs, () => look(sa, redundant, staying, looks + 1))
    return
  }
  const name = (child: ChildSa): string => `${child.name}{${child.uniqueId}}`
  const why = `both sides created it at once and ${name(staying)} stays`
  sa.core.log('IKE', 1, `closing CHILD_SA ${name(redundant)}, ${why}`, sa)
  closeChildSa(sa, redundant, () => {})
}
