/**
 * Several authentication rounds in IKE_AUTH (RFC 4739): a machine and its user, a signature and a secret.
 *
 *   left                                                                        right
 *    |<-------------------------- IKE_SA_INIT response 0 [ … N(MULT_AUTH) ] --|
 *    |-- IKE_AUTH request 1 [ IDi AUTH SA TSi TSr N(MULT_AUTH) N(AUTH_FOLLOWS) ] ->|
 *    |<----------------------------------- IKE_AUTH response 1 [ IDr AUTH ] --|
 *    |-- IKE_AUTH request 2 [ IDi AUTH ] ---------------------------------------->|
 *    |<----------------------------------- IKE_AUTH response 2 [ SA TSi TSr ] --|
 */
import assert from 'node:assert/strict'
import type { AuthRound, Connection } from '../../src/config/connection.ts'
import { formatIdentity, parseIdentity } from '../../src/pki/identity.ts'
import { KE, NOTIFY } from '../../src/wire/numbers.ts'
import { BareInitiator } from './bare-initiator.ts'
import { authRound, hybridProposal, ikeProposal, sharedSecret } from './connection.ts'
import { exchanges, failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { connectionOf, established, type PairOptions, pair } from './pair.ts'
import { hasSecondRound, machineAndUser, userOf } from './rounds.ts'
import { scenario } from './scenario.ts'
import { roadWarrior } from './virtual-ip.ts'
import type { World } from './world.ts'

function inVain(options: PairOptions): World {
  const world = pair(options)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(35)
  failed(answer(), /failed/)
  nothingLeaks(world)
  return world
}

/** Each of them in every mixture of methods. */
for (const [first, second] of [
  ['psk', 'p256'],
  ['p256', 'psk'],
  ['ed25519', 'p256'],
  ['psk', 'psk'],
] as const) {
  for (const who of ['left', 'right', 'both'] as const) {
    scenario(`${who} with ${first}, then ${second}`, () => {
      const options = machineAndUser(who, first, second)
      const world = established(options)
      for (const side of ['left', 'right'] as const) {
        const peer = world.peer(world.host(side))
        const { localId } = onlySa(world.host(side))
        assert.ok(localId)
        const two = hasSecondRound(who, side)
        assert.equal(formatIdentity(localId), two ? userOf(side) : `${side}.lab`)
        logged(peer, `authentication of '${side}.lab' with`)
        if (two) logged(peer, `authentication of '${userOf(side)}' with`)
      }
      assert.deepEqual(exchanges(world.left), ['IKE_SA_INIT request 0', 'IKE_AUTH request 1', 'IKE_AUTH request 2'])
      world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
      world.settle()
      nothingLeaks(world)
    })
  }
}

/** SAi2 and TS go with the first request and are answered with the last response; the rounds between have neither. */
scenario('what is not authentication is asked for first and answered last', () => {
  const world = established({ ...machineAndUser('left', 'psk', 'p256'), auth: 'psk' })
  const said = [...world.left.sent, ...world.right.sent]
    .map(({ label }) => label)
    .filter((l) => l.startsWith('IKE_AUTH'))
  const [one, two, answerOne, answerTwo] = said as [string, string, string, string]
  for (const payload of [
    'IDi',
    'AUTH',
    'SA',
    'TSi',
    'N(INIT_CONTACT)',
    'N(MOBIKE_SUP)',
    'N(MULT_AUTH)',
    'N(AUTH_FOLLOWS)',
  ]) {
    assert.ok(one.includes(` ${payload} `), `${payload} in ${one}`)
  }
  assert.equal(two, 'IKE_AUTH request 2 [ IDi CERT IDr AUTH ]'.replace('IDr ', two.includes('IDr') ? 'IDr ' : ''))
  assert.match(answerOne, /^IKE_AUTH response 1 \[ IDr AUTH \]$/)
  assert.match(answerTwo, /^IKE_AUTH response 2 \[ SA TSi TSr N\(MOBIKE_SUP\)/)
})

/** RFC 7296 §2.19: the configuration payload is in the messages that have the SA payloads, and nowhere else. */
scenario('an address is asked for in the first request, and given in the last answer', () => {
  const world = established(roadWarrior(machineAndUser('left', 'psk', 'p256')))
  assert.deepEqual(onlySa(world.left).localVips, ['10.77.0.1'])
  const said = world.hosts.flatMap(({ sent }) => sent.map(({ label }) => label)).filter((l) => l.startsWith('IKE_AUTH'))
  assert.equal(said.length, 4)
  for (const label of said) assert.equal(/ CPR[QP]\(/.test(label), label.includes(' SA '), label)
  assert.match(said[0] ?? '', / CPRQ\(.* SA /)
  assert.match(said[3] ?? '', / CPRP\(.* SA /)
})

/**
 *    |-- IKE_AUTH request 1 [ IDi AUTH … N(MULT_AUTH) ] ------------->|
 *    |<---------- IKE_AUTH response 1 [ IDr AUTH N(AUTH_FOLLOWS) ] --|
 *    |-- IKE_AUTH request 2 [ ] ------------------------------------->|
 *    |<----------- IKE_AUTH response 2 [ IDr AUTH SA TSi TSr ] -----|
 */
scenario('only the responder has two: the initiator sends an empty request', () => {
  const world = established(machineAndUser('right', 'psk', 'p256'))
  saidToPeer(world.left, 'IKE_AUTH request 2 [ ]')
  saidToPeer(world.right, 'N(AUTH_FOLLOWS)')
})

for (let index = 0; index < 6; index++) {
  scenario(`datagram ${index + 1} is lost`, () => {
    const world = pair(machineAndUser('both', 'psk', 'p256'))
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    world.lose()
    world.wait(5)
    sameSingleChild(world)
  })
}

scenario('three rounds here, one there, with NAT, additional key exchanges and a childless initiation', () => {
  const options = machineAndUser('left', 'psk', 'p256')
  const third = authRound({ class: 'psk', id: parseIdentity('third.lab') })
  const extended = extend(options, third)
  const world = established({
    ...extended,
    ike: [hybridProposal([KE.ML_KEM_768])],
    nat: 'left',
    connection: { childless: 'prefer' },
  })
  const auths = exchanges(world.left).filter((label) => label.startsWith('IKE_AUTH'))
  assert.deepEqual(auths, ['IKE_AUTH request 2', 'IKE_AUTH request 3', 'IKE_AUTH request 4'])
  logged(world.right, "authentication of 'third.lab' with pre-shared key successful")
})

/** One more round of left, which right wants, too. */
function extend(options: PairOptions, third: AuthRound): PairOptions {
  const { left, right } = options
  const secrets = (given: typeof left) =>
    given?.credentials && {
      ...given.credentials,
      secrets: [...given.credentials.secrets, sharedSecret('the third secret', 'third.lab')],
    }
  const [ours, theirs] = [secrets(left), secrets(right)]
  assert.ok(ours && theirs && left?.connection?.local && right?.connection?.remote)
  return {
    ...options,
    left: { ...left, credentials: ours, connection: { ...left.connection, local: [...left.connection.local, third] } },
    right: {
      ...right,
      credentials: theirs,
      connection: { ...right.connection, remote: [...right.connection.remote, third] },
    },
  }
}

for (const required of [false, true]) {
  scenario(`a PPK${required ? ' that is required' : ''} is mixed in once, in the first round`, () => {
    const options = machineAndUser('both', 'psk', 'p256')
    const ppk = { ...sharedSecret('thirty-two octets that both know', 'lab-ppk'), type: 'ppk' as const }
    const withPpk = (side: 'left' | 'right'): PairOptions => {
      const given = options[side]
      assert.ok(given?.credentials)
      const credentials = { ...given.credentials, secrets: [...given.credentials.secrets, ppk] }
      const connection = { ...given.connection, ppkId: parseIdentity('lab-ppk'), ppkRequired: required }
      return { [side]: { ...given, credentials, connection } }
    }
    const world = established({ ...options, ...withPpk('left'), ...withPpk('right') })
    for (const host of world.hosts) assert.equal(onlySa(host).ppk, true)
    const named = world.left.sent.filter(({ label }) => label.includes('N(PPK_ID)'))
    assert.equal(named.length, 1)
  })
}

scenario('the second round fails: the responder says so, and nothing is left', () => {
  const options = machineAndUser('left', 'p256', 'psk')
  const credentials = options.left?.credentials
  assert.ok(credentials)
  const wrong = credentials.secrets.map((secret) => ({ ...secret, data: Buffer.from('wrong') }))
  const world = inVain({ ...options, left: { ...options.left, credentials: { ...credentials, secrets: wrong } } })
  saidToPeer(world.right, 'IKE_AUTH response 2 [ N(AUTH_FAILED) ]')
  logged(world.right, 'MAC mismatched')
  logged(world.left, 'received AUTHENTICATION_FAILED notify error')
})

/**
 * RFC 7296 §2.21.2, between two rounds: the responder has not established the IKE SA yet, and hears of it all the same.
 *
 *    |<----------- IKE_AUTH response 2 [ IDr AUTH N(AUTH_FOLLOWS) ] --|
 *    |-- INFORMATIONAL request 3 [ N(AUTH_FAILED) ] ------------------->|
 *    |<--------------------------- INFORMATIONAL response 3 [ ] -------|
 */
scenario('the initiator does not believe a round of the responder that is not the last', () => {
  const options = machineAndUser('right', 'p256', 'psk')
  const { left, right } = options
  assert.ok(left?.credentials && right?.connection?.local && left.connection?.remote)
  const third = authRound({ class: 'pubkey', id: parseIdentity('right.lab') })
  const wrong = left.credentials.secrets.map((secret) => ({ ...secret, data: Buffer.from('wrong') }))
  const world = inVain({
    ...options,
    left: {
      ...left,
      credentials: { ...left.credentials, secrets: wrong },
      connection: { ...left.connection, remote: [...left.connection.remote, third] },
    },
    right: { ...right, connection: { ...right.connection, local: [...right.connection.local, third] } },
  })
  saidToPeer(world.left, 'INFORMATIONAL request 3 [ N(AUTH_FAILED) ]')
  saidToPeer(world.right, 'INFORMATIONAL response 3 [ ]')
  logged(world.right, 'received AUTHENTICATION_FAILED notify error')
})

scenario('fewer rounds than the responder wants', () => {
  const world = inVain({ ...machineAndUser('left', 'psk', 'p256'), left: { auth: 'psk' } })
  logged(world.right, 'insufficient authentication rounds')
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

scenario('more rounds than the responder wants', () => {
  const world = inVain({ ...machineAndUser('left', 'psk', 'p256'), right: { auth: 'psk' } })
  logged(world.right, 'wants to authenticate once more than it has remote rounds (1)')
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

/** §2.21.2: what is wrong with the responder's rounds the initiator says in an exchange of its own. */
scenario('fewer rounds than the initiator wants', () => {
  const world = inVain({ ...machineAndUser('right', 'psk', 'p256'), right: { auth: 'psk' } })
  logged(world.left, 'insufficient authentication rounds')
  saidToPeer(world.left, 'INFORMATIONAL request 2 [ N(AUTH_FAILED) ]')
})

scenario('more rounds than the initiator wants', () => {
  const world = inVain({ ...machineAndUser('right', 'psk', 'p256'), left: { auth: 'psk' } })
  logged(world.left, 'wants to authenticate once more')
  saidToPeer(world.left, 'INFORMATIONAL request 2 [ N(AUTH_FAILED) ]')
})

scenario('the rounds in another order', () => {
  const options = machineAndUser('left', 'psk', 'p256')
  const { right } = options
  assert.ok(right?.connection?.remote)
  const world = inVain({
    ...options,
    right: { ...right, connection: { ...right.connection, remote: [...right.connection.remote].reverse() } },
  })
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

for (const side of ['left', 'right'] as const) {
  scenario(`charon.multiple_authentication = no on the ${side}`, () => {
    const options = machineAndUser('both', 'psk', 'p256')
    const world = inVain({ ...options, [side]: { ...options[side], settings: { multipleAuthentication: false } } })
    logged(
      world.left,
      side === 'left' ? 'but charon.multiple_authentication = no' : 'but the peer does not support them',
    )
    notLogged(world.left, 'generating IKE_AUTH')
  })
}

/** An initiator that knows nothing of RFC 4739: a clear sentence for us, AUTHENTICATION_FAILED for it. */
scenario('the initiator does not support several rounds', () => {
  const world = pair({ ...machineAndUser('left', 'psk', 'p256'), ike: [ikeProposal()] })
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  const answer = peer.auth() ?? []
  assert.deepEqual(
    answer.map((payload) => payload.type === 'N' && payload.notify),
    [NOTIFY.AUTHENTICATION_FAILED],
  )
  logged(world.right, 'unacceptable: it has several authentication rounds, which the peer does not support')
})

/** Two connections with the same identities: the second round tells them apart. */
scenario('another connection fits better after the second round', () => {
  const options = machineAndUser('left', 'psk', 'psk')
  const world = pair(options)
  const good = connectionOf('right', options)
  const [machine, user] = good.remote
  assert.ok(machine && user)
  const better = { ...good, name: 'better' }
  const other: Connection = { ...good, remote: [machine, { ...user, id: parseIdentity('somebody.else') }] }
  world.right.command({ kind: 'load-connection', connection: other })
  world.right.command({ kind: 'load-connection', connection: better })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  logged(world.right, "switching to peer config 'better'")
  assert.equal(onlySa(world.right).name, 'better')
})

scenario('rekeying and reauthentication of what several rounds made', () => {
  const world = established(machineAndUser('both', 'psk', 'p256'))
  world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.wait(6)
  sameSingleChild(world)
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  world.wait(20)
  sameSingleChild(world)
  const first = world.left.sent.filter(({ label }) => label.includes('N(INIT_CONTACT)'))
  assert.equal(first.length, 1, 'INITIAL_CONTACT in the first IKE_AUTH only')
})
