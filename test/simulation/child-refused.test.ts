/** Peers that make no more Child SAs, or not now (RFC 7296 §1.3, §2.25, §4). */
import assert from 'node:assert/strict'
import { carries, failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, type PairOptions } from './pair.ts'
import { closesClean, rekey, stillWorks, terminate, twoChildren, withTwoChildren } from './rekey.ts'
import { scenario } from './scenario.ts'
import { roadWarrior } from './virtual-ip.ts'
import type { World } from './world.ts'

/** A minimal peer: one Child SA for each IKE SA, and no rekeying. */
const minimal: PairOptions = { right: { settings: { childSaLimit: 1 } } }

/**
 *   HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {N(NO_ADDITIONAL_SAS)}
 *   IKE_SA_INIT, IKE_AUTH  -->  <--      everything anew
 *   HDR, SK {D}            -->  <--      on the old IKE SA
 */
for (const makeBeforeBreak of [true, false]) {
  const order = makeBeforeBreak ? 'make before break' : 'break before make'
  scenario(`a peer that does not rekey children: the IKE SA is made anew, ${order}`, () => {
    const world = established({ ...minimal, left: { settings: { makeBeforeBreak } } })
    const { uniqueId } = onlySa(world.left)
    rekey(world.left, 'child')
    world.settle()
    saidToPeer(world.right, 'CREATE_CHILD_SA response 2 [ N(NO_ADD_SAS) ]')
    logged(world.left, 'CHILD_SA rekeying is not possible with this peer, recreating the IKE_SA')
    assert.notEqual(onlySa(world.left).uniqueId, uniqueId)
    sameSingleChild(world)
    closesClean(world)
  })
}

scenario('by time: a day with a peer that does not rekey', () => {
  const child = { lifetimeSeconds: { rekey: 3600, life: 3960, rand: 0 } }
  const world = established({ ...minimal, left: { child } })
  for (let hour = 0; hour < 24; hour++) {
    world.wait(3700)
    assert.equal(carries(world, world.left), 'protected')
  }
  sameSingleChild(world)
  notLogged(world.left, 'trying again')
})

/** The gateway cannot begin an IKE SA with a road warrior: its hard limit ends the child, and the client makes it anew. */
scenario('who cannot begin an IKE SA leaves it to the peer', () => {
  const world = established(
    roadWarrior({
      left: { settings: { childSaLimit: 1 }, child: { closeAction: { trap: false, start: true } } },
      right: { child: { lifetimeSeconds: { rekey: 600, life: 660, rand: 0 } } },
    }),
  )
  world.wait(605)
  logged(world.right, 'unable to reauthenticate IKE_SA as responder, the peer has to do it')
  world.wait(100)
  sameSingleChild(world)
})

/**
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {N(NO_ADDITIONAL_SAS)}
 */
scenario('no second child with a peer that takes one: the first one stays as it is', () => {
  const options = withTwoChildren()
  const world = established({ ...options, right: { ...options.right, ...minimal.right } })
  const { uniqueId, children } = onlySa(world.left)
  const answer = world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.settle()
  failed(answer(), /establishing CHILD_SA 'more' failed/)
  logged(world.left, 'received NO_ADDITIONAL_SAS notify, no CHILD_SA built: the peer takes no more of them')
  logged(world.right, 'the peer has 1 CHILD_SAs on this IKE_SA, child_sa_limit allows no more')
  assert.equal(onlySa(world.left).uniqueId, uniqueId)
  assert.deepEqual(
    onlySa(world.left).children.map(({ spiIn }) => spiIn),
    children.map(({ spiIn }) => spiIn),
  )
  sameSingleChild(world)
  closesClean(world)
})

scenario('one more than the children that are there leaves room for a rekeying', () => {
  const world = established({ settings: { childSaLimit: 2 } })
  stillWorks(world)
})

/** The kernel of `host` cannot make SAs for as long as `until` says. */
function kernelBusy(world: World, host: Host, seconds: number): void {
  for (let nth = 1; nth <= 500; nth++) host.kernel.refuse({ kind: 'allocate-spi', nth, errno: 'ENOMEM' })
  world.wait(seconds)
}

/**
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {N(TEMPORARY_FAILURE)}
 *                                5 to 15 seconds
 *   HDR, SK {SA, Ni, TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Nr, TSi, TSr}
 */
scenario('a creation that is put off is tried again', () => {
  const world = established(withTwoChildren())
  world.right.kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
  const answer = world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.wait(4)
  saidToPeer(world.right, 'N(TEMP_FAIL)')
  assert.equal(answer(), undefined, 'not settled yet')
  assert.equal(world.left.sent.filter(({ label }) => label.startsWith('CREATE_CHILD_SA')).length, 1)
  world.wait(12)
  assert.deepEqual(answer(), { kind: 'done' })
  assert.equal(onlySa(world.left).children.length, 2)
  closesClean(world)
})

scenario('a creation that is put off goes on with the successor of the IKE SA', () => {
  const world = established(withTwoChildren())
  world.right.kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
  const answer = world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.wait(1)
  rekey(world.left, 'IKE SA')
  world.wait(16)
  assert.deepEqual(answer(), { kind: 'done' })
  assert.equal(onlySa(world.left).children.length, 2)
})

for (const early of [true, false]) {
  scenario(`a creation that is put off ends with the IKE SA, ${early ? 'at once' : 'rekeyed in between'}`, () => {
    const world = established(withTwoChildren())
    world.right.kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
    const answer = world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.settle()
    if (!early) rekey(world.left, 'IKE SA')
    world.settle()
    terminate(world.left, 'IKE SA')
    world.settle()
    failed(answer(), /establishing CHILD_SA 'more' failed/)
    world.wait(1)
    nothingLeaks(world)
  })
}

for (const rekeyed of [false, true]) {
  const when = rekeyed ? ', rekeyed in between' : ''
  scenario(`a child that must stay up and is put off comes back when the peer deletes the IKE SA${when}`, () => {
    const start = { start: true, trap: false }
    const options = withTwoChildren()
    const children = options.left?.connection?.children?.map((one) => ({ ...one, closeAction: start }))
    assert.ok(children !== undefined)
    const world = established({ ...options, left: { connection: { children, keyingTries: 0 } } })
    world.right.kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
    world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.wait(1)
    saidToPeer(world.right, 'N(TEMP_FAIL)')
    if (rekeyed) {
      rekey(world.left, 'IKE SA')
      world.wait(1)
    }
    terminate(world.right, 'IKE SA')
    world.wait(30)
    assert.ok(onlySa(world.left).children.some(({ name, state }) => name === 'more' && state === 'INSTALLED'))
  })
}

/** §2.25: the IKE SA of a peer that says so for minutes is closed; dpd_action says what follows. */
scenario('a peer that puts everything off for minutes is not believed any more', () => {
  const world = twoChildren()
  rekey(world.left, 'child')
  kernelBusy(world, world.right, 280)
  assert.equal(world.left.sas().length, 1)
  world.wait(60)
  logged(world.left, 'peer answers with TEMPORARY_FAILURE for minutes, closing IKE_SA lab[1]')
  world.right.kernel.forgive()
  world.wait(10)
  nothingLeaks(world)
})

scenario('a rekeying that is put off for a while is done later', () => {
  const world = established()
  world.right.kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
  world.right.kernel.refuse({ kind: 'allocate-spi', nth: 2, errno: 'ENOMEM' })
  const [before] = onlySa(world.left).children
  rekey(world.left, 'child')
  world.wait(60)
  assert.notEqual(onlySa(world.left).children[0]?.spiIn, before?.spiIn)
  stillWorks(world)
})
