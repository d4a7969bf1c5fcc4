/** The logs of the system: syslog(3) and systemd's journal. A line that nobody takes is lost, and counted in the next. */
import type { SyslogSettings } from '../config/log-settings.ts'
import type { LogEntry } from '../ike/output.ts'
import { UnixDatagrams } from '../net/unix-datagrams.ts'
import { formatTime, textLines } from './layout.ts'

/** Who the lines are from: what tools that read charon's look for. */
const identifier = 'charon-systemd'
const syslogSocket = '/dev/log'
const journalSocket = '/run/systemd/journal/socket'
/** Longer messages are cut: dumps of level 3. */
const maxOctets = 32 * 1024

const facilities = { daemon: 3, auth: 10 } as const satisfies Record<SyslogSettings['facility'], number>
const LOG_INFO = 6
const LOG_DEBUG = 7

/** Takes one datagram; the result is an errno name or undefined. */
export type Send = (bytes: Uint8Array) => string | undefined

export interface SystemLog {
  readonly write: (entry: LogEntry) => void
  readonly close: () => void
}

/** The socket of the system's log. */
export function openSocket(path: typeof syslogSocket | typeof journalSocket): { send: Send; close: () => void } {
  const socket = new UnixDatagrams(path, maxOctets)
  return { send: (bytes) => socket.send(bytes), close: () => socket.close() }
}

/** One line per line of a message, as charon writes them: facility daemon or authpriv, LOG_INFO unless levels are mapped, no process id. */
export function openSyslog(
  settings: SyslogSettings,
  now: () => number,
  open: typeof openSocket = openSocket,
): SystemLog {
  const { send, close } = open(syslogSocket)
  const { facility, mapLevel } = settings
  const priority = (level: number): number =>
    facilities[facility] * 8 + (mapLevel < 0 ? LOG_INFO : Math.min(mapLevel + level, LOG_DEBUG))
  const deliver = counting(send)
  return {
    write(entry) {
      const at = now()
      const head = `<${priority(entry.level)}>${formatTime('%b %e %T', undefined, at)} ${settings.identifier ?? identifier}: `
      const lines = textLines(entry, { ikeName: settings.ikeName, logLevel: settings.logLevel }, at)
      for (const line of lines.trimEnd().split('\n')) {
        deliver((lost) => `${head}${line}${lost === 0 ? '' : ` (${lost} lines before this one were lost)`}`)
      }
    },
    close,
  }
}

/** Whether standard error is the journal: then it takes entries with fields, too. */
export function underJournal(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return (env['JOURNAL_STREAM'] ?? '') !== ''
}

/** charon's fields: the bare text as MESSAGE, and group, level and IKE SA beside it. */
export function openJournal(open: typeof openSocket = openSocket): SystemLog {
  const { send, close } = open(journalSocket)
  const deliver = counting(send)
  return {
    write({ group, level, severity, message, ikeSa }) {
      const priority = severity === 'error' ? 3 : severity === 'warn' ? 4 : level === 0 ? 5 : level === 1 ? 6 : 7
      deliver((lost) =>
        journalFields({
          MESSAGE: lost === 0 ? message : `${message} (${lost} entries before this one were lost)`,
          PRIORITY: String(priority),
          SYSLOG_IDENTIFIER: identifier,
          GROUP: group,
          LEVEL: String(level),
          THREAD: '0',
          IKE_SA_UNIQUE_ID: ikeSa?.uniqueId.toString(),
          IKE_SA_NAME: ikeSa?.name,
        }),
      )
    },
    close,
  }
}

/** The journal's native protocol: `KEY=value` lines; a value with a newline has its length before it. */
function journalFields(fields: Readonly<Record<string, string | undefined>>): Uint8Array {
  const parts = Object.entries(fields).flatMap(([name, text]) => {
    if (text === undefined) return []
    if (!text.includes('\n')) return [Buffer.from(`${name}=${text}\n`)]
    const octets = Buffer.from(text)
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(octets.length))
    return [Buffer.from(`${name}\n`), length, octets, Buffer.from('\n')]
  })
  return Buffer.concat(parts)
}

/** Hands datagrams over; `make` is told how many the reader did not take since the last that it took. */
function counting(send: Send): (make: (lost: number) => string | Uint8Array) => void {
  let lost = 0
  return (make) => {
    const made = make(lost)
    const octets = typeof made === 'string' ? Buffer.from(made) : made
    if (send(octets.subarray(0, maxOctets)) === undefined) lost = 0
    else lost++
  }
}
