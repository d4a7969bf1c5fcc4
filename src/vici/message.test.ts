import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { formatTree, list, section, type Tree, value } from '../config/tree.ts'
import { DecodeError } from '../wire/errors.ts'
import { FrameReader, FrameTooLong, frame } from './framing.ts'
import { decodeMessage, encodeMessage, maxDepth, maxFrameBytes } from './message.ts'
import { decodePacket, encodePacket } from './packet.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

const name = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)), maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 300 })
const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.array(
    fc.oneof(
      { maxDepth: 4 },
      fc.record({ kind: fc.constant('value' as const), name, value: bytes }, { noNullPrototype: true }),
      fc.record(
        { kind: fc.constant('list' as const), name, values: fc.array(bytes, { maxLength: 4 }) },
        { noNullPrototype: true },
      ),
      fc.record({ kind: fc.constant('section' as const), name, items: tie('tree') }, { noNullPrototype: true }),
    ),
    { maxLength: 5 },
  ),
})).tree

test('the bytes of a small message', () => {
  const message = [value('a', 'b'), section('s', [list('l', ['x', 'y'])])]
  const wire = hex('03 01 61 0001 62  01 01 73  04 01 6c  05 0001 78  05 0001 79  06  02')
  assert.deepEqual(encodeMessage(message), wire)
  assert.equal(formatTree(decodeMessage(wire)), 'a=b s {l=[x y]}')
})

test('decoding an encoded message gives the message', () => {
  fc.assert(fc.property(tree, (message) => assert.deepEqual(decodeMessage(encodeMessage(message)), message)))
})

test('any bytes are a message or a DecodeError', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 60 }), (raw) => {
      try {
        decodeMessage(Uint8Array.from(raw))
      } catch (error) {
        assert.ok(error instanceof DecodeError)
      }
    }),
    { numRuns: 2000 },
  )
})

for (const [what, wire] of [
  ['a section that does not end', '01 01 73'],
  ['an end without a beginning', '02'],
  ['a section in a list', '04 01 6c 01 01 73 02 06'],
  ['a list that does not end', '04 01 6c'],
  ['an item outside a list', '05 0000'],
  ['a name with a control character', '03 01 0a 0000'],
  ['a value beyond the end', '03 01 61 0002 62'],
  ['an unknown element', '07'],
] as const) {
  test(`refuses ${what}`, () => assert.throws(() => decodeMessage(hex(wire)), DecodeError))
}

test('nesting is bounded', () => {
  const deep = (n: number) => hex('0100'.repeat(n) + '02'.repeat(n))
  assert.equal(decodeMessage(deep(maxDepth)).length, 1)
  assert.throws(() => decodeMessage(deep(maxDepth + 1)), DecodeError)
})

test('what VICI cannot express is left out, the rest is sent', () => {
  const message = [value('big', new Uint8Array(65536)), value('x'.repeat(256), ''), value('a\n', ''), value('b', 'c')]
  assert.equal(formatTree(decodeMessage(encodeMessage(message))), 'b=c')
})

test('packets with and without names', () => {
  assert.deepEqual(decodePacket(hex('02')), { type: 'CMD_UNKNOWN' })
  assert.deepEqual(decodePacket(hex('63')), { type: 'unknown', number: 0x63 })
  assert.deepEqual(decodePacket(encodePacket('EVENT_REGISTER', 'log')), { type: 'EVENT_REGISTER', name: 'log' })
  assert.deepEqual(decodePacket(encodePacket('EVENT', 'log', [])), {
    type: 'EVENT',
    name: 'log',
    message: new Uint8Array(),
  })
  assert.throws(() => decodePacket(hex('')), DecodeError)
  assert.throws(() => decodePacket(Buffer.from('\u00002version', 'latin1')), DecodeError)
})

test('frames arrive whole however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 50 })), (packets, cuts) => {
      const stream = Buffer.concat(packets.map(frame))
      const reader = new FrameReader()
      const seen: Uint8Array[] = []
      let at = 0
      for (const cut of [...cuts, stream.length]) {
        seen.push(...reader.push(stream.subarray(at, at + cut)))
        at += cut
      }
      assert.deepEqual(seen, packets)
    }),
  )
})

test('a frame may have 524288 bytes and not one more', () => {
  const largest = new Uint8Array(maxFrameBytes)
  assert.equal([...new FrameReader().push(frame(largest))][0]?.length, 524288)
  assert.throws(() => [...new FrameReader().push(hex('00080001'))], FrameTooLong)
  assert.throws(() => frame(new Uint8Array(maxFrameBytes + 1)), FrameTooLong)
})
