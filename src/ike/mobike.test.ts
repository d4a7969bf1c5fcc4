/** What a peer with valid keys may say about addresses, and what it may not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import { seededRandom } from '../crypto/random.ts'
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import { Core } from './core.ts'
import { answerMobike, checkRoutability } from './exchanges/update-sa-addresses.ts'
import { IkeSa } from './ike-sa.ts'
import { addressesIn, isHost, Mobike, noNatsHold } from './mobike.ts'
import { notify } from './notifies.ts'

const local = { address: '192.0.2.2', port: 4500 }
const remote = { address: '192.0.2.1', port: 4500 }
const elsewhere = { address: '203.0.113.9', port: 4500 }
const cookie = notify(NOTIFY.COOKIE2, new Uint8Array(16).fill(7))
const update = notify(NOTIFY.UPDATE_SA_ADDRESSES)

function ikeSa(role: 'initiator' | 'responder'): IkeSa {
  const core = new Core({ random: seededRandom(Buffer.from('mobike')), settings: defaultCoreSettings, strict: true })
  const sa = new IkeSa(core, { role, spiI: 1n, spiR: 2n, local, remote })
  sa.state = 'ESTABLISHED'
  sa.establishedAtMs = 0
  sa.mobike = new Mobike([remote.address])
  return sa
}

const types = (payloads: readonly { readonly notify: number }[]): number[] => payloads.map(({ notify }) => notify)

test('UPDATE_SA_ADDRESSES moves the IKE SA to where the request came from, and COOKIE2 comes back as it was', () => {
  const sa = ikeSa('responder')
  assert.deepEqual(answerMobike(sa, [update, cookie], { messageId: 1, path: { local, remote: elsewhere } }), [cookie])
  assert.deepEqual(sa.remote, elsewhere)
})

test('UPDATE_SA_ADDRESSES of the one that does not decide is ignored', () => {
  const sa = ikeSa('initiator')
  assert.deepEqual(answerMobike(sa, [update, cookie], { messageId: 1, path: { local, remote: elsewhere } }), [cookie])
  assert.deepEqual(sa.remote, remote)
})

test('RFC 4555 §3.5: an UPDATE_SA_ADDRESSES that a newer one has overtaken is answered and moves nothing', () => {
  const sa = ikeSa('responder')
  answerMobike(sa, [update], { messageId: 6, path: { local, remote: elsewhere } })
  assert.deepEqual(answerMobike(sa, [update, cookie], { messageId: 5, path: { local, remote } }), [cookie])
  assert.deepEqual(sa.remote, elsewhere)
})

test('after a rekeying by the responder the first initiator still decides', () => {
  const sa = ikeSa('initiator')
  sa.firstRole = 'responder'
  answerMobike(sa, [update], { messageId: 1, path: { local, remote: elsewhere } })
  assert.deepEqual(sa.remote, elsewhere)
})

test('without MOBIKE its notifies are nothing', () => {
  const sa = ikeSa('responder')
  sa.mobike = undefined
  assert.deepEqual(answerMobike(sa, [update, cookie], { messageId: 1, path: { local, remote: elsewhere } }), [])
  assert.deepEqual(sa.remote, remote)
})

for (const address of ['224.0.0.5', '127.0.0.1', '0.0.0.0', local.address, '255.255.255.255']) {
  test(`${address} is no place for a peer`, () => {
    const sa = ikeSa('responder')
    const answer = answerMobike(sa, [update, cookie], {
      messageId: 1,
      path: { local, remote: { address, port: 4500 } },
    })
    assert.deepEqual(types(answer), [NOTIFY.UNACCEPTABLE_ADDRESSES, NOTIFY.COOKIE2])
    assert.deepEqual(sa.remote, remote)
  })
}

test('RFC 4555 §3.9: addresses that are not those of NO_NATS_ALLOWED change nothing', () => {
  const sa = ikeSa('responder')
  // 192.0.2.1 -> 192.0.2.2, ports 4500 and 4500
  const meant = notify(NOTIFY.NO_NATS_ALLOWED, Uint8Array.of(192, 0, 2, 1, 192, 0, 2, 2, 0x11, 0x94, 0x11, 0x94))
  assert.ok(noNatsHold([meant], { local, remote }))
  const answer = answerMobike(sa, [update, meant], { messageId: 1, path: { local, remote: elsewhere } })
  assert.deepEqual(types(answer), [NOTIFY.UNEXPECTED_NAT_DETECTED])
  assert.deepEqual(sa.remote, remote)
})

test('a list is complete, bounded, and of hosts only', () => {
  const v4 = (last: number) => notify(NOTIFY.ADDITIONAL_IP4_ADDRESS, Uint8Array.of(198, 51, 100, last))
  const many = Array.from({ length: 100 }, (_, i) => v4(i))
  assert.equal(addressesIn(many, remote.address)?.length, 9)
  assert.deepEqual(addressesIn([notify(NOTIFY.NO_ADDITIONAL_ADDRESSES)], remote.address), [remote.address])
  assert.equal(addressesIn([cookie], remote.address), undefined)
  const strange = [
    notify(NOTIFY.ADDITIONAL_IP4_ADDRESS, Uint8Array.of(224, 0, 0, 1)),
    notify(NOTIFY.ADDITIONAL_IP4_ADDRESS, new Uint8Array(16)),
    notify(NOTIFY.ADDITIONAL_IP6_ADDRESS, new Uint8Array(4)),
    notify(NOTIFY.ADDITIONAL_IP6_ADDRESS, new Uint8Array(16).fill(0xff)),
    v4(7),
  ]
  assert.deepEqual(addressesIn(strange, remote.address), [remote.address, '198.51.100.7'])
  assert.ok(isHost(new Uint8Array(16).fill(1)))
})

test('RFC 4555 §3.7: an IKE SA whose COOKIE2 comes back otherwise is closed', () => {
  for (const back of [[], [cookie]]) {
    const sa = ikeSa('responder')
    const script = checkRoutability(sa)
    const asked = script.next().value
    assert.ok(asked?.kind === 'request' && asked.exchange === EXCHANGE.INFORMATIONAL)
    const answer = { exchange: EXCHANGE.INFORMATIONAL, messageId: 0, payloads: back, bytes: new Uint8Array() }
    assert.equal(script.next(answer).done, true)
    assert.equal(sa.destroyed, true)
  }
})
