import type { Codec } from './codec.ts'

/** Certificate Request, RFC 7296 §3.7: encoding (1 octet), data. */
export interface CERTREQPayload {
  readonly type: 'CERTREQ'
  /** `CERT_ENCODING`. */
  readonly encoding: number
  /** For X.509: SHA-1 hashes of the public keys of accepted authorities, 20 octets each; not checked here. */
  readonly data: Uint8Array
}

export const certreq: Codec<CERTREQPayload> = {
  number: 38,
  type: 'CERTREQ',
  decode: (body) => ({ type: 'CERTREQ', encoding: body.u8(), data: body.rest() }),
  encode({ encoding, data }, body) {
    body.u8(encoding)
    body.bytes(data)
  },
}
