import assert from 'node:assert/strict'
import test from 'node:test'
import { type Tree, value } from '../../config/tree.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { parseCrl } from '../../pki/revocation/crl.ts'
import { scriptedDaemon } from '../../vici/testing.ts'
import { against } from '../testing.ts'
import { certificateKind } from './certificates.ts'
import { spanText } from './times.ts'

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))

// Ed25519 certificates and a delta CRL, written by OpenSSL 3.0.19. The texts are what swanctl 6.1 prints of them.
const purposes = bytes(
  'MIIBZjCCARigAwIBAgIUMHzOWsnIM2DZvJrwG548y+lH7D0wBQYDK2VwMA0xCzAJBgNVBAMMAmZsMB4XDTI2MTEyMTE5MzUxMFoX' +
    'DTI3MTIyNjE5MzUxMFowDTELMAkGA1UEAwwCZmwwKjAFBgMrZXADIQDFKoltVyalad9q3ziy/TyvrBFaM6jUVK+xpeJlTzu/rKOB' +
    'iTCBhjAPBgNVHRMBAf8EBTADAQH/MAsGA1UdDwQEAwIBBjBHBgNVHSUEQDA+BggrBgEFBQcDAQYIKwYBBQUHAwIGCCsGAQUFBwMJ' +
    'BgorBgEEAYI3FAICBggrBgEFBQcDEQYIKwYBBQUIAgIwHQYDVR0OBBYEFIbQ96Sr1gWTXY9Fxbzh9ytl9lXRMAUGAytlcANBAM9m' +
    'wlP+A9IgL7Pe9B10fWA49qSGF/L6DWMIwLoDq05mx4Kydqjt/q5dG0MTuWJkLrIrYUPhiAiLxrUKLi63lw8=',
)

const policies = bytes(
  'MIIBWjCCAQygAwIBAgIUWn+fQoranS1A0BQDTlJRR8xOZxMwBQYDK2VwMA0xCzAJBgNVBAMMAnBsMB4XDTI2MTEyMTE5NDQ1MVoX' +
    'DTI3MTIyNjE5NDQ1MVowDTELMAkGA1UEAwwCcGwwKjAFBgMrZXADIQAWAN44U08DX1ZORZsedy3KJpX8Ln49sRRuEAs7onhU2KN+' +
    'MHwwWwYDVR0gBFQwUjAFBgMqAwQwBgYEVR0gADBBBgMrBQgwOjAjBggrBgEFBQcCARYXaHR0cDovL2Nwcy5leGFtcGxlLm9yZy8w' +
    'EwYIKwYBBQUHAgIwBwwFaGVsbG8wHQYDVR0OBBYEFJm76rljOM69FqgJ+t3ZZC3UVpV1MAUGAytlcANBALzpgCLCHzzwm0a7fxAI' +
    'aJmLOuZMOJMkIZunszVyF8ZKAWo5d6FUeJ1GBgyk9det1xqQEEUeasHPGjj0LNlb5gk=',
)

const names = bytes(
  'MIIBnTCCAU+gAwIBAgIUBaDRW9hlH2yXqPvIfp0TVIHK8A8wBQYDK2VwMA0xCzAJBgNVBAMMAnNuMB4XDTI2MTEyMTE5NDQ1MVoX' +
    'DTI3MTIyNjE5NDQ1MVowDTELMAkGA1UEAwwCc24wKjAFBgMrZXADIQB1HNWfJF0u5uXIL0WwlnHSvSuicH1zueju84L9Qq06YKOB' +
    'wDCBvTBRBgNVHREESjBIggNhLmKGF2h0dHA6Ly93d3cuZXhhbXBsZS5vcmcvpB0wGzELMAkGA1UEBhMCQ0gxDDAKBgNVBAMMA0Fs' +
    'dIcECgAAAYEDdUBoMEkGA1UdHwRCMEAwPqAboBmGF2h0dHA6Ly9jcmwuZXhhbXBsZS5vcmcvoh+kHTAbMQswCQYDVQQGEwJDSDEM' +
    'MAoGA1UEAwwDQWx0MB0GA1UdDgQWBBTibfD9bE0yjOogPmW6aJbswfBA5DAFBgMrZXADQQAPncGuZYjVOJMk0sTs02r0G0y/hJWb' +
    'cutnoekZ1L7otpEz3rxDoTeXNW/V11woyv+eassHdy6gp6JX8mke6hoB',
)

const crl = bytes(
  'MIIBUjCCAQQCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA1JDQRcNMjYxMTAxMDAwMDAwWhcNMjYxMTAzMDAwMDAwWjCBiDAgAgEBFw0y' +
    'NjExMjExOTQyMzVaMAwwCgYDVR0VBAMKAQQwIAIBAhcNMjYxMTIxMTk0MjM1WjAMMAoGA1UdFQQDCgEEMCACAQMXDTI2MTEyMTE5' +
    'NDIzNVowDDAKBgNVHRUEAwoBBDAgAgEFFw0yNjExMjExOTQyMzVaMAwwCgYDVR0VBAMKAQSgPzA9MB8GA1UdIwQYMBaAFBCznH+P' +
    'dZbPpCIojaUAxn3YLKWcMA0GA1UdGwEB/wQDAgEDMAsGA1UdFAQEAgIAgzAFBgMrZXADQQDtoNNGpV1/4yjYNBeBuANi6JDOi1U0' +
    '7ufn5n5GXFuO28uzqmiTan4s4640+jCMHaBbm8GGW3q1kXfvuXFx8N0H',
)

const response = bytes(
  'MIICnwoBAKCCApgwggKUBgkrBgEFBQcwAQEEggKFMIICgTCCAWmhEDAOMQwwCgYDVQQDDANSQ0EYDzIwMjYxMTIxMjAzNjUwWjCC' +
    'AUIwYjA6MAkGBSsOAwIaBQAEFL1GYbhOYCoTPZF2SucQAZ2Egy3RBBR+G46gF3xkll+yXjicAhv76dKy3gIBBYAAGA8yMDI2MTEy' +
    'MTIwMzY1MFqgERgPMjAyNjExMjMyMDM2NTBaMHgwOjAJBgUrDgMCGgUABBS9RmG4TmAqEz2RdkrnEAGdhIMt0QQUfhuOoBd8ZJZf' +
    'sl44nAIb++nSst4CAQOhFhgPMjAyNjExMDEwMDAwMDBaoAMKAQQYDzIwMjYxMTIxMjAzNjUwWqARGA8yMDI2MTEyMzIwMzY1MFow' +
    'YjA6MAkGBSsOAwIaBQAEFL1GYbhOYCoTPZF2SucQAZ2Egy3RBBR+G46gF3xkll+yXjicAhv76dKy3gIBAoIAGA8yMDI2MTEyMTIw' +
    'MzY1MFqgERgPMjAyNjExMjMyMDM2NTBaMA0GCSqGSIb3DQEBCwUAA4IBAQBK5x47Nim3iBUTi9OogQ9RaoWgFLknhXEvugeCdRaR' +
    'pfvMh41UhRGhdpRJhOH5X4hPMeZQVxT1b8X24Zcd7WL9nGr/x/VvmTiCvt8EC7+2t9hDRH7W7bwIWEsZ8/8JWKqlPRDmTdRt1BjJ' +
    '74XlXvDyktc45Et45EK9N+gzevhyimBJ33B3n7l63yZZVcFlDUpTmgWIbpXvuAHVF50O1eVOYQsHKZDVhYyUiL0xWH0EqBP83pMl' +
    'zOXaT4gro8cG1jrfCCApKp3elZTRcQGfnq09pEDQwihGZRrW4N7zS//VcEPxOH6A2YcGizJp5GX0Cxm1KXTAAvQEEu7yQ2BpvfWJ',
)

const now = Date.UTC(2026, 10, 22)

function listed(data: Uint8Array, type: string, flag?: string, isShort = false): string | undefined {
  const event: Tree = [
    value('type', type),
    ...(flag === undefined ? [] : [value('flag', flag)]),
    value('has_privkey', 'yes'),
  ]
  return certificateKind(event)?.lines?.(data, event, { now, isShort, isUtc: true }).join('\n')
}

test('a certificate: purposes of the key', () => {
  assert.equal(
    listed(purposes, 'X509', 'CA'),
    `  subject:  "CN=fl"
  issuer:   "CN=fl"
  validity:  not before Nov 21 19:35:10 UTC 2026, ok
             not after  Dec 26 19:35:10 UTC 2027, ok (expires in 399 days)
  serial:    30:7c:ce:5a:c9:c8:33:60:d9:bc:9a:f0:1b:9e:3c:cb:e9:47:ec:3d
  flags:     CA CRLSign ocspSigning serverAuth clientAuth ikeIntermediate msSmartcardLogonself-signed 
  subjkeyId: 86:d0:f7:a4:ab:d6:05:93:5d:8f:45:c5:bc:e1:f7:2b:65:f6:55:d1
  pubkey:    ED25519 256 bits, has private key
  keyid:     97:04:52:0e:c5:d5:c0:9b:f2:fb:b1:88:08:1d:5e:ea:91:b8:2e:a9
  subjkey:   86:d0:f7:a4:ab:d6:05:93:5d:8f:45:c5:bc:e1:f7:2b:65:f6:55:d1`,
  )
})

test('a certificate: policies', () => {
  assert.equal(
    listed(policies, 'X509', 'NONE'),
    `  subject:  "CN=pl"
  issuer:   "CN=pl"
  validity:  not before Nov 21 19:44:51 UTC 2026, ok
             not after  Dec 26 19:44:51 UTC 2027, ok (expires in 399 days)
  serial:    5a:7f:9f:42:8a:da:9d:2d:40:d0:14:03:4e:52:51:47:cc:4e:67:13
  flags:     self-signed 
  certificatePolicies:
             1.2.3.4
             2.5.29.32.0
             1.3.5.8
             CPS: http://cps.example.org/
  subjkeyId: 99:bb:ea:b9:63:38:ce:bd:16:a8:09:fa:dd:d9:64:2d:d4:56:95:75
  pubkey:    ED25519 256 bits, has private key
  keyid:     8b:20:c7:6e:00:e8:2e:e8:5e:12:36:62:2e:f7:95:81:4e:8a:91:a5
  subjkey:   99:bb:ea:b9:63:38:ce:bd:16:a8:09:fa:dd:d9:64:2d:d4:56:95:75`,
  )
})

test('a certificate: alternative names and distribution points', () => {
  assert.equal(
    listed(names, 'X509', 'NONE'),
    `  subject:  "CN=sn"
  issuer:   "CN=sn"
  validity:  not before Nov 21 19:44:51 UTC 2026, ok
             not after  Dec 26 19:44:51 UTC 2027, ok (expires in 399 days)
  serial:    05:a0:d1:5b:d8:65:1f:6c:97:a8:fb:c8:7e:9d:13:54:81:ca:f0:0f
  altNames:  a.b, http://www.example.org/, C=CH, CN=Alt, 10.0.0.1, u@h
  flags:     self-signed 
  CRL URIs:  http://crl.example.org/ (CRL issuer: C=CH, CN=Alt)
  subjkeyId: e2:6d:f0:fd:6c:4d:32:8c:ea:20:3e:65:ba:68:96:ec:c1:f0:40:e4
  pubkey:    ED25519 256 bits, has private key
  keyid:     36:ba:37:f6:10:cd:56:8f:5a:85:59:b7:30:8b:9b:0e:fc:63:13:83
  subjkey:   e2:6d:f0:fd:6c:4d:32:8c:ea:20:3e:65:ba:68:96:ec:c1:f0:40:e4`,
  )
})

test('a CRL', () => {
  assert.equal(
    listed(crl, 'X509_CRL'),
    `  issuer:   "CN=RCA"
  update:    this on Nov 01 00:00:00 UTC 2026, ok
             next on Nov 03 00:00:00 UTC 2026, expired (19 days ago)
  serial:    83
  delta CRL: for serial 03
  authKeyId: 10:b3:9c:7f:8f:75:96:cf:a4:22:28:8d:a5:00:c6:7d:d8:2c:a5:9c
  4 revoked certificates:
    01: Nov 21 19:42:35 UTC 2026, superseded
    02: Nov 21 19:42:35 UTC 2026, superseded
    03: Nov 21 19:42:35 UTC 2026, superseded
    05: Nov 21 19:42:35 UTC 2026, superseded`,
  )
  assert.match(listed(crl, 'X509_CRL', undefined, true) ?? '', /\n {2}4 revoked certificates$/)
})

test('an OCSP response', () => {
  assert.equal(
    listed(response, 'OCSP_RESPONSE'),
    `  issuer:   "CN=RCA"
  update:    this on Nov 21 20:36:50 UTC 2026, ok
             next on Nov 23 20:36:50 UTC 2026, ok (expires in 44 hours)
  responses: 05: good
             03: revoked on Nov 01 00:00:00 UTC 2026, superseded
             02: unknown`,
  )
})

test('short', () => {
  assert.doesNotMatch(listed(names, 'X509', 'NONE', true) ?? '', /flags|CRL URIs/)
})

test('headings where the kind changes, PEM, and what there is no listing for', async () => {
  const daemon = scriptedDaemon()
  daemon.credentials.addCertificate(parseCertificate(policies), 'NONE')
  daemon.credentials.addCertificate(parseCertificate(names), 'NONE')
  daemon.credentials.addCrl(parseCrl(crl))
  daemon.credentials.addBlob('X509_AC', crl)
  await using cli = await against(daemon)
  const { out, err } = await cli.swanctl('--list-certs')
  const headings = out.match(/^List of .*$/gm)
  assert.deepEqual(headings, ['List of X.509 End Entity Certificates', 'List of X.509 CRLs'])
  assert.equal(out.match(/\n\n {2}subject: /g)?.length, 2)
  assert.equal(err, 'parsing certificate failed\n')
  const pem = (await cli.swanctl('-x', '-p')).out
  assert.deepEqual(pem.match(/-----BEGIN .*-----/g), [
    '-----BEGIN CERTIFICATE-----',
    '-----BEGIN CERTIFICATE-----',
    '-----BEGIN ATTRIBUTE CERTIFICATE-----',
    '-----BEGIN X509 CRL-----',
  ])
})

test('spans in the largest unit of which there are more than two', () => {
  assert.equal(spanText(1000), '1 second')
  assert.equal(spanText(120_000), '120 seconds')
  assert.equal(spanText(121_000), '2 minutes')
  assert.equal(spanText(-7_200_000), '120 minutes')
  assert.equal(spanText(172_801_000), '2 days')
})
