/** Datagrams that nobody honest sends. None may end or change anything, and all are counted. */
import assert from 'node:assert/strict'
import { seededRandom } from '../../src/crypto/random.ts'
import { decodeHeader } from '../../src/wire/header.ts'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import type { Payload, Transform } from '../../src/wire/payloads/index.ts'
import { failed, logged, nothingLeaks, nothingLeft, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'

const stranger = { address: '203.0.113.66', port: 500 }

/** The message with one more payload at its end, which has the critical bit. */
function withCriticalPayload(message: Uint8Array, type: number): Uint8Array {
  const longer = Buffer.concat([message, Buffer.from([0, 0x80, 0, 4])])
  longer.writeUInt32BE(longer.length, 24)
  let next = 16
  let at = 28
  while (longer[next] !== 0) {
    next = at
    at += longer.readUInt16BE(at + 2)
  }
  longer[next] = type
  return longer
}

/** RFC 7296 §2.5: the notify carries the type; §2.21.1: the request leaves no state. */
scenario('an unknown critical payload in IKE_SA_INIT', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const flight = world.net.flights[0]
  assert.ok(flight)
  const request = Buffer.from(withCriticalPayload(flight.bytes, 200))
  request[0] = (request[0] ?? 0) ^ 0xff
  world.inject(world.right, stranger, request)
  const answer = world.right.sent.at(-1)
  assert.ok(answer)
  const notify = Buffer.from(answer.bytes)
  assert.equal(decodeHeader(notify).flags.response, true)
  // N: no protocol, no SPI, UNSUPPORTED_CRITICAL_PAYLOAD, one octet of data
  assert.equal(notify[16], 41)
  assert.deepEqual([...notify.subarray(28)], [0, 0, 0, 9, 0, 0, 0, 1, 200])
  assert.deepEqual(world.right.sas(), [])
})

scenario('an unknown payload that is not critical is ignored', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const flight = world.net.flights[0]
  assert.ok(flight)
  const request = Buffer.from(withCriticalPayload(flight.bytes, 200))
  request[request.length - 3] = 0
  request[0] = (request[0] ?? 0) ^ 0xff
  world.inject(world.right, { address: '192.0.2.1', port: 500 }, request)
  assert.equal(world.right.sas().length, 1)
})

/** §3.10.1: INVALID_SYNTAX is for what is protected; who forges gets nothing to multiply. */
scenario('a malformed IKE_SA_INIT is not answered', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const [flight] = world.net.flights
  assert.ok(flight)
  const good = decodeMessage(flight.bytes)
  const { payloads } = good
  const cut = Buffer.from(flight.bytes.subarray(0, 40))
  cut.writeUInt32BE(cut.length, 24)
  const bad = [
    cut,
    encodeMessage({ ...good, payloads: payloads.filter(({ type }) => type !== 'Nonce') }),
    encodeMessage({ ...good, payloads: [...payloads, ...payloads.filter(({ type }) => type === 'KE')] }),
    encodeMessage({
      ...good,
      payloads: payloads.map((one) => (one.type === 'KE' ? { ...one, data: one.data.subarray(1) } : one)),
    }),
  ]
  const peer = { address: '192.0.2.1', port: 1234 }
  for (const message of bad) world.inject(world.right, peer, message)
  assert.deepEqual([world.right.sent.length, world.right.sas().length], [0, 0])
  world.inject(world.right, peer, encodeMessage(good))
  assert.equal(world.right.sent.length, 1, 'nothing else was wrong with them')
})

/** The header of an IKE_SA_INIT request of that version, and nothing else. */
function ofVersion(version: number): Uint8Array {
  const bytes = Buffer.alloc(28, 7)
  bytes.fill(0, 8, 16)
  bytes.set([33, version, 34, 0x08, 0, 0, 0, 0, 0, 0, 0, 28], 16)
  return bytes
}

/** RFC 7296 §1.5, §2.5: SPIs, exchange type and message ID are those of the request; the version is our highest. */
scenario('a message of IKEv1 and one of a version to come', () => {
  for (const version of [0x10, 0x30]) {
    const world = pair()
    const request = ofVersion(version)
    world.inject(world.right, stranger, request)
    const [answer] = world.right.sent
    assert.ok(answer, `version ${version >> 4} has no answer`)
    const bytes = Buffer.from(answer.bytes)
    assert.deepEqual(bytes.subarray(0, 16), Buffer.from(request.subarray(0, 16)))
    // N, version 2.0, IKE_SA_INIT, response, message ID 0, 36 octets; INVALID_MAJOR_VERSION
    assert.deepEqual([...bytes.subarray(16, 28)], [41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 36])
    assert.deepEqual([...bytes.subarray(28)], [0, 0, 0, 8, 0, 0, 0, 5])
    assert.deepEqual(world.right.sas(), [])
  }
})

scenario('a minor version to come', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const flight = world.net.flights[0]
  assert.ok(flight)
  const request = Uint8Array.from(flight.bytes)
  request[17] = 0x2f
  world.inject(world.right, { address: '192.0.2.1', port: 500 }, request)
  assert.equal(world.right.sas().length, 1)
  assert.equal(world.right.sent.at(-1)?.bytes[17], 0x20)
})

scenario('a message of a version to come under the SPIs of an IKE SA changes nothing', () => {
  const world = established()
  const last = world.left.sent.at(-1)
  assert.ok(last)
  const later = Uint8Array.from(last.bytes)
  later[4 + 17] = 0x30
  world.inject(world.right, { address: '192.0.2.1', port: 4500 }, later, 4500)
  sameSingleChild(world)
})

scenario('messages of another version are answered once in ten seconds, and a flood gets twenty answers', () => {
  const world = pair()
  const { sent } = world.right
  for (let i = 0; i < 10; i++) world.inject(world.right, stranger, ofVersion(0x30))
  assert.equal(sent.length, 1)
  world.wait(11)
  world.inject(world.right, stranger, ofVersion(0x30))
  assert.equal(sent.length, 2)
  world.wait(11)
  for (let i = 0; i < 200; i++) world.inject(world.right, { address: `203.0.113.${i}`, port: 500 }, ofVersion(0x10))
  assert.equal(sent.length, 22)
})

/** Every prefix, every single octet changed: an SA that is up stays up, and none is left over. */
scenario('the messages of an exchange, cut and changed', () => {
  const recorded = established()
  const world = established()
  const random = seededRandom(7)
  for (const host of recorded.hosts) {
    for (const { bytes, label } of host.sent) {
      const port = label.startsWith('IKE_SA_INIT') ? 500 : 4500
      const victim = world.peer(world.host(host.name))
      const peer = { address: host === recorded.left ? '192.0.2.1' : '192.0.2.2', port }
      for (let length = 0; length < bytes.length; length += 1 + ((random(1)[0] ?? 0) % 4)) {
        world.inject(victim, peer, bytes.slice(0, length), port)
        const changed = Uint8Array.from(bytes)
        changed[length] = (changed[length] ?? 0) ^ (1 << ((random(1)[0] ?? 0) & 7))
        world.inject(victim, peer, changed, port)
      }
    }
  }
  world.settle()
  world.wait(60)
  sameSingleChild(world)
})

scenario('noise', () => {
  const world = established()
  const random = seededRandom(8)
  for (let i = 0; i < 2000; i++) {
    const bytes = random((random(1)[0] ?? 0) * 2)
    for (const host of world.hosts) world.inject(host, stranger, bytes, i % 2 === 0 ? 500 : 4500)
  }
  for (const host of world.hosts) {
    const answer = host.command({ kind: 'stats' })()
    assert.deepEqual(answer?.kind === 'stats' && [answer.ikeSas, answer.halfOpen], [1, 0])
  }
  sameSingleChild(world)
})

scenario('the octets of a recorded IKE_AUTH under the SPIs of another SA', () => {
  const recorded = established({ seed: 3 })
  const world = established()
  const message = recorded.left.sent.at(-1)
  const own = world.left.sent.at(-1)
  assert.ok(message && own)
  const replayed = Uint8Array.from(message.bytes)
  replayed.set(own.bytes.subarray(0, 20), 0)
  world.inject(world.right, { address: '192.0.2.1', port: 4500 }, replayed, 4500)
  sameSingleChild(world)
})

scenario('a forged AUTHENTICATION_FAILED, without protection', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(2)
  const request = world.left.sent.at(-1)
  assert.ok(request)
  const spis = request.bytes.subarray(4, 20) // behind the non-ESP marker
  const forged = Buffer.concat([
    Buffer.alloc(4),
    spis,
    Buffer.from([41, 0x20, 35, 0x20, 0, 0, 0, 1, 0, 0, 0, 36]),
    Buffer.from([0, 0, 0, 8, 0, 0, 0, 24]),
  ])
  world.inject(world.left, { address: '192.0.2.2', port: 4500 }, forged, 4500)
  world.settle()
  sameSingleChild(world)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

/** A message of an IKE_SA_INIT response with nothing but one notify. */
function forgedAnswer(request: Uint8Array, type: number, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(28 + 8 + data.length)
  bytes.set(request.subarray(0, 8))
  bytes.set([41, 0x20, 34, 0x20], 16)
  bytes.writeUInt32BE(bytes.length, 24)
  bytes.writeUInt16BE(8 + data.length, 30)
  bytes.writeUInt16BE(type, 34)
  bytes.set(data, 36)
  return bytes
}

/** RFC 7296 §2.21.1: an error without protection may be a forgery, and the true answer is on its way. */
for (const [type, name] of [
  [7, 'INVALID_SYNTAX'],
  [14, 'NO_PROPOSAL_CHOSEN'],
  [24, 'AUTHENTICATION_FAILED'],
  [8191, 'an unknown error'],
  [1, 'UNSUPPORTED_CRITICAL_PAYLOAD'],
] as const) {
  scenario(`a forged answer to IKE_SA_INIT with ${name} is not believed at once`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    const [flight] = world.net.flights
    assert.ok(flight)
    const right = { address: world.right.kernel.addresses[0] ?? '', port: 500 }
    const before = world.left.sent.length
    world.inject(world.left, right, forgedAnswer(flight.bytes, type, new Uint8Array()))
    assert.equal(world.left.sent.length, before)
    world.settle()
    sameSingleChild(world)
  })
}

/** RFC 7296 §3.3.6: what is selected must have been offered; without protection the true answer is waited for. */
for (const [what, change] of [
  ['another key length', (one: Transform) => (one.type === 1 ? { ...one, keyBits: 256 } : one)],
  ['another prf', (one: Transform) => (one.type === 2 ? { ...one, id: 7 } : one)],
  ['another group', (one: Transform) => (one.type === 4 ? { ...one, id: 14 } : one)],
] as const) {
  scenario(`an answer to IKE_SA_INIT that selects ${what} than was offered is not believed`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.deliver()
    const [flight] = world.net.flights
    assert.ok(flight)
    const answer = decodeMessage(flight.bytes)
    const payloads = answer.payloads.map(
      (one): Payload =>
        one.type === 'SA'
          ? { ...one, proposals: one.proposals.map((p) => ({ ...p, transforms: p.transforms.map(change) })) }
          : one,
    )
    world.inject(world.left, { address: '192.0.2.2', port: 500 }, encodeMessage({ ...answer, payloads }))
    logged(world.left, 'it selects what we did not propose')
    world.settle()
    sameSingleChild(world)
  })
}

/**
 *   left                                    right, and somebody who forges
 *     | IKE_SA_INIT request 0                 |
 *     |-------------------------------------> |   (on its way)
 *     |          N(COOKIE) … N(COOKIE), forged|
 *     |<------------------------------------- |
 *     | a request for each of the first two, then one every half second
 */
scenario('forged cookies slow an initiator down, and neither stop it nor make it send at their pace', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const [flight] = world.net.flights
  assert.ok(flight)
  const right = { address: world.right.kernel.addresses[0] ?? '', port: 500 }
  const before = world.left.sent.length
  for (let i = 0; i < 12; i++) {
    const cookie = Uint8Array.of(1, i)
    world.inject(world.left, right, forgedAnswer(flight.bytes, 16390, cookie))
    world.inject(world.left, right, forgedAnswer(flight.bytes, 16390, cookie)) // once more: it has that one already
  }
  assert.equal(world.left.sent.length - before, 2)
  world.settle()
  world.wait(40) // requests with other cookies are other requests to right: half-open for a while
  sameSingleChild(world)
})

scenario('somebody who asks for ever new cookies is given up', () => {
  const world = pair()
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const [flight] = world.net.flights
  assert.ok(flight)
  world.net.partitioned = true
  const right = { address: world.right.kernel.addresses[0] ?? '', port: 500 }
  for (let i = 0; i < 22 && answer() === undefined; i++) {
    world.inject(world.left, right, forgedAnswer(flight.bytes, 16390, Uint8Array.of(2, i)))
    world.wait(0.5)
  }
  failed(answer(), /establishing CHILD_SA 'net' failed/)
  logged(world.left, 'peer refused 20 of its own cookies')
  assert.equal(world.left.sent.length, 21)
  nothingLeft(world.left)
})
