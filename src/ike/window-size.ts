/**
 * SET_WINDOW_SIZE, RFC 7296 §2.3: how many requests each side takes at once. Both say so in IKE_AUTH, and it is true when
 * that is over; until then, and to a peer that says nothing, the window is 1.
 *
 *   HDR, SK {IDi, … SAi2, TSi, TSr, N(SET_WINDOW_SIZE)}  -->
 *                      <--  HDR, SK {IDr, … SAr2, TSi, TSr, N(SET_WINDOW_SIZE)}
 *
 * A window never shrinks, but the IKE SA that a rekeying makes begins with 1 again, and says it anew:
 *
 *   HDR, SK {N(SET_WINDOW_SIZE)}  -->
 *                      <--  HDR, SK {}
 */
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import type { IkeSa } from './ike-sa.ts'
import { peerLost } from './initiation.ts'
import { find, notify } from './notifies.ts'
import { request } from './script.ts'

/** For IKE_AUTH; nothing where the window stays 1, which peers take for granted. */
export function announceWindow({ core }: IkeSa): NPayload[] {
  const { windowSize } = core.settings
  if (windowSize <= 1) return []
  const data = new Uint8Array(4)
  new DataView(data.buffer).setUint32(0, windowSize)
  return [notify(NOTIFY.SET_WINDOW_SIZE, data)]
}

/** Takes notice of the peer's window. Data that is not four octets says nothing. */
export function learnWindow(sa: IkeSa, notifies: readonly NPayload[]): void {
  const data = find(notifies, NOTIFY.SET_WINDOW_SIZE)?.data
  if (data?.length !== 4) return
  const size = new DataView(data.slice().buffer).getUint32(0)
  sa.core.log('IKE', 2, `peer takes ${size} requests at once`, sa)
  sa.dialogue.peerTakes(size)
}

/** The initial exchanges are over: from now on holds what both have said in them. */
export function openWindows(sa: IkeSa, notifies: readonly NPayload[]): void {
  sa.dialogue.weTake(sa.core.settings.windowSize)
  learnWindow(sa, notifies)
}

/** An IKE SA that came of a rekeying is in force. */
export function announceWindowAnew(sa: IkeSa): void {
  const { windowSize } = sa.core.settings
  if (windowSize <= 1) return
  // What the peer may do as soon as it hears of it has to be allowed before.
  sa.dialogue.weTake(windowSize)
  sa.enqueue({
    names: ['IKE_WINDOW'],
    *script(owner) {
      // The next IKE SA speaks for itself.
      if (owner === sa) yield* request(EXCHANGE.INFORMATIONAL, announceWindow(sa))
    },
    failed: (error, owner) => {
      if (error !== undefined) peerLost(owner, error)
    },
  })
}
