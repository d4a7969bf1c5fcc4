/**
 * A Child SA that is made where another one carries the same packets already, and is no rekeying of it: in a
 * reauthentication (RFC 7296 §2.8.3), or because both sides made one at once. As in a rekeying (§2.8) the responder does
 * not send on the new one before the initiator can receive on it: what it sends would overtake its answer and be lost.
 *
 *   HDR, SK {IDi, AUTH, SA, ...}  -->
 *                      <--  HDR, SK {IDr, AUTH, SA, ...}      the responder receives on the new one
 *   HDR, SK {D}  -->                                          on the old IKE SA: it sends on the new one
 *                      <--  HDR, SK {}
 *
 * When nothing is deleted, time tells that the answer has arrived.
 */

import { ChildPlan } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeChildSa, createChild } from './initiation.ts'
import type { Script } from './script.ts'

/** A peer that keeps both SAs has the answer by then, and has had it sent again once if it was lost. */
const patienceMs = 5_000

/** The SA in whose place a new one would send, if that can wait: not for one that is on its way out. */
export function predecessorOf(sa: IkeSa, child: ChildSa): ChildSa | undefined {
  const before = child.predecessor(sa)
  if (before?.state !== 'INSTALLED' || before.deleteSent || before.leaving) return undefined
  const { owner } = before
  return owner.closing || owner.destroyed || owner.state === 'DELETING' ? undefined : before
}

/** `child` receives, and sends when `before` goes. */
export function awaitTurn(child: ChildSa, before: ChildSa): void {
  const { core } = child.owner
  child.heirOf = before
  before.heirs.add(child)
  child.after(core, 'switch', patienceMs, () => child.enableOutbound(core, unusable(child)))
}

/** `old` goes: its heirs send from now on, or wait for what has taken its place by rekeying. */
export function leaveToHeirs(old: ChildSa): void {
  const { core } = old.owner
  const next = old.replacedBy
  const stays = next !== undefined && next.state !== 'DELETED' && next.owner.children.has(next.uniqueId)
  for (const heir of old.heirs) {
    if (stays) {
      old.heirs.delete(heir)
      heir.heirOf = next
      next.heirs.add(heir)
    } else if (!core.shuttingDown) heir.enableOutbound(core, unusable(heir))
  }
}

/**
 * The same before the peer hears that `old` is no longer in use (RFC 7296 §1.4.1) and stops receiving on it; any other SA
 * that can carry its packets does so from now on.
 */
export function* leaveInTime(old: ChildSa): Script<void> {
  const { core } = old.owner
  for (const heir of old.heirs) yield* heir.sendOnIt(core, unusable(heir))
  yield* old.stepAside(core)
}

/** The kernel refuses to send on it: another one is made from scratch. */
export function unusable(created: ChildSa): (error: Error) => void {
  return (error) => {
    const { owner } = created
    owner.core.log('KNL', 1, error.message, owner, 'error')
    closeChildSa(owner, created, () => {})
    createChild(owner, new ChildPlan(created.config))
  }
}
