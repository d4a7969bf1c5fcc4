import { type DerReader, GENERALIZED_TIME, UTC_TIME } from './der.ts'

/**
 * Time, RFC 5280 §4.1.2.5, as milliseconds since 1970: UTCTime `YYMMDDHHMMSSZ` with years 1950 to 2049, or
 * GeneralizedTime `YYYYMMDDHHMMSSZ`. The seconds must be there, the zone must be Z, fractions are not allowed.
 */
export function readTime(reader: DerReader, what: string): number {
  const tag = reader.nextTag === GENERALIZED_TIME ? GENERALIZED_TIME : UTC_TIME
  const text = String.fromCharCode(...reader.take(tag, what).content.subarray(0, 32))
  const match = (tag === UTC_TIME ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text)
  const [, yearText = '', rest = ''] = match ?? reader.fail(`${what}: "${printable(text)}" is not a time of RFC 5280`)
  const year = tag === GENERALIZED_TIME ? Number(yearText) : Number(yearText) + (Number(yearText) < 50 ? 2000 : 1900)
  const [month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = [0, 2, 4, 6, 8].map((at) =>
    Number(rest.slice(at, at + 2)),
  )
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hours, minutes, seconds)
  const sameDay = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!sameDay || hours > 23 || minutes > 59 || seconds > 59) reader.fail(`${what}: there is no time "${text}"`)
  return date.getTime()
}

/** `2026-11-21 09:00:00 UTC`, for messages. */
export function timeText(ms: number): string {
  return Number.isFinite(ms) ? `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC` : 'never'
}

/** `Nov 21 09:00:00 2026`, as charon writes times in its log; always in UTC here. */
export function charonTimeText(ms: number): string {
  const date = new Date(ms)
  const two = (n: number): string => String(n).padStart(2, '0')
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  return `${MONTHS[date.getUTCMonth()]} ${two(date.getUTCDate())} ${clock} ${date.getUTCFullYear()}`
}

const MONTHS: readonly string[] = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

const printable = (text: string): string => text.replace(/[^ -~]/g, '?')
