/** Children that nobody uses: `inactivity`, and strongswan.conf's `inactivity_close_ike`. */
import assert from 'node:assert/strict'
import { carries, logged, nothingLeaks, notLogged, onlyChild, onlySa, own, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { rekey, withTwoChildren } from './rekey.ts'
import { scenario } from './scenario.ts'

const minute = { child: { inactivitySeconds: 60 } }

/**
 *   60 s without a packet
 *   HDR, SK {D}  -->
 *                <--  HDR, SK {D}
 */
scenario('an idle child is closed, and its IKE SA stays', () => {
  const world = established({ left: minute })
  world.wait(55)
  sameSingleChild(world) // its packets are use
  world.wait(55)
  assert.equal(onlySa(world.left).children.length, 1)
  world.wait(6)
  logged(world.left, 'deleting CHILD_SA after 60 seconds of inactivity')
  for (const host of world.hosts) {
    assert.deepEqual(onlySa(host).children, [])
    assert.deepEqual(own(host), [])
  }
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(1)
  sameSingleChild(world)
})

for (const side of ['left', 'right'] as const) {
  scenario(`packets of ${side} alone keep it up`, () => {
    const world = established({ left: minute })
    for (let i = 0; i < 10; i++) {
      world.wait(50)
      assert.equal(carries(world, world.host(side)), 'protected')
    }
    notLogged(world.left, 'of inactivity')
  })
}

/** A rekeying is no use: the new SA has been idle for as long as the old one. */
for (const by of ['left', 'right'] as const) {
  scenario(`a rekeying by ${by} does not keep an idle child up`, () => {
    const world = established({ left: minute, child: { lifetimeSeconds: { rekey: 3600, life: 3960, rand: 0 } } })
    world.wait(1)
    for (let i = 0; i < 3; i++) {
      world.wait(15)
      rekey(world.host(by), 'child')
    }
    world.wait(20)
    logged(world.left, 'deleting CHILD_SA after')
    assert.deepEqual(onlySa(world.left).children, [])
  })
}

scenario('its IKE SA is rekeyed in between', () => {
  const world = established({ left: minute })
  world.wait(30)
  rekey(world.left, 'IKE SA')
  world.wait(40)
  assert.deepEqual(onlySa(world.left).children, [])
})

/** The trap is there before and after: the next packet brings the child up again. */
scenario('a trap brings it back', () => {
  const world = pair({ left: { child: { ...minute.child, startAction: { trap: true, start: false } } } })
  carries(world, world.left)
  world.wait(1)
  sameSingleChild(world)
  world.wait(70)
  assert.deepEqual(onlySa(world.left).children, [])
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.wait(1)
  sameSingleChild(world)
})

scenario('inactivity_close_ike: with its last child the IKE SA goes', () => {
  const world = established({ left: { ...minute, settings: { inactivityCloseIke: true } } })
  world.wait(70)
  logged(world.left, 'deleting IKE_SA after 60 seconds of CHILD_SA inactivity')
  nothingLeaks(world)
})

scenario('inactivity_close_ike: not while there is another child', () => {
  const { left, right } = withTwoChildren()
  const [net, more] = left?.connection?.children ?? []
  assert.ok(net !== undefined && more !== undefined && right !== undefined)
  const children = [{ ...net, ...minute.child }, more]
  const world = established({ left: { connection: { children }, settings: { inactivityCloseIke: true } }, right })
  world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.wait(70)
  logged(world.left, 'deleting CHILD_SA after 60 seconds of inactivity')
  assert.equal(onlyChild(world.left).name, 'more')
})

/** Both close it at once (RFC 7296 §1.4.1). */
scenario('both sides find it idle at the same time', () => {
  const world = established(minute)
  world.wait(70)
  for (const host of world.hosts) {
    logged(host, 'of inactivity')
    assert.deepEqual(onlySa(host).children, [])
  }
})

scenario('who wants it up is not asked', () => {
  const world = established({ right: minute, left: { child: { closeAction: { trap: false, start: true } } } })
  const { spiIn } = onlyChild(world.left)
  world.wait(62)
  assert.notEqual(onlyChild(world.left).spiIn, spiIn)
})

/** The kernel tells the last use by the calendar. */
for (const hours of [24, -24]) {
  scenario(`use keeps a child up, and an idle one is closed, although the calendar went by ${hours} h`, () => {
    const world = established({ left: minute })
    world.left.calendarMs += hours * 3_600_000
    for (let i = 0; i < 10; i++) {
      world.wait(50)
      assert.equal(carries(world, world.left), 'protected')
    }
    notLogged(world.left, 'of inactivity')
    world.wait(180)
    logged(world.left, 'of inactivity')
    assert.deepEqual(onlySa(world.left).children, [])
  })
}
