/** Requests of both sides that cross: RFC 7296 §2.8.1, §2.8.2 and §2.25, with every message late or lost. */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { ikeProposal } from './connection.ts'
import { logged, nothingLeaks, notLogged, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import type { Flight } from './network.ts'
import { established, type PairOptions } from './pair.ts'
import {
  bringUp,
  canStartAgain,
  closesClean,
  deliverFrom,
  espWith,
  eventsOf,
  flightOf,
  loserOf,
  lowestNonce,
  nonceNames,
  rekey,
  stillWorks,
  terminate,
  twoChildren,
  type What,
} from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const settled = (what: What): number => (what === 'child' ? 6 : 0.1)

for (const what of ['child', 'IKE SA'] as const) {
  const event = what === 'child' ? 'child-rekey' : 'ike-rekey'

  for (const lowest of nonceNames) {
    /**
     *    |-- rekey ---.   .--- rekey --|
     *    |<------------\-/             |
     *    |              / \----------->|
     *    |-- answer --. .--- answer ---|   four nonces: both know who has lost
     *    |<------------x-------------->|
     *    |-- D(redundant) or D(old) -->|
     *    |<-- D(old) or D(redundant) --|
     */
    const both = (options: PairOptions = {}): World => {
      const world = established(options)
      lowestNonce(world, lowest)
      rekey(world.left, what)
      rekey(world.right, what)
      world.finishJobs()
      return world
    }
    const decided = (world: World): void => {
      const lost = loserOf(world, lowest)
      logged(lost, 'rekey collision lost')
      logged(world.peer(lost), 'rekey collision won')
      assert.equal(onlySa(world.left).initiator, what === 'child' ? true : lost !== world.left)
      for (const host of world.hosts) {
        assert.equal(eventsOf(host, event).length, 1, `${host.name}: one rekeying, however it was made`)
        assert.equal(eventsOf(host, 'child-updown').length, 1)
        assert.equal(eventsOf(host, 'ike-updown').length, 1)
      }
    }

    scenario(`both rekey the ${what}: ${lowest} is lowest`, () => {
      const world = both()
      world.deliver(2)
      world.settle()
      world.wait(settled(what))
      sameSingleChild(world)
      decided(world)
      stillWorks(world)
    })

    /** Each of the eight messages is the only one that is lost, and comes again by retransmission. */
    for (let nth = 1; nth <= 8; nth++) {
      scenario(`both rekey the ${what}, ${lowest} is lowest, message ${nth} of 8 is lost`, () => {
        const world = both()
        lose(world, nth)
        world.wait(200)
        stillWorks(world)
      })

      scenario(`both rekey the ${what}, ${lowest} is lowest, message ${nth} of 8 comes last`, () => {
        const world = both()
        delay(world, nth)
        world.wait(200)
        stillWorks(world)
      })

      scenario(`both rekey the ${what}, ${lowest} is lowest, message ${nth} of 8 comes twice`, () => {
        const world = both()
        twice(world, nth)
        world.wait(200)
        stillWorks(world)
      })
    }

    /** strongSwan's delayed response: one side has finished before the other has its answer. */
    for (const late of ['left', 'right'] as const) {
      scenario(`both rekey the ${what}, ${lowest} is lowest, the answer to ${late} comes last of all`, () => {
        const world = both()
        const [a, b] = [world.host(late), world.peer(world.host(late))]
        deliverFrom(world, a)
        const response = world.net.flights.find((flight) => flight.from === b.name && flight.label.includes('response'))
        assert.ok(response !== undefined)
        settleBut(world, response)
        world.deliverThis(response)
        world.wait(200)
        stillWorks(world)
      })

      /** One side does not see that there is a collision: it hears of it when it has begun to delete. */
      scenario(`both rekey the ${what}, ${lowest} is lowest, the request of ${late} is late`, () => {
        const world = both()
        const [a, b] = [world.host(late), world.peer(world.host(late))]
        const request = flightOf(world, a)
        deliverFrom(world, b)
        // The answer of a, then D of b, which is on its way when the late request comes.
        const answer = world.net.flights.find((flight) => flight.from === a.name && flight !== request)
        assert.ok(answer !== undefined)
        world.deliverThis(answer)
        world.deliverThis(request)
        saidToPeer(b, 'N(TEMP_FAIL)')
        world.settle()
        world.wait(200)
        sameSingleChild(world)
        for (const host of world.hosts) assert.equal(eventsOf(host, event).length, 1)
        stillWorks(world)
      })

      scenario(`both rekey the ${what}, ${lowest} is lowest, the request of ${late} is later still`, () => {
        const world = both()
        const [a, b] = [world.host(late), world.peer(world.host(late))]
        const request = flightOf(world, a)
        deliverFrom(world, b)
        settleBut(world, request)
        world.deliverThis(request)
        world.settle()
        if (what === 'child') saidToPeer(b, 'N(NO_CHILD_SA)')
        world.wait(200)
        sameSingleChild(world)
        for (const host of world.hosts) assert.equal(eventsOf(host, event).length, 1)
        stillWorks(world)
      })
    }

    /** Both guess the group wrong: two crossings, and the nonces of the second decide. */
    scenario(`both rekey the ${what} with a group that the other does not want, ${lowest} is lowest`, () => {
      const left = [KE.ECP_256, KE.CURVE_25519]
      const right = [KE.CURVE_25519, KE.ECP_256]
      const world = both(
        what === 'child'
          ? {
              left: { child: { espProposals: [espWith(...left)] } },
              right: { child: { espProposals: [espWith(...right)] } },
              settings: { preferConfiguredProposals: true },
            }
          : {
              left: { connection: { proposals: [ikeProposal(left)] } },
              right: { connection: { proposals: [ikeProposal(right)] } },
            },
      )
      world.deliver(2)
      world.settle()
      world.wait(30)
      stillWorks(world)
    })
  }

  for (const side of ['left', 'right'] as const) {
    /**
     * §2.25.1, §2.25.2: what is being closed is not rekeyed.
     *
     *    |-- rekey ---.   .--- D ---|
     *    |<------------\-/          |
     *    |              / \-------->|
     *    |-- D or [ ] -. .- TEMP_FAIL --|
     */
    scenario(`${side} rekeys the ${what} while the other deletes it`, () => {
      const world = established()
      rekey(world.host(side), what)
      terminate(world.peer(world.host(side)), what)
      world.finishJobs()
      world.deliver(2)
      saidToPeer(world.peer(world.host(side)), 'N(TEMP_FAIL)')
      world.settle()
      world.wait(200)
      gone(world, what)
    })

    scenario(`${side} rekeys the ${what} while the other deletes it, and the DELETE is lost at first`, () => {
      const world = established()
      const host = world.host(side)
      rekey(host, what)
      terminate(world.peer(host), what)
      world.finishJobs()
      const deletion = flightOf(world, world.peer(host))
      world.net.remove(deletion)
      world.settle()
      logged(host, 'trying again in')
      world.wait(200)
      gone(world, what)
    })

    scenario(`${side} rekeys the ${what} while the other deletes it, and the rekeying comes later`, () => {
      const world = established()
      const host = world.host(side)
      rekey(host, what)
      terminate(world.peer(host), what)
      world.finishJobs()
      const request = flightOf(world, host)
      settleBut(world, request)
      world.deliverThis(request)
      if (what === 'child') saidToPeer(world.peer(host), 'N(NO_CHILD_SA)')
      world.wait(200)
      gone(world, what)
    })

    for (let nth = 1; nth <= 4; nth++) {
      scenario(`${side} rekeys the ${what} while the other deletes it, message ${nth} of 4 is lost`, () => {
        const world = established()
        rekey(world.host(side), what)
        terminate(world.peer(world.host(side)), what)
        lose(world, nth)
        world.wait(400)
        gone(world, what)
      })
    }

    /** One's own: the deletion waits for the rekeying, and means what has come of it. */
    scenario(`${side} deletes the ${what} that it is rekeying`, () => {
      const world = established()
      rekey(world.host(side), what)
      terminate(world.host(side), what)
      world.settle()
      world.wait(200)
      gone(world, what)
    })

    /** The peer has answered our rekeying of what it deletes now. */
    scenario(`${side} rekeys the ${what}, and the other deletes it right after its answer`, () => {
      const world = established()
      const host = world.host(side)
      rekey(host, what)
      deliverFrom(world, host)
      terminate(world.peer(host), what)
      world.settle()
      world.wait(400)
      gone(world, what)
    })
  }

  /** §1.4.1, §2.25: both delete. */
  for (let nth = 1; nth <= 4; nth++) {
    scenario(`both delete the ${what}, message ${nth} of 4 is lost`, () => {
      const world = established()
      for (const host of world.hosts) terminate(host, what)
      lose(world, nth)
      world.wait(400)
      gone(world, what)
    })
  }
}

for (const side of ['left', 'right'] as const) {
  /**
   *    |-- rekey child --.   .-- rekey IKE --|
   *    |<-----------------\-/                |
   *    |-- TEMP_FAIL --.   / \-------------->|
   *    |<---------------\-/------ TEMP_FAIL -|
   */
  scenario(`${side} rekeys the child while the other rekeys the IKE SA`, () => {
    const world = established()
    const host = world.host(side)
    rekey(host, 'child')
    rekey(world.peer(host), 'IKE SA')
    world.finishJobs()
    world.deliver(2)
    for (const one of world.hosts) saidToPeer(one, 'N(TEMP_FAIL)')
    world.settle()
    logged(host, 'CHILD_SA rekeying failed, trying again in')
    logged(world.peer(host), 'IKE_SA rekeying failed, trying again in')
    world.wait(60)
    for (const one of world.hosts) {
      assert.equal(eventsOf(one, 'child-rekey').length, 1)
      assert.equal(eventsOf(one, 'ike-rekey').length, 1)
    }
    stillWorks(world)
  })

  for (let nth = 1; nth <= 4; nth++) {
    scenario(`${side} rekeys the child while the other rekeys the IKE SA, message ${nth} of 4 is lost`, () => {
      const world = established()
      const host = world.host(side)
      rekey(host, 'child')
      rekey(world.peer(host), 'IKE SA')
      lose(world, nth)
      world.wait(200)
      for (const one of world.hosts) {
        assert.equal(eventsOf(one, 'child-rekey').length, 1)
        assert.equal(eventsOf(one, 'ike-rekey').length, 1)
      }
      stillWorks(world)
    })
  }

  /** §2.25.2: a child is deleted as usual, whatever becomes of the rekeying of the IKE SA. */
  scenario(`${side} deletes the child while the other rekeys the IKE SA`, () => {
    const world = established()
    const host = world.host(side)
    terminate(host, 'child')
    rekey(world.peer(host), 'IKE SA')
    world.finishJobs()
    world.deliver(2)
    saidToPeer(host, 'N(TEMP_FAIL)')
    world.settle()
    world.wait(60)
    for (const one of world.hosts) assert.equal(eventsOf(one, 'ike-rekey').length, 1)
    canStartAgain(world)
  })

  scenario(`${side} rekeys the child while the other deletes the IKE SA`, () => {
    const world = established()
    rekey(world.host(side), 'child')
    terminate(world.peer(world.host(side)), 'IKE SA')
    world.finishJobs()
    world.deliver(2)
    saidToPeer(world.peer(world.host(side)), 'N(TEMP_FAIL)')
    world.settle()
    world.wait(200)
    nothingLeaks(world)
  })

  /** A second child, refused while the IKE SA is being rekeyed. */
  scenario(`${side} creates a child while the other rekeys the IKE SA`, () => {
    const world = twoChildren()
    const host = world.host(side)
    host.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    rekey(world.peer(host), 'IKE SA')
    world.finishJobs()
    world.deliver(2)
    for (const one of world.hosts) saidToPeer(one, 'N(TEMP_FAIL)')
    world.settle()
    world.wait(60)
    for (const one of world.hosts) assert.equal(eventsOf(one, 'ike-rekey').length, 1)
    host.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.wait(10)
    for (const one of world.hosts) assert.equal(onlySa(one).children.length, 2)
    closesClean(world)
  })

  /** The same after the peer has answered: what is asked for meanwhile goes over the new IKE SA. */
  scenario(`${side} is asked for a child while its IKE SA is being rekeyed by itself`, () => {
    const world = twoChildren()
    const host = world.host(side)
    rekey(host, 'IKE SA')
    const answer = host.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
    world.wait(10)
    assert.deepEqual(answer(), { kind: 'done' })
    for (const one of world.hosts) {
      assert.equal(onlySa(one).children.length, 2)
      assert.equal(eventsOf(one, 'ike-updown').length, 1)
    }
    closesClean(world)
  })

  /**
   * The peer does not know the SA any more (§2.25): it is deleted silently, and made from scratch.
   */
  scenario(`${side} rekeys a child that the other has lost`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    const spi = onlyChild(host).spiOut
    terminate(peer, 'child')
    world.finishJobs()
    const deletion = flightOf(world, peer)
    world.deliverThis(deletion)
    world.settle()
    // A new one comes up, whose rekeying names what the peer has closed in the meantime.
    bringUp(world)
    assert.notEqual(onlyChild(host).spiOut, spi)
    stillWorks(world)
  })
}

for (const side of ['left', 'right'] as const) {
  /**
   * Some responders delete the old SA themselves, and even before their answer is there:
   *
   *    |-- rekey ----------------->|
   *    |         .---- answer -----|
   *    |<---- D(old) --------------|   looks like a deletion, until the answer shows what it was
   *    |-- D(old) --/------------->|
   *    |<----------'               |
   */
  for (const overtaking of [true, false]) {
    const order = overtaking ? 'before' : 'after'
    scenario(`${side} rekeys, and the other deletes the old SA by itself, ${order} its answer is there`, () => {
      const world = established()
      const host = world.host(side)
      const peer = world.peer(host)
      const old = onlyChild(peer).uniqueId
      rekey(host, 'child')
      deliverFrom(world, host)
      const answer = flightOf(world, peer)
      peer.command({ kind: 'terminate', select: { childId: old }, force: false, timeoutMs: 0 })
      world.finishJobs()
      if (!overtaking) world.deliverThis(answer)
      else settleBut(world, answer)
      world.settle()
      world.wait(6)
      stillWorks(world)
    })
  }

  for (const lowest of nonceNames) {
    /** As before, and the two rekeyings cross: whoever has lost deletes the old SA all the same. */
    scenario(`both rekey the child, ${lowest} is lowest, and ${side} deletes the old SA whoever has won`, () => {
      const world = established()
      const host = world.host(side)
      const old = onlyChild(host).uniqueId
      lowestNonce(world, lowest)
      rekey(world.left, 'child')
      rekey(world.right, 'child')
      world.finishJobs()
      world.deliver(2)
      host.command({ kind: 'terminate', select: { childId: old }, force: false, timeoutMs: 0 })
      world.settle()
      world.wait(30)
      for (const one of world.hosts) assert.ok(onlySa(one).children.length <= 1)
      if (onlySa(world.left).children.length === 0) canStartAgain(world)
      else stillWorks(world)
    })

    /** Whoever has finished first deletes what has come of it, before the other has its answer. */
    for (const what of ['child', 'IKE SA'] as const) {
      scenario(`both rekey the ${what}, ${lowest} is lowest, and ${side} closes all before the other is done`, () => {
        const world = established()
        const host = world.host(side)
        const peer = world.peer(host)
        lowestNonce(world, lowest)
        rekey(world.left, what)
        rekey(world.right, what)
        world.finishJobs()
        deliverFrom(world, peer)
        const late = world.net.flights.find(({ from, label }) => from === host.name && label.includes('response'))
        assert.ok(late !== undefined)
        settleBut(world, late)
        terminate(host, what)
        settleBut(world, late)
        world.deliverThis(late)
        world.wait(400)
        gone(world, what)
      })

      /** The same, and the request of the other was so late that nobody saw a collision. */
      scenario(`both rekey the ${what}, ${lowest} is lowest, and ${side} closes all before it sees the other's`, () => {
        const world = established()
        const host = world.host(side)
        const peer = world.peer(host)
        lowestNonce(world, lowest)
        rekey(world.left, what)
        rekey(world.right, what)
        world.finishJobs()
        const late = flightOf(world, peer)
        settleBut(world, late)
        terminate(host, what)
        settleBut(world, late)
        world.deliverThis(late)
        world.wait(400)
        gone(world, what)
      })
    }
  }

  /**
   * Whoever has won cannot use what came of it, when the other has given up its own already: the old SA stays, and it
   * is tried again.
   */
  scenario(`both rekey the child, ${side} has won and its kernel refuses the new SA`, () => {
    const world = established()
    const host = world.host(side)
    const peer = world.peer(host)
    lowestNonce(world, `${peer.name === 'left' ? 'left' : 'right'} Ni`)
    rekey(world.left, 'child')
    rekey(world.right, 'child')
    world.finishJobs()
    deliverFrom(world, host)
    const answer = world.net.flights.find(({ from, label }) => from === peer.name && label.includes('response'))
    assert.ok(answer !== undefined)
    settleBut(world, answer)
    logged(peer, 'rekey collision lost')
    host.kernel.refuse({ kind: 'install-sa', nth: 1, errno: 'ENOMEM' })
    world.deliverThis(answer)
    world.settle()
    for (const one of world.hosts) {
      const states = onlySa(one).children.map(({ state }) => state)
      assert.equal(states.filter((state) => state === 'INSTALLED').length, 1, `${one.name}: ${states}`)
    }
    world.wait(30)
    sameSingleChild(world)
    assert.equal(eventsOf(host, 'child-rekey').length, 1)
    notLogged(host, 'rekey collision won')
    stillWorks(world)
  })

  /** The peer is gone after its answer: the new SA goes with the IKE SA, and the tunnel is said to be down once. */
  scenario(`${side} rekeys the child, and its DELETE is never answered`, () => {
    const world = established()
    const host = world.host(side)
    rekey(host, 'child')
    deliverFrom(world, host)
    deliverFrom(world, world.peer(host))
    world.net.partitioned = true
    for (const flight of [...world.net.flights]) world.net.remove(flight)
    world.wait(200)
    const downs = host.events.filter((event) => event.kind === 'child-updown' && !event.up)
    assert.equal(downs.length, 1)
    assert.deepEqual(host.sas(), [])
  })

  /** The other side has it already: a second one would be the same. */
  scenario(`${side} is asked for a child that is there, also while it is rekeyed`, () => {
    const world = established()
    const host = world.host(side)
    for (const busy of [false, true]) {
      if (busy) rekey(host, 'child')
      host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
      world.wait(10)
    }
    logged(host, 'not establishing CHILD_SA net due to existing duplicate')
    stillWorks(world)
  })
}

/** Delivers in order, except for the `nth` datagram from now on, which is lost. */
function lose(world: World, nth: number): void {
  nthOf(world, nth, (flight) => {
    world.net.remove(flight)
    world.ladder.lost(flight.from, flight.label, world.now)
  })
}

/** Delivers in order, except for the `nth` datagram, which waits until nothing else moves. */
function delay(world: World, nth: number): void {
  let late: Flight | undefined
  nthOf(world, nth, (flight) => {
    late = flight
    settleBut(world, flight)
  })
  if (late !== undefined) world.deliverThis(late)
}

function twice(world: World, nth: number): void {
  nthOf(world, nth, (flight) => {
    world.net.duplicate(flight)
    world.deliverThis(flight)
  })
}

function nthOf(world: World, nth: number, then: (flight: Flight) => void): void {
  world.finishJobs()
  for (let i = 1; i <= nth; i++) {
    const [flight] = world.net.flights
    if (flight === undefined) return
    if (i === nth) then(flight)
    else world.deliverThis(flight)
  }
}

/** Delivers everything but this datagram. */
function settleBut(world: World, held: Flight): void {
  for (;;) {
    world.finishJobs()
    const next = world.net.flights.find((flight) => flight !== held)
    if (next === undefined) return
    world.deliverThis(next)
  }
}

/** What was to be deleted is gone on both sides, and can be made again. */
function gone(world: World, what: What): void {
  if (what === 'IKE SA') {
    nothingLeaks(world)
    bringUp(world)
    stillWorks(world)
  } else canStartAgain(world)
}
