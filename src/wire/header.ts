import { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** The three flags of RFC 7296 §3.1. */
export interface HeaderFlags {
  /** Sent by the original initiator of the IKE SA. */
  readonly initiator: boolean
  readonly response: boolean
  /** The sender can speak a higher major version; we send it as false and ignore it. */
  readonly version: boolean
}

/** The IKE header, RFC 7296 §3.1. */
export interface Header {
  readonly spiI: bigint
  /** Zero in the first request of an initiator. */
  readonly spiR: bigint
  readonly nextPayload: number
  readonly major: number
  readonly minor: number
  readonly exchange: number
  readonly flags: HeaderFlags
  readonly messageId: number
  /** Octets of the whole message, header included. */
  readonly length: number
}

/** Octets of the header on the wire. */
export const HEADER_BYTES = 28

/**
 * Reads the 28 octets at the front of `bytes`, of any version: the layout is the same in IKEv1, so that the caller can
 * say whose message it is. `length` is not compared with the bytes.
 * @throws DecodeError if there are fewer than 28 octets
 */
export function decodeHeader(bytes: Uint8Array): Header {
  return readHeader(new Reader(bytes, 'header'))
}

/** As `decodeHeader`, leaving `body` behind the header. */
export function readHeader(body: Reader): Header {
  const spiI = body.u64()
  const spiR = body.u64()
  const nextPayload = body.u8()
  const version = body.u8()
  const exchange = body.u8()
  const flags = body.u8()
  return {
    spiI,
    spiR,
    nextPayload,
    major: version >>> 4,
    minor: version & 0xf,
    exchange,
    // RFC 7296 §3.1: the X(reserved) bits are ignored on receipt.
    flags: {
      initiator: (flags & FLAG.INITIATOR) !== 0,
      response: (flags & FLAG.RESPONSE) !== 0,
      version: (flags & FLAG.VERSION) !== 0,
    },
    messageId: body.u32(),
    length: body.u32(),
  }
}

/** Writes the header; `length` as given. */
export function encodeHeader(header: Header, out: Writer): void {
  out.u64(header.spiI)
  out.u64(header.spiR)
  out.u8(header.nextPayload)
  out.u8((header.major << 4) | header.minor)
  out.u8(header.exchange)
  out.u8(
    (header.flags.initiator ? FLAG.INITIATOR : 0) |
      (header.flags.version ? FLAG.VERSION : 0) |
      (header.flags.response ? FLAG.RESPONSE : 0),
  )
  out.u32(header.messageId)
  out.u32(header.length)
}

const FLAG = { INITIATOR: 0x08, VERSION: 0x10, RESPONSE: 0x20 } as const
