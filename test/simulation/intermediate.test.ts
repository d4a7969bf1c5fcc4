/** Additional key exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242, RFC 9370). */
import assert from 'node:assert/strict'
import { KE } from '../../src/wire/numbers.ts'
import { hybridProposal, ikeProposal } from './connection.ts'
import { exchanges, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const mlkem768: PairOptions = { ike: [hybridProposal([KE.ML_KEM_768])] }

function begun(options: PairOptions): World {
  const world = pair(options)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  return world
}

/**
 *    |-- IKE_SA_INIT request 0 [ SA KE No … N(IKE_INT_SUP) ] ----------->|
 *    |<---------- IKE_SA_INIT response 0 [ SA KE No … N(IKE_INT_SUP) ] --|
 *    |-- IKE_INTERMEDIATE request 1 [ KE ] ----------------------------->|
 *    |<---------------------------- IKE_INTERMEDIATE response 1 [ KE ] --|
 *    |-- IKE_AUTH request 2 [ IDi … ] ---------------------------------->|   under the new keys
 */
for (const method of ['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'] as const) {
  scenario(`x25519 and ${method}`, () => {
    const world = established({ ike: [hybridProposal([KE[method]])] })
    for (const host of world.hosts) {
      saidToPeer(host, 'N(IKE_INT_SUP)')
      assert.deepEqual(onlySa(host).proposal?.additionalKeyExchanges, [KE[method]])
      // RFC 7383: what is large goes into fragments, IKE_SA_INIT never.
      assert.ok(host.sent.every(({ bytes }) => bytes.length <= 1280 - 28))
    }
    logged(world.left, `selected proposal: IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/KE1_${method}`)
    assert.deepEqual(
      exchanges(world.left)
        .filter((name) => !/EF/.test(name))
        .at(-1),
      'IKE_AUTH request 2',
    )
  })
}

/** Seven more, one after the other, each under the keys of the one before. */
scenario('seven additional key exchanges', () => {
  const methods = [KE.ML_KEM_768, KE.ECP_256, KE.ML_KEM_512, KE.ECP_384, KE.CURVE_448, KE.ML_KEM_1024, KE.ECP_521]
  const world = established({ ike: [hybridProposal(...methods.map((id) => [id]))] })
  const requests = exchanges(world.left).filter((name) => name.startsWith('IKE_INTERMEDIATE'))
  assert.deepEqual(
    [...new Set(requests)],
    [1, 2, 3, 4, 5, 6, 7].map((id) => `IKE_INTERMEDIATE request ${id}`),
  )
  assert.equal(exchanges(world.left).at(-1), 'IKE_AUTH request 8')
  for (const host of world.hosts) assert.deepEqual(onlySa(host).proposal?.additionalKeyExchanges, methods)
})

scenario('until IKE_AUTH nothing is established, and nothing of it is in clear', () => {
  const world = begun({ ike: [hybridProposal([KE.ML_KEM_768], [KE.ECP_256])], connection: { mobike: false } })
  for (;;) {
    const [flight] = world.net.flights
    assert.ok(flight)
    if (flight.label.startsWith('IKE_AUTH')) break
    world.deliver(1)
    for (const host of world.hosts) assert.equal(onlySa(host).state, 'CONNECTING')
  }
  for (const { sent } of world.hosts) {
    const messages = sent.filter(({ label }) => label.startsWith('IKE_INTERMEDIATE'))
    assert.ok(messages.length >= 2)
    // SK or SKF is the only payload; the exchange type is 43.
    for (const { bytes } of messages) {
      assert.ok(bytes[16] === 46 || bytes[16] === 53)
      assert.equal(bytes[18], 43)
      const rest = Buffer.from(bytes).readUInt16BE(30)
      assert.equal(rest, bytes.length - 28)
    }
  }
  world.settle()
  sameSingleChild(world)
})

/** RFC 9370 §2.2.1: such an answer has failed. It is not authentic either: a good one may come yet. */
scenario('an answer that selects one method for two types: no IKE_INTERMEDIATE begins', () => {
  const both = [KE.ML_KEM_768, KE.ML_KEM_512]
  const world = begun({ ike: [hybridProposal(both, both)] })
  world.deliver(1)
  const [answer] = world.net.flights
  assert.ok(answer)
  const forged = Buffer.from(answer.bytes)
  // The transforms of types 6 and 7.
  const second = forged.indexOf(Buffer.from('000807000023', 'hex'))
  assert.ok(forged.includes(Buffer.from('000806000024', 'hex')) && second > 0)
  forged.writeUInt16BE(KE.ML_KEM_768, second + 4)
  world.lose(1)
  world.inject(world.left, answer.source, forged)
  logged(world.left, 'ignoring response: it selects what we did not propose')
  world.settle()
  assert.deepEqual(exchanges(world.left), ['IKE_SA_INIT request 0'])
  world.net.partitioned = true
  world.wait(200)
  assert.deepEqual(
    exchanges(world.left).filter((name) => name.startsWith('IKE_INTERMEDIATE')),
    [],
  )
  nothingLeaks(world)
})

scenario('types with a gap, and one for which NONE is selected', () => {
  const world = established({
    left: { connection: { proposals: [hybridProposal([], [KE.ML_KEM_512, 0], [], [KE.ML_KEM_768])] } },
    right: { connection: { proposals: [hybridProposal([], [0], [], [KE.ML_KEM_768])] } },
  })
  assert.equal(exchanges(world.left).at(-1), 'IKE_AUTH request 2')
  assert.deepEqual(onlySa(world.right).proposal?.additionalKeyExchanges, [0, 0, 0, KE.ML_KEM_768])
})

/** RFC 9370 §2.2.1: no algorithm twice; an earlier type gives way when a later one has no other choice. */
scenario('the same method is offered for two types', () => {
  const both = [KE.ML_KEM_768, KE.ML_KEM_512]
  const world = established({ ike: [hybridProposal(both, [KE.ML_KEM_768])] })
  assert.deepEqual(onlySa(world.left).proposal?.additionalKeyExchanges, [KE.ML_KEM_512, KE.ML_KEM_768])
})

scenario('the same method is all there is for two types: NO_PROPOSAL_CHOSEN', () => {
  const world = begun({ ike: [hybridProposal([KE.ML_KEM_768], [KE.ML_KEM_768])] })
  world.settle()
  saidToPeer(world.right, 'IKE_SA_INIT response 0 [ N(NO_PROP) ]')
  world.wait(10)
  nothingLeaks(world)
})

scenario('a peer without additional key exchanges takes the proposal without them', () => {
  const world = established({
    left: { connection: { proposals: [hybridProposal([KE.ML_KEM_768]), ikeProposal()] } },
    right: { connection: { proposals: [ikeProposal()] } },
  })
  assert.deepEqual(onlySa(world.left).proposal?.additionalKeyExchanges, [])
  assert.ok(!world.right.sent.some(({ label }) => label.includes('IKE_INT_SUP')))
})

scenario('IKE_INTERMEDIATE is announced only with a use for it', () => {
  const world = established()
  for (const host of world.hosts) assert.ok(!host.sent.some(({ label }) => label.includes('IKE_INT_SUP')))
})

for (const auth of ['rsa2048', 'p256', 'ed25519'] as const) {
  scenario(`with ${auth} signatures over all messages, in small fragments`, () => {
    const world = established({ ...mlkem768, auth, settings: { fragmentSize: 400 } })
    for (const host of world.hosts) {
      const parts = host.sent.filter(({ label }) => label.startsWith('IKE_INTERMEDIATE'))
      assert.ok(parts.length >= 4, `${parts.length} fragments`)
    }
  })
}

for (const nat of ['left', 'right', 'both'] as const) {
  /** RFC 9242 §3.2: the first IKE_INTERMEDIATE goes to port 4500 already. */
  scenario(`NAT before ${nat}`, () => {
    const world = established({ ...mlkem768, nat })
    assert.equal(onlySa(world.left).remote.port, 4500)
    const first = world.left.sent.find(({ label }) => label.startsWith('IKE_INTERMEDIATE'))
    assert.deepEqual(Buffer.from(first?.bytes.subarray(0, 4) ?? []), Buffer.alloc(4), 'the non-ESP marker')
  })
}

/** The datagrams of a set-up without any accident: any one of them may be lost, come twice or come late. */
const small: PairOptions = { ike: [hybridProposal([KE.ML_KEM_512], [KE.ECP_256])], settings: { fragmentSize: 700 } }
const calm = begun(small)
calm.settle()
const count = calm.left.sent.length + calm.right.sent.length

for (let index = 0; index < count; index++) {
  scenario(`datagram ${index + 1} of ${count} is lost`, () => {
    const world = begun(small)
    world.deliver(index)
    world.lose()
    world.wait(5)
    sameSingleChild(world)
  })

  scenario(`datagram ${index + 1} of ${count} comes twice, and again at the end`, () => {
    const world = begun(small)
    world.deliver(index)
    const flight = world.net.flights[0]
    assert.ok(flight)
    world.net.duplicate(flight)
    world.settle()
    world.net.duplicate(flight)
    world.settle()
    sameSingleChild(world)
  })
}

scenario('fragments in the opposite order', () => {
  const world = begun(small)
  while (world.net.flights.length > 0) {
    const last = world.net.flights.at(-1)
    assert.ok(last)
    world.deliverThis(last)
  }
  sameSingleChild(world)
})

/**
 * The response is lost, and right has changed its keys. The request comes again under the old ones.
 *
 *    |-- IKE_INTERMEDIATE request 1 ------->|
 *    |      x - - IKE_INTERMEDIATE response 1
 *    |-- IKE_INTERMEDIATE request 1 ------->|   the answer from before, under the old keys
 */
scenario('the answer is sent again under the keys that it was given under', () => {
  const world = begun({ ike: [hybridProposal([KE.ECP_256])] })
  world.deliver(3)
  world.lose()
  world.wait(4)
  sameSingleChild(world)
  logged(world.right, 'received retransmit of request with ID 1, retransmitting response')
  const answers = world.right.sent.filter(({ label }) => label.startsWith('IKE_INTERMEDIATE'))
  assert.equal(answers.length, 2)
  assert.deepEqual(answers[0]?.bytes, answers[1]?.bytes)
})

/** Neither side believes a message with another content: an attacker without keys ends nothing. */
for (const [index, what] of [
  [2, 'request'],
  [3, 'response'],
] as const) {
  scenario(`a changed IKE_INTERMEDIATE ${what} is dropped`, () => {
    const world = begun({ ike: [hybridProposal([KE.ECP_256])] })
    world.deliver(index)
    const flight = world.net.flights[0]
    assert.ok(flight)
    const forged = Uint8Array.from(flight.bytes)
    forged[forged.length - 20] = (forged[forged.length - 20] ?? 0) ^ 1
    world.inject(what === 'request' ? world.right : world.left, flight.source, forged, 4500)
    world.settle()
    sameSingleChild(world)
  })
}

scenario('the peer goes in the middle: nothing is left on either side', () => {
  const world = begun(mlkem768)
  world.deliver(2)
  world.net.partitioned = true
  world.wait(200)
  nothingLeaks(world)
})

scenario('a second try begins with fresh keys', () => {
  const world = begun({ ...mlkem768, connection: { keyingTries: 2 } })
  world.deliver(2)
  world.net.partitioned = true
  world.wait(170)
  world.net.partitioned = false
  world.wait(30)
  sameSingleChild(world)
})

scenario('without fragmentation large messages go whole', () => {
  const world = established({ ...mlkem768, right: { connection: { fragmentation: 'no' } } })
  for (const host of world.hosts) notLogged(host, 'splitting IKE message')
})
