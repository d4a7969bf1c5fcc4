/**
 * What was said on a control socket: every packet of every client, in the order in which it passed. The text form has one
 * packet a line, so that a recording can be read, kept, and played again (replay.ts).
 */
import type { Tree } from '../../src/config/tree.ts'
import { decodeMessage } from '../../src/vici/message.ts'
import { decodePacket, type Packet } from '../../src/vici/packet.ts'
import { DecodeError } from '../../src/wire/errors.ts'

/** One packet, or that a client has closed its connection. */
export interface Entry {
  /** Milliseconds since the recording began. */
  readonly atMs: number
  /** The clients are numbered from 1, as they connect. */
  readonly client: number
  readonly from: 'client' | 'daemon'
  /** Without its length field; undefined: this side has closed the connection. */
  readonly bytes: Uint8Array | undefined
}

/** A packet with its message decoded. */
export interface Said {
  readonly type: Packet['type'] | 'broken' | 'closed'
  readonly name: string
  /** Undefined where the packet has none, or one that is no message. */
  readonly message: Tree | undefined
}

/** What an entry says. Never throws: what cannot be decoded is `broken`. */
export function read({ bytes }: Entry): Said {
  if (bytes === undefined) return { type: 'closed', name: '', message: undefined }
  try {
    const packet = decodePacket(bytes)
    const name = 'name' in packet ? packet.name : ''
    return { type: packet.type, name, message: 'message' in packet ? decoded(packet.message) : undefined }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { type: 'broken', name: '', message: undefined }
  }
}

/** One line of JSON for each entry. */
export function writeRecording(entries: readonly Entry[]): string {
  const lines = entries.map((entry) => {
    const { type, name, message } = read(entry)
    const { atMs, client, from, bytes } = entry
    const shown = message === undefined ? undefined : plain(message)
    return JSON.stringify({ atMs, client, from, type, name, message: shown, bytes: bytes && toHex(bytes) })
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** Reads what `writeRecording` wrote. Throws SyntaxError for anything else. */
export function readRecording(text: string): Entry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { atMs, client, from, bytes } = JSON.parse(line)
      if (from !== 'client' && from !== 'daemon') throw new SyntaxError(`no entry of a recording: ${line.slice(0, 80)}`)
      return {
        atMs: Number(atMs),
        client: Number(client),
        from,
        bytes: bytes === undefined ? undefined : new Uint8Array(Buffer.from(bytes, 'hex')),
      }
    })
}

function decoded(bytes: Uint8Array): Tree | undefined {
  try {
    return decodeMessage(bytes)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return undefined
  }
}

/** For a reader: pairs, because names may come twice. */
function plain(tree: Tree): unknown {
  return tree.map((item) => {
    if (item.kind === 'section') return [item.name, plain(item.items)]
    return [item.name, item.kind === 'value' ? toText(item.value) : { list: item.values.map(toText) }]
  })
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
