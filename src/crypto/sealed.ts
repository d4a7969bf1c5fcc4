import { PAYLOAD } from '../wire/numbers.ts'
import { octets64 } from './bytes.ts'
import type { EncryptionAlgorithm } from './encryption.ts'
import { IntegrityError } from './errors.ts'
import { type IntegrityAlgorithm, verifyIcv } from './integrity.ts'
import type { Random } from './random.ts'
import type { Secret } from './secret.ts'
import { seen } from './seen.ts'

/** The algorithms that protect the messages of an IKE SA. */
export interface Sealer {
  readonly encr: EncryptionAlgorithm
  readonly keyBits: number
  /** Absent with an AEAD. */
  readonly integ?: IntegrityAlgorithm | undefined
}

/** The fields of the IKE header (RFC 7296 §3.1) that the sender chooses; version, next payload and length follow. */
export interface SealedHeader {
  /** 8 octets each. */
  readonly spiI: Uint8Array
  readonly spiR: Uint8Array
  readonly exchange: number
  readonly flags: number
  readonly messageId: number
}

/** The payloads to encrypt: the type of the first, and all of them as a chain. */
export interface InnerPayloads {
  readonly first: number
  readonly bytes: Uint8Array
}

export interface SealOptions {
  readonly suite: Sealer
  /** SK_ei or SK_er: key and salt. */
  readonly keyE: Secret
  /** SK_ai or SK_ar; not used with an AEAD. */
  readonly keyA: Secret
  readonly header: SealedHeader
  readonly inner: InnerPayloads
  /** Makes it an SKF payload, RFC 7383; `number` counts from 1. */
  readonly fragment?: { readonly number: number; readonly total: number } | undefined
  /** `encr.ivBytes` octets: never twice with one key for AEADs and CTR, unpredictable for CBC; see {@link nextIv}. */
  readonly iv: Uint8Array
}

/**
 * One whole message that is nothing but an SK or SKF payload:
 *
 *     HDR | generic header [| Fragment Number | Total Fragments] | IV | encrypted (payloads | padding | Pad Length) | ICV
 *
 * RFC 7296 §3.14, RFC 5282 (AEAD), RFC 7383 §2.5. An AEAD authenticates what is before the IV as associated data;
 * otherwise the ICV covers everything before it.
 */
export function seal(options: SealOptions): Uint8Array {
  return seen(
    'seal',
    () => sealedData(options),
    () => sealWith(options),
  )
}

function sealedData({ header, inner, fragment, iv }: SealOptions): readonly Uint8Array[] {
  const { spiI, spiR, exchange, flags, messageId } = header
  const numbers = Uint32Array.of(exchange, flags, messageId, inner.first, fragment?.number ?? 0, fragment?.total ?? 0)
  return [spiI, spiR, new Uint8Array(numbers.buffer), iv, inner.bytes]
}

function sealWith({ suite, keyE, keyA, header, inner, fragment, iv }: SealOptions): Uint8Array {
  const { encr, integ } = suite
  const start = fragment === undefined ? 32 : 36
  const { padded, size } = layout(suite, inner.bytes.length, start)
  const message = new Uint8Array(size)
  writeHeader(message, header, fragment === undefined ? PAYLOAD.SK : PAYLOAD.SKF, size)
  // RFC 7383 §2.5: only the first fragment tells the type of the first inner payload.
  message[28] = fragment === undefined || fragment.number === 1 ? inner.first : 0
  put16(message, 30, size - 28)
  if (fragment !== undefined) {
    put16(message, 32, fragment.number)
    put16(message, 34, fragment.total)
  }
  if (iv.length !== encr.ivBytes) throw new RangeError(`${encr.name} wants an IV of ${encr.ivBytes} octets`)
  message.set(iv, start)

  const plaintext = new Uint8Array(padded)
  plaintext.set(inner.bytes)
  plaintext[padded - 1] = padded - inner.bytes.length - 1
  message.set(encr.seal(keyE, iv, message.slice(0, start), plaintext), start + iv.length)
  plaintext.fill(0)
  if (integ !== undefined) {
    const end = size - integ.icvBytes
    message.set(integ.sign(keyA, message.subarray(0, end)), end)
  }
  return message
}

export interface OpenOptions {
  readonly suite: Sealer
  readonly keyE: Secret
  readonly keyA: Secret
  /** The whole message, without a non-ESP marker. */
  readonly message: Uint8Array
  /** Offset of the generic header of the SK or SKF payload, which is the last payload. */
  readonly start: number
  /** The payload is SKF. */
  readonly fragment: boolean
}

/** The inner payloads of a message, without padding. Throws `IntegrityError`, whatever is wrong. */
export function open(options: OpenOptions): Uint8Array {
  return seen(
    'open',
    () => [options.message],
    () => openWith(options),
  )
}

function openWith({ suite, keyE, keyA, message, start, fragment }: OpenOptions): Uint8Array {
  const { encr, integ } = suite
  const iv = start + (fragment ? 8 : 4)
  const body = iv + encr.ivBytes
  const icv = message.length - (integ?.icvBytes ?? 0)
  if (body + encr.icvBytes >= icv) throw new IntegrityError('too short to be encrypted')
  // Nothing may follow the protected payload: it would not be protected.
  const length = ((message[start + 2] ?? 0) << 8) | (message[start + 3] ?? 0)
  if (start + length !== message.length) throw new IntegrityError('the protected payload is not the end of the message')

  if (integ !== undefined && !verifyIcv(integ, keyA, message.subarray(icv), message.subarray(0, icv))) {
    throw new IntegrityError('the ICV is wrong')
  }
  const plaintext = encr.open(keyE, message.subarray(iv, body), message.subarray(0, iv), message.subarray(body, icv))
  const padLength = plaintext.at(-1)
  if (padLength === undefined || padLength >= plaintext.length) throw new IntegrityError('the padding is wrong')
  return plaintext.subarray(0, plaintext.length - 1 - padLength)
}

/** The size of the message that `seal` makes of `innerLength` octets of payloads: IKE header to ICV. */
export function sealedSize(suite: Sealer, innerLength: number, fragment: boolean): number {
  return layout(suite, innerLength, fragment ? 36 : 32).size
}

/** How many octets of payloads fit into a message of at most `size` octets; 0 if none. */
export function sealedCapacity(suite: Sealer, size: number, fragment: boolean): number {
  const room = size - sealedOverhead(suite, fragment ? 36 : 32)
  return Math.max(0, room - (room % suite.encr.blockBytes) - 1)
}

/** The IV for the next message under a key: a counter that never repeats, or random octets for CBC. */
export function nextIv({ encr }: Sealer, counter: number | bigint, random: Random): Uint8Array {
  if (encr.ivBytes !== 8 || encr.blockBytes !== 1) return random(encr.ivBytes)
  return octets64(BigInt(counter))
}

/**
 * The octets called A in RFC 9242 §3.3.2: the message up to and with the generic header of its SK payload, with the
 * lengths it would have if it were neither encrypted nor fragmented. `inner.bytes` are the octets called P.
 */
export function intermediateHead(header: SealedHeader, inner: InnerPayloads): Uint8Array {
  const head = new Uint8Array(32)
  writeHeader(head, header, PAYLOAD.SK, 32 + inner.bytes.length)
  head[28] = inner.first
  put16(head, 30, 4 + inner.bytes.length)
  return head
}

// Octet by octet, and in copies instead of views where they are short: V8 keeps an array of up to 64 octets in its own
// heap as long as nobody asks for its buffer, and most messages are liveness checks of that size.
function writeHeader(message: Uint8Array, header: SealedHeader, nextPayload: number, length: number): void {
  message.set(header.spiI)
  message.set(header.spiR, 8)
  message[16] = nextPayload
  message[17] = 0x20 // version 2.0
  message[18] = header.exchange
  message[19] = header.flags
  put32(message, 20, header.messageId)
  put32(message, 24, length)
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16)
  put16(bytes, at + 2, value & 0xffff)
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

function sealedOverhead({ encr, integ }: Sealer, start: number): number {
  return start + encr.ivBytes + encr.icvBytes + (integ?.icvBytes ?? 0)
}

function layout(suite: Sealer, innerLength: number, start: number): { padded: number; size: number } {
  const block = suite.encr.blockBytes
  const padded = Math.ceil((innerLength + 1) / block) * block
  return { padded, size: sealedOverhead(suite, start) + padded }
}
