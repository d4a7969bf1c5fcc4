/** Building and finding notify payloads. */
import { FIRST_STATUS } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'

const empty = new Uint8Array()

/** A notify about the IKE SA or the exchange itself: no protocol, no SPI. */
export function notify(type: number, data: Uint8Array = empty): NPayload {
  return { type: 'N', protocol: 0, spi: empty, notify: type, data }
}

export function has(notifies: readonly NPayload[], type: number): boolean {
  return notifies.some((payload) => payload.notify === type)
}

export function find(notifies: readonly NPayload[], type: number): NPayload | undefined {
  return notifies.find((payload) => payload.notify === type)
}

/** The first error notify, if there is one (types below 16384, RFC 7296 §3.10.1). */
export function errorIn(notifies: readonly NPayload[]): NPayload | undefined {
  return notifies.find((payload) => payload.notify < FIRST_STATUS)
}
