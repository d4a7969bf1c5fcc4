/** Where the CRLs for a certificate are, and for which of them a CRL is: DistributionPoint, RFC 5280 §4.2.1.13. */
import { contextConstructed, contextPrimitive, type DerReader, readList } from './der.ts'
import { type GeneralName, readGeneralNames } from './general-name.ts'

export interface DistributionPointName {
  readonly fullName?: readonly GeneralName[]
  /** RelativeDistinguishedName in DER content, relative to the CRL issuer. */
  readonly relativeName?: Uint8Array
}

export interface DistributionPoint extends DistributionPointName {
  /** Content of the BIT STRING of ReasonFlags. */
  readonly reasons?: Uint8Array
  readonly crlIssuer?: readonly GeneralName[]
}

/** CRLDistributionPoints, which is the form of FreshestCRL, too. Throws DecodeError. */
export function readDistributionPoints(reader: DerReader): DistributionPoint[] {
  return readList(reader, 'cRLDistributionPoints', readDistributionPoint)
}

function readDistributionPoint(points: DerReader): DistributionPoint {
  const fields = points.sequence('distributionPoint')
  const name = readDistributionPointName(fields, 'distributionPoint')
  const reasons = fields.optional(contextPrimitive(1), 'reasons')?.content
  const issuer = fields.optional(contextConstructed(2), 'cRLIssuer')?.children()
  fields.end('distributionPoint')
  return {
    ...name,
    ...(reasons !== undefined && { reasons }),
    ...(issuer !== undefined && { crlIssuer: readGeneralNames(issuer, 'cRLIssuer') }),
  }
}

/** The DistributionPointName that comes next, if one does. Throws DecodeError. */
export function readDistributionPointName(fields: DerReader, what: string): DistributionPointName | undefined {
  const name = fields.optional(contextConstructed(0), what)?.children()
  if (name === undefined) return undefined
  const full = name.optional(contextConstructed(0), 'fullName')?.children()
  const relativeName = name.optional(contextConstructed(1), 'nameRelativeToCRLIssuer')?.content
  name.end(what)
  return {
    ...(full !== undefined && { fullName: readGeneralNames(full, 'fullName') }),
    ...(relativeName !== undefined && { relativeName }),
  }
}
