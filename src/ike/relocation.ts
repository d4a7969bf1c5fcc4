/** Children follow their IKE SA to other addresses and ports (RFC 4555 §3.5, RFC 7296 §2.23). */
import type { AddressSelector } from '../wire/payloads/index.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Script } from './script.ts'
import { hostSelector } from './selectors.ts'

/**
 * Moves all children in the kernel to where the IKE SA is now. Goes on when the kernel refuses one of them.
 * @throws KernelError the first of the refusals
 */
export function* moveChildren(sa: IkeSa): Script<void> {
  let first: unknown
  for (const child of [...sa.children.values()]) {
    try {
      yield* child.move(sa)
    } catch (error) {
      first ??= error
    }
  }
  if (first !== undefined) throw first
}

/**
 * Selectors of a host that was the IKE endpoint itself (`dynamic`, and all of transport mode) name the new one. Both
 * sides do so by themselves: nothing in MOBIKE negotiates selectors.
 */
export function readdressed(selectors: readonly AddressSelector[], from: string, to: string): AddressSelector[] {
  const before = hostSelector(from)
  const after = hostSelector(to)
  return selectors.map((selector) => {
    const isHost = [selector.start, selector.end].every((address) => Buffer.compare(address, before.start) === 0)
    return isHost ? { ...selector, family: after.family, start: after.start, end: after.end } : selector
  })
}
