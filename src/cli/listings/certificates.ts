/** Certificates, CRLs, OCSP responses and public keys as `swanctl --list-certs` prints them. */
import type { KeyObject } from 'node:crypto'
import { findText, type Tree } from '../../config/tree.ts'
import { type Certificate, isSignedBy, parseCertificate } from '../../pki/certificate.ts'
import type { GeneralName } from '../../pki/general-name.ts'
import { formatIdentity } from '../../pki/identity.ts'
import { keyBits, keyTypeOf, loadPublicKey, publicKeyId, publicKeyInfo, sha1 } from '../../pki/keys.ts'
import { colonHex, formatName } from '../../pki/name.ts'
import { type Crl, parseCrl } from '../../pki/revocation/crl.ts'
import { parseOcspResponse, type SingleStatus } from '../../pki/revocation/ocsp-response.ts'
import { reasonText } from '../../pki/revocation/reasons.ts'
import { identitiesOf } from '../../pki/store.ts'
import { beginText, endText, momentText } from './times.ts'

export interface CertificateView {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Without what a certificate has besides names, times and keys. */
  readonly isShort: boolean
  readonly isUtc: boolean
}

/** A kind of certificate: what a heading says of it, and its label in PEM where it has one. */
export interface CertificateKind {
  readonly heading: string
  readonly pem?: string
  readonly lines?: (data: Uint8Array, event: Tree, view: CertificateView) => readonly string[]
}

/** The kind of a `list-cert` event, undefined when there is none of that type or flag. */
export function certificateKind(event: Tree): CertificateKind | undefined {
  const type = findText(event, 'type') ?? ''
  return type === 'X509' ? x509Kinds.get(findText(event, 'flag') ?? '') : kinds.get(type)
}

const pem = 'CERTIFICATE'
const x509Kinds: ReadonlyMap<string, CertificateKind> = new Map([
  ['NONE', { heading: 'X.509 End Entity Certificates', pem, lines: certificateLines }],
  ['CA', { heading: 'X.509 CA Certificates', pem, lines: certificateLines }],
  ['AA', { heading: 'X.509 AA Certificates', pem, lines: certificateLines }],
  ['OCSP', { heading: 'X.509 OCSP Signer Certificates', pem, lines: certificateLines }],
])

const kinds: ReadonlyMap<string, CertificateKind> = new Map([
  ['X509_AC', { heading: 'X.509 Attribute Certificates', pem: 'ATTRIBUTE CERTIFICATE' }],
  ['X509_CRL', { heading: 'X.509 CRLs', pem: 'X509 CRL', lines: crlLines }],
  ['OCSP_RESPONSE', { heading: 'OCSP Responses', lines: responseLines }],
  ['PUBKEY', { heading: 'Raw Public Keys', lines: publicKeyLines }],
])

function certificateLines(data: Uint8Array, event: Tree, view: CertificateView): readonly string[] {
  const certificate = parseCertificate(data)
  const { subjectText, issuerText, notBefore, notAfter, serial, authorityKeyId, subjectKeyId, publicKey } = certificate
  const names = identitiesOf(certificate).slice(certificate.subject.rdns.length > 0 ? 1 : 0)
  return [
    `  subject:  "${subjectText}"`,
    `  issuer:   "${issuerText}"`,
    `  validity:  not before ${beginText(notBefore, view.now, view.isUtc)}`,
    `             not after  ${endText(notAfter, view.now, view.isUtc)}`,
    `  serial:    ${numberText(serial)}`,
    ...(names.length === 0 ? [] : [`  altNames:  ${names.map(formatIdentity).join(', ')}`]),
    ...(view.isShort ? [] : detailLines(certificate)),
    ...(authorityKeyId?.keyId ? [`  authkeyId: ${colonHex(authorityKeyId.keyId)}`] : []),
    // One that does not say its key's name has the usual one, RFC 5280 §4.2.1.2.
    `  subjkeyId: ${colonHex(subjectKeyId ?? Buffer.from(certificate.publicKeyId, 'hex'))}`,
    ...keyLines(publicKey, event),
  ]
}

function detailLines(certificate: Certificate): readonly string[] {
  const { crlDistributionPoints, ocspUris, basicConstraints, nameConstraints, policies, policyMappings } = certificate
  const crls = crlDistributionPoints.flatMap(({ fullName = [], crlIssuer = [] }) => {
    const issuer = crlIssuer.map((name) => ` (CRL issuer: ${nameText(name)})`).join('')
    return fullName.flatMap((name) => (name.type === 'uri' ? [`${name.text}${issuer}`] : []))
  })
  const pathLen = basicConstraints?.ca ? basicConstraints.pathLen : undefined
  const inhibit = certificate.inhibitAnyPolicy
  return [
    `  flags:     ${flagsText(certificate)}`,
    ...listed('CRL URIs:', crls),
    ...listed('OCSP URIs:', ocspUris),
    ...(pathLen === undefined ? [] : [`  pathlen:   ${pathLen}`]),
    ...constraintLines('permitted', nameConstraints?.permitted ?? []),
    ...constraintLines('excluded', nameConstraints?.excluded ?? []),
    ...(policies === undefined
      ? []
      : ['  certificatePolicies:', ...policies.flatMap((oid) => policyLines(certificate, oid))]),
    ...(policyMappings === undefined
      ? []
      : [
          '  policyMappings:',
          ...policyMappings.map(({ issuerDomain, subjectDomain }) => `           ${issuerDomain} => ${subjectDomain}`),
        ]),
    ...(inhibit === undefined ? [] : ['  policyConstraints:', `           inhibitAnyPolicy: ${inhibit}`]),
  ]
}

function flagsText(certificate: Certificate): string {
  const { basicConstraints, keyUsage, extKeyUsage = [] } = certificate
  const purposes: readonly (readonly [oid: string, name: string])[] = [
    ['1.3.6.1.5.5.7.3.9', 'ocspSigning '],
    ['1.3.6.1.5.5.7.3.1', 'serverAuth '],
    ['1.3.6.1.5.5.7.3.2', 'clientAuth '],
    ['1.3.6.1.5.5.8.2.2', 'ikeIntermediate '],
    // Without a blank, as swanctl has it.
    ['1.3.6.1.4.1.311.20.2.2', 'msSmartcardLogon'],
  ]
  return [
    basicConstraints?.ca ? 'CA ' : '',
    keyUsage?.has('cRLSign') ? 'CRLSign ' : '',
    ...purposes.filter(([oid]) => extKeyUsage.includes(oid)).map(([, name]) => name),
    certificate.selfIssued && isSignedBy(certificate, certificate) ? 'self-signed ' : '',
  ].join('')
}

function policyLines({ policyStatements = [] }: Certificate, oid: string): readonly string[] {
  const statements = policyStatements.filter(({ policy }) => policy === oid)
  return [oid, ...statements.map(({ uri }) => `CPS: ${uri}`)].map((text) => `             ${text}`)
}

function constraintLines(kind: string, names: readonly GeneralName[]): readonly string[] {
  if (names.length === 0) return []
  return [`  ${kind} nameConstraints:`, ...names.map((name) => `           ${nameText(name)}`)]
}

function nameText(name: GeneralName): string {
  switch (name.type) {
    case 'email':
    case 'dns':
    case 'uri':
      return name.text
    case 'directory':
      return formatName(name.name)
    case 'ip':
      return [...name.bytes].join('.')
    default:
      return colonHex(name.der)
  }
}

function publicKeyLines(data: Uint8Array, event: Tree): readonly string[] {
  const subject = findText(event, 'subject')
  return [...(subject === undefined ? [] : [`  subject:  "${subject}"`]), ...keyLines(loadPublicKey(data), event)]
}

function keyLines(key: KeyObject, event: Tree): readonly string[] {
  const hasPrivate = findText(event, 'has_privkey') === 'yes' ? ', has private key' : ''
  return [
    `  pubkey:    ${keyTypeOf(key).toUpperCase()} ${keyBits(key)} bits${hasPrivate}`,
    `  keyid:     ${colonHex(sha1(publicKeyInfo(key)))}`,
    `  subjkey:   ${colonHex(Buffer.from(publicKeyId(key), 'hex'))}`,
  ]
}

function crlLines(data: Uint8Array, _event: Tree, view: CertificateView): readonly string[] {
  const crl = parseCrl(data)
  const { issuerText, thisUpdate, nextUpdate, number, baseNumber, authorityKeyId, size } = crl
  const count = `${size} revoked certificate${size === 1 ? '' : 's'}`
  const isListed = size > 0 && !view.isShort
  return [
    `  issuer:   "${issuerText}"`,
    `  update:    this on ${beginText(thisUpdate, view.now, view.isUtc)}`,
    ...(nextUpdate === undefined ? [] : [`             next on ${endText(nextUpdate, view.now, view.isUtc)}`]),
    `  serial:    ${number === undefined ? '' : numberText(octets(number))}`,
    ...(baseNumber === undefined ? [] : [`  delta CRL: for serial ${numberText(octets(baseNumber))}`]),
    `  authKeyId: ${colonHex(authorityKeyId?.keyId ?? new Uint8Array())}`,
    `  ${count}${isListed ? ':' : ''}`,
    ...(isListed ? revokedLines(crl, view) : []),
  ]
}

function revokedLines(crl: Crl, { isUtc }: CertificateView): readonly string[] {
  return Array.from(
    crl.entries(),
    ({ serial, time, reason }) => `    ${numberText(serial)}: ${momentText(time, isUtc)}, ${reasonText(reason)}`,
  )
}

/** A number as the octets of an INTEGER. */
function octets(number: bigint): Uint8Array {
  const hex = number.toString(16)
  return new Uint8Array(Buffer.from(hex.padStart(2 * Math.ceil(hex.length / 2), '0'), 'hex'))
}

function responseLines(data: Uint8Array, _event: Tree, view: CertificateView): readonly string[] {
  const { responder, producedAt, statuses } = parseOcspResponse(data)
  const ends = statuses.flatMap(({ nextUpdate }) => nextUpdate ?? [])
  const end = ends.length === 0 ? producedAt + DEFAULT_RESPONSE_LIFETIME_MS : Math.min(...ends)
  const texts = statuses.map(({ id, status }) => `${numberText(id.serial)}: ${statusText(status, view)}`)
  return [
    `  issuer:   "${'keyHash' in responder ? colonHex(responder.keyHash) : responder.text}"`,
    `  update:    this on ${beginText(producedAt, view.now, view.isUtc)}`,
    `             next on ${endText(end, view.now, view.isUtc)}`,
    ...(view.isShort ? [] : listed('responses:', texts)),
  ]
}

function statusText(status: SingleStatus['status'], { isUtc }: CertificateView): string {
  if (typeof status === 'string') return status
  return `revoked on ${momentText(status.time, isUtc)}, ${reasonText(status.reason)}`
}

/** What charon gives a response that does not say how long it is good. */
const DEFAULT_RESPONSE_LIFETIME_MS = 30_000

/** The octets of a positive INTEGER, without the zero that makes it positive. */
function numberText(content: Uint8Array): string {
  return colonHex(content.length > 1 && content[0] === 0 ? content.subarray(1) : content)
}

/** The first beside the label, the others below. */
function listed(label: string, items: readonly string[]): readonly string[] {
  return items.map((item, at) => `  ${(at === 0 ? label : '').padEnd(10)} ${item}`)
}
