/** Certificate revocation lists, RFC 5280 §5: one list, read once into a value that can be asked for serial numbers. */
import { DecodeError } from '../../wire/errors.ts'
import {
  BOOLEAN,
  contextConstructed,
  contextPrimitive,
  DerReader,
  ENUMERATED,
  GENERALIZED_TIME,
  INTEGER,
  OCTET_STRING,
  OID,
  SEQUENCE,
  UTC_TIME,
} from '../der.ts'
import { type DistributionPointName, readDistributionPointName, readDistributionPoints } from '../distribution-point.ts'
import { type AuthorityKeyId, readAuthorityKeyId } from '../extensions.ts'
import { readGeneralNames, uriTexts } from '../general-name.ts'
import { comparableName, formatName, type Name, readName } from '../name.ts'
import { oids, oidText } from '../oid.ts'
import { decodePem, isPem } from '../pem.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm } from '../signature-algorithm.ts'
import { readTime } from '../time.ts'
import { ALL_REASONS, reasonsIn } from './reasons.ts'

/** A CRL. Immutable, and independent of the bytes it was read from. */
export interface Crl {
  readonly der: Uint8Array
  readonly issuer: Name
  /** Equal for names that RFC 5280 §7.1 calls equal. */
  readonly issuerKey: string
  /** As charon prints it. */
  readonly issuerText: string
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  /** Milliseconds since 1970; undefined if the list does not say when the next one comes. */
  readonly nextUpdate?: number
  /** CRLNumber: grows from list to list, also over delta CRLs. */
  readonly number?: bigint
  /** BaseCRLNumber of a delta CRL, §5.2.4; undefined for a complete one. */
  readonly baseNumber?: bigint
  readonly authorityKeyId?: AuthorityKeyId
  readonly scope: CrlScope
  /** Where the delta CRLs to this list are, §5.2.6. */
  readonly freshestUris: readonly string[]
  /** The list has critical extensions that are not processed; it tells nothing, §5.2. */
  readonly unusable: boolean
  /** How many certificates are listed. */
  readonly size: number
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** TBSCertList in DER: what is signed. */
  readonly tbs: Uint8Array
  /** The entry of a certificate by its issuer (`issuerKey`) and its serial number. */
  find(issuerKey: string, serial: Uint8Array): CrlEntry | undefined
  /** All entries, in the order of the list. */
  entries(): Iterable<CrlEntry>
}

/** Which certificates and reasons a CRL speaks of: its issuing distribution point, §5.2.5. */
export interface CrlScope {
  readonly name?: DistributionPointName
  readonly onlyUserCerts: boolean
  readonly onlyCaCerts: boolean
  readonly onlyAttributeCerts: boolean
  /** Also lists certificates of other issuers. */
  readonly indirect: boolean
  /** Reasons as a mask, see `reasons.ts`. */
  readonly reasons: number
  /** The extension in DER: two lists with equal ones have the same scope. */
  readonly der: Uint8Array
}

/** One revoked certificate, §5.3. */
export interface CrlEntry {
  /** Content of the INTEGER. */
  readonly serial: Uint8Array
  /** Milliseconds since 1970. */
  readonly time: number
  /** CRLReason, 0 (unspecified) if there is none. */
  readonly reason: number
}

/** How many octets a CRL may have. */
export const MAX_CRL: number = 16 * 1024 * 1024

/** A CRL from DER, or from the first block of a PEM text. Throws DecodeError and nothing else. */
export function parseCrl(bytes: Uint8Array): Crl {
  if (bytes.length > MAX_CRL) throw new DecodeError('CRL', 0, `${bytes.length} bytes are more than ${MAX_CRL}`)
  const der = isPem(bytes) ? derOf(bytes) : Uint8Array.from(bytes)
  const reader = DerReader.over(der, 'CRL')
  const outer = reader.sequence('CertificateList')
  reader.end('CertificateList')
  const tbs = outer.take(SEQUENCE, 'tbsCertList')
  const signatureAlgorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringBytes('signature')
  outer.end('CertificateList')
  return { der, signatureAlgorithm, signature, tbs: tbs.whole, ...readTbs(tbs.children(), signatureAlgorithm) }
}

function derOf(pem: Uint8Array): Uint8Array {
  const block = decodePem(pem).find(({ label }) => label === 'X509 CRL' || label === 'CRL')
  if (block === undefined) throw new DecodeError('PEM', 0, 'there is no X509 CRL block in the text')
  return block.der
}

type Tbs = Omit<Crl, 'der' | 'signatureAlgorithm' | 'signature' | 'tbs'>

function readTbs(tbs: DerReader, outer: SignatureAlgorithm): Tbs {
  const version = tbs.nextTag === INTEGER ? 1 + tbs.smallInteger('version') : 1
  if (version > 2) tbs.fail(`there is no version ${version}`)
  const inner = readSignatureAlgorithm(tbs, 'signature')
  if (Buffer.compare(inner.der, outer.der) !== 0) tbs.fail('the two signature algorithms differ') // RFC 5280 §5.1.1.2
  const issuer = readName(tbs, 'issuer')
  const issuerKey = comparableName(issuer)
  const thisUpdate = readTime(tbs, 'thisUpdate')
  const timed = tbs.nextTag === UTC_TIME || tbs.nextTag === GENERALIZED_TIME
  const nextUpdate = timed ? readTime(tbs, 'nextUpdate') : undefined
  const revoked = tbs.optional(SEQUENCE, 'revokedCertificates')?.content
  const extensions = tbs.optional(contextConstructed(0), 'crlExtensions')?.children()
  tbs.end('tbsCertList')
  const read = readExtensions(extensions)
  const { entries, unusable } = readEntries(revoked ?? new Uint8Array(), issuerKey, read.scope.indirect)
  return {
    issuer,
    issuerKey,
    issuerText: formatName(issuer),
    thisUpdate,
    ...(nextUpdate !== undefined && { nextUpdate }),
    ...read,
    unusable: read.unusable || unusable,
    size: entries.size,
    find: (ofIssuer, serial) => entries.get(entryKey(ofIssuer, serial)),
    entries: () => entries.values(),
  }
}

interface ReadExtensions {
  number?: bigint
  baseNumber?: bigint
  authorityKeyId?: AuthorityKeyId
  scope: CrlScope
  freshestUris: readonly string[]
  unusable: boolean
}

function readExtensions(reader: DerReader | undefined): ReadExtensions {
  const result: ReadExtensions = { scope: EVERYTHING, freshestUris: [], unusable: false }
  if (reader === undefined) return result
  const list = reader.sequence('crlExtensions')
  reader.end('crlExtensions')
  const seen = new Set<string>()
  while (list.more) {
    const { oid, critical, content } = readExtension(list)
    if (seen.has(oid)) list.fail(`the extension ${oid} is there twice`)
    seen.add(oid)
    if (seen.size > MAX_EXTENSIONS) list.fail(`more than ${MAX_EXTENSIONS} extensions`)
    if (oid === oids.crlNumber) result.number = bigInteger(content.integer('cRLNumber'))
    else if (oid === oids.deltaCrlIndicator) result.baseNumber = bigInteger(content.integer('BaseCRLNumber'))
    else if (oid === oids.authorityKeyIdentifier) result.authorityKeyId = readAuthorityKeyId(content)
    else if (oid === oids.issuingDistributionPoint) result.scope = readScope(content)
    else if (oid === oids.freshestCrl)
      result.freshestUris = readDistributionPoints(content).flatMap(({ fullName }) => uriTexts(fullName ?? []))
    else {
      if (critical) result.unusable = true
      continue
    }
    content.end(oid)
  }
  return result
}

function readScope(content: DerReader): CrlScope {
  const value = content.take(SEQUENCE, 'issuingDistributionPoint')
  const fields = value.children()
  const flag = (number: number): boolean => {
    const found = fields.optional(contextPrimitive(number), 'issuingDistributionPoint')?.content
    return found !== undefined && found[0] !== 0
  }
  const name = readDistributionPointName(fields, 'issuingDistributionPoint')
  const onlyUserCerts = flag(1)
  const onlyCaCerts = flag(2)
  const some = fields.optional(contextPrimitive(3), 'onlySomeReasons')?.content
  const indirect = flag(4)
  const onlyAttributeCerts = flag(5)
  fields.end('issuingDistributionPoint')
  const reasons = some === undefined ? ALL_REASONS : reasonsIn(some)
  return {
    ...(name && { name }),
    onlyUserCerts,
    onlyCaCerts,
    onlyAttributeCerts,
    indirect,
    reasons,
    der: value.whole,
  }
}

const EVERYTHING: CrlScope = {
  onlyUserCerts: false,
  onlyCaCerts: false,
  onlyAttributeCerts: false,
  indirect: false,
  reasons: ALL_REASONS,
  der: new Uint8Array(),
}

/** Each entry has a reader of its own: a list may be far longer than one document may have values. */
function readEntries(
  content: Uint8Array,
  crlIssuer: string,
  indirect: boolean,
): { entries: ReadonlyMap<string, CrlEntry>; unusable: boolean } {
  const entries = new Map<string, CrlEntry>()
  let unusable = false
  let issuer = crlIssuer
  for (let at = 0; at < content.length; ) {
    const outer = DerReader.over(content.subarray(at), 'CRL entry')
    const value = outer.take(SEQUENCE, 'revokedCertificate')
    at += value.whole.length
    const fields = value.children()
    const serial = fields.integer('userCertificate')
    const time = readTime(fields, 'revocationDate')
    const details = fields.more ? readEntryExtensions(fields) : {}
    fields.end('revokedCertificate')
    // §5.3.3: it stays the issuer of what follows
    if (indirect && details.certificateIssuer !== undefined) issuer = details.certificateIssuer
    if (details.unknownCritical === true) unusable = true
    entries.set(entryKey(issuer, serial), { serial, time, reason: details.reason ?? 0 })
  }
  return { entries, unusable }
}

interface EntryDetails {
  reason?: number
  certificateIssuer?: string
  unknownCritical?: boolean
}

function readEntryExtensions(fields: DerReader): EntryDetails {
  const list = fields.sequence('crlEntryExtensions')
  const result: EntryDetails = {}
  while (list.more) {
    const { oid, critical, content } = readExtension(list)
    if (oid === oids.reasonCode) result.reason = content.take(ENUMERATED, 'reasonCode').content[0] ?? 0
    else if (oid === oids.certificateIssuer) {
      const [name] = readGeneralNames(content.sequence('certificateIssuer'), 'certificateIssuer')
      if (name?.type !== 'directory') return content.fail('a certificate issuer without a name')
      result.certificateIssuer = comparableName(name.name)
    } else if (critical) result.unknownCritical = true
  }
  return result
}

function readExtension(list: DerReader): { oid: string; critical: boolean; content: DerReader } {
  const extension = list.sequence('extension')
  const oid = oidText(extension.take(OID, 'extension').content)
  const critical = extension.nextTag === BOOLEAN && extension.boolean('critical')
  const content = extension.take(OCTET_STRING, 'extension').reread()
  extension.end('extension')
  return { oid, critical, content }
}

const entryKey = (issuerKey: string, serial: Uint8Array): string =>
  `${Buffer.from(serial).toString('hex')} ${issuerKey}`

/** A non-negative INTEGER of any size, from its content. */
function bigInteger(content: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(content).toString('hex')}`)
}

const MAX_EXTENSIONS = 64
