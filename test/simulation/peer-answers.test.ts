/** What a host asks of an authentic peer, and what it makes of its answers, right or wrong (RFC 7296 §2.9, §2.21, §3). */
import assert from 'node:assert/strict'
import { EXCHANGE, IPCOMP_TRANSFORM, KE, NOTIFY, PROTOCOL, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import type { Payload, Proposal } from '../../src/wire/payloads/index.ts'
import { formatSelectors } from '../../src/wire/selector.ts'
import type { BareInitiator } from './bare-initiator.ts'
import { encr, espProposal, ikeProposal } from './connection.ts'
import { carries, failed, logged, nothingLeaks, onlyChild, onlySa } from './expect.ts'
import type { PairOptions } from './pair.ts'
import { childOf, esp, names, nonce, notify, selectors, spi, the, type Up, up } from './peer.ts'
import { espWith, rekey } from './rekey.ts'
import { scenario } from './scenario.ts'

/** The host asks for its child over the IKE SA that the peer has begun. */
function asked(
  options: PairOptions = {},
): Up & { answer: () => ReturnType<ReturnType<Up['world']['right']['command']>> } {
  const { world, peer } = up(options)
  const answer = world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  assert.equal(peer.asked().exchange, EXCHANGE.CREATE_CHILD_SA)
  return { world, peer, answer }
}

/** The selectors of the host are TSi here. */
const granted: readonly Payload[] = [
  { type: 'SA', proposals: [esp] },
  nonce,
  ...selectors('10.2.0.0/16', '10.1.0.0/16'),
]

function texts(payloads: readonly Payload[]): string {
  return `${formatSelectors(the('TSi', payloads).selectors)} === ${formatSelectors(the('TSr', payloads).selectors)}`
}

/** The host has taken back what it did not like: the peer is told by a Delete of the host's SPI, and nothing else. */
function deletes({ world, peer }: Up, spiIn: Uint8Array): void {
  const { exchange, payloads } = peer.asked()
  assert.equal(exchange, EXCHANGE.INFORMATIONAL)
  assert.deepEqual(payloads, [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [spiIn] }])
  peer.answer([])
  assert.deepEqual(onlySa(world.right).children, [])
  assert.deepEqual(world.right.kernel.states, [])
}

/** The SPI that the host offers. */
function offered(peer: BareInitiator): Uint8Array {
  const [proposal] = the('SA', peer.asked().payloads).proposals
  assert.ok(proposal)
  return proposal.spi
}

/** RFC 6989 §2.5: whoever sends it is faulty or malicious. The peer believes that the Child SA is there. */
for (const what of ['child', 'IKE SA'] as const) {
  scenario(`an answer with a public value that cannot be ends the IKE SA: ${what}`, () => {
    const { world, peer } = up({ ike: [ikeProposal([KE.CURVE_25519, KE.ECP_256])], esp: [espWith(KE.ECP_256)] })
    if (what === 'child') world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    else rekey(world.right, 'IKE SA')
    world.finishJobs()
    const { payloads } = peer.asked()
    const [offer] = the('SA', payloads).proposals
    assert.ok(offer)
    const { method, data } = the('KE', payloads)
    const transforms = offer.transforms.filter(({ type, id }) => type !== TRANSFORM_TYPE.KE || id === method)
    const one = { ...offer, spi: what === 'child' ? spi : new Uint8Array(8).fill(5), transforms }
    const chosen: Payload[] = [{ type: 'SA', proposals: [one] }, nonce]
    // Not a point of P-256; the neutral element of X25519.
    const wrong = new Uint8Array(data.length).fill(method === KE.ECP_256 ? 0xff : 0)
    const rest = what === 'child' ? selectors('10.2.0.0/16', '10.1.0.0/16') : []
    peer.answer([...chosen, { type: 'KE', method, data: wrong }, ...rest])
    world.finishJobs()
    const { exchange, payloads: last } = peer.asked()
    assert.deepEqual([exchange, names(last)], [EXCHANGE.INFORMATIONAL, ['D']])
    assert.equal(the('D', last).protocol, PROTOCOL.IKE)
    peer.answer([])
    world.finishJobs()
    assert.deepEqual(world.right.sas(), [])
    assert.deepEqual(world.right.kernel.states, [])
  })
}

// --- what is asked ----------------------------------------------------------------------------------------------

/** §3.3: proposals count from 1, have our inbound SPI, and are as they were configured. */
scenario('the offer of a Child SA', () => {
  const first = espWith(KE.ECP_384, KE.CURVE_25519)
  const { peer } = asked({ esp: [first, espProposal([encr(20, 256)])] })
  const { payloads } = peer.asked()
  assert.deepEqual(names(payloads), ['SA', 'Nonce', 'KE', 'TSi', 'TSr'])
  const { proposals } = the('SA', payloads)
  assert.deepEqual(
    proposals.map(({ number, protocol, spi: { length } }) => [number, protocol, length]),
    [
      [1, PROTOCOL.ESP, 4],
      [2, PROTOCOL.ESP, 4],
    ],
  )
  assert.deepEqual(proposals[0]?.transforms, first.transforms)
  assert.equal(the('Nonce', payloads).nonce.length, 32)
  // §3.4: the group is the first one of the first proposal.
  const { method, data } = the('KE', payloads)
  assert.deepEqual([method, data.length], [KE.ECP_384, 96])
  assert.equal(texts(payloads), '10.2.0.0/16 === 10.1.0.0/16')
})

/** §3.4: no group, no KE payload. */
scenario('the offer of a Child SA without key exchange', () => {
  assert.deepEqual(names(asked().peer.asked().payloads), ['SA', 'Nonce', 'TSi', 'TSr'])
})

/** §2.18, §3.3.1: a new SPI of 8 octets, and a group in every proposal. */
scenario('the offer to rekey the IKE SA', () => {
  const { world, peer } = up({ ike: [ikeProposal(), ikeProposal([KE.ECP_256], false)] })
  rekey(world.right, 'IKE SA')
  world.finishJobs()
  const { payloads } = peer.asked()
  assert.deepEqual(names(payloads), ['SA', 'Nonce', 'KE'])
  const { proposals } = the('SA', payloads)
  assert.deepEqual(
    proposals.map(({ number, protocol, spi: { length } }) => [number, protocol, length]),
    [
      [1, PROTOCOL.IKE, 8],
      [2, PROTOCOL.IKE, 8],
    ],
  )
  for (const { spi: own, transforms } of proposals) {
    assert.ok(own.some((octet) => octet !== 0))
    const groups = transforms.filter(({ type }) => type === TRANSFORM_TYPE.KE)
    assert.ok(groups.length > 0 && groups.every(({ id }) => id !== KE.NONE))
  }
})

/** §2.9: the packet's own selectors come first; §2.9.2: not when the Child SA is rekeyed. */
scenario('a packet asks for a Child SA, which is rekeyed later', () => {
  const { world, peer } = up({ right: { child: { startAction: { trap: true, start: false } } } })
  carries(world, world.right)
  world.finishJobs()
  assert.equal(texts(peer.asked().payloads), '10.2.0.1/32[udp/40000] 10.2.0.0/16 === 10.1.0.1/32[udp/53] 10.1.0.0/16')
  peer.answer(granted)
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  const own = Buffer.alloc(4)
  own.writeUInt32BE(onlyChild(world.right).spiIn)
  rekey(world.right, 'child')
  world.finishJobs()
  const { payloads } = peer.asked()
  assert.equal(texts(payloads), '10.2.0.0/16 === 10.1.0.0/16')
  // §1.3.3, §3.10: REKEY_SA names the SPI that its sender receives on.
  assert.deepEqual(payloads[0], notify(NOTIFY.REKEY_SA, { protocol: PROTOCOL.ESP, spi: Uint8Array.from(own) }))
})

/** §2.9.2: what was narrowed is rekeyed as it is in use. */
scenario('a narrowed Child SA is rekeyed', () => {
  const { world, peer } = asked()
  peer.answer([{ type: 'SA', proposals: [esp] }, nonce, ...selectors('10.2.3.0/24', '10.1.0.0/16')])
  rekey(world.right, 'child')
  world.finishJobs()
  assert.equal(texts(peer.asked().payloads), '10.2.3.0/24 === 10.1.0.0/16')
})

// --- what is answered -------------------------------------------------------------------------------------------

/** §3.10.1, §3.12: status types and Vendor IDs that nobody knows. */
scenario('an answer with unknown status notifies and Vendor IDs', () => {
  const { world, peer, answer } = asked()
  peer.answer([notify(40959), { type: 'V', data: Uint8Array.of(1) }, ...granted, notify(50000, { data: spi })])
  assert.deepEqual(answer(), { kind: 'done' })
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
})

/** §3.10.1: an error in an answer, also an unknown one, means that the request has failed entirely. */
for (const type of [8191, NOTIFY.NO_ADDITIONAL_SAS]) {
  for (const [what, rest] of [
    ['alone', []],
    ['beside what looks like a success', granted],
  ] as const) {
    scenario(`an answer with error ${type}, ${what}`, () => {
      const { world, peer, answer } = asked()
      const before = world.right.sent.length
      peer.answer([...rest, notify(type)])
      failed(answer(), /failed/)
      assert.deepEqual(onlySa(world.right).children, [])
      assert.deepEqual(world.right.kernel.states, [])
      // §2.21.3: what is wrong with an answer is not reported.
      assert.equal(world.right.sent.length, before)
      assert.equal(onlySa(world.right).state, 'ESTABLISHED')
    })
  }
}

scenario('an answer with an unknown error to a rekeying of the IKE SA', () => {
  const { world, peer } = up()
  rekey(world.right, 'IKE SA')
  world.finishJobs()
  const [offer] = the('SA', peer.asked().payloads).proposals
  assert.ok(offer)
  const value: Payload = { type: 'KE', method: KE.CURVE_25519, data: new Uint8Array(32).fill(9) }
  peer.answer([{ type: 'SA', proposals: [{ ...offer, spi: new Uint8Array(8).fill(1) }] }, nonce, value, notify(8191)])
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
})

/**
 *   HDR, SK {SA, Ni, KEi}  -->
 *                      <--  HDR, SK {SA, Nr, KEr}     not what we asked for
 *   HDR, SK {D}  -->
 *                      <--  HDR, SK {}
 *   HDR, SAi1, KEi, Ni  -->                           the child must stay up
 *
 * The peer believes that there is a new IKE SA, of which we have no keys, and takes nothing more on the old one.
 */
for (const [what, bad] of [
  ['without a nonce', (sound: readonly Payload[]) => sound.filter(({ type }) => type !== 'Nonce')],
  ['without a key exchange', (sound: readonly Payload[]) => sound.filter(({ type }) => type !== 'KE')],
  [
    'that cannot be read',
    (sound: readonly Payload[]) =>
      sound.map((one) => (one.type === 'Nonce' ? { ...one, nonce: new Uint8Array(3) } : one)),
  ],
  ['with two nonces', (sound: readonly Payload[]) => [...sound, nonce]],
  [
    'with a proposal that is not ours',
    (sound: readonly Payload[]) =>
      sound.map((one) =>
        one.type === 'SA' ? { ...one, proposals: one.proposals.map((p) => ({ ...p, number: 9 })) } : one,
      ),
  ],
] as const) {
  scenario(`an answer to a rekeying of the IKE SA ${what}: the IKE SA is closed, and made anew`, () => {
    const start = { trap: false, start: true }
    const { world, peer } = up({ right: { child: { dpdAction: start } } }, childOf())
    rekey(world.right, 'IKE SA')
    world.finishJobs()
    const { payloads } = peer.asked()
    const [offer] = the('SA', payloads).proposals
    assert.ok(offer)
    const { method } = the('KE', payloads)
    const transforms = offer.transforms.filter(({ type, id }) => type !== TRANSFORM_TYPE.KE || id === method)
    const value: Payload = { type: 'KE', method, data: new Uint8Array(32).fill(9) }
    peer.answer(
      bad([{ type: 'SA', proposals: [{ ...offer, transforms, spi: new Uint8Array(8).fill(1) }] }, nonce, value]),
    )
    world.finishJobs()
    const last = peer.asked()
    assert.deepEqual([last.exchange, names(last.payloads)], [EXCHANGE.INFORMATIONAL, ['D']])
    assert.equal(the('D', last.payloads).protocol, PROTOCOL.IKE)
    peer.answer([])
    world.finishJobs()
    assert.deepEqual(
      world.right.kernel.states.filter(({ kind }) => kind === 'valid'),
      [],
    )
    assert.equal(onlySa(world.right).state, 'CONNECTING')
    assert.match(world.right.sent.at(-1)?.label ?? '', /^IKE_SA_INIT request 0/)
  })
}

/** §2.21.3: fatal on both sides, without a Delete. */
for (const what of [
  'a Child SA',
  'a rekeying of the Child SA',
  'a rekeying of the IKE SA',
  'a liveness check',
] as const) {
  scenario(`INVALID_SYNTAX is the answer to ${what}: the IKE SA is gone`, () => {
    const { world, peer } = up(
      { right: { connection: { dpdDelaySeconds: 20 } } },
      what === 'a Child SA' ? [] : childOf(),
    )
    if (what === 'a Child SA') world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    else if (what === 'a liveness check') world.wait(21)
    else rekey(world.right, what === 'a rekeying of the IKE SA' ? 'IKE SA' : 'child')
    world.finishJobs()
    const before = world.right.sent.length
    peer.answer([notify(NOTIFY.INVALID_SYNTAX)])
    world.wait(200)
    assert.equal(world.right.sent.length, before)
    nothingLeaks(world)
  })
}

/** §2.5, §2.21: a bad answer is not answered. The exchange has failed, and the IKE SA goes on. */
for (const [what, bad] of [
  ['that is malformed', [{ type: 'Unknown', number: 33, critical: false, body: Uint8Array.of(1, 2, 3) }]],
  ['with an unknown critical payload', [...granted, { type: 'Unknown', number: 200, critical: true, body: spi }]],
  ['without a nonce', granted.filter(({ type }) => type !== 'Nonce')],
  ['without anything', []],
] as const satisfies readonly (readonly [string, readonly Payload[]])[]) {
  scenario(`an answer ${what}`, () => {
    const { world, peer, answer } = asked()
    const before = world.right.sent.length
    peer.answer(bad)
    failed(answer(), /./)
    assert.equal(world.right.sent.length, before)
    assert.deepEqual(onlySa(world.right).children, [])
    assert.deepEqual(world.right.kernel.states, [])
    assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  })
}

/** §3.3.6: what is accepted must be what was offered. */
const wrongProposals: readonly (readonly [string, readonly Proposal[]])[] = [
  ['of a number that was not offered', [{ ...esp, number: 2 }]],
  ['with another transform', [{ ...esp, transforms: [encr(20, 256), ...esp.transforms.slice(1)] }]],
  ['with a transform less', [{ ...esp, transforms: esp.transforms.slice(0, 1) }]],
  ['with a transform more', [{ ...esp, transforms: [...esp.transforms, { type: TRANSFORM_TYPE.ESN, id: 1 }] }]],
  ['for another protocol', [{ ...esp, protocol: PROTOCOL.AH }]],
  ['that are two', [esp, { ...esp, number: 2 }]],
]
for (const [what, proposals] of wrongProposals) {
  scenario(`an answer with proposals ${what}`, () => {
    const { world, peer, answer } = asked()
    const own = offered(peer)
    peer.answer([{ type: 'SA', proposals }, ...granted.slice(1)])
    failed(answer(), /./)
    if (peer.asked().exchange === EXCHANGE.INFORMATIONAL && proposals[0]?.protocol === PROTOCOL.ESP) {
      deletes({ world, peer }, own)
    }
    assert.deepEqual(onlySa(world.right).children, [])
  })
}

/** §2.9: an answer may narrow, and no more. */
for (const [what, ours, theirs] of [
  ['wider than ours', '10.2.0.0/15', '10.1.0.0/16'],
  ['wider than theirs', '10.2.0.0/16', '0.0.0.0/0'],
  ['of somewhere else', '10.9.0.0/16', '10.1.0.0/16'],
] as const) {
  scenario(`an answer with selectors ${what}`, () => {
    const { world, peer, answer } = asked()
    const own = offered(peer)
    peer.answer([...granted.slice(0, 2), ...selectors(ours, theirs)])
    failed(answer(), /./)
    logged(world.right, 'are not within ours')
    deletes({ world, peer }, own)
  })
}

/** §2.25: the peer has lost the Child SA, which goes silently; a new one is made from scratch. */
scenario('CHILD_SA_NOT_FOUND is the answer to a rekeying', () => {
  const { world, peer } = up({}, childOf())
  const old = onlyChild(world.right)
  rekey(world.right, 'child')
  world.finishJobs()
  const before = world.right.sent.length
  peer.answer([notify(NOTIFY.CHILD_SA_NOT_FOUND, { protocol: PROTOCOL.ESP, spi })])
  assert.equal(world.right.sent.length, before + 1)
  const { exchange, payloads } = peer.asked()
  assert.deepEqual([exchange, names(payloads)], [EXCHANGE.CREATE_CHILD_SA, ['SA', 'Nonce', 'TSi', 'TSr']])
  peer.answer(granted)
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  assert.notEqual(onlyChild(world.right).spiIn, old.spiIn)
})

/** §2.25: it is tried again, not at once; after several minutes the two are out of step, and the IKE SA is closed. */
scenario('TEMPORARY_FAILURE is the answer for minutes', () => {
  const { world, peer } = up({}, childOf())
  rekey(world.right, 'child')
  world.finishJobs()
  const begin = world.now
  const pauses: number[] = []
  for (let last = begin; ; last = world.now) {
    const sent = world.right.sent.length
    peer.answer([notify(NOTIFY.TEMPORARY_FAILURE)])
    if (peer.asked().exchange !== EXCHANGE.CREATE_CHILD_SA) break
    assert.equal(world.right.sent.length, sent, 'not at once')
    while (world.right.sent.length === sent) world.wait(1, { deliver: false })
    pauses.push((world.now - last) / 1000)
  }
  assert.ok(
    pauses.every((seconds) => seconds >= 5),
    `${pauses}`,
  )
  const minutes = (world.now - begin) / 60_000
  assert.ok(minutes > 3 && minutes < 10, `${minutes} minutes`)
  assert.deepEqual(names(peer.asked().payloads), ['D'])
  peer.answer([])
  world.wait(1)
  nothingLeaks(world)
})

const offeredIpcomp = { child: { ipcomp: true } }

/** §2.22: two octets of CPI, one of the algorithm, beside the SA payload. */
scenario('the offer of a Child SA with IPComp', () => {
  const { peer } = asked(offeredIpcomp)
  const { payloads } = peer.asked()
  const said = payloads.filter((payload) => payload.type === 'N' && payload.notify === NOTIFY.IPCOMP_SUPPORTED)
  assert.equal(said.length, 1)
  const { data, protocol, spi: empty } = the('N', said)
  assert.deepEqual([data.length, data[2], protocol, empty.length], [3, IPCOMP_TRANSFORM.DEFLATE, 0, 0])
})

/** §2.22: what was not proposed is not accepted, and of several answers one at most counts. */
for (const [what, options, answers, accepted] of [
  ['that was offered', offeredIpcomp, ['123402'], 0x1234],
  ['that was not offered', offeredIpcomp, ['123403'], undefined],
  ['when none was offered', {}, ['123402'], undefined],
  ['twice', offeredIpcomp, ['123403', '123402', '567802'], 0x1234],
  ['without a CPI', offeredIpcomp, ['000002'], undefined],
  ['that is cut off', offeredIpcomp, ['1234'], undefined],
] as const) {
  scenario(`an answer with an IPComp algorithm ${what}`, () => {
    const { world, peer, answer } = asked(options)
    const data = answers.map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')))
    peer.answer([...data.map((one) => notify(NOTIFY.IPCOMP_SUPPORTED, { data: one })), ...granted])
    assert.deepEqual(answer(), { kind: 'done' })
    assert.equal(onlyChild(world.right).cpiOut, accepted)
    const compressing = world.right.kernel.states.filter(({ protocol }) => protocol === 'IPCOMP')
    assert.equal(compressing.length, accepted === undefined ? 0 : 2)
  })
}
