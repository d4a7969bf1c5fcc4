/** IKE_AUTH in fragments (RFC 7383). */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { hybridProposal } from './connection.ts'
import { exchanges, logged, nothingLeaks, notLogged, onlySa, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const small = { auth: 'rsa2048', settings: { fragmentSize: 400 } } as const

/** The two exchanges up to the moment when left has sent the fragments of its IKE_AUTH request. */
function requestInFragments(): World {
  const world = pair(small)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(2)
  assert.ok(world.net.flights.length >= 3, `${world.net.flights.length} fragments`)
  return world
}

/**
 *    |-- IKE_AUTH request 1, EF(1/n) ------>|
 *    |-- IKE_AUTH request 1, EF(2/n) ------>|
 *    |   …                                  |
 */
scenario('both messages in fragments that are small enough', () => {
  const world = established(small)
  for (const host of world.hosts) {
    // 20 octets of IPv4 and 8 of UDP are in the size.
    assert.ok(host.sent.every(({ label, bytes }) => label.startsWith('IKE_SA_INIT') || bytes.length <= 400 - 28))
    assert.ok(host.sent.filter(({ label }) => label.startsWith('IKE_AUTH')).length >= 3)
  }
  logged(world.right, 'reassembled fragmented IKE message')
})

scenario('fragments in the opposite order', () => {
  const world = requestInFragments()
  const [first, ...others] = world.net.flights
  assert.ok(first)
  for (const flight of others.reverse()) world.deliverThis(flight)
  // Nothing is acknowledged, and nothing is done before all of it is there.
  assert.deepEqual(world.net.flights, [first])
  notLogged(world.right, 'looking for peer configs')
  world.settle()
  sameSingleChild(world)
})

scenario('every fragment comes twice', () => {
  const world = requestInFragments()
  for (const flight of [...world.net.flights]) world.net.duplicate(flight)
  world.settle()
  sameSingleChild(world)
})

scenario('a fragment of the request is lost: all are sent again', () => {
  const world = requestInFragments()
  world.deliver(1)
  world.lose(1)
  world.settle()
  assert.notEqual(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(4)
  sameSingleChild(world)
})

scenario('a fragment of the response is lost', () => {
  const world = requestInFragments()
  world.deliver(world.net.flights.length)
  world.deliver(1)
  world.lose(1)
  world.settle()
  world.wait(4)
  sameSingleChild(world)
})

/** RFC 7383 §2.6: whoever does not hold the keys cannot disturb the reassembly. */
scenario('a fragment with another content is dropped', () => {
  const world = requestInFragments()
  const [first] = world.net.flights
  assert.ok(first)
  const forged = Uint8Array.from(first.bytes)
  forged[forged.length - 20] = (forged[forged.length - 20] ?? 0) ^ 1
  world.inject(world.right, first.source, forged, 4500)
  world.settle()
  sameSingleChild(world)
})

scenario('the octets of fragments, and of the notify that allows them', () => {
  const world = requestInFragments()
  // Length 8, no protocol, no SPI, 16430.
  for (const { sent } of world.hosts) {
    assert.ok(Buffer.from(sent[0]?.bytes ?? []).includes('00080000402e', 'hex'))
  }
  const headers = world.net.flights.map(({ bytes }) => Buffer.from(bytes).subarray(4))
  for (const [i, octets] of headers.entries()) {
    // The same header but for the length: next payload SKF, IKE_AUTH, from the initiator, message 1.
    assert.deepEqual(octets.subarray(0, 16), headers[0]?.subarray(0, 16))
    assert.equal(octets.subarray(16, 24).toString('hex'), '3520230800000001')
    assert.equal(octets.readUInt32BE(24), octets.length)
    // SKF to the end of the datagram. The first one names the first payload inside: IDi.
    assert.equal(octets[28], i === 0 ? 35 : 0)
    assert.equal(octets.readUInt16BE(30), octets.length - 28)
    assert.deepEqual([octets.readUInt16BE(32), octets.readUInt16BE(34)], [i + 1, headers.length])
  }
  world.settle()
  sameSingleChild(world)
})

scenario('IKE_SA_INIT is never in fragments, and what fits goes whole', () => {
  const world = established({ ...small, settings: { fragmentSize: 200 } })
  for (const { sent } of world.hosts) {
    const [init, ...others] = sent
    assert.match(init?.label ?? '', /^IKE_SA_INIT/)
    assert.ok((init?.bytes.length ?? 0) > 200)
    assert.ok(others.every(({ label, bytes }) => label.startsWith('IKE_AUTH') && bytes.length <= 200))
  }
  const before = exchanges(world.left).length
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  assert.deepEqual(exchanges(world.left).slice(before), ['INFORMATIONAL request 2'])
})

for (const [outer, most] of [
  [4, 576 - 20 - 8],
  [6, 1280 - 40 - 8],
] as const) {
  scenario(`fragment_size = 0: the smallest datagrams that every IPv${outer} path takes`, () => {
    const world = established({ outer, ike: [hybridProposal([KE.ML_KEM_1024])], settings: { fragmentSize: 0 } })
    const sizes = world.left.sent
      .filter(({ label }) => label.startsWith('IKE_INTERMEDIATE'))
      .map(({ bytes }) => bytes.length)
    assert.ok(sizes.length > 1)
    assert.ok(Math.max(...sizes) <= most && Math.max(...sizes) > most - 16)
  })
}

/** RFC 7383 §2.6.1: whoever has been answered already asks with the first fragment. */
scenario('of a request that has been answered only the first fragment is answered again', () => {
  const world = requestInFragments()
  const fragments = [...world.net.flights]
  world.settle()
  const before = world.right.sent.length
  const answers = world.right.sent.filter(({ label }) => label.startsWith('IKE_AUTH')).length
  const [first, ...others] = fragments
  assert.ok(first)
  for (const flight of others) world.net.duplicate(flight)
  world.settle()
  assert.equal(world.right.sent.length, before)
  world.net.duplicate(first)
  world.settle()
  assert.equal(world.right.sent.length, before + answers)
  sameSingleChild(world)
})

/**
 *    |-- CREATE_CHILD_SA request 2, EF(1/2) ---->|
 *    |-- CREATE_CHILD_SA request 2, EF(2/2) - x  |   165 s, and left has gone
 */
scenario('fragments whose others never come are forgotten, and the IKE SA stays', () => {
  const world = established({ settings: { fragmentSize: 150 } })
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.finishJobs()
  assert.ok(world.net.flights.length > 1)
  world.deliver(1)
  world.net.partitioned = true
  world.lose(world.net.flights.length)
  world.wait(160)
  notLogged(world.right, 'are missing')
  world.wait(10)
  logged(world.right, 'fragments of request with ID 2 are missing, forgetting the others')
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  world.right.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
  world.wait(10)
  nothingLeaks(world)
})

scenario('an IKE SA that goes forgets its fragments', () => {
  const world = established({ settings: { fragmentSize: 150 } })
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.deliver(1)
  world.net.partitioned = true
  world.lose(world.net.flights.length)
  for (const host of world.hosts) {
    host.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
  }
  world.wait(10)
  nothingLeaks(world)
})

/** RFC 7383 §2.6: fragments of an answer that nobody waits for any more are not part of the next. */
scenario('a second try does not put its answer together with fragments of the first', () => {
  const world = pair({ ...small, connection: { keyingTries: 2 } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(2)
  world.deliver(world.net.flights.length)
  world.deliver(1)
  world.net.partitioned = true
  world.lose(world.net.flights.length)
  world.wait(170)
  world.net.partitioned = false
  world.wait(30)
  sameSingleChild(world)
})

/** Numbers are checked before anything else, and nobody is told. */
scenario('a fragment with numbers that cannot be is dropped', () => {
  const world = requestInFragments()
  const [first, second] = world.net.flights
  assert.ok(first && second)
  const total = world.net.flights.length
  const before = world.right.sent.length
  for (const [number, of] of [
    [0, total],
    [total + 1, total],
    [1, 0],
    [0xffff, 0xffff],
  ] as const) {
    const octets = Buffer.from(first.bytes)
    // Behind the non-ESP marker: header and generic header.
    octets.writeUInt16BE(number, 4 + 28 + 4)
    octets.writeUInt16BE(of, 4 + 28 + 6)
    world.inject(world.right, first.source, octets, 4500)
  }
  assert.equal(world.right.sent.length, before)
  world.settle()
  sameSingleChild(world)
})

for (const [side, fragmentation] of [
  ['left', 'no'],
  ['right', 'no'],
] as const) {
  scenario(`no fragments when ${side} does not announce them`, () => {
    const world = established({ ...small, [side]: { connection: { fragmentation } } })
    notLogged(world.left, 'fragment')
    notLogged(world.right, 'fragment')
    // Who is not asked does not announce it.
    const announced = world.right.sent.some(({ label }) => label.includes('N(FRAG_SUP)'))
    assert.equal(announced, false)
  })
}
