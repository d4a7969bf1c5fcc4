import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute32, decodeAttributes, decodeMessages, decodeStatus, encodeMessage } from './message.ts'
import { chars, struct, u8, u16, u32, u64 } from './struct.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('a request has header, fixed part and attributes, each padded to four octets', () => {
  const request = encodeMessage(0x11, 0x5, 7, Uint8Array.of(1, 2, 3), [
    { type: 9, value: Uint8Array.of(0xaa) },
    attribute32(31, 0x01020304),
  ])
  assert.equal(
    hex(request),
    '24000000' +
      '1100' +
      '0500' +
      '07000000' +
      '00000000' +
      '01020300' +
      '05000900' +
      'aa000000' +
      '08001f00' +
      '04030201',
  )
  const [message] = decodeMessages(request)
  assert(message)
  assert.deepEqual(
    { type: message.type, flags: message.flags, sequence: message.sequence },
    { type: 17, flags: 5, sequence: 7 },
  )
  assert.deepEqual(
    [...decodeAttributes(message.body, 3)],
    [
      [9, Uint8Array.of(0xaa)],
      [31, Uint8Array.of(4, 3, 2, 1)],
    ],
  )
})

test('messages that lie about their length are refused', () => {
  for (const text of [
    '00', // no header
    '0f000000 1000 0000 00000000 00000000', // shorter than its header
    '11000000 1000 0000 00000000 00000000', // longer than the datagram
    '10000000 1000 0000 00000000 00000000 00', // something left over
  ])
    assert.throws(() => decodeMessages(bytes(text)), { name: 'DecodeError' }, text)
  for (const text of ['0300', '03000100', '05000100', '00000000', '04000100 00'])
    assert.throws(() => decodeAttributes(bytes(text)), { name: 'DecodeError' }, text)
  assert.deepEqual(decodeMessages(new Uint8Array(0)), [])
})

test('of an attribute that is repeated the first one counts; flags of the type do not', () => {
  const attributes = decodeAttributes(bytes('05000180 01000000 05000100 02000000'))
  assert.deepEqual([...attributes], [[1, Uint8Array.of(1)]])
})

test('a refusal has an errno and the explanation of the kernel', () => {
  const header = '10000000 10000500 07000000 00000000'
  const explanation = '09000100 6e6f2100 00000000' // "no!"
  const status = (flags: number, body: string) => decodeStatus({ type: 2, flags, sequence: 7, body: bytes(body) })
  assert.deepEqual(status(0x100, `ffffffff ${header}`), { errno: 1, detail: undefined })
  assert.deepEqual(status(0x100, `00000000 ${header}`), { errno: 0, detail: undefined })
  assert.deepEqual(status(0x300, `ffffffff ${header} ${explanation}`), { errno: 1, detail: 'no!' })
  // Not capped: the request is repeated, here with 4 octets behind its header.
  const repeated = '14000000 10000500 07000000 00000000 aabbccdd'
  assert.deepEqual(status(0x200, `eaffffff ${repeated} ${explanation}`), { errno: 22, detail: 'no!' })
  assert.throws(() => status(0x200, `eaffffff ffffffff 10000500 07000000 00000000`).detail?.length, {
    name: 'DecodeError',
  })
  assert.throws(() => status(0, 'ffffffff'), { name: 'DecodeError' })
})

test('a structure is aligned as C does it', () => {
  const s = struct<{ a: number; b: bigint; c: number; d: string; e: number }>('s', 32, {
    a: u8,
    b: u64,
    c: u16,
    d: chars(5),
    e: u32,
  })
  assert.deepEqual(s.offsets, { a: 0, b: 8, c: 16, d: 18, e: 24 })
  const value = { a: 1, b: 2n, c: 3, d: 'four', e: 5 }
  assert.equal(
    hex(s.encode(value)),
    `01${'00'.repeat(7)}02${'00'.repeat(7)}0300666f757200000500000000000000`.padEnd(64, '0').slice(0, 64),
  )
  assert.deepEqual(s.decode(s.encode(value)), value)
  assert.throws(() => s.encode({ d: 'fives' }), RangeError) // no room for the zero
  assert.throws(() => struct('t', 5, { a: u8, e: u32 }), /struct t has 8 octets, not 5/)
})
