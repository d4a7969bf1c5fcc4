/** Post-quantum preshared keys (RFC 8784). */
import assert from 'node:assert/strict'
import type { Connection } from '../../src/config/connection.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { KE, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import { BareInitiator } from './bare-initiator.ts'
import { type AuthName, credentialsFor, hybridProposal, ikeProposal, type SideName } from './connection.ts'
import { failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { demands, wants, withPpk } from './ppk.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const both = ['left', 'right'] as const

/** What a side has: a key of this text for the PPK_ID `lab-ppk`, or none; and whether its connection wants one. */
interface Ppk {
  readonly key?: string
  readonly owner?: string
  readonly connection?: Partial<Connection>
}

const good = 'thirty-two octets that both know'

function options(left: Ppk, right: Ppk, auth: AuthName = 'psk', more: PairOptions = {}): PairOptions {
  const side = (name: SideName, { key, owner = 'lab-ppk', connection = {} }: Ppk) => ({
    credentials: withPpk(credentialsFor(name, auth), key, owner),
    connection,
  })
  return { ...more, auth, left: side('left', left), right: side('right', right) }
}

function refused(given: PairOptions): World {
  const world = pair(given)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(40)
  failed(answer(), /failed/)
  nothingLeaks(world)
  return world
}

function usesPpk(world: World, uses: boolean): void {
  for (const host of world.hosts) assert.equal(onlySa(host).ppk, uses, host.name)
}

/**
 *    |-- IKE_SA_INIT request 0 [ SA KE No … N(USE_PPK) ] --------------------->|
 *    |<-------------------- IKE_SA_INIT response 0 [ SA KE No … N(USE_PPK) ] --|
 *    |-- IKE_AUTH request 1 [ IDi … AUTH N(PPK_ID) N(NO_PPK) … ] ------------->|
 *    |<------------------------- IKE_AUTH response 1 [ IDr AUTH N(PPK_ID) … ] -|
 */
for (const auth of ['psk', 'rsa2048', 'ed25519'] as const) {
  scenario(`both have the PPK, ${auth}`, () => {
    const world = established(options({ key: good, connection: wants }, { key: good }, auth))
    usesPpk(world, true)
    for (const host of world.hosts) logged(host, "using PPK for PPK_ID 'lab-ppk'")
    logged(world.left, 'AUTH N(PPK_ID) N(NO_PPK)')
    logged(world.right, 'AUTH N(PPK_ID)')
  })

  scenario(`both demand it, ${auth}: no proof without it is shown`, () => {
    const world = established(options({ key: good, connection: demands }, { key: good, connection: demands }, auth))
    usesPpk(world, true)
    logged(world.left, 'AUTH N(PPK_ID) ')
    notLogged(world.left, 'N(NO_PPK)')
  })

  scenario(`the responder does not have that one and goes on without, ${auth}`, () => {
    const world = established(options({ key: good, connection: wants }, { key: good, owner: 'another' }, auth))
    usesPpk(world, false)
    logged(world.left, "peer didn't use PPK for PPK_ID 'lab-ppk'")
    logged(world.right, "no PPK for 'lab-ppk' found, ignored because PPK is not required")
  })
}

scenario('the responder has none at all: it does not say USE_PPK', () => {
  const world = established(options({ key: good, connection: wants }, {}))
  usesPpk(world, false)
  logged(world.left, 'peer does not support PPK')
  assert.ok(!world.right.sent.some(({ label }) => label.includes('N(USE_PPK)')))
})

scenario('the initiator has no key for its PPK_ID, and does not need one', () => {
  usesPpk(established(options({ connection: wants }, { key: good, connection: wants })), false)
})

scenario('the initiator has no key for its PPK_ID, and needs one: nothing is sent', () => {
  const world = refused(options({ connection: demands }, { key: good }))
  logged(world.left, "PPK required, but no PPK for 'lab-ppk' found")
  assert.deepEqual(world.left.sent, [])
})

scenario('the initiator demands it, the responder has none', () => {
  const world = refused(options({ key: good, connection: demands }, {}))
  logged(world.left, 'PPK required, but the peer does not support it')
})

scenario('the initiator demands it, the responder has another', () => {
  const world = refused(options({ key: good, connection: demands }, { key: good, owner: 'another' }))
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

scenario('the responder demands it, the initiator does not know of it', () => {
  const world = refused(options({}, { key: good, connection: demands }))
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  logged(world.right, 'PPK required')
})

scenario('the responder demands another PPK_ID', () => {
  const other = { ppkId: parseIdentity('another'), ppkRequired: true }
  const world = refused(options({ key: good, connection: wants }, { key: good, connection: other }))
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

scenario('the keys differ: the responder does not believe the initiator', () => {
  const world = refused(options({ key: good, connection: wants }, { key: 'thirty-two octets, but not those' }))
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

scenario('a wildcard in the PPK_ID of the responder', () => {
  const any = { ppkId: parseIdentity('*-ppk'), ppkRequired: true }
  usesPpk(established(options({ key: good, connection: demands }, { key: good, connection: any })), true)
})

for (const side of both) {
  scenario(`the PPK stays in the keys of what ${side} rekeys`, () => {
    const world = established(options({ key: good, connection: demands }, { key: good, connection: demands }))
    world.host(side).command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
    world.settle()
    world.wait(6)
    world.host(side).command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
    world.wait(6)
    sameSingleChild(world)
    usesPpk(world, true)
    // It has been mixed in once.
    for (const host of world.hosts) {
      assert.equal(host.logs.filter(({ message }) => message.startsWith('using PPK')).length, 1)
    }
  })
}

scenario('with additional key exchanges and NAT', () => {
  const more: PairOptions = { ike: [hybridProposal([KE.ML_KEM_768])], nat: 'left' }
  const world = established(options({ key: good, connection: demands }, { key: good, connection: wants }, 'psk', more))
  usesPpk(world, true)
})

/**
 *    |-- IKE_SA_INIT request 0 [ SA KE No … N(USE_PPK) ] --------------------->|
 *    |<------------------------------ IKE_SA_INIT response 0 [ N(COOKIE) ] ----|
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE) SA KE No … N(USE_PPK) ] ----------->|
 *    |<---------------------------- IKE_SA_INIT response 0 [ N(INVAL_KE) ] ----|
 *    |-- IKE_SA_INIT request 0 [ N(COOKIE) SA KE No … N(USE_PPK) ] ----------->|
 */
scenario('a cookie and another group: USE_PPK is said every time', () => {
  const given = options({ key: good, connection: demands }, { key: good, connection: demands })
  const p256 = { ...ikeProposal(), transforms: withGroups(KE.ECP_256) }
  const both = { ...ikeProposal(), transforms: withGroups(KE.CURVE_25519, KE.ECP_256) }
  const world = pair({
    ...given,
    left: { ...given.left, connection: { ...demands, proposals: [both] } },
    right: { ...given.right, connection: { ...demands, proposals: [p256] }, settings: { cookieThreshold: 1 } },
  })
  // Somebody else is half-open already.
  const stranger = new BareInitiator(world, p256)
  stranger.init({ method: KE.ECP_256 })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  const requests = world.left.sent.filter(({ label }) => label.startsWith('IKE_SA_INIT request'))
  assert.equal(requests.length, 3)
  assert.ok(requests.every(({ label }) => label.includes('N(USE_PPK)')))
  for (const answer of ['N(COOKIE)', 'N(INVAL_KE)']) saidToPeer(world.right, `IKE_SA_INIT response 0 [ ${answer} ]`)
  assert.equal(onlySa(world.left).ppk, true)
})

function withGroups(...groups: readonly number[]) {
  const others = ikeProposal().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.KE)
  return [...others, ...groups.map((id) => ({ type: TRANSFORM_TYPE.KE, id }))]
}

for (let index = 0; index < 4; index++) {
  scenario(`datagram ${index + 1} is lost`, () => {
    const world = pair(options({ key: good, connection: demands }, { key: good, connection: demands }))
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    world.lose()
    world.wait(5)
    sameSingleChild(world)
    usesPpk(world, true)
  })
}

/** RFC 8784 §6: a response without USE_PPK that somebody else sent in front of the true one. */
scenario('a forged response without USE_PPK ends nothing', () => {
  const world = pair(options({ key: good, connection: demands }, { key: good, connection: demands }))
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(1)
  const [answer] = world.net.flights
  assert.ok(answer)
  const forged = Buffer.from(answer.bytes)
  // Its last payload is N(USE_PPK), which becomes one that nobody knows.
  forged.writeUInt16BE(40_000, forged.length - 2)
  world.inject(world.left, answer.source, forged)
  world.settle()
  sameSingleChild(world)
})
