/**
 * Children with `inactivity`: one that no packet has used for so long is closed (CHARON 8.3). Only the kernel knows: it
 * is asked when the time may have come.
 */
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import { closeChildSa, closeSa } from './initiation.ts'
import { lastUse } from './last-use.ts'
import type { Script } from './script.ts'

/** Between one look and the next while the child is being rekeyed. */
const busyMs = 5_000

/** Begins to look after a child that has been installed. */
export function watchInactivity(core: Core, child: ChildSa): void {
  const limitMs = child.config.inactivitySeconds * 1000
  if (limitMs > 0) look(core, child, child.idleSinceMs + limitMs - core.now)
}

/** Since when no packet is known to have used either state of a child (epoch milliseconds). */
export function* idleSince(child: ChildSa): Script<number> {
  const received = yield* lastUse(child, 'in')
  const sent = yield* lastUse(child, 'out')
  return Math.max(child.idleSinceMs, received, sent)
}

function look(core: Core, child: ChildSa, inMs: number): void {
  child.after(core, 'idle', Math.max(0, inMs), () => {
    core.spawn(
      idleSince(child),
      (last) => decide(core, child, last),
      (error) => core.log('KNL', 1, error.message, child.owner, 'error'),
    )
  })
}

function decide(core: Core, child: ChildSa, last: number): void {
  const { owner, config } = child
  if (owner.closing || child.leaving || !owner.children.has(child.uniqueId)) return
  child.idleSinceMs = last
  const leftMs = last + config.inactivitySeconds * 1000 - core.now
  if (leftMs > 0) return look(core, child, leftMs)
  // Its successor is looked after by itself; a rekeying that fails leaves the old one.
  if (child.state === 'REKEYED' || child.state === 'DELETED') return
  if (child.state !== 'INSTALLED') return look(core, child, busyMs)
  const seconds = Math.floor((core.now - last) / 1000)
  if (core.settings.inactivityCloseIke && owner.children.size === 1) {
    core.log('IKE', 1, `deleting IKE_SA after ${seconds} seconds of CHILD_SA inactivity`, owner)
    closeSa(owner)
  } else {
    core.log('IKE', 1, `deleting CHILD_SA after ${seconds} seconds of inactivity`, owner)
    closeChildSa(owner, child, () => {})
  }
}
