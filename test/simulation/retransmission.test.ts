/** Lost, doubled and late messages (RFC 7296 §2.1, §2.2). */
import assert from 'node:assert/strict'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import { exchanges, failed, logged, nothingLeaks, onlySa, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { twoChildren, withTwoChildren } from './rekey.ts'
import { scenario } from './scenario.ts'

const messages = ['IKE_SA_INIT request', 'IKE_SA_INIT response', 'IKE_AUTH request', 'IKE_AUTH response'] as const

for (const [index, message] of messages.entries()) {
  /** The request is sent again after 4 s; the answer is the one that was given before. */
  scenario(`the ${message} is lost`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    world.lose()
    world.settle()
    assert.notEqual(onlySa(world.left).state, 'ESTABLISHED')
    world.wait(4)
    sameSingleChild(world)
    logged(world.left, `retransmit 1 of request with message ID ${index < 2 ? 0 : 1}`)
    if (index % 2 === 1) {
      const answers = world.right.sent.filter(({ label }) => label.startsWith(message))
      assert.equal(answers.length, 2)
      assert.deepEqual(answers[0]?.bytes, answers[1]?.bytes)
    }
  })

  scenario(`the ${message} comes twice`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    const flight = world.net.flights[0]
    assert.ok(flight)
    world.net.duplicate(flight)
    world.settle()
    sameSingleChild(world)
  })

  scenario(`the ${message} comes again at the end`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    const late = world.net.flights[0]
    assert.ok(late)
    world.settle()
    world.net.duplicate(late)
    world.settle()
    sameSingleChild(world)
  })
}

/** A response is never sent on its own; a request comes at 0, 4.0, 11.2, 24.2, 47.5 and 89.5 s and is given up at 165 s. */
scenario('the schedule of retransmissions', () => {
  const world = pair()
  const start = world.now
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.net.partitioned = true
  world.wait(165)
  assert.deepEqual(
    world.left.sent.map(({ atMs }) => Math.round((atMs - start) / 100) / 10),
    [0, 4, 11.2, 24.2, 47.5, 89.5],
  )
  assert.equal(answer(), undefined)
  world.wait(0.1)
  failed(answer(), /./)
  logged(world.left, 'giving up after 5 retransmits')
  logged(world.left, 'establishing IKE_SA failed, peer not responding')
  nothingLeaks(world)
})

/** RFC 7296 §2.1: from the initiator's SPI on. */
scenario('what is sent again is the same to the octet', () => {
  const world = pair()
  world.net.partitioned = true
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(100)
  const up = established()
  const before = up.left.sent.length
  up.net.partitioned = true
  up.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  up.wait(100)
  for (const sent of [world.left.sent, up.left.sent.slice(before)]) {
    assert.equal(sent.length, 6)
    assert.equal(new Set(sent.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).size, 1)
  }
})

/**
 *    |-- INFORMATIONAL request 2 ------------->|
 *    |        x--- INFORMATIONAL response 2 ---|   nothing more, however long it takes
 *    |-- INFORMATIONAL request 2, an hour later ->|
 *    |<------------ INFORMATIONAL response 2 --|
 */
scenario(
  'a response is sent when its request comes, kept for as long as it may come again, and not sent otherwise',
  () => {
    const forever = { rekeySeconds: 0 }
    const world = established({ connection: forever, child: { lifetimeSeconds: { rekey: 0, life: 0, rand: 0 } } })
    const before = world.right.sent.length
    world.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
    world.finishJobs() // it asks the kernel what the child has carried
    const [request] = world.net.flights
    assert.ok(request)
    world.deliver()
    world.lose()
    world.net.partitioned = true
    world.wait(3600)
    assert.equal(world.right.sent.length, before + 1)
    world.net.partitioned = false
    world.net.duplicate(request)
    world.deliverThis(request)
    assert.equal(world.right.sent.length, before + 2)
    assert.deepEqual(world.right.sent.at(-1)?.bytes, world.right.sent.at(-2)?.bytes)
  },
)

/** RFC 7296 §2.1: what was answered and is forgotten is not answered anew. */
scenario('all requests of before come once more: the last one is answered from memory, the others not at all', () => {
  const world = established()
  world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.wait(6)
  const requests = world.left.sent.filter(({ label }) => label.includes('request'))
  assert.equal(requests.length, 4)
  const [spis, states] = [onlySa(world.right).children, world.right.kernel.states.length]
  const before = world.right.sent.length
  for (const { bytes, label } of requests) {
    const port = label.startsWith('IKE_SA_INIT') ? 500 : 4500
    world.inject(world.right, { address: '192.0.2.1', port }, bytes, port)
  }
  assert.deepEqual(
    world.right.sent.slice(before).flatMap(({ label }) => (label.includes(' response ') ? [label] : [])),
    ['INFORMATIONAL response 3 [ D ]'],
  )
  assert.deepEqual(
    onlySa(world.right).children.map(({ spiIn }) => spiIn),
    spis.map(({ spiIn }) => spiIn),
  )
  assert.equal(world.right.kernel.states.length, states)
  world.settle()
  sameSingleChild(world)
})

scenario('another IKE_SA_INIT request with the same SPI is another IKE SA, the same one again is not', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const request = world.left.sent[0]?.bytes
  assert.ok(request)
  const peer = { address: '192.0.2.1', port: 500 }
  world.inject(world.right, peer, request)
  world.inject(world.right, peer, request)
  assert.equal(world.right.sas().length, 1)
  const { payloads, ...header } = decodeMessage(request)
  const changed = payloads.map((one) => (one.type === 'Nonce' ? { ...one, nonce: new Uint8Array(32) } : one))
  const other = encodeMessage({ ...header, payloads: changed })
  world.inject(world.right, peer, other)
  assert.equal(world.right.sas().length, 2)
})

/**
 * RFC 7296 §2.3, with the window of a peer that has announced none:
 *
 *    |-- request 2 ------------->|   three things were asked for at once
 *    |        x--- response 2 ---|
 *    |-- request 2 ------------->|
 *    |<------------ response 2 --|
 *    |-- request 3 ------------->|
 */
scenario('one request at a time: the next one waits for the response, also when that is lost', () => {
  const world = twoChildren()
  const { left } = world
  const before = left.sent.length
  left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  const requests = () => left.sent.slice(before).map(({ label }) => label.replace(/ \[.*/, ''))
  world.finishJobs()
  assert.deepEqual(requests(), ['CREATE_CHILD_SA request 2'])
  world.deliver()
  world.lose()
  world.wait(4, { deliver: false })
  assert.deepEqual(requests(), ['CREATE_CHILD_SA request 2', 'CREATE_CHILD_SA request 2'])
  world.deliver(2)
  assert.deepEqual(requests().slice(2), ['CREATE_CHILD_SA request 3'])
  world.settle()
  world.wait(6)
  for (const host of world.hosts) assert.equal(onlySa(host).children.length, 2)
})

scenario('what is asked for during the initial exchanges waits for their end', () => {
  const world = pair(withTwoChildren())
  for (const child of ['net', 'more']) world.left.command({ kind: 'initiate', child, timeoutMs: 0 })
  world.finishJobs()
  for (const expected of ['IKE_SA_INIT request 0', 'IKE_AUTH request 1', 'CREATE_CHILD_SA request 2']) {
    const flying = world.net.flights.map(({ label }) => label.replace(/ \[.*/, ''))
    assert.deepEqual(flying, [expected])
    world.deliver(2)
  }
  for (const host of world.hosts) assert.equal(onlySa(host).children.length, 2)
})

scenario('a second try with keyingtries = 2', () => {
  const world = pair({ connection: { keyingTries: 2 } })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.net.partitioned = true
  world.wait(170)
  logged(world.left, 'peer not responding, trying again (2/2)')
  assert.equal(answer(), undefined)
  world.net.partitioned = false
  world.wait(20)
  assert.deepEqual(answer(), { kind: 'done' })
  sameSingleChild(world)
})

scenario('the peer goes between the two exchanges: its half-open SA is removed after 30 s', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(1)
  world.net.partitioned = true
  world.lose() // the response
  world.wait(29)
  assert.equal(world.right.sas().length, 1)
  world.wait(2)
  assert.deepEqual(world.right.sas(), [])
  logged(world.right, 'deleting half open IKE_SA')
  world.wait(170)
  nothingLeaks(world)
})

/**
 *    |-- IKE_SA_INIT request #1 (late) - - - .
 *    |-- IKE_SA_INIT request #2 -------------+-->|
 *    |<------------------------------------------|
 *    |                                        '->|  answered from memory, no second SA
 */
scenario('a retransmitted IKE_SA_INIT request overtakes the first one', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const first = world.net.flights[0]
  assert.ok(first)
  world.net.remove(first)
  world.wait(4)
  sameSingleChild(world)
  world.net.duplicate(first)
  world.settle()
  sameSingleChild(world)
})

/** Both requests cross and are answered: each side has a window of its own. */
scenario('the answers of two terminations cross', () => {
  const world = established()
  for (const host of world.hosts) {
    host.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  }
  world.finishJobs()
  world.deliver(2)
  world.settle()
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  assert.deepEqual(exchanges(world.left).slice(2).sort(), ['INFORMATIONAL request 2', 'INFORMATIONAL response 0'])
})
