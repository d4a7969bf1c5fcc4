/** Deleting Child and IKE SAs (RFC 7296 §1.4.1), from either side and from both at once. */
import assert from 'node:assert/strict'
import type { Event } from '../../src/ike/output.ts'
import { carriesPacket, logged, nothingLeaks, nothingLeft, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

function terminate(host: Host, what: 'child' | 'IKE SA', force = false): () => unknown {
  const select = what === 'child' ? { child: 'net' } : { ike: 'lab' }
  return host.command({ kind: 'terminate', select, force, timeoutMs: 0 })
}

function downs(host: Host): string[] {
  return host.events.filter((event: Event) => 'up' in event && !event.up).map(({ kind }) => kind)
}

function noStates(world: World): void {
  for (const host of world.hosts) {
    assert.deepEqual(host.kernel.states, [])
    assert.deepEqual(host.kernel.policies, [])
    assert.deepEqual(host.kernel.routes, [])
  }
}

/**
 *    |== CREATE_CHILD_SA, INFORMATIONAL [ D(ESP) ] ==>|   the old one stays for packets that are late
 *    |-- INFORMATIONAL request [ D(ESP) ] ----------->|   the new one
 *    |<----------- INFORMATIONAL response [ D(ESP) ] -|
 */
scenario('a child is deleted just after it was rekeyed, and nothing is left of the old one either', () => {
  const world = established()
  world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.settle()
  const states = onlySa(world.left).children.map(({ state }) => state)
  assert.deepEqual(states.toSorted(), ['DELETED', 'INSTALLED'])
  const answer = terminate(world.left, 'child')
  world.finishJobs()
  world.deliver(2)
  assert.deepEqual(answer(), { kind: 'matched', matches: 2, done: 2 })
  assert.deepEqual(onlySa(world.left).children, [])
  const [down, ...more] = world.left.events.filter((event) => event.kind === 'child-updown' && !event.up)
  assert.ok(down?.kind === 'child-updown' && more.length === 0)
  // As charon has it: the old one is no work of its own.
  assert.deepEqual([down.ikeSa.tasksQueued, down.ikeSa.tasksActive], [[], ['CHILD_DELETE']])
})

for (const side of ['left', 'right'] as const) {
  /**
   *    |-- INFORMATIONAL request [ D(ESP) ] ---->|
   *    |<--- INFORMATIONAL response [ D(ESP) ] --|
   */
  scenario(`${side} deletes the child`, () => {
    const world = established()
    const answer = terminate(world.host(side), 'child')
    world.finishJobs()
    world.deliver(2)
    assert.deepEqual(answer(), { kind: 'matched', matches: 1, done: 1 })
    for (const host of world.hosts) {
      assert.deepEqual(onlySa(host).children, [])
      assert.deepEqual(downs(host), ['child-updown'])
      saidToPeer(host, 'INFORMATIONAL')
    }
    noStates(world)
    world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
    world.settle()
    nothingLeaks(world)
    for (const host of world.hosts) logged(host, 'sending DELETE for ESP CHILD_SA with SPI ')
  })

  for (const what of ['child', 'IKE SA'] as const) {
    /** Accounts are made of what goes down. */
    scenario(`${side} deletes the ${what}, and what it has carried is told`, () => {
      const world = established()
      carriesPacket(world)
      terminate(world.host(side), what)
      world.settle()
      for (const host of world.hosts) {
        const [down] = host.events.filter((event) => event.kind === 'child-updown' && !event.up)
        assert.ok(down?.kind === 'child-updown')
        const [child] = down.ikeSa.children
        assert.ok(child && child.packetsIn > 0n && child.packetsOut > 0n && child.bytesIn > 0n && child.bytesOut > 0n)
        if (what === 'child') {
          const bytes = `(${child.bytesIn} bytes) ${child.spiOut.toString(16).padStart(8, '0')}_o (${child.bytesOut} bytes)`
          logged(host, `${child.spiIn.toString(16).padStart(8, '0')}_i ${bytes} and TS`)
        }
      }
    })
  }

  /**
   *    |-- INFORMATIONAL request [ D(IKE) ] ---->|
   *    |<--------- INFORMATIONAL response [ ] ---|
   */
  scenario(`${side} deletes the IKE SA`, () => {
    const world = established()
    const answer = terminate(world.host(side), 'IKE SA')
    world.finishJobs()
    world.deliver(2)
    assert.deepEqual(answer(), { kind: 'matched', matches: 1, done: 1 })
    for (const host of world.hosts) assert.ok(downs(host).includes('ike-updown'))
    logged(world.host(side), 'IKE_SA deleted')
    logged(world.peer(world.host(side)), 'received DELETE for IKE_SA')
    nothingLeaks(world)
  })

  scenario(`${side} deletes the IKE SA, and its request is lost`, () => {
    const world = established()
    terminate(world.host(side), 'IKE SA')
    world.lose()
    world.wait(5)
    nothingLeaks(world)
  })

  scenario(
    `${side} deletes the IKE SA, and the answer is lost: the peer is gone, and the retransmission goes unanswered`,
    () => {
      const world = established()
      const answer = terminate(world.host(side), 'IKE SA')
      world.deliver(1)
      world.lose()
      nothingLeft(world.peer(world.host(side)))
      world.wait(170)
      assert.deepEqual(answer(), { kind: 'matched', matches: 1, done: 1 })
      nothingLeaks(world)
    },
  )

  scenario(`${side} deletes by force: it does not wait for the answer`, () => {
    const world = established()
    terminate(world.host(side), 'IKE SA', true)
    world.finishJobs()
    nothingLeft(world.host(side))
    world.settle()
    nothingLeaks(world)
  })
}

/**
 *    |-- D(ESP) ---.   .--- D(ESP) --|
 *    |<-------------\-/              |
 *    |              / \------------->|   each answers without the other's SPI (RFC 7296 §1.4.1)
 */
scenario('both delete the child', () => {
  const world = established()
  for (const host of world.hosts) terminate(host, 'child')
  world.finishJobs()
  world.deliver(2)
  world.settle()
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  noStates(world)
})

/** RFC 7296 §2.25.2: whoever deletes an IKE SA answers the peer's DELETE as usual. */
scenario('both delete the IKE SA', () => {
  const world = established()
  for (const host of world.hosts) terminate(host, 'IKE SA')
  world.finishJobs()
  world.deliver(2)
  world.settle()
  nothingLeaks(world)
})

scenario('one deletes the child while the other deletes the IKE SA', () => {
  const world = established()
  terminate(world.left, 'child')
  terminate(world.right, 'IKE SA')
  world.finishJobs()
  world.deliver(2)
  world.settle()
  world.wait(170)
  nothingLeaks(world)
})

/** As with charon, a half-made IKE SA goes without a word; the next INITIAL_CONTACT sweeps up what the peer has of it. */
scenario('the IKE SA is terminated before it is established', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(2)
  terminate(world.left, 'IKE SA')
  world.settle()
  nothingLeft(world.left)
  assert.equal(world.right.sas().length, 1)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  logged(world.right, 'received INITIAL_CONTACT')
})

scenario('shutdown tells every peer and leaves nothing', () => {
  const world = established()
  const answer = world.left.command({ kind: 'shutdown' })
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  nothingLeaks(world)
})

scenario('up again after down', () => {
  const world = established()
  for (let i = 0; i < 3; i++) {
    terminate(i % 2 === 0 ? world.left : world.right, 'IKE SA')
    world.settle()
    nothingLeaks(world)
    ;(i % 2 === 0 ? world.right : world.left).command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    sameSingleChild(world)
  }
})

/** Jobs are still under way when the command comes: what they made must go. */
scenario('terminated while the kernel is at work', () => {
  for (let after = 0; after < 12; after++) {
    const world = established()
    terminate(world.left, 'IKE SA')
    world.settle()
    world.holdJobs = true
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    for (let i = 0; i < after; i++) {
      const busy = world.hosts.find(({ jobs }) => jobs.length > 0)
      const job = busy?.jobs[0]
      const flight = world.net.flights[0]
      if (busy !== undefined && job !== undefined) busy.complete(job)
      else if (flight !== undefined) world.deliverThis(flight)
    }
    world.holdJobs = false
    terminate(world.left, 'IKE SA', true)
    world.settle()
    world.wait(200)
    for (const host of world.hosts) terminate(host, 'IKE SA')
    world.wait(200)
    nothingLeaks(world)
  }
})

/**
 *    |-- CREATE_CHILD_SA request [ SA No KE ] --. .--|   both rekey the IKE SA; right answers, and has two,
 *    |                                          .X.  |   of which one goes with the other
 *    |<----- CREATE_CHILD_SA response [ SA No KE ] --|
 *                                                    |   terminate --force
 */
scenario('a command that ends two IKE SAs, one of which goes with the other, has its answer', () => {
  const world = established()
  for (const host of world.hosts) host.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.deliver() // left's request
  const answer = terminate(world.right, 'IKE SA', true)
  world.finishJobs()
  assert.deepEqual(answer(), { kind: 'matched', matches: 2, done: 2 })
})
