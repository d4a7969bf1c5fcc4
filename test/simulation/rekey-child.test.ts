/** Rekeying a Child SA (RFC 7296 §1.3.3, §2.8), one side at a time. */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { logged, notLogged, onlyChild, onlySa, packetOfChild, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, type PairOptions } from './pair.ts'
import {
  canStartAgain,
  deliverFrom,
  espWith,
  eventsOf,
  flightOf,
  pfs,
  rekey,
  sendsOn,
  settleUnderTraffic,
  stillWorks,
  terminate,
  trafficFlows,
} from './rekey.ts'
import { scenario } from './scenario.ts'

const variants: Readonly<Record<string, PairOptions>> = {
  'without PFS': {},
  'with PFS': { esp: pfs },
  'in transport mode': { mode: 'transport' },
  'behind a NAT': { nat: 'left' },
}

for (const side of ['left', 'right'] as const) {
  for (const [name, options] of Object.entries(variants)) {
    /**
     *    |-- CREATE_CHILD_SA request [ N(REKEY_SA) SA No [KE] TSi TSr ] -->|
     *    |<------------------ CREATE_CHILD_SA response [ SA No [KE] TSi TSr ] --|
     *    |-- INFORMATIONAL request [ D(ESP) ] -------------------------------->|
     *    |<------------------------------ INFORMATIONAL response [ D(ESP) ] --|
     */
    scenario(`${side} rekeys the child ${name}`, () => {
      const world = established(options)
      const before = world.hosts.map((host) => onlyChild(host))
      rekey(world.host(side), 'child')
      world.wait(6)
      sameSingleChild(world)
      world.hosts.forEach((host, i) => {
        assert.notEqual(onlyChild(host).spiIn, before[i]?.spiIn)
        assert.equal(onlyChild(host).reqid, before[i]?.reqid)
        assert.deepEqual(onlyChild(host).localTs, before[i]?.localTs)
        assert.equal(eventsOf(host, 'child-rekey').length, 1)
        assert.equal(eventsOf(host, 'child-updown').length, 1, 'up, when it was made')
        logged(host, 'rekeyed CHILD_SA net{1}')
        logged(host, 'delay closing of inbound CHILD_SA net{1} for 5s')
        logged(host, 'CHILD_SA net{1} closed')
      })
      stillWorks(world, world.host(side))
    })
  }

  /**
   * The peer wants another group than the first one that we send a value for (§1.3):
   *
   *    |-- CREATE_CHILD_SA request [ N(REKEY_SA) SA No KE(A) TSi TSr ] -->|
   *    |<------------------- CREATE_CHILD_SA response [ N(INVAL_KE) ] --|
   *    |-- CREATE_CHILD_SA request [ N(REKEY_SA) SA No KE(B) TSi TSr ] -->|
   *    |<-------------- CREATE_CHILD_SA response [ SA No KE TSi TSr ] --|
   *    |-- D(ESP) ------------------------------------------------------>|
   *    |<------------------------------------------------------ D(ESP) --|
   */
  scenario(`${side} rekeys the child with a group that the peer does not want`, () => {
    const other = side === 'left' ? 'right' : 'left'
    const world = established({
      [side]: { child: { espProposals: [espWith(KE.ECP_256, KE.CURVE_25519)] } },
      [other]: { child: { espProposals: [espWith(KE.CURVE_25519)] } },
    })
    rekey(world.host(side), 'child')
    world.wait(6)
    logged(world.host(side), "peer didn't accept key exchange method ECP_256, it requested CURVE_25519")
    stillWorks(world, world.host(side))
  })

  /**
   * Whatever moment a packet is sent at, there is an SA for it on both ends, also when another one takes its place between
   * the moment at which the kernel has chosen it and the one at which the packet leaves.
   */
  for (const [name, options] of Object.entries({ ...variants, 'with IPComp': { child: { ipcomp: true } } })) {
    scenario(`${side} rekeys 20 times ${name} with packets both ways, and none is lost`, () => {
      const world = established(options)
      const packets = world.hosts.map((host) => packetOfChild(onlyChild(host)))
      assert.ok(packets.every((packet) => packet !== undefined))
      for (let i = 0; i < 20; i++) {
        rekey(world.host(side), 'child')
        settleUnderTraffic(world, packets)
        world.wait(i % 2)
        trafficFlows(world, packets)
      }
      world.wait(6)
      for (const host of world.hosts) {
        assert.equal(eventsOf(host, 'child-rekey').length, 20)
        assert.equal(host.kernel.counters.size, 0)
      }
      stillWorks(world)
    })
  }

  /** The policy leads to the new state, so that nothing chooses the old one any more: that is there for a second. */
  scenario(`${side} rekeys the child: the outbound policy names the SPI`, () => {
    const world = established({ child: { ipcomp: true } })
    const spis = (host: Host) =>
      host.kernel.policies.map(({ direction, templates: [one] }) => [direction, one?.spi, one?.cpi])
    rekey(world.host(side), 'child')
    world.settle()
    const out = (host: Host) =>
      host.kernel.states.flatMap(({ sa, protocol, spi }) =>
        sa?.direction === 'out' && protocol === 'ESP' ? [spi] : [],
      )
    const made = world.hosts.map((host) => onlySa(host).children.find(({ state }) => state === 'INSTALLED'))
    world.hosts.forEach((host, i) => {
      assert.deepEqual(spis(host).sort(), [
        ['fwd', undefined, undefined],
        ['in', undefined, undefined],
        ['out', made[i]?.spiOut, made[i]?.cpiOut],
      ])
      assert.equal(out(host).length, 2)
    })
    world.wait(1)
    world.hosts.forEach((host, i) => {
      assert.deepEqual(out(host), [made[i]?.spiOut])
    })
    world.wait(6)
    stillWorks(world)
  })

  /**
   * The responder sends on the new SA only when the old one is deleted, and both go on receiving on the old one for
   * 5 s (delete_rekeyed_delay).
   */
  scenario(`${side} rekeys the child: who sends on which SA, and how long the old one lingers`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    const old = [onlyChild(host), onlyChild(peer)] as const
    rekey(host, 'child')
    deliverFrom(world, host)
    assert.equal(sendsOn(world, host), old[0].spiOut)
    assert.equal(sendsOn(world, peer), old[1].spiOut)
    deliverFrom(world, peer)
    const [made] = onlySa(host).children.filter(({ state }) => state === 'INSTALLED')
    assert.ok(made !== undefined)
    assert.equal(sendsOn(world, host), made.spiOut)
    assert.equal(sendsOn(world, peer), old[1].spiOut)
    deliverFrom(world, host)
    assert.equal(sendsOn(world, peer), made.spiIn)
    deliverFrom(world, peer)
    const states = () => world.hosts.map((one) => onlySa(one).children.map(({ state }) => state))
    assert.deepEqual(states(), [
      ['DELETED', 'INSTALLED'],
      ['DELETED', 'INSTALLED'],
    ])
    world.wait(4)
    assert.equal(world.left.kernel.states.length, 3)
    world.wait(2)
    assert.deepEqual(states(), [['INSTALLED'], ['INSTALLED']])
    stillWorks(world)
  })

  /**
   * Who hears that the old SA is gone stops receiving on it (§1.4.1): until then nothing more is sent on it.
   *
   *    |-- D(ESP) ------------------------------>|
   *    |                    the kernel takes the new outbound state
   *    |<------------------------------ D(ESP) --|
   */
  scenario(`${side} deletes the replaced child, and has the answer when the peer sends on the new one`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    const { spiOut } = onlyChild(peer)
    rekey(host, 'child')
    deliverFrom(world, host)
    deliverFrom(world, peer)
    world.holdJobs = true
    deliverFrom(world, host)
    const used: boolean[] = []
    while (world.net.flights.length === 0) {
      used.push(sendsOn(world, peer) === spiOut)
      const [job] = peer.jobs
      assert.ok(job !== undefined, 'the answer comes')
      peer.complete(job)
    }
    assert.deepEqual([used[0], used.lastIndexOf(true) < used.length - 1], [true, true])
    assert.notEqual(sendsOn(world, peer), spiOut)
    world.holdJobs = false
    world.wait(6)
    stillWorks(world)
  })

  for (const lost of [0, 1, 2, 3]) {
    scenario(`${side} rekeys the child, and message ${lost + 1} of 4 is lost`, () => {
      const world = established()
      rekey(world.host(side), 'child')
      world.finishJobs()
      if (lost > 0) world.deliver(lost)
      world.lose()
      world.wait(12)
      for (const host of world.hosts) assert.equal(eventsOf(host, 'child-rekey').length, 1)
      stillWorks(world)
    })

    scenario(`${side} rekeys the child, and message ${lost + 1} of 4 comes three times, once much later`, () => {
      const world = established()
      rekey(world.host(side), 'child')
      world.finishJobs()
      if (lost > 0) world.deliver(lost)
      const [flight] = world.net.flights
      assert.ok(flight !== undefined)
      world.net.duplicate(flight)
      world.wait(6)
      world.net.duplicate(flight)
      world.wait(6)
      for (const host of world.hosts) assert.equal(eventsOf(host, 'child-rekey').length, 1)
      stillWorks(world)
    })
  }

  const limits = {
    seconds: { lifetimeSeconds: { rekey: 100, life: 1000, rand: 0 } },
    packets: { lifetimePackets: { rekey: 10n, life: 1000n, rand: 0n } },
    bytes: { lifetimeBytes: { rekey: 800n, life: 100_000n, rand: 0n } },
  }
  for (const [unit, child] of Object.entries(limits)) {
    scenario(`a soft limit of ${unit} makes ${side} rekey once`, () => {
      const forever = { lifetimeSeconds: { rekey: 0, life: 0, rand: 0 } }
      const world = established({ child: forever, [side]: { child: { ...forever, ...child } } })
      if (unit === 'seconds') world.wait(101)
      for (let i = 0; i < 12; i++) {
        trafficFlows(world)
        world.wait(1)
      }
      world.wait(6)
      logged(world.host(side), 'creating rekey job for CHILD_SA ESP/')
      for (const host of world.hosts) assert.equal(eventsOf(host, 'child-rekey').length, 1)
      sameSingleChild(world)
    })
  }

  /** RFC 7296 §2.8.1: so that two ends with the same configuration do not always begin at once. */
  scenario(`${side} rekeys the child at a time that is drawn`, () => {
    const times = new Set<number>()
    for (let seed = 1; seed <= 8; seed++) {
      const child = { lifetimeSeconds: { rekey: 1000, life: 1100, rand: 100 } }
      const world = established({ seed, child: { lifetimeSeconds: { rekey: 0, life: 0, rand: 0 } }, [side]: { child } })
      world.wait(898)
      for (const host of world.hosts) assert.equal(eventsOf(host, 'child-rekey').length, 0)
      let seconds = 898
      for (; eventsOf(world.host(side), 'child-rekey').length === 0; seconds++) world.wait(1)
      assert.ok(seconds <= 1001, `after ${seconds} s`)
      times.add(seconds)
    }
    assert.ok(times.size > 3, `${[...times]}`)
  })

  /** charon: a soft limit while the peer's rekeying waits for its DELETE says nothing. */
  scenario(`a soft limit of ${side} is ignored while the peer is rekeying`, () => {
    const world = established({ [side]: { child: { lifetimePackets: { rekey: 10n, life: 1000n, rand: 0n } } } })
    const host = world.host(side)
    const peer = world.peer(host)
    rekey(peer, 'child')
    deliverFrom(world, peer)
    for (let i = 0; i < 12; i++) trafficFlows(world)
    notLogged(host, 'creating rekey job')
    world.wait(6)
    for (const one of world.hosts) assert.equal(eventsOf(one, 'child-rekey').length, 1)
    stillWorks(world)
  })

  /** charon: a hard limit while the peer's rekeying waits for its DELETE ends the old SA; the new one takes over. */
  scenario(`a hard limit of ${side} while the peer is rekeying`, () => {
    const world = established({ [side]: { child: { lifetimeSeconds: { rekey: 0, life: 100, rand: 0 } } } })
    const host = world.host(side)
    const peer = world.peer(host)
    world.wait(99)
    rekey(peer, 'child')
    deliverFrom(world, peer)
    world.wait(2, { deliver: false })
    logged(host, 'creating delete job for CHILD_SA')
    world.wait(20)
    stillWorks(world)
  })

  /** The responder has had enough of the new SA before the old one is deleted. */
  scenario(`${side} terminates the child that the peer has just made by rekeying`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    rekey(peer, 'child')
    deliverFrom(world, peer)
    terminate(host, 'child')
    world.wait(20)
    canStartAgain(world)
  })

  /**
   *    |-- rekey ----------------->|
   *    |          .--- response ---|
   *    |<---- D(new SA) -----------|   unknown: remembered
   *    |-- [ ] --/---------------->|
   *    |<-------'                  |   what was deleted is not installed, and the old one goes too
   *    |-- D(old SA) ------------->|
   */
  scenario(`${side} rekeys, and a DELETE of the new SA overtakes the answer`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    rekey(host, 'child')
    deliverFrom(world, host)
    const response = flightOf(world, peer)
    const [, made] = onlySa(peer).children
    assert.ok(made !== undefined)
    peer.command({ kind: 'terminate', select: { childId: made.uniqueId }, force: false, timeoutMs: 0 })
    world.finishJobs()
    const [, overtaking] = world.net.flights
    assert.ok(overtaking !== undefined)
    world.deliverThis(overtaking)
    logged(host, 'CHILD_SA not found for SPI')
    world.deliverThis(response)
    logged(host, 'peer deleted CHILD_SA net')
    world.wait(6)
    canStartAgain(world)
  })

  /** The peer has lost the SA (RFC 7296 §2.25): silently deleted, made anew from scratch. */
  scenario(`${side} rekeys a child that the peer does not have any more`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    terminate(peer, 'child')
    world.finishJobs()
    world.lose() // the DELETE
    rekey(host, 'child')
    // The peer still waits for the answer to its DELETE: closing.
    world.settle()
    logged(host, 'received TEMPORARY_FAILURE notify')
    world.wait(30)
    canStartAgain(world)
  })

  const refusals = {
    'no proposal chosen': 'NO_PROPOSAL_CHOSEN',
  }
  for (const [name, notify] of Object.entries(refusals)) {
    scenario(`${side} rekeys the child: ${name}; the old one stays, and it is tried again`, () => {
      const other = side === 'left' ? 'right' : 'left'
      // IKE_AUTH leaves the group out, so the difference shows when rekeying.
      const world = established({
        [side]: { child: { espProposals: [espWith(KE.ECP_256)] } },
        [other]: { child: { espProposals: [espWith(KE.CURVE_25519)] } },
      })
      rekey(world.host(side), 'child')
      world.settle()
      logged(world.host(side), `received ${notify} notify`)
      logged(world.host(side), 'CHILD_SA rekeying failed, trying again in')
      sameSingleChild(world)
      world.wait(16)
      const tries = world.host(side).logs.filter(({ message }) => message.includes('trying again in'))
      assert.equal(tries.length, 2)
      sameSingleChild(world)
      terminate(world.left, 'IKE SA')
      world.wait(20)
    })
  }

  for (const operation of ['allocate-spi', 'install-sa'] as const) {
    for (const who of ['initiator', 'responder'] as const) {
      for (const nth of operation === 'install-sa' ? [1, 2] : [1]) {
        scenario(`${side} rekeys the child, and the kernel of the ${who} refuses ${operation} ${nth}`, () => {
          const world = established()
          const host = world.host(side)
          const refusing = who === 'initiator' ? host : world.peer(host)
          refusing.kernel.refuse({ kind: operation, nth, errno: 'ENOMEM' })
          rekey(host, 'child')
          world.wait(40)
          stillWorks(world)
        })
      }
    }
  }
}

/** The words of charon's log, by which people find a state of the kernel again. */
scenario('the log says which states come and go', () => {
  const world = established({})
  const before = world.left.kernel.states.map(({ spi }) => spi)
  assert.equal(before.length, 2)
  rekey(world.left, 'child')
  world.wait(20)
  for (const spi of before) {
    const text = spi.toString(16).padStart(8, '0')
    for (const word of ['adding', 'deleting', 'deleted']) logged(world.left, `${word} SAD entry with SPI ${text}`)
  }
})
