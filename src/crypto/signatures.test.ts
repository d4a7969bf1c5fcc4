import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { concat, leftPad } from './bytes.ts'
import { decodePss, encodePss } from './pss.ts'
import { seededRandom } from './random.ts'
import {
  AuthDecodeError,
  chooseScheme,
  decodeAuth,
  encodeAuth,
  type SchemeOptions,
  type SignatureScheme,
  sign,
  signAsync,
  verify,
  verifyAsync,
} from './signatures.ts'

const all: SchemeOptions = { peerHashes: [1, 2, 3, 4, 5], rsaPss: false }
const data = new TextEncoder().encode('octets to be signed')

const keys = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsa4096: generateKeyPairSync('rsa', { modulusLength: 4096 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  bp256: generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }),
  ed25519: generateKeyPairSync('ed25519'),
  ed448: generateKeyPairSync('ed448'),
}

/** The scheme of an AlgorithmIdentifier, by way of an AUTH payload with a signature of one octet. */
function schemeOf(identifier: string, key: KeyObject): SignatureScheme {
  const bytes = hex(identifier)
  return decodeAuth(14, concat(Uint8Array.of(bytes.length), bytes, Uint8Array.of(0)), key).scheme
}

const ecPublic = (curve: string, point: Uint8Array): KeyObject =>
  createPublicKey({
    key: Buffer.from(concat(Uint8Array.of(4), point)),
    format: 'raw-public',
    asymmetricKeyType: 'ec',
    namedCurve: curve,
  })

const spki = (der: string): KeyObject => createPublicKey({ key: Buffer.from(der, 'hex'), format: 'der', type: 'spki' })

test('RFC 4754: ECDSA with r | s', () => {
  type Case = Record<'message' | 'private' | 'public' | 'auth_data' | 'curve', string> & { auth_method: number }
  const { cases } = vectors<{ cases: Case[] }>('rfc/rfc4754-ecdsa-auth.json')
  assert.deepEqual(
    cases.map(({ auth_method }) => auth_method),
    [9, 10, 11],
  )
  for (const c of cases) {
    const curve = c.curve === 'secp256r1' ? 'P-256' : c.curve
    const key = ecPublic(curve, hex(c.public))
    const { scheme, signature } = decodeAuth(c.auth_method, hex(c.auth_data), key)
    assert.equal(scheme.name, { 9: 'ECDSA-256', 10: 'ECDSA-384', 11: 'ECDSA-521' }[c.auth_method])
    assert.ok(verify(key, scheme, hex(c.message), signature))
    assert.ok(!verify(key, scheme, hex(`${c.message}00`), signature))
    // Our own signature has the same fixed length.
    const ours = createPrivateKey({
      key: Buffer.from(leftPad(hex(c.private), hex(c.public).length / 2)),
      format: 'raw-private',
      asymmetricKeyType: 'ec',
      namedCurve: curve,
    })
    for (let i = 0; i < 20; i++) {
      const made = sign(ours, scheme, hex(c.message))
      assert.equal(made.length, hex(c.auth_data).length)
      assert.ok(verify(key, scheme, hex(c.message), made))
    }
  }
})

test('RFC 7427 and RFC 8420: the identifiers', () => {
  const { algorithms } = vectors<{ algorithms: { name: string; der: string }[] }>(
    'rfc/rfc7427-8420-signature-algorithm-identifiers.json',
  )
  const expected: Record<string, [string, KeyObject]> = {
    sha1WithRSAEncryption: ['RSA_EMSA_PKCS1_SHA1', keys.rsa.publicKey],
    sha256WithRSAEncryption: ['RSA_EMSA_PKCS1_SHA2_256', keys.rsa.publicKey],
    sha384WithRSAEncryption: ['RSA_EMSA_PKCS1_SHA2_384', keys.rsa.publicKey],
    sha512WithRSAEncryption: ['RSA_EMSA_PKCS1_SHA2_512', keys.rsa.publicKey],
    'ecdsa-with-sha1': ['ECDSA_WITH_SHA1_DER', keys.p256.publicKey],
    'ecdsa-with-sha256': ['ECDSA_WITH_SHA256_DER', keys.p256.publicKey],
    'ecdsa-with-sha384': ['ECDSA_WITH_SHA384_DER', keys.p256.publicKey],
    'ecdsa-with-sha512': ['ECDSA_WITH_SHA512_DER', keys.p256.publicKey],
    'RSASSA-PSS with Empty Parameters': ['RSA_EMSA_PSS_SHA1_SALT_20', keys.rsa.publicKey],
    'RSASSA-PSS with Default Parameters': ['RSA_EMSA_PSS_SHA1_SALT_20', keys.rsa.publicKey],
    'RSASSA-PSS with SHA-256': ['RSA_EMSA_PSS_SHA2_256_SALT_32', keys.rsa.publicKey],
    Ed25519: ['ED25519', keys.ed25519.publicKey],
    Ed448: ['ED448', keys.ed448.publicKey],
  }
  for (const { name, der } of algorithms) {
    const [schemeName, key] = expected[name] ?? []
    if (schemeName === undefined || key === undefined) {
      assert.ok(name.startsWith('dsa-'), name)
      assert.throws(() => schemeOf(der, keys.rsa.publicKey), AuthDecodeError)
      continue
    }
    assert.equal(schemeOf(der, key).name, schemeName)
    // What we send is what the RFC prints, but for the PSS defaults that it prints for SHA-1 too.
    if (!name.startsWith('RSASSA')) assert.equal(toHex(schemeOf(der, key).algorithmIdentifier ?? hex('')), der)
  }
  const sha256 = algorithms.find(({ name }) => name === 'RSASSA-PSS with SHA-256')
  assert.equal(toHex(encodePss({ hash: 2, saltBytes: 32 })), sha256?.der)
})

test('RFC 8032: Ed25519 and Ed448', () => {
  type Case = Record<'secretKey' | 'publicKey' | 'message' | 'signature', string>
  const file = vectors<{ ed25519: Case[]; ed448: Case[] }>('rfc/rfc8032-eddsa.json')
  for (const type of ['ed25519', 'ed448'] as const) {
    assert.ok(file[type].length >= 5)
    for (const c of file[type]) {
      const ours = createPrivateKey({
        key: Buffer.from(hex(c.secretKey).subarray(0, type === 'ed25519' ? 32 : 57)),
        format: 'raw-private',
        asymmetricKeyType: type,
      })
      const theirs = createPublicKey({
        key: Buffer.from(hex(c.publicKey)),
        format: 'raw-public',
        asymmetricKeyType: type,
      })
      const scheme = chooseScheme(ours, all)
      assert.ok(scheme)
      assert.equal(toHex(sign(ours, scheme, hex(c.message))), c.signature)
      assert.ok(verify(theirs, scheme, hex(c.message), hex(c.signature)))
    }
  }
})

interface WycheproofGroup {
  publicKeyDer: string
  tests: { tcId: number; comment: string; msg: string; sig: string; result: 'valid' | 'invalid' | 'acceptable' }[]
}

const wycheproof: readonly [file: string, name: string, key: KeyObject][] = [
  ['ecdsa_secp256r1_sha256', 'ECDSA_WITH_SHA256_DER', keys.p256.privateKey],
  ['ecdsa_secp384r1_sha384', 'ECDSA_WITH_SHA384_DER', keys.p384.privateKey],
  ['ecdsa_secp521r1_sha512', 'ECDSA_WITH_SHA512_DER', keys.p521.privateKey],
  ['ed25519', 'ED25519', keys.ed25519.privateKey],
  ['rsa_signature_2048_sha256', 'RSA_EMSA_PKCS1_SHA2_256', keys.rsa.privateKey],
  ['rsa_signature_3072_sha384', 'RSA_EMSA_PKCS1_SHA2_384', keys.rsa.privateKey],
  ['rsa_signature_4096_sha512', 'RSA_EMSA_PKCS1_SHA2_512', keys.rsa.privateKey],
  ['rsa_pss_2048_sha256_mgf1_32', 'RSA_EMSA_PSS_SHA2_256_SALT_32', keys.rsa.privateKey],
  ['rsa_pss_4096_sha384_mgf1_48', 'RSA_EMSA_PSS_SHA2_384_SALT_48', keys.rsa.privateKey],
  ['rsa_pss_4096_sha512_mgf1_64', 'RSA_EMSA_PSS_SHA2_512_SALT_64', keys.rsa.privateKey],
  // Keys of type id-RSASSA-PSS with their parameters.
  ['rsa_pss_2048_sha256_mgf1_32_params', 'RSA_EMSA_PSS_SHA2_256_SALT_32', keys.rsa.privateKey],
]

function schemeNamed(name: string, key: KeyObject): SignatureScheme {
  const found = [1, 2, 3, 4, 5]
    .flatMap((hash) => [false, true].map((rsaPss) => ({ hash, rsaPss })))
    .map(({ hash, rsaPss }) => chooseScheme(key, { peerHashes: [hash], rsaPss }))
    .find((scheme) => scheme?.name === name)
  assert.ok(found, name)
  return found
}

for (const [file, name, key] of wycheproof) {
  test(`Wycheproof: ${file}`, () => {
    const scheme = schemeNamed(name, key)
    const { testGroups } = vectors<{ testGroups: WycheproofGroup[] }>(`wycheproof/${file}_test.json.gz`)
    const counts = { valid: 0, invalid: 0, acceptable: 0 }
    for (const { publicKeyDer, tests } of testGroups) {
      const publicKey = spki(publicKeyDer)
      for (const { tcId, comment, msg, sig, result } of tests) {
        const right = verify(publicKey, scheme, hex(msg), hex(sig))
        if (result !== 'acceptable') assert.equal(right, result === 'valid', `${tcId} ${comment}`)
        counts[result]++
      }
    }
    assert.ok(counts.valid > 0 && counts.invalid > 0)
    assert.ok(counts.acceptable < 10, `${counts.acceptable}`)
  })
}

test('ACVP: ECDSA, EdDSA and RSA', () => {
  type Test = Record<'message' | 'qx' | 'qy' | 'r' | 's' | 'q' | 'signature', string> & { testPassed: boolean }
  type Group = {
    curve: string
    hashAlg: string
    preHash: boolean
    sigType: string
    n: string
    e: string
    tests: Test[]
  }
  const groups = (mode: string) =>
    vectors<{ testGroups: Group[] }>(`acvp/${mode}.internalProjection.json.gz`).testGroups
  const counts = { ecdsa: 0, eddsa: 0, rsa: 0 }
  const schemes: Record<string, string> = { 'SHA2-256': 'ECDSA_WITH_SHA256_DER', 'SHA2-512': 'ECDSA_WITH_SHA512_DER' }
  const bytesOf: Record<string, number> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }
  const integer = (text: string): Uint8Array => {
    const digits = hex(text.replace(/^(00)+(?=.)/, ''))
    const body = (digits[0] ?? 0) & 0x80 ? concat(Uint8Array.of(0), digits) : digits
    return concat(Uint8Array.of(2, body.length), body)
  }
  const sequence = (...parts: Uint8Array[]): Uint8Array => {
    const body = concat(...parts)
    return concat(body.length < 128 ? Uint8Array.of(0x30, body.length) : Uint8Array.of(0x30, 0x81, body.length), body)
  }
  for (const { curve, hashAlg, tests } of groups('ECDSA-SigVer-FIPS186-5')) {
    const name = schemes[hashAlg]
    const bytes = bytesOf[curve]
    if (name === undefined || bytes === undefined) continue
    const scheme = schemeNamed(name, keys.p256.privateKey)
    for (const { qx, qy, r, s, message, testPassed } of tests) {
      let key: KeyObject | undefined
      try {
        key = ecPublic(curve, concat(leftPad(hex(qx), bytes), leftPad(hex(qy), bytes)))
      } catch {
        assert.ok(!testPassed)
      }
      const right = key !== undefined && verify(key, scheme, hex(message), sequence(integer(r), integer(s)))
      assert.equal(right, testPassed)
      counts.ecdsa++
    }
  }
  for (const { curve, preHash, tests } of groups('EDDSA-SigVer-1.0')) {
    if (preHash) continue
    const type = curve === 'ED-25519' ? 'ed25519' : 'ed448'
    for (const { q, message, signature, testPassed } of tests) {
      let right = false
      try {
        const key = createPublicKey({ key: Buffer.from(hex(q)), format: 'raw-public', asymmetricKeyType: type })
        right = verify(key, schemeNamed(type.toUpperCase(), keys[type].privateKey), hex(message), hex(signature))
      } catch {
        assert.ok(!testPassed)
      }
      assert.equal(right, testPassed)
      counts.eddsa++
    }
  }
  const base64url = (text: string) => Buffer.from(hex(text.length % 2 ? `0${text}` : text)).toString('base64url')
  for (const { sigType, hashAlg, n, e, tests } of groups('RSA-SigVer-FIPS186-5')) {
    if (sigType !== 'pkcs1v1.5' || hashAlg !== 'SHA2-256') continue
    for (const { message, signature, testPassed } of tests) {
      const key = createPublicKey({ key: { kty: 'RSA', n: base64url(n), e: base64url(e) }, format: 'jwk' })
      const scheme = schemeNamed('RSA_EMSA_PKCS1_SHA2_256', keys.rsa.privateKey)
      assert.equal(verify(key, scheme, hex(message), hex(signature)), testPassed)
      counts.rsa++
    }
  }
  assert.ok(counts.ecdsa >= 42 && counts.eddsa >= 10 && counts.rsa >= 18, JSON.stringify(counts))
})

const choices: readonly [string, KeyObject, SchemeOptions, string | undefined][] = [
  ['RSA', keys.rsa.privateKey, all, 'RSA_EMSA_PKCS1_SHA2_256'],
  ['RSA with 4096 bits', keys.rsa4096.privateKey, all, 'RSA_EMSA_PKCS1_SHA2_384'],
  ['RSA, PSS preferred', keys.rsa.privateKey, { ...all, rsaPss: true }, 'RSA_EMSA_PSS_SHA2_256_SALT_32'],
  ['RSA, peer with SHA-512 only', keys.rsa.privateKey, { ...all, peerHashes: [4] }, 'RSA_EMSA_PKCS1_SHA2_512'],
  ['RSA, peer with SHA-1 only', keys.rsa.privateKey, { ...all, peerHashes: [1] }, undefined],
  ['RSA, peer without RFC 7427', keys.rsa.privateKey, { ...all, peerHashes: undefined }, 'RSA_EMSA_PKCS1_SHA1'],
  [
    'RSA, SHA-256 configured, peer without RFC 7427',
    keys.rsa.privateKey,
    { ...all, peerHashes: undefined, configured: [{ keyType: 'rsa', hash: 2 }] },
    undefined,
  ],
  [
    'RSA, SHA-1 configured',
    keys.rsa.privateKey,
    { ...all, configured: [{ keyType: 'rsa', hash: 1 }] },
    'RSA_EMSA_PKCS1_SHA1',
  ],
  [
    'RSA, order of the configuration',
    keys.rsa.privateKey,
    {
      ...all,
      configured: [
        { keyType: 'rsa', hash: 4, pss: true },
        { keyType: 'rsa', hash: 2 },
      ],
    },
    'RSA_EMSA_PSS_SHA2_512_SALT_64',
  ],
  [
    'a configuration for another type of key does not bind this one',
    keys.p256.privateKey,
    { ...all, configured: [{ keyType: 'rsa', hash: 4 }] },
    'ECDSA_WITH_SHA256_DER',
  ],
  ['P-256', keys.p256.privateKey, all, 'ECDSA_WITH_SHA256_DER'],
  ['P-384', keys.p384.privateKey, all, 'ECDSA_WITH_SHA384_DER'],
  ['P-521', keys.p521.privateKey, all, 'ECDSA_WITH_SHA512_DER'],
  ['P-384, peer with SHA-256 only', keys.p384.privateKey, { ...all, peerHashes: [2] }, 'ECDSA_WITH_SHA256_DER'],
  ['brainpool', keys.bp256.privateKey, all, 'ECDSA_WITH_SHA256_DER'],
  ['P-256, peer without RFC 7427', keys.p256.privateKey, { ...all, peerHashes: undefined }, 'ECDSA-256'],
  ['P-384, peer without RFC 7427', keys.p384.privateKey, { ...all, peerHashes: undefined }, 'ECDSA-384'],
  ['P-521, peer without RFC 7427', keys.p521.privateKey, { ...all, peerHashes: undefined }, 'ECDSA-521'],
  ['brainpool, peer without RFC 7427', keys.bp256.privateKey, { ...all, peerHashes: undefined }, undefined],
  ['Ed25519', keys.ed25519.privateKey, all, 'ED25519'],
  ['Ed448', keys.ed448.privateKey, all, 'ED448'],
  ['Ed25519, peer without Identity', keys.ed25519.privateKey, { ...all, peerHashes: [2, 3, 4] }, undefined],
  ['Ed25519, peer without RFC 7427', keys.ed25519.privateKey, { ...all, peerHashes: undefined }, undefined],
  ['a key that does not sign', generateKeyPairSync('x25519').privateKey, all, undefined],
]

for (const [name, key, options, expected] of choices) {
  test(`choice of the scheme: ${name}`, async () => {
    const scheme = chooseScheme(key, options)
    assert.equal(scheme?.name, expected)
    if (scheme === undefined) return
    // Through an AUTH payload and back.
    const publicKey = createPublicKey(key)
    const signature = await signAsync(key, scheme, data)
    const received = decodeAuth(scheme.method, encodeAuth(scheme, signature), publicKey)
    assert.equal(received.scheme.name, scheme.name)
    assert.ok(await verifyAsync(publicKey, received.scheme, data, received.signature))
    assert.ok(verify(publicKey, received.scheme, data, sign(key, scheme, data)))
    const forged = received.signature.map((octet, i) => (i === 10 ? octet ^ 1 : octet))
    assert.ok(!verify(publicKey, received.scheme, data, forged))
    assert.ok(!(await verifyAsync(publicKey, received.scheme, data, forged)))
    assert.ok(!verify(publicKey, received.scheme, concat(data, data), received.signature))
  })
}

test('a key for RSASSA-PSS only signs with PSS, and keeps to its parameters', () => {
  const free = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  assert.equal(chooseScheme(free.privateKey, all)?.name, 'RSA_EMSA_PSS_SHA2_256_SALT_32')
  assert.equal(chooseScheme(free.privateKey, { ...all, peerHashes: undefined }), undefined)

  const bound = (hash: string, saltBytes: number) =>
    generateKeyPairSync('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: hash,
      mgf1HashAlgorithm: hash,
      // Node wants a number; its types say text.
      saltLength: saltBytes as unknown as string,
    })
  const sha384 = bound('sha384', 20)
  const scheme = chooseScheme(sha384.privateKey, all)
  assert.equal(scheme?.name, 'RSA_EMSA_PSS_SHA2_384_SALT_48')
  assert.ok(verify(sha384.publicKey, scheme, data, sign(sha384.privateKey, scheme, data)))
  assert.throws(() => schemeOf('300d06092a864886f70d01010b0500', sha384.publicKey), AuthDecodeError)
  assert.throws(() => schemeOf(toHex(encodePss({ hash: 2, saltBytes: 32 })), sha384.publicKey), AuthDecodeError)
  assert.throws(() => schemeOf(toHex(encodePss({ hash: 3, saltBytes: 19 })), sha384.publicKey), AuthDecodeError)
  assert.equal(chooseScheme(bound('sha256', 40).privateKey, all), undefined)
})

test('method 1: the hash is the one in the signature', () => {
  for (const [hash, name] of [
    [2, 'RSA_EMSA_PKCS1_SHA2_256'],
    [4, 'RSA_EMSA_PKCS1_SHA2_512'],
  ] as const) {
    const signature = sign(keys.rsa.privateKey, schemeNamed(name, keys.rsa.privateKey), data)
    const received = decodeAuth(1, signature, keys.rsa.publicKey)
    assert.deepEqual([received.scheme.name, received.scheme.hash, received.scheme.method], [name, hash, 1])
    assert.ok(verify(keys.rsa.publicKey, received.scheme, data, received.signature))
  }
  const garbage = decodeAuth(1, new Uint8Array(256).fill(7), keys.rsa.publicKey)
  assert.equal(garbage.scheme.name, 'RSA_EMSA_PKCS1_SHA1')
  assert.ok(!verify(keys.rsa.publicKey, garbage.scheme, data, garbage.signature))
})

test('RFC 4055 §5: the NULL of PKCS #1 may be missing', () => {
  assert.equal(schemeOf('300b06092a864886f70d01010b', keys.rsa.publicKey).name, 'RSA_EMSA_PKCS1_SHA2_256')
})

test('an algorithm for another type of key, an unknown one, and a malformed payload are refused', () => {
  const refused = (method: number, text: string, key: KeyObject) =>
    assert.throws(() => decodeAuth(method, hex(text), key), AuthDecodeError, text)
  refused(14, '', keys.rsa.publicKey)
  refused(14, '00', keys.rsa.publicKey)
  refused(14, '0001', keys.rsa.publicKey)
  refused(14, '0f300d06092a864886f70d01010b05', keys.rsa.publicKey)
  refused(14, '0f300d06092a864886f70d01010b0500', keys.rsa.publicKey) // no signature
  refused(14, '0f300d06092a864886f70d01010b0501ff', keys.rsa.publicKey)
  refused(14, '07300506032b6572ff', keys.ed25519.publicKey)
  refused(14, '07300506032b6570ff', keys.ed448.publicKey)
  refused(14, '07300506032b6570ff', keys.rsa.publicKey)
  refused(14, '0c300a06082a8648ce3d040302ff', keys.rsa.publicKey)
  refused(9, 'ff', keys.p384.publicKey)
  refused(9, 'ff', keys.bp256.publicKey)
  refused(1, 'ff', keys.p256.publicKey)
  refused(2, 'ff', keys.rsa.publicKey)
  refused(0, 'ff', keys.rsa.publicKey)
})

test('a signature with another salt than its identifier says is wrong', () => {
  const scheme = schemeNamed('RSA_EMSA_PSS_SHA2_256_SALT_32', keys.rsa.privateKey)
  const signature = sign(keys.rsa.privateKey, scheme, data)
  const otherSalt = schemeOf(toHex(encodePss({ hash: 2, saltBytes: 20 })), keys.rsa.publicKey)
  assert.equal(otherSalt.name, 'RSA_EMSA_PSS_SHA2_256_SALT_20')
  assert.ok(!verify(keys.rsa.publicKey, otherSalt, data, signature))
  assert.ok(verify(keys.rsa.publicKey, otherSalt, data, sign(keys.rsa.privateKey, otherSalt, data)))
})

test('PSS parameters: defaults, order, and what we do not have', () => {
  const identifier = (parameters: string) => {
    const body = hex(`06092a864886f70d01010a${parameters}`)
    return concat(Uint8Array.of(0x30, body.length), body)
  }
  const sha256 = '300b0609608648016503040201'
  const mgfSha256 = '301806092a864886f70d010108300b0609608648016503040201'
  const accepted: readonly [string, number, number][] = [
    ['3000', 1, 20],
    [`3030a00d${sha256}a11a${mgfSha256}a203020140`, 2, 64],
    [`302ba00d${sha256}a11a${mgfSha256}`, 2, 20],
    ['3005a203020100', 1, 0],
    ['3005a303020101', 1, 20],
  ]
  for (const [text, hash, saltBytes] of accepted)
    assert.deepEqual(decodePss(identifier(text)), { hash, saltBytes }, text)
  const refused = [
    '',
    '0500',
    '300100',
    `300fa00d${sha256}`, // the mask is still SHA-1
    `302ba11a${mgfSha256}a00d${sha256}`, // out of order
    '3005a303020102', // another trailer
    '3006a20402020020', // a second octet, which no salt needs
    '3005a203020180', // negative
    '3005a403020101',
    '300aa203020120a203020120',
    '30000500',
    `3017a015301306072a8648ce3d020106082a8648ce3d030107`,
  ]
  for (const text of refused) assert.equal(decodePss(identifier(text)), undefined, text)
  assert.equal(decodePss(hex('')), undefined)
})

test('what is encoded is decoded again', () => {
  const random = seededRandom(3)
  for (const hash of [1, 2, 3, 4]) {
    const saltBytes = (random(1)[0] ?? 0) & 0x7f
    assert.deepEqual(decodePss(encodePss({ hash, saltBytes })), { hash, saltBytes })
  }
  assert.throws(() => encodePss({ hash: 5, saltBytes: 0 }), RangeError)
})
