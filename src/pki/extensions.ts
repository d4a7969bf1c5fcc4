import {
  BIT_STRING,
  BOOLEAN,
  contextConstructed,
  contextPrimitive,
  type DerReader,
  IA5_STRING,
  INTEGER,
  OCTET_STRING,
  OID,
  readList,
  SEQUENCE,
} from './der.ts'
import { type DistributionPoint, readDistributionPoints } from './distribution-point.ts'
import { type GeneralName, readGeneralName, readGeneralNames, uriTexts } from './general-name.ts'
import { printable } from './name.ts'
import { oids, oidText } from './oid.ts'

/** The extensions of a certificate that mean something here, RFC 5280 §4.2; undefined where the certificate has none. */
export interface Extensions {
  readonly altNames: readonly GeneralName[]
  readonly basicConstraints?: BasicConstraints
  readonly keyUsage?: ReadonlySet<KeyUsage>
  /** Dotted OIDs of the purposes. */
  readonly extKeyUsage?: readonly string[]
  readonly authorityKeyId?: AuthorityKeyId
  readonly subjectKeyId?: Uint8Array
  readonly crlDistributionPoints: readonly DistributionPoint[]
  /** All URIs in the distribution points. */
  readonly crlUris: readonly string[]
  /** Where the delta CRLs are, RFC 5280 §4.2.1.15. */
  readonly freshestUris: readonly string[]
  readonly ocspUris: readonly string[]
  /** Dotted OIDs of the certificate policies. */
  readonly policies?: readonly string[]
  /** Where the practice statements of policies are, RFC 5280 §4.2.1.4. */
  readonly policyStatements?: readonly PolicyStatement[]
  readonly policyMappings?: readonly PolicyMapping[]
  readonly policyConstraints?: PolicyConstraints
  readonly inhibitAnyPolicy?: number
  readonly nameConstraints?: NameConstraints
  /** Dotted OIDs of critical extensions that are not processed; such a certificate must be refused. */
  readonly unknownCritical: readonly string[]
}

/** RFC 5280 §4.2.1.9: whether the subject is a CA, and how many CAs may follow below it. */
export interface BasicConstraints {
  readonly ca: boolean
  readonly pathLen?: number
}

/** RFC 5280 §4.2.1.1: which key of the issuer signed. */
export interface AuthorityKeyId {
  readonly keyId?: Uint8Array
  readonly issuers?: readonly GeneralName[]
  readonly serial?: Uint8Array
}

/** RFC 5280 §4.2.1.4: a policy, and where its practice statement is. */
export interface PolicyStatement {
  readonly policy: string
  readonly uri: string
}

/** RFC 5280 §4.2.1.5: a policy of the issuer and the one of the subject that counts as the same; OIDs. */
export interface PolicyMapping {
  readonly issuerDomain: string
  readonly subjectDomain: string
}

/** RFC 5280 §4.2.1.11: after how many certificates a policy must be stated, and mappings end. */
export interface PolicyConstraints {
  readonly requireExplicit?: number
  readonly inhibitMapping?: number
}

/** RFC 5280 §4.2.1.10: the names that all certificates below may or must not have. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** KeyUsage bits by name, RFC 5280 §4.2.1.3, in the order of the bits. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

/** RFC 5280 §4.2.1.3: what the key may be used for. */
export type KeyUsage = (typeof KEY_USAGES)[number]

/** Reads Extensions, or the absence of any. Throws DecodeError. */
export function readExtensions(reader: DerReader | undefined): Extensions {
  const result: Draft = {
    altNames: [],
    crlDistributionPoints: [],
    crlUris: [],
    freshestUris: [],
    ocspUris: [],
    unknownCritical: [],
  }
  if (reader === undefined) return result
  const list = reader.sequence('extensions')
  reader.end('extensions')
  const seen = new Set<string>()
  while (list.more) {
    const extension = list.sequence('extension')
    const oid = oidText(extension.take(OID, 'extension').content)
    if (seen.has(oid)) list.fail(`the extension ${oid} is there twice`) // RFC 5280 §4.2
    seen.add(oid)
    if (seen.size > MAX_EXTENSIONS) list.fail(`more than ${MAX_EXTENSIONS} extensions`)
    const critical = extension.nextTag === BOOLEAN && extension.boolean('critical')
    const content = extension.take(OCTET_STRING, 'extension').reread()
    extension.end('extension')
    const read = READERS.get(oid)
    if (read !== undefined) {
      read(content, result)
      content.end('extension')
    } else if (critical) result.unknownCritical.push(oid)
  }
  return result
}

type Draft = { -readonly [K in keyof Extensions]: Extensions[K] } & { unknownCritical: string[] }

const READERS: ReadonlyMap<string, (reader: DerReader, result: Draft) => void> = new Map([
  [
    oids.subjectAltName,
    (reader, result) => {
      result.altNames = readGeneralNames(reader.sequence('subjectAltName'), 'subjectAltName')
    },
  ],
  [
    oids.issuerAltName,
    (reader) => {
      readGeneralNames(reader.sequence('issuerAltName'), 'issuerAltName')
    },
  ],
  [
    oids.subjectKeyIdentifier,
    (reader, result) => {
      result.subjectKeyId = reader.take(OCTET_STRING, 'subjectKeyIdentifier').content
    },
  ],
  [
    oids.basicConstraints,
    (reader, result) => {
      const fields = reader.sequence('basicConstraints')
      const ca = fields.nextTag === BOOLEAN && fields.boolean('cA')
      const pathLen = fields.nextTag === INTEGER ? fields.smallInteger('pathLenConstraint') : undefined
      fields.end('basicConstraints')
      result.basicConstraints = { ca, ...(pathLen !== undefined && { pathLen }) }
    },
  ],
  [
    oids.keyUsage,
    (reader, result) => {
      const [unused = 0, ...bytes] = reader.take(BIT_STRING, 'keyUsage').content
      if (unused > 7 || bytes.length > 8) reader.fail('keyUsage: not a bit string')
      result.keyUsage = new Set(KEY_USAGES.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0))
    },
  ],
  [
    oids.extKeyUsage,
    (reader, result) => {
      result.extKeyUsage = readList(reader, 'extKeyUsage', (purposes) => oidText(purposes.take(OID, 'purpose').content))
    },
  ],
  [
    oids.authorityKeyIdentifier,
    (reader, result) => {
      result.authorityKeyId = readAuthorityKeyId(reader)
    },
  ],
  [
    oids.crlDistributionPoints,
    (reader, result) => {
      result.crlDistributionPoints = readDistributionPoints(reader)
      result.crlUris = uriTexts(result.crlDistributionPoints.flatMap(({ fullName }) => fullName ?? []))
    },
  ],
  // where delta CRLs are
  [
    oids.freshestCrl,
    (reader, result) => {
      result.freshestUris = uriTexts(readDistributionPoints(reader).flatMap(({ fullName }) => fullName ?? []))
    },
  ],
  [
    oids.authorityInfoAccess,
    (reader, result) => {
      const accesses = readList(reader, 'authorityInfoAccess', (descriptions) => {
        const description = descriptions.sequence('accessDescription')
        const method = oidText(description.take(OID, 'accessMethod').content)
        return { method, location: readGeneralName(description, 'accessLocation') }
      })
      const ocsp = accesses.filter(({ method }) => method === oids.accessOcsp)
      result.ocspUris = uriTexts(ocsp.map(({ location }) => location))
    },
  ],
  [
    oids.certificatePolicies,
    (reader, result) => {
      const statements: PolicyStatement[] = []
      result.policies = readList(reader, 'certificatePolicies', (policies) => {
        const information = policies.sequence('policyInformation')
        const oid = oidText(information.take(OID, 'policyIdentifier').content)
        const qualifiers = information.optional(SEQUENCE, 'policyQualifiers')?.children()
        for (const uri of statementsIn(qualifiers)) statements.push({ policy: oid, uri })
        information.end('policyInformation')
        return oid
      })
      if (statements.length > 0) result.policyStatements = statements
      if (new Set(result.policies).size !== result.policies.length)
        reader.fail('certificatePolicies: a policy is there twice')
    },
  ],
  [
    oids.policyMappings,
    (reader, result) => {
      result.policyMappings = readList(reader, 'policyMappings', (mappings) => {
        const mapping = mappings.sequence('policyMapping')
        const issuerDomain = oidText(mapping.take(OID, 'issuerDomainPolicy').content)
        const subjectDomain = oidText(mapping.take(OID, 'subjectDomainPolicy').content)
        mapping.end('policyMapping')
        return { issuerDomain, subjectDomain }
      })
    },
  ],
  [
    oids.policyConstraints,
    (reader, result) => {
      const fields = reader.sequence('policyConstraints')
      const explicit = fields.optional(contextPrimitive(0), 'requireExplicitPolicy')
      const mapping = fields.optional(contextPrimitive(1), 'inhibitPolicyMapping')
      fields.end('policyConstraints')
      result.policyConstraints = {
        ...(explicit !== undefined && { requireExplicit: fields.smallImplicit(explicit, 'requireExplicitPolicy') }),
        ...(mapping !== undefined && { inhibitMapping: fields.smallImplicit(mapping, 'inhibitPolicyMapping') }),
      }
    },
  ],
  [
    oids.inhibitAnyPolicy,
    (reader, result) => {
      result.inhibitAnyPolicy = reader.smallInteger('inhibitAnyPolicy')
    },
  ],
  [
    oids.nameConstraints,
    (reader, result) => {
      const fields = reader.sequence('nameConstraints')
      const permitted = fields.optional(contextConstructed(0), 'permittedSubtrees')?.children()
      const excluded = fields.optional(contextConstructed(1), 'excludedSubtrees')?.children()
      fields.end('nameConstraints')
      result.nameConstraints = { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) }
    },
  ],
])

/** AuthorityKeyIdentifier, RFC 5280 §4.2.1.1. Throws DecodeError. */
export function readAuthorityKeyId(reader: DerReader): AuthorityKeyId {
  const fields = reader.sequence('authorityKeyIdentifier')
  const keyId = fields.optional(contextPrimitive(0), 'keyIdentifier')?.content
  const issuers = fields.optional(contextConstructed(1), 'authorityCertIssuer')?.children()
  const serial = fields.optional(contextPrimitive(2), 'authorityCertSerialNumber')?.content
  fields.end('authorityKeyIdentifier')
  return {
    ...(keyId !== undefined && { keyId }),
    ...(issuers !== undefined && { issuers: readGeneralNames(issuers, 'authorityCertIssuer') }),
    ...(serial !== undefined && { serial }),
  }
}

/** The URIs among policy qualifiers; the others are for people to read. */
function* statementsIn(qualifiers: DerReader | undefined): Generator<string> {
  while (qualifiers?.more) {
    const qualifier = qualifiers.sequence('policyQualifierInfo')
    const isStatement = oidText(qualifier.take(OID, 'policyQualifierId').content) === oids.cps
    const value = qualifier.any('qualifier')
    if (isStatement && value.tag === IA5_STRING) yield printable(value.content)
    qualifier.end('policyQualifierInfo')
  }
}

/** GeneralSubtrees, RFC 5280 §4.2.1.10: minimum is 0 and there is no maximum. */
function readSubtrees(reader: DerReader | undefined): GeneralName[] {
  const names: GeneralName[] = []
  while (reader?.more) {
    const subtree = reader.sequence('generalSubtree')
    names.push(readGeneralName(subtree, 'base'))
    subtree.end('generalSubtree')
    if (names.length > MAX_SUBTREES) reader.fail(`more than ${MAX_SUBTREES} name constraints`)
  }
  return names
}

const MAX_EXTENSIONS = 64
const MAX_SUBTREES = 512
