/** Whether a CRL speaks of a certificate: RFC 5280 §6.3.3, steps (b) and (d). */
import { type Certificate, isCa } from '../certificate.ts'
import { DerReader, derEncode, SEQUENCE, SET } from '../der.ts'
import type { DistributionPoint, DistributionPointName } from '../distribution-point.ts'
import type { GeneralName } from '../general-name.ts'
import { comparableName, type Name, parseNameDer } from '../name.ts'
import type { Crl } from './crl.ts'
import { ALL_REASONS, reasonsIn } from './reasons.ts'

/** The reasons (a mask) for which this CRL tells the status of the certificate at this distribution point; 0 if it does not. */
export function reasonsCovered(crl: Crl, certificate: Certificate, point: DistributionPoint): number {
  const { scope } = crl
  if (scope.onlyAttributeCerts) return 0
  if (scope.onlyUserCerts && isCa(certificate)) return 0
  if (scope.onlyCaCerts && !isCa(certificate)) return 0
  if (!isIssuer(crl, certificate, point) || !namesMeet(crl, certificate, point)) return 0
  return scope.reasons & (point.reasons === undefined ? ALL_REASONS : reasonsIn(point.reasons))
}

/**
 * The distribution points of a certificate, then those of its CA that the operator has named, and at last the one that every
 * certificate has: the CRL of its issuer, wherever that comes from.
 */
export function distributionPoints(certificate: Certificate, uris: readonly string[]): DistributionPoint[] {
  const issuer: GeneralName = { type: 'directory', name: certificate.issuer, der: certificate.issuer.der }
  const named = uris.map((text): GeneralName => ({ type: 'uri', text, der: new Uint8Array() }))
  return [...certificate.crlDistributionPoints, { fullName: [issuer, ...named] }]
}

function isIssuer(crl: Crl, certificate: Certificate, { crlIssuer }: DistributionPoint): boolean {
  if (crlIssuer === undefined) return crl.issuerKey === certificate.issuerKey
  return crl.scope.indirect && directoryNames(crlIssuer).some((name) => comparableName(name) === crl.issuerKey)
}

/** One of the names of the list is one of the names of the point, or of who issues CRLs for the point. */
function namesMeet(crl: Crl, certificate: Certificate, point: DistributionPoint): boolean {
  if (crl.scope.name === undefined) return true
  const ours = namesOf(crl.scope.name, crl.issuer)
  const [crlIssuer] = directoryNames(point.crlIssuer ?? [])
  const named = point.fullName !== undefined || point.relativeName !== undefined
  const theirs = named ? namesOf(point, crlIssuer ?? certificate.issuer) : (point.crlIssuer ?? []).map(comparable)
  return ours.some((name) => theirs.includes(name))
}

function namesOf({ fullName, relativeName }: DistributionPointName, base: Name): string[] {
  if (relativeName === undefined) return (fullName ?? []).map(comparable)
  const rdns = DerReader.over(base.der, 'name').take(SEQUENCE, 'name').content
  return [`name ${comparableName(parseNameDer(derEncode(SEQUENCE, rdns, derEncode(SET, relativeName))))}`]
}

function comparable(name: GeneralName): string {
  if (name.type === 'directory') return `name ${comparableName(name.name)}`
  if (name.type === 'uri') return `uri ${name.text}`
  return `${name.type} ${Buffer.from(name.der).toString('hex')}`
}

const directoryNames = (names: readonly GeneralName[]): Name[] =>
  names.flatMap((name) => (name.type === 'directory' ? name.name : []))
