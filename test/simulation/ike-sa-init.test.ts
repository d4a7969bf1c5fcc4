/** IKE_SA_INIT where it does not go straight: cookies (RFC 7296 §2.6), other groups (§1.2), NAT (§2.23). */
import assert from 'node:assert/strict'
import { notify } from '../../src/ike/notifies.ts'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import { EXCHANGE, KE, NOTIFY } from '../../src/wire/numbers.ts'
import { ikeProposal } from './connection.ts'
import { carries, exchanges, nothingLeaks, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { configure, established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

/** The first group is refused, the second one taken. */
const otherGroupFirst: PairOptions = {
  left: { connection: { proposals: [ikeProposal([KE.ECP_256, KE.CURVE_25519])] } },
  right: { connection: { proposals: [ikeProposal([KE.CURVE_25519])] } },
}

const cookies: PairOptions = { right: { settings: { cookieThreshold: 1 } } }

/** Somebody else is half-open at right, so that the next one is asked for a cookie. */
function halfOpen(world: World): void {
  const flight = world.net.flights[0]
  assert.ok(flight)
  const other = Uint8Array.from(flight.bytes)
  other[0] = (other[0] ?? 0) ^ 0xff
  world.inject(world.right, { address: '192.0.2.1', port: 1234 }, other)
}

function initiate(world: World): void {
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
}

/**
 *    |-- IKE_SA_INIT request 0 [ SA KE No … ] ---------------->|
 *    |<----------------- IKE_SA_INIT response 0 [ N(INVAL_KE) ]|
 *    |-- IKE_SA_INIT request 0 [ SA KE' No … ] --------------->|
 *    |<---------------- IKE_SA_INIT response 0 [ SA KE' No … ] |
 */
scenario('another group', () => {
  const world = established(otherGroupFirst)
  saidToPeer(world.right, 'N(INVAL_KE)')
  assert.equal(onlySa(world.right).uniqueId, 2, 'an id is gone with the refused request, as in charon')
  assert.equal(onlySa(world.left).proposal?.keyExchange, KE.CURVE_25519)
  assert.deepEqual(exchanges(world.left), ['IKE_SA_INIT request 0', 'IKE_SA_INIT request 0', 'IKE_AUTH request 1'])
})

/**
 *    |-- IKE_SA_INIT request 0 [ SA KE No … ] ------------->|
 *    |<---------------- IKE_SA_INIT response 0 [ N(COOKIE) ]|
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE) SA KE No … ] --->|
 *    |<--------------- IKE_SA_INIT response 0 [ SA KE No … ]|
 */
scenario('a cookie', () => {
  const world = pair(cookies)
  initiate(world)
  halfOpen(world)
  world.settle()
  saidToPeer(world.right, 'IKE_SA_INIT response 0 [ N(COOKIE) ]')
  saidToPeer(world.left, 'IKE_SA_INIT request 0 [ N(COOKIE) SA KE No')
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(40) // the other one goes
  sameSingleChild(world)
})

/** RFC 7296 §2.6: the cookie comes first, and all that follows is as it was; the answer that asks for it has no more in it. */
scenario('the request with the cookie is otherwise the one before', () => {
  const world = pair(cookies)
  initiate(world)
  halfOpen(world)
  world.settle()
  const [first, second] = world.left.sent.slice(0, 2).map(({ bytes }) => decodeMessage(bytes))
  const asked = world.right.sent.find(({ label }) => label.includes('N(COOKIE)'))
  assert.ok(first && second && asked)
  const answer = decodeMessage(asked.bytes)
  assert.equal(answer.spiR, 0n)
  const [cookie, ...nothing] = answer.payloads
  assert.ok(cookie?.type === 'N' && nothing.length === 0)
  assert.ok(cookie.data.length >= 1 && cookie.data.length <= 64)
  assert.deepEqual(second, { ...first, payloads: [cookie, ...first.payloads] })
})

/** RFC 7296 §1.2: whoever forged the refusal must not take proposals away. */
scenario('the request with another group proposes all that it did before', () => {
  const world = established(otherGroupFirst)
  const [first, second] = world.left.sent.map(({ label, bytes }) =>
    label.startsWith('IKE_SA_INIT') ? decodeMessage(bytes) : undefined,
  )
  const part = (message: typeof first, type: 'SA' | 'Nonce' | 'KE') =>
    message?.payloads.find((one) => one.type === type)
  assert.deepEqual(part(second, 'SA'), part(first, 'SA'))
  assert.notDeepEqual(part(second, 'KE'), part(first, 'KE'))
  assert.deepEqual([first?.messageId, second?.messageId], [0, 0])
  assert.deepEqual([first?.spiI, first?.spiR], [second?.spiI, 0n])
  const refusal = world.right.sent.find(({ label }) => label.includes('N(INVAL_KE)'))
  assert.ok(refusal)
  assert.deepEqual(decodeMessage(refusal.bytes).payloads, [
    notify(NOTIFY.INVALID_KE_PAYLOAD, Uint8Array.of(0, KE.CURVE_25519)),
  ])
})

for (const length of [0, 65]) {
  scenario(`a cookie of ${length} octets is none`, () => {
    const world = pair()
    initiate(world)
    const request = world.net.flights[0]
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
      payloads: [notify(NOTIFY.COOKIE, new Uint8Array(length))],
    })
    world.inject(world.left, { address: '192.0.2.2', port: 500 }, forged)
    assert.equal(world.left.sent.length, 1)
    world.settle()
    sameSingleChild(world)
  })
}

/** The cookie first, then the group: the second retry carries the cookie as well (RFC 7296 §2.6.1). */
scenario('a cookie, then another group', () => {
  const world = pair({ ...otherGroupFirst, right: { ...otherGroupFirst.right, ...cookies.right } })
  initiate(world)
  const first = world.net.flights[0]
  assert.ok(first)
  // Its group would be refused and leave nothing half-open: one with the right group comes before.
  world.net.remove(first)
  const primer = pair({ seed: 2 })
  primer.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  primer.finishJobs()
  const other = primer.net.flights[0]
  assert.ok(other)
  world.inject(world.right, { address: '192.0.2.1', port: 1234 }, other.bytes)
  world.wait(5)
  saidToPeer(world.right, 'N(COOKIE)')
  saidToPeer(world.right, 'N(INVAL_KE)')
  // The first one was lost.
  const plain = 'IKE_SA_INIT request 0 [ SA KE'
  const withCookie = 'IKE_SA_INIT request 0 [ N(COOKIE) SA KE'
  assert.deepEqual(
    world.left.sent.flatMap(({ label }) => /^IKE_SA_INIT request 0 \[ (?:N\(COOKIE\) )?SA KE/.exec(label)?.[0] ?? []),
    [plain, plain, withCookie, withCookie],
  )
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(40)
  sameSingleChild(world)
})

/**
 * A responder that does not take its cookie for the other group as well (RFC 7296 §2.6.1) asks for another one.
 *
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE) SA KE' No … ] ------>|
 *    |<---------------- IKE_SA_INIT response 0 [ N(COOKIE') ] --|   it has restarted
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE') SA KE' No … ] ----->|
 */
scenario('a cookie, then another group, then another cookie', () => {
  const options = { ...otherGroupFirst, right: { ...otherGroupFirst.right, ...cookies.right } }
  const world = pair(options)
  const { left, right } = world
  left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const primer = pair({ seed: 2 })
  primer.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  primer.finishJobs()
  const other = primer.net.flights[0]
  assert.ok(other)
  const load = () => world.inject(right, { address: '192.0.2.1', port: 1234 }, other.bytes)
  load()
  world.deliver(4) // the request, its cookie, the request with it, the other group
  saidToPeer(left, 'N(COOKIE) SA KE')
  saidToPeer(right, 'N(INVAL_KE)')
  const held = [...world.net.flights]
  assert.equal(held.length, 1)
  for (const flight of held) world.net.remove(flight)
  world.wait(20, { deliver: false }) // the cookie is too old by now, and left sends its request again
  for (const flight of [...world.net.flights].slice(1)) world.net.remove(flight)
  right.restart()
  configure(world, 'right', options)
  load()
  world.settle()
  world.wait(1)
  assert.equal(onlySa(left).state, 'ESTABLISHED')
  const cookiesOf = left.sent.filter(({ label }) => label.startsWith('IKE_SA_INIT request 0 [ N(COOKIE)'))
  const sent = new Set(
    cookiesOf.map(({ bytes }) => {
      const [cookie] = decodeMessage(bytes).payloads
      return cookie?.type === 'N' ? Buffer.from(cookie.data).toString('hex') : ''
    }),
  )
  assert.equal(sent.size, 2)
})

/**
 * The group first, then a cookie: right comes under load between the two.
 *
 *    |-- IKE_SA_INIT request 0 [ SA KE No … ] ---------------->|
 *    |<----------------- IKE_SA_INIT response 0 [ N(INVAL_KE) ]|
 *    |-- IKE_SA_INIT request 0 [ SA KE' No … ] --------------->|
 *    |<------------------- IKE_SA_INIT response 0 [ N(COOKIE) ]|
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE) SA KE' No … ] ----->|
 */
scenario('another group, then a cookie', () => {
  const world = pair({ ...otherGroupFirst, right: { ...otherGroupFirst.right, ...cookies.right } })
  initiate(world)
  world.deliver(2)
  saidToPeer(world.right, 'N(INVAL_KE)')
  halfOpen(world)
  world.settle()
  saidToPeer(world.right, 'IKE_SA_INIT response 0 [ N(COOKIE) ]')
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  world.wait(40)
  sameSingleChild(world)
})

/** A responder that asks for one group, then for another, then for the first again: it ends, and nothing is left. */
scenario('a forged INVALID_KE_PAYLOAD for a group that was not offered is not believed', () => {
  const world = pair()
  initiate(world)
  const request = world.net.flights[0]
  assert.ok(request)
  const forged = Buffer.concat([
    request.bytes.subarray(0, 8), // SPIi
    Buffer.alloc(8), // SPIr
    Buffer.from([41, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 38]), // N, IKE_SA_INIT, response, id 0, 38 octets
    Buffer.from([0, 0, 0, 10, 0, 0, 0, 17, 0, 14]), // INVALID_KE_PAYLOAD, MODP_2048
  ])
  world.inject(world.left, { address: '192.0.2.2', port: 500 }, forged)
  world.settle()
  sameSingleChild(world)
})

/**
 * RFC 7296 §2.23: an initiator may begin on port 4500. What is signed is without the non-ESP marker (§2.15).
 *
 *    4500 |-- 00 00 00 00, IKE_SA_INIT request 0 --->| 4500
 */
scenario('port 4500 from the first message on', () => {
  const world = established({ left: { connection: { localPort: 4500, remotePort: 4500 } } })
  for (const host of world.hosts) {
    const { local, remote } = onlySa(host)
    assert.deepEqual([local.port, remote.port], [4500, 4500])
    for (const { bytes } of host.sent) assert.deepEqual([...bytes.subarray(0, 4)], [0, 0, 0, 0])
  }
})

for (const nat of ['left', 'right', 'both'] as const) {
  /**
   *   10.0.1.2:500  -- IKE_SA_INIT -->  the NAT's port
   *   10.0.1.2:4500 -- IKE_AUTH ----->  another port of the NAT (RFC 7296 §2.23)
   */
  scenario(`NAT before ${nat}: the exchange goes on at port 4500, ESP in UDP`, () => {
    const world = established({ nat })
    const [left, right] = [onlySa(world.left), onlySa(world.right)]
    assert.deepEqual([left.natLocal, left.natRemote], [nat !== 'right', nat !== 'left'])
    assert.deepEqual([right.natLocal, right.natRemote], [nat !== 'left', nat !== 'right'])
    assert.deepEqual([left.local.port, left.remote.port, right.local.port], [4500, 4500, 4500])
    for (const host of world.hosts) assert.equal(onlyChild(host).encap, true)
    world.wait(300)
    sameSingleChild(world)
    world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
    world.settle()
    nothingLeaks(world)
  })
}

scenario('four zero octets come before every IKE message on port 4500', () => {
  const world = established({ nat: 'left' })
  for (const host of world.hosts) {
    for (const { label, bytes } of host.sent) {
      const inClear = label.startsWith('IKE_SA_INIT') // still on port 500
      assert.equal(
        bytes.subarray(0, 4).every((octet) => octet === 0),
        !inClear,
        label,
      )
      assert.equal(Buffer.from(bytes).readUInt32BE(24 + (inClear ? 0 : 4)), bytes.length - (inClear ? 0 : 4))
    }
  }
})

/** One octet after every 20 s without anything else (RFC 3948 §4); the other side has nothing to keep. */
scenario('the host behind the NAT keeps the mapping alive', () => {
  const world = established({ nat: 'left' })
  world.wait(10)
  world.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  world.settle()
  const start = world.now
  const [ours, theirs] = world.hosts.map(({ sent }) => sent.length)
  world.wait(65, { deliver: false })
  assert.deepEqual(
    world.left.sent.slice(ours).map(({ bytes, atMs }) => [(atMs - start) / 1000, ...bytes]),
    [
      [20, 0xff],
      [40, 0xff],
      [60, 0xff],
    ],
  )
  assert.equal(world.right.sent.length, theirs)
})

scenario('the NAT forgets the mapping: ESP from the new port moves the SA', () => {
  const world = established({ nat: 'left' })
  const before = onlySa(world.right).remote
  for (const box of world.net.nats) box.rebind()
  assert.equal(carries(world, world.right), 'lost')
  const told = world.right.events.length
  assert.equal(carries(world, world.left), 'protected')
  world.settle()
  world.wait(1)
  const { port } = onlySa(world.right).remote
  assert.notEqual(port, before.port)
  // The new addresses, and the IKE SA as it was.
  const event = world.right.events[told]
  assert.ok(event?.kind === 'ike-update')
  assert.deepEqual([event.remote.port, event.ikeSa.remote.port], [port, before.port])
  sameSingleChild(world)
})

/** RFC 7296 §2.23: only what is authentic and new moves an SA, and never the host that is behind the NAT. */
scenario('who repeats or forges packets from elsewhere moves nobody', () => {
  const world = established({ nat: 'left', connection: { mobike: false } })
  for (const host of world.hosts)
    host.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  world.settle()
  const before = world.hosts.map((host) => onlySa(host).remote)
  const elsewhere = { address: '203.0.113.7', port: 4500 }
  for (const host of world.hosts) {
    for (const { bytes } of [...world.peer(host).sent]) {
      world.inject(host, elsewhere, bytes, 4500)
      world.inject(
        host,
        elsewhere,
        bytes.map((octet, i) => (i === bytes.length - 1 ? octet ^ 1 : octet)),
        4500,
      )
    }
  }
  assert.deepEqual(
    world.hosts.map((host) => onlySa(host).remote),
    before,
  )
  // A new request of right that takes another way.
  world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.finishJobs()
  const request = world.right.sent.at(-1)
  assert.ok(request)
  world.inject(world.left, elsewhere, request.bytes, 4500)
  assert.ok(world.left.sas().every(({ remote }) => remote.address === before[0]?.address))
})

scenario('the NAT forgets the mapping: without MOBIKE a request from the new port moves the SA', () => {
  const world = established({ nat: 'left', connection: { mobike: false } })
  const before = onlySa(world.right).remote
  for (const box of world.net.nats) box.rebind()
  world.left.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
  world.settle()
  assert.notEqual(onlySa(world.right).remote.port, before.port)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})
