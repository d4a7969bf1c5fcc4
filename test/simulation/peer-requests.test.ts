/** What an authentic peer may ask, right or wrong, and what it is told (RFC 7296 §2.5, §2.21, §3). */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { encryption } from '../../src/crypto/encryption.ts'
import { keyExchange } from '../../src/crypto/key-exchange/key-exchange.ts'
import { seededRandom } from '../../src/crypto/random.ts'
import { open, seal } from '../../src/crypto/sealed.ts'
import { Secret } from '../../src/crypto/secret.ts'
import { proposalOf } from '../../src/ike/proposals.ts'
import {
  ENCR,
  ESN,
  EXCHANGE,
  INTEG,
  IPCOMP_TRANSFORM,
  KE,
  NOTIFY,
  PRF,
  PROTOCOL,
  TRANSFORM_TYPE,
} from '../../src/wire/numbers.ts'
import type { Payload, Proposal } from '../../src/wire/payloads/index.ts'
import { formatSelectors } from '../../src/wire/selector.ts'
import { BareInitiator } from './bare-initiator.ts'
import { addresses, encr, espProposal, ikeProposal, subnet } from './connection.ts'
import { nothingLeaks, onlyChild, onlySa } from './expect.ts'
import { pair } from './pair.ts'
import { begun, childOf, create, esp, inform, names, nonce, notify, selectors, spi, the, up } from './peer.ts'
import { scenario } from './scenario.ts'

/** The one proposal of an answer. */
function chosen(payloads: readonly Payload[] | undefined): Proposal {
  const { proposals } = the('SA', payloads)
  assert.equal(proposals.length, 1)
  return proposals[0] as Proposal // there is one
}

const critical: Payload = { type: 'Unknown', number: 200, critical: true, body: new Uint8Array(3) }
/** A Delete payload that ends before its SPI. */
const malformed: Payload = { type: 'Unknown', number: 42, critical: false, body: Uint8Array.of(3, 4, 0, 1, 9) }

// --- errors of the whole message --------------------------------------------------------------------------------

/** §2.21.2: rejected as a whole, told so and nothing else, and nothing in it is verified. */
scenario('IKE_AUTH with an unknown critical payload', () => {
  const { world, peer } = begun()
  assert.deepEqual(names(peer.auth({ more: [critical, ...childOf()] })), ['N(UNSUPPORTED_CRITICAL_PAYLOAD c8)'])
  assert.deepEqual(world.right.sas(), [])
  assert.ok(!world.right.logs.some(({ message }) => message.includes('authentication of')))
  nothingLeaks(world)
})

scenario('IKE_AUTH that is malformed', () => {
  const { world, peer } = begun()
  assert.deepEqual(names(peer.auth({ more: [malformed, ...childOf()] })), ['N(INVALID_SYNTAX)'])
  assert.deepEqual(world.right.sas(), [])
  assert.ok(!world.right.logs.some(({ message }) => message.includes('authentication of')))
  nothingLeaks(world)
})

for (const exchange of ['CREATE_CHILD_SA', 'INFORMATIONAL'] as const) {
  scenario(`${exchange} with an unknown critical payload: refused, and the IKE SA stays`, () => {
    const { world, peer } = up()
    const request =
      exchange === 'INFORMATIONAL' ? [] : [{ type: 'SA', proposals: [esp] } as const, nonce, ...selectors()]
    const answer = peer.exchange(EXCHANGE[exchange], [...request, critical])
    assert.deepEqual(names(answer?.payloads), ['N(UNSUPPORTED_CRITICAL_PAYLOAD c8)'])
    assert.deepEqual(onlySa(world.right).children, [])
    assert.deepEqual(names(inform(peer)), [])
  })

  scenario(`${exchange} with an unknown payload that is not critical: ignored`, () => {
    const { peer } = up()
    const request =
      exchange === 'INFORMATIONAL' ? [] : [{ type: 'SA', proposals: [esp] } as const, nonce, ...selectors()]
    const answer = peer.exchange(EXCHANGE[exchange], [{ ...critical, critical: false }, ...request])
    assert.deepEqual(names(answer?.payloads), exchange === 'INFORMATIONAL' ? [] : ['SA', 'Nonce', 'TSi', 'TSr'])
  })

  /** §2.21.3: fatal for the IKE SA on both sides, without a Delete. */
  scenario(`${exchange} that is malformed: INVALID_SYNTAX, and the IKE SA is gone`, () => {
    const { world, peer } = up({}, childOf())
    const before = world.right.sent.length
    assert.deepEqual(names(peer.exchange(EXCHANGE[exchange], [malformed])?.payloads), ['N(INVALID_SYNTAX)'])
    world.wait(200)
    assert.equal(world.right.sent.length - before, 1)
    nothingLeaks(world)
  })
}

for (const [what, payloads] of [
  ['without a nonce', childOf()],
  ['without selectors', [{ type: 'SA', proposals: [esp] }, nonce]],
  ['with two SA payloads', [...childOf(), ...childOf(), nonce]],
] as const satisfies readonly (readonly [string, readonly Payload[]])[]) {
  scenario(`CREATE_CHILD_SA ${what}: INVALID_SYNTAX, and the IKE SA is gone`, () => {
    const { world, peer } = up()
    assert.deepEqual(names(create(peer, ...payloads)), ['N(INVALID_SYNTAX)'])
    nothingLeaks(world)
  })
}

/** §2.16: whoever leaves out AUTH wants EAP, which no connection offers. */
scenario('IKE_AUTH without AUTH', () => {
  const { world, peer } = begun()
  assert.deepEqual(names(peer.auth({ withoutAuth: true, more: childOf() })), ['N(AUTHENTICATION_FAILED)'])
  nothingLeaks(world)
})

// --- what is ignored ----------------------------------------------------------------------------------------------

/** §3.10.1, §3.12: unknown error types in requests, unknown status types and Vendor IDs. */
scenario('unknown notifies and Vendor IDs are ignored, in every exchange', () => {
  const strange: Payload[] = [
    notify(8191),
    notify(9000, { data: Uint8Array.of(1) }),
    notify(40959),
    notify(50000, { protocol: 77, spi: new Uint8Array(3) }),
    { type: 'V', data: Uint8Array.of(1, 2, 3) },
    { type: 'V', data: new Uint8Array() },
  ]
  const { world, peer } = up({}, [...strange, ...childOf()])
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  assert.deepEqual(names(inform(peer, ...strange)), [])
  const answer = create(
    peer,
    ...strange,
    { type: 'SA', proposals: [{ ...esp, spi: spi.toReversed() }] },
    nonce,
    ...selectors(),
  )
  assert.deepEqual(names(answer), ['SA', 'Nonce', 'TSi', 'TSr'])
  assert.equal(onlySa(world.right).children.length, 2)
})

/** §2.9: a type of selector that we do not know is ignored, and not returned. */
scenario('selectors of unknown types are ignored', () => {
  const { peer } = up()
  const other = { kind: 'other', tsType: 77, protocol: 0, data: new Uint8Array(9) } as const
  const offer = selectors().map((payload) =>
    payload.type === 'TSi' || payload.type === 'TSr'
      ? { ...payload, selectors: [other, ...payload.selectors, other] }
      : payload,
  )
  const answer = create(peer, { type: 'SA', proposals: [esp] }, nonce, ...offer)
  assert.deepEqual(answer?.slice(-2), selectors())
})

scenario('only selectors of unknown types', () => {
  const { peer } = up()
  const other = { kind: 'other', tsType: 77, protocol: 0, data: new Uint8Array(9) } as const
  const offer: Payload[] = [
    { type: 'TSi', selectors: [other] },
    { type: 'TSr', selectors: [other] },
  ]
  assert.deepEqual(names(create(peer, { type: 'SA', proposals: [esp] }, nonce, ...offer)), ['N(TS_UNACCEPTABLE)'])
})

/** §3.10: where the SPI is empty the protocol says nothing; §3.1: flags without a meaning neither. */
scenario('the protocol of a notify without SPI, and reserved flags of the header', () => {
  const { world, peer } = up({ mode: 'transport' })
  const hosts = selectors('192.0.2.1/32', '192.0.2.2/32')
  const request = [
    notify(NOTIFY.USE_TRANSPORT_MODE, { protocol: 3 }),
    { type: 'SA', proposals: [esp] } as const,
    nonce,
    ...hosts,
  ]
  // Bits 0 to 2, 6 and 7 are reserved, bit 4 says that the sender could do a higher version.
  const answer = peer.exchange(EXCHANGE.CREATE_CHILD_SA, request, { reserved: 0xd7 })
  assert.equal(names(answer?.payloads)?.[0], 'N(USE_TRANSPORT_MODE)')
  assert.equal(onlyChild(world.right).mode, 'TRANSPORT')
  const flags = world.right.sent.at(-1)?.bytes[19]
  assert.equal(flags, 0x20, 'a response of the original responder, and nothing else')
})

scenario('a response that nobody waits for is not answered', () => {
  const { world, peer } = up()
  const before = world.right.sent.length
  assert.equal(peer.exchange(EXCHANGE.INFORMATIONAL, [], { reserved: 0x20 }), undefined)
  assert.equal(world.right.sent.length, before)
  assert.deepEqual(names(inform(peer)), [])
})

/** §2.21.4, §3.10.1: a report about packets. It is heard, and changes nothing. */
for (const type of ['INVALID_SELECTORS', 'INVALID_SPI'] as const) {
  scenario(`the peer reports ${type}`, () => {
    const { world, peer } = up({}, childOf())
    const before = onlyChild(world.right)
    const about = { protocol: PROTOCOL.ESP, spi, data: new Uint8Array(20) }
    assert.deepEqual(
      names(inform(peer, notify(NOTIFY[type], type === 'INVALID_SELECTORS' ? about : { data: spi }))),
      [],
    )
    assert.equal(onlySa(world.right).state, 'ESTABLISHED')
    assert.deepEqual([onlyChild(world.right).spiIn, onlyChild(world.right).state], [before.spiIn, 'INSTALLED'])
  })
}

/** §2.11: from any port, and back to it from where it came to. */
scenario('a peer at another port than 500 and 4500', () => {
  const world = pair()
  const peer = new BareInitiator(world, ikeProposal(), { address: '192.0.2.1', port: 1234 })
  peer.init()
  peer.auth()
  inform(peer)
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  for (const { source, destination } of world.net.flights) {
    assert.deepEqual(
      [source, destination],
      [
        { address: '192.0.2.2', port: 500 },
        { address: '192.0.2.1', port: 1234 },
      ],
    )
  }
  assert.equal(world.net.flights.length, 3)
})

/** §2.11: the answer comes from the address that was asked. */
scenario('a host with two addresses answers from the one that was asked', () => {
  const world = pair({
    right: { kernel: { addresses: ['192.0.2.99', '192.0.2.2'] }, connection: { localAddresses: addresses('%any') } },
  })
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  peer.auth()
  inform(peer)
  assert.deepEqual(
    world.net.flights.map(({ source }) => source.address),
    ['192.0.2.99', '192.0.2.99', '192.0.2.99'],
  )
})

// --- proposals --------------------------------------------------------------------------------------------------

const strangeType = { type: 200, id: 1 }
const noEsn = { type: TRANSFORM_TYPE.ESN, id: ESN.NO_ESN }

/** §3.3.6: what cannot be accepted is passed over; of what is left one proposal, with one transform of each type. */
scenario('of several proposals the one without unknown or missing types, of its transforms the known ones', () => {
  const { peer } = up()
  const answer = create(
    peer,
    {
      type: 'SA',
      proposals: [
        { ...esp, transforms: [...esp.transforms, strangeType] },
        { ...esp, number: 2, transforms: [noEsn] },
        { ...esp, number: 3, transforms: [encr(ENCR.AES_GCM_16, 128)] },
        { ...esp, number: 4, transforms: [encr(ENCR.AES_GCM_16), noEsn] },
        {
          ...esp,
          number: 5,
          transforms: [
            encr(5000, 128),
            { ...encr(ENCR.AES_GCM_16, 128), unknownAttributes: [{ type: 99, value: new Uint8Array(2), short: true }] },
            encr(ENCR.AES_GCM_16, 256),
            encr(ENCR.AES_GCM_16, 128),
            { type: TRANSFORM_TYPE.ESN, id: 3 },
            { type: TRANSFORM_TYPE.ESN, id: ESN.ESN },
            noEsn,
          ],
        },
        { ...esp, number: 6 },
      ],
    },
    nonce,
    ...selectors(),
  )
  const { number, protocol, spi: theirs, transforms } = chosen(answer)
  assert.deepEqual([number, protocol, theirs.length], [5, PROTOCOL.ESP, 4])
  assert.deepEqual(transforms, [encr(ENCR.AES_GCM_16, 128), noEsn])
})

scenario('no proposal that can be accepted', () => {
  const { world, peer } = up()
  const bad = [
    { ...esp, transforms: [encr(ENCR.AES_GCM_16, 256), noEsn] },
    { ...esp, number: 2, transforms: [encr(ENCR.AES_GCM_16, 128)] },
    { ...esp, number: 3, transforms: [...esp.transforms, { type: TRANSFORM_TYPE.INTEG, id: INTEG.HMAC_SHA2_256_128 }] },
  ]
  assert.deepEqual(names(create(peer, { type: 'SA', proposals: bad }, nonce, ...selectors())), [
    'N(NO_PROPOSAL_CHOSEN)',
  ])
  assert.deepEqual(onlySa(world.right).children, [])
})

/** §3.3: integrity NONE beside a combined-mode cipher is as good as no integrity, and comes back as it was. */
scenario('a combined-mode cipher with integrity NONE', () => {
  const { peer } = up()
  const transforms = [...esp.transforms, { type: TRANSFORM_TYPE.INTEG, id: INTEG.NONE }]
  const answer = create(peer, { type: 'SA', proposals: [{ ...esp, transforms }] }, nonce, ...selectors())
  assert.deepEqual(
    chosen(answer)
      .transforms.map(({ type, id }) => `${type} ${id}`)
      .sort(),
    ['1 20', '3 0', '5 0'],
  )
})

const group = { type: TRANSFORM_TYPE.KE, id: KE.CURVE_25519 }
const noGroup = { type: TRANSFORM_TYPE.KE, id: KE.NONE }
const value: Payload = { type: 'KE', method: KE.CURVE_25519, data: new Uint8Array(32).fill(9) }
const pfs = (...ids: readonly number[]) => {
  const { protocol, transforms } = espProposal()
  return { protocol, transforms: [...transforms, ...ids.map((id) => ({ type: TRANSFORM_TYPE.KE, id }))] }
}

/** §3.3.6: with NONE selected a KE payload is ignored, and there is none in the answer. */
scenario('a key exchange that is offered beside NONE, and not wanted', () => {
  const { world, peer } = up()
  const proposals = [{ ...esp, transforms: [...esp.transforms, group, noGroup] }]
  const answer = create(peer, { type: 'SA', proposals }, nonce, value, ...selectors())
  assert.deepEqual(names(answer), ['SA', 'Nonce', 'TSi', 'TSr'])
  assert.ok(chosen(answer).transforms.some(({ type, id }) => type === TRANSFORM_TYPE.KE && id === KE.NONE))
  assert.equal(onlyChild(world.right).proposal.keyExchange, undefined)
})

scenario('a key exchange of another group than the proposal that is selected', () => {
  const { world, peer } = up({ esp: [pfs(KE.ECP_384)] })
  const proposals = [{ ...esp, transforms: [...esp.transforms, group, { ...group, id: KE.ECP_384 }] }]
  const answer = create(peer, { type: 'SA', proposals }, nonce, value, ...selectors())
  assert.deepEqual(names(answer), ['N(INVALID_KE_PAYLOAD 0014)'])
  assert.deepEqual(onlySa(world.right).children, [])
})

const ike = (more: Partial<Proposal> = {}): Proposal => ({
  ...proposalOf(ikeProposal(), 1, new Uint8Array(8).fill(3)),
  ...more,
})

/** §2.18: a rekeying of the IKE SA has a key exchange. */
for (const [what, proposal] of [
  ['group NONE', ike({ transforms: [...ike().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.KE), noGroup] })],
  ['no group', ike({ transforms: ike().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.KE) })],
  ['no prf', ike({ transforms: ike().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.PRF) })],
  [
    'another prf',
    ike({ transforms: ike().transforms.map((t) => (t.type === TRANSFORM_TYPE.PRF ? { ...t, id: PRF.HMAC_SHA1 } : t)) }),
  ],
  ['no encryption', ike({ transforms: ike().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.ENCR) })],
  [
    'ENCR_NULL',
    ike({
      transforms: ike().transforms.map((t) => (t.type === TRANSFORM_TYPE.ENCR ? { type: t.type, id: ENCR.NULL } : t)),
    }),
  ],
  ['no SPI', ike({ spi: new Uint8Array() })],
  ['an SPI of zeros', ike({ spi: new Uint8Array(8) })],
] as const) {
  scenario(`the IKE SA is to be rekeyed with ${what}: NO_PROPOSAL_CHOSEN`, () => {
    const { world, peer } = up()
    assert.deepEqual(names(create(peer, { type: 'SA', proposals: [proposal] }, nonce, value)), [
      'N(NO_PROPOSAL_CHOSEN)',
    ])
    assert.equal(onlySa(world.right).state, 'ESTABLISHED')
    assert.deepEqual(names(inform(peer)), [])
  })
}

/** prf+ of RFC 7296 §2.13 with HMAC-SHA-512. */
function expand(key: Uint8Array, seed: Uint8Array, length: number): Buffer {
  let [block, all] = [Buffer.alloc(0), Buffer.alloc(0)]
  for (let n = 1; all.length < length; n++) {
    block = createHmac('sha512', key).update(block).update(seed).update(Uint8Array.of(n)).digest()
    all = Buffer.concat([all, block])
  }
  return all.subarray(0, length)
}

/**
 * §2.18: SKEYSEED comes from the prf of the old IKE SA, the keys from that of the new one. The peer that rekeys is the
 * original initiator, and messages count from 0.
 */
scenario('the IKE SA is rekeyed with another prf', () => {
  const suite = (id: number, number: number) => ({
    ...ike({ number }),
    transforms: ike().transforms.map((t) => (t.type === TRANSFORM_TYPE.PRF ? { ...t, id } : t)),
  })
  const { world, peer } = up({
    right: {
      connection: {
        proposals: [ikeProposal(), { protocol: 'IKE', transforms: suite(PRF.HMAC_SHA2_512, 2).transforms }],
      },
    },
  })
  const x25519 = keyExchange(KE.CURVE_25519)
  const encryptor = encryption(ENCR.AES_GCM_16)
  assert.ok(x25519 && encryptor)
  const pair = x25519.generate(seededRandom(1))
  const answer = create(peer, { type: 'SA', proposals: [suite(PRF.HMAC_SHA2_512, 1)] }, nonce, {
    type: 'KE',
    method: KE.CURVE_25519,
    data: pair.public,
  })
  const [spiI, spiR] = [new Uint8Array(8).fill(3), chosen(answer).spi]
  assert.equal(spiR.length, 8)
  const nonces = Buffer.concat([new Uint8Array(32).fill(7), the('Nonce', answer).nonce])
  const shared = x25519.finish(pair.private, the('KE', answer).data).bytes()
  const seed = createHmac('sha256', peer.keys.d.bytes()).update(shared).update(nonces).digest()
  // SK_d, no SK_a, SK_e with 4 octets of salt.
  const keymat = expand(seed, Buffer.concat([nonces, spiI, spiR]), 64 + 2 * 20)
  const [ei, er] = [keymat.subarray(64, 84), keymat.subarray(84)].map((key) => Secret.of(Uint8Array.from(key)))
  assert.ok(ei && er)
  const common = { suite: { encr: encryptor, keyBits: 128 }, keyA: Secret.of(new Uint8Array()) }
  const message = seal({
    ...common,
    keyE: ei,
    header: { spiI, spiR, exchange: EXCHANGE.INFORMATIONAL, flags: 0x08, messageId: 0 },
    inner: { first: 0, bytes: new Uint8Array() },
    iv: new Uint8Array(8),
  })
  world.inject(world.right, { address: '192.0.2.1', port: 500 }, message)
  const response = world.right.sent.at(-1)?.bytes
  assert.ok(response)
  assert.deepEqual([...response.subarray(8, 24)], [...spiR, 46, 0x20, EXCHANGE.INFORMATIONAL, 0x20, 0, 0, 0, 0])
  assert.equal(open({ ...common, keyE: er, message: response, start: 28, fragment: false }).length, 0)
})

/** §2.10, §3.9: fresh for each exchange, and long enough for every prf that we have. */
scenario('nonces are fresh', () => {
  const { world, peer } = up({ esp: [pfs(KE.CURVE_25519)] })
  const seen = new Set<string>()
  const publics = new Set<string>()
  for (let i = 0; i < 5; i++) {
    const proposals = [{ ...esp, spi: Uint8Array.of(1, 2, 3, i), transforms: [...esp.transforms, group] }]
    const answer: readonly Payload[] = create(peer, { type: 'SA', proposals }, nonce, value, ...selectors()) ?? []
    for (const payload of answer) {
      if (payload.type === 'KE') publics.add(Buffer.from(payload.data).toString('hex'))
      if (payload.type !== 'Nonce') continue
      assert.equal(payload.nonce.length, 32)
      seen.add(Buffer.from(payload.nonce).toString('hex'))
    }
  }
  assert.deepEqual([seen.size, publics.size], [5, 5])
  assert.equal(onlySa(world.right).children.length, 5)
})

// --- Child SAs ---------------------------------------------------------------------------------------------------

const rekeyed = (ours: Uint8Array, protocol: number = PROTOCOL.ESP) => notify(NOTIFY.REKEY_SA, { protocol, spi: ours })

/** §2.25: the notify names what is not there, as the request did. */
scenario('a rekeying of a Child SA that is not there', () => {
  const { peer } = up({}, childOf())
  const unknown = Uint8Array.of(1, 1, 1, 1)
  const answer = create(peer, rekeyed(unknown), { type: 'SA', proposals: [esp] }, nonce, ...selectors())
  assert.deepEqual(answer, [notify(NOTIFY.CHILD_SA_NOT_FOUND, { protocol: PROTOCOL.ESP, spi: unknown })])
})

/** §2.9.2: the selectors in use stay, whatever the configuration allows by now. */
scenario('a rekeying after the configuration allows less', () => {
  const { world, peer } = up({}, childOf())
  const answer = world.right.command({ kind: 'list-connections' })()
  assert.ok(answer?.kind === 'connections')
  const [connection] = answer.connections
  const [child] = connection?.children ?? []
  assert.ok(connection && child)
  world.right.command({
    kind: 'load-connection',
    connection: {
      ...connection,
      children: [{ ...child, localTs: [subnet('10.2.5.0/24')], remoteTs: [subnet('10.1.5.0/24')] }],
    },
  })
  world.finishJobs()
  const proposals = [{ ...esp, spi: Uint8Array.of(5, 5, 5, 5) }]
  const rekeying = create(peer, rekeyed(spi), { type: 'SA', proposals }, nonce, ...selectors())
  assert.deepEqual(rekeying?.slice(-2), selectors())
  const made = onlySa(world.right).children.find(({ spiOut }) => spiOut === 0x05050505)
  assert.ok(made)
  assert.equal(`${formatSelectors(made.localTs)} ${formatSelectors(made.remoteTs)}`, '10.2.0.0/16 10.1.0.0/16')
})

/** §3.11, §1.4.1: each Delete has one protocol; the answer names our halves of what was there. */
scenario('several Delete payloads in one request', () => {
  const { world, peer } = up({}, childOf())
  const ours = Buffer.alloc(4)
  ours.writeUInt32BE(onlyChild(world.right).spiIn)
  const answer = inform(
    peer,
    { type: 'D', protocol: PROTOCOL.AH, spiSize: 4, spis: [spi] },
    { type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [Uint8Array.of(1, 1, 1, 1), spi] },
  )
  assert.deepEqual(answer, [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [Uint8Array.from(ours)] }])
  assert.deepEqual(onlySa(world.right).children, [])
})

scenario('a Delete of a Child SA that is not there is answered without one', () => {
  const { world, peer } = up({}, childOf())
  assert.deepEqual(
    inform(peer, { type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [Uint8Array.of(1, 1, 1, 1)] }),
    [],
  )
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
})

/** §2.22: of several algorithms one is accepted, if it is one that we have, beside the SA payload and nowhere else. */
scenario('the peer offers several IPComp algorithms', () => {
  const ipcomp = (hex: string) => notify(NOTIFY.IPCOMP_SUPPORTED, { data: Uint8Array.from(Buffer.from(hex, 'hex')) })
  const offers = [ipcomp('111103'), ipcomp('222202'), ipcomp('333302'), ipcomp('444401')]
  const { world, peer } = up({ child: { ipcomp: true } })
  const answer = create(peer, ...offers, { type: 'SA', proposals: [esp] }, nonce, ...selectors()) ?? []
  const said = answer.filter((payload) => payload.type === 'N' && payload.notify === NOTIFY.IPCOMP_SUPPORTED)
  assert.equal(said.length, 1)
  assert.equal(the('N', said).data[2], IPCOMP_TRANSFORM.DEFLATE)
  assert.equal(onlyChild(world.right).cpiOut, 0x2222)
  assert.deepEqual(names(inform(peer, ...offers)), [])
})

for (const [what, hex] of [
  ['none that we have', '111103'],
  ['none at all', ''],
] as const) {
  scenario(`the peer offers IPComp algorithms, ${what}`, () => {
    const offer =
      hex === '' ? [] : [notify(NOTIFY.IPCOMP_SUPPORTED, { data: Uint8Array.from(Buffer.from(hex, 'hex')) })]
    const { world, peer } = up({ child: { ipcomp: true } })
    const answer = create(peer, ...offer, { type: 'SA', proposals: [esp] }, nonce, ...selectors())
    assert.deepEqual(names(answer), ['SA', 'Nonce', 'TSi', 'TSr'])
    assert.equal(onlyChild(world.right).cpiOut, undefined)
  })
}

// --- the configuration payload -----------------------------------------------------------------------------------

const cp = (cfgType: number, ...types: readonly number[]): Payload => ({
  type: 'CP',
  cfgType,
  attributes: types.map((type) => ({ type, value: new Uint8Array() })),
})

/** §2.20: the version is not told, which an empty string says; §3.15.1: unknown attributes are ignored. */
scenario('the peer asks for our version', () => {
  const { peer } = up()
  assert.deepEqual(inform(peer, cp(1, 7, 12345)), [cp(2, 7)])
})

/** §3.15.1: nothing of a CFG_SET is accepted. */
scenario('the peer wants to set something', () => {
  const { world, peer } = up()
  const set: Payload = { type: 'CP', cfgType: 3, attributes: [{ type: 1, value: Uint8Array.of(10, 0, 0, 1) }] }
  assert.deepEqual(inform(peer, set), [])
  assert.deepEqual([onlySa(world.right).localVips, onlySa(world.right).remoteVips], [[], []])
})

/** §2.19: no CFG_REPLY without CFG_REQUEST. */
scenario('nobody asked for a configuration', () => {
  const { peer } = begun({ right: { settings: { attributes: [{ name: 'dns', values: ['10.2.0.53'] }] } } })
  const answer = peer.auth({ more: childOf() })
  assert.deepEqual(
    names(answer)?.filter((name) => !name.startsWith('N(')),
    ['IDr', 'AUTH', 'SA', 'TSi', 'TSr'],
  )
})
