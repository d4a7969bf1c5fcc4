import type { Codec } from './codec.ts'

/** Nonce, RFC 7296 §3.9. */
export interface NoncePayload {
  readonly type: 'Nonce'
  /** 16 to 256 octets. */
  readonly nonce: Uint8Array
}

export const nonce: Codec<NoncePayload> = {
  number: 40,
  type: 'Nonce',
  decode(body) {
    if (body.left < 16 || body.left > 256) body.fail(`a nonce has 16 to 256 octets, not ${body.left}`)
    return { type: 'Nonce', nonce: body.rest() }
  },
  encode({ nonce }, body) {
    body.bytes(nonce)
  },
}
