/**
 * The values of swanctl.conf as the daemon reads them in load-conn. Each parser takes text and throws ConfigError with
 * the reason; which key and section it was is the caller's to say.
 */
import { addressBytes, addressText, netmask } from '../pki/address.ts'
import { ConfigError } from './config-error.ts'
import type { Action, AddressPattern, ConfiguredMark, UniqueValue } from './connection.ts'

/** `yes true enabled 1` or `no false disabled 0`, in any case. */
export function parseBool(text: string): boolean {
  const bool = bools.get(text.toLowerCase())
  if (bool === undefined) throw new ConfigError(`'${text}' is neither yes nor no`)
  return bool
}

/** One of some words, in any case. */
export function parseKeywordOf<const T extends readonly string[]>(words: T): (text: string) => T[number] {
  return (text) => {
    const found = words.find((word) => word === text.toLowerCase())
    if (found === undefined) throw new ConfigError(`'${text}' is none of ${words.join(', ')}`)
    return found
  }
}

/**
 * C's strtoul with base 0: decimal, `0x` hexadecimal or `0` octal, a sign allowed, what follows is given back. Negative
 * numbers wrap in 64 bits, too large ones stop at the largest.
 */
export function parseNumberPrefix(text: string): { readonly number: bigint; readonly rest: string } {
  const match = /^[ \t\n\v\f\r]*([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)/i.exec(text.slice(0, 100))
  if (match === null) return { number: 0n, rest: text }
  const [whole, sign, digits = '0'] = match
  const octal = digits.length > 1 && digits.startsWith('0') && !/^0x/i.test(digits)
  const parsed = BigInt(octal ? `0o${digits}` : digits)
  const bounded = parsed > maxUint64 ? maxUint64 : parsed
  return { number: BigInt.asUintN(64, sign === '-' ? -bounded : bounded), rest: text.slice(whole.length) }
}

/** A number in 32 bits; no text is 0, larger and negative ones wrap. */
export function parseUint32(text: string): number {
  const { number, rest } = parseNumberPrefix(text)
  if (rest !== '') throw new ConfigError(`'${text}' is no number`)
  return Number(BigInt.asUintN(32, number))
}

export function parseUint64(text: string): bigint {
  const { number, rest } = parseNumberPrefix(text)
  if (rest !== '') throw new ConfigError(`'${text}' is no number`)
  return number
}

/**
 * Seconds: a number and one of `s m h d`; no text is 0. undefined for the number that charon takes for "not set" (-1).
 * Anything above what a double counts exactly is "never", so it stops there.
 */
export function parseTime(text: string): number | undefined {
  const { number, rest } = parseNumberPrefix(text)
  const unit = rest.replace(/^ +/, '').toLowerCase()
  const factor = unit === '' ? 1n : timeUnits.get(unit)
  if (factor === undefined || (text.trim() !== '' && rest === text)) {
    throw new ConfigError(`'${text}' is no time; write a whole number and one of s, m, h, d`)
  }
  if (number === maxUint64) return undefined
  const seconds = BigInt.asUintN(64, number * factor)
  return Number(seconds > maxSafe ? maxSafe : seconds)
}

/** A number of bytes with `k m g` for powers of 1024; undefined for -1, which is "not set". */
export function parseBytes(text: string): bigint | undefined {
  const { number, rest } = parseNumberPrefix(text)
  const unit = rest.replace(/^ +/, '').toLowerCase()
  const factor = unit === '' ? 1n : byteUnits.get(unit)
  if (factor === undefined || (text.trim() !== '' && rest === text)) {
    throw new ConfigError(`'${text}' is no size; write a whole number and one of k, m, g or nothing`)
  }
  return number === maxUint64 ? undefined : BigInt.asUintN(64, number * factor)
}

/** A number of packets; undefined for -1, which is "not set". */
export function parsePackets(text: string): bigint | undefined {
  const number = parseUint64(text)
  return number === maxUint64 ? undefined : number
}

/** A DSCP in binary, `000000` to `111111`. */
export function parseDscp(text: string): number {
  if (!/^[01]{0,6}$/.test(text)) throw new ConfigError(`'${text}' is no DSCP; write six binary digits`)
  return text === '' ? 0 : Number.parseInt(text, 2)
}

/** `value[/mask]`, `%unique`, `%unique-dir`; with `same` also `%same`. No text is no mark. */
export function parseMark(text: string, same = false): ConfiguredMark | undefined {
  if (text === '') return undefined
  const slash = text.indexOf('/')
  const first = (slash < 0 ? text : text.slice(0, slash)).toLowerCase()
  const mask = slash < 0 ? 0xffffffff : parseUint32(text.slice(slash + 1))
  if (same && first === '%same') return { value: first, mask }
  if (same && first.startsWith('%unique')) throw new ConfigError(`'${text}': only mark_in and mark_out are unique`)
  if (first === '%unique' || first === '%unique-dir') return { value: first, mask }
  if (first.startsWith('%')) throw new ConfigError(`'${text}' is no mark`)
  const number = parseUint32(first)
  const word = uniqueWords.get(number)
  if (same ? word === '%unique' : word !== undefined) return { value: same ? '%same' : (word ?? number), mask }
  return { value: (number & mask) >>> 0, mask }
}

/** A number, `%unique` or `%unique-dir`; undefined for 0, which is none. */
export function parseIfId(text: string): UniqueValue | undefined {
  const lower = text.toLowerCase()
  if (lower === '%unique' || lower === '%unique-dir') return lower
  const number = parseUint32(text)
  return number === 0 ? undefined : (uniqueWords.get(number) ?? number)
}

/** The numbers that stand for the words in charon. */
const uniqueWords: ReadonlyMap<number, '%unique' | '%unique-dir'> = new Map([
  [0xffff_ffff, '%unique'],
  [0xffff_fffe, '%unique-dir'],
])

/** `none`=`clear`, `trap`=`route`, `start`=`restart`, joined by `|`. */
export function parseAction(text: string): Action {
  const words = text.split('|').map((word) => word.trim().toLowerCase())
  for (const word of words) {
    if (!actions.has(word)) throw new ConfigError(`'${word}' is none of none, trap, start`)
  }
  const has = (action: string) => words.some((word) => actions.get(word) === action)
  return { trap: has('trap'), start: has('start') }
}

/** One item of local_addrs or remote_addrs. What is no address is a host name, to be looked up when it is used. */
export function parseAddressPattern(text: string): AddressPattern {
  if (text === '%any') return { kind: 'any' }
  if (text === '%any4' || text === '0.0.0.0') return { kind: 'any', family: 4 }
  if (text === '%any6' || text === '::') return { kind: 'any', family: 6 }
  const range = parseAddressRange(text)
  if (range !== undefined) {
    const from = addressText(range.from)
    const to = addressText(range.to)
    return from === to ? { kind: 'host', address: from } : { kind: 'range', from, to }
  }
  if (text === '') throw new ConfigError('an address is empty')
  return { kind: 'name', name: text }
}

/** First and last address of an IP, a subnet or a range; undefined for anything else. */
export function parseAddressRange(text: string): { readonly from: Uint8Array; readonly to: Uint8Array } | undefined {
  const single = addressBytes(text)
  if (single !== undefined) return { from: single, to: single }
  const subnet = /^([^/]+)\/(\d{1,3})$/.exec(text)
  if (subnet !== null) {
    const address = addressBytes(subnet[1] ?? '')
    const bits = Number(subnet[2])
    if (address === undefined || bits > address.length * 8) return undefined
    const mask = netmask(bits, address.length)
    return {
      from: address.map((byte, at) => byte & (mask[at] ?? 0)),
      to: address.map((byte, at) => byte | (~(mask[at] ?? 0) & 0xff)),
    }
  }
  const [first, last, ...more] = text.split('-', 3).map((part) => addressBytes(part.trim()))
  if (first === undefined || last === undefined || more.length > 0) return undefined
  if (first.length !== last.length || Buffer.compare(first, last) > 0) return undefined
  return { from: first, to: last }
}

/**
 * A secret as swanctl.conf writes it: `0x` hexadecimal, `0s` Base64, else the bytes themselves.
 * @throws ConfigError for digits that are none
 */
export function parseSecret(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1')
  const prefix = text.slice(0, 2).toLowerCase()
  const digits = text.slice(2)
  if (prefix === '0x') {
    const compact = digits.replaceAll(':', '')
    if (/[^0-9a-f]/i.test(compact)) throw new ConfigError('after 0x there is more than hexadecimal digits')
    return new Uint8Array(Buffer.from(compact.length % 2 === 0 ? compact : `0${compact}`, 'hex'))
  }
  if (prefix === '0s') {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) throw new ConfigError('after 0s there is more than Base64 digits')
    return new Uint8Array(Buffer.from(digits, 'base64'))
  }
  return bytes
}

const bools: ReadonlyMap<string, boolean> = new Map([
  ...['yes', 'true', 'enabled', '1'].map((word) => [word, true] as const),
  ...['no', 'false', 'disabled', '0'].map((word) => [word, false] as const),
])

const actions: ReadonlyMap<string, 'none' | 'trap' | 'start'> = new Map([
  ['none', 'none'],
  ['clear', 'none'],
  ['trap', 'trap'],
  ['route', 'trap'],
  ['start', 'start'],
  ['restart', 'start'],
])

const timeUnits: ReadonlyMap<string, bigint> = new Map([
  ['s', 1n],
  ['m', 60n],
  ['h', 3600n],
  ['d', 86400n],
])

const byteUnits: ReadonlyMap<string, bigint> = new Map([
  ['k', 1024n],
  ['m', 1024n ** 2n],
  ['g', 1024n ** 3n],
])

const maxUint64 = 2n ** 64n - 1n
const maxSafe = BigInt(Number.MAX_SAFE_INTEGER)
