import type { Codec } from './codec.ts'

/** Key Exchange, RFC 7296 §3.4: method (2 octets), reserved (2), data. */
export interface KEPayload {
  readonly type: 'KE'
  /** The key exchange method, `KE`. */
  readonly method: number
  readonly data: Uint8Array
}

export const ke: Codec<KEPayload> = {
  number: 34,
  type: 'KE',
  decode(body) {
    const method = body.u16()
    body.u16()
    return { type: 'KE', method, data: body.rest() }
  },
  encode({ method, data }, body) {
    body.u16(method)
    body.zeros(2)
    body.bytes(data)
  },
}
