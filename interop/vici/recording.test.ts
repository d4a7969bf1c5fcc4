import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Answer } from '../../src/ike/output.ts'
import { ViciClient, ViciError } from '../../src/vici/client.ts'
import { sampleIkeSa } from '../../src/vici/samples.ts'
import { listenVici } from '../../src/vici/server.ts'
import { scriptedDaemon } from '../../src/vici/testing.ts'
import { compare } from './compare.ts'
import { record } from './recorder.ts'
import { type Entry, read, readRecording, writeRecording } from './recording.ts'
import { replay } from './replay.ts'

/** A daemon that lists these SAs, at a socket in `folder`. */
async function daemon(
  folder: string,
  ikeSas: Extract<Answer, { kind: 'sas' }>['ikeSas'],
): Promise<AsyncDisposable & { path: string }> {
  const path = join(folder, 'charon.vici')
  const scripted = scriptedDaemon(({ kind }) => (kind === 'list-sas' ? { kind: 'sas', ikeSas } : undefined))
  const server = await listenVici({ uri: `unix://${path}`, daemon: scripted })
  return { path, [Symbol.asyncDispose]: () => server.close() }
}

/** What two clients at once say and hear. */
async function recorded(folder: string): Promise<readonly Entry[]> {
  await using one = await daemon(folder, [sampleIkeSa])
  const recorder = await record(join(folder, 'recorder.vici'), one.path)
  try {
    await using first = await ViciClient.connect(`unix://${join(folder, 'recorder.vici')}`)
    await using second = await ViciClient.connect(`unix://${join(folder, 'recorder.vici')}`)
    await first.stream('list-sas', 'list-sa', [], () => {})
    await second.request('version')
    await assert.rejects(second.request('nosuch'), ViciError)
  } finally {
    await recorder.close()
  }
  return recorder.entries
}

test('what is recorded can be read again, and replayed: the same daemon says the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'recording-'))
  try {
    const entries = await recorded(folder)
    const answers = entries.filter(({ from }) => from === 'daemon').map((entry) => read(entry).type)
    assert.deepEqual(
      answers.filter((type) => type !== 'closed'),
      ['EVENT_CONFIRM', 'EVENT', 'CMD_RESPONSE', 'EVENT_CONFIRM', 'CMD_RESPONSE', 'CMD_UNKNOWN'],
    )
    const again = readRecording(writeRecording(entries))
    assert.deepEqual(again, entries)
    // Other numbers, SPIs and times are no difference.
    const other = { ...sampleIkeSa, uniqueId: 99, spiI: 7n, established: 77 }
    await using same = await daemon(folder, [other])
    assert.deepEqual(compare(await replay(again, same.path), entries), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('differences are found: a field less, another value, an answer less', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'recording-'))
  try {
    const entries = await recorded(folder)
    const { established: _, ...less } = sampleIkeSa
    {
      await using other = await daemon(folder, [{ ...less, natAny: false }])
      assert.deepEqual(compare(await replay(entries, other.path), entries), [
        'client 1, list-sas {}, event list-sa: only charon has ud.nat-any = yes',
        'client 1, list-sas {}, event list-sa: only charon has ud.established = N',
      ])
    }
    await using none = await daemon(folder, [])
    const differences = compare(await replay(entries, none.path), entries)
    assert.deepEqual(differences, ['client 1, list-sas {}: CMD_RESPONSE where charon has event list-sa, CMD_RESPONSE'])
    const known = [{ why: 'there is no SA', line: /list-sas/ }]
    assert.deepEqual(compare(await replay(entries, none.path), entries, known), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
