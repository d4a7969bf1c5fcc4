/**
 * What a peer puts off (RFC 7296 §2.25):
 *
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {N(TEMPORARY_FAILURE)}
 *
 * It is asked again after a pause, so that the peer can finish what it is doing. One that says nothing else for minutes
 * knows something else of the IKE SA than we do: then that is closed.
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { ChildPlan } from './child-plan.ts'
import type { Core } from './core.ts'
import { PeerRefused } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { createChild } from './initiation.ts'
import { closeAndFollow } from './lifetimes.ts'

/** How long TEMPORARY_FAILURE is believed to be temporary. */
const patienceMs = 300_000

/** charon's pause before something is tried again: 15 s minus up to 10 s at random. */
export function pauseSeconds(core: Core): number {
  return 15 - (Buffer.from(core.random(4)).readUInt32BE() % 11)
}

/** A request that the peer could have put off has ended; `error` is missing when it was granted. */
export function noteOutcome(sa: IkeSa, error?: Error): void {
  const { core } = sa
  if (!isPutOff(error)) {
    if (error === undefined || error instanceof PeerRefused) sa.putOffSinceMs = undefined
    return
  }
  sa.putOffSinceMs ??= core.now
  if (sa.closing || core.now - sa.putOffSinceMs < patienceMs) return
  core.log('IKE', 1, `peer answers with TEMPORARY_FAILURE for minutes, closing IKE_SA ${sa.name}`, sa)
  closeAndFollow(sa, 'no answer')
}

/** Whether the peer has refused something for now only. */
export function isPutOff(error: unknown): boolean {
  return error instanceof PeerRefused && error.notify === NOTIFY.TEMPORARY_FAILURE
}

/** Creates a child after a pause, on the IKE SA that there is then. Until that, the plan is neither up nor failed. */
export function createLater(sa: IkeSa, plan: ChildPlan): void {
  const { core } = sa
  const seconds = pauseSeconds(core)
  core.log('IKE', 1, `creating CHILD_SA ${plan.config.name} failed, trying again in ${seconds} seconds`, sa)
  const fail = () => plan.failed('IKE_SA was closed')
  sa.latest.putOff.add(plan)
  const timer = core.timers.set(core.now + seconds * 1000, () => {
    const owner = sa.latest
    owner.putOff.delete(plan)
    if (owner.destroyed || owner.closing) fail()
    else createChild(owner, plan)
  })
  const whenGone = (owner: IkeSa): void =>
    owner.onDestroy(() => {
      if (owner.replacedBy !== undefined) return whenGone(owner.replacedBy)
      timer.clear()
      fail()
    })
  whenGone(sa)
}
