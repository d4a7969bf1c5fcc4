import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex, toHex, vectors, vectorText } from '../../rfc-vectors/read.ts'
import { concat } from './bytes.ts'
import { encryption } from './encryption.ts'
import { integrity } from './integrity.ts'
import { keyExchange } from './key-exchange/key-exchange.ts'
import {
  authOctets,
  childKeymat,
  ikeKeys,
  intAuth,
  macedId,
  mixPpk,
  pskAuth,
  rekeySkeyseed,
  skeyseed,
  updateSkeyseed,
} from './keys.ts'
import { type Prf, prf, prfPlus } from './prf.ts'
import { Secret } from './secret.ts'

const secret = (text: string) => Secret.of(hex(text))

function known<T>(row: T | undefined): T {
  assert.ok(row !== undefined)
  return row
}

test('NIST CAVS: 900 derivations', () => {
  const prfs: Record<string, Prf> = {
    'SHA-1': known(prf(2)),
    'SHA-256': known(prf(5)),
    'SHA-384': known(prf(6)),
    'SHA-512': known(prf(7)),
  }
  // Some DKM are longer and some shorter than the seven keys, so what both have is compared.
  const suite = (p: Prf) => ({ prf: p, encr: known(encryption(12)), encrKeyBits: 128, integ: known(integrity(12)) })
  let hashName = ''
  let fields: Record<string, string> = {}
  let checked = 0
  for (const line of vectorText('nist-cavs-ikev2-kdf/ikev2.fax.gz').split(/\r?\n/)) {
    hashName = /^\[(SHA-\d+)\]$/.exec(line)?.[1] ?? hashName
    const [, name, value] = /^([^#=[]+?) = ([0-9a-f]+)$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    fields[name] = value
    if (name !== 'SKEYSEED(Rekey)') continue

    const p = known(prfs[hashName])
    const field = (key: string) => hex(known(fields[key]))
    const [ni, nr, spiI, spiR] = [field('Ni'), field('Nr'), field('SPIi'), field('SPIr')]
    const seed = skeyseed(p, ni, nr, Secret.of(field('g^ir')))
    assert.equal(toHex(seed.bytes()), fields['SKEYSEED'])
    const keys = ikeKeys(suite(p), seed, ni, nr, spiI, spiR)
    const all = [keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr].map((key) => toHex(key.bytes())).join('')
    const dkm = known(fields['DKM'])
    const length = Math.min(all.length, dkm.length)
    assert.equal(all.slice(0, length), dkm.slice(0, length))
    assert.equal(toHex(prfPlus(p, seed, concat(ni, nr, spiI, spiR), dkm.length / 2)), dkm)

    const fresh = Secret.of(field('g^ir (new)'))
    const d = known(fields['DKM(Child SA)'])
    const dh = known(fields['DKM(Child SA D-H)'])
    assert.equal(childPrefix(p, keys.d, ni, nr, undefined), d.slice(0, 192))
    assert.equal(childPrefix(p, keys.d, ni, nr, fresh), dh.slice(0, 192))
    assert.equal(toHex(prfPlus(p, keys.d, concat(ni, nr), d.length / 2)), d)
    assert.equal(toHex(rekeySkeyseed(p, keys.d, fresh, ni, nr).bytes()), value)
    fields = {}
    checked++
  }
  assert.equal(checked, 900)
})

/** The key material of a Child SA with AES-CBC-128 and HMAC-SHA-256: 2 × 48 octets. */
function childPrefix(p: Prf, d: Secret, ni: Uint8Array, nr: Uint8Array, shared: Secret | undefined): string {
  const keys = childKeymat({ prf: p, d, ni, nr, shared, encr: encryption(12), keyBits: 128, integ: integrity(12) })
  const parts = [keys.initiator.encr, keys.initiator.integ, keys.responder.encr, keys.responder.integ]
  return parts.map((key) => toHex(known(key).bytes())).join('')
}

interface Derived {
  spi_i: string
  spi_r: string
  ni: string
  nr: string
  g_ir: string
  [key: string]: string
}

/** AES-CBC-128, PRF_HMAC_SHA1, HMAC_SHA1_96: the suite of both captured sets. */
const sha1Suite = { prf: known(prf(2)), encr: known(encryption(12)), encrKeyBits: 128, integ: known(integrity(2)) }

function sameKeys(c: Derived, expected: Record<string, string>): void {
  const seed = skeyseed(sha1Suite.prf, hex(c.ni), hex(c.nr), secret(c.g_ir))
  const keys = ikeKeys(sha1Suite, seed, hex(c.ni), hex(c.nr), hex(c.spi_i), hex(c.spi_r))
  assert.equal(toHex(seed.bytes()), expected['skeyseed'])
  for (const name of ['d', 'ai', 'ar', 'ei', 'er', 'pi', 'pr'] as const) {
    assert.equal(toHex(keys[name].bytes()), expected[`sk_${name}`], `SK_${name}`)
  }
}

const lower = (fields: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), String(value)]))

test('RUB: key derivation and the AUTH of a pre-shared key', () => {
  const file = vectors<{ psk_ascii: string; key_derivation: Derived; psk_auth: Record<string, string> }>(
    'rub-ikev2-psk/vectors.json',
  )
  sameKeys(file.key_derivation, lower(file.key_derivation))
  const a = file.psk_auth as Derived
  const seed = skeyseed(sha1Suite.prf, hex(a.ni), hex(a.nr), secret(a.g_ir))
  using keys = ikeKeys(sha1Suite, seed, hex(a.ni), hex(a.nr), hex(a.spi_i), hex(a.spi_r))
  const maced = macedId(sha1Suite.prf, keys.pi, hex(known(a['idi_body'])))
  const octets = authOctets(hex(known(a['ike_sa_init_request'])), hex(a.nr), maced)
  assert.equal(toHex(octets), a['signed_octets'])
  const psk = Secret.of(new TextEncoder().encode(file.psk_ascii))
  assert.equal(toHex(pskAuth(sha1Suite.prf, psk, octets)), a['auth'])
})

test('RUB: a whole exchange from the Diffie-Hellman private value to the keys of the Child SA', () => {
  const file = vectors<{ psk_ascii: string; exchange: Record<string, string> & { expected: Record<string, string> } }>(
    'rub-ikev2-psk/vectors.json',
  )
  const x = file.exchange
  const expected = x.expected
  const request = hex(known(x['ike_sa_init_request']))
  const response = hex(known(x['ike_sa_init_response']))
  const [ni, keI] = nonceAndKe(request)
  const [nr, keR] = nonceAndKe(response)
  const group = known(keyExchange(2))
  const ours = group.privateFrom(hex(known(x['initiator_dh_private'])))
  assert.equal(toHex(ours.public), toHex(keI))
  const shared = group.finish(ours.private, keR)
  assert.equal(toHex(shared.bytes()), expected['g_ir'])

  const [spiI, spiR] = [response.slice(0, 8), response.slice(8, 16)]
  const seed = skeyseed(sha1Suite.prf, ni, nr, shared)
  const keys = ikeKeys(sha1Suite, seed, ni, nr, spiI, spiR)
  assert.equal(toHex(seed.bytes()), expected['SKEYSEED'])
  for (const name of ['d', 'ai', 'ar', 'ei', 'er', 'pi', 'pr'] as const) {
    assert.equal(toHex(keys[name].bytes()), expected[`SK_${name}`], `SK_${name}`)
  }

  // Both AUTH values, over the ID payload that comes first in each decrypted IKE_AUTH.
  const psk = Secret.of(new TextEncoder().encode(file.psk_ascii))
  const auth = (message: Uint8Array, nonce: Uint8Array, skP: Secret, plaintext: string | undefined) => {
    const inner = hex(known(plaintext))
    const id = inner.subarray(4, ((inner[2] ?? 0) << 8) | (inner[3] ?? 0))
    return toHex(pskAuth(sha1Suite.prf, psk, authOctets(message, nonce, macedId(sha1Suite.prf, skP, id))))
  }
  assert.equal(auth(request, nr, keys.pi, expected['ike_auth_request_plaintext']), expected['initiator_auth'])
  assert.equal(auth(response, ni, keys.pr, expected['ike_auth_response_plaintext']), expected['responder_auth'])

  const child = childKeymat({
    prf: sha1Suite.prf,
    d: keys.d,
    ni,
    nr,
    encr: encryption(12),
    keyBits: 128,
    integ: integrity(2),
  })
  assert.deepEqual(
    [child.initiator.encr, child.initiator.integ, child.responder.encr, child.responder.integ].map((key) =>
      toHex(known(key).bytes()),
    ),
    ['child_encr_i2r', 'child_integ_i2r', 'child_encr_r2i', 'child_integ_r2i'].map((name) => expected[name]),
  )
})

/** Nonce and Key Exchange Data of an IKE_SA_INIT message, which has no encrypted part. */
function nonceAndKe(message: Uint8Array): [Uint8Array, Uint8Array] {
  const found = new Map<number, Uint8Array>()
  let type = message[16] ?? 0
  for (let at = 28; type !== 0; ) {
    const length = ((message[at + 2] ?? 0) << 8) | (message[at + 3] ?? 0)
    assert.ok(length >= 4)
    found.set(type, message.slice(at + 4, at + length))
    type = message[at] ?? 0
    at += length
  }
  return [known(found.get(40)), known(found.get(34)).slice(4)]
}

test('Android: key derivation, Child SA keys, the AUTH of a pre-shared key and two shared secrets', () => {
  const file = vectors<{
    kdf: Derived
    psk_auth: Record<string, string>
    dh: { group: number; private: string; remote_public: string; shared: string }[]
  }>('android-iketests/verified.json')
  sameKeys(file.kdf, file.kdf)

  const { kdf, psk_auth: a } = file
  const d = secret(known(kdf['sk_d']))
  const keys = childKeymat({
    prf: sha1Suite.prf,
    d,
    ni: hex(kdf.ni),
    nr: hex(kdf.nr),
    encr: encryption(12),
    keyBits: 128,
    integ: integrity(2),
  })
  assert.deepEqual(
    [keys.initiator.encr, keys.initiator.integ, keys.responder.encr, keys.responder.integ].map((key) =>
      toHex(known(key).bytes()),
    ),
    ['child_encr_i', 'child_integ_i', 'child_encr_r', 'child_integ_r'].map((name) => kdf[name]),
  )

  const maced = macedId(sha1Suite.prf, secret(known(a['sk_pi'])), hex(known(a['id_i_body'])))
  const octets = authOctets(hex(known(a['ike_sa_init_request'])), hex(known(a['nr'])), maced)
  assert.equal(toHex(pskAuth(sha1Suite.prf, secret(known(a['psk'])), octets)), a['auth'])

  for (const { group, private: ours, remote_public, shared } of file.dh) {
    const method = known(keyExchange(group))
    assert.equal(toHex(method.finish(method.privateFrom(hex(ours)).private, hex(remote_public)).bytes()), shared)
  }
})

test('a prf with a key of fixed length takes 64 bits of each nonce for SKEYSEED, and only there', () => {
  const ni = hex('000102030405060708090a0b0c0d0e0f')
  const nr = hex('101112131415161718191a1b1c1d1e1f')
  const shared = secret('aabbcc')
  for (const id of [4, 8]) {
    const p = known(prf(id))
    const key = hex('00010203040506071011121314151617')
    assert.equal(toHex(skeyseed(p, ni, nr, shared).bytes()), toHex(p.compute(key, shared.bytes())))
    assert.equal(
      toHex(rekeySkeyseed(p, secret('00'.repeat(16)), shared, ni, nr).bytes()),
      toHex(p.compute(new Uint8Array(16), concat(shared.bytes(), ni, nr))),
    )
  }
})

test('with an AEAD there is no SK_a, and SK_e ends with the salt', () => {
  const p = known(prf(5))
  const seed = secret('11'.repeat(32))
  const nonce = new Uint8Array(32)
  const spi = new Uint8Array(8)
  const keys = ikeKeys({ prf: p, encr: known(encryption(20)), encrKeyBits: 256 }, seed, nonce, nonce, spi, spi)
  const lengths = [keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr].map(({ length }) => length)
  assert.deepEqual(lengths, [32, 0, 0, 36, 36, 32, 32])
  const all = prfPlus(p, seed, concat(nonce, nonce, spi, spi), 168)
  assert.equal(toHex(keys.er.bytes()), toHex(all.subarray(68, 104)))
})

test('key material of a Child SA by protocol', () => {
  const source = { prf: known(prf(5)), d: secret('22'.repeat(32)), ni: hex('01'), nr: hex('02') }
  const lengths = (encr: number | undefined, keyBits: number, integ?: number) => {
    const keys = childKeymat({
      ...source,
      encr: encr === undefined ? undefined : known(encryption(encr)),
      keyBits,
      integ: integ === undefined ? undefined : known(integrity(integ)),
    })
    assert.notEqual(
      toHex(keys.initiator.encr.bytes()),
      keys.initiator.encr.length > 0 ? toHex(keys.responder.encr.bytes()) : 'x',
    )
    return [keys.initiator.encr.length, keys.initiator.integ?.length]
  }
  assert.deepEqual(lengths(20, 128), [20, undefined])
  assert.deepEqual(lengths(28, 256), [36, undefined])
  assert.deepEqual(lengths(21, 256), [36, undefined])
  assert.deepEqual(lengths(12, 256, 14), [32, 64])
  assert.deepEqual(lengths(11, 0, 12), [0, 32])
  assert.deepEqual(lengths(undefined, 0, 12), [0, 32])
  // A proposal that names an integrity algorithm beside an AEAD gives it no key.
  assert.deepEqual(lengths(20, 128, 12), [20, undefined])
})

test('RFC 9370: additional secrets come after the nonces', () => {
  const p = known(prf(5))
  const d = () => secret('33'.repeat(32))
  const [ni, nr] = [hex('0a0b'), hex('0c0d')]
  const [s0, s1, s2] = [secret('00ff'), secret('01ff'), secret('02ff')]
  assert.equal(
    toHex(rekeySkeyseed(p, d(), s0, ni, nr, [s1, s2]).bytes()),
    toHex(p.compute(d(), hex('00ff0a0b0c0d01ff02ff'))),
  )
  assert.equal(toHex(updateSkeyseed(p, d(), s1, ni, nr).bytes()), toHex(p.compute(d(), hex('01ff0a0b0c0d'))))
  const keys = childKeymat({ prf: p, d: d(), ni, nr, shared: s0, additional: [s1], encr: encryption(20), keyBits: 128 })
  assert.equal(toHex(keys.initiator.encr.bytes()), toHex(prfPlus(p, d(), hex('00ff0a0b0c0d01ff'), 20)))
})

test('RFC 8784: a PPK changes SK_d, SK_pi and SK_pr only', () => {
  const p = known(prf(5))
  const nonce = new Uint8Array(16)
  const old = ikeKeys(sha1Suite, secret('44'.repeat(20)), nonce, nonce, nonce, nonce)
  const ppk = secret('55'.repeat(32))
  const mixed = mixPpk(p, old, ppk)
  for (const name of ['ai', 'ar', 'ei', 'er'] as const) assert.ok(mixed[name].equals(old[name]))
  for (const name of ['d', 'pi', 'pr'] as const) {
    assert.equal(toHex(mixed[name].bytes()), toHex(prfPlus(p, ppk, old[name].bytes(), 20)))
  }
  old[Symbol.dispose]()
  assert.equal(mixed.ei.length, mixed.ei.bytes().length)
})

test('RFC 9242: each IntAuth covers the one before', () => {
  const p = known(prf(5))
  const skP = secret('66'.repeat(32))
  const first = intAuth(p, skP, undefined, hex('0102'), hex('03'))
  assert.equal(toHex(first), toHex(p.compute(skP, hex('010203'))))
  assert.equal(toHex(intAuth(p, skP, first, hex('04'), hex('05'))), toHex(p.compute(skP, first, hex('0405'))))
  assert.equal(toHex(authOctets(hex('01'), hex('02'), hex('03'), hex('04'))), '01020304')
})
