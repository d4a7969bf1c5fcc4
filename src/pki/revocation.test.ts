import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Certificate } from './certificate.ts'
import { withoutSources } from './revocation.ts'

const plain = { subjectText: 'CN=a', crlUris: [], ocspUris: [] } as unknown as Certificate // the check reads no more
const withUri = { ...plain, crlUris: ['http://crl.lab/ca.crl'] } as Certificate

const table = [
  ['relaxed', plain, 'accepted'],
  ['relaxed', withUri, 'accepted'],
  ['ifuri', plain, 'accepted'],
  ['ifuri', withUri, 'unknown'],
  ['strict', plain, 'unknown'],
  ['strict', withUri, 'unknown'],
] as const

for (const [policy, certificate, kind] of table) {
  test(`an unknown status with revocation = ${policy}, ${certificate.crlUris.length} CRL URIs: ${kind}`, () => {
    const verdict = withoutSources(policy).check(certificate, plain, 0)
    assert.equal(verdict.kind, kind)
    assert.deepEqual(verdict.log, ['checking certificate status of "CN=a"', 'certificate status is not available'])
  })
}
