import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeHeader, encodeHeader, type Header } from './header.ts'
import { Writer } from './writer.ts'

const octets = new Uint8Array(Buffer.from('0102030405060708111213141516171821202208fffffffe00000178', 'hex'))
const header: Header = {
  spiI: 0x0102030405060708n,
  spiR: 0x1112131415161718n,
  nextPayload: 33,
  major: 2,
  minor: 0,
  exchange: 34,
  flags: { initiator: true, response: false, version: false },
  messageId: 0xfffffffe,
  length: 376,
}

function encoded(value: Header): Uint8Array {
  const out = new Writer()
  encodeHeader(value, out)
  return out.finish()
}

test('a header, both ways', () => {
  assert.deepEqual(decodeHeader(octets), header)
  assert.deepEqual(encoded(header), octets)
})

test('every combination of flags, in its bit', () => {
  for (const [flags, octet] of [
    [{ initiator: false, response: false, version: false }, 0x00],
    [{ initiator: true, response: false, version: false }, 0x08],
    [{ initiator: false, response: false, version: true }, 0x10],
    [{ initiator: false, response: true, version: false }, 0x20],
    [{ initiator: true, response: true, version: true }, 0x38],
  ] as const) {
    const bytes = encoded({ ...header, flags })
    assert.equal(bytes[19], octet)
    assert.deepEqual(decodeHeader(bytes).flags, flags)
  }
})

test('the header of another version reads, too, whatever the length says', () => {
  const other = octets.slice()
  other[17] = 0x1f
  const { major, minor, length } = decodeHeader(other)
  assert.deepEqual([major, minor, length], [1, 15, 376])
})

test('27 octets are no header', () => {
  assert.throws(() => decodeHeader(octets.subarray(0, 27)), {
    name: 'DecodeError',
    message: 'header at offset 24: 4 octets wanted, 3 left',
  })
})
