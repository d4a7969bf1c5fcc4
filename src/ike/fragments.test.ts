import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import { type Fragment, Reassembly } from './fragments.ts'

/** A piece whose only octet is its number, plus `mark`. */
function piece(number: number, total: number, mark = 0, messageId = 1): Fragment {
  const plaintext = Uint8Array.of(number + mark)
  return { messageId, number, total, inner: number === 1 ? 35 : 0, plaintext, head: Uint8Array.of(number) }
}

const most = 1000

test('RFC 7383 §2.6: the pieces in order, whatever the order in which they come', () => {
  const reassembly = new Reassembly()
  assert.equal(reassembly.add(piece(3, 3), most), 'incomplete')
  assert.equal(reassembly.add(piece(1, 3), most), 'incomplete')
  const whole = { inner: 35, plaintext: Uint8Array.of(1, 2, 3), head: Uint8Array.of(1) }
  assert.deepEqual(reassembly.add(piece(2, 3), most), whole)
  assert.equal(reassembly.isEmpty, true)
})

test('RFC 7383 §2.6: a piece that is there already is dropped', () => {
  const reassembly = new Reassembly()
  reassembly.add(piece(1, 2), most)
  assert.equal(reassembly.add(piece(1, 2, 100), most), 'dropped')
  assert.deepEqual((reassembly.add(piece(2, 2), most) as { plaintext: Uint8Array }).plaintext, Uint8Array.of(1, 2))
})

test('RFC 7383 §2.6: fewer pieces than before are dropped, more of them begin anew', () => {
  const reassembly = new Reassembly()
  reassembly.add(piece(1, 3), most)
  assert.equal(reassembly.add(piece(2, 2), most), 'dropped')
  assert.equal(reassembly.add(piece(2, 4, 100), most), 'incomplete')
  for (const number of [3, 4]) assert.equal(reassembly.add(piece(number, 4, 100), most), 'incomplete')
  const whole = reassembly.add(piece(1, 4, 100), most)
  assert.deepEqual((whole as { plaintext: Uint8Array }).plaintext, Uint8Array.of(101, 102, 103, 104))
})

test('pieces of another message begin anew', () => {
  const reassembly = new Reassembly()
  reassembly.add(piece(1, 2), most)
  assert.equal(reassembly.add(piece(2, 2, 0, 2), most), 'incomplete')
})

test('RFC 7383 §5: a message that is too long is dropped with all of its pieces', () => {
  const reassembly = new Reassembly()
  for (const number of [1, 2, 3]) assert.equal(reassembly.add(piece(number, 9), 3), 'incomplete')
  assert.equal(reassembly.add(piece(4, 9), 3), 'dropped')
  assert.equal(reassembly.isEmpty, true)
  assert.ok(defaultCoreSettings.maxPacket <= 65_536)
})
