import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from './secret.ts'

test('a secret prints its length and nothing else', () => {
  const secret = Secret.of(Uint8Array.of(0xde, 0xad))
  const printed = [String(secret), inspect(secret), inspect({ key: [secret] }), JSON.stringify({ secret })]
  assert.deepEqual(printed, ['[secret 2]', '[secret 2]', '{ key: [ [secret 2] ] }', '{"secret":"[secret 2]"}'])
})

test('a disposed secret is wiped and cannot be used', () => {
  const bytes = Uint8Array.of(1, 2, 3)
  const copy: Secret[] = []
  {
    using secret = Secret.of(bytes)
    copy.push(secret.copy(), secret)
    assert.equal(secret.key().symmetricKeySize, 3)
  }
  assert.deepEqual(bytes, Uint8Array.of(0, 0, 0))
  assert.throws(() => copy[1]?.bytes(), /wiped/)
  assert.throws(() => copy[1]?.key(), /wiped/)
  assert.deepEqual(copy[0]?.bytes(), Uint8Array.of(1, 2, 3))
})

test('comparison', () => {
  const secret = Secret.of(Uint8Array.of(1, 2))
  assert.ok(secret.equals(Secret.of(Uint8Array.of(1, 2))))
  assert.ok(!secret.equals(Secret.of(Uint8Array.of(1, 3))))
  assert.ok(!secret.equals(Secret.of(Uint8Array.of(1, 2, 3))))
})

test('a key object is made once for a length', () => {
  const secret = Secret.of(Uint8Array.of(1, 2, 3, 4))
  assert.equal(secret.key(2), secret.key(2))
  assert.deepEqual(new Uint8Array(secret.key(2).export()), Uint8Array.of(1, 2))
  assert.deepEqual(new Uint8Array(secret.key().export()), Uint8Array.of(1, 2, 3, 4))
})
