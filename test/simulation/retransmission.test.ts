/** Lost, doubled and late messages (RFC 7296 §2.1, §2.2). */
import assert from 'node:assert/strict'
import { exchanges, failed, logged, nothingLeaks, onlySa, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
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
