import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { type PathFailure, type PathResult, validate } from './path.ts'
import { NO_SOURCES, offline } from './revocation/check.ts'
import { type Crl, parseCrl } from './revocation/crl.ts'

interface PkitsCase {
  readonly test: string
  readonly title: string
  readonly certs: readonly string[]
  readonly crls: readonly string[]
  readonly should_validate: boolean
  readonly initial_policy_set?: string
  readonly user_constrained_policy_set?: string
  readonly initial_explicit_policy?: boolean
  readonly initial_policy_mapping_inhibit?: boolean
  readonly initial_inhibit_any_policy?: boolean
}

const folder = new URL('../../rfc-vectors/pkits/', import.meta.url)
const manifest: {
  readonly verify_time: string
  readonly policies: Readonly<Record<string, string>>
  readonly tests: readonly PkitsCase[]
} = JSON.parse(readFileSync(new URL('manifest.json', folder), 'utf8'))

const sections = new Map([
  ['4.1', 'signature verification'],
  ['4.2', 'validity periods'],
  ['4.3', 'name chaining'],
  ['4.4', 'basic certificate revocation'],
  ['4.5', 'self-issued certificates'],
  ['4.6', 'basic constraints'],
  ['4.7', 'key usage'],
  ['4.8', 'certificate policies'],
  ['4.9', 'require explicit policy'],
  ['4.10', 'policy mappings'],
  ['4.11', 'inhibit policy mapping'],
  ['4.12', 'inhibit any policy'],
  ['4.13', 'name constraints'],
  ['4.14', 'CRL distribution points'],
  ['4.15', 'delta CRLs'],
  ['4.16', 'private certificate extensions'],
])

/** Why the invalid paths of a section must be refused, so that none is refused by accident. */
const reasons = new Map<string, readonly (PathFailure | 'malformed')[]>([
  ['4.1', ['malformed', 'bad-signature']], // the signature of 4.1.2 is not even a string of whole bytes
  ['4.2', ['expired', 'not-yet-valid']],
  ['4.3', ['no-issuer']],
  ['4.4', ['revoked', 'revocation-unknown']],
  ['4.5', ['not-a-ca', 'revoked']],
  ['4.6', ['not-a-ca', 'path-length']],
  ['4.7', ['key-usage', 'revocation-unknown']],
  ['4.8', ['policy']],
  ['4.9', ['policy']],
  ['4.10', ['policy']],
  ['4.11', ['policy']],
  ['4.12', ['policy']],
  ['4.13', ['name-constraints']],
  ['4.14', ['revoked', 'revocation-unknown']],
  ['4.15', ['revoked', 'revocation-unknown']],
  ['4.16', ['unknown-critical']],
])

const DSA = 'DSA keys do not sign in IKE'
const skippedCases = new Map([
  ['4.1.4', DSA],
  ['4.1.5', DSA],
  ['4.1.6', DSA],
])

const counts = new Map<string, { passed: number; skipped: number }>()

for (const [section, title] of sections) {
  test(`PKITS ${section} ${title}`, async (t) => {
    const count = { passed: 0, skipped: 0 }
    counts.set(section, count)
    for (const [i, pkits] of manifest.tests.filter((each) => each.test.startsWith(`${section}.`)).entries()) {
      const skip = skippedCases.get(pkits.test) ?? false
      await t.test(`${pkits.test} ${pkits.title} (${i})`, { skip }, () => {
        const result = run(pkits)
        assert.equal(result.ok, pkits.should_validate, result.ok ? 'accepted' : result.message)
        if (!result.ok) assert.ok(reasons.get(section)?.includes(result.reason), `${result.reason}: ${result.message}`)
        const policies = pkits.user_constrained_policy_set
        if (result.ok && policies !== undefined)
          assert.deepEqual([...result.policies].sort(), [...(policySet(policies) ?? [])].sort())
        count.passed++
      })
      if (skip !== false) count.skipped++
    }
    t.diagnostic(`${count.passed} passed, ${count.skipped} skipped`)
  })
}

test('every valid path of PKITS is found among fifty other CAs', (t) => {
  const unrelated = [...new Set(manifest.tests.flatMap(({ certs }) => certs.slice(1, -1)))]
    .filter((name) => /Rollover|Self|BasicSelf|nameConstraintsDN|pathLen|P12|inhibit/i.test(name))
    .slice(0, 50)
  const noise = unrelated.map(load).filter(isParsed)
  let found = 0
  for (const pkits of manifest.tests) {
    if (!pkits.should_validate || skippedCases.has(pkits.test)) continue
    const result = run(pkits, noise)
    assert.ok(result.ok, `${pkits.test}: ${result.ok ? '' : result.message}`)
    found++
  }
  assert.ok(noise.length >= 40 && found > 60)
  t.diagnostic(`${found} paths found among ${noise.length} other CAs`)
})

test('PKITS in all', (t) => {
  const sum = (of: 'passed' | 'skipped'): number => [...counts.values()].reduce((total, count) => total + count[of], 0)
  assert.equal(sum('passed') + sum('skipped'), manifest.tests.length)
  t.diagnostic(`${sum('passed')} of ${manifest.tests.length} cases passed, ${sum('skipped')} skipped`)
})

function run(
  pkits: PkitsCase,
  noise: readonly Certificate[] = [],
): PathResult | { ok: false; reason: 'malformed'; message: string } {
  const certificates = pkits.certs.map(load)
  const [anchor] = certificates
  const leaf = certificates.at(-1)
  const broken = certificates.find((certificate) => certificate instanceof DecodeError)
  if (broken instanceof DecodeError) return { ok: false, reason: 'malformed', message: broken.message }
  if (!isParsed(anchor) || !isParsed(leaf)) throw new Error(`${pkits.test} has no certificates`)
  const initialPolicies = policySet(pkits.initial_policy_set)
  return validate({
    leaf,
    intermediates: [...noise, ...certificates.slice(1, -1).filter(isParsed).reverse()],
    anchors: [anchor],
    trustedLeaves: [],
    now: Date.parse(manifest.verify_time),
    revocation: offline({ ...NO_SOURCES, crls: pkits.crls.flatMap(loadCrl) }, 'strict'),
    policy: {
      ...(initialPolicies !== undefined && { initialPolicies }),
      explicitPolicy: pkits.initial_explicit_policy ?? false,
      inhibitMapping: pkits.initial_policy_mapping_inhibit ?? false,
      inhibitAnyPolicy: pkits.initial_inhibit_any_policy ?? false,
    },
  })
}

const isParsed = (certificate: Certificate | DecodeError | undefined): certificate is Certificate =>
  certificate !== undefined && !(certificate instanceof DecodeError)

function load(name: string): Certificate | DecodeError {
  try {
    return parseCertificate(readFileSync(new URL(`certs/${name}.crt`, folder)))
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
}

/** None, if it is one of those that cannot be read. */
function loadCrl(name: string): Crl[] {
  try {
    return [parseCrl(readFileSync(new URL(`crls/${name}.crl`, folder)))]
  } catch (error) {
    if (error instanceof DecodeError) return []
    throw error
  }
}

function policySet(names: string | undefined): Set<string> | undefined {
  if (names === undefined) return undefined
  return new Set(
    names
      .split(',')
      .filter((name) => name !== '')
      .map((name) => manifest.policies[name] ?? name),
  )
}
