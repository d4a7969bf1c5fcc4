import type { Codec } from './codec.ts'

/** Certificate, RFC 7296 §3.6: encoding (1 octet), data. */
export interface CERTPayload {
  readonly type: 'CERT'
  /** `CERT_ENCODING`. */
  readonly encoding: number
  readonly data: Uint8Array
}

export const cert: Codec<CERTPayload> = {
  number: 37,
  type: 'CERT',
  decode: (body) => ({ type: 'CERT', encoding: body.u8(), data: body.rest() }),
  encode({ encoding, data }, body) {
    body.u8(encoding)
    body.bytes(data)
  },
}
