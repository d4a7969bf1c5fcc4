/** IKE_FOLLOWUP_KE step by step, with a peer that answers whatever a test wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hybridEsp } from '../../../test/simulation/connection.ts'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { keyExchange } from '../../crypto/key-exchange/key-exchange.ts'
import { seededRandom } from '../../crypto/random.ts'
import { encodePayloads } from '../../wire/message.ts'
import { EXCHANGE, KE, NOTIFY } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { Core } from '../core.ts'
import { Refusal } from '../errors.ts'
import { IkeSa } from '../ike-sa.ts'
import { notify } from '../notifies.ts'
import type { Selected } from '../proposals.ts'
import type { Effect, Received } from '../script.ts'
import { initiate, respond, respondWithoutState } from './ike-followup-ke.ts'

const random = seededRandom(Buffer.from('follow-up'))
const methods = [KE.ECP_256, KE.ECP_384]
const selected: Selected = { ...hybridEsp(methods.map((id) => [id])), number: 1, spi: new Uint8Array(4) }
const link = notify(NOTIFY.ADDITIONAL_KEY_EXCHANGE, Uint8Array.of(1, 2, 3))
const nonces = { ni: new Uint8Array(32), nr: new Uint8Array(32) }

function ikeSa(): IkeSa {
  const core = new Core({ random, settings: defaultCoreSettings, strict: true })
  const local = { address: '192.0.2.1', port: 500 }
  return new IkeSa(core, { role: 'initiator', spiI: 1n, spiR: 2n, local, remote: { ...local, address: '192.0.2.2' } })
}

function received(...payloads: readonly Payload[]): Received {
  return { exchange: EXCHANGE.IKE_FOLLOWUP_KE, messageId: 5, payloads, bytes: new Uint8Array() }
}

/** Does the computations of a script; what else it wants is answered by `other`. Returns what the script returns. */
function play<T>(script: Generator<Effect, T>, other: (effect: Effect) => Received): T {
  let step = script.next()
  while (!step.done) {
    const effect = step.value
    step = (script as Generator<Effect, T, unknown>).next(effect.kind === 'run' ? computed(effect) : other(effect))
  }
  return step.value
}

function computed({ job }: Effect & { kind: 'run' }): unknown {
  if (job.kind === 'key-exchange-generate') return algorithm(job.method).generate(random)
  if (job.kind === 'key-exchange-respond') return algorithm(job.method).respond(job.peerPublic, random)
  assert.ok(job.kind === 'key-exchange-finish')
  return algorithm(job.method).finish(job.private, job.peerPublic)
}

function algorithm(method: number) {
  const found = keyExchange(method)
  assert.ok(found)
  return found
}

/** A good public value for a method. */
const value = (method: number): Payload => ({
  type: 'KE',
  method,
  data: algorithm(method).generate(random).public,
})
const linkIn = (payloads: readonly Payload[]): NPayload | undefined =>
  payloads.find((p): p is NPayload => p.type === 'N' && p.notify === NOTIFY.ADDITIONAL_KEY_EXCHANGE)

test('as initiator: one exchange for each method, each with the data of the answer before, unchanged', () => {
  const second = notify(NOTIFY.ADDITIONAL_KEY_EXCHANGE, new Uint8Array(100).fill(9))
  const links: (NPayload | undefined)[] = []
  const used: number[] = []
  const followed = play(initiate(ikeSa(), selected, [link], nonces, undefined), (effect) => {
    assert.ok(effect.kind === 'request' && effect.exchange === EXCHANGE.IKE_FOLLOWUP_KE)
    const [ke] = effect.payloads
    assert.ok(ke?.type === 'KE')
    links.push(linkIn(effect.payloads))
    used.push(ke.method)
    return received(value(ke.method), ...(used.length === 1 ? [second] : []))
  })
  assert.deepEqual(used, methods)
  assert.deepEqual(links, [link, second])
  assert.ok(followed !== 'lost' && followed.additional.length === 2)
})

test('as responder: a link in each answer but the last, and each request is known by the one before', () => {
  const links: (NPayload | undefined)[] = []
  const series = { task: 'CHILD_CREATE', stillPossible: () => {} }
  const followed = play(respond(ikeSa(), selected, [notify(NOTIFY.USE_TRANSPORT_MODE)], series), (effect) => {
    assert.ok(effect.kind === 'reply' && effect.aside)
    const ours = linkIn(effect.payloads)
    assert.ok(ours)
    links.push(ours)
    const request = received(value(methods[links.length - 1] ?? 0), ours)
    assert.ok(effect.aside.recognises(request))
    assert.ok(!effect.aside.recognises(received(link)))
    // RFC 9370 §2.2.4 suggests 5 to 20 seconds.
    assert.ok(effect.aside.forMs >= 5_000 && effect.aside.forMs <= 20_000)
    return request
  })
  assert.equal(links.length, 2)
  assert.notDeepEqual(links[0], links[1])
  assert.equal(linkIn(followed.answer), undefined)
})

for (const wrong of [value(KE.ECP_521), { ...value(KE.ECP_256), data: new Uint8Array(10) } as Payload]) {
  const what = wrong.type === 'KE' && wrong.method === KE.ECP_521 ? 'another method' : 'a value of another length'
  const invalid = (error: unknown): boolean => error instanceof Refusal && error.notify === NOTIFY.INVALID_SYNTAX
  test(`as initiator: an answer with ${what} is refused`, () => {
    assert.throws(() => play(initiate(ikeSa(), selected, [link], nonces, undefined), () => received(wrong)), invalid)
  })
  test(`as responder: a request with ${what} is refused`, () => {
    const series = { task: 'CHILD_CREATE', stillPossible: () => {} }
    assert.throws(() => play(respond(ikeSa(), selected, [], series), () => received(wrong)), invalid)
  })
}

test('the notifies of RFC 9370, octet by octet', () => {
  const hex = (payload: Payload) => Buffer.from(encodePayloads([payload]).bytes).toString('hex')
  assert.equal(hex(link), '0000000b00004039010203')
  assert.throws(
    () => play(respondWithoutState(received(value(KE.ECP_256))), () => received()),
    (error) => {
      assert.ok(error instanceof Refusal)
      assert.equal(hex(notify(error.notify, error.data)), '000000080000002f')
      return !error.endsSa
    },
  )
})
