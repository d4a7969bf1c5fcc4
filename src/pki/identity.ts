import { DecodeError } from '../wire/errors.ts'
import { latin1, sameBytes, textBytes } from './bytes.ts'
import { contextConstructed, derEncode, UTF8_STRING } from './der.ts'
import { type Expression, parseExpression } from './expression.ts'
import { ID, type Identity } from './id-type.ts'
import { ADDRESS_BYTES, formatAddressing, matchAddressing, parseAddressing } from './identity-addresses.ts'
import {
  colonHex,
  equalNames,
  formatName,
  matchName,
  type Name,
  parseNameDer,
  parseNameText,
  printable,
  type RdnMatching,
} from './name.ts'
import { oidDer, oids } from './oid.ts'

export { ID, type Identity } from './id-type.ts'
export type { RdnMatching } from './name.ts'

/** What an identity may be compared with: another identity, which may contain wildcards, or a regular expression. */
export type IdentityPattern = Identity | IdentityExpression

/** `<prefix>:^…$`: an expression for the text form of identities of one type. */
export interface IdentityExpression {
  readonly type: number
  /** The expression as it was written, without the prefix. */
  readonly regex: string
}

/** Matches everybody. */
export const ID_ANY: Identity = { type: ID.ANY, data: new Uint8Array(0) }

/**
 * An identity from text, by charon's rules: a type prefix (`fqdn:`, `keyid:#a1b2`, `{11}:text`), else a distinguished name if
 * there is a `=`, an address, subnet or range, an e-mail address or FQDN if there is an `@`, an FQDN, or a key id.
 * Throws DecodeError for what is behind a `#` and is not hexadecimal.
 */
export function parseIdentity(text: string): Identity {
  const prefixed = parsePrefixed(text)
  if (prefixed !== undefined) return prefixed
  if (text.includes('=')) {
    const name = parseNameText(text)
    return name === undefined ? textIdentity(ID.KEY_ID, text) : { type: ID.DER_ASN1_DN, data: name.der }
  }
  if (text.includes('@')) {
    if (text.startsWith('@#')) return { type: ID.KEY_ID, data: hexData(text.slice(2), text) }
    if (text.startsWith('@@')) return textIdentity(ID.RFC822_ADDR, text.slice(2))
    if (text.startsWith('@')) return textIdentity(ID.FQDN, text.slice(1))
    return textIdentity(ID.RFC822_ADDR, text)
  }
  if (ANY_TEXTS.has(text)) return ID_ANY
  return parseAddressing(text) ?? textIdentity(text.includes(':') ? ID.KEY_ID : ID.FQDN, text)
}

/**
 * What a configuration may hold: an identity, or `<prefix>:^…$` with a POSIX extended regular expression. Throws DecodeError for
 * a broken expression.
 */
export function parseIdentityPattern(text: string): IdentityPattern {
  const colon = text.indexOf(':')
  const type = REGEX_PREFIXES.get(text.slice(0, Math.max(colon, 0)).toLowerCase())
  const regex = text.slice(colon + 1)
  if (type === undefined || !regex.startsWith('^') || !regex.endsWith('$')) return parseIdentity(text)
  compiled(regex)
  return { type, regex }
}

/** An identity from an ID payload's type and data; a copy, so that the datagram can go. */
export function identityFromWire(type: number, data: Uint8Array): Identity {
  return { type, data: Uint8Array.from(data) }
}

/** The identity of a subject: its distinguished name. */
export function identityFromName(name: Name): Identity {
  return { type: ID.DER_ASN1_DN, data: name.der }
}

/** An identity as charon prints it; an expression without its prefix. */
export function formatIdentity(id: IdentityPattern): string {
  if ('regex' in id) return id.regex
  const { type, data } = id
  switch (type) {
    case ID.ANY:
      return '%any'
    case ID.IPV4_ADDR:
    case ID.IPV6_ADDR:
    case ID.IPV4_ADDR_SUBNET:
    case ID.IPV6_ADDR_SUBNET:
    case ID.IPV4_ADDR_RANGE:
    case ID.IPV6_ADDR_RANGE:
      return formatAddressing(type, data)
    case ID.FQDN:
    case ID.RFC822_ADDR:
    case ID.URI:
      return printable(data)
    case ID.DER_ASN1_DN: {
      const name = nameOf(id)
      return name === undefined ? '(invalid ID_DER_ASN1_DN)' : formatName(name)
    }
    case ID.DER_ASN1_GN:
      return '(ASN.1 general name)'
    case ID.KEY_ID:
      return data.length !== 20 && data.every((byte) => byte >= 0x20 && byte < 0x7f) ? printable(data) : colonHex(data)
    default:
      return `(unknown ID type: ${type})`
  }
}

/** Whether two identities are the same one, wildcards counting as letters. */
export function equalIdentity(a: IdentityPattern, b: IdentityPattern): boolean {
  if (a.type !== b.type) return false
  if ('regex' in a || 'regex' in b) return 'regex' in a && 'regex' in b && a.regex === b.regex
  if (a.type === ID.ANY || sameBytes(a.data, b.data)) return true
  switch (a.type) {
    case ID.FQDN:
    case ID.RFC822_ADDR:
    case ID.URI:
      return lower(a.data) === lower(b.data)
    case ID.DER_ASN1_DN: {
      const [left, right] = [nameOf(a), nameOf(b)]
      return left !== undefined && right !== undefined && equalNames(left, right)
    }
    default:
      return false
  }
}

/** Whether the identity names nobody in particular: `%any`, or a value with a wildcard, a subnet, a range. */
export function hasWildcards(id: IdentityPattern): boolean {
  if ('regex' in id || id.type === ID.ANY) return true
  switch (id.type) {
    case ID.FQDN:
    case ID.RFC822_ADDR:
      return id.data[0] === STAR
    case ID.DER_ASN1_DN:
      return nameOf(id)?.rdns.some((set) => set.some(({ value }) => value.length === 1 && value[0] === STAR)) ?? false
    default:
      return ADDRESS_BYTES.has(id.type) && id.type !== ID.IPV4_ADDR && id.type !== ID.IPV6_ADDR
  }
}

/** How well an identity fits a pattern: 0 not at all, 1 `%any`, 2 and more with wildcards, 19 one wildcard, 20 exactly. */
export function matchIdentity(id: Identity, pattern: IdentityPattern, rdnMatching: RdnMatching = 'strict'): number {
  if ('regex' in pattern) {
    if (pattern.type !== id.type) return 0
    return compiled(pattern.regex).matches(formatIdentity(id)) ? MATCH_LOOSE : 0
  }
  if (pattern.type === ID.ANY) return MATCH_ANY
  const family = ADDRESS_BYTES.get(id.type)
  if (family !== undefined) return ADDRESS_BYTES.get(pattern.type) === family ? matchAddressing(id, pattern) : 0
  if (pattern.type !== id.type) return 0
  switch (id.type) {
    case ID.FQDN:
    case ID.RFC822_ADDR:
    case ID.URI:
      return matchText(lower(id.data), lower(pattern.data))
    case ID.DER_ASN1_DN: {
      const [name, wanted] = [nameOf(id), nameOf(pattern)]
      return name === undefined || wanted === undefined ? 0 : matchName(name, wanted, rdnMatching)
    }
    default:
      return sameBytes(id.data, pattern.data) ? MATCH_PERFECT : 0
  }
}

/** The distinguished name in an identity of that type; undefined if it is not one or is malformed. */
export function nameOf(id: Identity): Name | undefined {
  if (id.type !== ID.DER_ASN1_DN) return undefined
  try {
    return parseNameDer(id.data)
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function parsePrefixed(text: string): Identity | undefined {
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const prefix = text.slice(0, colon)
  const rest = text.slice(colon + 1)
  const number = /^\{(\d{1,3})\}$/.exec(prefix)?.[1]
  const type = number === undefined ? PREFIXES.get(prefix.toLowerCase()) : Number(number)
  if (type === undefined || type > 255) return undefined
  const data = rest.startsWith('#') ? hexData(rest.slice(1), text) : textBytes(rest)
  if (type === ID.ANY) return ID_ANY
  return prefix.toLowerCase() === 'xmppaddr' ? { type, data: xmppAddress(data) } : { type, data }
}

/** RFC 6120 §13.7.1.4: otherName with the id-on-xmppAddr OID and the address as UTF8String. */
function xmppAddress(address: Uint8Array): Uint8Array {
  const value = derEncode(contextConstructed(0), derEncode(UTF8_STRING, address))
  return derEncode(contextConstructed(0), oidDer(oids.xmppAddr), value)
}

function matchText(text: string, pattern: string): number {
  if (text === pattern) return MATCH_PERFECT
  if (pattern === '*') return MATCH_ANY
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1)) ? MATCH_ONE_WILDCARD : 0
}

function hexData(hex: string, text: string): Uint8Array {
  const digits = hex.replaceAll(':', '')
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
    throw new DecodeError('identity', 0, `"${text}": behind # there must be pairs of hexadecimal digits`)
  return textBytes(digits, 'hex')
}

const textIdentity = (type: number, text: string): Identity => ({ type, data: textBytes(text) })

/** Expressions are kept here so that patterns stay plain data; there are only as many as configurations name. */
function compiled(regex: string): Expression {
  const known = expressions.get(regex)
  if (known !== undefined) return known
  const expression = parseExpression(regex)
  if (expressions.size >= MAX_EXPRESSIONS) expressions.clear()
  expressions.set(regex, expression)
  return expression
}

const expressions = new Map<string, Expression>()

const lower = (bytes: Uint8Array): string => latin1(bytes).replace(/[A-Z]/g, (letter) => letter.toLowerCase())

const MATCH_PERFECT = 20
const MATCH_ONE_WILDCARD = 19
const MATCH_LOOSE = 2
const MATCH_ANY = 1
const STAR = 0x2a
const MAX_EXPRESSIONS = 1024

const ANY_TEXTS: ReadonlySet<string> = new Set(['', '%any', '%any6', '0.0.0.0', '*', '::', '0::0'])

const PREFIXES: ReadonlyMap<string, number> = new Map([
  ['ipv4', ID.IPV4_ADDR],
  ['ipv6', ID.IPV6_ADDR],
  ['ipv4net', ID.IPV4_ADDR_SUBNET],
  ['ipv6net', ID.IPV6_ADDR_SUBNET],
  ['ipv4range', ID.IPV4_ADDR_RANGE],
  ['ipv6range', ID.IPV6_ADDR_RANGE],
  ['rfc822', ID.RFC822_ADDR],
  ['email', ID.RFC822_ADDR],
  ['userfqdn', ID.RFC822_ADDR],
  ['fqdn', ID.FQDN],
  ['dns', ID.FQDN],
  ['asn1dn', ID.DER_ASN1_DN],
  ['asn1gn', ID.DER_ASN1_GN],
  ['xmppaddr', ID.DER_ASN1_GN],
  ['keyid', ID.KEY_ID],
  ['uri', ID.URI],
])

const REGEX_PREFIXES: ReadonlyMap<string, number> = new Map(
  ['rfc822', 'email', 'userfqdn', 'fqdn', 'dns', 'asn1dn'].map((prefix) => [prefix, PREFIXES.get(prefix) ?? ID.ANY]),
)
