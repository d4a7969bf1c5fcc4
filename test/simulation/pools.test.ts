/** Pools with several clients: one gateway, and road warriors that come and go. */
import assert from 'node:assert/strict'
import type { Connection } from '../../src/config/connection.ts'
import type { Pool } from '../../src/config/pools.ts'
import { formatIdentity, parseIdentity } from '../../src/pki/identity.ts'
import { formatSelectors } from '../../src/wire/selector.ts'
import { addresses, authRound, child, connection, dynamic, subnet } from './connection.ts'
import { logged, nothingLeft, packetOf } from './expect.ts'
import type { Host } from './host.ts'
import { addressOf, Mesh, nameOf } from './mesh.ts'
import { scenario } from './scenario.ts'
import { pool } from './virtual-ip.ts'

/**
 *   node02 (client) --.
 *   node03 (client) ---- node01 (gateway, pools) -- 10.1.0.0/16
 *   node04 (client) --'
 *
 * `identity` says who a node claims to be; all of them have the secret.
 */
function gatewayAnd(
  clients: number,
  pools: readonly Pool[],
  options: { readonly vips?: readonly string[]; readonly identity?: (node: number) => string } = {},
): { mesh: Mesh; gateway: Host; clients: readonly Host[] } {
  const { vips = ['0.0.0.0'], identity = (node) => `${nameOf(node)}.lab` } = options
  const networks = vips.map((vip) => subnet(vip === '::' ? 'fd00:1::/64' : '10.1.0.0/16'))
  const psk = (id?: string) => authRound({ class: 'psk', ...(id !== undefined && { id: parseIdentity(id) }) })
  const gatewayConnection: Connection = connection({
    name: 'clients',
    localAddresses: addresses(addressOf(0)),
    pools: pools.map(({ name }) => name),
    local: [psk(identity(0))],
    remote: [psk()],
    children: [child({ localTs: networks, remoteTs: [dynamic()] })],
  })
  const clientConnection = (node: number): Connection =>
    connection({
      name: 'home',
      localAddresses: addresses(addressOf(node)),
      remoteAddresses: addresses(addressOf(0)),
      vips,
      local: [psk(identity(node))],
      remote: [psk(identity(0))],
      children: [child({ localTs: [dynamic()], remoteTs: networks })],
    })
  const mesh = new Mesh({
    nodes: clients + 1,
    seed: 1,
    pools: (node) => (node === 0 ? pools : []),
    connections: (node) => [node === 0 ? gatewayConnection : clientConnection(node)],
  })
  mesh.wait(0)
  const [gateway, ...rest] = mesh.hosts
  assert.ok(gateway !== undefined)
  return { mesh, gateway, clients: rest }
}

function connect(mesh: Mesh, host: Host | undefined): void {
  host?.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  mesh.wait(1)
}

function disconnect(mesh: Mesh, host: Host | undefined): void {
  host?.command({ kind: 'terminate', select: { ike: 'home' }, force: false, timeoutMs: 0 })
  mesh.wait(1)
}

/** The virtual IPs of a client, if it is up, with the gateway of the same opinion. */
function vipsOf(host: Host | undefined, gateway: Host): readonly string[] {
  const [sa] = host?.sas() ?? []
  const [there] = gateway.sas().filter(({ spiI }) => spiI === sa?.spiI)
  assert.deepEqual(there?.remoteVips, sa?.localVips)
  return sa?.localVips ?? []
}

function leases(gateway: Host, name: string): string[] {
  const answer = gateway.command({ kind: 'list-pools', name })()
  assert.equal(answer?.kind, 'pools')
  const [view] = answer.pools
  assert.ok(view !== undefined)
  const online = view.leases.filter((lease) => lease.online).length
  assert.deepEqual([view.online, view.offline], [online, view.leases.length - online])
  return view.leases.map(
    ({ address, identity, online: used }) => `${address} ${formatIdentity(identity)} ${used ? 'online' : 'offline'}`,
  )
}

/** A packet of the client to the network of the gateway, and one back, are sealed and opened. */
function carries(client: Host, gateway: Host, now: number): void {
  const [sa] = client.sas()
  const [local, remote] = [sa?.children[0]?.localTs[0], sa?.children[0]?.remoteTs[0]]
  assert.ok(local && remote)
  for (const [from, to, packet] of [
    [client, gateway, packetOf(local, remote)],
    [gateway, client, packetOf(remote, local)],
  ] as const) {
    const sent = from.kernel.send({ ...packet, id: 1 }, now)
    assert.equal(sent.kind, 'sealed')
    assert.equal(to.kernel.receive(sent.packet, now).kind, 'delivered')
  }
}

scenario('two road warriors share a pool', () => {
  const { mesh, gateway, clients } = gatewayAnd(2, [pool('p4', '10.77.0.1', 254)])
  for (const client of clients) connect(mesh, client)
  assert.deepEqual(
    clients.map((client) => vipsOf(client, gateway)),
    [['10.77.0.1'], ['10.77.0.2']],
  )
  assert.deepEqual(leases(gateway, 'p4'), ['10.77.0.1 node02.lab online', '10.77.0.2 node03.lab online'])
  assert.deepEqual(
    gateway.sas().map(({ children }) => formatSelectors(children[0]?.remoteTs ?? [])),
    ['10.77.0.2/32', '10.77.0.1/32'],
  )
  for (const client of clients) carries(client, gateway, mesh.now)
  for (const client of clients) disconnect(mesh, client)
  for (const host of mesh.hosts) nothingLeft(host)
  assert.deepEqual(leases(gateway, 'p4'), ['10.77.0.1 node02.lab offline', '10.77.0.2 node03.lab offline'])
})

/**
 *   node02, node03: 10.77.0.1, 10.77.0.2
 *   node04                                        node01, 2 of 2 in use
 *   HDR, SK {IDi, AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, AUTH, N(INTERNAL_ADDRESS_FAILURE)}
 *   node03 leaves; node04 takes over its address
 */
scenario('an exhausted pool, and the address of somebody who has left', () => {
  const { mesh, gateway, clients } = gatewayAnd(3, [pool('p4', '10.77.0.1', 2)])
  const [first, second, third] = clients
  for (const client of clients) connect(mesh, client)
  logged(gateway, "pool 'p4' is full, unable to assign address")
  logged(gateway, "no virtual IP found for %any requested by 'node04.lab'")
  assert.deepEqual(third?.sas()[0]?.children, [])
  disconnect(mesh, second)
  // What is left of the first attempt can have no child: it goes, and the client begins anew.
  connect(mesh, third)
  assert.equal(third?.sas().length, 1)
  logged(gateway, "reassigning existing offline lease by 'node03.lab' to 'node04.lab'")
  assert.deepEqual(
    [first, third].map((client) => vipsOf(client, gateway)),
    [['10.77.0.1'], ['10.77.0.2']],
  )
  disconnect(mesh, first)
  connect(mesh, second)
  assert.deepEqual(vipsOf(second, gateway), ['10.77.0.1'])
})

scenario('clients come back in another order, each to its own address', () => {
  const { mesh, gateway, clients } = gatewayAnd(3, [pool('p4', '10.77.0.1', 254)])
  for (const client of clients) connect(mesh, client)
  for (const client of clients) disconnect(mesh, client)
  for (const client of clients.toReversed()) connect(mesh, client)
  assert.deepEqual(
    clients.map((client) => vipsOf(client, gateway)),
    [['10.77.0.1'], ['10.77.0.2'], ['10.77.0.3']],
  )
})

scenario('v4 and v6 for each of them; the first pool is used up before the second', () => {
  const pools = [pool('small', '10.77.0.1', 1), pool('large', '10.78.0.1', 254), pool('p6', 'fec7::1', 254)]
  const { mesh, gateway, clients } = gatewayAnd(2, pools, { vips: ['0.0.0.0', '::'] })
  for (const client of clients) connect(mesh, client)
  assert.deepEqual(
    clients.map((client) => vipsOf(client, gateway)),
    [
      ['10.77.0.1', 'fec7::1'],
      ['10.78.0.1', 'fec7::2'],
    ],
  )
  assert.deepEqual(leases(gateway, 'small'), ['10.77.0.1 node02.lab online'])
})

scenario('two devices of one user have an address each', () => {
  const identity = (node: number): string => (node === 0 ? 'gw.lab' : 'carol@lab')
  const { mesh, gateway, clients } = gatewayAnd(2, [pool('p4', '10.77.0.1', 254)], { identity })
  // Each device begins with INITIAL_CONTACT, which with unique = never is for nobody.
  const answer = gateway.command({ kind: 'list-connections' })()
  assert.equal(answer?.kind, 'connections')
  const [loaded] = answer.connections
  assert.ok(loaded !== undefined)
  gateway.command({ kind: 'load-connection', connection: { ...loaded, unique: 'never' } })
  for (const client of clients) connect(mesh, client)
  assert.deepEqual(leases(gateway, 'p4'), ['10.77.0.1 carol@lab online', '10.77.0.2 carol@lab online'])
  for (const client of clients) carries(client, gateway, mesh.now)
})

scenario('two virtual IPs of one host lead to the same network: the route stays with the one that stays', () => {
  const { mesh, gateway, clients } = gatewayAnd(1, [pool('p4', '10.77.0.1', 254)])
  const [client] = clients
  assert.ok(client !== undefined)
  const answer = client.command({ kind: 'list-connections' })()
  assert.equal(answer?.kind, 'connections')
  const [home] = answer.connections
  assert.ok(home !== undefined)
  const dave = authRound({ class: 'psk', id: parseIdentity('dave.lab') })
  const children = home.children.map((config) => ({ ...config, name: 'other' }))
  client.command({ kind: 'load-connection', connection: { ...home, name: 'other', local: [dave], children } })
  connect(mesh, client)
  client.command({ kind: 'initiate', child: 'other', timeoutMs: 0 })
  mesh.wait(1)
  const routes = (): string[] =>
    client.kernel.routes.map(({ destination, source }) => `${destination.address} from ${source}`)
  assert.deepEqual(client.kernel.addedAddresses, ['10.77.0.1', '10.77.0.2'])
  assert.deepEqual(routes(), ['10.1.0.0 from 10.77.0.1'])
  disconnect(mesh, client)
  assert.deepEqual(routes(), ['10.1.0.0 from 10.77.0.2'])
  carries(client, gateway, mesh.now)
  client.command({ kind: 'terminate', select: { ike: 'other' }, force: false, timeoutMs: 0 })
  mesh.wait(1)
  for (const host of mesh.hosts) nothingLeft(host)
})

scenario('the pool is in use: it is neither unloaded nor replaced, and new attributes are for who comes later', () => {
  const config = pool('p4', '10.77.0.1', 254)
  const { mesh, gateway, clients } = gatewayAnd(2, [config])
  const [first, second] = clients
  connect(mesh, first)
  const refused = [
    gateway.command({ kind: 'unload-pool', name: 'p4' })(),
    gateway.command({ kind: 'load-pool', pool: pool('p4', '10.78.0.1', 254) })(),
  ]
  assert.deepEqual(refused, [
    { kind: 'failed', message: 'p4 has online leases, unable to unload' },
    { kind: 'failed', message: 'vici pool p4 has online leases, unable to replace' },
  ])
  const attributes = [{ name: 'dns', values: ['10.1.0.53'] }]
  gateway.command({ kind: 'load-pool', pool: { ...config, attributes } })
  connect(mesh, second)
  assert.deepEqual([first?.nameServers, second?.nameServers.map(({ address }) => address)], [[], ['10.1.0.53']])
  for (const client of clients) disconnect(mesh, client)
  assert.deepEqual(gateway.command({ kind: 'unload-pool', name: 'p4' })(), { kind: 'done' })
})
