/** VICI packets: what one frame carries. */
import type { Tree } from '../config/tree.ts'
import { Reader } from '../wire/reader.ts'
import { Writer } from '../wire/writer.ts'
import { decodeName, encodeName, writeMessage } from './message.ts'

export const PACKET = {
  CMD_REQUEST: 0,
  CMD_RESPONSE: 1,
  CMD_UNKNOWN: 2,
  EVENT_REGISTER: 3,
  EVENT_UNREGISTER: 4,
  EVENT_CONFIRM: 5,
  EVENT_UNKNOWN: 6,
  EVENT: 7,
} as const

/** A packet with its message still as bytes: a server parses it only when a command looks at it. */
export type Packet =
  | { readonly type: 'CMD_REQUEST' | 'EVENT'; readonly name: string; readonly message: Uint8Array }
  | { readonly type: 'EVENT_REGISTER' | 'EVENT_UNREGISTER'; readonly name: string }
  | { readonly type: 'CMD_RESPONSE'; readonly message: Uint8Array }
  | { readonly type: 'CMD_UNKNOWN' | 'EVENT_CONFIRM' | 'EVENT_UNKNOWN' }
  | { readonly type: 'unknown'; readonly number: number }

/** @throws DecodeError for an empty packet or a broken name. */
export function decodePacket(bytes: Uint8Array): Packet {
  const reader = new Reader(bytes, 'packet')
  const number = reader.u8()
  switch (number) {
    case PACKET.CMD_REQUEST:
      return { type: 'CMD_REQUEST', name: decodeName(reader), message: reader.rest() }
    case PACKET.EVENT:
      return { type: 'EVENT', name: decodeName(reader), message: reader.rest() }
    case PACKET.EVENT_REGISTER:
      return { type: 'EVENT_REGISTER', name: decodeName(reader) }
    case PACKET.EVENT_UNREGISTER:
      return { type: 'EVENT_UNREGISTER', name: decodeName(reader) }
    case PACKET.CMD_RESPONSE:
      return { type: 'CMD_RESPONSE', message: reader.rest() }
    case PACKET.CMD_UNKNOWN:
      return { type: 'CMD_UNKNOWN' }
    case PACKET.EVENT_CONFIRM:
      return { type: 'EVENT_CONFIRM' }
    case PACKET.EVENT_UNKNOWN:
      return { type: 'EVENT_UNKNOWN' }
    default:
      return { type: 'unknown', number }
  }
}

/** A packet of `type` with its name and message, where it has them. */
export function encodePacket(type: keyof typeof PACKET, name?: string, message?: Tree): Uint8Array {
  const encoded = name === undefined ? undefined : encodeName(name)
  if (name !== undefined && encoded === undefined) throw new RangeError(`no VICI name: ${JSON.stringify(name)}`)
  scratch.clear()
  scratch.u8(PACKET[type])
  if (encoded !== undefined) scratch.bytes(encoded)
  if (message !== undefined) writeMessage(message, scratch)
  return scratch.copy()
}

/** A listing has thousands of packets. */
const scratch = new Writer(4096)
