/**
 * When an IKE SA is rekeyed, reauthenticated and at last deleted (CHARON 8.3).
 *
 * A peer that does not rekey, because it is a minimal one or has as many SAs as it takes, answers
 *
 *   HDR, SK {SA, Ni, ...}  -->
 *                      <--  HDR, SK {N(NO_ADDITIONAL_SAS)}
 *
 * Then everything is made from the beginning (RFC 7296 §4), as in a reauthentication.
 */

import { DecodeError } from '../wire/errors.ts'
import { NOTIFY } from '../wire/numbers.ts'
import { ShapeError } from '../wire/shape.ts'
import { type Ending, endedWith, follow } from './actions.ts'
import type { ChildSa } from './child-sa.ts'
import { ExchangeTimeout, PeerRefused, Refusal } from './errors.ts'
import { closeIkeSa } from './exchanges/delete.ts'
import { initiate as rekeyChildSa } from './exchanges/rekey-child-sa.ts'
import { initiate as rekeyIkeSa } from './exchanges/rekey-ike-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import { noteOutcome, pauseSeconds } from './put-off.ts'
import { reauthenticate, scheduleReauthentication } from './reauthentication.ts'

/** Draws the times of an IKE SA that is established now, and sets its timers. */
export function scheduleLifetime(sa: IkeSa): void {
  const { core, connection } = sa
  if (connection === undefined) return
  sa.dialogue.whenIdsRunOut(() => rekey(sa))
  const { rekeySeconds, reauthSeconds, overSeconds, randSeconds } = connection
  const draw = () => Buffer.from(core.random(4)).readUInt32BE() % Math.max(1, randSeconds)
  const times: number[] = []
  if (rekeySeconds > 0) {
    const seconds = rekeySeconds - draw()
    times.push(seconds)
    sa.rekeyAtMs = core.now + seconds * 1000
    core.log('IKE', 1, `scheduling rekeying in ${seconds}s`, sa)
    sa.after(seconds * 1000, () => rekey(sa))
  }
  if (reauthSeconds > 0 || sa.reauthAtMs !== undefined) {
    const inherited = sa.reauthAtMs === undefined ? undefined : Math.ceil((sa.reauthAtMs - core.now) / 1000)
    const seconds = Math.max(0, inherited ?? reauthSeconds - draw())
    times.push(seconds)
    core.log('IKE', 1, `scheduling reauthentication in ${seconds}s`, sa)
    scheduleReauthentication(sa, seconds)
  }
  if (times.length > 0 && overSeconds > 0) {
    const seconds = Math.min(...times) + overSeconds
    core.log('IKE', 1, `maximum IKE_SA lifetime ${seconds}s`, sa)
    sa.after(seconds * 1000, () => {
      core.alert('ike-sa-expired', sa)
      closeAndFollow(sa, 'IKE_SA expired')
    })
  }
}

/** Closes an IKE SA that nobody has asked to be closed; its children become what the ending says. */
export function closeAndFollow(sa: IkeSa, ending: Ending): void {
  for (const ended of endedWith(sa)) sa.onDestroy(() => follow(sa.core, ended, ending))
  sa.closing = true
  sa.cancelQueued()
  sa.enqueue({ names: ['IKE_DELETE'], script: closeIkeSa, failed: (_error, owner) => owner.destroy() })
}

/**
 * Queues the rekeying of an IKE SA; one that fails is tried again soon. If we cannot take the answer the peer has gone on to
 * an IKE SA of which we have no keys, and waits for the old one to be deleted: everything is closed and begins anew.
 */
export function rekey(sa: IkeSa): void {
  sa.enqueue({
    names: ['IKE_REKEY'],
    script: rekeyIkeSa,
    done: () => noteOutcome(sa),
    failed: (error, owner) => {
      const unusable = error instanceof Refusal || error instanceof ShapeError || error instanceof DecodeError
      if (!unusable || owner.destroyed || owner.closing) {
        return again(owner, error, 'IKE_SA', (ms) => owner.after(ms, () => rekey(owner)))
      }
      owner.core.log('IKE', 1, `${error.message}, closing IKE_SA ${owner.name}`, owner)
      closeAndFollow(owner, 'no answer')
    },
  })
}

/** Queues the rekeying of a child; one that fails is tried again soon. */
export function rekeyChild(sa: IkeSa, child: ChildSa): void {
  sa.enqueue({
    names: ['CHILD_REKEY'],
    changes: child.name,
    script: (owner) => rekeyChildSa(owner, child),
    done: () => noteOutcome(child.owner),
    failed: (error, owner) =>
      again(owner, error, 'CHILD_SA', (ms) => {
        if (owner.children.has(child.uniqueId))
          child.after(owner.core, 'retry', ms, () => rekeyChild(child.owner, child))
      }),
  })
}

/** charon's pause: 15 s minus up to 10 s at random. Without an answer the peer is gone instead. */
function again(sa: IkeSa, error: Error | undefined, what: string, retry: (ms: number) => void): void {
  const { core } = sa
  if (error === undefined || sa.destroyed) return
  core.log('IKE', 1, error.message, sa)
  if (error instanceof ExchangeTimeout) {
    sa.lost()
    return
  }
  if (error instanceof PeerRefused && error.notify === NOTIFY.NO_ADDITIONAL_SAS) {
    core.log('IKE', 1, `${what} rekeying is not possible with this peer, recreating the IKE_SA`, sa)
    reauthenticate(sa)
    return
  }
  noteOutcome(sa, error)
  if (sa.closing) return
  const seconds = pauseSeconds(core)
  core.log('IKE', 1, `${what} rekeying failed, trying again in ${seconds} seconds`, sa)
  retry(seconds * 1000)
}
