import { timingSafeEqual } from 'node:crypto'

/** One array with all parts in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const all = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/** Compares in time that depends on the lengths only. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** `bytes` with zeros on the left up to `length` octets. */
export function leftPad(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length > length) throw new RangeError(`${bytes.length} octets do not fit into ${length}`)
  const padded = new Uint8Array(length)
  padded.set(bytes, length - bytes.length)
  return padded
}

/** A number of 64 bits as 8 octets. */
export function octets64(value: bigint): Uint8Array {
  eight.setBigUint64(0, value)
  const octets = new Uint8Array(8)
  for (let i = 0; i < 8; i++) octets[i] = eight.getUint8(i)
  return octets
}

/** A `Buffer` over the same memory, for the functions of Node that take nothing else. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** A plain array over the memory of a `Buffer`, without a copy. */
export function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

/** One for all: a view of every array would take longer than what is written through it. */
const eight = new DataView(new ArrayBuffer(8))
