import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { readCertificateBundle } from './certificate-bundle.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

test('certificates in their order, without the CRLs', () => {
  // SEQUENCE { [0] { SEQUENCE { 1 } }, [1] { SEQUENCE { 2 } }, [0] { SEQUENCE { 3 } } }
  const bundle = bytes('3015 a005 3003020101 a105 3003020102 a005 3003020103')
  assert.deepEqual(
    readCertificateBundle(bundle).map((der) => Buffer.from(der).toString('hex')),
    ['3003020101', '3003020103'],
  )
  assert.deepEqual(readCertificateBundle(bytes('3000')), [])
})

for (const [what, hex] of [
  ['nothing', ''],
  ['something behind it', '3000 00'],
  ['a certificate without its tag', '3005 3003020101'],
  ['another choice', '3007 a205 3003020101'],
  ['two in one', '300c a00a 3003020101 3003020102'],
  ['less than is announced', '3009 a005 3003020101'],
] as const) {
  test(`no bundle: ${what}`, () => {
    assert.throws(() => readCertificateBundle(bytes(hex)), DecodeError)
  })
}
