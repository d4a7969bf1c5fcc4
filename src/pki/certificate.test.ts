import 'reflect-metadata'
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as peculiar from '@peculiar/x509'
import { DecodeError } from '../wire/errors.ts'
import { type Certificate, certificatesFrom, isCa, isSignedBy, parseCertificate } from './certificate.ts'
import { BIT_STRING, contextConstructed, derEncode, INTEGER, NULL, SEQUENCE } from './der.ts'
import { type CertificateTemplate, issueCertificate } from './issue.ts'
import { publicKeyId } from './keys.ts'
import { validate } from './path.ts'
import { encodePem } from './pem.ts'

const NOW = Date.parse('2026-11-21T09:00:00Z')
const DAY = 86_400_000

const pkits = (name: string): Uint8Array =>
  readFileSync(new URL(`../../rfc-vectors/pkits/certs/${name}.crt`, import.meta.url))

test('the fields of a certificate of NIST', () => {
  const certificate = parseCertificate(pkits('GoodCACert'))
  assert.equal(certificate.subjectText, 'C=US, O=Test Certificates 2011, CN=Good CA')
  assert.equal(certificate.issuerText, 'C=US, O=Test Certificates 2011, CN=Trust Anchor')
  assert.equal(certificate.version, 3)
  assert.equal(certificate.notBefore, Date.parse('2010-01-01T08:30:00Z'))
  assert.equal(certificate.notAfter, Date.parse('2030-12-31T08:30:00Z'))
  assert.equal(certificate.keyType, 'rsa')
  assert.equal(certificate.signatureAlgorithm.name, 'RSA_EMSA_PKCS1_SHA2_256')
  assert.deepEqual([...(certificate.keyUsage ?? [])], ['keyCertSign', 'cRLSign'])
  assert.deepEqual(certificate.policies, ['2.16.840.1.101.3.2.1.48.1'])
  assert.deepEqual(certificate.basicConstraints, { ca: true })
  assert.deepEqual(certificate.unknownCritical, [])
  assert.ok(isCa(certificate))
  // NIST made its subject key identifiers by RFC 5280 §4.2.1.2 (1), which is charon's key id
  assert.equal(Buffer.from(certificate.subjectKeyId ?? []).toString('hex'), certificate.publicKeyId)
  assert.equal(publicKeyId(certificate.publicKey), certificate.publicKeyId)
  assert.equal(certificate.keyId.length, 20)
  assert.ok(isSignedBy(certificate, parseCertificate(pkits('TrustAnchorRootCertificate'))))
  assert.ok(!isSignedBy(certificate, certificate))
})

test('the bytes of the caller can go', () => {
  const bytes = Uint8Array.from(pkits('GoodCACert'))
  const certificate = parseCertificate(bytes)
  bytes.fill(0)
  assert.ok(isSignedBy(certificate, parseCertificate(pkits('TrustAnchorRootCertificate'))))
})

test('every cut of a certificate is refused, and so is every byte behind it', () => {
  const bytes = pkits('ValidCertificatePathTest1EE')
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => parseCertificate(bytes.subarray(0, length)), DecodeError)
  assert.throws(() => parseCertificate(Buffer.concat([bytes, Uint8Array.of(0)])), DecodeError)
  assert.throws(() => parseCertificate(new Uint8Array(65_537)), /65537 bytes are more than 65536/)
})

const algorithms: readonly (readonly [name: string, parameters: Record<string, unknown>, hash?: string])[] = [
  [
    'RSA PKCS#1',
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
  ],
  [
    'RSA PSS',
    { name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), saltLength: 32 },
  ],
  ['ECDSA P-256', { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }],
  ['ECDSA P-384', { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }],
  ['ECDSA P-521', { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' }],
  ['Ed25519', { name: 'Ed25519' }],
]

for (const [name, parameters] of algorithms)
  test(`a chain made by another library is read and validated: ${name}`, async () => {
    const generate = (): Promise<webcrypto.CryptoKeyPair> =>
      crypto.subtle.generateKey(parameters as unknown as webcrypto.AlgorithmIdentifier, true, [
        'sign',
        'verify',
      ]) as Promise<webcrypto.CryptoKeyPair>
    const [rootKeys, leafKeys] = [await generate(), await generate()]
    const dates = { notBefore: new Date(NOW - DAY), notAfter: new Date(NOW + DAY) }
    const signingAlgorithm = parameters as unknown as webcrypto.Algorithm
    const root = await peculiar.X509CertificateGenerator.createSelfSigned({
      ...dates,
      serialNumber: '01',
      name: 'C=CH, O=Lab, CN=Lab CA',
      keys: rootKeys,
      signingAlgorithm,
      extensions: [
        new peculiar.BasicConstraintsExtension(true, 1, true),
        new peculiar.KeyUsagesExtension(peculiar.KeyUsageFlags.keyCertSign, true),
      ],
    })
    const leaf = await peculiar.X509CertificateGenerator.create({
      ...dates,
      serialNumber: '02',
      subject: 'C=CH, O=Lab, CN=moon.lab.org',
      issuer: root.subject,
      publicKey: leafKeys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm,
      extensions: [
        new peculiar.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'moon.lab.org' },
          { type: 'email', value: 'moon@lab.org' },
          { type: 'ip', value: '192.0.2.1' },
        ]),
        new peculiar.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.17']),
        new peculiar.CRLDistributionPointsExtension(['http://crl.lab.org/ca.crl']),
        new peculiar.AuthorityInfoAccessExtension({ ocsp: ['http://ocsp.lab.org/'] }),
      ],
    })
    const [ours, anchor] = [
      parseCertificate(new Uint8Array(leaf.rawData)),
      parseCertificate(new Uint8Array(root.rawData)),
    ]
    assert.equal(ours.subjectText, 'C=CH, O=Lab, CN=moon.lab.org')
    assert.deepEqual(
      ours.altNames.map((alt) => ('text' in alt ? alt.text : 'bytes' in alt ? alt.bytes.join('.') : alt.type)),
      ['moon.lab.org', 'moon@lab.org', '192.0.2.1'],
    )
    assert.deepEqual(ours.extKeyUsage, ['1.3.6.1.5.5.7.3.17'])
    assert.deepEqual(ours.crlUris, ['http://crl.lab.org/ca.crl'])
    assert.deepEqual(ours.ocspUris, ['http://ocsp.lab.org/'])
    assert.deepEqual(anchor.basicConstraints, { ca: true, pathLen: 1 })
    const result = validate({ leaf: ours, intermediates: [], anchors: [anchor], trustedLeaves: [], now: NOW })
    assert.ok(result.ok, result.ok ? '' : result.message)
  })

const makers: readonly (readonly [name: string, key: () => KeyObject, pss?: boolean])[] = [
  ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
  ['RSA with PSS', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, true],
  ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ['brainpoolP384r1', () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP384r1' }).privateKey],
  ['brainpoolP512r1', () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP512r1' }).privateKey],
  ['Ed448', () => generateKeyPairSync('ed448').privateKey],
]

for (const [name, make, pss] of makers)
  test(`a certificate of our own making is read again and one changed bit is seen: ${name}`, () => {
    const certificate = parseCertificate(issueCertificate({ ...template(make()), pss: pss ?? false }))
    assert.ok(isSignedBy(certificate, certificate))
    const tbs = Uint8Array.from(certificate.tbs)
    tbs[40] = (tbs[40] ?? 0) ^ 1
    assert.ok(!isSignedBy({ ...certificate, tbs }, certificate))
    const signature = Uint8Array.from(certificate.signature)
    signature[20] = (signature[20] ?? 0) ^ 1
    assert.ok(!isSignedBy({ ...certificate, signature }, certificate))
  })

test('PEM with several certificates, DER with one', () => {
  const [one, two] = [pkits('GoodCACert'), pkits('ValidCertificatePathTest1EE')]
  const bundle = Buffer.from(
    `Good CA\n${encodePem('CERTIFICATE', one)}${encodePem('X509 CRL', one)}${encodePem('CERTIFICATE', two)}`,
  )
  assert.deepEqual(
    certificatesFrom(bundle).map(({ subjectText }) => subjectText.replace(/.*CN=/, '')),
    ['Good CA', 'Valid EE Certificate Test1'],
  )
  assert.equal(certificatesFrom(one).length, 1)
  assert.throws(() => certificatesFrom(Buffer.from(encodePem('X509 CRL', one))), /there is no CERTIFICATE block/)
  assert.throws(() => certificatesFrom(Buffer.from('rubbish')), DecodeError)
})

test('a certificate whose two signature algorithms differ', () => {
  const { tbs } = parseCertificate(pkits('GoodCACert'))
  const ed25519 = derEncode(SEQUENCE, Uint8Array.of(6, 3, 0x2b, 0x65, 0x70))
  const der = derEncode(SEQUENCE, tbs, ed25519, derEncode(BIT_STRING, new Uint8Array(65)))
  assert.throws(() => parseCertificate(der), /the two signature algorithms differ/)
})

test('extensions: twice the same, a list without entries, rubbish inside a known one', () => {
  const key = generateKeyPairSync('ed25519').privateKey
  const make = (...extensions: NonNullable<CertificateTemplate['extensions']>): (() => Certificate) => {
    const der = issueCertificate({ ...template(key), extensions })
    return () => parseCertificate(der)
  }
  const value = derEncode(SEQUENCE)
  assert.throws(make({ oid: '1.2.3', value }, { oid: '1.2.3', value }), /the extension 1\.2\.3 is there twice/)
  assert.throws(make({ oid: '2.5.29.32', value }), /policyInformation/)
  assert.throws(make({ oid: '2.5.29.15', value: derEncode(NULL) }), /keyUsage/)
  assert.throws(make({ oid: '2.5.29.54', value: derEncode(INTEGER, Uint8Array.of(0x80)) }), /negative/)
  assert.throws(make({ oid: '2.5.29.17', value: derEncode(SEQUENCE, derEncode(contextConstructed(9))) }), /tag a9/)
  assert.deepEqual(make({ oid: '1.2.3', value: Uint8Array.of(1, 2, 3) })().unknownCritical, [])
})

test('OpenSSL reads what we make', async () => {
  const { X509Certificate } = await import('node:crypto')
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const altNames = ['moon.lab.org', 'moon@lab.org', '192.0.2.1', '2001:db8::1', 'CN=x']
  const der = issueCertificate({
    ...template(key),
    ca: { pathLen: 2 },
    altNames,
    keyUsage: ['digitalSignature', 'keyCertSign'],
  })
  const theirs = new X509Certificate(der)
  assert.equal(theirs.subject, 'C=CH\nO=Lab\nCN=moon')
  assert.equal(theirs.ca, true)
  assert.equal(
    theirs.subjectAltName,
    'DNS:moon.lab.org, email:moon@lab.org, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, DirName:CN=x',
  )
  assert.ok(theirs.verify(theirs.publicKey))
  const ours = parseCertificate(der)
  assert.equal(ours.fingerprint, theirs.fingerprint256.replaceAll(':', '').toLowerCase())
  assert.deepEqual([...(ours.keyUsage ?? [])], ['digitalSignature', 'keyCertSign'])
})

const template = (key: KeyObject): CertificateTemplate => ({
  subject: 'C=CH, O=Lab, CN=moon',
  key,
  notBefore: NOW - DAY,
  notAfter: NOW + DAY,
})
