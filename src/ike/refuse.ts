/** The one place where an error becomes a response. */

import { InvalidPublicValue } from '../crypto/errors.ts'
import { KernelError } from '../kernel/operations.ts'
import { DecodeError } from '../wire/errors.ts'
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { ShapeError } from '../wire/shape.ts'
import { Refusal } from './errors.ts'
import { notify } from './notifies.ts'

export interface RefusedRequest {
  /** What the peer is told; undefined: nothing. */
  readonly payloads: readonly Payload[] | undefined
  readonly endsSa: boolean
  readonly message: string
}

/** @param exchange the exchange whose request is refused */
export function refusalFor(error: Error, exchange: number): RefusedRequest {
  // Before the peer is authenticated there is nothing to keep: RFC 7296 §2.21.1 and §2.21.2.
  const beginning =
    exchange === EXCHANGE.IKE_SA_INIT || exchange === EXCHANGE.IKE_INTERMEDIATE || exchange === EXCHANGE.IKE_AUTH
  if (error instanceof Refusal) {
    return {
      payloads:
        error.instead ?? (error.notify === 0 ? undefined : [{ ...notify(error.notify, error.data), ...error.child }]),
      endsSa: error.endsSa || exchange === EXCHANGE.IKE_SA_INIT || isFatal(error.notify, beginning),
      message: error.message,
    }
  }
  if (error instanceof DecodeError || error instanceof ShapeError) {
    // RFC 7296 §2.21.3: INVALID_SYNTAX in an authenticated message is fatal to the SA.
    return { payloads: [notify(NOTIFY.INVALID_SYNTAX)], endsSa: true, message: `invalid syntax: ${error.message}` }
  }
  if (error instanceof InvalidPublicValue) {
    // RFC 6989 §2.5: the IKE SA goes at once. INVALID_SYNTAX is for messages that are protected (RFC 7296 §3.10.1).
    const payloads = exchange === EXCHANGE.IKE_SA_INIT ? undefined : [notify(NOTIFY.INVALID_SYNTAX)]
    return { payloads, endsSa: true, message: error.message }
  }
  if (error instanceof KernelError) {
    return { payloads: [notify(NOTIFY.TEMPORARY_FAILURE)], endsSa: beginning, message: error.message }
  }
  return {
    payloads: [notify(beginning ? NOTIFY.AUTHENTICATION_FAILED : NOTIFY.TEMPORARY_FAILURE)],
    endsSa: beginning,
    message: error.message,
  }
}

/**
 * The errors that end the IKE SA on both sides without a Delete (RFC 7296 §2.21.2, §2.21.3). An unknown critical payload
 * does so only before the IKE SA is up.
 */
function isFatal(type: number, beginning: boolean): boolean {
  return type === NOTIFY.INVALID_SYNTAX || (beginning && type === NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD)
}
