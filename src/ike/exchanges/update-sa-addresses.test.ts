/** The scripts of MOBIKE, step by step, with a peer that answers whatever a test wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection } from '../../../test/simulation/connection.ts'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { seededRandom } from '../../crypto/random.ts'
import { encodePayloads } from '../../wire/message.ts'
import { EXCHANGE, NOTIFY } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { Core } from '../core.ts'
import { IkeSa } from '../ike-sa.ts'
import { additionalAddresses, learnMobike, Mobike, noNatsAllowed } from '../mobike.ts'
import { natDetection } from '../nat.ts'
import { notify } from '../notifies.ts'
import type { Effect, Script } from '../script.ts'
import { announce, answerMobike, checkRoutability, initiate } from './update-sa-addresses.ts'

const local = { address: '192.0.2.1', port: 4500 }
const remote = { address: '192.0.2.2', port: 4500 }
const other = '203.0.113.9'

function ikeSa(natTraversal = true): IkeSa {
  const core = new Core({ random: seededRandom(Buffer.from('mobike')), settings: defaultCoreSettings, strict: true })
  const sa = new IkeSa(core, { role: 'initiator', spiI: 1n, spiR: 2n, local, remote })
  sa.state = 'ESTABLISHED'
  sa.establishedAtMs = 0
  sa.peer = { ...sa.peer, natTraversal }
  sa.mobike = new Mobike([remote.address])
  return sa
}

type Answer = (request: readonly NPayload[], nth: number) => readonly Payload[]

/** Plays kernel (with these addresses of ours, all of which lead to the peer), clock and peer. Returns the requests. */
function play(script: Script<void>, own: readonly string[], answer: Answer): (readonly NPayload[])[] {
  const requests: (readonly NPayload[])[] = []
  let step = script.next()
  while (!step.done) step = script.next(resultOf(step.value))
  return requests

  function resultOf(effect: Effect): unknown {
    if (effect.kind === 'run') {
      assert.ok(effect.job.kind === 'kernel')
      const { operation } = effect.job
      if (operation.kind === 'local-addresses') return own
      assert.ok(operation.kind === 'route-lookup')
      return { source: operation.local ?? own[0] }
    }
    if (effect.kind === 'sleep') return undefined
    assert.ok(effect.kind === 'request' && effect.exchange === EXCHANGE.INFORMATIONAL)
    const request = effect.payloads.filter((payload) => payload.type === 'N')
    requests.push(request)
    const payloads = answer(request, requests.length)
    return { exchange: EXCHANGE.INFORMATIONAL, messageId: 0, payloads, bytes: new Uint8Array() }
  }
}

const types = (request: readonly NPayload[] = []): number[] => request.map(({ notify }) => notify)
const cookieIn = (request: readonly NPayload[] = []): NPayload[] =>
  request.filter(({ notify }) => notify === NOTIFY.COOKIE2)
const isUpdate = (request: readonly NPayload[]): boolean => types(request).includes(NOTIFY.UPDATE_SA_ADDRESSES)
const hex = (payload: Payload | undefined): string =>
  Buffer.from(encodePayloads(payload === undefined ? [] : [payload]).bytes).toString('hex')

test('the notifies of MOBIKE, octet by octet', () => {
  const sa = ikeSa(false)
  const [v4, v6] = additionalAddresses(sa, [local.address, '198.51.100.7', '2001:db8::7'])
  assert.equal(hex(v4), '0000000c0000400dc6336407')
  assert.equal(hex(v6), `000000180000400e${'20010db8000000000000000000000007'}`)
  assert.deepEqual(additionalAddresses(sa, [local.address]).map(hex), ['000000080000400f'])
  // Source and destination address, source and destination port.
  assert.deepEqual(noNatsAllowed(sa).map(hex), ['0000001400004012c0000201c000020211941194'])
  sa.moveTo({ address: '2001:db8::1', port: 500 }, { address: '2001:db8::2', port: 4500 })
  const addresses = '20010db800000000000000000000000120010db8000000000000000000000002'
  assert.deepEqual(noNatsAllowed(sa).map(hex), [`0000002c00004012${addresses}01f41194`])
  assert.equal(hex(notify(NOTIFY.MOBIKE_SUPPORTED)), '000000080000400c')
  assert.equal(hex(notify(NOTIFY.UPDATE_SA_ADDRESSES)), '0000000800004010')
  const [refused] = answerMobike(asResponder(), [notify(NOTIFY.UPDATE_SA_ADDRESSES)], {
    messageId: 1,
    path: {
      local,
      remote: { address: '224.0.0.1', port: 4500 },
    },
  })
  assert.equal(hex(refused), '0000000800000028')
  const wrong = notify(NOTIFY.NO_NATS_ALLOWED, new Uint8Array(12))
  assert.equal(
    hex(answerMobike(asResponder(), [wrong], { messageId: 1, path: { local, remote } })[0]),
    '0000000800000029',
  )
})

function asResponder(): IkeSa {
  const sa = ikeSa()
  sa.firstRole = 'responder'
  return sa
}

test('what is in MOBIKE_SUPPORTED besides its type is ignored', () => {
  const sa = ikeSa()
  sa.mobike = undefined
  sa.connection = connection({ name: 'lab' })
  learnMobike(sa, [notify(NOTIFY.MOBIKE_SUPPORTED, Uint8Array.of(1, 2, 3))])
  assert.deepEqual((sa.mobike as Mobike | undefined)?.peerAddresses, [remote.address])
})

test('an update: COOKIE2 of 8 to 64 octets that nobody can guess', () => {
  const sa = ikeSa()
  const cookies = [1, 2].map(() => {
    const [request] = play(initiate(sa, false), [local.address], cookieIn)
    const [cookie] = cookieIn(request)
    assert.ok(cookie && cookie.data.length >= 8 && cookie.data.length <= 64)
    return Buffer.from(cookie.data).toString('hex')
  })
  assert.notEqual(cookies[0], cookies[1])
  assert.equal(sa.destroyed, false)
})

test('an update whose COOKIE2 comes back otherwise closes the IKE SA', () => {
  const sa = ikeSa()
  play(initiate(sa, false), [local.address], () => [notify(NOTIFY.COOKIE2, new Uint8Array(16))])
  assert.equal(sa.destroyed, true)
})

test('a peer that sends COOKIE2 back beside NAT detection only, as pluto does, is reachable', () => {
  const sa = asResponder()
  const asPluto = (request: readonly NPayload[]) =>
    types(request).includes(NOTIFY.NAT_DETECTION_SOURCE_IP) ? cookieIn(request) : []
  assert.equal(play(checkRoutability(sa), [local.address], asPluto).length, 1)
  assert.equal(sa.destroyed, false)
})

test('UNACCEPTABLE_ADDRESSES: another pair of addresses is tried', () => {
  const sa = ikeSa()
  const used: string[] = []
  // The best path works.
  sa.dialogue.probe = ([best]) => void (best && sa.moveTo(best.local, best.remote))
  play(initiate(sa, true), [local.address, other], (request) => {
    if (!isUpdate(request)) return []
    used.push(sa.local.address)
    return used.length === 1 ? [notify(NOTIFY.UNACCEPTABLE_ADDRESSES), ...cookieIn(request)] : cookieIn(request)
  })
  assert.deepEqual(used, [local.address, other])
})

test('UNACCEPTABLE_ADDRESSES for all there are: the update waits for other addresses', () => {
  const sa = ikeSa()
  const requests = play(initiate(sa, true), [local.address], (request) =>
    isUpdate(request) ? [notify(NOTIFY.UNACCEPTABLE_ADDRESSES), ...cookieIn(request)] : [],
  )
  assert.equal(requests.filter(isUpdate).length, 1)
  assert.equal(sa.mobike?.stale, true)
})

test('UNEXPECTED_NAT_DETECTED: tried several times in new exchanges', () => {
  const sa = ikeSa(false)
  let updates = 0
  const requests = play(initiate(sa, false), [local.address], (request) => {
    if (!isUpdate(request)) return []
    return ++updates < 4 ? [notify(NOTIFY.UNEXPECTED_NAT_DETECTED), ...cookieIn(request)] : cookieIn(request)
  })
  assert.equal(updates, 4)
  // Without NAT traversal each of them says what a NAT must not have changed.
  for (const request of requests.filter(isUpdate)) assert.ok(types(request).includes(NOTIFY.NO_NATS_ALLOWED))
})

test('UNEXPECTED_NAT_DETECTED for ever: some day we give up', () => {
  const refused: Answer = (request) => [notify(NOTIFY.UNEXPECTED_NAT_DETECTED), ...cookieIn(request)]
  assert.equal(play(initiate(ikeSa(false), false), [local.address], refused).filter(isUpdate).length, 8)
})

test('the addresses change again before the answer: it is started over, and the answer says nothing', () => {
  const sa = ikeSa()
  const seen = notify(NOTIFY.NAT_DETECTION_DESTINATION_IP, new Uint8Array(20))
  const requests = play(initiate(sa, false), [local.address], (request, nth) => {
    if (nth > 1) return cookieIn(request)
    if (sa.mobike !== undefined) sa.mobike.changes++
    return [notify(NOTIFY.NAT_DETECTION_SOURCE_IP, new Uint8Array(20)), seen, ...cookieIn(request)]
  })
  assert.equal(requests.filter(isUpdate).length, 2)
  assert.deepEqual(sa.nat, { local: false, remote: false, fake: false })
})

test('a list without NAT traversal says what a NAT must not have changed', () => {
  const [request] = play(announce(ikeSa(false), false), [local.address, other], () => [])
  assert.deepEqual(types(request), [NOTIFY.ADDITIONAL_IP4_ADDRESS, NOTIFY.NO_NATS_ALLOWED])
  const [none] = play(announce(ikeSa(false), false), [local.address], () => [])
  assert.deepEqual(types(none), [NOTIFY.NO_ADDITIONAL_ADDRESSES, NOTIFY.NO_NATS_ALLOWED])
})

test('a list that went out from several addresses is sent again from the one that worked', () => {
  const requests = play(announce(ikeSa(), true), [local.address, other], () => [])
  assert.deepEqual(requests.map(types), [[NOTIFY.ADDITIONAL_IP4_ADDRESS], [NOTIFY.ADDITIONAL_IP4_ADDRESS]])
})

test('a path check during which the addresses change proves nothing: there is another', () => {
  const sa = asResponder()
  const requests = play(checkRoutability(sa), [local.address], (request, nth) => {
    if (nth === 1 && sa.mobike !== undefined) sa.mobike.changes++
    return cookieIn(request)
  })
  assert.equal(requests.length, 2)
  assert.notDeepEqual(cookieIn(requests[0]), cookieIn(requests[1]))
})

test('NAT detection is answered with NAT detection, and nothing else comes of it', () => {
  const sa = asResponder()
  const elsewhere = { local, remote: { address: other, port: 40_000 } }
  const asked = natDetection(sa.spiI, sa.spiR, remote, local, undefined)
  const answer = answerMobike(sa, asked, { messageId: 1, path: elsewhere })
  // Of the addresses in the header of the request.
  assert.deepEqual(answer, natDetection(sa.spiI, sa.spiR, local, elsewhere.remote, undefined))
  assert.deepEqual([sa.remote, sa.nat.remote, sa.activeTasks], [remote, false, []])
})
