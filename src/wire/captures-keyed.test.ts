import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads, payloadNumber } from './message.ts'

/** A message and, where keys are known, what was inside; see SOURCE.md of the folder. */
interface Keyed {
  readonly exchange: number
  readonly message_id: number
  readonly ike_message_hex: string
  readonly inner_first_payload?: number
  readonly plaintext_payloads_hex?: string
  readonly payload_types?: readonly number[]
}

const file = new URL('../../rfc-vectors/captures-keyed/manifest.json', import.meta.url)
const manifest: { captures: readonly { file?: string; messages: readonly Keyed[] }[] } = JSON.parse(
  readFileSync(file, 'utf8'),
)
const messages = manifest.captures.flatMap((capture) => capture.messages)
const inside = messages.filter((message) => message.plaintext_payloads_hex !== undefined)

test('messages with known keys: the outer one', () => {
  assert.ok(messages.length >= 18)
  for (const { ike_message_hex, exchange, message_id, inner_first_payload } of messages) {
    const octets = hex(ike_message_hex)
    const message = decodeMessage(octets)
    assert.equal(message.exchange, exchange)
    assert.equal(message.messageId, message_id)
    assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    const last = message.payloads.at(-1)
    assert.equal(last?.type === 'SK' ? last.inner : undefined, inner_first_payload)
  }
})

test('messages with known keys: the payloads inside', () => {
  assert.ok(inside.length >= 10)
  for (const { inner_first_payload = 0, plaintext_payloads_hex = '', payload_types } of inside) {
    const octets = hex(plaintext_payloads_hex)
    const payloads = decodePayloads(inner_first_payload, octets)
    assert.deepEqual(payloads.map(payloadNumber), payload_types)
    assert.deepEqual(encodePayloads(payloads), { first: inner_first_payload, bytes: octets })
  }
})

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}
