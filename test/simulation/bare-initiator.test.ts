/** What a responder makes of an initiator that holds the keys and does not keep to the order (RFC 9242, RFC 9370). */
import assert from 'node:assert/strict'
import { notify } from '../../src/ike/notifies.ts'
import { encodePayloads } from '../../src/wire/message.ts'
import { KE, NOTIFY, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import { BareInitiator } from './bare-initiator.ts'
import { hybridProposal, ikeProposal } from './connection.ts'
import { nothingLeaks, onlySa, saidToPeer } from './expect.ts'
import { pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const proposal = hybridProposal([KE.ML_KEM_512], [KE.ECP_256])

function begun(): { world: World; initiator: BareInitiator } {
  const world = pair({ right: { connection: { proposals: [proposal] } } })
  const initiator = new BareInitiator(world, proposal)
  initiator.init()
  return { world, initiator }
}

function established(world: World): void {
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
}

scenario('AUTH and IntAuth as another implementation computes them', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  initiator.auth()
  established(world)
})

/** RFC 9242 §3.3.2: IntAuth covers the message as if it were whole, with what is reserved in the first fragment. */
scenario('IntAuth over fragments, reserved flags in the first of them', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ML_KEM_512, { pieces: 300, reserved: 0x40 })
  initiator.intermediate(KE.ECP_256, { reserved: 0x80 })
  initiator.auth()
  established(world)
})

for (const done of [0, 1]) {
  scenario(`IKE_AUTH after ${done} of two additional key exchanges is not answered, and ends nothing`, () => {
    const { world, initiator } = begun()
    if (done > 0) initiator.intermediate(KE.ML_KEM_512)
    assert.equal(initiator.auth(), undefined)
    if (done === 0) initiator.intermediate(KE.ML_KEM_512)
    initiator.intermediate(KE.ECP_256)
    initiator.auth()
    established(world)
  })
}

scenario('one additional key exchange too many is not answered', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  assert.equal(initiator.intermediate(KE.ECP_384), undefined)
  initiator.auth()
  established(world)
})

scenario('another method than the one that is next: INVALID_SYNTAX, and the attempt is over', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ECP_256)
  saidToPeer(world.right, 'IKE_INTERMEDIATE response 1 [ N(INVAL_SYN) ]')
  assert.deepEqual(world.right.sas(), [])
})

/** RFC 6989 §2.5: whoever sends it is faulty or malicious. */
for (const [method, octets] of [
  ['ML_KEM_512', 800],
  ['ECP_256', 64],
] as const) {
  scenario(`a public value of ${method} that cannot be: INVALID_SYNTAX, and the attempt is over`, () => {
    const { world, initiator } = begun()
    if (method === 'ECP_256') initiator.intermediate(KE.ML_KEM_512)
    initiator.intermediate(KE[method], { data: new Uint8Array(octets).fill(0xff) })
    const messageId = method === 'ECP_256' ? 2 : 1
    saidToPeer(world.right, `IKE_INTERMEDIATE response ${messageId} [ N(INVAL_SYN) ]`)
    assert.deepEqual(world.right.sas(), [])
  })
}

scenario('a public value in IKE_SA_INIT that cannot be is dropped, and nothing has begun', () => {
  const p256 = {
    ...proposal,
    transforms: [
      ...ikeProposal().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.KE),
      { type: TRANSFORM_TYPE.KE, id: KE.ECP_256 },
    ],
  }
  const world = pair({ right: { connection: { proposals: [p256] } } })
  const peer = new BareInitiator(world, p256)
  assert.throws(() => peer.init({ method: KE.ECP_256, data: new Uint8Array(64).fill(0xff) }), /no answer/)
  assert.deepEqual(world.right.sent, [])
  nothingLeaks(world)
})

scenario('without INTERMEDIATE_EXCHANGE_SUPPORTED proposals with additional key exchanges are passed over', () => {
  const world = pair({ right: { connection: { proposals: [proposal] } } })
  const [answer] = new BareInitiator(world, proposal).init({ announces: [] })
  assert.ok(answer?.type === 'N' && answer.notify === NOTIFY.NO_PROPOSAL_CHOSEN)
})

scenario('what INTERMEDIATE_EXCHANGE_SUPPORTED has in it besides is ignored', () => {
  const world = pair({ right: { connection: { proposals: [proposal] } } })
  const announces = [notify(NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED, Uint8Array.of(1, 2, 3))]
  const initiator = new BareInitiator(world, proposal)
  const answer = initiator.init({ announces })
  const announced = answer.find(
    (payload) => payload.type === 'N' && payload.notify === NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED,
  )
  // No protocol, no SPI, no data.
  assert.equal(Buffer.from(encodePayloads(announced ? [announced] : []).bytes).toString('hex'), '0000000800004036')
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  initiator.auth()
  established(world)
})

scenario('a message ID is left out', () => {
  const { world, initiator } = begun()
  assert.equal(initiator.intermediate(KE.ML_KEM_512, { messageId: 2 }), undefined)
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  initiator.auth()
  established(world)
})

scenario('AUTH that does not cover the additional key exchanges', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  initiator.auth({ withoutIntAuth: true })
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  assert.deepEqual(world.right.sas(), [])
})

scenario('IKE_INTERMEDIATE on an established IKE SA is not answered', () => {
  const { world, initiator } = begun()
  initiator.intermediate(KE.ML_KEM_512)
  initiator.intermediate(KE.ECP_256)
  initiator.auth()
  assert.equal(initiator.intermediate(KE.ECP_384), undefined)
  established(world)
})
