/**
 * Certificates by hash and URL (RFC 7296 §3.6):
 *
 *    |<----- IKE_SA_INIT response 0 [ SA KE No … CERTREQ N(HTTP_CERT_LOOK) ] --|
 *    |-- IKE_AUTH request 1 [ IDi CERT CERTREQ N(HTTP_CERT_LOOK) AUTH … ] ---->|
 *    |                                                    right asks the web server of the URL in CERT
 *    |<----------------------------------- IKE_AUTH response 1 [ IDr CERT … ] -|
 *    left does the same
 */
import assert from 'node:assert/strict'
import { defaultCoreSettings } from '../../src/config/daemon-settings.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { credentialsFor, defaultAuthority } from './connection.ts'
import { failed, logged, nothingLeaks, notLogged, saidToPeer } from './expect.ts'
import { byUrl, urlOf } from './hash-and-url.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { machineAndUser } from './rounds.ts'
import { scenario } from './scenario.ts'
import { testAuthority } from './test-keys.ts'
import type { World } from './world.ts'

const plain: PairOptions = { auth: 'p256' }
const both = byUrl(plain, 'p256')

/** The certificate of a side, which the other one does not have. */
function certificateOf(side: 'left' | 'right'): Certificate {
  const [certificate] = credentialsFor(side, 'p256').certificates
  assert.ok(certificate)
  return certificate
}

function inVain(options: PairOptions): World {
  const world = pair(options)
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(35)
  failed(answer(), /failed/)
  nothingLeaks(world)
  return world
}

scenario('both send URLs and both look them up', () => {
  const world = established(both)
  logged(world.right, `fetching certificate from '${urlOf(certificateOf('left'))}'`)
  logged(world.left, `fetching certificate from '${urlOf(certificateOf('right'))}'`)
  for (const host of world.hosts) {
    saidToPeer(host, 'N(HTTP_CERT_LOOK)')
    logged(host, 'received end entity cert "CN=')
  }
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

scenario('the messages are smaller', () => {
  const size = (world: World): number => {
    const found = world.left.sent.find(({ label }) => label.startsWith('IKE_AUTH request'))
    return found?.bytes.length ?? 0
  }
  assert.ok(size(established(both)) < size(established(plain)) - 200)
})

for (const side of ['left', 'right'] as const) {
  scenario(`${side} does not look up: it gets the certificate itself`, () => {
    const world = established({ ...both, [side]: { ...both[side], settings: { hashAndUrl: false } } })
    const peer = world.peer(world.host(side))
    assert.ok(!world.host(side).sent.some(({ label }) => label.includes('N(HTTP_CERT_LOOK)')))
    notLogged(world.host(side), 'fetching')
    logged(peer, 'fetching certificate')
  })
}

scenario('an authority without cert_uri_base: certificates as ever', () => {
  const world = established({ ...plain, settings: { hashAndUrl: true } })
  for (const host of world.hosts) notLogged(host, 'fetching')
})

scenario('with several rounds: each has its certificates', () => {
  const rounds = machineAndUser('both', 'p256', 'ed25519')
  const world = established(byUrl(rounds, 'p256'))
  const fetches = world.right.logs.filter(({ message }) => message.startsWith('fetching certificate'))
  assert.equal(fetches.length, 2)
})

for (const [what, web, reason] of [
  ['is not there', new Map(), 'the server answers 404'],
  ['is another', new Map([[urlOf(certificateOf('left')), certificateOf('right').der]]), 'another hash'],
  ['is too large', new Map([[urlOf(certificateOf('left')), new Uint8Array(100_000)]]), 'more than 65536 octets'],
] as const) {
  scenario(`what the URL leads to ${what}: nobody is believed`, () => {
    const world = inVain({ ...both, web })
    logged(
      world.right,
      `ignoring a certificate by hash and URL: ${web.size === 1 && reason === 'another hash' ? '' : urlOf(certificateOf('left'))}`,
    )
    logged(world.right, reason)
    saidToPeer(world.right, 'N(AUTH_FAILED)')
  })
}

/** Right has said that it looks up, and is told not to before the URL comes. */
scenario('off, and a URL comes all the same: it is ignored', () => {
  const world = pair(both)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(2)
  world.right.command({ kind: 'settings', settings: defaultCoreSettings })
  world.settle()
  logged(world.right, 'ignoring a certificate by hash and URL, charon.hash_and_url = no')
  notLogged(world.right, 'fetching')
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

for (const base of [
  'https://certs.lab/',
  'ftp://certs.lab/',
  'file:///etc/',
  'http://',
  `http://${'a'.repeat(1100)}/`,
]) {
  scenario(`a URL that begins with ${base.slice(0, 20)} is not looked up`, () => {
    const credentials = both.left?.credentials
    assert.ok(credentials)
    const { certificate: authority } = testAuthority(defaultAuthority)
    const left = { ...both.left, credentials: { ...credentials, certUriBases: [{ authority, base }] } }
    const world = inVain({ ...both, left })
    logged(world.right, 'ignoring a certificate by hash and URL')
    if (base !== 'http://') notLogged(world.right, 'fetching')
  })
}
