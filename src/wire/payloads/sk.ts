import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'

/**
 * Encrypted and Authenticated, RFC 7296 §3.14: IV, ciphertext with padding, integrity checksum.
 *
 * Its Next Payload field does not continue the chain but names the first payload inside, so `decode` is handed it.
 */
export interface SKPayload {
  readonly type: 'SK'
  /** The number of the first payload inside; 0 if there is none. */
  readonly inner: number
  readonly body: Uint8Array
  /** Of a decoded message: where the generic header of this payload begins. */
  readonly start?: number
}

export const sk = {
  number: 46,
  type: 'SK',
  decode: (body: Reader, inner: number, start: number): SKPayload => ({ type: 'SK', inner, body: body.rest(), start }),
  encode({ body: sealed }: SKPayload, body: Writer): void {
    body.bytes(sealed)
  },
} as const
