import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ikeMessages } from '../../test/pcap.ts'
import { DecodeError } from './errors.ts'
import { decodeHeader } from './header.ts'
import { decodeMessage, encodeMessage, type Message, payloadNumber } from './message.ts'

/** What an independent dissector saw in a message; see SOURCE.md of the folder. */
interface Dissection {
  readonly frame: string
  readonly ispi: string
  readonly rspi: string
  readonly version: string
  readonly exchangetype?: string
  readonly flags: string
  readonly messageid: string
  readonly length: string
  readonly typepayload?: string
  readonly msgtype?: string
  readonly dh_group?: string
  readonly fragment?: string
}

const folder = new URL('../../rfc-vectors/captures-plain/', import.meta.url)
const { captures }: { captures: readonly { file: string; messages: readonly Dissection[] }[] } = JSON.parse(
  readFileSync(new URL('manifest.json', folder), 'utf8'),
)

/** Damaged on purpose, or with a different idea of what is damaged than the dissector's. */
const refused = new Map([
  ['tcpdump-ikev2-id-normal.pcap', 'IDi at offset 36: an address of 1 octets in an identification of type 1'],
  ['tcpdump-ikev2-id-short.pcap', 'IDi at offset 33: 3 octets wanted, 0 left'],
  ['tcpdump-ikev2pI2-segfault.pcapng', 'SA.proposal[0] at offset 64: "last substructure" is 46 with 8 octets left'],
])

/** The first fragment of a packet that never becomes whole; the dissector looked inside anyway. */
const incomplete = 'tcpdump-isakmp-various-oobr.pcap'

for (const { file, messages } of captures) {
  if (file.endsWith('.bin')) continue
  test(`${file}: as dissected`, () => {
    const found = ikeMessages(readFileSync(new URL(file, folder)))
    const byFrame = new Map(messages.map((message) => [Number(message.frame), message]))
    if (file !== incomplete)
      for (const frame of byFrame.keys())
        assert.ok(
          found.some((datagram) => datagram.frame === frame),
          `frame ${frame}`,
        )
    for (const { frame, data } of found) {
      const expected = byFrame.get(frame)
      const reason = refused.get(file)
      if (reason !== undefined) {
        assert.throws(() => decodeMessage(data), { name: 'DecodeError', message: reason })
        continue
      }
      // IKEv1, and what is no IKE at all, has another version or is too short.
      if (expected === undefined || expected.version !== '0x20') {
        assert.throws(
          () => decodeMessage(data),
          (error) => error instanceof DecodeError,
        )
        if (expected !== undefined) assert.equal(decodeHeader(data).major, Number(expected.version) >>> 4)
        continue
      }
      const message = decodeMessage(data)
      assert.deepEqual(dissect(message, data), normalized(expected), `frame ${frame}`)
      assert.deepEqual(encodeMessage(message).length, data.length)
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    }
  })
}

test('rusticata-ike-sa-init: a request and its response', () => {
  const [request, response] = ['req', 'resp'].map((which) => {
    const octets = readFileSync(new URL(`rusticata-ike-sa-init-${which}.bin`, folder))
    const message = decodeMessage(octets)
    assert.deepEqual(Buffer.from(encodeMessage(message)), octets)
    return message.payloads.map((payload) => payload.type)
  })
  assert.deepEqual(request, ['SA', 'KE', 'Nonce'])
  assert.deepEqual(response, ['SA', 'KE', 'Nonce', 'CERTREQ', 'N'])
})

/** A decoded message in the dissector's terms. */
function dissect(message: Message, data: Uint8Array): Record<string, unknown> {
  const { payloads } = message
  const types = payloads.flatMap((payload) => {
    const inner = payload.type === 'SA' ? payload.proposals : []
    return [payloadNumber(payload), ...inner.flatMap(({ transforms }) => [2, ...transforms.map(() => 3)])]
  })
  return {
    ispi: message.spiI.toString(16).padStart(16, '0'),
    rspi: message.spiR.toString(16).padStart(16, '0'),
    exchange: message.exchange,
    initiator: message.flags.initiator,
    response: message.flags.response,
    messageId: message.messageId,
    length: data.length,
    types: types.join(','),
    notifies: payloads.flatMap((payload) => (payload.type === 'N' ? [payload.notify] : [])).join(','),
    groups: payloads.flatMap((payload) => (payload.type === 'KE' ? [payload.method] : [])).join(','),
    fragments: payloads.flatMap((payload) => (payload.type === 'SKF' ? [payload.fragment] : [])).join(','),
  }
}

function normalized(expected: Dissection): Record<string, unknown> {
  const flags = Number(expected.flags)
  return {
    ispi: expected.ispi,
    rspi: expected.rspi,
    exchange: Number(expected.exchangetype),
    initiator: (flags & 0x08) !== 0,
    response: (flags & 0x20) !== 0,
    messageId: Number(expected.messageid),
    length: Number(expected.length),
    types: expected.typepayload ?? '',
    notifies: expected.msgtype ?? '',
    groups: expected.dh_group ?? '',
    fragments: expected.fragment === undefined ? '' : String(Number(expected.fragment)),
  }
}
