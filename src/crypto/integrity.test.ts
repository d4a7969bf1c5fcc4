import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cmac } from '@noble/ciphers/aes.js'
import fc from 'fast-check'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { aesCmac, aesXcbc } from './block-mac.ts'
import { INTEGRITY, integrity, verifyIcv } from './integrity.ts'
import { Secret } from './secret.ts'

function known(id: number) {
  const row = integrity(id)
  assert.ok(row)
  return row
}

test('RFC 4868: HMAC with SHA-2, truncated to half', () => {
  const { auth } = vectors<{ auth: { alg: string; key: string; data: string; icv: string }[] }>(
    'rfc/rfc4868-ipsec-hmac-sha2.json',
  )
  const ids: Record<string, number> = { 'HMAC-SHA-256-128': 12, 'HMAC-SHA-384-192': 13, 'HMAC-SHA-512-256': 14 }
  assert.equal(auth.length, 12)
  for (const { alg, key, data, icv } of auth) {
    const row = known(ids[alg] ?? 0)
    assert.equal(hex(key).length, row.keyBytes)
    assert.equal(toHex(row.sign(Secret.of(hex(key)), hex(data))), icv)
  }
})

test('RFC 2202: HMAC with MD5 and SHA-1, truncated to 96 bits', () => {
  const { cases } = vectors<{ cases: { alg: string; key: string; data: string; digest: string }[] }>(
    'rfc/rfc2202-hmac-md5-sha1.json',
  )
  for (const { alg, key, data, digest } of cases) {
    const mac = known(alg === 'md5' ? 1 : 2).sign(Secret.of(hex(key)), hex(data))
    assert.equal(toHex(mac), digest.slice(0, 24))
    if (alg === 'sha1') assert.equal(toHex(known(7).sign(Secret.of(hex(key)), hex(data))), digest)
  }
})

test('RFC 3566 and RFC 4494: AES-XCBC and AES-CMAC, truncated to 96 bits', () => {
  type Case = { key: string; message: string; mac: string; mac96: string }
  const xcbc = vectors<{ mac: Case[] }>('rfc/rfc3566-4434-aes-xcbc.json').mac
  const cmacs = vectors<{ cmac: Case[] }>('rfc/rfc4493-4494-4615-aes-cmac.json').cmac
  assert.deepEqual([xcbc.length, cmacs.length], [7, 4])
  for (const { key, message, mac, mac96 } of xcbc) {
    assert.equal(toHex(aesXcbc(Secret.of(hex(key)), hex(message))), mac)
    assert.equal(toHex(known(5).sign(Secret.of(hex(key)), hex(message))), mac96)
  }
  for (const { key, message, mac, mac96 } of cmacs) {
    assert.equal(toHex(aesCmac(Secret.of(hex(key)), hex(message))), mac)
    assert.equal(toHex(known(8).sign(Secret.of(hex(key)), hex(message))), mac96)
  }
})

test('AES-CMAC agrees with another implementation', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ maxLength: 100 }), (key, data) => {
      assert.equal(toHex(aesCmac(Secret.of(key.slice()), data)), toHex(cmac(data, key)))
    }),
  )
})

test('every row for IKE signs with its lengths, and one changed bit is seen', () => {
  for (const row of INTEGRITY.filter(({ ikeSupported }) => ikeSupported)) {
    const key = Secret.of(new Uint8Array(row.keyBytes).fill(7))
    const icv = row.sign(key, hex('0102'), hex('03'))
    assert.equal(icv.length, row.icvBytes, row.name)
    assert.equal(icv.length * 8, row.kernelTruncBits, row.name)
    assert.ok(verifyIcv(row, key, icv, hex('010203')), row.name)
    assert.ok(!verifyIcv(row, key, icv, hex('010202')), row.name)
    assert.ok(!verifyIcv(row, key, icv.subarray(1), hex('010203')), row.name)
  }
})

test('GMAC is for AH only: 4 octets of salt follow the key, and it signs nothing here', () => {
  assert.deepEqual(
    [9, 10, 11].map((id) => known(id).keyBytes),
    [20, 28, 36],
  )
  assert.throws(() => known(9).sign(Secret.of(new Uint8Array(20)), hex('00')), /AH only/)
})

test('what RFC 8247 forbids is not there', () => {
  for (const id of [3, 4]) assert.equal(integrity(id), undefined)
})
