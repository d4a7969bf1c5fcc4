import { latin1, textBytes } from './bytes.ts'
import {
  BMP_STRING,
  DerReader,
  derEncode,
  IA5_STRING,
  OID,
  PRINTABLE_STRING,
  SEQUENCE,
  SET,
  TELETEX_STRING,
  UNIVERSAL_STRING,
  UTF8_STRING,
} from './der.ts'
import { oidContent, oidDer, oids, oidText } from './oid.ts'

/** A distinguished name, RFC 5280 §4.1.2.4: a list of sets of attributes. The order is kept as it was written. */
export interface Name {
  /** The RDNSequence in DER. */
  readonly der: Uint8Array
  readonly rdns: readonly (readonly Attribute[])[]
}

/** One attribute of a name: its type as dotted OID, the tag of the string and the bytes of the string. */
export interface Attribute {
  readonly oid: string
  readonly tag: number
  readonly value: Uint8Array
}

/** How strictly the RDNs of a name are compared with a pattern (charon.rdn_matching). */
export type RdnMatching = 'strict' | 'reordered' | 'relaxed'

/** Reads a Name. Throws DecodeError. */
export function readName(reader: DerReader, what: string): Name {
  const value = reader.take(SEQUENCE, what)
  const sets = value.children()
  const rdns: Attribute[][] = []
  let count = 0
  while (sets.more) {
    const set = sets.take(SET, what).children()
    const attributes: Attribute[] = []
    do {
      if (++count > MAX_ATTRIBUTES) reader.fail(`${what}: more than ${MAX_ATTRIBUTES} attributes`)
      const attribute = set.sequence(what)
      const oid = oidText(attribute.take(OID, what).content)
      const { tag, content } = attribute.any(what)
      attribute.end(what)
      attributes.push({ oid, tag, value: content })
    } while (set.more)
    rdns.push(attributes)
  }
  return { der: value.whole, rdns }
}

/** A Name from its DER. Throws DecodeError. */
export function parseNameDer(der: Uint8Array): Name {
  const reader = DerReader.over(der, 'distinguished name')
  const name = readName(reader, 'distinguished name')
  reader.end('distinguished name')
  return name
}

/**
 * A Name from text: `C=CH, O=strongSwan, CN=moon`, or `/C=CH/O=strongSwan/CN=moon` for values that contain commas. There is
 * no escaping. Keywords are those of charon, in any case. Undefined if the text is not such a name.
 */
export function parseNameText(text: string): Name | undefined {
  const slashes = text.trimStart().startsWith('/')
  const pieces = text.split(slashes ? '/' : ',').filter((piece) => piece.trim() !== '')
  if (pieces.length === 0 || pieces.length > MAX_TEXT_RDNS) return undefined
  const attributes: Attribute[] = []
  for (const piece of pieces) {
    const equals = piece.indexOf('=')
    const keyword = KEYWORDS.get(piece.slice(0, Math.max(equals, 0)).trim().toLowerCase())
    if (keyword === undefined) return undefined
    const value = textBytes(piece.slice(equals + 1).trim())
    if (value.length > MAX_TEXT_VALUE) return undefined
    attributes.push({ oid: keyword.oid, tag: keyword.ia5 ? IA5_STRING : stringTag(value), value })
  }
  return nameFrom(attributes.map((attribute) => [attribute]))
}

/** A Name from its attributes. */
export function nameFrom(rdns: readonly (readonly Attribute[])[]): Name {
  const sets = rdns.map((attributes) =>
    derEncode(SET, ...attributes.map(({ oid, tag, value }) => derEncode(SEQUENCE, oidDer(oid), derEncode(tag, value)))),
  )
  return { der: derEncode(SEQUENCE, ...sets), rdns }
}

/** `C=CH, O=Lab, CN=moon.lab.org`, in the order of the name, as charon prints it. An unknown type is `2a:86:48=`. */
export function formatName(name: Name): string {
  return flat(name)
    .map(({ oid, value }) => `${SHORT_NAMES.get(oid) ?? colonHex(oidContent(oid))}=${printable(value)}`)
    .join(', ')
}

/**
 * Equality as charon sees it: RDN by RDN, same type, same order, same bytes; PrintableString and e-mail values in any case.
 * Two string types are equal if their bytes are.
 */
export function equalNames(a: Name, b: Name): boolean {
  if (Buffer.compare(a.der, b.der) === 0) return true
  const left = flat(a)
  const right = flat(b)
  return left.length === right.length && left.every((attribute, i) => equalAttributes(attribute, right[i]))
}

/**
 * How well a name fits a pattern whose values may be `*`: 0 not at all, 20 without any wildcard, one less for each wildcard but
 * not less than 3. `strict` wants the same number, types and order; `reordered` any order; `relaxed` lets the name have more
 * RDNs than the pattern, each counted as a wildcard.
 */
export function matchName(name: Name, pattern: Name, rdnMatching: RdnMatching = 'strict'): number {
  if (Buffer.compare(name.der, pattern.der) === 0) return PERFECT
  const have = flat(name)
  const want = flat(pattern)
  if (want.length > have.length || (rdnMatching !== 'relaxed' && want.length !== have.length)) return 0
  const wildcards = rdnMatching === 'strict' ? wildcardsInOrder(have, want) : wildcardsInAnyOrder(have, want)
  return wildcards === undefined ? 0 : Math.max(PERFECT - wildcards, LEAST_DN_SCORE)
}

/**
 * The form under which RFC 5280 §7.1 considers names equal: strings decoded, compatibility characters and case folded, inner
 * blanks made one, outer blanks dropped, attributes of a set sorted. One string per RDN, so that a subtree is a prefix.
 */
export function comparableRdns(name: Name): readonly string[] {
  return name.rdns.map((attributes) => attributes.map(comparable).sort().join('+'))
}

/** `comparableRdns` as one string, to find certificates by name. */
export function comparableName(name: Name): string {
  return comparableRdns(name).join(',')
}

/** Bytes as text, with `?` for what is not printable ASCII. */
export function printable(bytes: Uint8Array): string {
  return latin1(bytes).replace(/[^ -~]/g, '?')
}

/** Bytes as `2a:86:48`. */
export function colonHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')
}

const flat = (name: Name): readonly Attribute[] => name.rdns.flat()

function equalAttributes(a: Attribute, b: Attribute | undefined): boolean {
  if (b === undefined || a.oid !== b.oid || a.value.length !== b.value.length) return false
  if (Buffer.compare(a.value, b.value) === 0) return true
  const anyCase = (a.tag === PRINTABLE_STRING && b.tag === PRINTABLE_STRING) || a.oid === oids.emailAddress
  return anyCase && lower(a.value) === lower(b.value)
}

const lower = (bytes: Uint8Array): string => latin1(bytes).replace(/[A-Z]/g, (c) => c.toLowerCase())

const isWildcard = (attribute: Attribute): boolean => attribute.value.length === 1 && attribute.value[0] === 0x2a

function wildcardsInOrder(have: readonly Attribute[], want: readonly Attribute[]): number | undefined {
  let wildcards = 0
  for (const [i, wanted] of want.entries()) {
    if (isWildcard(wanted) && have[i]?.oid === wanted.oid) wildcards++
    else if (!equalAttributes(wanted, have[i])) return undefined
  }
  return wildcards
}

/** Exact values take their partners first, then each wildcard takes any that is left: no other order finds more. */
function wildcardsInAnyOrder(have: readonly Attribute[], want: readonly Attribute[]): number | undefined {
  const left = [...have]
  const take = (fits: (attribute: Attribute) => boolean): boolean => {
    const at = left.findIndex(fits)
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  }
  const wildcards = want.filter(isWildcard)
  for (const wanted of want) if (!isWildcard(wanted) && !take((have) => equalAttributes(wanted, have))) return undefined
  for (const wanted of wildcards) if (!take((have) => have.oid === wanted.oid)) return undefined
  return wildcards.length + left.length
}

function comparable({ oid, tag, value }: Attribute): string {
  // Long values are compared byte by byte: putting thousands of combining marks in order takes quadratic time.
  const text = value.length <= MAX_FOLDED ? decodeString(tag, value) : undefined
  if (text === undefined) return `${oid}=#${tag}:${Buffer.from(value).toString('hex')}`
  const folded = text.normalize('NFKC').toLowerCase().trim().replace(/\s+/g, ' ')
  return `${oid}=${folded.replace(/[\\,+]/g, (c) => `\\${c}`)}`
}

function decodeString(tag: number, value: Uint8Array): string | undefined {
  const bytes = Buffer.from(value)
  switch (tag) {
    case UTF8_STRING:
      return bytes.toString('utf8')
    case PRINTABLE_STRING:
    case IA5_STRING:
    case TELETEX_STRING:
      return bytes.toString('latin1')
    case BMP_STRING:
      return bytes.length % 2 === 0 ? Buffer.from(bytes).swap16().toString('utf16le') : undefined
    case UNIVERSAL_STRING:
      return decodeUtf32(bytes)
    default:
      return undefined
  }
}

function decodeUtf32(bytes: Buffer): string | undefined {
  if (bytes.length % 4 !== 0) return undefined
  const points: string[] = []
  for (let at = 0; at < bytes.length; at += 4) {
    const point = bytes.readUInt32BE(at)
    if (point > 0x10ffff) return undefined
    points.push(String.fromCodePoint(point))
  }
  return points.join('')
}

const stringTag = (value: Uint8Array): number =>
  /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(latin1(value)) ? PRINTABLE_STRING : UTF8_STRING

const PERFECT = 20
const LEAST_DN_SCORE = 3
const MAX_ATTRIBUTES = 128
const MAX_FOLDED = 1024
const MAX_TEXT_RDNS = 20
const MAX_TEXT_VALUE = 4096

/** Keywords that charon reads, with the name it prints first. */
const ATTRIBUTE_TYPES: readonly (readonly [oid: string, keywords: string, ia5?: 'ia5'])[] = [
  ['0.2.262.1.10.7.20', 'ND'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.97', 'organizationIdentifier'],
  ['2.5.4.12', 'T'],
  ['2.5.4.13', 'D'],
  ['2.5.4.16', 'postalAddress'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.41', 'N'],
  ['2.5.4.42', 'G'],
  ['2.5.4.43', 'I'],
  ['2.5.4.46', 'dnQualifier'],
  ['2.5.4.54', 'dmdName'],
  ['2.5.4.65', 'pseudonym'],
  ['2.5.4.45', 'ID'],
  ['2.16.840.1.113730.3.1.3', 'employeeNumber EN'],
  ['1.2.840.113549.1.9.1', 'E Email emailAddress', 'ia5'],
  ['1.2.840.113549.1.9.2', 'unstructuredName UN', 'ia5'],
  ['1.2.840.113549.1.9.8', 'unstructuredAddress UA'],
  ['1.3.6.1.4.1.1201.1.1.2.2.75', 'TCGID'],
]

const SHORT_NAMES: ReadonlyMap<string, string> = new Map(
  ATTRIBUTE_TYPES.map(([oid, keywords]) => [oid, keywords.split(' ')[0] ?? oid]),
)

const KEYWORDS: ReadonlyMap<string, { oid: string; ia5: boolean }> = new Map(
  ATTRIBUTE_TYPES.flatMap(([oid, keywords, ia5]) =>
    keywords
      .toLowerCase()
      .split(' ')
      .map((keyword) => [keyword, { oid, ia5: ia5 === 'ia5' }] as const),
  ),
)
