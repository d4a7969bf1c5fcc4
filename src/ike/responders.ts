/** Which script answers which exchange. */
import { EXCHANGE } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { respond as respondToCreateChildSa } from './exchanges/create-child-sa.ts'
import { respond as respondToIkeAuth } from './exchanges/ike-auth.ts'
import { respondWithoutState } from './exchanges/ike-followup-ke.ts'
import { intermediatesLeft, respond as respondToIkeIntermediate } from './exchanges/ike-intermediate.ts'
import { respond as respondToIkeSaInit } from './exchanges/ike-sa-init.ts'
import { respond as respondToInformational } from './exchanges/informational.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Received, Script } from './script.ts'

/** The script for a request on `sa`, or undefined when such a request cannot be answered (yet). */
export function responders(exchange: number, sa: IkeSa, received: Received): Script<readonly Payload[]> | undefined {
  // Before both sides are authenticated only the exchanges that get there are allowed (RFC 7296 §2.21.1).
  const beginning =
    exchange === EXCHANGE.IKE_SA_INIT || exchange === EXCHANGE.IKE_INTERMEDIATE || exchange === EXCHANGE.IKE_AUTH
  if (!beginning && (sa.state === 'CREATED' || sa.state === 'CONNECTING')) {
    // Who has shown one round of several may also say that the other does not please it.
    const betweenRounds = exchange === EXCHANGE.INFORMATIONAL && sa.role === 'responder' && sa.remoteId !== undefined
    if (!betweenRounds) return undefined
  }
  if (beginning && sa.role === 'initiator') return undefined
  switch (exchange) {
    case EXCHANGE.IKE_SA_INIT:
      return respondToIkeSaInit(sa, received)
    case EXCHANGE.IKE_INTERMEDIATE:
      return intermediatesLeft(sa).length > 0 ? respondToIkeIntermediate(sa, received) : undefined
    case EXCHANGE.IKE_AUTH:
      // RFC 9242 §3.2: not before the last of them. Whoever asks is not authenticated: this ends nothing.
      return intermediatesLeft(sa).length === 0 ? respondToIkeAuth(sa, received) : undefined
    case EXCHANGE.CREATE_CHILD_SA:
      return respondToCreateChildSa(sa, received)
    case EXCHANGE.IKE_FOLLOWUP_KE:
      return respondWithoutState(received)
    case EXCHANGE.INFORMATIONAL:
      return respondToInformational(sa, received)
    default:
      return undefined
  }
}
