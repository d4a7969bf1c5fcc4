import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { derEncode, INTEGER, OCTET_STRING, SEQUENCE } from './der.ts'
import {
  keyBits,
  keyTypeOf,
  loadPrivateKey,
  loadPublicKey,
  PassphraseMissing,
  publicKeyFromInfo,
  publicKeyId,
} from './keys.ts'
import { oidDer } from './oid.ts'
import { decodePem, encodePem } from './pem.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
const brainpool = generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey
const ed448 = generateKeyPairSync('ed448').privateKey

const same = (a: KeyObject, b: KeyObject): void => assert.ok(a.equals(b))

test('PKCS#1, SEC1 and PKCS#8, PEM and DER', () => {
  for (const [key, types] of [
    [rsa, ['pkcs1', 'pkcs8']],
    [p384, ['sec1', 'pkcs8']],
    [brainpool, ['sec1', 'pkcs8']],
    [ed25519, ['pkcs8']],
    [ed448, ['pkcs8']],
  ] as const)
    for (const type of types) {
      same(loadPrivateKey(key.export({ format: 'der', type: type as 'pkcs8' })), key)
      same(loadPrivateKey(Buffer.from(key.export({ format: 'pem', type: type as 'pkcs8' }))), key)
    }
})

test('encrypted keys, new and old', () => {
  const cipher = 'aes-256-cbc'
  const passphrase = 'sesame'
  const pem = Buffer.from(p384.export({ format: 'pem', type: 'pkcs8', cipher, passphrase }))
  const der = p384.export({ format: 'der', type: 'pkcs8', cipher, passphrase })
  const old = Buffer.from(rsa.export({ format: 'pem', type: 'pkcs1', cipher, passphrase }))
  same(loadPrivateKey(pem, passphrase), p384)
  same(loadPrivateKey(pem, Buffer.from(passphrase)), p384)
  same(loadPrivateKey(der, passphrase), p384)
  same(loadPrivateKey(old, passphrase), rsa)
  for (const encrypted of [pem, der, old]) {
    assert.throws(() => loadPrivateKey(encrypted), PassphraseMissing)
    assert.throws(() => loadPrivateKey(encrypted, 'wrong'), DecodeError)
  }
  assert.throws(() => loadPrivateKey(pem, 'wrong'), /cannot be decrypted: is the passphrase right\?/)
  same(loadPrivateKey(Buffer.from(rsa.export({ format: 'pem', type: 'pkcs1' })), 'not needed'), rsa)
})

test('what is not a key that signs is refused with the reason', () => {
  const x25519 = generateKeyPairSync('x25519').privateKey.export({ format: 'der', type: 'pkcs8' })
  assert.throws(() => loadPrivateKey(x25519), /keys of type x25519 do not sign in IKE/)
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
  assert.throws(() => loadPrivateKey(secp256k1.export({ format: 'der', type: 'sec1' })), /do not sign in IKE/)
  assert.throws(() => loadPrivateKey(Buffer.from('hello')), DecodeError)
  assert.throws(() => loadPrivateKey(new Uint8Array()), DecodeError)
  assert.throws(
    () => loadPrivateKey(Buffer.from(encodePem('CERTIFICATE', new Uint8Array(3)))),
    /there is no PRIVATE KEY block/,
  )
  assert.throws(
    () => loadPrivateKey(Buffer.from(encodePem('OPENSSH PRIVATE KEY', new Uint8Array(3)))),
    /ssh-keygen -p -m PKCS8/,
  )
  assert.throws(() => loadPrivateKey(new Uint8Array(70_000)), /more than 65536/)
})

test('an encrypted key cannot ask for hours of work', () => {
  const sequence = (...parts: Uint8Array[]): Uint8Array => derEncode(SEQUENCE, ...parts)
  const salt = derEncode(OCTET_STRING, new Uint8Array(8))
  const iterations = derEncode(INTEGER, Uint8Array.of(0x7f, 0xff, 0xff, 0xff))
  const kdf = sequence(oidDer('1.2.840.113549.1.5.12'), sequence(salt, iterations))
  const pbes2 = sequence(oidDer('1.2.840.113549.1.5.13'), sequence(kdf, sequence(oidDer('2.16.840.1.101.3.4.1.42'))))
  const expensive = sequence(pbes2, derEncode(OCTET_STRING, new Uint8Array(16)))
  assert.throws(() => loadPrivateKey(expensive, 'x'), /2147483647 iterations/)
})

test('type and size of keys', () => {
  assert.deepEqual([rsa, p384, brainpool, ed25519, ed448].map(keyTypeOf), ['rsa', 'ecdsa', 'ecdsa', 'ed25519', 'ed448'])
  assert.deepEqual([rsa, p384, brainpool, ed25519, ed448].map(keyBits), [2048, 384, 256, 256, 456])
})

test('the id of a key is the SHA-1 of its bit string, whatever half of the key it is taken from', () => {
  // the private key of RFC 8410 §10.3; its public key is in §10.1
  const key = createPrivateKey(
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
  )
  // SHA-1 over 19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1
  assert.equal(publicKeyId(key), 'a28cc1f86e5960d3e03ae75c962c97a8d448293c')
  assert.equal(publicKeyId(createPublicKey(key)), publicKeyId(key))
})

test('public keys alone', () => {
  const spki = createPublicKey(rsa).export({ format: 'der', type: 'spki' })
  same(loadPublicKey(spki), createPublicKey(rsa))
  same(loadPublicKey(Buffer.from(createPublicKey(p384).export({ format: 'pem', type: 'spki' }))), createPublicKey(p384))
  same(loadPublicKey(createPublicKey(rsa).export({ format: 'der', type: 'pkcs1' })), createPublicKey(rsa))
  assert.throws(() => loadPublicKey(Buffer.from('nothing')), DecodeError)
})

test('a curve that is described and not named is refused, though OpenSSL knows it', () => {
  const explicit = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }).publicKey
  const info = explicit.export({ format: 'der', type: 'spki' })
  assert.throws(() => publicKeyFromInfo(info), /the curve is not given by its name/)
})

test('PEM: several blocks, comments, headers, line ends', () => {
  const one = encodePem('CERTIFICATE', Uint8Array.of(1, 2, 3))
  const two = encodePem('X509 CRL', new Uint8Array(100))
  const blocks = decodePem(`subject=/CN=x\n${one}\ncomment\n${two.replaceAll('\n', '\r\n')}`)
  assert.deepEqual(
    blocks.map(({ label, der }) => [label, der.length]),
    [
      ['CERTIFICATE', 3],
      ['X509 CRL', 100],
    ],
  )
  assert.deepEqual(decodePem('no block'), [])
  for (const broken of [
    '-----BEGIN X-----',
    '-----BEGIN X-----\nAAAA\n-----END Y-----',
    '-----BEGIN X-----\nAAA\n-----END X-----',
    '-----BEGIN X-----\n@@@@\n-----END X-----',
    '-----BEGIN X-----\n-----END X-----',
    '-----BEGIN \n',
  ])
    assert.throws(() => decodePem(broken), DecodeError, broken)
})
