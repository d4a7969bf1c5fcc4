import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DecodeError } from '../../wire/errors.ts'
import { type Certificate, parseCertificate } from '../certificate.ts'
import { decodePem } from '../pem.ts'
import { certIdOf, encodeOcspRequest } from './ocsp-request.ts'
import { type OcspResponse, parseOcspResponse } from './ocsp-response.ts'
import { ocspStatus } from './ocsp-status.ts'

interface Vector {
  readonly file: string
  readonly revocation_status: 'GOOD' | 'REVOKED' | 'UNKNOWN'
  readonly response_status: string
}

const folder = new URL('../../../rfc-vectors/ocsp/', import.meta.url)
const manifest: { verify_time_unix: number; max_age_days: number; tests: Vector[] } = JSON.parse(
  readFileSync(new URL('manifest.json', folder), 'utf8'),
)

/** Where we are stricter than the vectors, on purpose. */
const refused = new Map([
  ['good_response_invalid_serial.pem', /serialNumber: the integer is not in its shortest form/],
  ['has_critical_ct_extension.pem', undefined], // a critical extension that is not processed, RFC 6960 §4.4
])

for (const { file, revocation_status } of manifest.tests) {
  test(`OCSP vector ${file}: ${refused.has(file) ? 'refused' : revocation_status}`, () => {
    const message = refused.get(file)
    if (message !== undefined) return assert.throws(() => load(file), message)
    const { certificate, issuer, response } = load(file)
    const kind = response instanceof DecodeError ? 'unknown' : statusOf(certificate, issuer, response)
    assert.equal(kind, refused.has(file) ? 'unknown' : revocation_status.toLowerCase())
  })
}

test('a request names the certificate as the vector does, and has our nonce', () => {
  const { certificate, issuer, request } = load('good_response.pem')
  const nonce = new Uint8Array(32).fill(7)
  const encoded = Buffer.from(encodeOcspRequest(certIdOf(certificate, issuer), nonce))
  // OCSPRequest, tbsRequest, requestList, request: four headers of two octets, then the CertID
  assert.ok(encoded.includes(Buffer.from(request.subarray(8))), encoded.toString('hex'))
  assert.ok(encoded.includes(Buffer.from(nonce)))
})

test('an answer with another nonce than ours tells nothing', () => {
  const { certificate, issuer, response } = load('good_response.pem')
  assert.ok(!(response instanceof DecodeError))
  const question = { certificate, issuers: [issuer] as const, others: [], now: manifest.verify_time_unix * 1000 }
  const log: string[] = []
  const answered = { ...response, nonce: Uint8Array.of(1) }
  assert.equal(
    ocspStatus(question, answered, { signers: [], nonce: Uint8Array.of(2), maximumAge: 7 * 86_400_000 }, log).kind,
    'unknown',
  )
  assert.deepEqual(log, ["nonce in ocsp response doesn't match"])
})

test('an error of the responder is told', () => {
  const { response } = load('malformed_request.pem')
  assert.ok(response instanceof DecodeError)
  assert.match(response.message, /the responder answers malformedRequest/)
})

function statusOf(certificate: Certificate, issuer: Certificate, response: OcspResponse): string {
  const question = { certificate, issuers: [issuer] as const, others: [], now: manifest.verify_time_unix * 1000 }
  const { kind } = ocspStatus(question, response, { signers: [], maximumAge: manifest.max_age_days * 86_400_000 }, [])
  return kind === 'stale' ? 'unknown' : kind
}

interface Loaded {
  readonly certificate: Certificate
  readonly issuer: Certificate
  readonly request: Uint8Array
  readonly response: OcspResponse | DecodeError
}

function load(file: string): Loaded {
  const blocks = new Map(decodePem(readFileSync(new URL(file, folder))).map(({ label, der }) => [label, der]))
  const block = (label: string): Uint8Array => blocks.get(label) ?? assert.fail(`${file} has no ${label}`)
  const certificate = parseCertificate(block('CERTIFICATE'))
  const issuer = parseCertificate(block('CA CERTIFICATE'))
  const request = block('OCSP REQUEST')
  try {
    return { certificate, issuer, request, response: parseOcspResponse(block('OCSP RESPONSE')) }
  } catch (error) {
    if (error instanceof DecodeError) return { certificate, issuer, request, response: error }
    throw error
  }
}
