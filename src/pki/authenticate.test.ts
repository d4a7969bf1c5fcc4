import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { chooseScheme, encodeAuth, type SignatureScheme, sign } from '../crypto/signatures.ts'
import { type PeerAuthentication, type PeerRejected, type PeerVerdict, verifyPeer } from './authenticate.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { parseIdentity, parseIdentityPattern } from './identity.ts'
import { type CertificateTemplate, issueCertificate } from './issue.ts'

const NOW = Date.parse('2026-11-21T09:00:00Z')
const DAY = 86_400_000
const octets = Buffer.from('RealMessage1 | nonce | prf(SK_pi, IDi)')

const ecKey = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey

function make(subject: string, key: KeyObject, more: Partial<CertificateTemplate> = {}): Certificate {
  return parseCertificate(issueCertificate({ subject, key, notBefore: NOW - DAY, notAfter: NOW + DAY, ...more }))
}

const caKey = ecKey('P-384')
const ca = make('C=CH, O=Lab, CN=Lab CA', caKey, { ca: true })
const issuer = { subject: 'C=CH, O=Lab, CN=Lab CA', key: caKey }
const moonKey = ecKey('P-256')
const altNames = ['moon.lab.org', 'moon@lab.org', '192.0.2.1']
const moon = make('C=CH, O=Lab, CN=moon.lab.org', moonKey, { issuer, altNames })

function auth(
  key: KeyObject,
  peerHashes: readonly number[] | undefined = [2, 3, 4, 5],
  rsaPss = false,
): Pick<PeerAuthentication, 'authMethod' | 'authData'> {
  const scheme = chooseScheme(key, { peerHashes, rsaPss })
  if (scheme === undefined) throw new Error('there is no scheme for this key')
  return signed(key, scheme)
}

const signed = (key: KeyObject, scheme: SignatureScheme): Pick<PeerAuthentication, 'authMethod' | 'authData'> => ({
  authMethod: scheme.method,
  authData: encodeAuth(scheme, sign(key, scheme, octets)),
})

const request = (more: Partial<PeerAuthentication> = {}): PeerAuthentication => ({
  identity: parseIdentity('moon.lab.org'),
  certificates: [moon.der],
  anchors: [ca],
  trustedLeaves: [],
  ...auth(moonKey),
  octets,
  now: NOW,
  ...more,
})

function rejected(verdict: PeerVerdict): PeerRejected {
  assert.ok(!verdict.ok, 'the peer must be rejected')
  assert.equal(verdict.alerts.at(-1), 'peer-auth-failed')
  return verdict
}

test('a peer with a certificate, by each name that the certificate has', () => {
  for (const name of [...altNames, 'MOON.lab.org', 'C=CH, O=Lab, CN=moon.lab.org']) {
    const verdict = verifyPeer(request({ identity: parseIdentity(name) }))
    assert.ok(verdict.ok, verdict.ok ? '' : verdict.message)
    assert.equal(verdict.scheme, 'ECDSA_WITH_SHA256_DER')
    assert.deepEqual(
      verdict.path.map(({ subjectText }) => subjectText),
      [moon.subjectText, ca.subjectText],
    )
    assert.deepEqual(verdict.received, ['received end entity cert "C=CH, O=Lab, CN=moon.lab.org"'])
    assert.deepEqual(verdict.log.slice(-3), [
      '  reached self-signed root ca with a path length of 0',
      'checking certificate status of "C=CH, O=Lab, CN=moon.lab.org"',
      'certificate status is not available',
    ])
  }
})

for (const [name, key, options] of [
  ['RSA_EMSA_PKCS1_SHA2_256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, {}],
  ['RSA_EMSA_PSS_SHA2_256_SALT_32', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, { pss: true }],
  ['RSA signature', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, { classic: true }],
  ['ECDSA_WITH_SHA384_DER', ecKey('P-384'), {}],
  ['ECDSA-256 signature', ecKey('P-256'), { classic: true }],
  ['ECDSA-521 signature', ecKey('P-521'), { classic: true }],
  ['ED25519', generateKeyPairSync('ed25519').privateKey, {}],
  ['ED448', generateKeyPairSync('ed448').privateKey, {}],
] as readonly (readonly [string, KeyObject, { pss?: boolean; classic?: boolean }])[])
  test(`a signature by ${name}`, () => {
    const certificate = make('CN=sun', key, { issuer, altNames: ['sun.lab.org'] })
    const scheme = chooseScheme(key, {
      peerHashes: options.classic === true ? undefined : [2, 3, 4, 5],
      rsaPss: options.pss === true,
    })
    assert.ok(scheme !== undefined)
    const good = request({
      identity: parseIdentity('sun.lab.org'),
      certificates: [certificate.der],
      ...signed(key, scheme),
    })
    const verdict = verifyPeer(good)
    assert.ok(verdict.ok, verdict.ok ? '' : verdict.message)
    assert.equal(verdict.scheme, name)
    const bad = rejected(verifyPeer({ ...good, octets: Buffer.from('something else') }))
    assert.match(bad.message, new RegExp(`signature validation failed: the ${scheme.name} signature of 'sun.lab.org'`))
  })

const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
for (const [name, key, identifier] of [
  ['sha1WithRSAEncryption', rsaKey, '300d06092a864886f70d0101050500'],
  ['ecdsa-with-sha1', moonKey, '300906072a8648ce3d0401'],
  ['RSASSA-PSS without parameters', rsaKey, '300b06092a864886f70d01010a'],
  ['RSASSA-PSS with empty parameters', rsaKey, '300d06092a864886f70d01010a3000'],
  [
    'RSASSA-PSS with the default parameters',
    rsaKey,
    '303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108300906052b0e03021a0500a203020114a303020101',
  ],
  ['dsa-with-sha1', rsaKey, '300906072a8648ce380403'],
] as const) {
  test(`RFC 8247 §3.2: ${name} is refused under method 14`, () => {
    const sha1 = chooseScheme(key, {
      peerHashes: [1],
      rsaPss: name.startsWith('RSASSA'),
      configured: [{ keyType: key === rsaKey ? 'rsa' : 'ecdsa', hash: 1, pss: name.startsWith('RSASSA') }],
    })
    assert.ok(sha1)
    // A good signature: only the identifier in front of it is looked at.
    const signature = sign(key, sha1, octets)
    const der = Buffer.from(identifier, 'hex')
    const certificate = make('CN=sun', key, { issuer, altNames: ['sun.lab.org'] })
    const verdict = verifyPeer(
      request({
        identity: parseIdentity('sun.lab.org'),
        certificates: [certificate.der],
        authMethod: 14,
        authData: Buffer.concat([Uint8Array.of(der.length), der, signature]),
      }),
    )
    assert.match(rejected(verdict).message, /a hash we did not announce|unknown signature algorithm/)
  })
}

test('an identity that the certificate does not have', () => {
  const verdict = rejected(verifyPeer(request({ identity: parseIdentity('sun.lab.org') })))
  assert.equal(
    verdict.message,
    "no trusted ECDSA public key found for 'sun.lab.org': the certificate it sent is for 'C=CH, O=Lab, CN=moon.lab.org', 'moon.lab.org', 'moon@lab.org', '192.0.2.1'",
  )
  // an FQDN does not speak for an e-mail address of the same letters, nor a wildcard for anybody
  rejected(verifyPeer(request({ identity: parseIdentity('@@moon.lab.org') })))
  rejected(verifyPeer(request({ identity: parseIdentity('C=CH, O=*, CN=moon.lab.org') })))
  const wild = make('CN=wild', moonKey, { issuer, altNames: ['*.lab.org'] })
  rejected(verifyPeer(request({ certificates: [wild.der] })))
})

test('an expired certificate and an unknown CA: what exactly is wrong, and the alert', () => {
  const old = make('CN=moon', moonKey, { issuer, altNames, notAfter: NOW - 1000 })
  const expired = rejected(verifyPeer(request({ certificates: [old.der] })))
  assert.match(
    expired.message,
    /^no trusted ECDSA public key found for 'moon\.lab\.org': certificate "CN=moon" expired on 2026/,
  )
  assert.deepEqual(expired.alerts, ['cert-expired', 'peer-auth-failed'])
  const untrusted = rejected(verifyPeer(request({ anchors: [] })))
  assert.deepEqual(untrusted.alerts, ['cert-no-issuer', 'peer-auth-failed'])
  assert.match(untrusted.log.at(-1) ?? '', /no issuer certificate found for/)
  const self = make('CN=moon', moonKey, { altNames })
  assert.deepEqual(rejected(verifyPeer(request({ certificates: [self.der] }))).alerts, [
    'cert-untrusted-root',
    'peer-auth-failed',
  ])
})

test('the certificate that fits is found among several, and rubbish beside it does no harm', () => {
  const other = make('CN=other', ecKey('P-256'), { issuer, altNames: ['other.lab.org'] })
  const verdict = verifyPeer(request({ certificates: [Buffer.from('rubbish'), other.der, ca.der, moon.der] }))
  assert.ok(verdict.ok)
  assert.equal(verdict.received.length, 3)
  assert.equal(verdict.received[1], 'received issuer cert "C=CH, O=Lab, CN=Lab CA"')
  assert.match(verdict.log[0] ?? '', /^parsing X509 certificate failed: certificate at offset 0/)
})

test('a stolen certificate: right names, right CA, wrong key', () => {
  const verdict = rejected(verifyPeer(request({ ...auth(ecKey('P-256')) })))
  assert.match(verdict.message, /was not made with the key of certificate/)
  assert.deepEqual(verdict.alerts, ['peer-auth-failed'])
})

test('no certificate was sent: one that we have does, else the message says so', () => {
  const known = verifyPeer(request({ certificates: [], trustedLeaves: [moon], anchors: [] }))
  assert.ok(known.ok)
  assert.deepEqual(known.log, ['  using trusted certificate "C=CH, O=Lab, CN=moon.lab.org"'])
  assert.match(rejected(verifyPeer(request({ certificates: [] }))).message, /the peer sent no certificate/)
})

test('raw public keys', () => {
  const key = createPublicKey(moonKey)
  const raw = request({ certificates: [], rawKeys: [{ key, identity: parseIdentity('moon.lab.org') }] })
  const verdict = verifyPeer(raw)
  assert.ok(verdict.ok)
  assert.deepEqual(verdict.path, [])
  assert.ok(verdict.publicKey.equals(key))
  rejected(verifyPeer({ ...raw, identity: parseIdentity('sun.lab.org') }))
  rejected(verifyPeer({ ...raw, octets: Buffer.from('else') }))
})

test('a certificate whose key is not for signing', () => {
  const certificate = make('CN=moon', moonKey, { issuer, altNames, keyUsage: ['keyAgreement'] })
  const verdict = rejected(verifyPeer(request({ certificates: [certificate.der] })))
  assert.match(verdict.message, /neither digitalSignature nor nonRepudiation/)
})

test('AUTH data that is malformed or of another kind of key', () => {
  for (const authData of [new Uint8Array(), Uint8Array.of(5), Uint8Array.of(2, 0x30, 0, 1), Uint8Array.of(255, 1, 2)])
    assert.match(rejected(verifyPeer(request({ authData }))).message, /^no trusted (ANY|ECDSA) public key found/)
  const ed = auth(generateKeyPairSync('ed25519').privateKey)
  assert.match(
    rejected(verifyPeer(request(ed))).message,
    /^no trusted ED25519 public key found for 'moon\.lab\.org': a signature by ED25519/,
  )
  assert.match(rejected(verifyPeer(request({ authMethod: 99 }))).message, /99/)
})

test('constraints of the connection', () => {
  const constrained = (constraints: PeerAuthentication['constraints']): PeerVerdict =>
    verifyPeer(request(constraints === undefined ? {} : { constraints }))
  const fails = (constraints: PeerAuthentication['constraints'], message: RegExp): void =>
    assert.match(rejected(constrained(constraints)).message, message)
  fails({ keyTypes: ['rsa'] }, /^constraint check failed: the peer signed with a key of type ecdsa, rsa is configured/)
  fails({ minimumBits: { ecdsa: 384 } }, /ecdsa key strength 256 is below the 384 bits/)
  fails({ authSchemes: [{ keyType: 'ecdsa', hash: 3 }] }, /signature scheme ECDSA_WITH_SHA256_DER not acceptable/)
  fails({ announcedHashes: [3] }, /a hash we did not announce/)
  fails({ chainSchemes: [{ keyType: 'ecdsa', hash: 2 }] }, /ECDSA_WITH_SHA384_DER of certificate/)
  fails({ certificates: [ca] }, /not authenticated by one of the certificates/)
  fails({ authorities: [make('CN=Other CA', ecKey('P-256'), { ca: true })] }, /not authenticated by CA "CN=Other CA"/)
  fails(
    { caId: parseIdentity('C=CH, O=Lab, CN=Other') },
    /no CA in the trust chain has the identity 'C=CH, O=Lab, CN=Other'/,
  )
  const good = constrained({
    keyTypes: ['rsa', 'ecdsa'],
    minimumBits: { ecdsa: 256, rsa: 4096 },
    authSchemes: [
      { keyType: 'ecdsa', hash: 2 },
      { keyType: 'rsa', hash: 4 },
    ],
    chainSchemes: [{ keyType: 'ecdsa', hash: 3 }],
    certificates: [moon],
    authorities: [ca],
    caId: parseIdentityPattern('asn1dn:^.*CN=Lab CA$'),
  })
  assert.ok(good.ok, good.ok ? '' : good.message)
})
