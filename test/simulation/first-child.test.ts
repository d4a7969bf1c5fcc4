/** Crossing creations of the same child on one IKE SA: one of the two stays. */
import assert from 'node:assert/strict'
import { carries, nothingLeaks, onlySa, sameSingleChild } from './expect.ts'
import { type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

/** An IKE SA is up, and both sides create the child on it at once. */
function crossing(options: PairOptions): World {
  const world = pair(options)
  world.left.command({ kind: 'initiate', ike: 'lab', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(onlySa(world.right).children, [])
  for (const host of world.hosts) host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  for (const host of world.hosts) assert.equal(onlySa(host).children.length, 2)
  return world
}

/**
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Ni, TSi, TSr}
 *   two Child SAs are up; the lowest SPI names the redundant one:
 *   HDR, SK {D}  -->
 *                      <--  HDR, SK {D}
 */
for (let seed = 1; seed <= 6; seed++) {
  scenario(`both sides create the child at once, seed ${seed}`, () => {
    const world = crossing({ seed })
    world.wait(3)
    sameSingleChild(world)
    for (const host of world.hosts) host.command({ kind: 'shutdown' })
    world.settle()
    nothingLeaks(world)
  })

  scenario(`a peer without this rule, seed ${seed}: the other side deletes the redundant child`, () => {
    const world = crossing({ seed, right: { connection: { unique: 'never' } } })
    world.wait(12)
    sameSingleChild(world)
  })

  scenario(`close_action = start does not bring it back, seed ${seed}`, () => {
    const world = crossing({ seed, child: { closeAction: { trap: false, start: true } } })
    world.wait(60)
    sameSingleChild(world)
  })
}

scenario('packets pass all the time', () => {
  const world = crossing({})
  for (let i = 0; i < 30; i++) {
    world.wait(0.1)
    for (const host of world.hosts) assert.equal(carries(world, host), 'protected')
  }
  sameSingleChild(world)
})
