/**
 * When a packet last used a state of a Child SA. The kernel tells it by the calendar, which somebody may set: its time
 * counts only if the packet counter has moved since the last look and the time is between then and now.
 */
import type { ChildSa } from './child-sa.ts'
import { kernel, type Script } from './script.ts'

/** What the last look at a state has shown (times in epoch milliseconds, by the clock of the core). */
export interface Use {
  readonly packets: bigint
  readonly usedMs: number
  readonly lookedMs: number
}

/** Asks the kernel; 0 if no packet is known to have used the state (epoch milliseconds, by the clock of the core). */
export function* lastUse(child: ChildSa, direction: 'in' | 'out'): Script<number> {
  const id = direction === 'in' ? child.inboundId : child.outboundId
  const { core } = child.owner
  const { packets, usedMs, lookedMs } = child.uses[direction] ?? {
    packets: 0n,
    usedMs: 0,
    lookedMs: child.installedAtMs ?? 0,
  }
  const asked = core.now
  const usage = id && (yield* kernel({ kind: 'query-sa', id }))
  if (usage === undefined) return usedMs
  const moved = usage.packets !== packets
  const next = moved ? byOurClock(usage.lastUsedMs, lookedMs, core.now) : usedMs
  child.uses[direction] = { packets: usage.packets, usedMs: next, lookedMs: asked }
  return next
}

/** A time that cannot be true is taken for now: rather too late than too early. */
function byOurClock(saidMs: number | undefined, lookedMs: number, now: number): number {
  if (saidMs === undefined || saidMs > now || saidMs <= lookedMs - kernelTicksMs) return now
  return Math.max(saidMs, lookedMs)
}

/** The kernel tells whole seconds. */
const kernelTicksMs = 1000
