/** When a host asks whether its peer is still there (RFC 7296 §2.4), and what it believes. */
import assert from 'node:assert/strict'
import { carries, exchanges, logged, nothingLeft, onlySa, sameSingleChild } from './expect.ts'
import { established } from './pair.ts'
import { scenario } from './scenario.ts'

const watched = { left: { connection: { dpdDelaySeconds: 30 } } }

/**
 *   HDR, SK {}  -->
 *              <--  HDR, SK {}
 */
scenario('a silent peer is asked, and its answer is enough', () => {
  const world = established(watched)
  const before = exchanges(world.left).length
  world.wait(100)
  assert.deepEqual(exchanges(world.left).slice(before), [
    'INFORMATIONAL request 2',
    'INFORMATIONAL request 3',
    'INFORMATIONAL request 4',
  ])
  sameSingleChild(world)
})

scenario('a peer whose packets come is not asked', () => {
  const world = established(watched)
  const before = exchanges(world.left).length
  for (let i = 0; i < 20; i++) {
    world.wait(10)
    assert.equal(carries(world, world.right), 'protected')
  }
  assert.equal(exchanges(world.left).length, before)
})

scenario('packets that only go out say nothing: the peer is asked', () => {
  const world = established(watched)
  const before = exchanges(world.left).length
  for (let i = 0; i < 4; i++) {
    world.wait(10)
    assert.equal(carries(world, world.left), 'protected')
  }
  assert.deepEqual(exchanges(world.left).slice(before), ['INFORMATIONAL request 2'])
})

/**
 *   the calendar of left jumps an hour ahead
 *      <--  ESP                    the kernel says that it was used in an hour
 *   HDR, SK {}  -->
 */
scenario('the kernel notes the last packet by a calendar that jumps ahead: the peer is asked all the same', () => {
  const world = established(watched)
  const before = exchanges(world.left).length
  world.wait(10)
  world.left.calendarMs = 3_600_000
  assert.equal(carries(world, world.right), 'protected')
  world.net.partitioned = true
  world.wait(61)
  assert.deepEqual(exchanges(world.left).slice(before, before + 1), ['INFORMATIONAL request 2'])
  world.wait(170)
  nothingLeft(world.left)
})

/** The kernel says of each that it came in the future; the last one is no sign of life for longer than others. */
scenario('packets that come while the calendar is ahead count, each once', () => {
  const world = established(watched)
  const before = exchanges(world.left).length
  world.left.calendarMs = 3_600_000
  for (let i = 0; i < 10; i++) {
    world.wait(20)
    assert.equal(carries(world, world.right), 'protected')
  }
  assert.equal(exchanges(world.left).length, before)
  world.wait(61)
  assert.equal(exchanges(world.left)[before], 'INFORMATIONAL request 2')
})

scenario('a peer that answers nothing is given up after all retransmissions, with the IKE SA and its children', () => {
  const world = established(watched)
  world.net.partitioned = true
  world.wait(30 + 164)
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(2)
  logged(world.left, 'giving up after 5 retransmits')
  nothingLeft(world.left)
})

scenario('a dozen retransmissions over several minutes, where they are configured', () => {
  const settings = { retransmitTries: 12, retransmitBase: 1.3 }
  const world = established({ left: { ...watched.left, settings } })
  const before = world.left.sent.length
  world.net.partitioned = true
  world.wait(30 + 380)
  assert.equal(world.left.sent.length, before + 13)
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(30)
  assert.deepEqual(world.left.sas(), [])
})

/**
 *   somebody sets the calendar of left to tomorrow
 *      <--  ESP                    the kernel notes when, by the calendar
 *   right is gone
 *   HDR, SK {}  -->                all the same
 */
for (const hours of [24, 1, -1, -24]) {
  scenario(`a peer that goes is missed although the calendar went by ${hours} h`, () => {
    const world = established(watched)
    world.left.calendarMs += hours * 3_600_000
    world.wait(10)
    assert.equal(carries(world, world.right), 'protected')
    world.net.partitioned = true
    world.wait(2 * 30 + 166)
    logged(world.left, 'giving up after 5 retransmits')
    nothingLeft(world.left)
  })

  scenario(`a peer whose packets come is not asked although the calendar went by ${hours} h`, () => {
    const world = established(watched)
    world.left.calendarMs += hours * 3_600_000
    const before = exchanges(world.left).length
    for (let i = 0; i < 20; i++) {
      world.wait(10)
      assert.equal(carries(world, world.right), 'protected')
    }
    assert.equal(exchanges(world.left).length, before)
  })
}
