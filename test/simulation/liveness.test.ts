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
