/**
 * Authentication of the initiator by EAP (RFC 7296 §2.16): the responder with a certificate, the initiator with a password.
 *
 *   left                                                                        right
 *    |-- IKE_AUTH request 1 [ IDi … SA TSi TSr ] ------------------------------->|
 *    |<--------------------- IKE_AUTH response 1 [ IDr CERT AUTH EAP/REQ/ID ] --|
 *    |-- IKE_AUTH request 2 [ EAP/RES/ID ] ------------------------------------->|
 *    |<--------------------------- IKE_AUTH response 2 [ EAP/REQ/MSCHAPV2 ] ----|
 *    |-- IKE_AUTH request 3 [ EAP/RES/MSCHAPV2 ] ------------------------------->|
 *    |<--------------------------- IKE_AUTH response 3 [ EAP/REQ/MSCHAPV2 ] ----|
 *    |-- IKE_AUTH request 4 [ EAP/RES/MSCHAPV2 ] ------------------------------->|
 *    |<------------------------------------ IKE_AUTH response 4 [ EAP/SUCC ] ---|
 *    |-- IKE_AUTH request 5 [ AUTH ] ------------------------------------------->|
 *    |<-------------------------- IKE_AUTH response 5 [ AUTH SA TSi TSr … ] ----|
 */
import assert from 'node:assert/strict'
import type { AuthRound, SharedSecret } from '../../src/config/connection.ts'
import { formatIdentity, parseIdentity } from '../../src/pki/identity.ts'
import { authRound, credentialsFor, identityOf } from './connection.ts'
import { exchanges, failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import { roadWarrior } from './virtual-ip.ts'
import type { World } from './world.ts'

const password = (user: string, text: string, type: 'eap' | 'ntlm' = 'eap'): SharedSecret => ({
  id: undefined,
  type,
  data: Buffer.from(text),
  owners: [parseIdentity(user)],
})

interface EapOptions extends PairOptions {
  /** Of the client's round. */
  readonly client?: Partial<AuthRound>
  /** Of the gateway's round for clients. */
  readonly gateway?: Partial<AuthRound>
  readonly secrets?: { readonly left?: readonly SharedSecret[]; readonly right?: readonly SharedSecret[] }
}

/** The client on the left is `carol` with a password, the gateway on the right has a certificate. */
function byEap({ client, gateway, secrets, ...options }: EapOptions = {}): PairOptions {
  const carol = [password('carol', 'Ar3etTnp')]
  const certificate = (side: 'left' | 'right'): AuthRound => authRound({ id: parseIdentity(identityOf(side)) })
  const user = authRound({ class: 'eap', id: parseIdentity('left.lab'), eapId: parseIdentity('carol'), ...client })
  const asked = authRound({ class: 'eap', eapMethod: 'mschapv2', eapId: parseIdentity('%any'), ...gateway })
  const credentials = (side: 'left' | 'right') => ({
    ...credentialsFor(side, 'p256'),
    secrets: secrets?.[side] ?? carol,
  })
  return {
    ...options,
    auth: 'p256',
    left: {
      ...options.left,
      credentials: credentials('left'),
      connection: { ...options.left?.connection, local: [user], remote: [certificate('right')] },
    },
    right: {
      ...options.right,
      credentials: credentials('right'),
      connection: { ...options.right?.connection, local: [certificate('right')], remote: [asked] },
    },
  }
}

function inVain(options: PairOptions): World {
  const world = pair(options)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(35)
  failed(answer(), /failed/)
  nothingLeaks(world)
  return world
}

scenario('MSCHAPv2 with an identity of its own', () => {
  const world = established(byEap())
  const labels = [...world.left.sent, ...world.right.sent].map(({ label }) => label)
  const auths = labels.filter((label) => label.startsWith('IKE_AUTH'))
  assert.ok(!auths[0]?.includes(' AUTH '))
  for (const [number, payloads] of [
    [2, 'EAP/RES/ID'],
    [3, 'EAP/RES/MSCHAPV2'],
    [4, 'EAP/RES/MSCHAPV2'],
    [5, 'AUTH'],
  ] as const)
    saidToPeer(world.left, `IKE_AUTH request ${number} [ ${payloads} ]`)
  saidToPeer(world.right, 'AUTH EAP/REQ/ID ]')
  saidToPeer(world.right, 'IKE_AUTH response 4 [ EAP/SUCC ]')
  assert.match(labels.find((label) => label.startsWith('IKE_AUTH response 5')) ?? '', /\[ AUTH .*SA TSi TSr/)
  for (const label of auths.slice(1, 4)) assert.ok(!/ SA |TSi/.test(label), label)
  const view = onlySa(world.right)
  assert.equal(view.remoteEapId && formatIdentity(view.remoteEapId), 'carol')
  assert.equal(view.remoteId && formatIdentity(view.remoteId), 'left.lab')
  logged(world.right, "received EAP identity 'carol'")
  logged(world.right, 'EAP method EAP_MSCHAPV2 succeeded, MSK established')
  logged(world.right, "authentication of 'left.lab' with EAP successful")
  logged(world.left, "authentication of 'right.lab' with ECDSA")
  logged(world.left, "authentication of 'right.lab' with EAP successful")
  assert.deepEqual(exchanges(world.left).length, 6)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

for (const method of ['md5', 'gtc'] as const) {
  scenario(`${method}: AUTH is with SK_p, there is no MSK`, () => {
    const world = established(byEap({ gateway: { eapMethod: method } }))
    logged(world.right, `EAP method EAP_${method.toUpperCase()} succeeded, no MSK established`)
    logged(world.left, "authentication of 'right.lab' with EAP successful")
  })
}

scenario('without eap_id nobody is asked who he is: the IKE identity has the password', () => {
  const secrets = [password('left.lab', 'x')]
  const { eapId: _, ...round } = authRound({ class: 'eap' })
  const options = byEap({ secrets: { left: secrets, right: secrets } })
  const without = (side: 'left' | 'right', index: 'local' | 'remote', given: Partial<AuthRound>) => ({
    ...options[side],
    connection: { ...options[side]?.connection, [index]: [{ ...round, ...given }] },
  })
  const world = established({
    ...options,
    left: without('left', 'local', { id: parseIdentity('left.lab') }),
    right: without('right', 'remote', { eapMethod: 'md5' }),
  })
  notLogged(world.right, 'EAP_IDENTITY')
  logged(world.right, "authentication of 'left.lab' with EAP successful")
})

scenario('the client wants another method than the gateway begins with', () => {
  const world = established(byEap({ client: { eapMethod: 'md5' }, gateway: { eapMethod: 'dynamic' } }))
  saidToPeer(world.left, 'EAP/RES/NAK')
  logged(world.right, 'EAP method EAP_MD5 succeeded')
  inVain(byEap({ client: { eapMethod: 'md5' } }))
})

/** RFC 7296 §2.16: the failure is an EAP packet, not a notify, and nobody sends a Delete. */
for (const method of ['mschapv2', 'md5', 'gtc'] as const) {
  scenario(`${method}: a wrong password`, () => {
    const world = inVain(byEap({ gateway: { eapMethod: method }, secrets: { left: [password('carol', 'guess')] } }))
    saidToPeer(world.right, '[ EAP/FAIL ]')
    notLogged(world.left, 'AUTH_FAILED')
    assert.ok(!world.right.sent.some(({ label }) => label.includes('N(AUTH_FAILED)')))
    logged(world.right, 'failed for peer carol: the password is wrong')
    for (const host of world.hosts) assert.ok(!host.sent.some(({ label }) => label.startsWith('INFORMATIONAL')))
  })
}

scenario('a user that is not known, and one that is not wanted', () => {
  const nobody = { eapId: parseIdentity('mallory') }
  const secrets = { left: [password('mallory', 'x')] }
  logged(inVain(byEap({ client: nobody, secrets })).right, "no EAP key found for 'mallory'")
  const both = { left: [password('mallory', 'x')], right: [password('mallory', 'x')] }
  const unwanted = byEap({ client: nobody, gateway: { eapId: parseIdentity('*@lab.org') }, secrets: both })
  logged(inVain(unwanted).right, "EAP identity '*@lab.org' required, not matched by 'mallory'")
})

scenario('a gateway whose certificate is not believed gets no password', () => {
  const options = byEap({ gateway: { eapMethod: 'gtc' } })
  const remote = [authRound({ id: parseIdentity('other.lab') })]
  const world = inVain({
    ...options,
    left: { ...options.left, connection: { ...options.left?.connection, remote } },
  })
  assert.ok(!world.left.sent.some(({ label }) => label.includes('EAP/RES')))
})

scenario('a responder without EAP, and one that wants it of who does not', () => {
  const noEap = byEap({ gateway: { class: 'pubkey' } })
  logged(inVain(noEap).right, 'peer requested EAP, config unacceptable')
  const noClient = byEap({ client: { class: 'pubkey' } })
  logged(inVain(noClient).right, 'it wants EAP, left.lab used a signature')
})

scenario('addresses are for the EAP identity', () => {
  const warrior = roadWarrior({})
  const world = established(byEap(warrior))
  logged(world.right, 'assigning virtual IP')
  logged(world.right, "to peer 'carol'")
})

for (let index = 0; index < 12; index++) {
  scenario(`datagram ${index + 1} is lost`, () => {
    const world = pair(byEap())
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    world.lose()
    world.wait(5)
    sameSingleChild(world)
  })
}
