/** IKE_AUTH in fragments (RFC 7383). */
import assert from 'node:assert/strict'
import { logged, notLogged, onlySa, sameSingleChild } from './expect.ts'
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
  for (const flight of [...world.net.flights].reverse()) world.deliverThis(flight)
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

for (const [side, fragmentation] of [
  ['left', 'no'],
  ['right', 'no'],
] as const) {
  scenario(`no fragments when ${side} does not announce them`, () => {
    const world = established({ ...small, [side]: { connection: { fragmentation } } })
    notLogged(world.left, 'fragment')
    notLogged(world.right, 'fragment')
  })
}
