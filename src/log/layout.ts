/** charon's text layout of log lines, and the part of strftime that its `time_format` needs. */
import type { LogEntry } from '../ike/output.ts'

export interface TextLayout {
  /** `<conn|id>` before messages of an IKE SA. */
  readonly ikeName: boolean
  /** `[IKE1]` instead of `[IKE]`. */
  readonly logLevel: boolean
  /** strftime; undefined: no time. */
  readonly timeFormat?: string
  readonly timePrecision?: 'ms' | 'us'
}

/** One line per line of the message, each with the prefix: `TIME 00[IKE] <net|1> message`. */
export function textLines(entry: LogEntry, layout: TextLayout, nowMs: number): string {
  const time = layout.timeFormat === undefined ? '' : `${formatTime(layout.timeFormat, layout.timePrecision, nowMs)} `
  const prefix = `${time}00[${entry.group}${layout.logLevel ? entry.level : ''}] ${layout.ikeName ? saName(entry) : ''}`
  return entry.message
    .split('\n')
    .map((line) => `${prefix}${line}\n`)
    .join('')
}

/** `<net|1> `, or `<1> ` before a connection is chosen. */
function saName({ ikeSa }: LogEntry): string {
  if (ikeSa === undefined) return ''
  return ikeSa.name === undefined ? `<${ikeSa.uniqueId}> ` : `<${ikeSa.name}|${ikeSa.uniqueId}> `
}

/** Local time by strftime's letters (in the C locale); letters that are not known stay as they are. */
export function formatTime(format: string, precision: 'ms' | 'us' | undefined, ms: number): string {
  const date = new Date(ms)
  const text = format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => timeFields[letter]?.(date) ?? whole)
  if (precision === undefined) return text
  const fraction = String(date.getMilliseconds()).padStart(3, '0')
  return `${text}.${fraction}${precision === 'us' ? '000' : ''}`
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const two = (n: number) => String(n).padStart(2, '0')

const timeFields: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => (days[date.getDay()] ?? '').slice(0, 3),
  A: (date) => days[date.getDay()] ?? '',
  b: (date) => (months[date.getMonth()] ?? '').slice(0, 3),
  B: (date) => months[date.getMonth()] ?? '',
  c: (date) => formatTime('%a %b %e %T %Y', undefined, date.getTime()),
  d: (date) => two(date.getDate()),
  D: (date) => formatTime('%m/%d/%y', undefined, date.getTime()),
  e: (date) => String(date.getDate()).padStart(2, ' '),
  F: (date) => formatTime('%Y-%m-%d', undefined, date.getTime()),
  h: (date) => (months[date.getMonth()] ?? '').slice(0, 3),
  H: (date) => two(date.getHours()),
  I: (date) => two(date.getHours() % 12 || 12),
  j: (date) => String(Math.round((startOfDay(date) - startOfYear(date)) / 86_400_000) + 1).padStart(3, '0'),
  m: (date) => two(date.getMonth() + 1),
  M: (date) => two(date.getMinutes()),
  n: () => '\n',
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  R: (date) => `${two(date.getHours())}:${two(date.getMinutes())}`,
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  S: (date) => two(date.getSeconds()),
  t: () => '\t',
  T: (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
  y: (date) => two(date.getFullYear() % 100),
  Y: (date) => String(date.getFullYear()),
  z: (date) => {
    const minutes = -date.getTimezoneOffset()
    return `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`
  },
  '%': () => '%',
}

function startOfDay(date: Date): number {
  return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
}

function startOfYear(date: Date): number {
  return Date.UTC(date.getFullYear(), 0, 1)
}
