/** What a responder makes of authentic messages that are unusual: allowed, too early, too large, or of the future. */
import assert from 'node:assert/strict'
import { keyExchange } from '../../src/crypto/key-exchange/key-exchange.ts'
import { seededRandom } from '../../src/crypto/random.ts'
import { notify } from '../../src/ike/notifies.ts'
import { proposalOf } from '../../src/ike/proposals.ts'
import { EXCHANGE, KE, NOTIFY, PROTOCOL, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { type Asked, BareInitiator, type Exchanged } from './bare-initiator.ts'
import { espProposal, ikeProposal, subnet } from './connection.ts'
import { logged, nothingLeft, onlyChild, onlySa } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { espWith, rekey, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const { CREATE_CHILD_SA, INFORMATIONAL } = EXCHANGE
const theirSpi = Uint8Array.of(0xc1, 0, 0, 1)

interface Talk {
  readonly world: World
  readonly initiator: BareInitiator
}

/** IKE_SA_INIT is done. */
function begun(options: PairOptions = {}): Talk {
  const world = pair(options)
  const initiator = new BareInitiator(world, ikeProposal())
  initiator.init()
  return { world, initiator }
}

/** The IKE SA is up, with the child `net` unless it is to have none. */
function up(options: PairOptions = {}, more: readonly Payload[] = child()): Talk {
  const { world, initiator } = begun(options)
  initiator.auth({ more })
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  return { world, initiator }
}

/** SA, TSi and TSr for `net`. */
function child(spi = theirSpi, proposal = espProposal()): Payload[] {
  const selector = (text: string) => {
    const configured = subnet(text)
    assert.ok(configured.kind === 'fixed')
    return configured.selector
  }
  return [
    { type: 'SA', proposals: [proposalOf(proposal, 1, spi)] },
    { type: 'TSi', selectors: [selector('10.1.0.0/16')] },
    { type: 'TSr', selectors: [selector('10.2.0.0/16')] },
  ]
}

const nonce: Payload = { type: 'Nonce', nonce: new Uint8Array(32).fill(7) }

function x25519(): Payload {
  const method = KE.CURVE_25519
  const pair = keyExchange(method)?.generate(seededRandom(Buffer.from('odd')))
  assert.ok(pair)
  return { type: 'KE', method, data: pair.public }
}

function types(message: Asked | Exchanged | undefined): string[] | undefined {
  return message?.payloads.map((payload) => (payload.type === 'N' ? `N${payload.notify}` : payload.type))
}

/** It is there and answers. */
function alive({ world, initiator }: Talk): void {
  assert.deepEqual(types(initiator.exchange(INFORMATIONAL, [])), [])
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
}

for (const exchange of [CREATE_CHILD_SA, INFORMATIONAL] as const) {
  scenario(
    `${exchange === INFORMATIONAL ? 'INFORMATIONAL' : 'CREATE_CHILD_SA'} before IKE_AUTH is not answered`,
    () => {
      const { world, initiator } = begun()
      const payloads: Payload[] =
        exchange === INFORMATIONAL ? [{ type: 'D', protocol: 1, spiSize: 0, spis: [] }] : child()
      assert.equal(initiator.exchange(exchange, payloads, { messageId: 1 }), undefined)
      assert.equal(onlySa(world.right).state, 'CONNECTING')
      initiator.auth({ more: child() })
      assert.equal(onlyChild(world.right).state, 'INSTALLED')
    },
  )
}

scenario('payloads in the opposite order', () => {
  const { world, initiator } = begun()
  initiator.auth({ more: child(), reversed: true })
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  const made = initiator.exchange(CREATE_CHILD_SA, [...child(Uint8Array.of(0xc1, 0, 0, 2)), nonce].reverse())
  assert.deepEqual(types(made), ['SA', 'Nonce', 'TSi', 'TSr'])
})

scenario(
  'every INFORMATIONAL request is answered: empty, with notifies that we do not know, with a DELETE of nothing',
  () => {
    const talk = up()
    const requests: readonly (readonly Payload[])[] = [
      [],
      [notify(40_000)],
      [notify(8_192)],
      [{ type: 'V', data: Uint8Array.of(1, 2, 3) }],
      [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [Uint8Array.of(9, 9, 9, 9)] }],
      [{ type: 'Unknown', number: 200, critical: false, body: Uint8Array.of(1) }],
    ]
    for (const payloads of requests) assert.deepEqual(types(talk.initiator.exchange(INFORMATIONAL, payloads)), [])
    alive(talk)
  },
)

/** The octet behind the type of the next payload: the critical bit and seven that are reserved. */
function flagOctets({ response: { head, inner } }: Exchanged): number[] {
  const octets: number[] = []
  let next = head[28] ?? 0
  for (let at = 0; next !== 0; at += Buffer.from(inner).readUInt16BE(at + 2)) {
    next = inner[at] ?? 0
    octets.push(inner[at + 1] ?? 0)
  }
  return octets
}

scenario('no payload of a response is critical, and what is reserved is zero', () => {
  const { initiator } = up()
  const answers = [
    initiator.exchange(CREATE_CHILD_SA, [...child(Uint8Array.of(0xc1, 0, 0, 2)), nonce]),
    initiator.exchange(INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [theirSpi] }]),
    initiator.exchange(CREATE_CHILD_SA, [{ type: 'SA', proposals: [] }]),
  ]
  const octets = answers.flatMap((answer) => (answer === undefined ? [] : flagOctets(answer)))
  assert.ok(octets.length >= 6)
  assert.deepEqual(new Set(octets), new Set([0]))
})

scenario('reserved flags and the version flag of the header mean nothing', () => {
  const talk = up()
  assert.deepEqual(types(talk.initiator.exchange(INFORMATIONAL, [], { reserved: 0xd7 })), [])
  alive(talk)
})

for (const octets of [1280, 3000, 9000]) {
  scenario(`a message of ${octets} octets`, () => {
    const talk = up()
    const vendor: Payload = { type: 'V', data: new Uint8Array(octets - 28 - 4 - 8 - 4 - 1 - 16) }
    assert.deepEqual(types(talk.initiator.exchange(INFORMATIONAL, [vendor])), [])
    logged(talk.world.right, `received packet: from 192.0.2.1[500] to 192.0.2.2[500] (${octets} bytes)`)
  })
}

/** RFC 7296 §1.4.1: each side names the SPIs that it receives on. */
scenario('a DELETE names our inbound SPI only, asked and unasked', () => {
  const { world, initiator } = up()
  const { spiIn } = onlyChild(world.right)
  const ours = Buffer.alloc(4)
  ours.writeUInt32BE(spiIn)
  const deletion: Payload = { type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [new Uint8Array(ours)] }
  terminate(world.right, 'child')
  world.finishJobs()
  const request = initiator.asked()
  assert.deepEqual(request?.payloads, [deletion])
  // Crossing: the answer to ours does not name it again.
  const theirs: Payload = { type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [theirSpi] }
  assert.deepEqual(initiator.exchange(INFORMATIONAL, [theirs])?.payloads, [])
  initiator.answer([])
  assert.deepEqual(onlySa(world.right).children, [])
  assert.deepEqual(world.right.kernel.states, [])

  const again = Uint8Array.of(0xc1, 0, 0, 5)
  initiator.exchange(CREATE_CHILD_SA, [...child(again), nonce])
  ours.writeUInt32BE(onlyChild(world.right).spiIn)
  const answer = initiator.exchange(INFORMATIONAL, [{ ...theirs, spis: [again] }])
  assert.deepEqual(answer?.payloads, [{ ...deletion, spis: [new Uint8Array(ours)] }])
  assert.deepEqual(world.right.kernel.states, [])
})

scenario('REKEY_SA has the protocol and the SPI that its sender receives on', () => {
  const { world, initiator } = up()
  const { spiIn } = onlyChild(world.right)
  rekey(world.right, 'child')
  world.finishJobs()
  const request = initiator.asked()
  const named = request?.payloads.find((payload) => payload.type === 'N' && payload.notify === NOTIFY.REKEY_SA)
  assert.ok(named?.type === 'N')
  assert.equal(named.protocol, PROTOCOL.ESP)
  assert.equal(Buffer.from(named.spi).readUInt32BE(), spiIn)
  assert.equal(named.data.length, 0)
})

scenario('a request to rekey the IKE SA has a KE payload, and a new SPI of eight octets', () => {
  const { world, initiator } = up()
  const { spiR } = onlySa(world.right)
  rekey(world.right, 'IKE SA')
  world.finishJobs()
  const request = initiator.asked()
  assert.deepEqual(types(request), ['SA', 'Nonce', 'KE'])
  const SA = request?.payloads.find((payload) => payload.type === 'SA')
  assert.ok(SA?.type === 'SA')
  const [proposal] = SA.proposals
  assert.ok(proposal)
  assert.equal(proposal.spi.length, 8)
  assert.notEqual(Buffer.from(proposal.spi).readBigUInt64BE(), spiR)
})

scenario('a request to rekey the IKE SA without KE payload is refused, and changes nothing', () => {
  const talk = up()
  const SA: Payload = { type: 'SA', proposals: [proposalOf(ikeProposal(), 1, new Uint8Array(8).fill(3))] }
  const answer = talk.initiator.exchange(CREATE_CHILD_SA, [SA, nonce])
  assert.deepEqual(types(answer), [`N${NOTIFY.INVALID_KE_PAYLOAD}`])
  alive(talk)
})

scenario('the wrong group: INVALID_KE_PAYLOAD with the right one in two octets, and the retry is granted', () => {
  const { initiator } = up({ right: { child: { espProposals: [espWith(KE.CURVE_25519)] } } })
  const spi = Uint8Array.of(0xc1, 0, 0, 3)
  const [SA, ...selectors] = child(spi, espWith(KE.ECP_256, KE.CURVE_25519))
  assert.ok(SA)
  const wrong: Payload = { type: 'KE', method: KE.ECP_256, data: new Uint8Array(64).fill(1) }
  const answer = initiator.exchange(CREATE_CHILD_SA, [SA, nonce, wrong, ...selectors])
  assert.deepEqual(answer?.payloads, [notify(NOTIFY.INVALID_KE_PAYLOAD, Uint8Array.of(0, KE.CURVE_25519))])
  const granted = initiator.exchange(CREATE_CHILD_SA, [SA, nonce, x25519(), ...selectors])
  assert.deepEqual(types(granted), ['SA', 'Nonce', 'KE', 'TSi', 'TSr'])
  const chosen = granted?.payloads.find((payload) => payload.type === 'SA')
  assert.ok(chosen?.type === 'SA')
  const groups = chosen.proposals.flatMap(({ transforms }) =>
    transforms.filter(({ type }) => type === TRANSFORM_TYPE.KE),
  )
  assert.deepEqual(groups, [{ type: TRANSFORM_TYPE.KE, id: KE.CURVE_25519 }])
})

scenario(
  'transport mode that we do not want: the answer leaves USE_TRANSPORT_MODE out, and the SA is in tunnel mode',
  () => {
    const { world, initiator } = up()
    const spi = Uint8Array.of(0xc1, 0, 0, 4)
    const transport = notify(NOTIFY.USE_TRANSPORT_MODE)
    assert.deepEqual(types(initiator.exchange(CREATE_CHILD_SA, [transport, ...child(spi), nonce])), [
      'SA',
      'Nonce',
      'TSi',
      'TSr',
    ])
    for (const { mode } of onlySa(world.right).children) assert.equal(mode, 'TUNNEL')
  },
)

scenario('NON_FIRST_FRAGMENTS_ALSO is neither answered nor an obstacle', () => {
  const { world, initiator } = up({}, [notify(NOTIFY.NON_FIRST_FRAGMENTS_ALSO), ...child()])
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  const spi = Uint8Array.of(0xc1, 0, 0, 6)
  const answer = initiator.exchange(CREATE_CHILD_SA, [notify(NOTIFY.NON_FIRST_FRAGMENTS_ALSO), ...child(spi), nonce])
  assert.deepEqual(types(answer), ['SA', 'Nonce', 'TSi', 'TSr'])
})

scenario('a message ID is left out: the request is not answered, and the right one is', () => {
  const talk = up()
  assert.equal(talk.initiator.exchange(INFORMATIONAL, [], { messageId: 5 }), undefined)
  const answer = talk.initiator.exchange(INFORMATIONAL, [])
  assert.deepEqual(types(answer), [])
})

scenario('the first request of a responder has message ID 0', () => {
  const { world, initiator } = up()
  terminate(world.right, 'child')
  world.finishJobs()
  assert.equal(initiator.asked().messageId, 0)
})

scenario('DELETE of the IKE SA: an empty answer, and everything is gone', () => {
  const { world, initiator } = up()
  const answer = initiator.exchange(INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.IKE, spiSize: 0, spis: [] }])
  assert.deepEqual(types(answer), [])
  nothingLeft(world.right)
})

scenario('IKE_AUTH has no Diffie-Hellman transform, in the answer as well', () => {
  const { world, initiator } = begun({ right: { child: { espProposals: [espWith(KE.CURVE_25519)] } } })
  const answer = initiator.auth({ more: child() })
  const SA = answer?.find((payload) => payload.type === 'SA')
  assert.ok(SA?.type === 'SA')
  const offered = SA.proposals.flatMap(({ transforms }) => transforms.map(({ type }) => type))
  assert.deepEqual(offered, [TRANSFORM_TYPE.ENCR, TRANSFORM_TYPE.ESN])
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
})

scenario('the configuration attribute 5 of RFC 4306 is ignored', () => {
  const attributes = [{ type: 5, value: Uint8Array.of(0, 0, 0, 9) }]
  const talk = up({}, [{ type: 'CP', cfgType: 1, attributes }, ...child()])
  assert.equal(onlyChild(talk.world.right).state, 'INSTALLED')
  alive(talk)
})

/** RFC 7296 §2.8: an IKE SA that cannot be rekeyed is closed at its end, with its Child SAs. */
scenario('a peer that refuses every rekeying of the IKE SA', () => {
  const lifetimeSeconds = { rekey: 0, life: 0, rand: 0 }
  const { world, initiator } = up({
    right: { connection: { rekeySeconds: 100, randSeconds: 0, overSeconds: 60 }, child: { lifetimeSeconds } },
  })
  let refused = 0
  for (let second = 0; second < 159; second++) {
    const before = world.right.sent.length
    world.wait(1, { deliver: false })
    if (world.right.sent.length === before) continue
    const request = initiator.asked()
    assert.deepEqual(types(request), ['SA', 'Nonce', 'KE'])
    initiator.answer([notify(NOTIFY.NO_PROPOSAL_CHOSEN)])
    refused++
  }
  assert.ok(refused > 3, `${refused}`)
  assert.equal(onlyChild(world.right).state, 'INSTALLED')
  world.wait(2, { deliver: false })
  const last = initiator.asked()
  assert.deepEqual(last?.payloads, [{ type: 'D', protocol: PROTOCOL.IKE, spiSize: 0, spis: [] }])
  initiator.answer([])
  nothingLeft(world.right)
})

/** RFC 7296 §1.3: others may be proposed as well. */
scenario('the group of KEi is one that is proposed, and the first', () => {
  const { world, initiator } = up({ right: { child: { espProposals: [espWith(KE.ECP_256, KE.CURVE_25519)] } } })
  rekey(world.right, 'child')
  world.finishJobs()
  const request = initiator.asked()
  const ke = request?.payloads.find((payload) => payload.type === 'KE')
  const SA = request?.payloads.find((payload) => payload.type === 'SA')
  assert.ok(ke?.type === 'KE' && SA?.type === 'SA')
  assert.equal(ke.method, KE.ECP_256)
  const groups = SA.proposals.flatMap(({ transforms }) => transforms.filter(({ type }) => type === TRANSFORM_TYPE.KE))
  assert.deepEqual(
    groups.map(({ id }) => id),
    [KE.ECP_256, KE.CURVE_25519],
  )
})

scenario('a DELETE whose answer names nothing leaves no half behind', () => {
  const { world, initiator } = up()
  terminate(world.right, 'child')
  world.finishJobs()
  initiator.answer([])
  assert.deepEqual(onlySa(world.right).children, [])
  assert.deepEqual(world.right.kernel.states, [])
  assert.deepEqual(world.right.kernel.policies, [])
})

scenario('INITIAL_CONTACT counts in the first IKE_AUTH only', () => {
  const world = established()
  const initiator = new BareInitiator(world, ikeProposal())
  initiator.init()
  initiator.auth()
  assert.equal(world.right.sas().length, 2)
  assert.deepEqual(types(initiator.exchange(INFORMATIONAL, [notify(NOTIFY.INITIAL_CONTACT)])), [])
  assert.equal(world.right.sas().length, 2)

  const other = established()
  const first = new BareInitiator(other, ikeProposal())
  first.init()
  first.auth({ more: [notify(NOTIFY.INITIAL_CONTACT)] })
  assert.equal(other.right.sas().length, 1)
})

/** RFC 7296 §2.8: the initiator may use the new SA as soon as it has the answer. */
scenario('whoever answers can receive on the new SA before the answer goes out', () => {
  const { world, initiator } = begun()
  const receiving: number[] = []
  world.onSend = (from) => {
    const valid = from.kernel.states.filter(({ kind, sa }) => kind === 'valid' && sa?.direction === 'in')
    receiving.push(valid.length)
  }
  initiator.auth({ more: child() })
  initiator.exchange(CREATE_CHILD_SA, [...child(Uint8Array.of(0xc1, 0, 0, 7)), nonce])
  assert.deepEqual(receiving, [1, 2])
})
