/**
 * Setting up an IKE SA with one Child SA (RFC 7296 §1.2):
 *
 *   left                                   right
 *    |-- IKE_SA_INIT request 0 ------------->|
 *    |<------------ IKE_SA_INIT response 0 --|
 *    |-- IKE_AUTH request 1 ---------------->|
 *    |<--------------- IKE_AUTH response 1 --|
 */
import assert from 'node:assert/strict'
import { publicKeyId } from '../../src/pki/keys.ts'
import { ENCR, ESN, INTEG, KE, PRF, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import { defaultAuthority, encr, espProposal, identityOf, ikeProposal, integ, subnet } from './connection.ts'
import {
  carriesPacket,
  exchanges,
  logged,
  nothingLeaks,
  onlyChild,
  onlySa,
  saidToPeer,
  sameSingleChild,
} from './expect.ts'
import type { Host } from './host.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import { testAuthority, testCertificate, testKey } from './test-keys.ts'

for (const auth of ['psk', 'p256', 'p384', 'p521', 'rsa2048', 'ed25519', 'ed448'] as const) {
  for (const initiator of ['left', 'right'] as const) {
    scenario(`${auth}, ${initiator} initiates`, () => {
      const world = pair({ auth })
      const answer = world.host(initiator).command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
      assert.equal(answer(), undefined)
      world.deliver(4)
      assert.deepEqual(answer(), { kind: 'done' })
      assert.deepEqual(world.net.flights, [])
      sameSingleChild(world)
      assert.equal(onlySa(world.host(initiator)).initiator, true)
      assert.deepEqual(exchanges(world.host(initiator)), ['IKE_SA_INIT request 0', 'IKE_AUTH request 1'])
      logged(world.left, `authentication of 'right.lab' with ${auth === 'psk' ? 'pre-shared key' : ''}`)
      logged(world.right, `authentication of 'left.lab' with ${auth === 'psk' ? 'pre-shared key' : ''}`)
      world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
      world.settle()
      nothingLeaks(world)
    })
  }
}

/** As charon lists them: a part of the set-up is shown until it is done. */
scenario('the tasks that are left of the set-up', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const [before, after] = [
    ['IKE_CERT_PRE', 'IKE_AUTH', 'IKE_CERT_POST'],
    ['IKE_AUTH_LIFETIME', 'IKE_MOBIKE', 'IKE_ESTABLISH', 'CHILD_CREATE'],
  ]
  const init = ['IKE_VENDOR', 'IKE_INIT', 'IKE_NATD']
  assert.deepEqual(onlySa(world.left).tasksActive, [...init, ...before, 'IKE_CONFIG', ...after])
  world.deliver(2)
  assert.deepEqual(onlySa(world.left).tasksActive, [...before, ...after])
  const waiting = [...before, 'IKE_CONFIG', 'IKE_MOBIKE', 'IKE_ESTABLISH', 'IKE_AUTH_LIFETIME', 'CHILD_CREATE']
  assert.deepEqual(onlySa(world.right).tasksPassive, waiting)
  world.deliver(2)
  for (const host of world.hosts) {
    const { tasksActive, tasksPassive } = onlySa(host)
    assert.deepEqual([...tasksActive, ...tasksPassive], [])
  }
  const shown = (host: Host) =>
    host.events.map((event) => {
      assert.ok(event.kind === 'ike-updown' || event.kind === 'child-updown' || event.kind === 'ike-update')
      return [event.kind, ...event.ikeSa.tasksActive, ...event.ikeSa.tasksPassive]
    })
  assert.deepEqual(shown(world.left), [
    ['ike-updown', 'IKE_ESTABLISH', 'CHILD_CREATE'],
    ['child-updown', 'CHILD_CREATE'],
  ])
  assert.deepEqual(shown(world.right), [
    ['ike-update', ...waiting],
    ['ike-updown', 'IKE_ESTABLISH', 'IKE_AUTH_LIFETIME', 'CHILD_CREATE'],
    ['child-updown', 'CHILD_CREATE'],
  ])
})

for (const [name, options] of Object.entries({
  'a certificate here, a secret there': { left: { auth: 'p256' }, right: { auth: 'psk' } },
  'ECDSA with SHA-384 here, RSA with SHA-256 there': { left: { auth: 'p384' }, right: { auth: 'rsa2048' } },
  'RSASSA-PSS': { auth: 'rsa2048', settings: { rsaPss: true } },
  'IPv6 inside and outside': { outer: 6 },
  'IPv6 in IPv4': { inner: 6 },
  'IPv4 in IPv6': { outer: 6, inner: 4 },
  'transport mode': { mode: 'transport' },
  'transport mode with IPv6': { mode: 'transport', outer: 6 },
  'AES-GCM with 256 bits': { esp: [espProposal([encr(ENCR.AES_GCM_16, 256)])] },
  'ChaCha20-Poly1305': { esp: [espProposal([encr(ENCR.CHACHA20_POLY1305)])] },
  'AES-CBC with SHA2': { esp: [espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)])] },
  'AES-CTR with XCBC': { esp: [espProposal([encr(ENCR.AES_CTR, 128), integ(INTEG.AES_XCBC_96)])] },
  'AES-CCM': { esp: [espProposal([encr(ENCR.AES_CCM_16, 128)])] },
  'IKE with AES-CBC and SHA2': { ike: [ikeProposal([KE.ECP_256], false)] },
  'ECP 384': { ike: [ikeProposal([KE.ECP_384])] },
  'ECP 521': { ike: [ikeProposal([KE.ECP_521])] },
  'Brainpool 256': { ike: [ikeProposal([KE.BRAINPOOL_P256R1])] },
  'MODP 2048': { ike: [ikeProposal([KE.MODP_2048])] },
  X448: { ike: [ikeProposal([KE.CURVE_448])] },
  'ESN and a large replay window': { esp: [espProposal(undefined, [ESN.ESN])], settings: { replayWindow: 4096 } },
  'ESN here only when the peer wants it': {
    left: { child: { espProposals: [espProposal(undefined, [ESN.ESN, ESN.NO_ESN])] } },
    right: { child: { espProposals: [espProposal(undefined, [ESN.NO_ESN])] } },
  },
  'UDP by configuration': { connection: { encap: true } },
  'no replay protection': { child: { replayWindow: 0 } },
  "no policies of ours for the child's other subnet": {
    child: {},
    left: { child: { remoteTs: [subnet('10.2.0.0/16'), subnet('10.3.0.0/16')] } },
    right: { child: { localTs: [subnet('10.2.0.0/16'), subnet('10.3.0.0/16')] } },
  },
} satisfies Record<string, PairOptions>)) {
  scenario(name, () => {
    const world = established(options)
    world.wait(100)
    carriesPacket(world)
    world.right.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
    world.settle()
    nothingLeaks(world)
  })
}

scenario('the proposal that both like best', () => {
  const world = established({
    esp: [
      espProposal([encr(ENCR.CHACHA20_POLY1305)]),
      espProposal([encr(ENCR.AES_GCM_16, 256), encr(ENCR.AES_GCM_16, 128)]),
    ],
    right: {
      child: { espProposals: [espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)]), espProposal()] },
    },
  })
  assert.deepEqual(onlyChild(world.left).proposal.encryption, { id: ENCR.AES_GCM_16, keyBits: 128 })
})

scenario('an IKE proposal with several transforms of each type', () => {
  const world = established({
    left: {
      connection: {
        proposals: [
          {
            protocol: 'IKE',
            transforms: [
              encr(ENCR.AES_CBC, 256),
              encr(ENCR.AES_CBC, 128),
              integ(INTEG.HMAC_SHA2_512_256),
              integ(INTEG.HMAC_SHA2_256_128),
              { type: TRANSFORM_TYPE.PRF, id: PRF.HMAC_SHA2_512 },
              { type: TRANSFORM_TYPE.PRF, id: PRF.HMAC_SHA2_256 },
              { type: TRANSFORM_TYPE.KE, id: KE.CURVE_25519 },
              { type: TRANSFORM_TYPE.KE, id: KE.ECP_256 },
            ],
          },
        ],
      },
    },
    right: { connection: { proposals: [ikeProposal(), ikeProposal([KE.CURVE_25519], false)] } },
  })
  const { proposal } = onlySa(world.right)
  assert.deepEqual(proposal?.encryption, { id: ENCR.AES_CBC, keyBits: 256 })
  assert.equal(proposal?.integrity?.id, INTEG.HMAC_SHA2_256_128)
  assert.equal(proposal?.keyExchange, KE.CURVE_25519)
})

scenario('an IKE SA without a child', () => {
  const world = pair()
  const answer = world.left.command({ kind: 'initiate', ike: 'lab', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
})

scenario('start_action = start', () => {
  const world = pair({ left: { child: { startAction: { trap: false, start: true } } } })
  world.settle()
  sameSingleChild(world)
})

/** Routes by table 220, with a source address inside the local subnet. */
scenario('routes to the remote subnet', () => {
  const world = established({ left: { kernel: { gateway: '192.0.2.254' } } })
  assert.deepEqual(world.left.kernel.routes, [
    {
      family: 4,
      table: 220,
      destination: { address: '10.2.0.0', prefix: 16 },
      source: '10.1.0.1',
      gateway: '192.0.2.254',
      interface: 'eth0',
    },
  ])
})

scenario('policies in, out and fwd with the priorities of charon', () => {
  const { left } = established()
  assert.deepEqual(
    left.kernel.policies.map(({ direction, priority }) => `${direction} ${priority}`).sort(),
    // 400000 - 512 · (16 + 16) - 1
    ['fwd 383615', 'in 383615', 'out 383615'],
  )
})

scenario('both sides say what they support', () => {
  const world = established({ auth: 'p256' })
  for (const host of world.hosts) {
    for (const payload of ['N(NATD_S_IP)', 'N(NATD_D_IP)', 'N(FRAG_SUP)', 'N(HASH_ALG)']) saidToPeer(host, payload)
    // RFC 7427 §4: no protocol, no SPI, 16431; SHA-256, SHA-384, SHA-512 and Identity.
    assert.ok(Buffer.from(host.sent[0]?.bytes ?? []).includes('00100000402f0002000300040005', 'hex'))
    logged(host, '(myself) with ECDSA_WITH_SHA256_DER successful')
  }
})

/** RFC 7296 §1.2: the first CERT payload has the key that AUTH was made with, those of its issuers follow. */
scenario('a certificate of an intermediate CA', () => {
  const root = testAuthority(defaultAuthority)
  const subKey = testKey('ed25519', 'intermediate')
  const sub = { key: subKey, certificate: testCertificate({ name: 'Sub CA', key: subKey, issuer: root, ca: true }) }
  const key = testKey('p256', 'left')
  const leaf = testCertificate({ name: identityOf('left'), key, issuer: sub })
  const credentials = {
    anchors: [root.certificate, sub.certificate],
    certificates: [leaf],
    privateKeys: new Map([[publicKeyId(key), key]]),
    secrets: [],
  }
  const world = established({ auth: 'p256', left: { credentials } })
  const received = world.right.logs.flatMap(({ message }) => /^received (.*) cert "/.exec(message)?.[1] ?? [])
  assert.deepEqual(received, ['end entity', 'issuer'])
})

/** RFC 7427 §3: method 14 is for peers that have said so both ways. */
for (const side of ['left', 'right'] as const) {
  scenario(`signature_authentication = no on ${side}`, () => {
    const world = established({ auth: 'p256', [side]: { settings: { signatureAuthentication: false } } })
    for (const host of world.hosts) logged(host, '(myself) with ECDSA-256 signature successful')
    assert.ok(!world.host(side).sent.some(({ label }) => label.includes('HASH_ALG')))
  })
}

/** Both initiate at once: two IKE SAs, each with its child; nothing of either is lost. */
scenario('both initiate', () => {
  const world = pair()
  for (const host of world.hosts) host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  for (const host of world.hosts) assert.ok(host.sas().length >= 1)
  for (const host of world.hosts)
    host.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})
