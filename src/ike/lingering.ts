/**
 * States that have been replaced. A packet may have chosen such an outbound state a moment before the policy went over to
 * the new one, and wait for its turn on a busy processor: if the state is gone by then, Linux drops the packet
 * (XfrmOutStateInvalid). So it is deleted a little later; new packets go by the policy and do not find it. And when an IKE
 * SA has been replaced by a reauthentication, packets of its Child SAs may be on the way to us (XfrmInNoStates).
 */
import type { KernelSa } from '../kernel/operations.ts'
import { idOf, wipe } from './child-states.ts'
import type { Core } from './core.ts'
import type { Timer } from './timers.ts'

/** Longer than any packet waits. */
const lingerMs = 1_000

export class Lingering {
  readonly #core: Core
  readonly #byReqid = new Map<number, Map<KernelSa, Timer>>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Takes over a state that the kernel still has. */
  add(state: KernelSa): void {
    const { timers, now } = this.#core
    const same = this.#byReqid.get(state.reqid) ?? new Map<KernelSa, Timer>()
    this.#byReqid.set(state.reqid, same)
    same.set(
      state,
      timers.set(now + lingerMs, () => {
        same.delete(state)
        if (same.size === 0) this.#byReqid.delete(state.reqid)
        this.#delete(state)
      }),
    )
  }

  /** Nothing crosses under this reqid any more: its states go at once. */
  end(reqid: number): void {
    const states = this.#byReqid.get(reqid) ?? []
    this.#byReqid.delete(reqid)
    for (const [state, timer] of states) {
      timer.clear()
      this.#delete(state)
    }
  }

  get size(): number {
    let count = 0
    for (const { size } of this.#byReqid.values()) count += size
    return count
  }

  #delete(state: KernelSa): void {
    this.#core.kernel({ kind: 'delete-sa', id: idOf(state) }, undefined, () => wipe(state))
  }
}
