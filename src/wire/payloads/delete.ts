import { PROTOCOL } from '../numbers.ts'
import type { Codec } from './codec.ts'

/** Delete, RFC 7296 §3.11: protocol (1 octet), SPI size (1), number of SPIs (2), SPIs. */
export interface DPayload {
  readonly type: 'D'
  /** `PROTOCOL`; IKE means the IKE SA of the message. */
  readonly protocol: number
  /** 0 for IKE, 4 for AH and ESP. */
  readonly spiSize: number
  /** The sender's inbound SPIs, of `spiSize` octets each. */
  readonly spis: readonly Uint8Array[]
}

export const del: Codec<DPayload> = {
  number: 42,
  type: 'D',
  decode(body) {
    const protocol = body.u8()
    const spiSize = body.u8()
    const count = body.u16()
    const wanted = protocol === PROTOCOL.IKE ? 0 : protocol === PROTOCOL.AH || protocol === PROTOCOL.ESP ? 4 : spiSize
    if (spiSize !== wanted) body.fail(`SPIs of ${spiSize} octets for protocol ${protocol}`)
    // Also keeps a body of four octets from asking for 65,535 empty SPIs.
    if (spiSize === 0 && count > 0) body.fail(`${count} SPIs of no octets`)
    if (body.left !== spiSize * count) body.fail(`${body.left} octets for ${count} SPIs of ${spiSize}`)
    const spis: Uint8Array[] = []
    while (spis.length < count) spis.push(body.bytes(spiSize))
    return { type: 'D', protocol, spiSize, spis }
  },
  encode({ protocol, spiSize, spis }, body) {
    body.u8(protocol)
    body.u8(spiSize)
    body.u16(spis.length)
    for (const spi of spis) {
      if (spi.length !== spiSize) throw new RangeError(`an SPI of ${spi.length} octets, not ${spiSize}`)
      body.bytes(spi)
    }
  },
}
