import type { Codec } from './codec.ts'

/** Authentication, RFC 7296 §3.8: method (1 octet), reserved (3), data. */
export interface AUTHPayload {
  readonly type: 'AUTH'
  /** `AUTH_METHOD`. */
  readonly method: number
  readonly data: Uint8Array
}

export const auth: Codec<AUTHPayload> = {
  number: 39,
  type: 'AUTH',
  decode(body) {
    const method = body.u8()
    body.bytes(3)
    return { type: 'AUTH', method, data: body.rest() }
  },
  encode({ method, data }, body) {
    body.u8(method)
    body.zeros(3)
    body.bytes(data)
  },
}
