import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { seededRandom } from '../../crypto/random.ts'
import { AUTH_METHOD, CERT_ENCODING } from '../../wire/numbers.ts'
import type { CERTPayload } from '../../wire/payloads/index.ts'
import { Core } from '../core.ts'
import { IkeSa } from '../ike-sa.ts'
import { lookUpCertificates } from './hash-and-url.ts'

const der = (octet: number): Uint8Array => Uint8Array.of(0x30, 3, 2, 1, octet)
const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest()
const byUrl = (encoding: number, hash: Uint8Array, url: string): CERTPayload => ({
  type: 'CERT',
  encoding,
  data: Uint8Array.from([...hash, ...Buffer.from(url)]),
})
const plain: CERTPayload = { type: 'CERT', encoding: CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE, data: der(9) }
const { HASH_AND_URL_OF_X_509_CERTIFICATE: one, HASH_AND_URL_OF_X_509_BUNDLE: bundle } = CERT_ENCODING

/** What comes of the payloads; every URL leads to `body`. */
function lookUp(payloads: readonly CERTPayload[], body: Uint8Array, method: number = AUTH_METHOD.DIGITAL_SIGNATURE) {
  const settings = { ...defaultCoreSettings, hashAndUrl: true }
  const core = new Core({ random: seededRandom(Buffer.from('hash and url')), settings, strict: true })
  const end = { address: '192.0.2.1', port: 500 }
  const sa = new IkeSa(core, { role: 'responder', spiI: 1n, spiR: 2n, local: end, remote: end })
  const script = lookUpCertificates(sa, payloads, { type: 'AUTH', method, data: new Uint8Array() })
  const urls: string[] = []
  let next = script.next()
  while (!next.done) {
    assert.ok(next.value.kind === 'run' && next.value.job.kind === 'fetch')
    urls.push(next.value.job.url)
    next = script.next(body)
  }
  return { ders: next.value.map(({ data }) => Buffer.from(data).toString('hex')), urls }
}

test('a certificate, in its place among the others', () => {
  const { ders, urls } = lookUp([plain, byUrl(one, sha1(der(1)), 'http://a/b'), plain], der(1))
  assert.deepEqual(ders, ['3003020109', '3003020101', '3003020109'])
  assert.deepEqual(urls, ['http://a/b'])
})

test('a bundle is all of its certificates', () => {
  const content = [0xa0, 5, ...der(1), 0xa1, 5, ...der(2), 0xa0, 5, ...der(3)]
  const body = Uint8Array.of(0x30, content.length, ...content)
  assert.deepEqual(lookUp([byUrl(bundle, sha1(body), 'http://a/b')], body).ders, ['3003020101', '3003020103'])
})

test('a bundle that is none, and a hash that does not fit, are left out', () => {
  assert.deepEqual(lookUp([byUrl(bundle, sha1(der(1)), 'http://a/b'), plain], der(1)).ders, ['3003020109'])
  assert.deepEqual(lookUp([byUrl(one, sha1(der(2)), 'http://a/b'), plain], der(1)).ders, ['3003020109'])
})

test('four lookups are enough', () => {
  const payloads = Array.from({ length: 9 }, (_, i) => byUrl(one, sha1(der(1)), `http://a/${i}`))
  const { ders, urls } = lookUp(payloads, der(1))
  assert.equal(urls.length, 4)
  assert.equal(ders.length, 4)
})

for (const [what, data] of [
  ['no URL', [...sha1(der(1))]],
  ['less than a hash', [1, 2, 3]],
  ['another scheme', [...sha1(der(1)), ...Buffer.from('https://a/b')]],
  ['a line break', [...sha1(der(1)), ...Buffer.from('http://a/b\r\nHost: c')]],
  ['octets beyond ASCII', [...sha1(der(1)), ...Buffer.from('http://ä/')]],
] as const) {
  test(`nobody is asked: ${what}`, () => {
    const { ders, urls } = lookUp([{ type: 'CERT', encoding: one, data: Uint8Array.from(data) }], der(1))
    assert.deepEqual([ders, urls], [[], []])
  })
}

test('nobody is asked for a peer with a pre-shared key', () => {
  const { urls } = lookUp(
    [byUrl(one, sha1(der(1)), 'http://a/b')],
    der(1),
    AUTH_METHOD.SHARED_KEY_MESSAGE_INTEGRITY_CODE,
  )
  assert.deepEqual(urls, [])
})
