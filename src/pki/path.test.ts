import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { type Certificate, parseCertificate } from './certificate.ts'
import { contextConstructed, contextPrimitive, derEncode, SEQUENCE } from './der.ts'
import { type CertificateTemplate, issueCertificate } from './issue.ts'
import { parseNameText } from './name.ts'
import { oids } from './oid.ts'
import { type PathRequest, type PathResult, validate } from './path.ts'

const NOW = Date.parse('2026-11-21T09:00:00Z')
const DAY = 86_400_000

const keys = new Map<string, KeyObject>()

/** One P-256 key per name, so that certificates of the same subject share it. */
function keyOf(name: string): KeyObject {
  const known = keys.get(name) ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  keys.set(name, known)
  return known
}

function certificate(name: string, issuer: string, more: Partial<CertificateTemplate> = {}): Certificate {
  const der = issueCertificate({
    subject: `C=CH, O=Lab, CN=${name}`,
    key: keyOf(name),
    issuer: { subject: `C=CH, O=Lab, CN=${issuer}`, key: keyOf(issuer) },
    notBefore: NOW - DAY,
    notAfter: NOW + DAY,
    ...more,
  })
  return parseCertificate(der)
}

const ca = (name: string, issuer: string, more: Partial<CertificateTemplate> = {}): Certificate =>
  certificate(name, issuer, { ca: true, keyUsage: ['keyCertSign', 'cRLSign'], ...more })

function check(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  more: Partial<PathRequest> = {},
): PathResult {
  return validate({ leaf, intermediates, anchors, trustedLeaves: [], now: NOW, ...more })
}

function refusal(result: PathResult): { reason: string; message: string; log: readonly string[] } {
  assert.ok(!result.ok, 'the path must be refused')
  return result
}

const root = ca('Root', 'Root')
const sub = ca('Sub', 'Root')
const moon = certificate('moon', 'Sub')

test('a path through an intermediate, told in the words of charon', () => {
  const result = check(moon, [sub], [root])
  assert.ok(result.ok)
  assert.deepEqual(result.path, [moon, sub, root])
  assert.equal(result.anchor, root)
  assert.deepEqual(result.log, [
    '  using certificate "C=CH, O=Lab, CN=moon"',
    '  using untrusted intermediate certificate "C=CH, O=Lab, CN=Sub"',
    '  using trusted ca certificate "C=CH, O=Lab, CN=Root"',
    '  reached self-signed root ca with a path length of 1',
  ])
})

test('a trusted intermediate is a step to its root, and the end where the root is not trusted', () => {
  const both = check(moon, [], [sub, root])
  assert.ok(both.ok)
  assert.deepEqual(both.log.slice(1), [
    '  using trusted intermediate ca certificate "C=CH, O=Lab, CN=Sub"',
    '  using trusted ca certificate "C=CH, O=Lab, CN=Root"',
    '  reached self-signed root ca with a path length of 1',
  ])
  const alone = check(moon, [root], [sub])
  assert.ok(alone.ok)
  assert.equal(alone.anchor, sub)
})

test('an end entity that is trusted as such needs no path, but must be valid today', () => {
  const known = check(moon, [], [], { trustedLeaves: [moon] })
  assert.ok(known.ok)
  assert.deepEqual(known.log, ['  using trusted certificate "C=CH, O=Lab, CN=moon"'])
  assert.equal(refusal(check(moon, [], [], { trustedLeaves: [moon], now: NOW + 2 * DAY })).reason, 'expired')
})

test('validity ends with the second that notAfter names', () => {
  assert.ok(check(moon, [sub], [root], { now: NOW + DAY + 999 }).ok)
  const late = refusal(check(moon, [sub], [root], { now: NOW + DAY + 1000 }))
  assert.equal(late.reason, 'expired')
  assert.equal(
    late.message,
    'certificate "C=CH, O=Lab, CN=moon" expired on 2026-11-22 09:00:00 UTC, now it is 2026-11-22 09:00:01 UTC',
  )
  assert.equal(late.log.at(-1), 'subject certificate invalid (valid from Nov 20 09:00:00 2026 to Nov 22 09:00:00 2026)')
  assert.equal(refusal(check(moon, [sub], [root], { now: NOW - DAY - 1 })).reason, 'not-yet-valid')
})

test('an expired CA or root ends the path', () => {
  const oldSub = ca('Sub', 'Root', { notAfter: NOW - 1000 })
  const result = refusal(check(moon, [oldSub], [root]))
  assert.equal(result.reason, 'expired')
  assert.match(result.message, /CN=Sub/)
  assert.equal(refusal(check(moon, [sub], [ca('Root', 'Root', { notAfter: NOW - 1000 })])).reason, 'expired')
})

test('without the intermediate, or with another root', () => {
  const result = refusal(check(moon, [], [root]))
  assert.equal(result.reason, 'no-issuer')
  assert.equal(result.log.at(-1), 'no issuer certificate found for "C=CH, O=Lab, CN=moon"')
  const other = refusal(check(moon, [sub, root], [ca('Other', 'Other')]))
  assert.equal(other.reason, 'untrusted-root')
  assert.equal(other.log.at(-1), 'self-signed certificate "C=CH, O=Lab, CN=Root" is not trusted')
  assert.equal(refusal(check(certificate('lone', 'lone'), [], [root])).reason, 'untrusted-root')
})

test('a root of the same name with another key', () => {
  const impostor = parseCertificate(
    issueCertificate({
      subject: 'C=CH, O=Lab, CN=Root',
      key: keyOf('somebody else'),
      notBefore: NOW - DAY,
      notAfter: NOW + DAY,
      ca: true,
    }),
  )
  assert.equal(refusal(check(sub, [], [impostor])).reason, 'bad-signature')
  assert.ok(check(sub, [], [impostor, root]).ok, 'the right one is found beside it')
})

test('an issuer must be a CA and have the right to sign certificates', () => {
  const noCa = certificate('Sub', 'Root')
  assert.equal(refusal(check(moon, [noCa], [root])).reason, 'not-a-ca')
  const noSign = ca('Sub', 'Root', { keyUsage: ['digitalSignature', 'cRLSign'] })
  assert.equal(refusal(check(moon, [noSign], [root])).reason, 'key-usage')
  const endEntityAsRoot = certificate('Root', 'Root')
  assert.equal(refusal(check(sub, [], [endEntityAsRoot])).reason, 'not-a-ca')
})

test('path lengths of intermediates and of the anchor', () => {
  const narrow = ca('Root', 'Root', { ca: { pathLen: 0 } })
  const result = refusal(check(moon, [sub], [narrow]))
  assert.equal(result.reason, 'path-length')
  assert.match(result.message, /"C=CH, O=Lab, CN=Root" allows 0 intermediate CAs below it, the path has 1/)
  assert.ok(check(moon, [sub], [ca('Root', 'Root', { ca: { pathLen: 1 } })]).ok)
  assert.ok(check(moon, [ca('Sub', 'Root', { ca: { pathLen: 0 } })], [root]).ok)
})

test('a critical extension that nobody knows', () => {
  const strange = { extensions: [{ oid: '1.2.3.4', critical: true, value: derEncode(SEQUENCE) }] }
  const result = refusal(check(certificate('moon', 'Sub', strange), [sub], [root]))
  assert.equal(result.reason, 'unknown-critical')
  assert.match(result.message, /1\.2\.3\.4/)
  assert.equal(refusal(check(moon, [ca('Sub', 'Root', strange)], [root])).reason, 'unknown-critical')
})

test('name constraints of a CA, and of the anchor itself', () => {
  const permitted = (base: Uint8Array): Partial<CertificateTemplate> => ({
    extensions: [
      {
        oid: oids.nameConstraints,
        critical: true,
        value: derEncode(SEQUENCE, derEncode(contextConstructed(0), derEncode(SEQUENCE, base))),
      },
    ],
  })
  const dns = permitted(derEncode(contextPrimitive(2), Buffer.from('lab.org')))
  const named = (name: string): Certificate => certificate('moon', 'Sub', { altNames: [name] })
  for (const chain of [
    { sub: ca('Sub', 'Root', dns), root },
    { sub, root: ca('Root', 'Root', dns) },
  ]) {
    assert.ok(check(named('moon.lab.org'), [chain.sub], [chain.root]).ok)
    const result = refusal(check(named('moon.evil.org'), [chain.sub], [chain.root]))
    assert.equal(result.reason, 'name-constraints')
    assert.match(result.message, /"moon\.evil\.org" is not among the names permitted/)
  }
  const directory = permitted(derEncode(contextConstructed(4), parseNameText('C=CH, O=Other')?.der ?? new Uint8Array()))
  assert.equal(refusal(check(moon, [ca('Sub', 'Root', directory)], [root])).reason, 'name-constraints')
})

test('certificates that issue each other in a ring do not keep the search busy', () => {
  const ring = [ca('A', 'B'), ca('B', 'C'), ca('C', 'A')]
  const result = refusal(check(certificate('moon', 'A'), ring, [root]))
  assert.equal(result.reason, 'no-issuer')
})

test('a mesh of cross-signed CAs ends within the budget, and the way out of it is found', () => {
  const names = Array.from({ length: 7 }, (_, i) => `Mesh ${i}`)
  const mesh = names.flatMap((name) => names.filter((other) => other !== name).map((other) => ca(name, other)))
  const leaf = certificate('moon', 'Mesh 0')
  const budget = { signatures: 64, steps: 500 }
  const result = check(leaf, mesh, [root], { budget })
  assert.equal(refusal(result).reason, 'budget')
  const out = check(leaf, [...mesh, ca('Mesh 6', 'Root')], [root], { budget })
  assert.ok(out.ok)
  assert.deepEqual(
    out.path.map(({ subjectText }) => subjectText.slice(16)),
    ['moon', 'Mesh 0', 'Mesh 6', 'Root'],
  )
})

test('of many intermediates with the right name but the wrong key the right one is found by its key identifier', () => {
  const wrong = Array.from({ length: 40 }, (_, i) =>
    ca('Sub', 'Root', { key: keyOf(`wrong ${i % 8}`), serial: Uint8Array.of(1, i) }),
  )
  const result = check(moon, [...wrong, sub], [root], { budget: { signatures: 2 } })
  assert.ok(result.ok)
})

test('a path longer than the budget allows', () => {
  const chain = Array.from({ length: 12 }, (_, i) => ca(`Level ${i}`, i === 11 ? 'Root' : `Level ${i + 1}`))
  const result = refusal(check(certificate('moon', 'Level 0'), chain, [root]))
  assert.equal(result.reason, 'path-length')
})

test('revocation is asked for each certificate below the anchor and can refuse the path', () => {
  const asked: string[] = []
  const revoked = check(moon, [sub], [root], {
    revocation: {
      check({ certificate, issuers: [issuer] }) {
        asked.push(`${certificate.subjectText.slice(16)} by ${issuer.subjectText.slice(16)}`)
        const log = ['certificate status is good']
        return certificate === sub
          ? { kind: 'revoked', message: 'certificate was revoked on Nov 20', log: [] }
          : { kind: 'accepted', log }
      },
    },
  })
  assert.deepEqual(asked, ['moon by Sub', 'Sub by Root'])
  const { reason, log } = refusal(revoked)
  assert.equal(reason, 'revoked')
  assert.ok(log.includes('certificate status is good'))
})

test('a required policy that no certificate has', () => {
  const result = refusal(check(moon, [sub], [root], { policy: { explicitPolicy: true } }))
  assert.equal(result.reason, 'policy')
})
