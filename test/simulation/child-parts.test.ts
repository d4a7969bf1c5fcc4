/** Several Child SAs for the selectors of one child: ADDITIONAL_TS_POSSIBLE and SINGLE_PAIR_REQUIRED (RFC 7296 §2.9). */
import assert from 'node:assert/strict'
import { formatSelectors } from '../../src/wire/selector.ts'
import { child, subnet } from './connection.ts'
import { carries, failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer } from './expect.ts'
import type { Host } from './host.ts'
import { type PairOptions, pair } from './pair.ts'
import { closesClean, rekey, terminate } from './rekey.ts'
import { watchSafety } from './safety.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

/** The selectors of the Child SAs of a host, sorted. */
function selectors(host: Host): string[] {
  return onlySa(host)
    .children.map(({ localTs, remoteTs }) => `${formatSelectors(localTs)} === ${formatSelectors(remoteTs)}`)
    .sort()
}

function creations(host: Host): number {
  return host.sent.filter(({ label }) => label.startsWith('CREATE_CHILD_SA request')).length
}

/** Left asks for 10.0.0.0/8, which right has in three children. */
const threeNetworks: PairOptions = {
  left: { child: { remoteTs: [subnet('10.2.0.0/16')] } },
  right: {
    connection: {
      children: ['10.2.0.0/24', '10.2.9.0/24', '10.2.77.0/24'].map((network) =>
        child({ name: network, localTs: [subnet(network)], remoteTs: [subnet('10.1.0.0/16')] }),
      ),
    },
  },
}

function up(options: PairOptions): World {
  const world = pair(options)
  watchSafety(world)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  return world
}

/**
 *   HDR, SK {IDi, ..., SA, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, ..., SA, TSi, TSr, N(ADDITIONAL_TS_POSSIBLE)}
 *   HDR, SK {SA, Ni, TSi, TSr}  -->      the rest
 *                      <--  HDR, SK {SA, Nr, TSi, TSr, N(ADDITIONAL_TS_POSSIBLE)}
 *   HDR, SK {SA, Ni, TSi, TSr}  -->      the rest of the rest
 *                      <--  HDR, SK {SA, Nr, TSi, TSr}
 */
scenario('a responder with three networks: one Child SA for each of them', () => {
  const world = up(threeNetworks)
  saidToPeer(world.right, 'N(ADD_TS_POSS)')
  assert.deepEqual(selectors(world.left), [
    '10.1.0.0/16 === 10.2.0.0/24',
    '10.1.0.0/16 === 10.2.77.0/24',
    '10.1.0.0/16 === 10.2.9.0/24',
  ])
  for (const destination of ['10.2.0.1', '10.2.9.1', '10.2.77.1']) {
    assert.equal(carries(world, world.left, { destination }), 'protected')
  }
  assert.equal(creations(world.left), 2, 'and the last answer says that this is all')
  rekey(world.left, 'child')
  world.wait(10)
  assert.equal(onlySa(world.left).children.length, 3)
  rekey(world.left, 'IKE SA')
  world.wait(10)
  assert.equal(onlySa(world.right).children.length, 3)
  closesClean(world)
})

/** One child narrows: nothing else would be granted, and nothing else is asked for. */
scenario('a responder that only narrows does not speak of more', () => {
  const world = up({ left: { child: { remoteTs: [subnet('10.0.0.0/8')] } } })
  assert.equal(onlySa(world.left).children.length, 1)
  assert.equal(creations(world.left), 0)
})

scenario('the children of the responder overlap: what is in the first needs no second', () => {
  const children = ['10.2.0.0/16', '10.2.9.0/24'].map((network) =>
    child({ name: network, localTs: [subnet(network)], remoteTs: [subnet('10.1.0.0/16')] }),
  )
  const world = up({ right: { connection: { children } } })
  assert.deepEqual(selectors(world.left), ['10.1.0.0/16 === 10.2.0.0/16'])
  assert.equal(creations(world.left), 0)
})

/** Of a trap the packets decide: what nobody sends to needs no SA. */
scenario('a trap asks for what packets need', () => {
  const world = pair({
    ...threeNetworks,
    left: { child: { ...threeNetworks.left?.child, startAction: { trap: true, start: false } } },
  })
  assert.equal(carries(world, world.left, { destination: '10.2.9.1' }), 'XfrmOutNoStates')
  world.settle()
  assert.deepEqual(selectors(world.left), ['10.1.0.0/16 === 10.2.9.0/24'])
  assert.equal(carries(world, world.left, { destination: '10.2.77.1' }), 'XfrmOutNoStates')
  world.settle()
  assert.deepEqual(selectors(world.left), ['10.1.0.0/16 === 10.2.77.0/24', '10.1.0.0/16 === 10.2.9.0/24'])
  for (const destination of ['10.2.9.1', '10.2.77.1']) {
    assert.equal(carries(world, world.left, { destination }), 'protected')
  }
})

scenario('a peer with ever more networks: an end after sixteen further Child SAs', () => {
  const children = Array.from({ length: 40 }, (_, i) =>
    child({ name: `n${i}`, localTs: [subnet(`10.2.${i}.0/24`)], remoteTs: [subnet('10.1.0.0/16')] }),
  )
  const world = up({ right: { connection: { children } } })
  assert.equal(onlySa(world.left).children.length, 17)
  closesClean(world)
})

scenario('the IKE SA is closed while the rest is being asked for', () => {
  const world = pair(threeNetworks)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(4)
  terminate(world.left, 'IKE SA')
  world.wait(5)
  nothingLeaks(world)
})

const single = { child: { singlePair: true } }
const trap = { child: { startAction: { trap: true, start: false } } }

/**
 *   HDR, SK {IDi, ..., SA, TSi, TSr}  -->      of a subnet
 *                      <--  HDR, SK {IDr, ..., N(SINGLE_PAIR_REQUIRED)}
 */
scenario('single pairs: subnets without a packet cannot be had, and the log says what to do', () => {
  const world = pair({ right: single })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  saidToPeer(world.right, 'N(SINGLE_PAIR)')
  logged(world.left, 'peer wants a CHILD_SA for each pair of addresses: use start_action = trap')
  assert.deepEqual(onlySa(world.left).children, [])
  closesClean(world)
})

/**
 *   HDR, SK {IDi, ..., SA, TSi(10.1.0.1, 10.1.0.0/16), TSr(10.2.0.1, 10.2.0.0/16)}  -->
 *                      <--  HDR, SK {IDr, ..., SA, TSi(10.1.0.1), TSr(10.2.0.1), N(ADDITIONAL_TS_POSSIBLE)}
 */
scenario('single pairs: a packet names its own, and each pair gets a Child SA', () => {
  const world = pair({ left: trap, right: single })
  watchSafety(world)
  const pairsOfHosts = [
    ['10.1.0.1', '10.2.0.1'],
    ['10.1.0.1', '10.2.0.2'],
    ['10.1.0.9', '10.2.0.1'],
  ] as const
  for (const [source, destination] of pairsOfHosts) {
    assert.equal(carries(world, world.left, { source, destination }), 'XfrmOutNoStates')
    world.settle()
    assert.equal(carries(world, world.left, { source, destination }), 'protected')
  }
  const hosts = pairsOfHosts.map(([source, destination]) => `${source}/32 === ${destination}/32`)
  assert.deepEqual(selectors(world.left), hosts)
  assert.equal(carries(world, world.left, { sourcePort: 1, destinationPort: 2 }), 'protected', 'any port of the pair')
  notLogged(world.left, 'asking again')
  rekey(world.left, 'child')
  world.wait(10)
  assert.deepEqual(selectors(world.right).length, 3)
})

/**
 *   HDR, SK {..., SA, TSi(10.1.0.0/16), TSr(10.2.0.0/16)}  -->      charon.ignore_acquire_ts
 *                      <--  HDR, SK {..., N(SINGLE_PAIR_REQUIRED)}
 *   HDR, SK {SA, Ni, TSi(10.1.0.1), TSr(10.2.0.1)}  -->
 *                      <--  HDR, SK {SA, Nr, TSi(10.1.0.1), TSr(10.2.0.1)}
 */
scenario('single pairs: whoever did not name the packet is refused, and names it then', () => {
  const world = pair({ left: { ...trap, settings: { ignoreAcquireTs: true } }, right: single })
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  logged(world.left, 'peer wants a CHILD_SA for each pair of addresses, asking again')
  assert.deepEqual(selectors(world.left), ['10.1.0.1/32 === 10.2.0.1/32'])
  assert.equal(carries(world, world.left), 'protected')
})

scenario('single pairs: hosts that are configured are asked for one by one', () => {
  const hosts = (...addresses: readonly string[]) => addresses.map((address) => subnet(`${address}/32`))
  const world = up({
    left: { child: { localTs: hosts('10.1.0.1'), remoteTs: hosts('10.2.0.1', '10.2.0.2') } },
    right: {
      child: { singlePair: true, localTs: [subnet('10.2.0.0/16')], remoteTs: [subnet('10.1.0.0/16')] },
    },
  })
  assert.deepEqual(selectors(world.left), ['10.1.0.1/32 === 10.2.0.1/32', '10.1.0.1/32 === 10.2.0.2/32'])
  closesClean(world)
})

scenario('single pairs: one pair is one pair', () => {
  const world = up({
    left: { child: { localTs: [subnet('10.1.0.1/32')], remoteTs: [subnet('10.2.0.1/32')] } },
    right: single,
  })
  assert.deepEqual(selectors(world.right), ['10.2.0.1/32 === 10.1.0.1/32'])
})
