import { encodeHeader, HEADER_BYTES, type Header, type HeaderFlags, readHeader } from './header.ts'
import { NOTIFY, PAYLOAD } from './numbers.ts'
import {
  type Codec,
  codecs,
  type Payload,
  type PlainPayload,
  type SKFPayload,
  type SKPayload,
} from './payloads/index.ts'
import { sk } from './payloads/sk.ts'
import { skf } from './payloads/skf.ts'
import { unknown } from './payloads/unknown.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** An IKE message, RFC 7296 §3.1. */
export interface Message {
  readonly spiI: bigint
  readonly spiR: bigint
  readonly major: number
  readonly minor: number
  readonly exchange: number
  readonly flags: Pick<HeaderFlags, 'initiator' | 'response'>
  readonly messageId: number
  /** If there is an SK or SKF payload, it is the last one. */
  readonly payloads: readonly Payload[]
}

/** More payloads than any message has; bounds the work for one datagram. */
const MOST_PAYLOADS = 100

/**
 * Reads a whole message. Payloads of unknown types are kept, critical or not.
 * @throws DecodeError with `notify` INVALID_MAJOR_VERSION if the major version is not 2, without one otherwise
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const body = new Reader(bytes)
  const { nextPayload, length, flags, ...header } = readHeader(body.sub(HEADER_BYTES, 'header'))
  if (header.major !== 2) body.fail(`major version ${header.major}, not 2`, NOTIFY.INVALID_MAJOR_VERSION)
  if (length !== bytes.length) body.fail(`a length of ${length} in a message of ${bytes.length} octets`)
  return {
    ...header,
    flags: { initiator: flags.initiator, response: flags.response },
    payloads: readChain(nextPayload, body, true),
  }
}

/** The octets of a message; an SK or SKF payload must be the last one. */
export function encodeMessage(message: Message): Uint8Array {
  const out = new Writer(INITIAL_BYTES)
  const header: Header = {
    ...message,
    flags: { ...message.flags, version: false },
    nextPayload: firstNumber(message.payloads),
    length: 0,
  }
  encodeHeader(header, out)
  writeChain(message.payloads, out, true)
  out.length32(HEADER_BYTES - 4, 0)
  return out.finish()
}

/**
 * Reads the payloads that were inside of an SK payload.
 * @param first the type of the first one, 0 for none
 * @throws DecodeError also for an SK or SKF payload, which cannot be inside of another
 */
export function decodePayloads(first: number, bytes: Uint8Array, place = ''): readonly Payload[] {
  return readChain(first, new Reader(bytes, place), false)
}

/** The payloads that go into an SK payload, and the type of the first one (0 for none). */
export function encodePayloads(payloads: readonly Payload[]): { readonly first: number; readonly bytes: Uint8Array } {
  // Liveness checks, most of all messages of a gateway with many peers.
  if (payloads.length === 0) return { first: PAYLOAD.NONE, bytes: new Uint8Array() }
  const out = new Writer(INITIAL_BYTES)
  writeChain(payloads, out, false)
  return { first: firstNumber(payloads), bytes: out.finish() }
}

/**
 * What the integrity check of SK or SKF covers besides the body: everything from the header of the message to the
 * header of the payload and, in SKF, the fragment numbers (RFC 5282 §5.1, RFC 7383 §2.5). `bytes` is a whole message
 * with `payload` at its end.
 */
export function associatedData(bytes: Uint8Array, payload: SKPayload | SKFPayload): Uint8Array {
  return bytes.subarray(0, bytes.length - payload.body.length)
}

/** The number of a payload's type. */
export function payloadNumber(payload: Payload): number {
  return payload.type === 'Unknown' ? payload.number : PAYLOAD[payload.type]
}

function readChain(first: number, body: Reader, outside: boolean): readonly Payload[] {
  const payloads: Payload[] = []
  let number = first
  while (number !== PAYLOAD.NONE) {
    if (payloads.length === MOST_PAYLOADS) body.fail(`more than ${MOST_PAYLOADS} payloads`)
    const start = body.offset
    const next = body.u8()
    const critical = (body.u8() & CRITICAL) !== 0
    const length = body.u16()
    if (length < 4) body.fail(`payload of type ${number} is ${length} octets long`)
    const codec = codecOf.get(number)
    const part = body.sub(length - 4, codec?.type ?? sealedName(number) ?? `payload(${number})`)
    if (codec !== undefined) {
      payloads.push(codec.decode(part))
    } else if (number === PAYLOAD.SK || number === PAYLOAD.SKF) {
      if (!outside) body.fail('an encrypted payload inside of another')
      payloads.push(number === PAYLOAD.SK ? sk.decode(part, next, start) : skf.decode(part, next, start))
      // RFC 7296 §3.14: it is the last payload of the message; its Next Payload is the first one inside.
      body.end()
      return payloads
    } else {
      payloads.push(unknown.decode(part, number, critical))
    }
    part.end()
    number = next
  }
  body.end()
  return payloads
}

function writeChain(payloads: readonly Payload[], out: Writer, outside: boolean): void {
  for (const [i, payload] of payloads.entries()) {
    const at = out.length
    const following = payloads[i + 1]
    if (payload.type === 'SK' || payload.type === 'SKF') {
      if (!outside || following !== undefined) throw new RangeError(`${payload.type} is not the last payload`)
      out.u8(payload.inner)
    } else {
      out.u8(following === undefined ? PAYLOAD.NONE : payloadNumber(following))
    }
    // RFC 7296 §2.5: the critical bit is 0 for all payloads of that document.
    out.u8(payload.type === 'Unknown' && payload.critical ? CRITICAL : 0)
    out.zeros(2)
    encodeBody(payload, out)
    out.length16(at + 2)
  }
}

function encodeBody(payload: Payload, out: Writer): void {
  if (payload.type === 'SK') sk.encode(payload, out)
  else if (payload.type === 'SKF') skf.encode(payload, out)
  else if (payload.type === 'Unknown') unknown.encode(payload, out)
  else {
    // The table pairs every type with its own codec, which the compiler cannot follow through a lookup by union.
    const codec = codecs[payload.type] as Codec<PlainPayload>
    codec.encode(payload, out)
  }
}

function firstNumber(payloads: readonly Payload[]): number {
  const [first] = payloads
  return first === undefined ? PAYLOAD.NONE : payloadNumber(first)
}

function sealedName(number: number): string | undefined {
  return number === PAYLOAD.SK ? 'SK' : number === PAYLOAD.SKF ? 'SKF' : undefined
}

const codecOf: ReadonlyMap<number, (typeof codecs)[PlainPayload['type']]> = new Map(
  Object.values(codecs).map((codec) => [codec.number, codec]),
)
const CRITICAL = 0x80
const INITIAL_BYTES = 1280
