/** Tables of options of strongswan.conf: one row says all about an option: its default, and how it is read. */
import { ConfigError } from './config-error.ts'
import { parseBool, parseNumberPrefix } from './values.ts'

export interface Option<Draft> {
  /** As it would be written; '' where there is none. */
  readonly default: string
  /** charon does not have it. */
  readonly own?: true
  /** Reads a value into the draft. Throws ConfigError. */
  readonly read: (draft: Draft, text: string) => void
}

export type OptionTable<Draft> = Readonly<Record<string, Option<Draft>>>

/** The type that settings have while they are read. */
export type Draft<Settings> = { -readonly [K in keyof Settings]: Settings[K] }

type Fields<D, T> = { [K in keyof D]-?: D[K] extends T | undefined ? K : never }[keyof D]

/** Rows whose value becomes one field. */
export interface Rows<D> {
  bool(name: Fields<D, boolean>, byDefault: 'yes' | 'no'): Option<D>
  /** Decimal, hexadecimal or octal, as in C. */
  integer(name: Fields<D, number>, byDefault: string, maximum?: number): Option<D>
  /** A time, in seconds. */
  seconds(name: Fields<D, number>, byDefault: string): Option<D>
  decimal(name: Fields<D, number>, byDefault: string): Option<D>
  big(name: Fields<D, bigint>, byDefault: string): Option<D>
  text(name: Fields<D, string | undefined>, byDefault?: string): Option<D>
  /** Words between these separators. */
  words(name: Fields<D, readonly string[]>, separators: RegExp): Option<D>
  /** Numbers with blanks between. */
  numbers(name: Fields<D, readonly number[]>): Option<D>
}

/** Makes rows for settings of one type. */
export function rows<D>(): Rows<D> {
  // The type of the field is that of the value, as the parameter `name` says.
  const row = (name: keyof D, byDefault: string, parse: (text: string) => unknown): Option<D> => ({
    default: byDefault,
    read: (draft, text) => {
      draft[name] = parse(text) as D[typeof name]
    },
  })
  return {
    bool: (name, byDefault) => row(name, byDefault, parseBool),
    integer: (name, byDefault, maximum = 0xffff_ffff) =>
      row(name, byDefault, (text) => atMost(parseInteger(text), maximum)),
    seconds: (name, byDefault) => row(name, byDefault, parseSeconds),
    decimal: (name, byDefault) => row(name, byDefault, parseDecimal),
    big: (name, byDefault) => row(name, byDefault, parseBig),
    text: (name, byDefault = '') => row(name, byDefault, (text) => text),
    words: (name, separators) => row(name, '', (text) => text.split(separators).filter((word) => word !== '')),
    numbers: (name) =>
      row(name, '', (text) =>
        text
          .split(/[\s,]+/)
          .filter((word) => word !== '')
          .map(parseInteger),
      ),
  }
}

/** A whole number, decimal, hexadecimal or octal. @throws ConfigError */
export function parseInteger(text: string): number {
  return Number(parseBig(text))
}

function parseBig(text: string): bigint {
  const { number, rest } = parseNumberPrefix(text)
  if (rest !== '' || text === '' || number < 0n) throw new ConfigError(`'${text}' is no number`)
  return number
}

function parseDecimal(text: string): number {
  if (!/^\d{1,15}(\.\d{1,15})?$/.test(text)) throw new ConfigError(`'${text}' is no number`)
  return Number(text)
}

function parseSeconds(text: string): number {
  const match = /^(\d{1,12}) *([smhd]?)$/.exec(text)
  if (match === null) throw new ConfigError(`'${text}' is no time; write a whole number and one of s, m, h, d`)
  return Number(match[1]) * ({ s: 1, m: 60, h: 3600, d: 86400 }[match[2] ?? ''] ?? 1)
}

function atMost(parsed: number, maximum: number): number {
  if (parsed > maximum) throw new ConfigError(`${parsed} is above ${maximum}`)
  return parsed
}
