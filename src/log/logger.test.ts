import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import type { FileLogSettings } from '../config/log-settings.ts'
import type { LogEntry } from '../ike/output.ts'
import type { Destination } from './destination.ts'
import { openDestination } from './destination.ts'
import { formatTime, textLines } from './layout.ts'
import { openLog } from './logger.ts'

const ikeSa = { name: 'net', uniqueId: 7 }
const up: LogEntry = { group: 'IKE', level: 0, message: 'established', ikeSa }

const file = (path: string, more: Partial<FileLogSettings> = {}): FileLogSettings => ({
  kind: 'filelog',
  path,
  levels: { default: 1, groups: {} },
  append: true,
  flushLine: false,
  ikeName: false,
  logLevel: false,
  json: false,
  ...more,
})

/** Collects what is written to each path. */
function memory() {
  const written = new Map<string, string>()
  const open = (path: string): Destination => ({
    write: (text) => void written.set(path, (written.get(path) ?? '') + text),
    flush: () => {},
    reopen: () => {},
    close: () => {},
  })
  return { written, open }
}

test('text lines', () => {
  const plain = { ikeName: false, logLevel: false }
  assert.equal(textLines(up, plain, 0), '00[IKE] established\n')
  assert.equal(textLines(up, { ikeName: true, logLevel: true }, 0), '00[IKE0] <net|7> established\n')
  const unnamed = { ...up, ikeSa: { name: undefined, uniqueId: 7 } }
  assert.equal(textLines(unnamed, { ikeName: true, logLevel: false }, 0), '00[IKE] <7> established\n')
  assert.equal(textLines({ ...up, message: 'a\nb' }, plain, 0), '00[IKE] a\n00[IKE] b\n')
})

test("json: one object for each message, with charon's keys", async () => {
  const { written, open } = memory()
  const log = openLog({ loggers: [file('/a', { json: true })] }, { open, now: () => 0 })
  log.write({ ...up, message: 'a\nb' })
  await log.close()
  const { thread, group, level, msg, ...rest } = JSON.parse(written.get('/a') ?? '') as Record<string, unknown>
  assert.deepEqual([thread, group, level, msg].map(String), ['0', 'IKE', '0', 'a\nb'])
  assert.deepEqual([rest['ikesa-uniqueid'], rest['ikesa-name']].map(String), ['7', 'net'])
})

test('flush_line: each line is in the file at once', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(directory, 'log')
  const destination = openDestination(path, { append: true, flushLine: true })
  destination.write('one\n')
  assert.equal(readFileSync(path, 'utf8'), 'one\n')
  destination.close()
  rmSync(directory, { recursive: true })
})

test('times by strftime', () => {
  const at = new Date(2026, 10, 1, 6, 7, 8, 9).getTime()
  assert.equal(formatTime('%b %e %T', 'ms', at), 'Nov  1 06:07:08.009')
  assert.equal(formatTime('%Y-%m-%dT%H:%M:%S', 'us', at), '2026-11-01T06:07:08.009000')
  assert.equal(formatTime('%a %A %j %y %I%p %% %Q', undefined, at), 'Sun Sunday 305 26 06AM % %Q')
  assert.match(formatTime('%z', undefined, at), /^[+-]\d{4}$/)
})

test('each logger gets its groups up to their levels', async () => {
  const { written, open } = memory()
  const loggers = [
    file('a', { levels: { default: 0, groups: { NET: 2 } } }),
    file('b', { levels: { default: -1, groups: {} } }),
  ]
  const log = openLog({ loggers }, { open })
  for (const group of ['IKE', 'NET'] as const) {
    for (const level of [0, 1, 2, 3] as const) log.write({ group, level, message: `${group}${level}` })
  }
  await log.close()
  assert.deepEqual([...written], [['a', '00[IKE] IKE0\n00[NET] NET0\n00[NET] NET1\n00[NET] NET2\n']])
  assert.deepEqual(
    [log.enabled('IKE', 0), log.enabled('IKE', 1), log.enabled('NET', 2), log.enabled('NET', 3)],
    [true, false, true, false],
  )
})

test('JSON lines with severity and fields', async () => {
  const { written, open } = memory()
  const log = openLog(
    { loggers: [{ kind: 'journal', levels: { default: 2, groups: {} } }, file('c', { json: true })] },
    { open, now: () => 0 },
  )
  log.write(up)
  log.write({ group: 'CFG', level: 1, message: 'selected proposal: …' })
  log.write({ group: 'ENC', level: 2, message: 'detail' })
  log.write({ group: 'KNL', level: 1, severity: 'error', message: 'no ESP' })
  log.write({ group: 'CFG', level: 1, severity: 'warn', message: 'open file' })
  await log.close()
  const lines = (path: string) =>
    (written.get(path) ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  const time = '1970-01-01T00:00:00.000Z'
  assert.deepEqual(lines('stderr')[0], {
    level: 'info',
    time,
    group: 'IKE',
    charonLevel: 0,
    ikeSa: 'net',
    ikeSaId: 7,
    msg: 'established',
  })
  assert.deepEqual(
    lines('stderr').map(({ level }) => level),
    ['info', 'debug', 'trace', 'error', 'warn'],
  )
  assert.deepEqual(lines('c')[0], {
    time,
    thread: 0,
    group: 'IKE',
    level: 0,
    'ikesa-uniqueid': 7,
    'ikesa-name': 'net',
    msg: 'established',
  })
})

test('files: mode 0640, appended to, opened again after rotation', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(directory, 'charon.log')
  const log = openLog({ loggers: [file(path)] })
  log.write({ ...up, message: 'one' })
  log.flush()
  assert.equal(statSync(path).mode & 0o777, 0o640)
  renameSync(path, `${path}.1`)
  log.write({ ...up, message: 'two' })
  log.reopen()
  log.write({ ...up, message: 'three' })
  await log.close()
  assert.equal(readFileSync(`${path}.1`, 'utf8'), '00[IKE] one\n00[IKE] two\n')
  assert.equal(readFileSync(path, 'utf8'), '00[IKE] three\n')
  writeFileSync(path, 'old\n')
  const fresh = openDestination(path, { append: false, flushLine: true })
  fresh.write('new\n')
  assert.equal(readFileSync(path, 'utf8'), 'new\n')
  fresh.close()
  rmSync(directory, { recursive: true })
})

test('a logger that cannot be opened is reported to the others', async () => {
  const { written, open } = memory()
  const log = openLog(
    {
      loggers: [file('/nowhere/x'), file('a')],
    },
    { open: (path, options) => (path.startsWith('/') ? openDestination(path, options) : open(path)) },
  )
  await log.close()
  assert.match(written.get('a') ?? '', /cannot be opened: ENOENT/)
})

/** Takes datagrams, as long as it wants to. */
function reader() {
  const got: string[] = []
  let takes = true
  const openSocket = () => ({
    send: (bytes: Uint8Array) => {
      if (takes) got.push(Buffer.from(bytes).toString('latin1'))
      return takes ? undefined : 'EAGAIN'
    },
    close: () => {},
  })
  const take = (yes: boolean): void => {
    takes = yes
  }
  return { got, openSocket, take }
}

test('syslog gets a line for each line, with facility, time, name and group', async () => {
  const { got, openSocket, take } = reader()
  const levels = { default: 1, groups: {} }
  const now = () => new Date(2026, 10, 1, 6, 7, 8).getTime()
  const log = openLog(
    {
      loggers: [
        {
          kind: 'syslog',
          facility: 'daemon',
          levels,
          ikeName: true,
          logLevel: false,
          mapLevel: -1,
          identifier: 'ipsec',
        },
        {
          kind: 'syslog',
          facility: 'auth',
          levels: { default: 0, groups: {} },
          ikeName: false,
          logLevel: false,
          mapLevel: -1,
        },
      ],
    },
    { openSocket, now },
  )
  log.write({ ...up, message: 'one\ntwo' })
  log.write({ ...up, level: 1 })
  take(false)
  log.write({ ...up, level: 1, message: 'nobody reads this' })
  take(true)
  log.write({ ...up, level: 1, message: 'again' })
  await log.close()
  assert.deepEqual(got, [
    '<30>Nov  1 06:07:08 ipsec: 00[IKE] <net|7> one',
    '<30>Nov  1 06:07:08 ipsec: 00[IKE] <net|7> two',
    '<86>Nov  1 06:07:08 charon-systemd: 00[IKE] one',
    '<86>Nov  1 06:07:08 charon-systemd: 00[IKE] two',
    '<30>Nov  1 06:07:08 ipsec: 00[IKE] <net|7> established',
    '<30>Nov  1 06:07:08 ipsec: 00[IKE] <net|7> again (1 lines before this one were lost)',
  ])
})

test('map_level: levels are priorities of syslog, from that one on', async () => {
  const { got, openSocket } = reader()
  const now = () => new Date(2026, 10, 1, 6, 7, 8).getTime()
  const common = { kind: 'syslog', facility: 'daemon', ikeName: false, logLevel: false } as const
  const log = openLog(
    { loggers: [{ ...common, mapLevel: 5, levels: { default: 3, groups: {} } }] },
    { openSocket, now },
  )
  for (const level of [0, 1, 2, 3] as const) log.write({ group: 'IKE', level, message: 'x' })
  await log.close()
  assert.deepEqual(
    got.map((line) => /^<(\d+)>/.exec(line)?.[1]),
    ['29', '30', '31', '31'],
  )
})

test("the journal gets the bare text, with charon's fields beside it", async () => {
  const { got, openSocket } = reader()
  const settings = { loggers: [{ kind: 'journal', levels: { default: 1, groups: {} } } as const] }
  const log = openLog(settings, { openSocket, journal: true })
  log.write(up)
  log.write({ group: 'CFG', level: 1, severity: 'error', message: 'a\nb' })
  await log.close()
  const rest = 'SYSLOG_IDENTIFIER=charon-systemd\n'
  assert.deepEqual(got, [
    `MESSAGE=established\nPRIORITY=5\n${rest}GROUP=IKE\nLEVEL=0\nTHREAD=0\nIKE_SA_UNIQUE_ID=7\nIKE_SA_NAME=net\n`,
    `MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n${rest}GROUP=CFG\nLEVEL=1\nTHREAD=0\n`,
  ])
})

test('what is buffered is written when the process ends, whichever way', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(directory, 'log')
  const source = `import { openLog } from ${JSON.stringify(new URL('logger.ts', import.meta.url).href)}
    const log = openLog({ loggers: [${JSON.stringify(file(path))}] })
    log.write({ group: 'DMN', level: 1, message: 'last words' })
    throw new Error('the end')`
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { stdio: 'ignore' })
  assert.equal(status, 1)
  assert.equal(readFileSync(path, 'utf8'), '00[DMN] last words\n')
  rmSync(directory, { recursive: true })
})
