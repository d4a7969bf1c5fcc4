import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { type Certificate, parseCertificate } from '../certificate.ts'
import { contextConstructed, contextPrimitive, derEncode, OID, SEQUENCE } from '../der.ts'
import { type CertificateTemplate, issueCertificate } from '../issue.ts'
import { oidContent, oids } from '../oid.ts'
import { StatusCache } from './cache.ts'
import {
  checkRevocation,
  type Fetched,
  NO_SOURCES,
  type RevocationPolicy,
  type RevocationSources,
  type RevocationVerdict,
} from './check.ts'
import { parseCrl } from './crl.ts'
import { type CrlTemplate, issueCrl, issueOcspResponse } from './issue.ts'

const NOW = Date.parse('2026-11-21T09:00:00Z')
const HOUR = 3_600_000

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const ca = { subject: 'O=Lab, CN=Lab CA', key: newKey() }
const stranger = { subject: 'O=Lab, CN=Lab CA', key: newKey() }

const uri = (text: string): Uint8Array => derEncode(contextPrimitive(6), Buffer.from(text))
const crlPoint = (text: string): Uint8Array =>
  derEncode(
    SEQUENCE,
    derEncode(SEQUENCE, derEncode(contextConstructed(0), derEncode(contextConstructed(0), uri(text)))),
  )
const ocspAccess = (text: string): Uint8Array =>
  derEncode(SEQUENCE, derEncode(SEQUENCE, derEncode(OID, oidContent(oids.accessOcsp)), uri(text)))

function issue(subject: string, more: Partial<CertificateTemplate> = {}): Certificate {
  const template = { subject, key: newKey(), issuer: ca, notBefore: NOW - 24 * HOUR, notAfter: NOW + 24 * HOUR }
  return parseCertificate(issueCertificate({ ...template, ...more }))
}

const root = issue(ca.subject, { key: ca.key, ca: true, keyUsage: ['keyCertSign', 'cRLSign'] })
const plain = issue('O=Lab, CN=plain')
const crlUri = 'http://crl.lab/ca.crl'
const ocspUri = 'http://ocsp.lab'
const extensions = [{ oid: oids.crlDistributionPoints, value: crlPoint(crlUri) }]
const moon = issue('O=Lab, CN=moon', { extensions })
const both = issue('O=Lab, CN=both', {
  extensions: [...extensions, { oid: oids.authorityInfoAccess, value: ocspAccess(ocspUri) }],
})

const crl = (more: Partial<CrlTemplate> = {}): Uint8Array =>
  issueCrl({ issuer: ca, thisUpdate: NOW - HOUR, nextUpdate: NOW + HOUR, number: 1, ...more })
const revokes = ({ serial }: Certificate, reason = 1): Partial<CrlTemplate> => ({
  revoked: [{ serial, time: NOW - 2 * HOUR, reason }],
})

interface Outcome {
  readonly verdict: RevocationVerdict
  readonly asked: readonly string[]
  readonly cache: StatusCache
}

/** Runs a check; `web` is what URIs lead to, OCSP responders get the request. */
function check(
  certificate: Certificate,
  policy: RevocationPolicy,
  web: Readonly<Record<string, Fetched>> = {},
  sources: Partial<RevocationSources> = {},
  cache: StatusCache = new StatusCache(),
): Outcome {
  const question = { certificate, issuers: [root] as const, others: [], now: NOW }
  const asked: string[] = []
  const known: RevocationSources = {
    ...NO_SOURCES,
    crls: cache.crls,
    responsesFor: (subject, issuer) => {
      const found = cache.responseFor(subject, issuer)
      return found === undefined ? [] : [found]
    },
    ...sources,
  }
  const steps = checkRevocation(question, known, {
    policy,
    nonce: () => new Uint8Array(16),
    keepCrl: (each) => void cache.addCrl(each),
    keepResponse: (response, subject, issuer) => cache.addResponse(response, subject, issuer),
  })
  let step = steps.next()
  while (step.done !== true) {
    asked.push(step.value.uri)
    step = steps.next(web[step.value.uri] ?? new Error(`${step.value.uri}: the server answers 404`))
  }
  return { verdict: step.value, asked, cache }
}

for (const [policy, certificate, kind] of [
  ['relaxed', plain, 'accepted'],
  ['relaxed', moon, 'accepted'],
  ['ifuri', plain, 'accepted'],
  ['ifuri', moon, 'unknown'],
  ['strict', plain, 'unknown'],
  ['strict', moon, 'unknown'],
] as const) {
  test(`an unknown status with revocation = ${policy}, ${certificate.crlUris.length} CRL URIs: ${kind}`, () => {
    const { verdict } = check(certificate, policy)
    assert.equal(verdict.kind, kind)
    assert.equal(verdict.log.at(-1), 'certificate status is not available')
  })
}

test('a CRL is fetched, and used again from the cache', () => {
  const { verdict, asked, cache } = check(moon, 'strict', { [crlUri]: crl() })
  assert.equal(verdict.kind, 'accepted')
  assert.deepEqual(asked, [crlUri])
  assert.deepEqual(verdict.log, [
    'checking certificate status of "O=Lab, CN=moon"',
    `  fetching crl from '${crlUri}' ...`,
    '  crl correctly signed by "O=Lab, CN=Lab CA"',
    '  crl is valid: until Nov 21 10:00:00 2026',
    'certificate status is good',
  ])
  const again = check(moon, 'strict', {}, {}, cache)
  assert.deepEqual(again.asked, [])
  assert.ok(again.verdict.log.includes('  using cached crl'))
})

test('a revoked certificate is refused, also where an unknown status would pass', () => {
  const { verdict } = check(moon, 'relaxed', { [crlUri]: crl(revokes(moon)) })
  assert.equal(verdict.kind, 'revoked')
  assert.equal(verdict.log.at(-1), 'certificate was revoked on Nov 21 07:00:00 2026, reason: key compromise')
})

test('a CRL that another key has signed tells nothing and is not kept', () => {
  const { verdict, cache } = check(moon, 'strict', { [crlUri]: crl({ issuer: stranger, ...revokes(moon) }) })
  assert.equal(verdict.kind, 'unknown')
  assert.ok(verdict.log.includes('crl response verification failed'))
  assert.equal(cache.crls.length, 0)
})

test('a stale CRL: good enough for relaxed, not for strict; a newer one is fetched', () => {
  const stale = parseCrl(crl({ thisUpdate: NOW - 3 * HOUR, nextUpdate: NOW - HOUR }))
  const relaxed = check(plain, 'relaxed', {}, { crls: [stale] }).verdict
  assert.deepEqual([relaxed.kind, relaxed.log.at(-1)], ['accepted', 'certificate status is unknown, crl is stale'])
  const strict = check(plain, 'strict', {}, { crls: [stale] }).verdict
  assert.ok(strict.kind === 'unknown' && strict.message.includes('the CRL is stale'))
  assert.equal(check(moon, 'strict', { [crlUri]: crl({ number: 2 }) }, { crls: [stale] }).verdict.kind, 'accepted')
})

test('a stale CRL that lists the certificate refuses it all the same', () => {
  const stale = parseCrl(crl({ thisUpdate: NOW - 3 * HOUR, nextUpdate: NOW - HOUR, ...revokes(plain) }))
  assert.equal(check(plain, 'relaxed', {}, { crls: [stale] }).verdict.kind, 'revoked')
})

test('the newest CRL counts, in whatever order they come; a delta CRL changes it', () => {
  const first = parseCrl(crl({ number: 1 }))
  const held = parseCrl(crl({ number: 2, ...revokes(plain, 6) }))
  const freed = parseCrl(crl({ number: 3, base: 2, ...revokes(plain, 8) }))
  const kind = (...crls: ReturnType<typeof parseCrl>[]): string => check(plain, 'strict', {}, { crls }).verdict.kind
  assert.equal(kind(first), 'accepted')
  assert.equal(kind(first, held), 'revoked')
  assert.equal(kind(held, first), 'revoked')
  assert.equal(kind(first, held, freed), 'accepted')
  assert.equal(kind(freed), 'unknown')
})

test('OCSP is asked first; who is good by it needs no CRL', () => {
  const signed = { certificate: both, issuer: root, thisUpdate: NOW, nextUpdate: NOW + HOUR }
  const answer = issueOcspResponse({ ...signed, signer: ca, status: 'good', nonce: new Uint8Array(16) })
  const { verdict, asked, cache } = check(both, 'strict', { [ocspUri]: answer })
  assert.equal(verdict.kind, 'accepted')
  assert.deepEqual(asked, [ocspUri])
  assert.deepEqual(verdict.log.slice(1), [
    `  requesting ocsp status from '${ocspUri}' ...`,
    '  ocsp response correctly signed by "O=Lab, CN=Lab CA"',
    '  ocsp response is valid: until Nov 21 10:00:00 2026',
    'certificate status is good',
  ])
  assert.deepEqual(check(both, 'strict', {}, {}, cache).asked, [])
  const revoked = issueOcspResponse({ ...signed, signer: ca, status: { time: NOW - HOUR } })
  const refused = check(both, 'relaxed', { [ocspUri]: revoked, [crlUri]: crl() })
  assert.equal(refused.verdict.kind, 'revoked')
  assert.deepEqual(refused.asked, [ocspUri])
})

test('where OCSP tells nothing, the CRL does: no answer, another signer, an unknown certificate', () => {
  const signed = { certificate: both, issuer: root, thisUpdate: NOW, nextUpdate: NOW + HOUR }
  for (const answer of [
    new Error('no answer within 10000 ms'),
    issueOcspResponse({ ...signed, signer: stranger, status: 'good' }),
    issueOcspResponse({ ...signed, signer: ca, status: 'unknown' }),
    Buffer.from('<html>'),
  ]) {
    const { verdict, asked } = check(both, 'strict', { [ocspUri]: answer, [crlUri]: crl() })
    assert.equal(verdict.kind, 'accepted')
    assert.deepEqual(asked, [ocspUri, crlUri])
    assert.ok(verdict.log.includes('ocsp check failed, fallback to crl'))
  }
})

test('a responder that the CA has delegated to, and one that only says so', () => {
  const purpose = derEncode(SEQUENCE, derEncode(OID, oidContent(oids.ocspSigning)))
  const responder = { subject: 'O=Lab, CN=OCSP', key: newKey() }
  const delegate = (more: Partial<CertificateTemplate>): Certificate =>
    issue(responder.subject, { key: responder.key, ...more })
  const answer = (sent: Certificate): Uint8Array =>
    issueOcspResponse({
      certificate: both,
      issuer: root,
      signer: responder,
      thisUpdate: NOW,
      status: 'good',
      certificates: [sent],
    })
  const kind = (sent: Certificate): string => check(both, 'strict', { [ocspUri]: answer(sent) }).verdict.kind
  const allowed = [{ oid: oids.extKeyUsage, value: purpose }]
  assert.equal(kind(delegate({ extensions: allowed })), 'accepted')
  assert.equal(kind(delegate({})), 'unknown')
  assert.equal(kind(delegate({ extensions: allowed, issuer: stranger })), 'unknown')
  assert.equal(kind(delegate({ extensions: allowed, notAfter: NOW - HOUR })), 'unknown')
  const trusted = { ocspSigners: [delegate({ issuer: stranger })] }
  assert.equal(check(both, 'strict', { [ocspUri]: answer(plain) }, trusted).verdict.kind, 'accepted')
})

test("the operator's places come first, and may be files; those of certificates may not", () => {
  const file = issue('O=Lab, CN=file', {
    extensions: [{ oid: oids.crlDistributionPoints, value: crlPoint('file:///etc/shadow') }],
  })
  const { asked } = check(file, 'relaxed', {}, { crlUris: () => ['file:///etc/ca.crl'] })
  assert.deepEqual(asked, ['file:///etc/ca.crl'])
  assert.deepEqual(check(moon, 'relaxed', {}, { crlUris: () => ['http://mine.lab'] }).asked, [
    'http://mine.lab',
    crlUri,
  ])
})

test('either way can be switched off', () => {
  assert.deepEqual(check(both, 'relaxed', {}, { useOcsp: false }).asked, [crlUri])
  assert.deepEqual(check(both, 'relaxed', {}, { useCrls: false }).asked, [ocspUri])
})
