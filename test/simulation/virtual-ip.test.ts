/** The configuration payload (RFC 7296 §2.19, §3.15): virtual IPs from asking to giving them back. */
import assert from 'node:assert/strict'
import type { Connection } from '../../src/config/connection.ts'
import { formatSelectors } from '../../src/wire/selector.ts'
import { dynamic, subnet } from './connection.ts'
import { failed, logged, nothingLeaks, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import { pool, type RoadWarriorOptions, roadWarrior, v4Pool, v6Pool } from './virtual-ip.ts'
import type { World } from './world.ts'

function initiate({ left }: World): ReturnType<Host['command']> {
  return left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
}

function terminate(world: World, host: Host = world.left): void {
  host.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
}

/** Virtual IPs as the client has them, as the gateway lists them, and on the client's interfaces. */
function vips({ left, right }: World): {
  local: readonly string[]
  remote: readonly string[]
  there: readonly string[]
} {
  return { local: onlySa(left).localVips, remote: onlySa(right).remoteVips, there: left.kernel.addedAddresses }
}

function poolOf(host: Host, name = 'p4'): string {
  const answer = host.command({ kind: 'list-pools', name })()
  assert.equal(answer?.kind, 'pools')
  const [view] = answer.pools
  return `${view?.online} / ${view?.offline} / ${view?.size}`
}

function selectorsOf(host: Host): string {
  const { localTs, remoteTs } = onlyChild(host)
  return `${formatSelectors(localTs)} === ${formatSelectors(remoteTs)}`
}

/**
 *   left                                               right, pool 10.77.0.1
 *   HDR, SK {IDi, AUTH, CP(CFG_REQUEST(INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS)), SAi2, TSi(0.0.0.0/0), TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, CP(CFG_REPLY(INTERNAL_IP4_ADDRESS)), SAr2, TSi(10.77.0.1/32), TSr}
 */
scenario('a client gets an address, uses it, and gives it back', () => {
  const world = established(roadWarrior())
  const { left, right } = world
  assert.deepEqual(vips(world), { local: ['10.77.0.1'], remote: ['10.77.0.1'], there: ['10.77.0.1'] })
  assert.equal(selectorsOf(left), '10.77.0.1/32 === 10.2.0.0/16')
  assert.equal(poolOf(right), '1 / 0 / 254')
  assert.deepEqual(
    left.kernel.routes.map(({ destination, source }) => `${destination.address}/${destination.prefix} ${source}`),
    ['10.2.0.0/16 10.77.0.1'],
  )
  saidToPeer(left, 'AUTH CPRQ(ADDR DNS) SA TSi TSr')
  saidToPeer(right, 'AUTH CPRP(ADDR) SA TSi TSr')
  logged(right, 'peer requested virtual IP %any')
  logged(right, "assigning new lease to 'left.lab'")
  logged(right, "assigning virtual IP 10.77.0.1 to peer 'left.lab'")
  logged(left, 'installing new virtual IP 10.77.0.1')
  // Those who hear that the IKE SA is up hear its addresses, too.
  const up = right.events.find((event) => event.kind === 'ike-updown')
  assert.ok(up?.kind === 'ike-updown')
  assert.deepEqual(up.ikeSa.remoteVips, ['10.77.0.1'])
  terminate(world)
  nothingLeaks(world)
  assert.equal(poolOf(right), '0 / 1 / 254')
})

for (const [from, outer] of [
  ['v4 in v6', 6],
  ['v6 in v4', 4],
] as const) {
  scenario(`a virtual IP of the other family: ${from}`, () => {
    const inner = outer === 6 ? 4 : 6
    const world = established(
      roadWarrior({
        outer,
        vips: [inner === 6 ? '::' : '0.0.0.0'],
        families: [inner],
        pools: [inner === 6 ? v6Pool : v4Pool],
      }),
    )
    assert.deepEqual(vips(world).local, [inner === 6 ? 'fec7::1' : '10.77.0.1'])
    terminate(world, world.right)
    nothingLeaks(world)
  })
}

scenario('both families from two pools, and the dynamic selectors are both addresses', () => {
  const options = roadWarrior({ vips: ['0.0.0.0', '::'], pools: [v4Pool, v6Pool], families: [4, 6] })
  const world = established(options)
  assert.deepEqual(vips(world).there, ['10.77.0.1', 'fec7::1'])
  assert.equal(selectorsOf(world.left), '10.77.0.1/32 fec7::1/128 === 10.2.0.0/16 fd00:2::/64')
  saidToPeer(world.left, 'CPRQ(ADDR ADDR6 DNS DNS6)')
  terminate(world)
  nothingLeaks(world)
})

scenario('of two families the gateway has one', () => {
  const world = established(roadWarrior({ vips: ['::', '0.0.0.0'], families: [4] }))
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
  logged(world.right, "no virtual IP found for %any6 requested by 'left.lab'")
})

scenario('two addresses of one family, from two pools', () => {
  const pools = [pool('small', '10.77.0.1', 1), pool('large', '10.78.0.1', 100)]
  const world = established(roadWarrior({ vips: ['0.0.0.0', '0.0.0.0'], pools }))
  assert.deepEqual(vips(world).remote, ['10.77.0.1', '10.78.0.1'])
  terminate(world)
  nothingLeaks(world)
})

/**
 *   HDR, SK {IDi, AUTH, CP(CFG_REQUEST(INTERNAL_IP4_ADDRESS)), SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, N(INTERNAL_ADDRESS_FAILURE)}
 */
for (const [what, options] of [
  ['the pool is of another family', { pools: [v6Pool] }],
  ['the connection has no pools', { pools: [] }],
  ['the pool is not loaded', { pools: [], right: { connection: { pools: ['nowhere'] } } }],
] as const satisfies readonly (readonly [string, RoadWarriorOptions])[]) {
  scenario(`no address to give: ${what}`, () => {
    const world = pair(roadWarrior(options))
    const answer = initiate(world)
    world.settle()
    failed(answer(), /establishing CHILD_SA 'net' failed/)
    for (const host of world.hosts) {
      assert.deepEqual([onlySa(host).state, onlySa(host).children], ['ESTABLISHED', []])
      logged(host, 'failed to establish CHILD_SA, keeping IKE_SA')
    }
    saidToPeer(world.right, 'N(INT_ADDR_FAIL)')
    logged(world.right, 'no virtual IP found, sending INTERNAL_ADDRESS_FAILURE')
    logged(world.left, 'received INTERNAL_ADDRESS_FAILURE notify, no CHILD_SA built')
    assert.ok(world.right.events.some((event) => event.kind === 'alert' && event.alert === 'vip-failure'))
    terminate(world)
    nothingLeaks(world)
  })
}

/** §3.15.4: the IKE SA without an address is deleted, and all is tried from the start. */
scenario('a client that got no address tries again, when there is one', () => {
  const world = pair(roadWarrior({ pools: [v6Pool], right: { connection: { pools: ['p6', 'p4'] } } }))
  initiate(world)
  world.settle()
  const before = onlySa(world.left)
  assert.deepEqual(before.children, [])
  world.right.command({ kind: 'load-pool', pool: v4Pool })
  const answer = initiate(world)
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  assert.notEqual(onlySa(world.left).spiI, before.spiI)
  sameSingleChild(world)
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
})

/**
 *   HDR, SK {IDi, AUTH, SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, N(FAILED_CP_REQUIRED)}
 */
scenario('a client that does not ask gets no child, also not later', () => {
  const world = pair(roadWarrior({ vips: [] }))
  const answer = initiate(world)
  world.settle()
  failed(answer(), /establishing CHILD_SA 'net' failed/)
  assert.deepEqual(onlySa(world.left).children, [])
  logged(world.right, 'expected a virtual IP request, sending FAILED_CP_REQUIRED')
  logged(world.left, 'received FAILED_CP_REQUIRED notify, no CHILD_SA built')
  const again = initiate(world)
  world.settle()
  failed(again(), /failed/)
  saidToPeer(world.right, 'CREATE_CHILD_SA response 2 [ N(FAIL_CP_REQ) ]')
  terminate(world)
  nothingLeaks(world)
})

scenario('a gateway with pools begins: nobody is asked for anything', () => {
  const world = pair(roadWarrior())
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  assert.deepEqual(vips(world), { local: [], remote: [], there: [] })
  // Nor is it later, when the client has become the original initiator of the successor (§2.18).
  for (const select of [{ ike: 'lab' }, { child: 'net' }]) {
    world.left.command({ kind: 'rekey', select, reauth: false })
    world.settle()
  }
  world.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  world.settle()
  // A client that begins wants its address, and that IKE SA has none: it makes one of its own.
  initiate(world)
  world.settle()
  world.wait(10)
  const [own, other] = world.left.sas()
  assert.deepEqual([own?.localVips, own?.children.length], [['10.77.0.1'], 1])
  assert.deepEqual([other?.localVips, other?.children.length], [[], 0])
})

scenario('a gateway that grants the selectors as they were: ours are what the virtual IP is', () => {
  const world = pair(roadWarrior({ right: { child: { remoteTs: [subnet('0.0.0.0/0')] } } }))
  initiate(world)
  world.settle()
  assert.equal(selectorsOf(world.left), '10.77.0.1/32 === 10.2.0.0/16')
})

scenario('a certain address is given to whom it belonged before, and to nobody else', () => {
  const world = established(roadWarrior({ vips: ['10.77.0.3'] }))
  // Asked for, but nobody had it yet: the next one of the pool.
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
  logged(world.right, 'peer requested virtual IP 10.77.0.3')
  terminate(world)
  world.left.command({ kind: 'load-connection', connection: clientOf(world, ['10.77.0.1']) })
  initiate(world)
  world.settle()
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
  logged(world.right, "reassigning offline lease to 'left.lab'")
})

/** The connection of the client, asking for something else. */
function clientOf({ left }: World, wanted: readonly string[]): Connection {
  const answer = left.command({ kind: 'list-connections' })()
  assert.equal(answer?.kind, 'connections')
  const [connection] = answer.connections
  assert.ok(connection)
  return { ...connection, vips: wanted }
}

scenario('who comes back has the address of before', () => {
  const world = established(roadWarrior())
  terminate(world)
  initiate(world)
  world.settle()
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
  assert.equal(poolOf(world.right), '1 / 0 / 254')
  logged(world.right, "lease 10.77.0.1 by 'left.lab' went offline")
})

/**
 *   left has lost its state; the new IKE SA says N(INITIAL_CONTACT), and right closes the old one before it gives.
 */
scenario('a client that lost its state gets its address again', () => {
  const world = established(roadWarrior())
  world.net.partitioned = true
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
  world.settle()
  world.net.partitioned = false
  initiate(world)
  world.settle()
  sameSingleChild(world)
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
  assert.equal(poolOf(world.right), '1 / 0 / 254')
})

for (const side of ['left', 'right'] as const) {
  scenario(`the addresses survive rekeyings of IKE SA and child by ${side}`, () => {
    const world = established(
      roadWarrior({ pools: [{ ...v4Pool, attributes: [{ name: 'dns', values: ['10.2.0.53'] }] }] }),
    )
    for (const select of [{ ike: 'lab' }, { child: 'net' }, { ike: 'lab' }]) {
      world.host(side).command({ kind: 'rekey', select, reauth: false })
      world.settle()
      world.wait(10)
      sameSingleChild(world)
      assert.deepEqual(vips(world), { local: ['10.77.0.1'], remote: ['10.77.0.1'], there: ['10.77.0.1'] })
      assert.equal(poolOf(world.right), '1 / 0 / 254')
      assert.equal(world.left.nameServers.length, 1)
    }
    terminate(world)
    world.wait(60)
    nothingLeaks(world)
  })
}

/**
 *   IKE_SA_INIT, IKE_AUTH {CP(CFG_REQUEST)}  -->  <--  {CP(CFG_REPLY(10.77.0.1))}      the address of the old IKE SA
 *   HDR, SK {D}  -->  <--                                                             on the old one
 */
for (const nat of [undefined, 'left'] as const) {
  scenario(`reauthentication keeps the address${nat ? ', behind a NAT' : ''}`, () => {
    const dns = [{ name: 'dns', values: ['10.2.0.53'] }]
    const world = established(roadWarrior({ pools: [{ ...v4Pool, attributes: dns }], ...(nat && { nat }) }))
    const before = onlySa(world.left).uniqueId
    world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
    let most = 0
    for (let i = 0; i < 50; i++) {
      world.finishJobs()
      most = Math.max(most, world.left.kernel.addedAddresses.length)
      assert.deepEqual([...new Set(world.left.kernel.addedAddresses)], ['10.77.0.1'])
      if (world.net.flights.length === 0) break
      world.deliver()
    }
    world.wait(30)
    assert.equal(most, 2)
    assert.notEqual(onlySa(world.left).uniqueId, before)
    sameSingleChild(world)
    assert.deepEqual(vips(world), { local: ['10.77.0.1'], remote: ['10.77.0.1'], there: ['10.77.0.1'] })
    assert.equal(poolOf(world.right), '1 / 0 / 254')
    assert.equal(world.left.nameServers.length, 1)
    logged(world.right, "reassigning online lease to 'left.lab'")
    terminate(world)
    nothingLeaks(world)
  })
}

scenario('a gateway that has rekeyed the IKE SA still leaves the reauthentication to the client', () => {
  const world = established(roadWarrior({ right: { connection: { reauthSeconds: 3600, randSeconds: 0 } } }))
  world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.settle()
  assert.equal(onlySa(world.right).initiator, true)
  const before = world.right.sent.length
  world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  world.settle()
  assert.equal(world.right.sent.length, before)
  logged(world.right, 'unable to reauthenticate IKE_SA as responder')
})

scenario('DNS and other attributes of the pool; the host asks the name servers while the IKE SA lasts', () => {
  const attributes = [
    { name: 'dns', values: ['10.2.0.53', '2001:db8::53'] },
    { name: 'subnet', values: ['10.3.0.0/16'] },
    { name: '28672', values: ['welcome'] },
  ]
  const world = established(roadWarrior({ pools: [{ ...v4Pool, attributes }] }))
  saidToPeer(world.right, 'CPRP(ADDR DNS DNS6 SUBNET')
  assert.deepEqual(
    world.left.nameServers.map(({ address }) => address),
    ['10.2.0.53', '2001:db8::53'],
  )
  assert.deepEqual(world.right.nameServers, [])
  terminate(world)
  nothingLeaks(world)
})

scenario('strongswan.conf has attributes for every client', () => {
  const attributes = [
    { name: 'dns', values: ['10.2.0.53'] },
    { name: 'nbns', values: ['10.2.0.54'] },
  ]
  const world = established(roadWarrior({ right: { settings: { attributes } } }))
  saidToPeer(world.right, 'CPRP(ADDR DNS NBNS)')
})

scenario('the kernel refuses the address: there is no child without it', () => {
  const world = pair(roadWarrior())
  world.left.kernel.refuse({ kind: 'add-address', nth: 1, errno: 'EPERM' })
  const answer = initiate(world)
  world.settle()
  failed(answer(), /failed/)
  logged(world.left, 'installing virtual IP 10.77.0.1 failed')
  logged(world.left, 'configuration payload negotiation failed, no CHILD_SA built')
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  terminate(world)
  nothingLeaks(world)
})

/**
 *   left                                               right, pools 10.77.0.1 and fec7::1
 *   HDR, SK {IDi, AUTH, CP(CFG_REQUEST(ADDR6, ADDR)), SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, CP(CFG_REPLY(fec7::1, 10.77.0.1)), SAr2, TSi, TSr}
 *   the kernel refuses fec7::1, without which there is no child; later it takes it
 *   HDR, SK {SA, Ni, TSi(10.77.0.1, fec7::1), TSr}  -->
 *                      <--  HDR, SK {SA, Nr, TSi(10.77.0.1, fec7::1), TSr}
 */
scenario('the kernel refuses one address of two: the next child gets it, on the IKE SA that is there', () => {
  const up = { trap: false, start: true }
  const world = pair(
    roadWarrior({
      vips: ['::', '0.0.0.0'],
      pools: [v4Pool, v6Pool],
      families: [6],
      left: { child: { startAction: up, closeAction: up } },
    }),
  )
  world.left.kernel.refuse({ kind: 'add-address', nth: 1, errno: 'ENOMEM' })
  world.settle()
  logged(world.left, 'installing virtual IP fec7::1 failed')
  assert.deepEqual(vips(world).there, ['10.77.0.1'])
  assert.deepEqual(onlySa(world.left).children, [])
  world.wait(10)
  world.settle()
  sameSingleChild(world)
  assert.equal(selectorsOf(world.left), '10.77.0.1/32 fec7::1/128 === fd00:2::/64')
  assert.deepEqual(vips(world).there, ['10.77.0.1', 'fec7::1'])
  terminate(world)
  nothingLeaks(world)
})

scenario('the kernel does not say where the peer is: the address is installed all the same', () => {
  const world = pair(roadWarrior({ left: { settings: { installRoutes: false } } }))
  world.left.kernel.refuse({ kind: 'route-lookup', nth: 1, errno: 'ENOMEM' })
  initiate(world)
  world.settle()
  sameSingleChild(world)
  logged(world.left, 'ENOMEM')
})

scenario('install_virtual_ip = no: the address is for somebody else to install', () => {
  const world = pair(roadWarrior({ settings: { installVirtualIp: false } }))
  initiate(world)
  world.settle()
  assert.deepEqual(vips(world), { local: ['10.77.0.1'], remote: ['10.77.0.1'], there: [] })
})

scenario('a child without dynamic selectors has those that are configured', () => {
  const world = established(
    roadWarrior({
      left: { child: { localTs: [subnet('10.1.0.0/16')] }, kernel: { addresses: ['192.0.2.1', '10.1.0.1'] } },
      right: { child: { remoteTs: [subnet('10.1.0.0/16'), dynamic()] } },
    }),
  )
  assert.equal(selectorsOf(world.left), '10.1.0.0/16 === 10.2.0.0/16')
  assert.deepEqual(vips(world).local, ['10.77.0.1'])
})

scenario('a shutdown takes the address from the interface', () => {
  const world = established(roadWarrior())
  world.left.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})
