import type { Codec } from './codec.ts'

/** Vendor ID, RFC 7296 §3.12. */
export interface VPayload {
  readonly type: 'V'
  readonly data: Uint8Array
}

export const vendorId: Codec<VPayload> = {
  number: 43,
  type: 'V',
  decode: (body) => ({ type: 'V', data: body.rest() }),
  encode({ data }, body) {
    body.bytes(data)
  },
}
