/** Cookies (RFC 7296 §2.6): who is asked for one, and which ones are taken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import { seededRandom } from '../crypto/random.ts'
import type { Admitted } from './admission.ts'
import { Core } from './core.ts'

const address = '192.0.2.1'
const spi = 0x0102030405060708n
const ni = new Uint8Array(32).fill(7)

/** Somebody is half-open, so that everybody else is asked for a cookie. */
function underLoad(): Core {
  const settings = { ...defaultCoreSettings, cookieThreshold: 1 }
  const core = new Core({ random: seededRandom(Buffer.from('cookies')), settings, strict: true })
  core.now = Date.UTC(2026, 0, 1)
  core.admission.enter('203.0.113.1')
  return core
}

function cookieOf(admitted: Admitted): Uint8Array {
  assert.ok(admitted.kind === 'cookie')
  return admitted.cookie
}

test('a cookie is asked for from the threshold on, and for a while after', () => {
  const settings = { ...defaultCoreSettings, cookieThreshold: 2 }
  const core = new Core({ random: seededRandom(Buffer.from('cookies')), settings, strict: true })
  const kind = () => core.admission.decide(address, spi, ni, undefined).kind
  const first = core.admission.enter('203.0.113.1')
  assert.equal(kind(), 'admitted')
  core.admission.enter('203.0.113.2')
  assert.equal(kind(), 'cookie')
  first()
  assert.equal(kind(), 'cookie')
  core.now += 10_001
  assert.equal(kind(), 'admitted')
})

test('the cookie comes back, from the same address, with the same SPI and nonce: admitted, without any state', () => {
  const { admission } = underLoad()
  const cookie = cookieOf(admission.decide(address, spi, ni, undefined))
  assert.equal(cookie.length, 36)
  assert.equal(admission.decide(address, spi, ni, cookie).kind, 'admitted')
  assert.deepEqual(cookieOf(admission.decide(address, spi, ni, undefined)), cookie)
})

test('a cookie that does not match is as good as none', () => {
  const { admission } = underLoad()
  const asked = admission.decide(address, spi, ni, undefined)
  const cookie = cookieOf(asked)
  const changed = cookie.map((octet, i) => (i === 20 ? octet ^ 1 : octet))
  const otherNonce = new Uint8Array(32).fill(8)
  for (const odd of [changed, cookie.subarray(0, 35), new Uint8Array(36), new Uint8Array()]) {
    assert.deepEqual(admission.decide(address, spi, ni, odd), asked)
  }
  assert.equal(admission.decide('192.0.2.9', spi, ni, cookie).kind, 'cookie')
  assert.equal(admission.decide(address, spi + 1n, ni, cookie).kind, 'cookie')
  assert.equal(admission.decide(address, spi, otherNonce, cookie).kind, 'cookie')
})

test('a cookie is good for ten seconds', () => {
  const core = underLoad()
  const cookie = cookieOf(core.admission.decide(address, spi, ni, undefined))
  core.now += 10_000
  assert.equal(core.admission.decide(address, spi, ni, cookie).kind, 'admitted')
  core.now += 1000
  assert.notDeepEqual(cookieOf(core.admission.decide(address, spi, ni, cookie)), cookie)
})

test('the secret is another one every two minutes; the one before is good for cookies under way', () => {
  const core = underLoad()
  const { admission } = core
  cookieOf(admission.decide(address, spi, ni, undefined)) // draws the first secret
  core.now += 119_000
  const late = cookieOf(admission.decide(address, spi, ni, undefined))
  core.now += 2_000
  const next = cookieOf(admission.decide(address, spi, ni, undefined))
  core.now -= 2_000 // the time is in the cookie, too: the same time under the other secret
  const again = cookieOf(admission.decide(address, spi, ni, undefined))
  assert.notDeepEqual(again, late)
  core.now += 2_000
  assert.equal(admission.decide(address, spi, ni, late).kind, 'admitted')
  assert.equal(admission.decide(address, spi, ni, next).kind, 'admitted')
})
