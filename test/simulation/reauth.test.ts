/** Reauthentication: a new IKE SA from the beginning, before or after the old one is deleted, and RFC 4478. */
import assert from 'node:assert/strict'
import type { Connection } from '../../src/config/connection.ts'
import { subnet } from './connection.ts'
import { exchanges, logged, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { configure, connectionOf, established, type PairOptions, pair } from './pair.ts'
import { settleUnderTraffic } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const hour: Partial<Connection> = { rekeySeconds: 0, reauthSeconds: 3600, overSeconds: 360, randSeconds: 0 }

function reauthenticate(world: World): void {
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
}

/**
 *   IKE_SA_INIT, IKE_AUTH  -->
 *                          <--           the responder receives on the new one
 *   HDR, SK {D}            -->           on the old one: it sends on the new one
 *                          <--
 */
scenario('make before break: both IKE SAs are there, and no packet is lost', () => {
  const world = established()
  const before = onlySa(world.left).uniqueId
  reauthenticate(world)
  settleUnderTraffic(world)
  for (const host of world.hosts) assert.equal(host.kernel.counters.size, 0)
  assert.notEqual(onlySa(world.left).uniqueId, before)
  sameSingleChild(world)
  const inits = world.left.sent.filter(({ label }) => label.includes('N(INIT_CONTACT)'))
  assert.equal(inits.length, 1, 'INITIAL_CONTACT in the first IKE_AUTH only')
})

scenario('break before make: the old IKE SA goes first', () => {
  const world = established({ settings: { makeBeforeBreak: false } })
  reauthenticate(world)
  world.settle()
  const [, , , , ...later] = [...exchanges(world.left)]
  assert.deepEqual(exchanges(world.left), [
    'IKE_SA_INIT request 0',
    'IKE_AUTH request 1',
    'INFORMATIONAL request 2',
    'IKE_SA_INIT request 0',
    'IKE_AUTH request 1',
    ...later.slice(1),
  ])
  sameSingleChild(world)
})

scenario('by time: the new IKE SA has a time of its own', () => {
  const world = established({ left: { connection: hour } })
  logged(world.left, 'scheduling reauthentication in 3600s')
  logged(world.left, 'maximum IKE_SA lifetime 3960s')
  for (let i = 1; i <= 5; i++) {
    world.wait(3600)
    const { reauthTime = 0 } = onlySa(world.left)
    assert.ok(reauthTime >= 3598 && reauthTime <= 3600, `${reauthTime}`)
    sameSingleChild(world)
  }
  assert.equal(onlySa(world.left).uniqueId, 6)
})

scenario('both sides reauthenticate at the same moment', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = established({ seed, connection: hour })
    world.wait(3600)
    world.wait(20)
    sameSingleChild(world)
  }
})

scenario('all children move', () => {
  const children = (side: 'left' | 'right'): Connection['children'] =>
    connectionOf(side, {}).children.flatMap((net) => [
      net,
      { ...net, name: 'more', localTs: [subnet('172.16.0.0/16')], remoteTs: [subnet('172.16.0.0/16')] },
    ])
  const world = pair({
    left: { connection: { children: children('left') } },
    right: { connection: { children: children('right') } },
  })
  for (const child of ['net', 'more']) world.left.command({ kind: 'initiate', child, timeoutMs: 0 })
  world.settle()
  reauthenticate(world)
  world.settle()
  for (const host of world.hosts) {
    assert.deepEqual(
      onlySa(host).children.map(({ name, state }) => `${name} ${state}`),
      ['net INSTALLED', 'more INSTALLED'],
    )
  }
})

scenario('a rekeying in between does not put it off', () => {
  const world = established({ left: { connection: hour } })
  world.wait(1800)
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.settle()
  assert.equal(onlySa(world.left).reauthTime, 1800)
  world.wait(1800)
  world.wait(2)
  assert.equal(exchanges(world.left).filter((name) => name.startsWith('IKE_SA_INIT')).length, 2)
  sameSingleChild(world)
})

scenario('the peer rekeys the old IKE SA while it is being replaced', () => {
  for (let before = 0; before <= 4; before++) {
    const world = established()
    reauthenticate(world)
    world.finishJobs()
    world.deliver(Math.min(before, 3))
    world.right.command({ kind: 'rekey', select: { ikeId: 1 }, reauth: false })
    if (before === 4) world.deliver(1)
    world.settle()
    world.wait(60)
    sameSingleChild(world)
  }
})

scenario('one that fails leaves the old IKE SA alone and is tried again', () => {
  const world = established()
  world.right.command({
    kind: 'credentials',
    credentials: { anchors: [], certificates: [], privateKeys: new Map(), secrets: [] },
  })
  const before = onlySa(world.left).uniqueId
  reauthenticate(world)
  world.settle()
  assert.equal(onlySa(world.left).uniqueId, before)
  logged(world.left, 'IKE_SA reauthentication failed, trying again in')
  sameSingleChild(world)
})

/**
 *   IKE_SA_INIT, IKE_AUTH          -->  <--      the new one, without a child yet
 *                                                right crashes, and has neither IKE SA any more
 *   HDR, SK {SA, Ni, TSi, TSr}     -->           no answer
 *
 * The old one is not told to go: it would go without what dpd_action wants.
 */
for (const [way, oldToo] of [
  ['the new IKE SA finds it out', false],
  ['both find it out', true],
] as const) {
  scenario(`the peer crashes before the new IKE SA has a child, and ${way}`, () => {
    const options: PairOptions = {
      connection: { childless: 'force', dpdDelaySeconds: oldToo ? 30 : 0 },
      left: { child: { dpdAction: { trap: false, start: true } } },
    }
    const world = established(options)
    reauthenticate(world)
    world.finishJobs()
    world.deliver(3)
    assert.equal(world.right.sas().length, 2)
    world.right.restart()
    configure(world, 'right', options)
    world.wait(900)
    sameSingleChild(world)
  })
}

/**
 *   IKE_SA_INIT, IKE_AUTH  -->  <--      the new one, and its child fails for good: one of the kernels refuses it
 *   HDR, SK {D}            -->  <--      on the old one, whose child goes with it
 *   HDR, SK {SA, Ni, TSi, TSr}  -->  <-- after a pause
 */
for (const [childless, side] of [
  ['never', 'right'],
  ['never', 'left'],
  ['force', 'left'],
] as const) {
  scenario(
    `a child to be kept up fails on the new IKE SA and comes back: ${side} refuses, childless = ${childless}`,
    () => {
      const up = { trap: false, start: true }
      const world = established({
        connection: { childless },
        left: { child: { startAction: up, closeAction: up } },
      })
      world.host(side).kernel.refuse({ kind: 'install-sa', nth: 1, errno: 'ENOMEM' })
      reauthenticate(world)
      world.settle()
      logged(world.left, 'failed to establish CHILD_SA, keeping IKE_SA')
      world.wait(60)
      sameSingleChild(world)
    },
  )
}

/**
 *   HDR, SK {IDi, AUTH, SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr, N(AUTH_LIFETIME)}
 */
scenario('a responder that cannot begin says when the initiator has to', () => {
  const anyone: PairOptions = {
    right: { connection: { ...hour, remoteAddresses: [{ kind: 'any' }] } },
    left: { connection: { overSeconds: 300 } },
  }
  const world = established(anyone)
  saidToPeer(world.right, 'N(AUTH_LFT)')
  logged(world.left, 'received AUTH_LIFETIME of 3600s, scheduling reauthentication in 3300s')
  notLogged(world.right, 'reauthenticating')
  world.wait(3301)
  logged(world.left, 'reauthenticating IKE_SA lab[1]')
  sameSingleChild(world)
})

scenario('an earlier time of our own stays', () => {
  const world = established({
    right: { connection: { ...hour, remoteAddresses: [{ kind: 'any' }] } },
    left: { connection: { ...hour, reauthSeconds: 1000 } },
  })
  logged(world.left, 'received AUTH_LIFETIME of 3600s, reauthentication already scheduled in 1000s')
})

scenario('a responder that is not obeyed deletes the IKE SA at the end of its lifetime', () => {
  const lifetimeSeconds = { rekey: 0, life: 0, rand: 0 }
  const world = established({
    child: { lifetimeSeconds },
    right: { connection: { ...hour, remoteAddresses: [{ kind: 'any' }] } },
  })
  logged(world.right, 'maximum IKE_SA lifetime 3960s')
  world.wait(2000)
  world.net.partitioned = true
  world.wait(2200)
  logged(world.right, 'deleting IKE_SA lab')
  assert.deepEqual(world.right.sas(), [])
})

for (const unique of ['no', 'keep', 'replace'] as const) {
  scenario(`with unique = ${unique} a reauthentication is no duplicate`, () => {
    const world = established({ connection: { unique } })
    reauthenticate(world)
    world.settle()
    sameSingleChild(world)
    world.wait(30)
    sameSingleChild(world)
  })
}

scenario('close_action = start does not make it twice', () => {
  const closeAction = { trap: false, start: true }
  for (const makeBeforeBreak of [true, false]) {
    const world = established({ child: { closeAction }, settings: { makeBeforeBreak } })
    reauthenticate(world)
    world.settle()
    world.wait(30)
    sameSingleChild(world)
  }
})
