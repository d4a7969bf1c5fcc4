import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'

/**
 * One payload type, both directions: the body behind the generic payload header of RFC 7296 §3.2. `decode` is given
 * exactly the body and reads all of it; reserved fields are written as zero and ignored on receipt.
 */
export interface Codec<P extends { readonly type: string }> {
  /** The number of the payload type. */
  readonly number: number
  readonly type: P['type']
  /** @throws DecodeError if the body has not the form of the payload */
  decode(body: Reader): P
  encode(payload: P, body: Writer): void
}
