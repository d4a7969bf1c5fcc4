/** The log of the daemon: entries of the core go to each configured logger that wants their group and level. */
import { pino } from 'pino'
import { type LogLevels, type LogSettings, logGroups } from '../config/log-settings.ts'
import type { LogEntry, LogGroup } from '../ike/output.ts'
import { type Destination, openDestination } from './destination.ts'
import { textLines } from './layout.ts'
import { openJournal, type openSocket, openSyslog, type SystemLog, underJournal } from './system-log.ts'

export interface Log {
  write(entry: LogEntry): void
  /** Whether any logger would write such an entry; ask before making an expensive message. */
  enabled(group: LogGroup, level: number): boolean
  /** Writes out what is buffered. */
  flush(): void
  /** Opens the files again, after they were moved away. */
  reopen(): void
  close(): Promise<void>
}

export interface LogOptions {
  /** Epoch milliseconds. */
  readonly now?: () => number
  /** Opens what a logger writes to; for tests. */
  readonly open?: typeof openDestination
  /** Opens the socket of the system's log; for tests. */
  readonly openSocket?: typeof openSocket
  /** Whether standard error is the journal. */
  readonly journal?: boolean
}

/** One configured logger. */
interface Sink {
  readonly levels: LogLevels
  readonly destination: Pick<Destination, 'flush' | 'reopen' | 'close'>
  readonly write: (entry: LogEntry) => void
}

/**
 * Opens the loggers. One that cannot be opened is reported to the others and left out: the daemon runs without it.
 */
export function openLog(settings: LogSettings, options: LogOptions = {}): Log {
  const sinks: Sink[] = []
  const complaints: string[] = []
  for (const logger of settings.loggers) {
    try {
      sinks.push(openSink(logger, options))
    } catch (error) {
      complaints.push(`a logger cannot be opened: ${(error as Error).message}`)
    }
  }
  /** The highest level that anybody wants, by group. */
  const wanted = new Map(logGroups.map((group) => [group, Math.max(-1, ...sinks.map((sink) => levelOf(sink, group)))]))
  const flush = () => {
    for (const { destination } of sinks) destination.flush()
  }
  // However the process ends, what was logged before is what explains it.
  process.on('exit', flush)

  const log: Log = {
    write(entry) {
      if (!log.enabled(entry.group, entry.level)) return
      for (const sink of sinks) if (entry.level <= levelOf(sink, entry.group)) sink.write(entry)
      if (entry.severity === 'error') flush()
    },
    enabled: (group, level) => level <= (wanted.get(group) ?? -1),
    flush,
    reopen() {
      for (const { destination } of sinks) {
        try {
          destination.reopen()
        } catch (error) {
          const message = `a log file cannot be opened again: ${(error as Error).message}`
          log.write({ group: 'LIB', level: 0, severity: 'warn', message })
        }
      }
    },
    async close() {
      process.off('exit', flush)
      for (const { destination } of sinks) destination.close()
    },
  }
  for (const message of complaints) log.write({ group: 'LIB', level: 0, severity: 'warn', message })
  return log
}

function levelOf({ levels }: Sink, group: LogGroup): number {
  return levels.groups[group] ?? levels.default
}

function openSink(
  logger: LogSettings['loggers'][number],
  { now = Date.now, open = openDestination, openSocket, journal = underJournal() }: LogOptions,
): Sink {
  if (logger.kind === 'syslog') return systemSink(logger.levels, openSyslog(logger, now, openSocket))
  if (logger.kind === 'journal') {
    if (journal) return systemSink(logger.levels, openJournal(openSocket))
    const destination = open('stderr', { append: true, flushLine: false })
    return { levels: logger.levels, destination, write: jsonWriter(destination, now) }
  }
  const destination = open(logger.path, logger)
  const write = logger.json
    ? (entry: LogEntry) => destination.write(`${charonJson(entry, now())}\n`)
    : (entry: LogEntry) => destination.write(textLines(entry, logger, now()))
  return { levels: logger.levels, destination, write }
}

/** Nothing is buffered, and there is no file to open again. */
function systemSink(levels: LogLevels, { write, close }: SystemLog): Sink {
  return { levels, write, destination: { flush: () => {}, reopen: () => {}, close } }
}

/**
 * pino's lines. Levels 0, 1 and 2 of charon are INFO (a tunnel went up or down), DEBUG (a decision) and TRACE (a packet);
 * what is broken or worth waking someone says so itself.
 */
function jsonWriter(destination: Destination, now: () => number): (entry: LogEntry) => void {
  const logger = pino(
    {
      level: 'trace',
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // No entry has such fields; should one ever get them, they stay out of the log.
      redact: {
        paths: ['secret', 'psk', 'password', 'key', '*.secret', '*.psk', '*.password', '*.key'],
        censor: '[secret]',
      },
    },
    destination,
  )
  return ({ group, level, severity, message, ikeSa }) => {
    const fields = {
      group,
      charonLevel: level,
      ...(ikeSa && { ikeSa: ikeSa.name, ikeSaId: ikeSa.uniqueId }),
    }
    if (severity === 'error') logger.error(fields, message)
    else if (severity === 'warn') logger.warn(fields, message)
    else if (level === 0) logger.info(fields, message)
    else if (level === 1) logger.debug(fields, message)
    else logger.trace(fields, message)
  }
}

/** The line of a filelog with `json = yes`. */
function charonJson({ group, level, message, ikeSa }: LogEntry, nowMs: number): string {
  return JSON.stringify({
    time: new Date(nowMs).toISOString(),
    thread: 0,
    group,
    level,
    ...(ikeSa && { 'ikesa-uniqueid': ikeSa.uniqueId }),
    ...(ikeSa?.name !== undefined && { 'ikesa-name': ikeSa.name }),
    msg: message,
  })
}
