/**
 * Children with `inactivity`: one that no packet has used for so long is closed (CHARON 8.3). Only the kernel knows: it
 * is asked when the time may have come.
 */
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import { closeChildSa, closeSa } from './initiation.ts'
import { kernel, type Script } from './script.ts'

/** Between one look and the next while the child is being rekeyed. */
const busyMs = 5_000

/** Begins to look after a child that has been installed. */
export function watchInactivity(core: Core, child: ChildSa): void {
  const limitMs = child.config.inactivitySeconds * 1000
  if (limitMs > 0) look(core, child, child.idleSinceMs + limitMs - core.now)
}

/** When a packet last used either state of a child, as far as is known (epoch milliseconds). */
export function* lastUse(child: ChildSa): Script<number> {
  let last = child.idleSinceMs
  for (const id of [child.inboundId, child.outboundId]) {
    const usage = id && (yield* kernel({ kind: 'query-sa', id }))
    last = Math.max(last, usage?.lastUsedMs ?? 0)
  }
  return last
}

function look(core: Core, child: ChildSa, inMs: number): void {
  child.after(core, 'idle', Math.max(0, inMs), () => {
    core.spawn(
      lastUse(child),
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
