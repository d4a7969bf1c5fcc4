import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Payload } from './payloads/index.ts'
import { shape } from './shape.ts'

const nonce: Payload = { type: 'Nonce', nonce: new Uint8Array(16) }
const ke: Payload = { type: 'KE', method: 31, data: new Uint8Array(32) }
const notify = (type: number): Payload => ({
  type: 'N',
  protocol: 0,
  spi: new Uint8Array(),
  notify: type,
  data: new Uint8Array(),
})

const rules = shape({ Nonce: 'one', KE: 'optional', N: 'many' })

test('sorts payloads by type, in any order, and keeps the order within a type', () => {
  const { Nonce, KE, N } = rules([notify(3), nonce, notify(1), ke, notify(2)])
  assert.equal(Nonce, nonce)
  assert.equal(KE?.method, 31)
  assert.deepEqual(
    N.map((payload) => payload.notify),
    [3, 1, 2],
  )
})

test('optional payloads may be missing, many may be none', () => {
  const { KE, N } = rules([nonce])
  assert.equal(KE, undefined)
  assert.deepEqual(N, [])
})

test('payloads that are not expected are left out', () => {
  const shaped = rules([nonce, { type: 'V', data: new Uint8Array() }])
  assert.deepEqual(Object.keys(shaped), ['Nonce', 'KE', 'N'])
})

test('a missing payload is refused', () => {
  assert.throws(() => rules([ke]), { name: 'ShapeError', payload: 'Nonce', message: 'payload Nonce is missing' })
})

test('a repeated payload is refused', () => {
  assert.throws(() => rules([nonce, nonce]), { name: 'ShapeError', payload: 'Nonce' })
  assert.throws(() => rules([nonce, ke, ke]), { payload: 'KE', message: 'payload KE is there 2 times' })
})
