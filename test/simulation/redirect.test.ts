/**
 * A gateway sends its clients to another one (RFC 5685). node01 is the client, node02 the gateway that it is configured
 * with, node03 and node04 are others with the same identity.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../../src/config/connection.ts'
import type { CoreSettings } from '../../src/config/daemon-settings.ts'
import { notify } from '../../src/ike/notifies.ts'
import { parseIdentity, parseIdentityPattern } from '../../src/pki/identity.ts'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import { EXCHANGE, NOTIFY } from '../../src/wire/numbers.ts'
import { encodeRedirect, type Gateway, parseGateway } from '../../src/wire/redirect.ts'
import { addresses, authRound, child, connection, subnet } from './connection.ts'
import { exchanges, logged, nothingLeft, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { addressOf, Mesh, type MeshOptions } from './mesh.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'

const second = addressOf(2)
const there: Gateway = { kind: 'address', address: second }

interface RedirectOptions {
  /** Of the gateways, from node02 on. */
  readonly gateways?: readonly Partial<CoreSettings>[]
  readonly client?: Partial<CoreSettings>
  readonly names?: MeshOptions['names']
  readonly connection?: Partial<Connection>
  /** The identity of node03, if it is not the gateways' own. */
  readonly other?: string
}

function net(options: RedirectOptions): { mesh: Mesh; client: Host; first: Host; other: Host } {
  const mesh = new Mesh({
    nodes: 4,
    seed: 1,
    settings: (node) => (node === 0 ? options.client : options.gateways?.[node - 1]) ?? {},
    ...(options.names && { names: options.names }),
    connections: (node) => [node === 0 ? ofClient(options) : ofGateway(node, options)],
  })
  const [client, first, other] = mesh.hosts as [Host, Host, Host]
  return { mesh, client, first, other }
}

function ofClient(options: RedirectOptions): Connection {
  return connection({
    name: 'gw',
    remoteAddresses: addresses(addressOf(1)),
    local: [authRound({ class: 'psk', id: parseIdentity('client.lab') })],
    remote: [authRound({ class: 'psk', id: parseIdentity('gateway.lab') })],
    children: ['one', 'two'].map((name, i) =>
      child({ name, localTs: [subnet('10.1.0.0/16')], remoteTs: [subnet(`10.10${i}.0.0/16`)] }),
    ),
    ...options.connection,
  })
}

function ofGateway(node: number, { other }: RedirectOptions): Connection {
  const id = node === 2 && other !== undefined ? other : 'gateway.lab'
  return connection({
    name: 'clients',
    local: [authRound({ class: 'psk', id: parseIdentity(id) })],
    remote: [authRound({ class: 'psk' })],
    children: ['one', 'two'].map((name, i) =>
      child({ name, localTs: [subnet(`10.10${i}.0.0/16`)], remoteTs: [subnet('10.1.0.0/16')] }),
    ),
  })
}

/** The client brings up its first child; what it hears about that. */
function initiate(mesh: Mesh, client: Host): string | undefined {
  const answer = client.command({ kind: 'initiate', child: 'one', timeoutMs: 0 })
  mesh.wait(40)
  return answer()?.kind
}

/** The client has one IKE SA, with that host, with these children; no packet goes anywhere else. */
function isWith(client: Host, gateway: Host, children: readonly string[]): void {
  const sa = onlySa(client)
  const [address] = gateway.kernel.addresses
  assert.equal(sa.remote.address, address)
  assert.deepEqual(sa.children.map(({ name }) => name).sort(), children)
  assert.deepEqual(
    onlySa(gateway)
      .children.map(({ name }) => name)
      .sort(),
    children,
  )
  const ends = client.kernel.policies.flatMap(({ direction, templates }) =>
    direction === 'out' ? templates.map(({ destination }) => destination) : [],
  )
  assert.deepEqual([...new Set(ends)], [address])
}

/**
 *   client                                                            first
 *    |-- IKE_SA_INIT request 0 [ SA KE No … N(REDIR_SUP) ] ------------>|
 *    |<--------------------- IKE_SA_INIT response 0 [ N(REDIR) ] -------|
 *   client                                                            other
 *    |-- IKE_SA_INIT request 0 [ SA KE No … N(REDIR_FROM) ] ----------->|
 *    |<------------------------- IKE_SA_INIT response 0 [ SA KE No … ] -|
 */
test('in IKE_SA_INIT, by address', () => {
  const { mesh, client, first, other } = net({ gateways: [{ redirectGateway: there }] })
  assert.equal(initiate(mesh, client), 'done')
  isWith(client, other, ['one'])
  saidToPeer(client, 'N(REDIR_SUP)')
  saidToPeer(client, 'N(REDIR_FROM)')
  assert.deepEqual(exchanges(first), ['IKE_SA_INIT response 0'])
  assert.deepEqual(first.engine.census.halfOpen, 0)
  logged(client, `redirected to ${second}`)
  logged(other, `client got redirected from ${addressOf(1)}`)
  nothingLeft(first)
})

test('in IKE_SA_INIT, by name: the client resolves it', () => {
  const gateways = [{ redirectGateway: { kind: 'name', name: 'gw2.lab' } as const }]
  const { mesh, client, other } = net({ gateways, names: new Map([['gw2.lab', [second]]]) })
  assert.equal(initiate(mesh, client), 'done')
  isWith(client, other, ['one'])
})

test('a name that nobody knows: the attempt fails, and says why', () => {
  const gateways = [{ redirectGateway: { kind: 'name', name: 'nowhere.lab' } as const }]
  const { mesh, client } = net({ gateways })
  assert.equal(initiate(mesh, client), 'failed')
  logged(client, 'no address for nowhere.lab')
  nothingLeft(client)
})

/**
 *   client                                                            first
 *    |-- IKE_AUTH request 1 [ IDi … AUTH SA TSi TSr ] ----------------->|
 *    |<----------------------- IKE_AUTH response 1 [ IDr AUTH N(REDIR) ] -|
 *    |-- INFORMATIONAL request 2 [ D ] -------------------------------->|
 */
test('in IKE_AUTH: when the gateway knows who asks; the client deletes that IKE SA', () => {
  const { mesh, client, first, other } = net({ gateways: [{ redirectGateway: there, redirectExchange: 'auth' }] })
  assert.equal(initiate(mesh, client), 'done')
  isWith(client, other, ['one'])
  saidToPeer(first, 'IKE_AUTH response 1 [ IDr AUTH N(REDIR) ]')
  logged(first, 'received DELETE for IKE_SA')
  nothingLeft(first)
})

test('in IKE_AUTH, and the client never deletes it: the gateway does after half_open_timeout', () => {
  const { mesh, client, first } = net({ gateways: [{ redirectGateway: there, redirectExchange: 'auth' }] })
  client.command({ kind: 'initiate', child: 'one', timeoutMs: 0 })
  while (!client.sent.some(({ label }) => label.startsWith('INFORMATIONAL'))) mesh.wait(0.001)
  const flight = mesh.net.flights.find(({ label }) => label.startsWith('INFORMATIONAL'))
  if (flight !== undefined) mesh.net.remove(flight)
  mesh.wait(300)
  if (flight !== undefined) logged(first, 'client did not leave IKE_SA')
  assert.deepEqual(first.sas(), [])
})

for (const exchange of ['init', 'auth'] as const) {
  test(`a client that does not follow may stay: ${exchange}`, () => {
    const { mesh, client, first } = net({
      client: { followRedirects: false },
      gateways: [{ redirectGateway: there, redirectExchange: exchange }],
    })
    assert.equal(initiate(mesh, client), 'done')
    isWith(client, first, ['one'])
    assert.ok(!client.sent.some(({ label }) => label.includes('REDIR')))
  })
}

test('only what is more than the gateway has room for is sent away', () => {
  const { mesh, client, first } = net({ gateways: [{ redirectGateway: there, redirectAbove: 1 }] })
  assert.equal(initiate(mesh, client), 'done')
  isWith(client, first, ['one'])
})

/** §10: the other gateway must be who the first one had to be. */
test('a gateway with another identity is not believed', () => {
  const { mesh, client, other } = net({ gateways: [{ redirectGateway: there }], other: 'somebody.else' })
  assert.equal(initiate(mesh, client), 'failed')
  assert.deepEqual(client.sas(), [])
  logged(other, 'no matching peer config found')
})

/** Each sends clients to the next one, round and round. */
for (const exchange of ['init', 'auth'] as const) {
  test(`a loop ends after five redirects: ${exchange}`, () => {
    const to = (node: number): Partial<CoreSettings> => ({
      redirectGateway: { kind: 'address', address: addressOf(node) },
      redirectExchange: exchange,
    })
    const { mesh, client } = net({ gateways: [to(2), to(3), to(1)] })
    assert.equal(initiate(mesh, client), 'failed')
    logged(client, 'only 5 redirects are allowed within 300 seconds')
    const begun = client.sent.filter(({ label }) => label.startsWith('IKE_SA_INIT request'))
    assert.equal(begun.length, 6)
    mesh.wait(60)
    for (const host of mesh.hosts) nothingLeft(host)
  })
}

test('a client is not sent back to where it comes from', () => {
  const to = (node: number): Partial<CoreSettings> => ({
    redirectGateway: { kind: 'address', address: addressOf(node) },
  })
  const { mesh, client, other } = net({ gateways: [to(2), to(1)] })
  assert.equal(initiate(mesh, client), 'done')
  isWith(client, other, ['one'])
})

for (const exchange of ['init', 'auth'] as const) {
  test(`all gateways have the same settings: who is where clients are sent stays: ${exchange}`, () => {
    const same = { redirectGateway: there, redirectExchange: exchange }
    const { mesh, client, other } = net({ gateways: [same, same, same] })
    assert.equal(initiate(mesh, client), 'done')
    isWith(client, other, ['one'])
  })
}

test('the other gateway is not there: with keyingtries = 0 the client comes back to the first one', () => {
  const { mesh, client } = net({
    gateways: [{ redirectGateway: { kind: 'address', address: '192.0.2.99' } }],
    connection: { keyingTries: 0 },
  })
  client.command({ kind: 'initiate', child: 'one', timeoutMs: 0 })
  mesh.wait(200)
  const begun = client.sent.filter(({ label }) => label.startsWith('IKE_SA_INIT request'))
  const last = begun.filter(({ label }) => label.includes('N(REDIR_SUP)'))
  assert.equal(last.length, 2)
})

/**
 *   client                                                            first
 *    |<-------------------- INFORMATIONAL request 0 [ N(REDIR) ] -------|
 *    |-- INFORMATIONAL response 0 [ ] --------------------------------->|
 *   client                                                            other
 *    |   IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA                         |
 *   client                                                            first
 *    |-- INFORMATIONAL request 4 [ D ] -------------------------------->|
 */
for (const target of [second, 'gw2.lab']) {
  test(`an established client goes with all its children: ${target}`, () => {
    const { mesh, client, first, other } = net({ names: new Map([['gw2.lab', [second]]]) })
    initiate(mesh, client)
    client.command({ kind: 'initiate', child: 'two', timeoutMs: 0 })
    mesh.wait(5)
    isWith(client, first, ['one', 'two'])
    redirect(first, target)
    mesh.wait(40)
    isWith(client, other, ['one', 'two'])
    nothingLeft(first)
    saidToPeer(first, 'INFORMATIONAL request 0 [ N(REDIR) ]')
    saidToPeer(client, 'N(REDIR_FROM)')
  })
}

function redirect(gateway: Host, to: string): void {
  const target = parseGateway(to)
  assert.ok(target)
  const answer = gateway.command({ kind: 'redirect', select: { ike: 'clients' }, gateway: target })
  assert.deepEqual(answer(), { kind: 'matched', matches: 1, done: 1 })
}

test('the IKE SA without children goes, too', () => {
  const { mesh, client, first, other } = net({})
  client.command({ kind: 'initiate', ike: 'gw', timeoutMs: 0 })
  mesh.wait(5)
  redirect(first, second)
  mesh.wait(40)
  assert.equal(onlySa(client).remote.address, second)
  assert.deepEqual([first.sas().length, other.sas().length], [0, 1])
})

test('what is established is redirected five times in five minutes and no more', () => {
  const { mesh, client, first, other } = net({})
  initiate(mesh, client)
  for (let i = 0; i < 3; i++) {
    redirect(first, second)
    mesh.wait(5)
    if (i < 2) {
      redirect(other, addressOf(1))
      mesh.wait(5)
    }
  }
  isWith(client, other, ['one'])
  redirect(other, addressOf(1))
  mesh.wait(5)
  logged(client, 'only 5 redirects are allowed within 300 seconds')
  isWith(client, other, ['one'])
})

test('the other gateway does not answer: the client stays until the first one ends it', () => {
  const { mesh, client, first } = net({})
  initiate(mesh, client)
  redirect(first, '192.0.2.99')
  mesh.wait(20)
  assert.ok(client.sas().some(({ remote }) => remote.address === addressOf(1)))
  mesh.wait(300)
  logged(first, 'client did not leave IKE_SA')
  for (const host of [client, first]) nothingLeft(host)
})

test('a client that has rekeyed in between: who began first is the client', () => {
  const { mesh, client, first, other } = net({})
  initiate(mesh, client)
  first.command({ kind: 'rekey', select: { ike: 'clients' }, reauth: false })
  mesh.wait(10)
  redirect(first, second)
  mesh.wait(40)
  isWith(client, other, ['one'])
})

test('whom the command means', () => {
  const { mesh, client, first } = net({})
  initiate(mesh, client)
  const matches = (command: object): unknown => {
    const answer = first.command({
      kind: 'redirect',
      select: {},
      gateway: { kind: 'name', name: 'nowhere.lab' },
      ...command,
    })()
    return answer?.kind === 'matched' && answer.matches
  }
  for (const [selector, expected] of [
    [{ select: { ike: 'other' } }, 0],
    [{ select: { ikeId: 99 } }, 0],
    [{ peerIp: { kind: 'host', address: '192.0.2.9' } }, 0],
    [{ peerIp: { kind: 'range', from: '192.0.3.0', to: '192.0.3.255' } }, 0],
    [{ peerId: parseIdentityPattern('*.org') }, 0],
    [{ peerIp: { kind: 'host', address: addressOf(0) }, peerId: parseIdentityPattern('*.org') }, 0],
    [{ peerIp: { kind: 'range', from: '192.0.2.0', to: '192.0.2.255' } }, 1],
    [{ peerId: parseIdentityPattern('*.lab'), select: { ike: 'clients' } }, 1],
  ] as const) {
    assert.equal(matches(selector), expected, JSON.stringify(selector))
  }
  assert.equal(client.command({ kind: 'redirect', select: { ike: 'gw' }, gateway: there })()?.kind, 'matched')
  logged(client, 'unable to redirect IKE_SA as initiator')
})

scenario('a client that did not say that it follows is left alone', () => {
  const world = established({ left: { settings: { followRedirects: false } } })
  world.right.command({ kind: 'redirect', select: { ike: 'lab' }, gateway: there })
  world.settle()
  logged(world.right, 'client does not support IKE redirection')
  sameSingleChild(world)
})

/** Only who has seen the request knows its nonce (RFC 5685 §10). */
for (const [what, nonce] of [
  ['another nonce', new Uint8Array(32)],
  ['no nonce', new Uint8Array()],
] as const) {
  scenario(`a forged redirect with ${what} is ignored`, () => {
    const world = pair()
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    const [request] = world.net.flights
    assert.ok(request)
    const { spiI } = decodeMessage(request.bytes)
    const forged = encodeMessage({
      spiI,
      spiR: 0n,
      major: 2,
      minor: 0,
      exchange: EXCHANGE.IKE_SA_INIT,
      flags: { initiator: false, response: true },
      messageId: 0,
      payloads: [notify(NOTIFY.REDIRECT, encodeRedirect({ kind: 'address', address: '203.0.113.6' }, nonce))],
    })
    world.inject(world.left, { address: '192.0.2.2', port: 500 }, forged)
    world.settle()
    logged(world.left, 'it redirects with another nonce than ours')
    notLogged(world.left, 'redirected to')
    sameSingleChild(world)
  })
}
