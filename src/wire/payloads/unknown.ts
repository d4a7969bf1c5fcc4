import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'

/**
 * A payload of a type that we do not know. RFC 7296 §2.5: if `critical`, the message is to be answered with
 * UNSUPPORTED_CRITICAL_PAYLOAD, else the payload is ignored.
 */
export interface UnknownPayload {
  readonly type: 'Unknown'
  readonly number: number
  readonly critical: boolean
  readonly body: Uint8Array
}

export const unknown = {
  type: 'Unknown',
  decode: (body: Reader, number: number, critical: boolean): UnknownPayload => ({
    type: 'Unknown',
    number,
    critical,
    body: body.rest(),
  }),
  encode(payload: UnknownPayload, body: Writer): void {
    body.bytes(payload.body)
  },
} as const
