import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { type Certificate, parseCertificate } from './certificate.ts'
import { formatIdentity, identityFromWire, parseIdentity } from './identity.ts'
import { type CertificateTemplate, issueCertificate } from './issue.ts'
import { publicKeyId } from './keys.ts'
import {
  certificatesFor,
  EMPTY_STORE,
  findKeyFor,
  identitiesOf,
  identityInCertificate,
  issuersOf,
  withCertificate,
  withoutPrivateKey,
  withPrivateKey,
} from './store.ts'

const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey

const make = (subject: string, key: KeyObject, more: Partial<CertificateTemplate> = {}): Certificate =>
  parseCertificate(issueCertificate({ subject, key, notBefore: 0, notAfter: 4_000_000_000_000, ...more }))

const [rootKey, subKey, otherKey, moonKey, sunKey] = [ed25519(), ed25519(), ed25519(), ed25519(), ed25519()]
const root = make('CN=Root', rootKey, { ca: true })
const sub = make('CN=Sub', subKey, { ca: true, issuer: { subject: 'CN=Root', key: rootKey } })
const other = make('CN=Other', otherKey, { ca: true })
const moonBySub = make('CN=moon', moonKey, { issuer: { subject: 'CN=Sub', key: subKey }, altNames: ['moon.lab.org'] })
const moonByOther = make('CN=moon', moonKey, {
  issuer: { subject: 'CN=Other', key: otherKey },
  altNames: ['moon.lab.org'],
})
const sun = make('CN=sun', sunKey, { altNames: ['sun.lab.org'] })

const certificates = [moonByOther, moonBySub, sun, root, sub, other]
const store = withPrivateKey(certificates.reduce(withCertificate, EMPTY_STORE), moonKey).store

test('CAs become anchors, others end entities, and nothing is there twice', () => {
  assert.deepEqual(store.anchors, [root, sub, other])
  assert.deepEqual(store.certificates, [moonByOther, moonBySub, sun])
  assert.equal(withCertificate(store, parseCertificate(sun.der)), store)
  assert.equal(EMPTY_STORE.anchors.length, 0)
})

test('private keys come and go by their id', () => {
  const { store: more, id } = withPrivateKey(store, sunKey)
  assert.equal(id, publicKeyId(sunKey))
  assert.equal(id, sun.publicKeyId)
  assert.deepEqual([...more.privateKeys.keys()], [moonBySub.publicKeyId, id])
  assert.deepEqual([...withoutPrivateKey(more, id).privateKeys.keys()], [moonBySub.publicKeyId])
  assert.equal(withoutPrivateKey(more, '00'), more)
})

test('the certificate to sign with: one that we have the key for, of a CA that the peer asked for', () => {
  const id = parseIdentity('moon.lab.org')
  assert.equal(findKeyFor(store, id)?.certificate, moonByOther)
  const credential = findKeyFor(store, id, [], [new Uint8Array(20), root.keyId])
  assert.equal(credential?.certificate, moonBySub)
  assert.equal(credential?.key, moonKey)
  assert.deepEqual(credential?.chain, [moonBySub, sub], 'the root is not sent')
  assert.equal(findKeyFor(store, id, [], [new Uint8Array(20)])?.certificate, moonByOther)
  assert.equal(findKeyFor(store, parseIdentity('sun.lab.org')), undefined, 'there is no key for sun')
  assert.equal(findKeyFor(store, parseIdentity('nobody'), [sun, moonBySub])?.certificate, moonBySub)
})

test('the CAs above a certificate', () => {
  assert.deepEqual(issuersOf(store, moonBySub), [sub, root])
  assert.deepEqual(issuersOf(store, root), [])
  const a = make('CN=A', rootKey, { ca: true, issuer: { subject: 'CN=B', key: subKey } })
  const b = make('CN=B', subKey, { ca: true, issuer: { subject: 'CN=A', key: rootKey } })
  const ring = [a, b].reduce(withCertificate, EMPTY_STORE)
  assert.deepEqual(issuersOf(ring, a), [b, a], 'a ring ends')
})

test('a certificate speaks for its subject and its alternative names, type by type', () => {
  const altNames = ['moon.lab.org', 'moon@lab.org', '192.0.2.1', '2001:db8::1', 'C=CH, CN=alias']
  const certificate = make('CN=moon', moonKey, { altNames })
  for (const name of ['CN=moon', 'CN=MOON', ...altNames, 'Moon.Lab.Org'])
    assert.ok(identityInCertificate(certificate, parseIdentity(name)), name)
  for (const name of [
    '%any',
    'CN=*',
    '*.lab.org',
    '192.0.2.0/24',
    'keyid:moon.lab.org',
    '@@moon.lab.org',
    'sun.lab.org',
  ])
    assert.ok(!identityInCertificate(certificate, parseIdentity(name)), name)
  assert.ok(identityInCertificate(certificate, identityFromWire(10, Buffer.from('\x82\x0cmoon.lab.org', 'latin1'))))
  const keyId = Buffer.from(certificate.keyId).toString('hex')
  for (const id of [certificate.publicKeyId, keyId]) {
    assert.ok(identityInCertificate(certificate, parseIdentity(`keyid:#${id}`)))
    assert.ok(!identityInCertificate(certificate, parseIdentity(`keyid:#${id.slice(2)}`)))
    assert.ok(!identityInCertificate(certificate, parseIdentity(`keyid:#${id}00`)))
  }
  assert.deepEqual(identitiesOf(certificate).map(formatIdentity), ['CN=moon', ...altNames])
  assert.ok(
    !identityInCertificate(make('', moonKey), identityFromWire(9, Uint8Array.of(0x30, 0))),
    'an empty subject is nobody',
  )
  assert.deepEqual(certificatesFor(store, parseIdentity('CN=Root')), [root])
})
