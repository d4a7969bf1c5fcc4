/** Crossing first contacts: both sides begin at the same time, and exactly one IKE SA is left. */
import assert from 'node:assert/strict'
import type { Action } from '../../src/config/connection.ts'
import type { IkeSaView } from '../../src/ike/view.ts'
import { carries, logged, notLogged, onlySa, sameSingleChild } from './expect.ts'
import { Mesh } from './mesh.ts'
import { type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const trap: Action = { trap: true, start: false }

function bothInitiate(world: World): void {
  for (const host of world.hosts) host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
}

function roles(world: World): string[] {
  return world.hosts.flatMap((host) => host.sas().map((sa: IkeSaView) => `${sa.initiator} ${sa.state}`))
}

/**
 *   HDR, SAi1, KEi, Ni  -->
 *                      <--  HDR, SAi1, KEi, Ni
 *   two IKE SAs are up; the lowest nonce names the redundant one:
 *   HDR, SK {}  -->                                   on the one that stays
 *                      <--  HDR, SK {}
 *   HDR, SK {D}  -->                                  on the redundant one
 */
for (let seed = 1; seed <= 8; seed++) {
  scenario(`both sides initiate at once, seed ${seed}`, () => {
    const world = pair({ seed })
    bothInitiate(world)
    world.settle()
    assert.equal(roles(world).length, 4)
    world.wait(3)
    sameSingleChild(world)
  })
}

scenario('packets meet traps on both sides at once', () => {
  const world = pair({ child: { startAction: trap } })
  for (const host of world.hosts) assert.equal(carries(world, host), 'XfrmOutNoStates')
  world.settle()
  assert.equal(roles(world).length, 4)
  world.wait(3)
  sameSingleChild(world)
})

/**
 *   IKE_AUTH {N(INITIAL_CONTACT)} of left is on the way while the IKE SA that right began is completed.
 */
scenario('an INITIAL_CONTACT that was overtaken ends nothing', () => {
  const world = pair()
  bothInitiate(world)
  world.deliver(4) // both IKE_SA_INIT exchanges
  const [first] = world.net.flights
  assert.ok(first?.from === 'left' && first.label.includes('N(INIT_CONTACT)'), first?.label)
  const others = (): readonly (typeof first)[] => world.net.flights.filter((flight) => flight !== first)
  for (let next = others()[0]; next !== undefined; next = others()[0]) world.deliverThis(next)
  assert.equal(onlyEstablished(world), 2)
  world.deliverThis(first)
  world.settle()
  notLogged(world.right, 'received INITIAL_CONTACT')
  world.wait(3)
  sameSingleChild(world)
})

function onlyEstablished(world: World): number {
  return world.hosts.flatMap((host) => host.sas().filter(({ state }) => state === 'ESTABLISHED')).length
}

/** charon as the peer: believes the overtaken INITIAL_CONTACT, and never deletes a duplicate by itself. */
for (let seed = 1; seed <= 6; seed++) {
  scenario(`a peer without this rule, seed ${seed}: the other side deletes the redundant IKE SA`, () => {
    const world = pair({ seed, right: { connection: { unique: 'never' } } })
    bothInitiate(world)
    world.settle()
    assert.equal(roles(world).length, 4)
    world.wait(12)
    sameSingleChild(world)
  })

  scenario(`a peer that has dropped the one that stays, seed ${seed}: the other one is kept`, () => {
    const world = pair({ seed, right: { connection: { unique: 'never' } } })
    bothInitiate(world)
    world.settle()
    // Whichever it is: silently gone on the other side.
    const own = world.right.sas().find(({ initiator }) => initiator)
    world.net.partitioned = true
    world.right.command({
      kind: 'terminate',
      select: { ikeId: own?.uniqueId ?? 0 },
      force: true,
      timeoutMs: 0,
    })
    world.settle()
    world.net.partitioned = false
    world.wait(400)
    assert.ok(onlyEstablished(world) >= 1)
    assert.equal(onlySa(world.right).state, 'ESTABLISHED')
    assert.equal(carries(world, world.left), 'protected')
    assert.equal(carries(world, world.right), 'protected')
  })
}

/**
 *                    x--  HDR, SAi1, KEi, Ni           the first try of right is lost
 *   HDR, SAi1, KEi, Ni  -->                             and left begins
 *                       ...                             this IKE SA is up
 *                      <--  HDR, SAi1, KEi, Ni          the second try of right
 *
 * Right is charon, which goes on with what it has begun, and never deletes a duplicate by itself.
 */
for (let seed = 1; seed <= 4; seed++) {
  scenario(`the first contact of a peer without this rule comes when ours is up, seed ${seed}`, () => {
    const world = pair({ seed, right: { connection: { unique: 'never' } } })
    world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.lose()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    assert.equal(world.left.sas().length, 1)
    world.wait(10)
    assert.equal(roles(world).length, 4)
    world.wait(40)
    sameSingleChild(world)
  })

  scenario(`the first contact of another Sallyport comes when ours is up, seed ${seed}`, () => {
    const world = pair({ seed })
    world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.lose()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    world.wait(60)
    sameSingleChild(world)
  })
}

/** The responder of an IKE SA begins another one and deletes the first: no first contact, whenever we look. */
scenario('a reauthentication by the responder soon after the first contact leaves the new IKE SA', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = pair({ seed })
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    world.wait(3)
    world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
    world.settle()
    world.wait(60)
    sameSingleChild(world)
    assert.deepEqual(roles(world), ['false ESTABLISHED', 'true ESTABLISHED'])
  }
})

scenario('with unique = never both stay', () => {
  const world = pair({ connection: { unique: 'never' } })
  bothInitiate(world)
  world.settle()
  world.wait(60)
  assert.equal(roles(world).length, 4)
})

scenario('one that was begun later is no crossing', () => {
  const options: PairOptions = { settings: { reuseIkeSa: false } }
  const world = pair(options)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  world.wait(5)
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  world.wait(60)
  assert.equal(roles(world).length, 4)
})

scenario('replace does not delete both of two that crossed', () => {
  const world = pair({ connection: { unique: 'replace' } })
  bothInitiate(world)
  world.settle()
  world.wait(60)
  sameSingleChild(world)
})

scenario('a mesh of 20 nodes that start together: one IKE SA and one Child SA for every two nodes', () => {
  const mesh = new Mesh({ nodes: 20, seed: 1 })
  mesh.wait(60)
  mesh.oneOfEach()
})

scenario('a mesh of 6 nodes with loss and delay', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const mesh = new Mesh({ nodes: 6, seed })
    mesh.net.faults = { loss: 0.2, duplication: 0.2, corruption: 0, leastDelayMs: 5, mostDelayMs: 2000 }
    mesh.wait(600)
    mesh.heal()
    mesh.wait(900)
    mesh.oneOfEach()
  }
})

scenario('children that only the redundant IKE SA has are made on the other one first', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = pair({ seed })
    bothInitiate(world)
    world.settle()
    logged(world.left, 'established')
    // One loses its child on whichever IKE SA; the look at the two makes it again.
    const [sa] = world.left.sas()
    const [child] = sa?.children ?? []
    world.left.command({ kind: 'terminate', select: { childId: child?.uniqueId ?? 0 }, force: false, timeoutMs: 0 })
    world.settle()
    world.wait(30)
    sameSingleChild(world)
  }
})

/**
 *   two IKE SAs are up; before anybody looks at them, one is rekeyed, or both:
 *   HDR, SK {SA, Ni, KEi}  -->
 *                      <--  HDR, SK {SA, Nr, KEr}
 */
for (const side of ['left', 'right'] as const) {
  for (const first of [true, false, undefined]) {
    const what = first === undefined ? 'both IKE SAs' : first ? 'the first IKE SA' : 'the second IKE SA'
    scenario(`both sides initiate at once, and ${side} rekeys ${what} before they are looked at`, () => {
      const world = pair()
      bothInitiate(world)
      world.settle()
      const sas = world.host(side).sas()
      assert.equal(sas.length, 2)
      for (const { uniqueId, initiator } of sas) {
        if (first !== undefined && initiator !== first) continue
        world.host(side).command({ kind: 'rekey', select: { ikeId: uniqueId }, reauth: false })
      }
      world.settle()
      assert.equal(onlyEstablished(world), 4)
      world.wait(40)
      sameSingleChild(world)
    })
  }
}
