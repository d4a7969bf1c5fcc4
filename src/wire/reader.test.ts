import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from './errors.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

test('reads big-endian fields from front to back', () => {
  const reader = new Reader(Uint8Array.of(1, 0xff, 2, 0xff, 0xff, 0xff, 3, 0x80, 0, 0, 0, 0, 0, 0, 4, 9, 8, 7))
  assert.equal(reader.u8(), 1)
  assert.equal(reader.u16(), 0xff02)
  assert.equal(reader.u32(), 0xffffff03)
  assert.equal(reader.u64(), 0x8000000000000004n)
  assert.equal(reader.left, 3)
  assert.equal(reader.offset, 15)
  assert.deepEqual(reader.bytes(1), Uint8Array.of(9))
  assert.deepEqual(reader.rest(), Uint8Array.of(8, 7))
  assert.deepEqual(reader.rest(), new Uint8Array())
  reader.end()
})

test('a missing octet is an error and never shortens', () => {
  for (const [have, read] of [
    [0, (r: Reader) => r.u8()],
    [1, (r: Reader) => r.u16()],
    [3, (r: Reader) => r.u32()],
    [7, (r: Reader) => r.u64()],
    [4, (r: Reader) => r.bytes(5)],
    [4, (r: Reader) => r.sub(5, 'part')],
  ] as const) {
    const reader = new Reader(new Uint8Array(have), 'thing')
    assert.throws(() => read(reader), { name: 'DecodeError', place: 'thing', offset: 0 })
    assert.equal(reader.left, have)
  }
})

test('an error names the path of places and the offset from the outermost start', () => {
  const reader = new Reader(new Uint8Array(20), 'SA')
  reader.bytes(3)
  const part = reader.sub(10, 'proposal[1]')
  part.bytes(4)
  const inner = part.sub(4, 'transform[0]')
  inner.u8()
  assert.throws(
    () => inner.fail('odd', 7),
    (error) =>
      error instanceof DecodeError &&
      error.place === 'SA.proposal[1].transform[0]' &&
      error.offset === 8 &&
      error.notify === 7 &&
      error.message === 'SA.proposal[1].transform[0] at offset 8: odd',
  )
  assert.equal(reader.offset, 13)
  assert.throws(() => inner.end(), { message: 'SA.proposal[1].transform[0] at offset 8: 3 octets too many' })
})

test('views of a Buffer are plain, and share its octets', () => {
  const buffer = Buffer.from([1, 2, 3, 4])
  const view = new Reader(buffer.subarray(1)).bytes(2)
  assert.equal(view.constructor, Uint8Array)
  buffer[1] = 9
  assert.deepEqual(view, Uint8Array.of(9, 3))
})

test('the writer writes what the reader reads, and grows', () => {
  const out = new Writer(1)
  out.u8(1)
  out.u16(0xff02)
  out.u32(0xffffff03)
  out.u64(0x8000000000000004n)
  out.bytes(Uint8Array.of(9))
  out.zeros(2)
  assert.equal(out.length, 18)
  const expected = [1, 0xff, 2, 0xff, 0xff, 0xff, 3, 0x80, 0, 0, 0, 0, 0, 0, 4, 9, 0, 0]
  assert.deepEqual(out.finish(), Uint8Array.from(expected))
})

test('lengths are patched: of the structure, or of what follows', () => {
  const out = new Writer()
  out.u16(0xaaaa)
  out.zeros(2)
  out.bytes(new Uint8Array(300).fill(1))
  out.length16(2)
  assert.deepEqual(out.finish().subarray(0, 5), Uint8Array.of(0xaa, 0xaa, 1, 0x30, 1))
  const value = new Writer()
  value.zeros(2)
  value.u8(5)
  value.length16(0, 2)
  assert.deepEqual(value.finish(), Uint8Array.of(0, 1, 5))
  const long = new Writer()
  long.zeros(5)
  long.length32(1, 0)
  assert.deepEqual(long.finish(), Uint8Array.of(0, 0, 0, 0, 5))
})

test('what does not fit its field is refused', () => {
  const out = new Writer()
  assert.throws(() => out.u8(256), RangeError)
  assert.throws(() => out.u8(-1), RangeError)
  assert.throws(() => out.u16(65536), RangeError)
  assert.throws(() => out.u32(2 ** 32), RangeError)
  assert.throws(() => out.u64(2n ** 64n), RangeError)
  assert.throws(() => out.u64(-1n), RangeError)
  out.zeros(65536)
  assert.throws(() => out.length16(2, 0), RangeError)
})
