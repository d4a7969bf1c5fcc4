/** A Child SA beside one that carries the same packets: which of the two is sent on, and when (RFC 7296 §2.8, §2.8.3). */
import assert from 'node:assert/strict'
import { child, subnet } from './connection.ts'
import { logged, onlySa, sameSingleChild } from './expect.ts'
import { established, type PairOptions } from './pair.ts'
import { rekey, sendsOn, settleUnderTraffic, stillWorks, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const several: PairOptions = { settings: { reuseIkeSa: false }, connection: { unique: 'never' } }

/** Another IKE SA with another Child SA between the same subnets, beside the one that is up. */
function second(options: PairOptions = several): { world: World; spis: (side: 'left' | 'right') => number[] } {
  const world = established(options)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  settleUnderTraffic(world)
  const spis = (side: 'left' | 'right') =>
    world
      .host(side)
      .sas()
      .toSorted((a, b) => a.uniqueId - b.uniqueId)
      .flatMap(({ children }) => children.map(({ spiOut }) => spiOut))
  assert.equal(spis('left').length, 2)
  return { world, spis }
}

/**
 *   HDR, SK {IDi, AUTH, SA, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, SA, TSi, TSr}      right goes on sending on the one that it has
 *                           ...                                    5 s: left has the answer
 */
scenario('a second one that stays: the initiator sends on it at once, the responder after 5 s', () => {
  const { world, spis } = second()
  assert.equal(sendsOn(world, world.left), spis('left')[1])
  assert.equal(sendsOn(world, world.right), spis('right')[0])
  world.wait(4)
  assert.equal(sendsOn(world, world.right), spis('right')[0])
  world.wait(2)
  assert.equal(sendsOn(world, world.right), spis('right')[1])
})

for (const side of ['left', 'right'] as const) {
  for (const [what, first] of [
    ['the first IKE SA', { ikeId: 1 }],
    ['the first Child SA', { childId: 1 }],
  ] as const) {
    /**
     *   HDR, SK {D}  -->       the responder sends on the second one, and then answers, or deletes
     *                <--
     */
    scenario(`${side} deletes ${what} at once, and no packet is lost`, () => {
      const { world, spis } = second()
      const [, staying] = spis('right')
      world.host(side).command({ kind: 'terminate', select: first, force: false, timeoutMs: 0 })
      settleUnderTraffic(world)
      assert.equal(sendsOn(world, world.right), staying)
      for (const host of world.hosts) assert.equal(host.kernel.counters.size, 0)
    })
  }
}

scenario('the first one is rekeyed: the second one waits for what has taken its place', () => {
  const { world, spis } = second()
  const [, waiting] = spis('right')
  world.left.command({ kind: 'rekey', select: { childId: 1 }, reauth: false })
  settleUnderTraffic(world)
  assert.notEqual(sendsOn(world, world.right), waiting)
  world.left.command({ kind: 'terminate', select: { ikeId: 1 }, force: false, timeoutMs: 0 })
  settleUnderTraffic(world)
  assert.equal(sendsOn(world, world.right), waiting)
})

scenario('the second one goes again before its turn', () => {
  const { world, spis } = second()
  const [first] = spis('right')
  world.left.command({ kind: 'terminate', select: { ikeId: 2 }, force: false, timeoutMs: 0 })
  settleUnderTraffic(world)
  assert.equal(sendsOn(world, world.right), first)
  world.wait(6)
  stillWorks(world)
})

scenario('the kernel refuses what the responder would send on: another one is made', () => {
  for (const kind of ['install-sa', 'install-policy'] as const) {
    const { world } = second()
    world.right.kernel.refuse({ kind, nth: 1, errno: 'ENOMEM' })
    world.wait(10)
    logged(world.right, 'failed: ENOMEM')
    for (const host of world.hosts) {
      const children = host.sas().flatMap((sa) => sa.children.map(({ state }) => state))
      assert.deepEqual(children, ['INSTALLED', 'INSTALLED'])
    }
    world.right.command({ kind: 'terminate', select: { ikeId: 2 }, force: false, timeoutMs: 0 })
    world.wait(6)
    stillWorks(world)
  }
})

scenario('all children of a reauthentication, under traffic', () => {
  const children = (side: 1 | 2) =>
    [0, 1, 2].map((i) =>
      child({
        name: i === 0 ? 'net' : `net${i}`,
        localTs: [subnet(`10.${side}.${i}.0/24`)],
        remoteTs: [subnet(`10.${3 - side}.${i}.0/24`)],
      }),
    )
  const world = established({
    left: { connection: { children: children(1) } },
    right: { connection: { children: children(2) } },
  })
  for (const name of ['net1', 'net2']) world.left.command({ kind: 'initiate', child: name, timeoutMs: 0 })
  world.settle()
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  settleUnderTraffic(world)
  for (const host of world.hosts) {
    assert.equal(onlySa(host).children.length, 3)
    assert.equal(host.kernel.counters.size, 0)
  }
})

scenario('the IKE SA is closed just after a rekeying: nothing waits for a second', () => {
  const world = established()
  rekey(world.left, 'child')
  world.settle()
  terminate(world.left, 'IKE SA')
  world.settle()
  for (const host of world.hosts) assert.deepEqual(host.kernel.states, [])
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
})
