/** What cannot come up: the peer is told the right thing, the log says what differed, and nothing is left. */
import assert from 'node:assert/strict'
import type { Credentials } from '../../src/ike/credentials.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { publicKeyId } from '../../src/pki/keys.ts'
import { ENCR, KE } from '../../src/wire/numbers.ts'
import {
  authRound,
  credentialsFor,
  defaultAuthority,
  defaultSecret,
  encr,
  espProposal,
  identityOf,
  ikeProposal,
  sharedSecret,
} from './connection.ts'
import { failed, logged, nothingLeaks, onlySa, saidToPeer } from './expect.ts'
import { type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import { testAuthority, testCertificate, testKey } from './test-keys.ts'
import type { World } from './world.ts'

/** Left initiates in vain; afterwards nothing is left on either side. */
function inVain(options: PairOptions, why = /./): World {
  const world = pair(options)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  // What is not authenticated is believed only when nothing better comes for a while (RFC 7296 §2.21.1), and a half-open
  // SA may wait for its time to pass.
  world.wait(35)
  failed(answer(), why)
  nothingLeaks(world)
  return world
}

function certificateOf(options: Partial<Parameters<typeof testCertificate>[0]>): Credentials {
  const key = testKey('p256', 'left')
  const issuer = testAuthority(defaultAuthority)
  const certificate = testCertificate({ name: identityOf('left'), key, issuer, ...options })
  return {
    anchors: [issuer.certificate],
    certificates: [certificate],
    privateKeys: new Map([[publicKeyId(key), key]]),
    secrets: [],
  }
}

scenario('no IKE proposal in common', () => {
  const world = inVain({
    left: { connection: { proposals: [ikeProposal([KE.ECP_384])] } },
    right: { connection: { proposals: [ikeProposal([KE.CURVE_25519], false)] } },
  })
  saidToPeer(world.right, 'IKE_SA_INIT response 0 [ N(NO_PROP) ]')
  logged(world.left, 'received NO_PROPOSAL_CHOSEN notify error')
  logged(world.right, 'IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_384')
  logged(world.right, 'IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519')
})

/** The IKE SA stays without a child, as with charon. */
scenario('no ESP proposal in common', () => {
  const world = pair({
    left: { child: { espProposals: [espProposal([encr(ENCR.AES_GCM_16, 256)])] } },
    right: { child: { espProposals: [espProposal([encr(ENCR.CHACHA20_POLY1305)])] } },
  })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  saidToPeer(world.right, 'N(NO_PROP)')
  logged(world.right, 'ESP:AES_GCM_16_256/NO_EXT_SEQ')
  logged(world.right, 'ESP:CHACHA20_POLY1305/NO_EXT_SEQ')
  logged(world.left, 'received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built')
  for (const host of world.hosts) {
    assert.deepEqual(host.kernel.states, [])
    assert.deepEqual(host.kernel.policies, [])
  }
  const alerts = world.left.events.flatMap((event) => (event.kind === 'alert' ? [event.alert] : []))
  assert.deepEqual(alerts, ['proposal-mismatch-child', 'keep-on-child-sa-failure'])
})

scenario('another pre-shared key', () => {
  const world = inVain({ left: { credentials: credentialsFor('left', 'psk', 'not the secret') } })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(AUTH_FAILED) ]')
  logged(world.right, "tried 1 shared key for 'right.lab' - 'left.lab', but MAC mismatched")
  logged(world.left, 'received AUTHENTICATION_FAILED notify error')
  // As charon has it: an IKE SA that never was up goes down, and both ends show who they were said to be.
  for (const host of world.hosts) {
    const downs = host.events.filter((event) => event.kind === 'ike-updown')
    assert.deepEqual(
      downs.map(({ up, ikeSa }) => [up, ikeSa.state, ikeSa.localId, ikeSa.remoteId]),
      [[false, 'CONNECTING', parseIdentity(`${host.name}.lab`), parseIdentity(`${world.peer(host).name}.lab`)]],
    )
  }
})

/** RFC 7296 §1.2: a secret proves the identity that it is for, and no other. */
scenario('a pre-shared key that is for somebody else', () => {
  const others = 'the secret of somebody else'
  const left = { ...credentialsFor('left', 'psk'), secrets: [sharedSecret(others, identityOf('left'))] }
  const right = {
    ...credentialsFor('right', 'psk'),
    secrets: [sharedSecret(defaultSecret, identityOf('left')), sharedSecret(others, 'other.lab')],
  }
  const world = inVain({ left: { credentials: left }, right: { credentials: right } })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(AUTH_FAILED) ]')
})

/**
 * RFC 7296 §2.21.2: right has the wrong secret for left's check only, and believes that the IKE SA is up. Left tells it in an
 * exchange of its own.
 *
 *    |-- IKE_AUTH request 1 [ IDi CERT … AUTH SA TSi TSr … ] ---------->|
 *    |<---------------- IKE_AUTH response 1 [ IDr AUTH SA TSi TSr … ] --|
 *    |-- INFORMATIONAL request 2 [ N(AUTH_FAILED) ] ------------------->|
 *    |<---------------------------- INFORMATIONAL response 2 [ ] -------|
 */
function cannotProve(lost: 'nothing' | 'the request' | 'the response'): void {
  const world = pair({
    left: { auth: 'p256' },
    right: { auth: 'psk', credentials: credentialsFor('right', 'psk', 'not the secret') },
  })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(4)
  assert.equal(onlySa(world.right).children.length, 1)
  if (lost === 'the response') world.deliver()
  if (lost !== 'nothing') world.lose()
  // Right is gone with its answer: nobody gives another one.
  world.wait(lost === 'the response' ? 170 : 5)
  failed(answer(), /failed/)
  logged(world.left, 'MAC mismatched')
  saidToPeer(world.left, 'INFORMATIONAL request 2 [ N(AUTH_FAILED) ]')
  saidToPeer(world.right, 'INFORMATIONAL response 2 [ ]')
  logged(world.right, 'received AUTHENTICATION_FAILED notify error')
  nothingLeaks(world)
}

scenario('the responder cannot prove itself', () => cannotProve('nothing'))
scenario('the responder cannot prove itself, and what it is told is lost', () => cannotProve('the request'))
scenario('the responder cannot prove itself, and its answer to that is lost', () => cannotProve('the response'))

scenario('no pre-shared key', () => {
  const world = inVain({ left: { credentials: { ...credentialsFor('left', 'psk'), secrets: [] } } })
  logged(world.left, 'no shared key found for')
})

scenario('an identity that nobody is configured for', () => {
  const stranger = authRound({ class: 'psk', id: parseIdentity('stranger.lab') })
  const world = inVain({
    left: { connection: { local: [stranger] }, credentials: credentialsFor('left', 'psk') },
  })
  assert.ok(world)
})

scenario('an untrusted certificate', () => {
  const credentials = certificateOf({ issuer: testAuthority('Another CA') })
  const world = inVain({ auth: 'p256', left: { credentials } })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(AUTH_FAILED) ]')
  logged(world.right, "no trusted ECDSA public key found for 'left.lab'")
})

scenario('a certificate that has expired', () => {
  const credentials = certificateOf({ notAfter: '251231235959Z' })
  const world = inVain({ auth: 'p256', left: { credentials } })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(AUTH_FAILED) ]')
  logged(world.right, 'expired')
})

scenario('a certificate that is not valid yet', () => {
  const credentials = certificateOf({ notBefore: '270101000000Z' })
  const world = inVain({ auth: 'p256', left: { credentials } })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(AUTH_FAILED) ]')
})

scenario('a certificate for another name', () => {
  const credentials = certificateOf({ name: 'somebody.else' })
  const world = inVain({ auth: 'p256', left: { credentials } })
  assert.ok(world)
})

scenario('no connection for the peer', () => {
  const world = inVain({ right: { connection: { remoteAddresses: [{ kind: 'host', address: '192.0.2.99' }] } } })
  saidToPeer(world.right, 'IKE_SA_INIT response 0 [ N(NO_PROP) ]')
  logged(world.right, 'no IKE config found for 192.0.2.2...192.0.2.1')
})

/** Right's kernel has no ESP: the child fails, the peer is told, the error names the cure. */
scenario('the responder has no ESP in its kernel', () => {
  const world = pair({ right: { kernel: { protocols: [] } } })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  logged(world.right, 'the kernel has no ESP for IPv4: load esp4')
  noChild(world)
})

scenario('the initiator has no ESP in its kernel', () => {
  const world = pair({ left: { kernel: { protocols: [] } } })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /./)
  logged(world.left, 'the kernel has no ESP for IPv4: load esp4')
  world.wait(10)
  noChild(world)
})

for (const side of ['left', 'right'] as const) {
  for (const kind of ['allocate-spi', 'install-sa', 'install-policy'] as const) {
    for (const nth of [1, 2]) {
      if (kind === 'allocate-spi' && nth === 2) continue // there is one only
      scenario(`the kernel of ${side} refuses ${kind}, number ${nth}`, () => {
        const world = pair()
        world.host(side).kernel.refuse({ kind, nth, errno: 'EPERM' })
        const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
        world.settle()
        failed(answer(), /./)
        logged(world.host(side), `${kind} failed: EPERM`)
        world.wait(10)
        noChild(world)
        for (const host of world.hosts)
          host.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
        world.wait(35)
        nothingLeaks(world)
        const again = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
        world.settle()
        assert.deepEqual(again(), { kind: 'done' })
      })
    }
  }
}

scenario('the kernel refuses a route: the tunnel works without it', () => {
  const world = pair()
  world.left.kernel.refuse({ kind: 'add-route', nth: 1, errno: 'ENETUNREACH' })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  assert.equal(onlySa(world.left).children.length, 1)
})

function noChild(world: World): void {
  for (const host of world.hosts) {
    assert.deepEqual(
      host.sas().flatMap(({ children }) => children),
      [],
      `children of ${host.name}`,
    )
    assert.deepEqual(host.kernel.states, [], `states of ${host.name}`)
    assert.deepEqual(host.kernel.policies, [], `policies of ${host.name}`)
    assert.deepEqual(host.kernel.routes, [], `routes of ${host.name}`)
  }
}
