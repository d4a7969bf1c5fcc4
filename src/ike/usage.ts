/** What the kernel has counted for children: for listings, and for the end of a child, which accounts are made of. */
import { KernelError, type SaUsage } from '../kernel/operations.ts'
import type { ChildSa } from './child-sa.ts'
import { kernel, type Script } from './script.ts'
import type { ChildUsage } from './views.ts'

/**
 * Asks the kernel for the counters of children, and lets each remember its own: after that it is shown with them. Without
 * an answer, or gone in the meantime, a child has none here, and those of the last time where it is shown.
 */
export function* learnUsage(children: readonly ChildSa[]): Script<Map<ChildSa, ChildUsage>> {
  const asked = children.flatMap((child) =>
    (['in', 'out'] as const).flatMap((direction) => {
      const id = direction === 'in' ? child.inboundId : child.outboundId
      return id === undefined ? [] : [{ child, direction, id }]
    }),
  )
  const found = new Map(children.map((child): [ChildSa, { in?: SaUsage; out?: SaUsage }] => [child, {}]))
  if (asked.length === 0) return found
  try {
    const answers = yield* kernel({ kind: 'query-sas', ids: asked.map(({ id }) => id) })
    for (const [i, { child, direction }] of asked.entries()) {
      const [answer, entry] = [answers[i], found.get(child)]
      if (answer !== undefined && entry !== undefined) entry[direction] = answer
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
  }
  for (const [child, usage] of found) child.usage = { ...child.usage, ...usage }
  return found
}
