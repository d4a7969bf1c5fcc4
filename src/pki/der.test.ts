import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { DerReader, derEncode, INTEGER, SEQUENCE } from './der.ts'
import { oidContent, oidText } from './oid.ts'
import { charonTimeText, readTime, timeText } from './time.ts'

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const reader = (hex: string): DerReader => DerReader.over(bytes(hex), 'test')

const refuses = (read: () => unknown, message: RegExp): void =>
  assert.throws(read, (error) => error instanceof DecodeError && message.test(error.message))

test('values in sequence', () => {
  const outer = reader('3006 020105 0101ff')
  const inside = outer.sequence('outer')
  outer.end('outer')
  assert.equal(inside.smallInteger('number'), 5)
  assert.equal(inside.boolean('flag'), true)
  assert.equal(inside.more, false)
  inside.end('outer')
})

test('lengths must be there, definite and short', () => {
  refuses(() => reader('30').any('x'), /the data ends inside a value/)
  refuses(() => reader('3080 0000').any('x'), /must be definite/)
  refuses(() => reader('308105 0000000000').any('x'), /shortest form/)
  refuses(() => reader('30820005 0000000000').any('x'), /shortest form/)
  refuses(() => reader('3085 0000000001 00').any('x'), /a length of 5 bytes/)
  refuses(() => reader('3003 0201').any('x'), /3 bytes are announced, 2 are there/)
  refuses(() => reader('3004 020500').sequence('x'), /4 bytes are announced/)
  refuses(() => reader('3003 020200').sequence('x').any('inner'), /2 bytes are announced, 1 are there/)
  refuses(() => reader('1f8101 00').any('x'), /tags of several bytes/)
})

test('integers and booleans have one spelling', () => {
  refuses(() => reader('0200').integer('x'), /without content/)
  refuses(() => reader('02020001').integer('x'), /shortest form/)
  refuses(() => reader('0202ff80').integer('x'), /shortest form/)
  refuses(() => reader('0201ff').smallInteger('x'), /negative/)
  refuses(() => reader('0206010000000000').smallInteger('x'), /a number of 6 bytes/)
  refuses(() => reader('010101').boolean('x'), /00 or FF/)
  refuses(() => reader('0302 0780').bitStringBytes('x'), /whole bytes/)
  refuses(() => reader('0500').take(INTEGER, 'x'), /tag 02 expected, tag 05 found/)
})

test('what stands behind a value is seen', () => {
  const twice = reader('0500 0500')
  twice.any('x')
  refuses(() => twice.end('x'), /2 bytes more/)
  refuses(() => reader('0201 05').any('x').children(), /holds no other values/)
})

test('depth and number of values are bounded', () => {
  let deep: Uint8Array = derEncode(SEQUENCE)
  for (let i = 0; i < 40; i++) deep = derEncode(SEQUENCE, deep)
  refuses(() => {
    let inside = DerReader.over(deep, 'test')
    for (;;) inside = inside.sequence('level')
  }, /nested deeper/)
  refuses(() => {
    const many = DerReader.over(
      new Uint8Array(40_000).fill(5).map((b, i) => (i % 2 === 0 ? b : 0)),
      'test',
    )
    while (many.more) many.any('null')
  }, /more than 16384 values/)
})

test('derEncode writes the shortest lengths', () => {
  for (const [size, header] of [
    [0x7f, '047f'],
    [0x80, '048180'],
    [0x100, '04820100'],
    [0x10000, '0483010000'],
  ] as const) {
    const encoded = derEncode(4, new Uint8Array(size))
    assert.equal(Buffer.from(encoded.subarray(0, header.length / 2)).toString('hex'), header)
    assert.equal(DerReader.over(encoded, 'test').any('x').content.length, size)
  }
})

test('object identifiers', () => {
  for (const [dotted, hex] of [
    ['1.2.840.113549.1.1.1', '2a864886f70d010101'],
    ['2.5.29.17', '551d11'],
    ['2.999.3', '883703'],
    ['0.9.2342.19200300.100.1.25', '0992268993f22c640119'],
    ['2.25.340282366920938463463374607431768211455', '6983ffffffffffffffffffffffffffffffffff7f'],
  ] as const) {
    assert.equal(oidText(bytes(hex)), dotted)
    assert.equal(Buffer.from(oidContent(dotted)).toString('hex'), hex)
  }
  for (const hex of ['', '80', '2a80', '2a8001', `2a${'81'.repeat(70)}01`])
    assert.throws(() => oidText(bytes(hex)), DecodeError, hex)
})

test('times of certificates', () => {
  const time = (tag: number, text: string): number =>
    readTime(DerReader.over(derEncode(tag, Buffer.from(text)), 'test'), 'time')
  assert.equal(time(0x17, '261121090000Z'), Date.parse('2026-11-21T09:00:00Z'))
  assert.equal(time(0x17, '491231235959Z'), Date.parse('2049-12-31T23:59:59Z'))
  assert.equal(time(0x17, '500101000000Z'), Date.parse('1950-01-01T00:00:00Z'))
  assert.equal(time(0x18, '20500229000000Z'.replace('0229', '0228')), Date.parse('2050-02-28T00:00:00Z'))
  assert.equal(time(0x18, '00010101000000Z'), Date.parse('0001-01-01T00:00:00Z'))
  assert.equal(time(0x18, '99991231235959Z'), Date.parse('9999-12-31T23:59:59Z'))
  for (const [tag, text] of [
    [0x17, '2611210900Z'],
    [0x17, '261121090000+0100'],
    [0x17, '260230090000Z'],
    [0x17, '261121240000Z'],
    [0x17, '261121090060Z'],
    [0x17, '261301090000Z'],
    [0x18, '20261121090000.5Z'],
    [0x18, '261121090000Z'],
    [0x16, '261121090000Z'],
  ] as const)
    assert.throws(() => time(tag, text), DecodeError, text)
  assert.equal(timeText(Date.parse('2026-11-21T09:00:00Z')), '2026-11-21 09:00:00 UTC')
  assert.equal(charonTimeText(Date.parse('2026-01-02T03:04:05Z')), 'Jan 02 03:04:05 2026')
})
