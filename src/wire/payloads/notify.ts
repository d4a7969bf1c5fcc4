import type { Codec } from './codec.ts'

/** Notify, RFC 7296 §3.10: protocol (1 octet), SPI size (1), type (2), SPI, data. */
export interface NPayload {
  readonly type: 'N'
  /** `PROTOCOL`; 0 where no Child SA is concerned, and then to be ignored. */
  readonly protocol: number
  /**
   * The Child SA concerned. Of any size here: which sizes make sense depends on the type, and an unknown type is to be
   * ignored, not refused.
   */
  readonly spi: Uint8Array
  /** `NOTIFY`. */
  readonly notify: number
  readonly data: Uint8Array
}

export const notify: Codec<NPayload> = {
  number: 41,
  type: 'N',
  decode(body) {
    const protocol = body.u8()
    const spiSize = body.u8()
    const type = body.u16()
    return { type: 'N', protocol, notify: type, spi: body.bytes(spiSize), data: body.rest() }
  },
  encode({ protocol, spi, notify, data }, body) {
    body.u8(protocol)
    body.u8(spi.length)
    body.u16(notify)
    body.bytes(spi)
    body.bytes(data)
  },
}
