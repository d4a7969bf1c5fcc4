/** The decoders of messages and payloads, and of the texts of addresses and selectors; seeded by captured messages. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { formatAddress, parseAddress } from '../../src/wire/address.ts'
import { DecodeError } from '../../src/wire/errors.ts'
import { decodeHeader } from '../../src/wire/header.ts'
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from '../../src/wire/message.ts'
import { describeMessage } from '../../src/wire/mnemonic.ts'
import { codecs, type Payload, type PlainPayload } from '../../src/wire/payloads/index.ts'
import { decodeRedirect, encodeRedirect, parseGateway } from '../../src/wire/redirect.ts'
import { formatSelector, intersect, narrow, parseSelector } from '../../src/wire/selector.ts'
import { Writer } from '../../src/wire/writer.ts'
import { ikeMessages } from '../pcap.ts'
import type { Target } from './harness.ts'

const folder = new URL('../../rfc-vectors/', import.meta.url)
const messages = [...plainMessages(), ...keyedMessages().map(({ outer }) => outer)]
const chains = keyedMessages().flatMap(({ inner }) => (inner === undefined ? [] : [inner]))
const payloads = [...messages.flatMap(payloadsOf), ...chains.flatMap((chain) => decodeChain(chain))]

/** For payload types that no capture shows in the clear. */
const OTHER_BODIES: Readonly<Record<string, Uint8Array>> = {
  CERT: Uint8Array.of(4, 0x30, 0x82),
  CERTREQ: Uint8Array.of(4, 1, 2, 3),
  CP: Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 4, 1, 1, 1, 1),
  EAP: Uint8Array.of(1, 7, 0, 5, 1),
}

export const targets: readonly Target[] = [
  {
    name: 'wire header',
    corpus: messages,
    decode: decodeHeader,
    allowed: isDecodeError,
  },
  {
    name: 'wire message',
    corpus: messages,
    decode(input) {
      const message = decodeMessage(input)
      describeMessage(message)
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    },
    allowed: isDecodeError,
    worst: worstMessages,
    maxBytes: 65535,
  },
  {
    // The first octet of an input is the type of the first payload.
    name: 'wire payloads inside SK',
    corpus: chains,
    decode(input) {
      const found = decodeChain(input)
      assert.deepEqual(decodePayloads(input[0] ?? 0, encodePayloads(found).bytes), found)
    },
    allowed: isDecodeError,
    worst: (size) => worstBodies(size).map(({ number, body }) => Uint8Array.from([number, ...generic(body)])),
  },
  ...Object.values(codecs).map(payloadTarget),
  {
    name: 'wire redirect',
    corpus: ['192.0.2.7', '2001:db8::7', 'gw2.lab.org'].flatMap((text) => {
      const gateway = parseGateway(text)
      return gateway === undefined ? [] : [encodeRedirect(gateway), encodeRedirect(gateway, new Uint8Array(32))]
    }),
    decode(input) {
      const { gateway, nonce } = decodeRedirect(input)
      assert.deepEqual(decodeRedirect(encodeRedirect(gateway, nonce)), { gateway, nonce })
    },
    allowed: isDecodeError,
    worst: (size) =>
      ['a', 'a.', '.', '-'].map((part) => Uint8Array.of(3, 255, ...text(part.repeat(size)).slice(0, 255))),
  },
  {
    name: 'wire address text',
    corpus: ['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8', '%any', '::'].map(text),
    decode(input) {
      const address = parseAddress(Buffer.from(input).toString('latin1'))
      if (address !== undefined) assert.deepEqual(parseAddress(formatAddress(address)), address)
    },
    allowed: () => false,
    worst: (size) => ['1', ':', '1:', '::', '.', '1.'].map((part) => text(part.repeat(size / part.length))),
  },
  {
    name: 'wire selector text',
    corpus: [
      ...['dynamic[udp/53]', '10.1.0.0/16[tcp/80]', '10.0.0.1-10.0.0.9', '2001:db8::/32', '%any[icmp/3(1)-4(2)]'],
      '0.0.0.0/0[gre/]',
    ].map(text),
    decode(input) {
      const selector = parseSelector(Buffer.from(input).toString('latin1'))
      // charon's text leaves out an ICMP code of 0, which read again is any code.
      if (selector === undefined || [1, 58].includes(selector.protocol)) return
      const again = parseSelector(formatSelector(selector).replace('..', '-').replace('OPAQUE', 'opaque'))
      assert.deepEqual(again, selector)
    },
    allowed: () => false,
    worst: (size) =>
      ['1', '[', ']', '-', '/', '1-', '10.0.0.0/8['].map((part) => text(part.repeat(size / part.length))),
  },
]

/** One codec, given bodies. What it decodes must survive encoding; selectors must be fit to be narrowed and shown. */
function payloadTarget(codec: (typeof codecs)[keyof typeof codecs]): Target {
  const corpus = payloads.filter((payload) => payload.type === codec.type).map(bodyOf)
  return {
    name: `wire ${codec.type}`,
    corpus: corpus.length > 0 ? corpus : [OTHER_BODIES[codec.type] ?? new Uint8Array(64)],
    decode(input) {
      const found = decodePayloads(codec.number, generic(input.subarray(0, 65531)))
      assert.deepEqual(decodePayloads(codec.number, encodePayloads(found).bytes), found)
      for (const payload of found) {
        if (payload.type !== 'TSi' && payload.type !== 'TSr') continue
        const { selectors } = payload
        for (const selector of selectors) formatSelector(selector)
        if (selectors.length > 1 && selectors[0] !== undefined && selectors[1] !== undefined)
          intersect(selectors[0], selectors[1])
        narrow(selectors, selectors.slice(0, 8))
      }
    },
    allowed: isDecodeError,
    worst: (size) =>
      worstBodies(size)
        .filter(({ number }) => number === codec.number)
        .map(({ body }) => body),
  }
}

function isDecodeError(error: unknown): boolean {
  return error instanceof DecodeError
}

function plainMessages(): readonly Uint8Array[] {
  const captures = new URL('captures-plain/', folder)
  return readdirSync(captures).flatMap((name) => {
    const octets = new Uint8Array(readFileSync(new URL(name, captures)))
    if (name.endsWith('.bin')) return [octets]
    return /\.pcap(ng)?$/.test(name) ? ikeMessages(octets).map(({ data }) => data) : []
  })
}

function keyedMessages(): readonly { readonly outer: Uint8Array; readonly inner: Uint8Array | undefined }[] {
  interface Keyed {
    readonly ike_message_hex: string
    readonly inner_first_payload?: number
    readonly plaintext_payloads_hex?: string
  }
  const text = readFileSync(new URL('captures-keyed/manifest.json', folder), 'utf8')
  const { captures }: { captures: readonly { readonly messages: readonly Keyed[] }[] } = JSON.parse(text)
  return captures.flatMap((capture) =>
    capture.messages.map(({ ike_message_hex, inner_first_payload = 0, plaintext_payloads_hex }) => {
      const inside = plaintext_payloads_hex === undefined ? undefined : Buffer.from(plaintext_payloads_hex, 'hex')
      return {
        outer: new Uint8Array(Buffer.from(ike_message_hex, 'hex')),
        inner: inside && Uint8Array.from([inner_first_payload, ...inside]),
      }
    }),
  )
}

function payloadsOf(message: Uint8Array): readonly Payload[] {
  try {
    return decodeMessage(message).payloads
  } catch (error) {
    if (isDecodeError(error)) return []
    throw error
  }
}

function decodeChain(input: Uint8Array): readonly Payload[] {
  return decodePayloads(input[0] ?? 0, input.subarray(1))
}

function bodyOf(payload: Payload): Uint8Array {
  return encodePayloads([payload]).bytes.slice(4)
}

/** A chain of one payload with the given body. */
function generic(body: Uint8Array): Uint8Array {
  const out = new Writer(body.length + 4)
  out.zeros(4)
  out.bytes(body.subarray(0, 65531))
  out.length16(2)
  return out.finish()
}

/** Bodies of about `size` octets with as many parts as possible. */
function worstBodies(size: number): readonly { readonly number: number; readonly body: Uint8Array }[] {
  const room = Math.min(size, 65531) - 4
  const times = <T>(count: number, part: T): T[] => Array<T>(Math.floor(count)).fill(part)
  const empty = new Uint8Array()
  const host = { kind: 'address', family: 4, protocol: 0, startPort: 0, endPort: 65535 } as const
  const addresses = { start: Uint8Array.of(10, 0, 0, 1), end: Uint8Array.of(10, 0, 0, 9) }
  const perProposal = Math.min(255, Math.floor(room / 200 / 8) - 1)
  const transforms = times(perProposal, { type: 1, id: 12 })
  const worst: readonly PlainPayload[] = [
    { type: 'SA', proposals: times(200, { number: 1, protocol: 1, spi: empty, transforms }) },
    { type: 'D', protocol: 3, spiSize: 4, spis: times(room / 4, Uint8Array.of(0, 0, 0, 1)) },
    { type: 'TSi', selectors: times(Math.min(255, room / 16), { ...host, ...addresses }) },
    {
      type: 'TSr',
      selectors: times(255, { kind: 'other', tsType: 10, protocol: 0, data: new Uint8Array(room / 255 - 4) }),
    },
    { type: 'CP', cfgType: 1, attributes: times(Math.min(1000, room / 4), { type: 1, value: empty }) },
    { type: 'EAP', data: Uint8Array.of(1, 0, (room >>> 8) & 0xff, room & 0xff, ...new Uint8Array(room - 4)) },
  ]
  return worst.map((payload) => ({ number: codecs[payload.type].number, body: bodyOf(payload) }))
}

/** Messages of many payloads, known, unknown, and with the largest bodies. */
function worstMessages(size: number): readonly Uint8Array[] {
  const header = (next: number): number[] => [...Array<number>(16).fill(1), next, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 0]
  const finish = (octets: number[]): Uint8Array => {
    const message = Uint8Array.from(octets.slice(0, size))
    new DataView(message.buffer).setUint32(24, message.length)
    return message
  }
  const many = (number: number): Uint8Array => {
    const octets = header(number)
    while (octets.length < size) octets.push(number, 0, 0, 4)
    return finish(octets)
  }
  const large = worstBodies(size - 32).map(({ number, body }) => finish([...header(number), ...generic(body)]))
  return [many(43), many(200), ...large]
}

function text(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, 'latin1'))
}
