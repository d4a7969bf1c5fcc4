/**
 * Between payloads and datagrams of one IKE SA: encryption under SK_e and SK_a (RFC 7296 §3.14), fragmentation
 * (RFC 7383), and the lines that tell the story of each message in the log.
 */
import { octets64 } from '../crypto/bytes.ts'
import { IntegrityError } from '../crypto/errors.ts'
import type { IkeKeys, IkeSuite } from '../crypto/keys.ts'
import {
  intermediateHead,
  nextIv,
  open as openSealed,
  type SealedHeader,
  type Sealer,
  seal,
  sealedCapacity,
  sealedSize,
} from '../crypto/sealed.ts'
import type { Secret } from '../crypto/secret.ts'
import { familyOf } from '../wire/address.ts'
import { DecodeError } from '../wire/errors.ts'
import type { Header } from '../wire/header.ts'
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from '../wire/message.ts'
import { describeMessage } from '../wire/mnemonic.ts'
import { EXCHANGE, NOTIFY, PAYLOAD } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { Refusal } from './errors.ts'
import type { Reassembly } from './fragments.ts'
import type { IkeSa } from './ike-sa.ts'

/** A message before it becomes one datagram or several. */
export interface Outgoing {
  readonly exchange: number
  readonly response: boolean
  readonly messageId: number
  readonly payloads: readonly Payload[]
}

/** What IntAuth covers of a message (RFC 9242 §3.3.2), as if it were neither encrypted nor fragmented. */
export interface CoveredMessage {
  /** A: up to and with the generic header of the SK payload. */
  readonly head: Uint8Array
  /** P: the payloads inside. */
  readonly plaintext: Uint8Array
}

/** A message that counts. `covered` is there in IKE_INTERMEDIATE only. */
export type Readable =
  | { readonly kind: 'payloads'; readonly payloads: readonly Payload[]; readonly covered?: CoveredMessage }
  /** The peer proved that it has the keys, and sent what cannot be read. */
  | { readonly kind: 'malformed'; readonly error: Error }

export type Opened =
  | Readable
  | { readonly kind: 'incomplete' }
  /** Nothing that counts: not authentic, or nothing we wait for. */
  | { readonly kind: 'dropped'; readonly reason: string; readonly forged: boolean }

/**
 * The datagrams of a message: plain in IKE_SA_INIT, sealed otherwise, fragmented where it is too long for the path and
 * the peer can put it together again. `count` gives each a number that no other message under these keys has.
 */
export function protect(sa: IkeSa, message: Outgoing, count: () => bigint): readonly Uint8Array[] {
  const { exchange, response, messageId, payloads } = message
  const head = {
    spiI: sa.spiI,
    spiR: sa.spiR,
    major: 2,
    minor: 0,
    exchange,
    flags: { initiator: sa.role === 'initiator', response },
    messageId,
  }
  if (exchange === EXCHANGE.IKE_SA_INIT || sa.keys === undefined || sa.suite === undefined) {
    return [encodeMessage({ ...head, payloads })]
  }
  const { keys } = sa
  const suite = sealer(sa.suite)
  const [keyE, keyA] = sa.role === 'initiator' ? [keys.ei, keys.ai] : [keys.er, keys.ar]
  const inner = encodePayloads(payloads)
  const header = sealedHeader(sa, message)
  const iv = () => nextIv(suite, count(), sa.core.random)
  const most = largestMessage(sa)
  // A responder does not know its connection before IKE_AUTH: the first that fits has decided what we announced.
  const fragmentation = (sa.connection ?? sa.candidates[0])?.fragmentation
  const whole = sealedSize(suite, inner.bytes.length, false)
  if (whole <= most || !sa.peer.fragmentation || fragmentation === 'no' || fragmentation === 'accept') {
    return [seal({ suite, keyE, keyA, header, inner, iv: iv() })]
  }
  const piece = Math.max(1, sealedCapacity(suite, most, true))
  const total = Math.ceil(inner.bytes.length / piece)
  sa.core.log('ENC', 1, `splitting IKE message (${whole} bytes) into ${total} fragments`, sa)
  return Array.from({ length: total }, (_, i) => {
    const part = inner.bytes.subarray(i * piece, (i + 1) * piece)
    const fragment = { number: i + 1, total }
    sa.core.log('ENC', 1, `generating ${exchangeLine(exchange, response, messageId)} [ EF(${i + 1}/${total}) ]`, sa)
    return seal({ suite, keyE, keyA, header, inner: { first: inner.first, bytes: part }, fragment, iv: iv() })
  })
}

/** What IntAuth covers of a message that we send. */
export function coveredOf(sa: IkeSa, message: Outgoing): CoveredMessage {
  const inner = encodePayloads(message.payloads)
  return { head: intermediateHead(sealedHeader(sa, message), inner), plaintext: inner.bytes }
}

/** Reads a datagram that belongs to `sa`. `reassembly` undefined means that its content is not wanted. */
export function open(sa: IkeSa, header: Header, bytes: Uint8Array, reassembly: Reassembly | undefined): Opened {
  let outer: readonly Payload[]
  try {
    outer = decodeMessage(bytes).payloads
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { kind: 'dropped', reason: `could not decode message: ${error.message}`, forged: false }
  }
  if (header.exchange === EXCHANGE.IKE_SA_INIT) {
    const reason = 'ignoring an IKE_SA_INIT response with an unknown critical payload'
    return unacceptable(header, outer)
      ? { kind: 'dropped', reason, forged: false }
      : { kind: 'payloads', payloads: outer }
  }
  const sealed = outer.at(-1)
  const { suite } = sa
  const keys = keysFor(sa, header)
  if (suite === undefined || keys === undefined || (sealed?.type !== 'SK' && sealed?.type !== 'SKF')) {
    return { kind: 'dropped', reason: 'ignoring an unprotected message', forged: true }
  }
  const [keyE, keyA] = sa.role === 'initiator' ? [keys.er, keys.ar] : [keys.ei, keys.ai]
  const opened = unseal(sealer(suite), keyE, keyA, bytes, sealed)
  if (opened === undefined)
    return { kind: 'dropped', reason: 'integrity check of a message failed, ignored', forged: true }
  let { inner } = sealed
  let plaintext = opened
  let head: Uint8Array = bytes.slice(0, (sealed.start ?? 0) + 4)
  if (sealed.type === 'SKF') {
    if (reassembly === undefined) {
      // RFC 7383 §2.6.1: of a retransmitted request only the first fragment is answered.
      return sealed.fragment === 1 ? { kind: 'payloads', payloads: [] } : { kind: 'incomplete' }
    }
    const { fragment: number, total } = sealed
    const line = `parsed ${exchangeLine(header.exchange, header.flags.response, header.messageId)} [ EF(${number}/${total}) ]`
    sa.core.log('ENC', 1, line, sa)
    const whole = reassembly.add(
      { messageId: header.messageId, number, total, inner, plaintext, head },
      sa.core.settings.maxPacket,
    )
    if (whole === 'dropped') return { kind: 'dropped', reason: 'ignoring a fragment that does not fit', forged: false }
    if (whole === 'incomplete') {
      sa.core.log('ENC', 1, `received fragment #${number} of ${total}, waiting for complete IKE message`, sa)
      return { kind: 'incomplete' }
    }
    const line2 = `received fragment #${number} of ${total}, reassembled fragmented IKE message (${whole.plaintext.length} bytes)`
    sa.core.log('ENC', 1, line2, sa)
    inner = whole.inner
    plaintext = whole.plaintext
    head = whole.head
  } else if (reassembly === undefined) {
    return { kind: 'payloads', payloads: [] }
  }
  try {
    const payloads = decodePayloads(inner, plaintext, 'SK')
    const error = unacceptable(header, payloads)
    if (error !== undefined) return { kind: 'malformed', error }
    if (header.exchange !== EXCHANGE.IKE_INTERMEDIATE) return { kind: 'payloads', payloads }
    return { kind: 'payloads', payloads, covered: { head: unfragmented(head, inner, plaintext.length), plaintext } }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { kind: 'malformed', error }
  }
}

/** As `open`; what does not count is logged and counted, and undefined. */
export function openCounted(
  sa: IkeSa,
  header: Header,
  bytes: Uint8Array,
  reassembly: Reassembly | undefined,
): Readable | undefined {
  const opened = open(sa, header, bytes, reassembly)
  if (opened.kind === 'dropped') {
    if (opened.forged) sa.core.drops.forged++
    sa.core.log('ENC', 1, opened.reason, sa)
    return undefined
  }
  return opened.kind === 'incomplete' ? undefined : opened
}

/** Counts and logs a message of ours. */
export function noteGenerated(
  sa: IkeSa,
  exchange: number,
  response: boolean,
  messageId: number,
  payloads: readonly Payload[],
): void {
  sa.core.counters.message(sa.connection?.name, exchange, 'out', response)
  sa.core.log(
    'ENC',
    1,
    `generating ${describeMessage({ exchange, flags: { initiator: sa.role === 'initiator', response }, messageId, payloads })}`,
    sa,
  )
}

/** Counts and logs a message of the peer. */
export function noteParsed(sa: IkeSa, header: Header, payloads: readonly Payload[]): void {
  const { exchange, messageId, flags } = header
  sa.core.counters.message(sa.connection?.name, exchange, 'in', flags.response)
  sa.core.log('ENC', 1, `parsed ${describeMessage({ exchange, flags, messageId, payloads })}`, sa)
}

/**
 * RFC 7296 §2.5: an unknown payload with the critical bit makes the whole message unacceptable.
 * @throws Refusal UNSUPPORTED_CRITICAL_PAYLOAD with the type
 */
export function refuseCritical(payloads: readonly Payload[]): void {
  for (const payload of payloads) {
    if (payload.type === 'Unknown' && payload.critical) {
      throw new Refusal(NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD, `critical payload of unknown type ${payload.number}`, {
        data: Uint8Array.of(payload.number),
      })
    }
  }
}

/** A response with an unknown critical payload is no better than one that cannot be read; a request gets its answer. */
function unacceptable({ flags }: Header, payloads: readonly Payload[]): Refusal | undefined {
  try {
    if (flags.response) refuseCritical(payloads)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

/** A request that was sealed before the last IKE_INTERMEDIATE changed the keys comes again under the old ones. */
function keysFor(sa: IkeSa, { flags, messageId }: Header): IkeKeys | undefined {
  const { replacedKeys } = sa
  return !flags.response && replacedKeys !== undefined && messageId <= replacedKeys.lastId ? replacedKeys.keys : sa.keys
}

/**
 * RFC 9242 §3.3.2: the head of a message as if it had come unfragmented, with the lengths of the plaintext. What is
 * reserved stays as it was in the first fragment.
 */
function unfragmented(head: Uint8Array, inner: number, plaintextBytes: number): Uint8Array {
  const view = new DataView(head.buffer, head.byteOffset)
  const start = head.length - 4
  if (view.getUint8(16) === PAYLOAD.SKF) view.setUint8(16, PAYLOAD.SK)
  view.setUint32(24, head.length + plaintextBytes)
  view.setUint8(start, inner)
  view.setUint16(start + 2, 4 + plaintextBytes)
  return head
}

function sealedHeader(sa: IkeSa, { exchange, response, messageId }: Outgoing): SealedHeader {
  return {
    spiI: spiBytes(sa.spiI),
    spiR: spiBytes(sa.spiR),
    exchange,
    flags: (sa.role === 'initiator' ? FLAG.INITIATOR : 0) | (response ? FLAG.RESPONSE : 0),
    messageId,
  }
}

function unseal(
  suite: Sealer,
  keyE: Secret,
  keyA: Secret,
  message: Uint8Array,
  sealed: Extract<Payload, { type: 'SK' | 'SKF' }>,
): Uint8Array | undefined {
  try {
    return openSealed({ suite, keyE, keyA, message, start: sealed.start ?? 0, fragment: sealed.type === 'SKF' })
  } catch (error) {
    if (error instanceof IntegrityError) return undefined
    throw error
  }
}

/** The largest IKE message that fits the configured datagram size on this SA's path. */
function largestMessage(sa: IkeSa): number {
  const { fragmentSize, fragmentSizeV4, fragmentSizeV6, portIke } = sa.core.settings
  const v4 = familyOf(sa.remote.address) === 4
  const configured = (v4 ? fragmentSizeV4 : fragmentSizeV6) ?? fragmentSize
  const datagram = configured > 0 ? configured : v4 ? 576 : 1280
  const marker = sa.local.port === portIke ? 0 : 4
  return datagram - (v4 ? 20 : 40) - 8 - marker
}

function exchangeLine(exchange: number, response: boolean, messageId: number): string {
  return describeMessage({ exchange, flags: { initiator: false, response }, messageId, payloads: [] }).replace(
    / \[.*$/,
    '',
  )
}

function sealer({ encr, encrKeyBits, integ }: IkeSuite): Sealer {
  return { encr, keyBits: encrKeyBits, integ }
}

/** An IKE SPI as it stands in the header. */
export function spiBytes(spi: bigint): Uint8Array {
  return octets64(spi)
}

/** Header flags, RFC 7296 §3.1. */
const FLAG = { INITIATOR: 0x08, RESPONSE: 0x20 } as const
