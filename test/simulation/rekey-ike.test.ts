/** Rekeying the IKE SA (RFC 7296 §1.3.2, §2.8, §2.18), one side at a time. */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { ikeProposal } from './connection.ts'
import { logged, nothingLeaks, onlySa, sameSingleChild } from './expect.ts'
import { established } from './pair.ts'
import {
  closesClean,
  deliverFrom,
  eventsOf,
  pfs,
  rekey,
  stillWorks,
  terminate,
  trafficFlows,
  twoChildren,
} from './rekey.ts'
import { scenario } from './scenario.ts'

for (const side of ['left', 'right'] as const) {
  /**
   *    |-- CREATE_CHILD_SA request [ SA No KE ] ---->|
   *    |<---- CREATE_CHILD_SA response [ SA No KE ] --|   children and pending work move to the new IKE SA
   *    |-- INFORMATIONAL request [ D(IKE) ] --------->|   of the old one
   *    |<----------------- INFORMATIONAL response [ ] --|
   */
  scenario(`${side} rekeys the IKE SA`, () => {
    const world = established()
    const before = world.hosts.map((host) => onlySa(host))
    rekey(world.host(side), 'IKE SA')
    world.settle()
    sameSingleChild(world)
    world.hosts.forEach((host, i) => {
      const sa = onlySa(host)
      assert.notEqual(sa.spiI, before[i]?.spiI)
      assert.equal(sa.initiator, host.name === side, 'whoever rekeys is the initiator of the new one')
      assert.deepEqual([sa.localId, sa.remoteId], [before[i]?.localId, before[i]?.remoteId])
      assert.equal(sa.children[0]?.uniqueId, before[i]?.children[0]?.uniqueId)
      assert.equal(eventsOf(host, 'ike-rekey').length, 1)
      assert.equal(eventsOf(host, 'ike-updown').length, 1, 'up, when it was made')
      logged(host, 'rekeyed between')
    })
    stillWorks(world, world.host(side))
  })

  /** As with Child SAs: the group has to be guessed (§1.3). */
  scenario(`${side} rekeys the IKE SA with a group that the peer does not want`, () => {
    const other = side === 'left' ? 'right' : 'left'
    const world = established({
      [side]: { connection: { proposals: [ikeProposal([KE.ECP_256, KE.CURVE_25519])] } },
      [other]: { connection: { proposals: [ikeProposal([KE.CURVE_25519])] } },
    })
    rekey(world.host(side), 'IKE SA')
    world.settle()
    logged(world.host(side), "peer didn't accept key exchange method ECP_256, it requested CURVE_25519")
    stillWorks(world, world.host(side))
  })

  scenario(`${side} rekeys the IKE SA 20 times with packets both ways, and none is lost`, () => {
    const world = established()
    for (let i = 0; i < 20; i++) {
      rekey(i % 3 === 0 ? world.peer(world.host(side)) : world.host(side), 'IKE SA')
      world.holdJobs = true
      for (;;) {
        trafficFlows(world)
        const busy = world.hosts.find(({ jobs }) => jobs.length > 0)
        const job = busy?.jobs[0]
        const flight = world.net.flights[0]
        if (busy !== undefined && job !== undefined) busy.complete(job)
        else if (flight !== undefined) world.deliverThis(flight)
        else break
      }
      world.holdJobs = false
      world.wait(1)
    }
    for (const host of world.hosts) assert.equal(eventsOf(host, 'ike-rekey').length, 20)
    stillWorks(world)
  })

  for (const lost of [0, 1, 2, 3]) {
    scenario(`${side} rekeys the IKE SA, and message ${lost + 1} of 4 is lost`, () => {
      const world = established()
      rekey(world.host(side), 'IKE SA')
      world.finishJobs()
      if (lost > 0) world.deliver(lost)
      world.lose()
      world.wait(200)
      for (const host of world.hosts) assert.equal(eventsOf(host, 'ike-rekey').length, 1)
      stillWorks(world)
    })

    scenario(`${side} rekeys the IKE SA, and message ${lost + 1} of 4 comes again, once at the end`, () => {
      const world = established()
      rekey(world.host(side), 'IKE SA')
      world.finishJobs()
      if (lost > 0) world.deliver(lost)
      const [flight] = world.net.flights
      assert.ok(flight !== undefined)
      world.net.duplicate(flight)
      world.settle()
      world.net.duplicate(flight)
      world.settle()
      for (const host of world.hosts) assert.equal(eventsOf(host, 'ike-rekey').length, 1)
      stillWorks(world)
    })
  }

  /** What has not begun goes on where the children are: under the new keys. */
  scenario(`${side} has more to do while it rekeys the IKE SA`, () => {
    const world = twoChildren({ esp: pfs })
    const host = world.host(side)
    rekey(host, 'IKE SA')
    rekey(host, 'child')
    const answer = host.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.wait(10)
    assert.deepEqual(answer(), { kind: 'done' })
    for (const one of world.hosts) {
      assert.deepEqual(
        onlySa(one)
          .children.map(({ name, state }) => `${name} ${state}`)
          .sort(),
        ['more INSTALLED', 'net INSTALLED'],
      )
      assert.equal(eventsOf(one, 'ike-rekey').length, 1)
      assert.equal(eventsOf(one, 'child-rekey').length, 1)
    }
    closesClean(world)
  })

  /** The replaced child lingers on the new IKE SA, and a failed rekeying is tried again there. */
  scenario(`${side} rekeys the IKE SA while a replaced child lingers`, () => {
    const world = established()
    rekey(world.host(side), 'child')
    world.wait(2)
    rekey(world.host(side), 'IKE SA')
    world.wait(6)
    stillWorks(world)
  })

  scenario(`${side} fails to rekey the child, and tries again on the IKE SA that has been rekeyed since`, () => {
    const world = established()
    const host = world.host(side)
    world.peer(host).kernel.refuse({ kind: 'allocate-spi', nth: 1, errno: 'ENOMEM' })
    rekey(host, 'child')
    world.wait(1)
    logged(host, 'CHILD_SA rekeying failed, trying again in')
    rekey(world.peer(host), 'IKE SA')
    world.wait(25)
    for (const one of world.hosts) assert.equal(eventsOf(one, 'child-rekey').length, 1)
    stillWorks(world)
  })

  /** RFC 7296 §2.8: the DELETE is the last request on the old IKE SA; §1.4: all that follows is said on the new one. */
  scenario(`${side} rekeys the IKE SA: what is asked for later goes over the new one, by either side`, () => {
    const world = twoChildren({ esp: pfs })
    const host = world.host(side)
    const old = onlySa(host).spiI
    rekey(host, 'IKE SA')
    deliverFrom(world, host)
    // Its peer has answered the request, and is asked for more before the DELETE comes.
    const answer = world.peer(host).command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.wait(6)
    assert.deepEqual(answer(), { kind: 'done' })
    for (const one of [host, world.peer(host)]) {
      rekey(one, 'child')
      world.wait(6)
    }
    terminate(host, 'child')
    world.settle()
    for (const one of world.hosts) {
      const requests = one.sent.filter(({ label }) => label.includes(' request '))
      const onOld = requests.filter(({ bytes }) => spiOf(bytes) === old).map(({ label }) => label)
      if (one === host) assert.match(onOld.at(-1) ?? '', /^INFORMATIONAL request \d+ \[ D \]$/)
      const created = one.sent.findLast(({ label }) => label.startsWith('CREATE_CHILD_SA request'))
      assert.ok(created !== undefined)
      assert.notEqual(spiOf(created.bytes), old)
    }
    const deletions = host.sent.filter(({ label }) => /^INFORMATIONAL request \d+ \[ D \]$/.test(label))
    assert.deepEqual(
      deletions.map(({ bytes }) => spiOf(bytes) === old),
      [true, ...deletions.slice(1).map(() => false)],
    )
    assert.ok(deletions.length >= 3)
  })

  /** RFC 7296 §2.8.1: so that two ends with the same configuration do not always begin at once. */
  scenario(`${side} rekeys the IKE SA at a time that is drawn`, () => {
    const times = new Set<number>()
    for (let seed = 1; seed <= 8; seed++) {
      const world = established({ seed, [side]: { connection: { rekeySeconds: 1000, randSeconds: 100 } } })
      world.wait(899)
      let seconds = 899
      for (; eventsOf(world.host(side), 'ike-rekey').length === 0; seconds++) world.wait(1)
      assert.ok(seconds > 899 && seconds <= 1001, `after ${seconds} s`)
      times.add(seconds)
    }
    assert.ok(times.size > 3, `${[...times]}`)
  })

  scenario(`the IKE SA of ${side} reaches its rekey time`, () => {
    const world = established({ [side]: { connection: { rekeySeconds: 100, randSeconds: 1 } } })
    world.wait(102)
    for (const host of world.hosts) assert.equal(eventsOf(host, 'ike-rekey').length, 1)
    sameSingleChild(world)
    world.wait(1000)
    sameSingleChild(world)
    assert.ok(eventsOf(world.left, 'ike-rekey').length >= 10)
    closesClean(world)
  })
}

/**
 *    |-- INFORMATIONAL request [ D(IKE) ] --------->|   the old one is gone there
 *    | x<--------------- INFORMATIONAL response [ ] --| lost, and nobody is there to give it again
 */
scenario('the answer to the DELETE of the old IKE SA is lost: it goes after half a minute', () => {
  const world = established()
  rekey(world.left, 'IKE SA')
  world.deliver(3)
  assert.equal(world.right.sas().length, 1)
  world.lose()
  world.wait(29)
  assert.equal(world.left.sas().length, 2)
  world.wait(2)
  sameSingleChild(world)
  closesClean(world)
})

/**
 *    |-- CREATE_CHILD_SA request [ SA No KE ] ----->|   `terminate` comes now
 *    |<---- CREATE_CHILD_SA response [ SA No KE ] --|
 *    |-- INFORMATIONAL request [ D(IKE) ] ---x      |   of the new one
 *    |-- INFORMATIONAL request [ D(IKE) ] --------->|   of the old one
 *    |<--------------- INFORMATIONAL response [ ] --|
 */
scenario('an IKE SA is terminated while it is being rekeyed: the command is done when the new one has gone', () => {
  const world = established()
  rekey(world.left, 'IKE SA')
  const answer = terminate(world.left, 'IKE SA')
  world.deliver(2)
  world.lose()
  world.deliver(2)
  assert.equal(onlySa(world.left).state, 'DELETING')
  assert.equal(answer(), undefined)
  world.wait(5)
  assert.deepEqual(answer(), { kind: 'matched', matches: 1, done: 1 })
  nothingLeaks(world)
})

/** The initiator's SPI of a message that may have the non-ESP marker in front. */
function spiOf(bytes: Uint8Array): bigint {
  const start = bytes.subarray(0, 4).every((octet) => octet === 0) ? 4 : 0
  return Buffer.from(bytes).readBigUInt64BE(start)
}
