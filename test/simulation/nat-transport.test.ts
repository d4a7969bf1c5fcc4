/** Transport mode through NAT, RFC 7296 §2.23.1: each side names the hosts by the addresses that it knows. */
import assert from 'node:assert/strict'
import { formatSelectors } from '../../src/wire/selector.ts'
import { addresses, child, connection, credentialsFor, dynamic, roundOf, subnet } from './connection.ts'
import { nothingLeaks, onlyChild, packetOf, saidToPeer } from './expect.ts'
import type { Host } from './host.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

function selectorsOf(host: Host): string {
  const { localTs, remoteTs } = onlyChild(host)
  return `${formatSelectors(localTs)} === ${formatSelectors(remoteTs)}`
}

/** Both sides have a child in transport mode in UDP, and packets cross both ways between the hosts themselves. */
function crosses(world: World): void {
  for (const host of world.hosts) {
    const { mode, encap, localTs, remoteTs } = onlyChild(host)
    assert.deepEqual([mode, encap], ['TRANSPORT', true])
    const [local, remote] = [localTs[0], remoteTs[0]]
    assert.ok(local !== undefined && remote !== undefined)
    assert.equal(world.carry(host, packetOf(local, remote)), 'protected', `a packet from ${host.name}`)
  }
}

/** What each side of a pair calls itself and the other. */
const views = {
  left: ['10.0.1.2/32 === 192.0.2.2/32', '192.0.2.2/32 === 198.51.100.1/32'],
  right: ['192.0.2.1/32 === 198.51.100.2/32', '10.0.2.2/32 === 192.0.2.1/32'],
  both: ['10.0.1.2/32 === 198.51.100.2/32', '10.0.2.2/32 === 198.51.100.1/32'],
} as const

for (const nat of ['left', 'right', 'both'] as const) {
  scenario(`transport mode, NAT in front of ${nat}`, () => {
    const world = through({ nat })
    assert.deepEqual(world.hosts.map(selectorsOf), views[nat])
    crosses(world)
    for (const host of world.hosts) {
      for (const select of [{ child: 'net' }, { ike: 'lab' }]) {
        host.command({ kind: 'rekey', select, reauth: false })
        world.settle()
        world.wait(10)
        assert.deepEqual(world.hosts.map(selectorsOf), views[nat], `after a rekeying by ${host.name}`)
        crosses(world)
      }
    }
    world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
    world.settle()
    nothingLeaks(world)
  })
}

function through(options: { nat: 'left' | 'right' | 'both' }): World {
  const world = pair({ ...options, mode: 'transport' })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  return world
}

/** Encapsulation is forced: the addresses are what they are. */
scenario('transport mode in UDP by configuration', () => {
  const world = established({ mode: 'transport', left: { connection: { encap: true } } })
  assert.deepEqual(world.hosts.map(selectorsOf), ['192.0.2.1/32 === 192.0.2.2/32', '192.0.2.2/32 === 192.0.2.1/32'])
  crosses(world)
})

/** §2.23.1 wants exactly one address: a subnet is not taken for the host behind the NAT. */
scenario('transport mode through NAT with a subnet as selector is refused', () => {
  const world = pair({
    nat: 'left',
    mode: 'transport',
    left: { child: { localTs: [subnet('10.0.1.0/24')] } },
  })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  saidToPeer(world.right, 'N(TS_UNACCEPT)')
})

/**
 *     10.0.1.2, UDP port 40001 --+
 *                                +-- NAT 198.51.100.1 ---- 192.0.2.2, UDP port 1701
 *     10.0.1.3, UDP port 40002 --+
 *
 * From outside both are one host; their ports tell them apart.
 */
scenario('two clients behind one NAT', () => {
  const udp = (port: number) => dynamic(17, port, port)
  const client = (name: string, address: string, port: number) =>
    connection({
      name,
      localAddresses: addresses(address),
      remoteAddresses: addresses('192.0.2.2'),
      local: [roundOf('left', 'psk')],
      remote: [roundOf('right', 'psk')],
      unique: 'never',
      children: [child({ name, mode: 'transport', localTs: [udp(port)], remoteTs: [udp(1701)] })],
    })
  const world = pair({
    nat: 'left',
    left: { kernel: { addresses: ['10.0.1.2', '10.0.1.3'] } },
    right: {
      connection: {
        unique: 'never',
        children: [child({ name: 'any', mode: 'transport', localTs: [udp(1701)], remoteTs: [dynamic(17)] })],
      },
    },
  })
  for (const box of world.net.nats) box.hide('10.0.1.3')
  const { left, right } = world
  left.command({ kind: 'credentials', credentials: credentialsFor('left', 'psk') })
  for (const [name, address, port] of [
    ['one', '10.0.1.2', 40_001],
    ['two', '10.0.1.3', 40_002],
  ] as const) {
    left.command({ kind: 'load-connection', connection: client(name, address, port) })
    const answer = left.command({ kind: 'initiate', child: name, timeoutMs: 0 })
    world.settle()
    assert.deepEqual(answer(), { kind: 'done' })
  }
  const seen = right.sas().flatMap(({ children }) => children.map(({ remoteTs }) => formatSelectors(remoteTs)))
  assert.deepEqual(seen.sort(), ['198.51.100.1/32[udp/40001]', '198.51.100.1/32[udp/40002]'])
  for (const { children } of [...left.sas(), ...right.sas()]) {
    const [one] = children
    assert.ok(one?.localTs[0] !== undefined && one.remoteTs[0] !== undefined)
    const from = left.sas().some((sa) => sa.children.some(({ spiIn }) => spiIn === one.spiIn)) ? left : right
    assert.equal(world.carry(from, packetOf(one.localTs[0], one.remoteTs[0])), 'protected')
  }
  for (const { packetsIn, packetsOut } of left.sas().flatMap(({ children }) => children)) {
    assert.deepEqual([packetsIn, packetsOut], [1n, 1n], 'each client has its own packets')
  }
})
