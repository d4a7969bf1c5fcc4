/** Additional key exchanges of CREATE_CHILD_SA: IKE_FOLLOWUP_KE (RFC 9370 §2.2.4). */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { espProposal, hybridEsp, hybridProposal, ikeProposal, type SideName } from './connection.ts'
import {
  exchanges,
  kernelIsAsSaid,
  logged,
  nothingLeaks,
  onlyChild,
  onlySa,
  own,
  saidToPeer,
  sameSingleChild,
} from './expect.ts'
import { established, type PairOptions } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const child: PairOptions = { esp: [hybridEsp([[KE.ML_KEM_768]])] }
const ike: PairOptions = { ike: [hybridProposal([KE.ML_KEM_768])] }
const twice: PairOptions = {
  ike: [hybridProposal([KE.ML_KEM_512], [KE.ECP_256])],
  esp: [hybridEsp([[KE.ML_KEM_512], [KE.ECP_256]])],
}
const rekeys = { child: { child: 'net' }, IKE: { ike: 'lab' } } as const
const sides = ['left', 'right'] as const
type What = keyof typeof rekeys

function rekey(world: World, side: SideName, what: What): void {
  world.host(side).command({ kind: 'rekey', select: rekeys[what], reauth: false })
  world.finishJobs()
}

/** One SA on both sides, with other SPIs than before; what was replaced is gone. */
function rekeyed(world: World, before: { readonly ike: bigint; readonly child: number }, what: What): void {
  world.wait(6)
  sameSingleChild(world)
  assert.equal(onlyChild(world.left).spiIn !== before.child, what === 'child')
  assert.equal(onlySa(world.left).spiI !== before.ike, what === 'IKE')
  for (const host of world.hosts) assert.equal(own(host).length, 2, `larval states of ${host.name}`)
}

function spis(world: World): { ike: bigint; child: number } {
  return { ike: onlySa(world.left).spiI, child: onlyChild(world.left).spiIn }
}

for (const side of sides) {
  /**
   *    |-- CREATE_CHILD_SA request [ N(REKEY_SA) SA No KE TSi TSr ] ------------->|
   *    |<----------- CREATE_CHILD_SA response [ SA No KE TSi TSr N(ADD_KE) ] -----|
   *    |-- IKE_FOLLOWUP_KE request [ KE N(ADD_KE) ] ----------------------------->|
   *    |<----------------------------------- IKE_FOLLOWUP_KE response [ KE ] -----|
   *    |-- INFORMATIONAL request [ D ] ------------------------------------------>|
   */
  scenario(`${side} rekeys the Child SA with ML-KEM-768`, () => {
    const world = established(child)
    const before = spis(world)
    rekey(world, side, 'child')
    rekeyed(world, before, 'child')
    for (const host of world.hosts) {
      saidToPeer(host, 'IKE_FOLLOWUP_KE')
      assert.deepEqual(onlyChild(host).proposal.additionalKeyExchanges, [KE.ML_KEM_768])
    }
  })

  scenario(`${side} rekeys the IKE SA with ML-KEM-768`, () => {
    const world = established(ike)
    const before = spis(world)
    rekey(world, side, 'IKE')
    rekeyed(world, before, 'IKE')
    for (const host of world.hosts) assert.deepEqual(onlySa(host).proposal?.additionalKeyExchanges, [KE.ML_KEM_768])
    // The new one works: it is rekeyed and terminated.
    rekey(world, side === 'left' ? 'right' : 'left', 'IKE')
    world.wait(6)
    sameSingleChild(world)
    world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
    world.wait(10)
    nothingLeaks(world)
  })

  scenario(`${side} creates another Child SA with two additional key exchanges`, () => {
    const world = established(twice)
    world.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
    world.settle()
    const answer = world.host(side).command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    assert.deepEqual(answer(), { kind: 'done' })
    sameSingleChild(world)
    const names = exchanges(world.host(side)).filter((name) => name.startsWith('IKE_FOLLOWUP_KE'))
    assert.equal(names.length, 2)
  })

  for (const what of ['child', 'IKE'] as const) {
    const calm = established(twice)
    const before = calm.left.sent.length + calm.right.sent.length
    rekey(calm, side, what)
    calm.settle()
    const count = calm.left.sent.length + calm.right.sent.length - before

    for (let index = 0; index < count; index++) {
      scenario(`${side} rekeys, ${what}: datagram ${index + 1} of ${count} is lost`, () => {
        const world = established(twice)
        const was = spis(world)
        rekey(world, side, what)
        world.deliver(index)
        world.lose()
        // The one who has deleted the old IKE SA does not know it any more when it is asked again.
        world.wait(what === 'IKE' && index === count - 1 ? 170 : 5)
        rekeyed(world, was, what)
      })

      scenario(`${side} rekeys, ${what}: datagram ${index + 1} of ${count} comes twice and at the end`, () => {
        const world = established(twice)
        const was = spis(world)
        rekey(world, side, what)
        world.deliver(index)
        const flight = world.net.flights[0]
        assert.ok(flight)
        world.net.duplicate(flight)
        world.settle()
        world.net.duplicate(flight)
        world.settle()
        rekeyed(world, was, what)
      })
    }
  }
}

for (const what of ['child', 'IKE'] as const) {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    /**
     * Both begin. Whoever sees the lowest nonce in its own exchange begins no IKE_FOLLOWUP_KE: one series remains.
     *
     *    |-- CREATE_CHILD_SA request --.  .-- CREATE_CHILD_SA request --|
     *    |<----------------------------+--'                             |
     *    |                             '------------------------------->|
     *    |<- CREATE_CHILD_SA response N(ADD_KE), and the other one ---->|
     *    |-- IKE_FOLLOWUP_KE request (from one side only) ------------->|
     */
    scenario(`both rekey at once, ${what}, seed ${seed}`, () => {
      const world = established({ ...twice, seed })
      const was = spis(world)
      for (const side of sides) rekey(world, side, what)
      world.deliver(2)
      world.settle()
      const followers = world.hosts.filter((host) =>
        exchanges(host).some((name) => /IKE_FOLLOWUP_KE request/.test(name)),
      )
      assert.equal(followers.length, 1)
      rekeyed(world, was, what)
      world.wait(40)
      sameSingleChild(world)
    })

    /** The response to one request comes before the other request: the second is told to come later. */
    scenario(
      `a rekeying comes in the middle of the other side's additional key exchanges, ${what}, seed ${seed}`,
      () => {
        const world = established({ ...twice, seed })
        const was = spis(world)
        rekey(world, 'left', what)
        rekey(world, 'right', what)
        const [, late] = world.net.flights
        assert.ok(late)
        world.net.remove(late)
        world.deliver(2)
        world.settle()
        world.wait(5)
        world.wait(30)
        sameSingleChild(world)
        assert.ok(spis(world)[what === 'IKE' ? 'ike' : 'child'] !== was[what === 'IKE' ? 'ike' : 'child'])
      },
    )

    /** One side's proposals lead to additional key exchanges, the other's do not. */
    scenario(`both rekey at once, ${what}, one with and one without additional key exchanges, seed ${seed}`, () => {
      const world = established({
        seed,
        left: {
          connection: { proposals: [ikeProposal(), hybridProposal([KE.ML_KEM_512])] },
          child: { espProposals: [espProposal(), hybridEsp([[KE.ML_KEM_512]])] },
        },
        right: {
          connection: { proposals: [hybridProposal([KE.ML_KEM_512]), ikeProposal()] },
          child: { espProposals: [hybridEsp([[KE.ML_KEM_512]]), espProposal()] },
        },
        settings: { preferConfiguredProposals: false },
      })
      const was = spis(world)
      for (const side of sides) rekey(world, side, what)
      world.deliver(2)
      world.settle()
      rekeyed(world, was, what)
      world.wait(40)
      sameSingleChild(world)
    })
  }

  /**
   *    |-- CREATE_CHILD_SA request ------------------->|
   *    |<----------- CREATE_CHILD_SA response N(ADD_KE)|
   *    |-- IKE_FOLLOWUP_KE request - - x               |   20 s
   *    |-- IKE_FOLLOWUP_KE request ------------------->|
   *    |<------- IKE_FOLLOWUP_KE response N(NO_STATE) -|
   */
  scenario(`the peer has forgotten the series, ${what}: STATE_NOT_FOUND, and again from the start`, () => {
    const world = established(what === 'IKE' ? ike : child)
    const was = spis(world)
    rekey(world, 'left', what)
    world.deliver(2)
    world.net.partitioned = true
    world.lose(world.net.flights.length)
    world.wait(21)
    for (const host of [world.right]) assert.equal(own(host).filter(({ kind }) => kind === 'larval').length, 0)
    world.net.partitioned = false
    world.wait(10)
    saidToPeer(world.right, 'N(NO_STATE)')
    logged(world.left, 'received STATE_NOT_FOUND notify')
    world.wait(20)
    rekeyed(world, was, what)
  })
}

/** As above, three times in a row: RFC 9370 §2.2.4 has the initiator delete the IKE SA. */
for (const what of ['child', 'IKE'] as const) {
  for (const times of [2, 3]) {
    scenario(`the peer forgets the series ${times} times in a row, ${what}`, () => {
      const world = established(what === 'IKE' ? ike : child)
      const answered = () => world.right.sent.filter(({ label }) => label.includes('N(NO_STATE)')).length
      rekey(world, 'left', what)
      for (let nth = 1; nth <= times; nth++) {
        // It is tried again from the start after a while.
        while (!world.net.flights.some(({ label }) => label.startsWith('CREATE_CHILD_SA'))) world.passTime()
        world.deliver(2)
        world.net.partitioned = true
        world.lose(world.net.flights.length)
        world.wait(21)
        world.net.partitioned = false
        while (answered() < nth) {
          world.passTime()
          while (world.net.flights.length > 0 && answered() < nth) world.deliver(1)
        }
        world.deliver(1)
      }
      if (times < 3) {
        world.wait(60)
        sameSingleChild(world)
        return
      }
      assert.ok(world.net.flights.some(({ from, label }) => from === 'left' && /INFORMATIONAL .*\[ D \]/.test(label)))
      world.settle()
      world.wait(10)
      nothingLeaks(world)
    })
  }
}

scenario('other exchanges come in between', () => {
  const world = established(child)
  const was = spis(world)
  rekey(world, 'left', 'child')
  world.deliver(2)
  // Left's IKE_FOLLOWUP_KE is lost; before it comes again right has something to ask.
  const kept = [...world.net.flights]
  for (const flight of kept) world.net.remove(flight)
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  world.wait(5)
  rekeyed(world, was, 'child')
})

scenario('the Child SA is closed by the peer in between: nothing comes of the series', () => {
  const world = established(child)
  rekey(world, 'left', 'child')
  world.deliver(2)
  const kept = [...world.net.flights]
  for (const flight of kept) world.net.remove(flight)
  world.right.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  world.settle()
  world.wait(60)
  for (const host of world.hosts) {
    assert.deepEqual(onlySa(host).children, [])
    assert.deepEqual(own(host), [])
  }
})

scenario('the IKE SA is closed in between: nothing is left', () => {
  const world = established(twice)
  rekey(world, 'left', 'child')
  world.deliver(2)
  world.right.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.wait(60)
  nothingLeaks(world)
})

scenario('the series of an unreachable peer ends with its IKE SA', () => {
  const world = established(twice)
  rekey(world, 'left', 'IKE')
  world.deliver(2)
  world.net.partitioned = true
  world.wait(200)
  world.net.partitioned = false
  assert.deepEqual(world.left.sas(), [])
  kernelIsAsSaid(world.right)
})
