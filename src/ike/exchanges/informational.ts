/**
 * INFORMATIONAL as responder, RFC 7296 §1.4: deletes, notifies, or nothing at all (a liveness check).
 *
 *   HDR, SK {[N,] [D,] [CP,] ...}  -->
 *                <--  HDR, SK {[N,] [D,] [CP], ...}
 */
import { CFG_TYPE, FIRST_STATUS, NOTIFY, nameOf, PROTOCOL } from '../../wire/numbers.ts'
import type { CPPayload, DPayload, NPayload, Payload } from '../../wire/payloads/index.ts'
import { shape } from '../../wire/shape.ts'
import { trapsForDeleted } from '../actions.ts'
import { configurationReply } from '../configuration.ts'
import { Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { heardInvalidSpi } from '../invalid-spi.ts'
import { refuseCritical } from '../messages.ts'
import { receiveAuthLifetime } from '../reauthentication.ts'
import { receiveRedirect } from '../redirect.ts'
import type { Received, Script } from '../script.ts'
import { learnWindow } from '../window-size.ts'
import { respondToDelete } from './delete.ts'
import { synchronizeCounters } from './message-id-sync.ts'
import { answerMobike } from './update-sa-addresses.ts'

const requestShape = shape({ D: 'many', N: 'many', CP: 'optional' })

export function* respond(sa: IkeSa, received: Received): Script<readonly Payload[]> {
  refuseCritical(received.payloads)
  const { D, N, CP } = requestShape(received.payloads)
  if (sa.state === 'CONNECTING') return endedEarly(sa, D, N)
  for (const { notify } of N) {
    if (notify >= FIRST_STATUS) continue
    sa.core.log('IKE', 1, `received ${nameOf(NOTIFY, notify)} notify error`, sa)
    if (notify === NOTIFY.AUTHENTICATION_FAILED) {
      // RFC 7296 §2.21.2: the initiator did not believe us; the IKE SA is dead.
      sa.core.alert('local-auth-failed', sa)
      sa.whenAnswered(() => sa.close('refused by peer'))
    }
  }
  receiveAuthLifetime(sa, N)
  heardInvalidSpi(sa, N)
  learnWindow(sa, N)
  synchronizeCounters(sa, N)
  const others = [...answerMobike(sa, N, received), ...answerConfiguration(CP)]
  if (D.length === 0) {
    receiveRedirect(sa, N)
    return others
  }
  yield* trapsForDeleted(sa, D)
  return [...(yield* respondToDelete(sa, D)), ...others]
}

/**
 * What the peer wants to know of us (§2.20). Addresses are given in IKE_AUTH only, and of a CFG_SET nothing is accepted,
 * which no CP payload says as well as an empty one (§3.15.1).
 */
function answerConfiguration(CP: CPPayload | undefined): Payload[] {
  return CP?.cfgType === CFG_TYPE.REQUEST ? [configurationReply(CP, [], [])] : []
}

/** Between two authentication rounds: nothing but that the initiator does not believe us, or does not want to go on. */
function endedEarly(sa: IkeSa, D: readonly DPayload[], N: readonly NPayload[]): readonly Payload[] {
  const refused = N.some(({ notify }) => notify === NOTIFY.AUTHENTICATION_FAILED)
  if (!refused && !D.some(({ protocol }) => protocol === PROTOCOL.IKE)) {
    throw new Refusal(0, 'INFORMATIONAL request before the authentication is over')
  }
  sa.core.log('IKE', 1, refused ? 'received AUTHENTICATION_FAILED notify error' : 'received DELETE for IKE_SA', sa)
  if (refused) sa.core.alert('local-auth-failed', sa)
  sa.whenAnswered(() => sa.close('refused by peer'))
  return []
}
