import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LogEntry, UpdownScript } from '../ike/output.ts'
import { runScripts } from './daemon-scripts.ts'
import { runShell } from './shell.ts'
import { UpdownScripts } from './updown.ts'

function folder(t: { after: (done: () => void) => void }): string {
  const made = mkdtempSync(join(tmpdir(), 'scripts-'))
  t.after(() => rmSync(made, { recursive: true }))
  return made
}

async function linesOf(command: string, environment?: Record<string, string>): Promise<readonly string[]> {
  const lines: string[] = []
  await runShell(command, { line: (text) => lines.push(text), ...(environment && { environment }) })
  return lines
}

test('both outputs of a command are lines; the last one needs no newline', async () => {
  assert.deepEqual(await linesOf('echo one; echo two >&2; printf three'), ['one', 'two', 'three'])
})

test('a command has PATH and what it is given in its environment, and nothing else', async () => {
  const names = (await linesOf('env | cut -c1-60', { PLUTO_VERB: 'up-client' })).map((line) => line.split('=')[0])
  assert.ok(names.includes('PATH') && names.includes('PLUTO_VERB'))
  const shells = new Set(['PATH', 'PLUTO_VERB', 'PWD', 'OLDPWD', 'SHLVL', '_'])
  assert.deepEqual(
    names.filter((name) => name !== undefined && !shells.has(name)),
    [],
  )
})

test('lines longer than 127 octets come in pieces, and control characters do not get through', async () => {
  const lines = await linesOf('printf "%0300d\\n" 0; printf "a\\033[31mb\\n"')
  assert.deepEqual(
    lines.map(({ length }) => length),
    [127, 127, 46, 7],
  )
  assert.equal(lines[3], 'a?[31mb')
})

test('a command that leaves something running in the background has ended', async () => {
  const lines = await linesOf('sleep 3 & echo done; kill $!')
  assert.deepEqual(lines, ['done'])
})

function script(uniqueId: number, command: string, changes: Partial<UpdownScript> = {}): UpdownScript {
  return {
    command,
    up: true,
    ikeSa: { name: 'lab', uniqueId },
    child: { name: 'net', reqid: 1 },
    local: '192.0.2.1',
    runs: [{ PLUTO_VERB: 'up-client' }],
    ...changes,
  }
}

test('scripts of one IKE SA run one after the other, those of another beside them', async (t) => {
  const out = join(folder(t), 'out')
  const scripts = new UpdownScripts({ log: () => {}, interfaceOf: () => 'eth7' })
  const release = `${out}.go`
  const wait = `until [ -e ${release} ]; do sleep 0.02; done`
  scripts.perform(script(1, `${wait}; echo first $PLUTO_VERB $PLUTO_INTERFACE >> ${out}`))
  scripts.perform(script(1, `echo second >> ${out}`))
  scripts.perform(script(2, `echo other >> ${out}; : > ${release}`))
  await scripts.settled()
  assert.equal(readFileSync(out, 'utf8'), 'other\nfirst up-client eth7\nsecond\n')
})

test('the interface of the beginning is that of the end, although the address has gone', async () => {
  const lines: string[] = []
  let name: string | undefined = 'eth3'
  const scripts = new UpdownScripts({ log: ({ message }) => lines.push(message), interfaceOf: () => name })
  scripts.perform(script(1, 'echo $PLUTO_INTERFACE'))
  name = undefined
  scripts.perform(script(1, 'echo $PLUTO_INTERFACE', { up: false }))
  scripts.perform(script(1, 'echo $PLUTO_INTERFACE', { up: false }))
  await scripts.settled()
  assert.deepEqual(lines, ['updown: eth3', 'updown: eth3', 'updown: unknown'])
})

test('what a peer says of itself reaches a script as a variable, never as part of the command', async (t) => {
  const lines: string[] = []
  const marker = join(folder(t), 'marker')
  const scripts = new UpdownScripts({ log: ({ message }) => lines.push(message) })
  const hostile = `$(touch ${marker}); touch ${marker} #`
  scripts.perform(script(1, 'echo "$PLUTO_PEER_ID"', { runs: [{ PLUTO_PEER_ID: hostile }] }))
  await scripts.settled()
  assert.deepEqual(lines, [`updown: ${hostile}`])
  assert.throws(() => readFileSync(marker), { code: 'ENOENT' })
})

test('start scripts run in order, with their output in the log; one that fails does not stop the next', async (t) => {
  const log: LogEntry[] = []
  const out = join(folder(t), 'out')
  writeFileSync(out, '')
  const scripts = [
    { name: 'bad', command: 'echo oops; exit 3' },
    { name: 'good', command: `echo fine >> ${out}` },
  ]
  await runScripts('start', scripts, (entry) => log.push(entry))
  assert.deepEqual(
    log.map(({ group, message }) => `${group} ${message}`),
    [
      "DMN executing start script 'bad' (echo oops; exit 3)",
      'DMN bad: oops',
      `DMN executing start script 'good' (echo fine >> ${out})`,
    ],
  )
  assert.equal(readFileSync(out, 'utf8'), 'fine\n')
})
