import { createPrivateKey } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { verifyPeer } from '../../src/pki/authenticate.ts'
import { textBytes } from '../../src/pki/bytes.ts'
import { certificatesFrom, parseCertificate } from '../../src/pki/certificate.ts'
import { readCertificateBundle } from '../../src/pki/certificate-bundle.ts'
import { DerReader, derEncode, SEQUENCE, SET } from '../../src/pki/der.ts'
import {
  equalIdentity,
  formatIdentity,
  hasWildcards,
  type Identity,
  matchIdentity,
  parseIdentity,
  parseIdentityPattern,
} from '../../src/pki/identity.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { loadPrivateKey, loadPublicKey, PassphraseMissing } from '../../src/pki/keys.ts'
import { comparableName, equalNames, formatName, matchName, parseNameDer, parseNameText } from '../../src/pki/name.ts'
import { oidDer, oids } from '../../src/pki/oid.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'
import { readPkcs12 } from '../../src/pki/pkcs12.ts'
import { parseCrl } from '../../src/pki/revocation/crl.ts'
import { parseOcspResponse } from '../../src/pki/revocation/ocsp-response.ts'
import { identitiesOf, identityInCertificate } from '../../src/pki/store.ts'
import { DecodeError } from '../../src/wire/errors.ts'
import type { Target } from './harness.ts'

const refused = (error: unknown): boolean => error instanceof DecodeError
const text = (value: string): Uint8Array => textBytes(value)
const fromBase64 = (value: string): Uint8Array => textBytes(value, 'base64')

/** Keys for this file and nothing else. */
const keys = {
  rsa: fromBase64(
    'MIICWwIBAAKBgQDyB42mEjwhqDHGhUW3HjiZqXDiIEY7dF0FEmVCM6R1JuRjOvHohro1AFEG+paEeby4DgfUDhz06iOtKINlpm+NeIhvQq7D3Wl2hnw9FbQHJLXLCS4Mn906ypLpx1sqZONGLW33gRK4joVQaR4IzyBnnrwMrtpD6dtxoLIAeF0FOwIDAQABAoGAenmwCHX5z95ZMeiHGt9ELR49bXB/md6Mo+BnNVUEx/PiZwSRHeXvnJqIZkuwl2EzSsBu3bQ2mwlQ/HMf6vSKRcTn3GdS7ClokzFhdXrtLdtBitFTsuftdshvFktguM0QW0KZZNzG5D5rMH04cPfKHwtOGz6wlTHHFVDlHeQd0WECQQD5n9cNu8l4GGpn/VU88mJvfDi2c7/Wi8hSZPhJvH37RRDEfPtM1C9kH5ZY6We6PjHF6VMMvRy3z2oHGk5jkzLnAkEA+DYN8lJ0DEr9p1Y/546JQUl1B52k+Tx1+Yn/PiUEbb8e8IwlQOfbSbX784twI9XGpf2vn32dANunFD9dxyKkjQJAMK96FBWiD6hDaJDCRSbJCBFkRkGBEukkYt2Kh2cZ8x3fTVNK+AsSSybV/fVX470pm/4L0po3tangdg4tZ8JX1QJAU4elY+I5qZVnDXRqJxwBttXoq3py9WlSbnrxSdGdTu2dlOgk9VXRp1m2A3zubTDZHC1md+8G8i35aUf14DkZVQJAQQsHPCbn+yXEmSAgtmNX8sVKKFF1zYYa2Luu31/kwT32B/Qq45Xf1aZ/XTfyF+T60+Blr3v9FRP1CTyAsLKYwg==',
  ),
  ec: fromBase64(
    'MHcCAQEEIK5/5mZjMTOFsU98rjU6cHG/MR9a8iKGY7WbK/wiXQOaoAoGCCqGSM49AwEHoUQDQgAE4ljK3jAgRNlbN/FD9qFLljb8mghIPVsfxsZ+Uel1HMlUXz3zPmftK343EpsMYbKBTvGhiZDQfQZXvlVOGofQfA==',
  ),
  ed25519: fromBase64('MC4CAQAwBQYDK2VwBCIEILzSp120WoYtHpCmmgMq0PYtjzHFA9QC6F6lAWV8ahnm'),
  /** The passphrase of both is x, their key derivations are as cheap as can be. */
  pbkdf2: fromBase64(
    'MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgIhlRWX23WLgIBATAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQpsfkAWDWZWE3LdBW8OcnVQRAFHJCr3L+WR8Ktuqem3eSiI9VJd56DS4AtEH3ZR0mMl/aiA7PrYpEktyZtcX4evOXeZkNq7EyACUv8Q80FB5QKw==',
  ),
  scrypt: fromBase64(
    'MIGSME4GCSqGSIb3DQEFDTBBMCAGCSsGAQQB2kcECzATBAi4EK/WcEe51AIBAgIBCAIBATAdBglghkgBZQMEASoEEKIBzUAnjpYNVxOx3p6f3MwEQD3GCZuvygBpsK5kmene6MidFX1dWG5nR9js+cI4SMr3GjjqCCx9ED8MnUJvyZBYGaTMgReOaCGzKK7Eye5x0KA=',
  ),
}

const caKey = createPrivateKey({ key: Buffer.from(keys.ed25519), format: 'der', type: 'pkcs8' })
const dates = { notBefore: Date.parse('2026-01-01T00:00:00Z'), notAfter: Date.parse('2036-01-01T00:00:00Z') }
const issuer = { subject: 'C=CH, O=Lab, CN=Lab CA', key: caKey }
const caDer = issueCertificate({ ...issuer, ...dates, serial: Uint8Array.of(1), ca: { pathLen: 3 } })
const ca = parseCertificate(caDer)

/** The same bytes in every run: Ed25519 signatures are deterministic. */
const leaves = [keys.rsa, keys.ec].map((key, i) =>
  issueCertificate({
    ...dates,
    subject: `C=CH, O=Lab, CN=leaf ${i}`,
    key: loadPrivateKey(key),
    issuer,
    serial: Uint8Array.of(2 + i),
    altNames: ['moon.lab.org', 'moon@lab.org', '192.0.2.1', '2001:db8::1', 'C=CH, CN=alias'],
    keyUsage: ['digitalSignature'],
  }),
)

const folder = new URL('../../rfc-vectors/pkits/certs/', import.meta.url)
/** Every fourth certificate of NIST: all kinds of extensions are among them. */
const pkits = readdirSync(folder)
  .sort()
  .filter((_, i) => i % 4 === 0)
  .map((name) => Uint8Array.from(readFileSync(new URL(name, folder))))
const certificates = [caDer, ...leaves, ...pkits]

const identityTexts = [
  '%any',
  '10.0.0.1',
  '10.0.0.0/8',
  '10.0.0.1-10.0.0.9',
  '2001:db8::1',
  '2001:db8::/32',
  '::ffff:1.2.3.4',
  'moon.lab.org',
  '*.lab.org',
  '@moon',
  '@@moon@lab.org',
  '@#0a0b',
  'keyid:#01:02',
  'ipv4:#0a000001',
  'asn1dn:#300d310b3009060355040613024348',
  'xmppaddr:a@b',
  '{11}:abc',
  'C=CH, O=Lab, CN=moon',
  '/C=CH/O=Lab, Inc./CN=*',
  'E=a@b, UID=1, DC=org, serialNumber=5',
]

const patternTexts = [
  'fqdn:^(moon|sun)[0-9]+\\.lab\\.org$',
  'asn1dn:^.*O=(Lab|[[:alpha:]]{2,5}), CN=[^,]+$',
  'email:^a*(b|c?)+@.{1,9}$',
  'dns:^[]a-f-]+[^x]?$',
  'rfc822:^((a{1,3}){2}|b)*$',
]

/** A name of as many attributes of this string type as fit. */
function largeName(bytes: number, tag: number, value: Uint8Array): Uint8Array {
  const rdn = derEncode(SET, derEncode(SEQUENCE, oidDer('2.5.4.3'), derEncode(tag, value)))
  return derEncode(SEQUENCE, ...Array<Uint8Array>(Math.max(1, Math.floor(bytes / rdn.length))).fill(rdn))
}

/** Combining marks in falling order: to put them in order takes quadratic time. */
const marks = (bytes: number): Uint8Array => text(`a${'\u0301\u0323'.repeat(bytes / 4)}`)

function withExtension(bytes: number, oid: string, element: Uint8Array): Uint8Array {
  const count = Math.max(1, Math.floor((bytes - 400) / element.length))
  const value = derEncode(SEQUENCE, ...Array<Uint8Array>(count).fill(element))
  return issueCertificate({ ...issuer, ...dates, serial: Uint8Array.of(9), extensions: [{ oid, value }] })
}

function walk(reader: DerReader): number {
  let values = 0
  while (reader.more) {
    const value = reader.any('value')
    values += 1 + ((value.tag & 0x20) === 0 ? 0 : walk(value.children()))
  }
  return values
}

function identities(a: string): void {
  const identity = parseIdentity(a)
  use(identity)
  for (const other of identityTexts) matchIdentity(parseIdentity(other), identity, 'relaxed')
}

function use(identity: Identity): void {
  formatIdentity(identity)
  hasWildcards(identity)
  if (!equalIdentity(identity, identity)) throw new Error('an identity differs from itself')
  if (matchIdentity(identity, identity, 'reordered') === 0 && parses(identity))
    throw new Error('an identity does not match itself')
}

/** A malformed address or name matches nothing, not even itself, unless it is the same bytes. */
const parses = (identity: Identity): boolean => !formatIdentity(identity).startsWith('(invalid')

/** Containers with an Ed25519 key and its certificate, as OpenSSL writes them (`-iter 1`): with AES, and with 3DES. */
const containers = [
  fromBase64(
    'MIIDcAIBAzCCAyoGCSqGSIb3DQEHAaCCAxsEggMXMIIDEzCCAiEGCSqGSIb3DQEHBqCCAhIwggIOAgEAMIICBwYJKoZIhvcNAQcBMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAjNlNYKavcpPAIBATAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQgAnRKzjrGkCKtWkQHgQRgYCCAaD/JOHRehJb8RtfK2e7SQp48+5wp073nDzhRE+LLi1TvLCXu5LY1CEXdcRT+X/Sz8zXceGc5DHgbQn4VGjwsd4GB7cxHp+DmLpRSSTujvFui4HJE6bNxd9MWlm8ulFQtIpSTpf8yN33NHV6J5lMWIZ0dK4aZkc66SU4aYumgyHIQHDfxp29nvmEYAhqvEy4iVlOaxGcr+eq1wmJNu0I7VLVD9WvvWaJBkJr8J3Tw0Cps16NPSjTAByYAT65/xjLHz2QFR4Ti71W/54pObflX11savnX6ryWvh/LU3l8oYL+/XPWxwOWrNuyhIETucRTH6qoKd1FlMxhrz4wihGBUAqWTlVozV4tsF7myqEjcC85IQGTTHZ45DCeyz4VvFaIOHToX/8aIdd1Z0KAauwZsDjJrUR6Ddieh7ya4/bpTQBrxT7coc1hQoQczmHz2H5r7JeeSy0DOEfb4sFJTZEs5/+1IE154X4kzXLjr5j/HADVlyjvNH7g7LYj2SAmgI93VchpnQWBXkNIwf2W0MFvyxDWd4MpNd+pOJhotPMOoV+PFTCB6wYJKoZIhvcNAQcBoIHdBIHaMIHXMIHUBgsqhkiG9w0BDAoBAqCBnTCBmjBWBgkqhkiG9w0BBQ0wSTAoBgkqhkiG9w0BBQwwGwQIwi/FFTD7LdkCAQEwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGeePRXD+hFvI5Wt2mmDYIYEQNAsa/qRXC8EtE3rsaaGuGcA9odMoM9PGeiqn49o61qOgjqCggixZPMsxl6s6uWdnYsNAyQf3wu2CdbgG+BusGoxJTAjBgkqhkiG9w0BCRUxFgQU/djnRtWjZPesAZrU8jfiamUUCiAwPTAxMA0GCWCGSAFlAwQCAQUABCBF0PXGltIXhpPAB2r+K/kWUDGz0AmwMP5v3piRHcyD4AQIVo/0/aJvlNk=',
  ),
  fromBase64(
    'MIIC2AIBAzCCAqIGCSqGSIb3DQEHAaCCApMEggKPMIICizCCAd4GCSqGSIb3DQEHBqCCAc8wggHLAgEAMIIBxAYJKoZIhvcNAQcBMBsGCiqGSIb3DQEMAQMwDQQIqfPZRpwa7oICAQGAggGYJPILC6ypWdigTlV2P0CUCEmXlr2+M2seDjyNb/zLwUph0FShWRuHYzSNneIU4Jh5SLpumF1O4E51YOUAcYe1pGVeFkD7b98g2CgBLqU9ruSAZSF5Y0VyuvYu8c9xcqu/xID8LRQbc96pznu69q1DHxkeK6klhRoKGFXBwA0e/Xy36YhOQodqi59GA2ZcYFkoGJ12nwBgVXqsp6HnWM55GuxG+a2axLYk9PDZPkjWhb0oaIz2ljeV/NSYsyEj6Pcd4LwncB3S+EzRcBnF0s9ijoICc6PiilsK1veMMXlhyeplwLN80ESjD7x/XmRNZ6aluMHcsoRHkoDYinMffjbPjAGcZLcXjzX775r+Hv2DXPqyNKo4SuHYKQkT6kPiW6nebH4ZupQTpk0/ScTO3BRLtNUgPXDU1QAXW78uTroj/bdveNdpQb0FwxxdZCAYBE8wg8/8/XyV0vfPirAJ9ewdrUFmcu/9eiLEkwobKVsXnh6tIF3/HxRKiEgcZjeIx1EWyZ8oOLNxqBJ59fwg0jNj4Wqu7pjNEkC3MIGmBgkqhkiG9w0BBwGggZgEgZUwgZIwgY8GCyqGSIb3DQEMCgECoFkwVzAbBgoqhkiG9w0BDAEDMA0ECA5/P21Jp94PAgEBBDh3mMMrsB1r711FfAGslmC2WsG2X73CW189d6ibDASIFiC6meHTjy3rVKM+sqd8kTJZ2AZQve3YmjElMCMGCSqGSIb3DQEJFTEWBBT92OdG1aNk96wBmtTyN+JqZRQKIDAtMCEwCQYFKw4DAhoFAAQUTRdF5JmH0u4niSNr/e7mi58WbtkECA+Oyif5CQ/n',
  ),
]
const vectors = (name: string): URL => new URL(`../../rfc-vectors/${name}/`, import.meta.url)
const crls = readdirSync(vectors('pkits/crls'))
  .slice(0, 60)
  .map((name) => new Uint8Array(readFileSync(new URL(name, vectors('pkits/crls')))))
const ocspResponses = readdirSync(vectors('ocsp'))
  .filter((name) => name.endsWith('.pem'))
  .flatMap((name) => decodePem(readFileSync(new URL(name, vectors('ocsp')))))
  .flatMap(({ label, der }) => (label === 'OCSP RESPONSE' ? [Uint8Array.from(der)] : []))

export const targets: readonly Target[] = [
  {
    name: 'pki PKCS#12',
    corpus: containers,
    decode: (input) => readPkcs12(input, Uint8Array.of(0x78)),
    allowed: (error) => refused(error) || error instanceof PassphraseMissing,
  },
  {
    name: 'pki certificate bundle',
    corpus: [derEncode(SEQUENCE, derEncode(0xa0, caDer), derEncode(0xa1, caDer)), derEncode(SEQUENCE)],
    decode: readCertificateBundle,
    allowed: refused,
  },
  {
    name: 'pki DER',
    corpus: [...certificates.slice(0, 40), keys.rsa, keys.pbkdf2],
    decode: (input) => walk(DerReader.over(input, 'fuzz')),
    allowed: refused,
    worst: (bytes) => [
      new Uint8Array(bytes).fill(0x30),
      Uint8Array.from({ length: bytes }, (_, i) => (i % 2 === 0 ? 5 : 0)),
    ],
  },
  {
    name: 'pki certificate',
    corpus: certificates,
    decode(input) {
      const certificate = parseCertificate(input)
      for (const identity of identitiesOf(certificate))
        if (!identityInCertificate(certificate, identity))
          throw new Error('a certificate does not speak for its own name')
    },
    allowed: refused,
    worst: (bytes) => [
      withExtension(bytes, oids.subjectAltName, Uint8Array.of(0x82, 0)),
      withExtension(bytes, oids.certificatePolicies, derEncode(SEQUENCE, oidDer('1.2.3'))),
      withExtension(bytes, oids.crlDistributionPoints, derEncode(SEQUENCE)),
      withExtension(bytes, oids.subjectAltName, derEncode(0xa4, largeName(bytes / 4, 0x0c, text('x')))),
    ],
  },
  {
    name: 'pki CRL',
    corpus: crls,
    decode(input) {
      const crl = parseCrl(input)
      crl.find(crl.issuerKey, crl.signature)
    },
    allowed: refused,
  },
  {
    name: 'pki OCSP response',
    corpus: ocspResponses,
    decode: parseOcspResponse,
    allowed: refused,
  },
  {
    name: 'pki peer verification',
    corpus: certificates,
    decode: (input) =>
      verifyPeer({
        identity: parseIdentity('moon.lab.org'),
        certificates: [input, caDer],
        anchors: [ca],
        trustedLeaves: [],
        authMethod: (input[20] ?? 0) % 15,
        authData: input.subarray(-100),
        octets: input,
        now: dates.notBefore + 1000,
      }),
    allowed: () => false,
  },
  {
    name: 'pki PEM',
    corpus: [
      text(`comment\n${encodePem('CERTIFICATE', caDer)}${encodePem('CERTIFICATE', leaves[0] ?? caDer)}`),
      text(encodePem('PRIVATE KEY', keys.ed25519).replaceAll('\n', '\r\n')),
      text(
        `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n`,
      ),
    ],
    decode(input) {
      decodePem(input)
      certificatesFrom(input)
    },
    allowed: refused,
    worst: (bytes) => [
      text('-----BEGIN A-----\n'.repeat(bytes / 18)),
      text('-----BEGIN A-----\nAAAA\n-----END A-----\n'.repeat(bytes / 39)),
      text(`-----BEGIN A-----${':\n'.repeat(bytes / 2)}-----END A-----`),
    ],
  },
  {
    name: 'pki identity text',
    corpus: identityTexts.map(text),
    decode: (input) => identities(Buffer.from(input).toString('utf8')),
    allowed: refused,
    worst: (bytes) =>
      ['CN=a,', '/', '::', '10.0.0.1-', '@', '1:', '*'].map((piece) => text(piece.repeat(bytes / piece.length))),
  },
  {
    name: 'pki identity expression',
    corpus: patternTexts.map(text),
    decode(input) {
      const pattern = parseIdentityPattern(Buffer.from(input).toString('utf8'))
      for (const other of identityTexts) matchIdentity(parseIdentity(other), pattern)
      matchIdentity(parseIdentity(`@${'ab'.repeat(200)}`), pattern)
    },
    allowed: refused,
    maxBytes: 256,
    worst: (bytes) =>
      ['(', 'a*', '(a|', '[a]', 'a{255}', '(){9}'].map((piece) => text(`fqdn:^${piece.repeat(bytes / piece.length)}$`)),
  },
  {
    name: 'pki DN text',
    corpus: identityTexts.filter((value) => value.includes('=')).map(text),
    decode(input) {
      const name = parseNameText(Buffer.from(input).toString('utf8'))
      if (name === undefined) throw new DecodeError('distinguished name', 0, 'not one')
      const again = parseNameDer(name.der)
      if (!equalNames(name, again) || formatName(name) !== formatName(again))
        throw new Error('a name differs from its own DER')
    },
    allowed: refused,
  },
  {
    name: 'pki DN in DER',
    corpus: identityTexts.flatMap((value) => parseNameText(value)?.der ?? []),
    decode(input) {
      const name = parseNameDer(input)
      formatName(name)
      comparableName(name)
      for (const matching of ['strict', 'reordered', 'relaxed'] as const)
        if (matchName(name, name, matching) === 0) throw new Error('a name does not match itself')
    },
    allowed: refused,
    worst: (bytes) => [
      largeName(bytes, 0x0c, text('*')),
      derEncode(SEQUENCE, derEncode(SET, derEncode(SEQUENCE, oidDer('2.5.4.3'), derEncode(0x0c, marks(bytes))))),
      largeName(bytes, 0x0c, marks(1000)),
    ],
  },
  {
    name: 'pki private key',
    corpus: [
      ...Object.values(keys),
      text(encodePem('RSA PRIVATE KEY', keys.rsa)),
      text(encodePem('EC PRIVATE KEY', keys.ec)),
      text(encodePem('PRIVATE KEY', keys.ed25519)),
      text(encodePem('ENCRYPTED PRIVATE KEY', keys.pbkdf2)),
    ],
    decode: (input) => loadPrivateKey(input, (input[10] ?? 0) % 2 === 0 ? 'x' : undefined),
    allowed: (error) => refused(error) || error instanceof PassphraseMissing,
  },
  {
    name: 'pki public key',
    corpus: [caDer, ...leaves].map((der) => parseCertificate(der).publicKeyInfo),
    decode: (input) => loadPublicKey(input),
    allowed: refused,
  },
]
