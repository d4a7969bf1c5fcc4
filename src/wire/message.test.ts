import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from './errors.ts'
import { decodeHeader } from './header.ts'
import {
  associatedData,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  type Message,
  payloadNumber,
} from './message.ts'
import { codecs, type Payload, type TrafficSelector } from './payloads/index.ts'

const cookieRequest = bytes(`0102030405060708 0000000000000000 29 20 22 08 00000000 00000030
                             28 00 0000`)

test('a message of two payloads', () => {
  const octets = bytes(`0102030405060708 1112131415161718 29 20 22 20 00000000 0000003e
                        28 00 000e 00 00 4006 c0c0c0c0c0c0
                        00 00 0014 22222222222222222222222222222222`)
  const message: Message = {
    spiI: 0x0102030405060708n,
    spiR: 0x1112131415161718n,
    major: 2,
    minor: 0,
    exchange: 34,
    flags: { initiator: false, response: true },
    messageId: 0,
    payloads: [
      { type: 'N', protocol: 0, spi: bytes(''), notify: 16390, data: bytes('c0c0c0c0c0c0') },
      { type: 'Nonce', nonce: bytes('22'.repeat(16)) },
    ],
  }
  assert.deepEqual(decodeMessage(octets), message)
  assert.deepEqual(encodeMessage(message), octets)
})

test('an encrypted message: the first type inside, and what the integrity check covers', () => {
  const octets = bytes(`0102030405060708 1112131415161718 2b 20 25 08 00000001 0000002d
                        2e 00 0005 77
                        2a 00 000c a1a2a3a4a5a6a7a8`)
  const sk: Payload = { type: 'SK', inner: 42, body: bytes('a1a2a3a4a5a6a7a8'), start: 33 }
  const message = decodeMessage(octets)
  assert.deepEqual(message.payloads, [{ type: 'V', data: bytes('77') }, sk])
  assert.deepEqual(associatedData(octets, sk), octets.subarray(0, 37))
  assert.deepEqual(encodeMessage(message), octets)
})

test('a fragment: its numbers are covered by the integrity check', () => {
  const octets = bytes(`0102030405060708 1112131415161718 35 20 23 08 00000001 00000028
                        23 00 000c 0001 0002 a1a2a3a4`)
  const skf: Payload = { type: 'SKF', inner: 35, fragment: 1, total: 2, body: bytes('a1a2a3a4'), start: 28 }
  const message = decodeMessage(octets)
  assert.deepEqual(message.payloads, [skf])
  assert.deepEqual(associatedData(octets, skf), octets.subarray(0, 36))
  assert.deepEqual(encodeMessage(message), octets)
})

test('a message without payloads', () => {
  const octets = bytes('0102030405060708 1112131415161718 00 20 25 08 00000001 0000001c')
  assert.deepEqual(decodeMessage(octets).payloads, [])
  assert.deepEqual(encodeMessage(decodeMessage(octets)), octets)
  assert.deepEqual(encodePayloads([]), { first: 0, bytes: bytes('') })
  assert.deepEqual(decodePayloads(0, bytes('')), [])
})

test('payloads of unknown types are kept with their critical bit', () => {
  const chain = bytes('c9 80 0006 aabb 00 00 0004')
  const payloads = decodePayloads(200, chain)
  assert.deepEqual(payloads, [
    { type: 'Unknown', number: 200, critical: true, body: bytes('aabb') },
    { type: 'Unknown', number: 201, critical: false, body: bytes('') },
  ])
  assert.deepEqual(encodePayloads(payloads), { first: 200, bytes: chain })
})

test('unused flag bits, the version flag and the minor version are no reason to refuse', () => {
  const octets = bytes('0102030405060708 1112131415161718 00 2f 25 d9 00000001 0000001c')
  const { flags, minor } = decodeMessage(octets)
  assert.deepEqual(flags, { initiator: true, response: false })
  assert.equal(minor, 15)
  assert.deepEqual(decodeHeader(octets).flags, { initiator: true, response: false, version: true })
})

const header = (next: string, length: string): string =>
  `0102030405060708 00000000 00000000 ${next} 2022 08 00000000 ${length}`

for (const [what, hex, message] of [
  ['27 octets', header('00', '0000001c').slice(0, -2), 'at offset 0: 28 octets wanted, 27 left'],
  ['a length above the datagram', header('00', '0000001d'), 'at offset 28: a length of 29 in a message of 28 octets'],
  [
    'a length below the datagram',
    `${header('00', '0000001c')} 00`,
    'at offset 28: a length of 28 in a message of 29 octets',
  ],
  ['octets behind the last payload', `${header('00', '0000001d')} 00`, 'at offset 28: 1 octets too many'],
  ['a payload announced that is not there', header('21', '0000001c'), 'at offset 28: 1 octets wanted, 0 left'],
  [
    'a payload length below its header',
    `${header('2b', '00000020')} 00 00 0003`,
    'at offset 32: payload of type 43 is 3 octets long',
  ],
  [
    'a payload longer than the message',
    `${header('2b', '00000020')} 00 00 0005`,
    'at offset 32: 1 octets wanted, 0 left',
  ],
  ['a payload behind SK', `${header('2e', '00000024')} 2b 00 0004 00 00 0004`, 'at offset 32: 4 octets too many'],
  ['fragment 0', `${header('35', '00000024')} 00 00 0008 0000 0001`, 'SKF at offset 36: fragment 0 of 1'],
  ['fragment 2 of 1', `${header('35', '00000024')} 00 00 0008 0002 0001`, 'SKF at offset 36: fragment 2 of 1'],
  ['fragment 1 of 0', `${header('35', '00000024')} 00 00 0008 0001 0000`, 'SKF at offset 36: fragment 1 of 0'],
  [
    'a fragment without numbers',
    `${header('35', '00000022')} 00 00 0006 0001`,
    'SKF at offset 34: 2 octets wanted, 0 left',
  ],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => decodeMessage(bytes(hex)), { name: 'DecodeError', message })
  })
}

test('refused: another major version, which has its own notify', () => {
  const octets = bytes('0102030405060708 00000000 00000000 00 30 22 08 00000000 0000001c')
  assert.throws(() => decodeMessage(octets), { name: 'DecodeError', notify: 5 })
  assert.equal(decodeHeader(octets).major, 3)
})

test('refused: an encrypted payload inside of another', () => {
  assert.throws(() => decodePayloads(46, bytes('00 00 0004')), { name: 'DecodeError' })
  assert.throws(() => decodePayloads(53, bytes('00 00 0008 0001 0001')), { name: 'DecodeError' })
  const inner: Payload = { type: 'SK', inner: 0, body: bytes('') }
  assert.throws(() => encodePayloads([inner]), RangeError)
  assert.throws(
    () => encodeMessage({ ...decodeMessage(bytes(header('00', '0000001c'))), payloads: [inner, inner] }),
    RangeError,
  )
})

test('refused: the 101st payload', () => {
  const vendor = '2b 00 0004'
  assert.equal(decodePayloads(43, bytes(`${vendor.repeat(99)} 00 00 0004`)).length, 100)
  assert.throws(() => decodePayloads(43, bytes(`${vendor.repeat(100)} 00 00 0004`)), {
    message: 'at offset 400: more than 100 payloads',
  })
})

test('every cut of a good message is refused', () => {
  const octets = bytes(`0102030405060708 1112131415161718 29 20 22 20 00000000 0000003e
                        28 00 000e 00 00 4006 c0c0c0c0c0c0
                        00 00 0014 22222222222222222222222222222222`)
  for (let length = 0; length < octets.length; length++) {
    const cut = octets.slice(0, length)
    assert.throws(() => decodeMessage(cut), DecodeError)
    // Also with the length of the message repaired.
    if (length < 28) continue
    new DataView(cut.buffer).setUint32(24, length)
    assert.throws(() => decodeMessage(cut), DecodeError)
  }
  assert.throws(() => decodeMessage(cookieRequest), DecodeError)
})

const octets = (min: number, max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: min, maxLength: max })
const u8 = fc.nat(0xff)
const u16 = fc.nat(0xffff)
const empty = fc.constant(new Uint8Array())

const attribute = fc.oneof(
  fc.record({ type: fc.nat(0x7fff).filter((type) => type !== 14), value: octets(2, 2), short: fc.constant(true) }),
  fc.record({ type: fc.nat(0x7fff), value: octets(0, 9), short: fc.constant(false) }),
)
const transform = fc.record(
  { type: u8, id: u16, keyBits: u16, unknownAttributes: fc.array(attribute, { minLength: 1, maxLength: 3 }) },
  { requiredKeys: ['type', 'id'] },
)
const protocolAndSpi = fc.oneof(
  fc.record({ protocol: fc.constant(1), spi: fc.oneof(empty, octets(8, 8)) }),
  fc.record({ protocol: fc.constantFrom(2, 3), spi: octets(4, 4) }),
  fc.record({ protocol: fc.constantFrom(0, 4, 255), spi: octets(0, 20) }),
)
const proposal = fc
  .record({ number: u8, place: protocolAndSpi, transforms: fc.array(transform, { maxLength: 12 }) })
  .map(({ number, place, transforms }) => ({ number, ...place, transforms }))
const addresses = (family: 4 | 6, size: number): fc.Arbitrary<TrafficSelector> =>
  fc.record({
    kind: fc.constant('address' as const),
    family: fc.constant(family),
    protocol: u8,
    startPort: u16,
    endPort: u16,
    start: octets(size, size),
    end: octets(size, size),
  })
const selector: fc.Arbitrary<TrafficSelector> = fc.oneof(
  addresses(4, 4),
  addresses(6, 16),
  fc.record({
    kind: fc.constant('other' as const),
    tsType: u8.filter((type) => type !== 7 && type !== 8),
    protocol: u8,
    data: octets(0, 30),
  }),
)
const identification = fc.oneof(
  fc.record({ idType: fc.constant(1), data: octets(4, 4) }),
  fc.record({ idType: fc.constant(5), data: octets(16, 16) }),
  fc.record({ idType: u8.filter((type) => type !== 1 && type !== 5), data: octets(0, 40) }),
)
const typed = <T extends Payload['type']>(type: T): { type: fc.Arbitrary<T> } => ({ type: fc.constant(type) })

/** One arbitrary for every payload type that is not encrypted. */
const plain: { readonly [T in keyof typeof codecs]: fc.Arbitrary<Payload> } = {
  SA: fc.record({ ...typed('SA'), proposals: fc.array(proposal, { maxLength: 5 }) }),
  KE: fc.record({ ...typed('KE'), method: u16, data: octets(0, 100) }),
  IDi: identification.map((id) => ({ type: 'IDi', ...id })),
  IDr: identification.map((id) => ({ type: 'IDr', ...id })),
  CERT: fc.record({ ...typed('CERT'), encoding: u8, data: octets(0, 300) }),
  CERTREQ: fc.record({ ...typed('CERTREQ'), encoding: u8, data: octets(0, 60) }),
  AUTH: fc.record({ ...typed('AUTH'), method: u8, data: octets(0, 300) }),
  Nonce: fc.record({ ...typed('Nonce'), nonce: octets(16, 256) }),
  N: fc.record({ ...typed('N'), protocol: u8, spi: octets(0, 255), notify: u16, data: octets(0, 64) }),
  D: fc.oneof(
    fc.constant({ type: 'D' as const, protocol: 1, spiSize: 0, spis: [] }),
    fc.record({
      ...typed('D'),
      protocol: fc.constantFrom(2, 3),
      spiSize: fc.constant(4),
      spis: fc.array(octets(4, 4), { maxLength: 40 }),
    }),
  ),
  V: fc.record({ ...typed('V'), data: octets(0, 64) }),
  TSi: fc.record({ ...typed('TSi'), selectors: fc.array(selector, { maxLength: 8 }) }),
  TSr: fc.record({ ...typed('TSr'), selectors: fc.array(selector, { maxLength: 255 }) }),
  CP: fc.record({
    ...typed('CP'),
    cfgType: u8,
    attributes: fc.array(fc.record({ type: fc.nat(0x7fff), value: octets(0, 40) }), { maxLength: 20 }),
  }),
  EAP: fc.oneof(
    fc.record({ ...typed('EAP'), data: fc.constantFrom(bytes('03070004'), bytes('04ff0004')) }),
    fc
      .tuple(fc.constantFrom(1, 2, 5, 6), u8, octets(1, 200))
      .map(
        ([code, id, data]): Payload => ({ type: 'EAP', data: Uint8Array.of(code, id, 0, data.length + 4, ...data) }),
      ),
  ),
}

const known = new Set([...Object.values(codecs).map((codec) => codec.number), 0, 46, 53])
const unknown: fc.Arbitrary<Payload> = fc.record({
  ...typed('Unknown'),
  number: u8.filter((number) => !known.has(number)),
  critical: fc.boolean(),
  body: octets(0, 50),
})
const inside = fc.array(fc.oneof(unknown, ...Object.values(plain)), { maxLength: 12 })
const sealed: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ ...typed('SK'), inner: u8, body: octets(0, 200) }),
  fc
    .record({ inner: u8, fragment: fc.integer({ min: 1, max: 0xffff }), more: u16, body: octets(0, 200) })
    .map(({ inner, fragment, more, body }) => ({
      type: 'SKF' as const,
      inner,
      fragment,
      total: Math.min(fragment + more, 0xffff),
      body,
    })),
)
const message: fc.Arbitrary<Message> = fc
  .record({
    spiI: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    spiR: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    major: fc.constant(2),
    minor: fc.nat(15),
    exchange: u8,
    flags: fc.record({ initiator: fc.boolean(), response: fc.boolean() }),
    messageId: fc.nat(0xffffffff),
    payloads: inside,
    last: fc.option(sealed, { nil: undefined }),
  })
  .map(({ last, ...rest }) => ({ ...rest, payloads: last === undefined ? rest.payloads : [...rest.payloads, last] }))

for (const [type, payload] of Object.entries(plain)) {
  test(`property: decode after encode, ${type}`, () => {
    fc.assert(
      fc.property(payload.map(ordinary), (value) => {
        const encoded = encodePayloads([value])
        assert.deepEqual(decodePayloads(payloadNumber(value), encoded.bytes), [value])
        assert.deepEqual(encodePayloads(decodePayloads(encoded.first, encoded.bytes)), encoded)
      }),
    )
  })
}

test('property: decode after encode, and encode after decode, of whole messages', () => {
  fc.assert(
    fc.property(message.map(ordinary), (value) => {
      const encoded = encodeMessage(value)
      const decoded = decodeMessage(encoded)
      assert.deepEqual({ ...decoded, payloads: decoded.payloads.map(withoutStart) }, value)
      assert.deepEqual(encodeMessage(decoded), encoded)
    }),
  )
})

test('property: the chain inside of an encrypted payload', () => {
  fc.assert(
    fc.property(inside.map(ordinary), (value) => {
      const { first, bytes } = encodePayloads(value)
      assert.deepEqual(decodePayloads(first, bytes), value)
    }),
  )
})

test('property: any octets decode, or are refused with a DecodeError', () => {
  fc.assert(
    fc.property(u8, octets(0, 200), (first, random) => {
      try {
        const payloads = decodePayloads(first, random)
        assert.deepEqual(decodePayloads(first, encodePayloads(payloads).bytes), payloads)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
      }
    }),
    { numRuns: 1000 },
  )
})

/** fast-check's records sometimes have no prototype, which counts as a difference; a clone is ordinary. */
function ordinary<T>(value: T): T {
  return structuredClone(value)
}

/** Where a payload began is known only after decoding. */
function withoutStart(payload: Payload): Payload {
  if (payload.type !== 'SK' && payload.type !== 'SKF') return payload
  const { start, ...rest } = payload
  assert.equal(typeof start, 'number')
  return rest
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/\s+/g, ''), 'hex'))
}
