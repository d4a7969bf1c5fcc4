import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'

/** Encrypted and Authenticated Fragment, RFC 7383 §2.5: fragment number (2 octets), total (2), then as in SK. */
export interface SKFPayload {
  readonly type: 'SKF'
  /** In fragment 1 the number of the first payload inside, in the others 0. */
  readonly inner: number
  /** Counted from 1. */
  readonly fragment: number
  /** At least `fragment`. */
  readonly total: number
  readonly body: Uint8Array
  /** Of a decoded message: where the generic header of this payload begins. */
  readonly start?: number
}

export const skf = {
  number: 53,
  type: 'SKF',
  decode(body: Reader, inner: number, start: number): SKFPayload {
    const fragment = body.u16()
    const total = body.u16()
    // RFC 7383 §2.6: neither is zero, and the number is not above the total. (A total of 0 is refused by that, too.)
    if (fragment === 0 || fragment > total) body.fail(`fragment ${fragment} of ${total}`)
    return { type: 'SKF', inner, fragment, total, body: body.rest(), start }
  },
  encode({ fragment, total, body: sealed }: SKFPayload, body: Writer): void {
    body.u16(fragment)
    body.u16(total)
    body.bytes(sealed)
  },
} as const
