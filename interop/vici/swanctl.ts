/**
 * All that swanctl says to charon, in every sub-command, is recorded, and said again to Sallyport in charon's place: the
 * answers and events have the same fields in the same order.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Host, writeHostFile } from '../lab/hosts.ts'
import type { Running } from '../lab/peers/peer.ts'
import { startSallyport } from '../lab/peers/sallyport.ts'
import { startStrongswan } from '../lab/peers/strongswan.ts'
import type { Stage } from '../lab/stage.ts'
import { commands, files } from '../lab/subcommands.ts'
import { compare, type Known } from './compare.ts'
import { record } from './recorder.ts'
import { type Entry, writeRecording } from './recording.ts'
import { replay } from './replay.ts'

/** What differs, and shall. */
export const known: readonly Known[] = [
  {
    why: 'each daemon lists the algorithms that it has',
    line: /get-algorithms \{\}, CMD_RESPONSE: only (ours|charon) has \S+\.\S+ = \S+$/,
  },
  { why: 'the default proposals are made of them', line: / has shunts\.proposals\./ },
]

/** charon and a recorder, then Sallyport and a replay. Throws with every difference. */
export async function proveMessages(stage: Stage): Promise<void> {
  const { moon } = stage.ground
  for (const [name, text] of Object.entries(files)) writeHostFile(moon, `/etc/swanctl/${name}`, text, 0o600)
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const expected = await recordSwanctl(moon, charon)
  keep(moon, 'charon', expected)
  await charon.stop()
  const sallyport = await startSallyport(stage.moonSide)
  const ours = await replay(expected, join(moon.folder, 'run/charon.vici'))
  keep(moon, 'ours', ours)
  await sallyport.stop()
  const differences = compare(ours, expected, known)
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

async function recordSwanctl({ folder, root, shell }: Host, daemon: Running): Promise<readonly Entry[]> {
  const recorder = await record(join(folder, 'run/recorder.vici'), join(folder, 'run/charon.vici'))
  try {
    const swanctl = root === '/' ? 'swanctl' : `chroot ${root} swanctl`
    const uri = '--uri unix:///run/recorder.vici'
    await shell.must(`timeout 200 ${swanctl} --monitor-sa ${uri} >/dev/null 2>&1 & monitor=$!; sleep 0.3`)
    for (const [words] of commands) await shell.run(`timeout 20 ${swanctl} ${words} ${uri}`)
    await sleep(500)
    await shell.must('kill -INT $monitor; sleep 0.3')
    if (recorder.entries.length === 0) throw new Error(`nobody spoke to ${daemon.name} through the recorder`)
    return [...recorder.entries]
  } finally {
    await recorder.close()
  }
}

/** Leaves a recording where it is kept as evidence. */
export function keep(host: Host, who: 'ours' | 'charon', entries: readonly Entry[]): void {
  writeFileSync(join(host.folder, `run/surface-${who}.jsonl`), writeRecording(entries))
}
