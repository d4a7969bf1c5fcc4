/**
 * INVALID_MESSAGE_ID, RFC 7296 §2.3: an authentic request came that the window has no room for. It is not answered; the
 * peer hears of it in an exchange of our own, and not often:
 *
 *   HDR, SK {N(INVALID_MESSAGE_ID)(the message ID)}  -->
 *                      <--  HDR, SK {}
 */
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import type { IkeSa } from './ike-sa.ts'
import { peerLost } from './initiation.ts'
import { notify } from './notifies.ts'
import { request } from './script.ts'

const pauseMs = 60_000

/** Tells the peer of a message ID, unless it has been told of one a moment ago. */
export function sayInvalid(sa: IkeSa, messageId: number): void {
  const { core } = sa
  if (sa.state !== 'ESTABLISHED' && sa.state !== 'REKEYING') return
  if (core.now < (sa.invalidSaidAtMs ?? Number.NEGATIVE_INFINITY) + pauseMs) return
  sa.invalidSaidAtMs = core.now
  const data = new Uint8Array(4)
  new DataView(data.buffer).setUint32(0, messageId)
  sa.enqueue({
    names: ['IKE_INVALID_ID'],
    *script(owner) {
      // On a successor the message ID means nothing.
      if (owner === sa) yield* request(EXCHANGE.INFORMATIONAL, [notify(NOTIFY.INVALID_MESSAGE_ID, data)])
    },
    failed: (error, owner) => {
      if (error !== undefined) peerLost(owner, error)
    },
  })
}
