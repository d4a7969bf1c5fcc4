import assert from 'node:assert/strict'
import test from 'node:test'
import { ENCRYPTION } from '../crypto/encryption.ts'
import { INTEGRITY } from '../crypto/integrity.ts'
import { KEY_EXCHANGES } from '../crypto/key-exchange/key-exchange.ts'
import { PRF } from '../crypto/prf.ts'
import { algorithmName, parseKeyword } from './algorithms.ts'
import { ConfigError } from './config-error.ts'
import { defaultProposals, formatProposal, parseProposals } from './proposals.ts'

type Protocol = 'IKE' | 'ESP' | 'AH'

const texts: readonly (readonly [Protocol, string, string])[] = [
  ['IKE', 'aes128-sha256-ecp256', 'AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256'],
  ['IKE', 'aes-sha-modp2048', 'AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048'],
  ['IKE', 'x25519-prfsha384-aes256gcm16', 'AES_GCM_16_256/PRF_HMAC_SHA2_384/CURVE_25519'],
  ['IKE', 'aes256gcm16-sha256-prfsha256-x25519', 'AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE_25519'],
  ['IKE', 'aes256gcm16-prfsha384-x25519-ke1_mlkem768', 'AES_GCM_16_256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ML_KEM_768'],
  ['IKE', 'aes128-sha256-none-ecp256', 'AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256'],
  [
    'IKE',
    'aes128-aes256-sha512-sha256-ecp256',
    'AES_CBC_128/AES_CBC_256/HMAC_SHA2_512_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_512/PRF_HMAC_SHA2_256/ECP_256',
  ],
  [
    'IKE',
    'chacha20poly1305-prfsha256-KE2_x25519-ecp256',
    'CHACHA20_POLY1305/PRF_HMAC_SHA2_256/ECP_256/KE2_CURVE_25519',
  ],
  ['ESP', 'aes128gcm16', 'AES_GCM_16_128/NO_EXT_SEQ'],
  ['ESP', 'aes256-sha256-ecp256-esn', 'AES_CBC_256/HMAC_SHA2_256_128/ECP_256/EXT_SEQ'],
  ['ESP', 'aes256-sha256-prfsha256', 'AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ'],
  ['ESP', 'aes128gcm-esn-noesn', 'AES_GCM_16_128/EXT_SEQ/NO_EXT_SEQ'],
  ['ESP', 'null-sha256', 'NULL/HMAC_SHA2_256_128/NO_EXT_SEQ'],
  ['ESP', 'aes128-modp3072-none', 'AES_CBC_128/MODP_3072/KE_NONE/NO_EXT_SEQ'],
  ['ESP', 'chacha20poly1305compat', 'CHACHA20_POLY1305_256/NO_EXT_SEQ'],
  ['ESP', 'aes192gmac', 'NULL_AES_GMAC_192/NO_EXT_SEQ'],
  ['AH', 'sha256', 'HMAC_SHA2_256_128/NO_EXT_SEQ'],
  ['AH', 'aes128-sha256-sha256', 'HMAC_SHA2_256_128/NO_EXT_SEQ'],
]

for (const [protocol, text, expected] of texts) {
  test(`${protocol} ${text}`, () => {
    assert.deepEqual(parseProposals(protocol, text).map(formatProposal), [`${protocol}:${expected}`])
  })
}

const refused: readonly (readonly [Protocol, string, RegExp])[] = [
  ['IKE', '', /algorithm '' not recognized/],
  ['IKE', 'aes128-sha2-256-ecp256', /algorithm 'sha2' not recognized/],
  ['IKE', 'AES128-sha256-ecp256', /algorithm 'AES128' not recognized/],
  ['IKE', 'aesgcm16-prfsha256-ecp256', /algorithm 'aesgcm16' not recognized/],
  ['IKE', 'aes128-sha256-default', /algorithm 'default' not recognized/],
  ['IKE', 'aes128gcm16-x25519', /a PRF algorithm is mandatory in IKE proposals/],
  ['IKE', 'aes128-sha256', /a DH group is mandatory in IKE proposals/],
  ['IKE', 'aes128-sha256-none', /a DH group is mandatory/],
  ['IKE', 'sha256-ecp256', /an encryption algorithm is mandatory in IKE proposals/],
  ['IKE', 'aes128-prfsha256-ecp256', /an integrity algorithm is mandatory in IKE proposals with classic/],
  ['ESP', 'aes128-aes128gcm16', /can't be contained in the same ESP proposal/],
  ['ESP', 'sha256', /an encryption algorithm is mandatory in ESP/],
  ['AH', 'aes128', /an integrity algorithm is mandatory in AH/],
  ['ESP', 'camellia256-sha256', /'camellia256' cannot be used for ESP: Sallyport does not have this cipher/],
  ['IKE', 'null-sha256-ecp256', /'null' cannot be used for IKE/],
  ['IKE', 'aes128-sha256-prfmd5-ecp256', /'prfmd5' cannot be used for IKE/],
  ['ESP', 'des-sha256', /'des' cannot be used for ESP: it is broken/],
  ['IKE', 'null-sha256-ecp256', /'null' cannot be used for IKE/],
  ['IKE', 'aes128gmac-prfsha256-ecp256', /'aes128gmac' cannot be used for IKE: it is for ESP only/],
  ['AH', 'aes128gmac', /cannot be used for AH: Linux does not have it/],
  ['IKE', 'aes128-sha256-gost256', /'gost256' cannot be used for IKE/],
]

for (const [protocol, text, message] of refused) {
  test(`${protocol} ${JSON.stringify(text)} is refused`, () => {
    assert.throws(
      () => parseProposals(protocol, text),
      (error) => error instanceof ConfigError && message.test(error.message),
    )
  })
}

test('the defaults: classic first for IKE, AEAD first for ESP, nothing weak', () => {
  const ike = defaultProposals('IKE').map(formatProposal)
  assert.equal(ike.length, 2)
  assert.match(
    ike[0] ?? '',
    /^IKE:AES_CBC_128\/AES_CBC_192\/AES_CBC_256\/AES_CTR_128\/.*\/HMAC_SHA2_256_128\/.*\/PRF_HMAC_SHA2_256\/.*\/ECP_256\/ECP_384\/.*CURVE_25519\/.*MODP_2048$/,
  )
  assert.match(ike[1] ?? '', /^IKE:AES_CCM_16_128\/.*\/AES_GCM_16_128\/.*CHACHA20_POLY1305\/.*\/PRF_HMAC_SHA2_256\//)
  const esp = parseProposals('ESP', 'DEFAULT').map(formatProposal)
  assert.match(esp[0] ?? '', /^ESP:AES_GCM_16_128\/AES_GCM_16_192\/AES_GCM_16_256\/ECP_256\/.*\/KE_NONE\/NO_EXT_SEQ$/)
  assert.match(esp[1] ?? '', /^ESP:AES_CBC_128\/.*\/HMAC_SHA2_256_128\/.*\/KE_NONE\/NO_EXT_SEQ$/)
  assert.match(defaultProposals('AH').map(formatProposal).join(), /^AH:HMAC_SHA2_256_128\/.*\/NO_EXT_SEQ$/)
  const all = [...ike, ...esp].join('/')
  assert.doesNotMatch(all, /MD5|3DES|MODP_1|MODP_7|2048_2|ML_KEM|CAMELLIA|ECP_192/)
})

test('our names are those of the tables of cryptography', () => {
  for (const [type, rows] of [
    [1, ENCRYPTION],
    [2, PRF],
    [3, INTEGRITY],
    [4, KEY_EXCHANGES],
  ] as const) {
    for (const { id, name } of rows) assert.equal(algorithmName(type, id), name)
  }
  assert.equal(algorithmName(1, 1234), '(1234)')
  assert.equal(algorithmName(6, 36), 'ML_KEM_768')
})

/** RFC 7296 §3.3.2, §5: what the registry calls unspecified, and what is too weak for an IKE SA. */
test('algorithms that nobody can use', () => {
  const ids = (rows: readonly { readonly id: number }[]) => new Set(rows.map(({ id }) => id))
  for (const id of [1, 8, 9]) assert.ok(!ids(ENCRYPTION).has(id)) // DES_IV64, 3IDEA, DES_IV32
  for (const id of [3, 4]) assert.ok(!ids(INTEGRITY).has(id)) // DES_MAC, KPDK_MD5
  assert.ok(!ids(PRF).has(3)) // HMAC_TIGER
  for (const { name, outputBytes } of PRF) assert.ok(outputBytes >= 16, name)
  assert.deepEqual(
    ENCRYPTION.filter(({ id, ikeSupported }) => ikeSupported && id === 11),
    [],
  )
})

test('keywords of the same algorithm', () => {
  for (const words of [
    'aes aes128',
    'aes256gcm aes256gcm16 aes256gcm128',
    'aes192ccm8 aes192ccm64',
    'camellia128ccm12 camellia128ccm96',
    'sha sha1',
    'sha384 sha2_384',
    'x448 curve448',
    'none modpnone',
    'blowfish blowfish128',
  ]) {
    const meanings = words.split(' ').map(parseKeyword)
    for (const meaning of meanings) assert.deepEqual(meaning, meanings[0] ?? assert.fail(words))
  }
  assert.equal(parseKeyword('camellia128ccm'), undefined)
  assert.equal(parseKeyword('ke1_aes'), undefined)
  assert.equal(parseKeyword('ke8_x25519'), undefined)
  assert.deepEqual(parseKeyword('ke7_none'), { type: 12, id: 0 })
})
