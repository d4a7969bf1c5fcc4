/** Traffic selectors: narrowing and refusing (RFC 7296 §2.9). */
import assert from 'node:assert/strict'
import { formatAddress } from '../../src/wire/address.ts'
import type { AddressSelector } from '../../src/wire/payloads/index.ts'
import { child, dynamic, subnet } from './connection.ts'
import { carries, failed, logged, nothingLeaks, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { stillWorks } from './rekey.ts'
import { scenario } from './scenario.ts'

function text(selectors: readonly AddressSelector[]): string[] {
  return selectors.map(({ start, end, protocol, startPort, endPort }) => {
    const ports = startPort === 0 && endPort === 65535 ? '' : ` ports ${startPort}-${endPort}`
    return `${formatAddress(start)}-${formatAddress(end)}${protocol ? ` protocol ${protocol}` : ''}${ports}`
  })
}

scenario('the responder narrows to what it allows', () => {
  const world = established({
    right: { child: { localTs: [subnet('10.2.0.0/24')], remoteTs: [subnet('10.1.0.0/20')] } },
  })
  assert.deepEqual(text(onlyChild(world.left).localTs), ['10.1.0.0-10.1.15.255'])
  assert.deepEqual(text(onlyChild(world.left).remoteTs), ['10.2.0.0-10.2.0.255'])
  // What lies outside is not protected, and nobody said that it should be.
  assert.equal(carries(world, world.left, { destination: '10.2.1.1' }), 'plain')
})

scenario('the initiator asks for less than the responder allows', () => {
  const world = established({
    left: { child: { localTs: [subnet('10.1.7.0/24')], remoteTs: [subnet('10.2.0.1/32')] } },
  })
  assert.deepEqual(text(onlyChild(world.right).remoteTs), ['10.1.7.0-10.1.7.255'])
  assert.deepEqual(text(onlyChild(world.right).localTs), ['10.2.0.1-10.2.0.1'])
})

scenario('protocol and ports', () => {
  const world = established({
    left: { child: { remoteTs: [subnet('10.2.0.0/16', 17)] } },
    right: { child: { localTs: [subnet('10.2.0.0/16', 17, 53, 53)] } },
  })
  assert.deepEqual(text(onlyChild(world.left).remoteTs), ['10.2.0.0-10.2.255.255 protocol 17 ports 53-53'])
  assert.equal(carries(world, world.left, { destinationPort: 53 }), 'protected')
  assert.equal(carries(world, world.left, { destinationPort: 54 }), 'plain')
})

scenario('two subnets on each side', () => {
  const world = established({
    left: {
      child: {
        localTs: [subnet('10.1.0.0/24'), subnet('10.1.1.0/24')],
        remoteTs: [subnet('10.2.0.0/24'), subnet('10.2.1.0/24')],
      },
    },
  })
  assert.equal(world.left.kernel.policies.length, 12)
  for (const source of ['10.1.0.1', '10.1.1.1']) {
    for (const destination of ['10.2.0.1', '10.2.1.1']) {
      assert.equal(carries(world, world.left, { source, destination }), 'protected')
    }
  }
})

scenario('the hosts themselves', () => {
  const world = established({ child: { localTs: [dynamic()], remoteTs: [dynamic()] } })
  assert.deepEqual(text(onlyChild(world.left).localTs), ['192.0.2.1-192.0.2.1'])
  assert.deepEqual(text(onlyChild(world.left).remoteTs), ['192.0.2.2-192.0.2.2'])
})

/** The host behind the NAT asks for its inner address; the responder knows it by the NAT's. */
scenario('dynamic selectors behind a NAT have nothing in common', () => {
  const world = pair({ nat: 'left', child: { localTs: [dynamic()], remoteTs: [dynamic()] } })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  saidToPeer(world.right, 'N(TS_UNACCEPT)')
})

/** RFC 7296 §1.3.1: whoever asks for transport mode and does not get it has tunnel mode, as with charon. */
scenario('transport mode that the responder declines', () => {
  const hosts = { localTs: [dynamic()], remoteTs: [dynamic()] }
  const world = established({ left: { child: { mode: 'transport', ...hosts } }, right: { child: hosts } })
  logged(world.left, 'peer declined transport mode, using tunnel mode')
  for (const host of world.hosts) {
    assert.equal(onlyChild(host).mode, 'TUNNEL')
    for (const { mode } of host.kernel.states) assert.equal(mode, 'tunnel')
  }
  sameSingleChild(world)
  stillWorks(world, world.left)
})

scenario('transport mode that the initiator does not ask for', () => {
  const hosts = { localTs: [dynamic()], remoteTs: [dynamic()] }
  const world = established({ left: { child: hosts }, right: { child: { mode: 'transport', ...hosts } } })
  for (const host of world.hosts) assert.equal(onlyChild(host).mode, 'TUNNEL')
})

/** Both children of the responder have all that is asked for: the one that is configured just so is meant, as with charon. */
scenario('of two children that grant the same, the one with these selectors', () => {
  const far = { localTs: [subnet('10.2.8.0/24')], remoteTs: [subnet('10.1.8.0/24')] }
  const wide = { localTs: [subnet('10.2.0.0/16')], remoteTs: [subnet('10.1.0.0/16')] }
  const world = established({
    left: { child: { localTs: far.remoteTs, remoteTs: far.localTs } },
    right: { connection: { children: [child({ name: 'wide', ...wide }), child({ name: 'far', ...far })] } },
  })
  assert.equal(onlyChild(world.right).name, 'far')
})

/** What is behind the tunnel is reached from any address of the host: the kernel chooses, as with charon. */
scenario('a selector of everything: a route without a source', () => {
  const world = established({
    left: { child: { localTs: [subnet('10.1.0.0/16')], remoteTs: [subnet('0.0.0.0/0')] } },
    right: { child: { localTs: [subnet('0.0.0.0/0')], remoteTs: [subnet('10.1.0.0/16')] } },
  })
  assert.deepEqual(
    world.hosts.map(({ kernel }) => kernel.routes.map(({ source }) => source)),
    [['10.1.0.1'], [undefined]],
  )
})

/**
 *    |-- IKE_AUTH request 1 [ … TSi TSr ] ---------------->|
 *    |<---- IKE_AUTH response 1 [ IDr AUTH N(TS_UNACCEPT) ]|   the IKE SA stays (RFC 7296 §1.2)
 */
scenario('nothing in common', () => {
  const world = pair({ right: { child: { localTs: [subnet('10.7.0.0/16')] } } })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  saidToPeer(world.right, 'N(TS_UNACCEPT)')
  logged(world.right, 'traffic selectors 10.2.0.0/16 === 10.1.0.0/16 unacceptable')
  logged(world.left, 'received TS_UNACCEPTABLE notify, no CHILD_SA built')
  for (const host of world.hosts) {
    assert.deepEqual(onlySa(host).children, [])
    assert.deepEqual(host.kernel.states, [])
    assert.deepEqual(host.kernel.policies, [])
  }
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

scenario('a child for each of two subnets, by name', () => {
  const world = established({
    right: { child: { localTs: [subnet('10.2.0.0/16'), subnet('10.9.0.0/16')] } },
  })
  sameSingleChild(world)
})
