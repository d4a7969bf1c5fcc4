/**
 * The same swanctl commands to two daemons with the same configuration, in the same place against the same peer, and a
 * comparison of everything that swanctl prints.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './hosts.ts'
import { startStrongswan } from './peers/strongswan.ts'
import { fieldNames, readPretty } from './peers/vici-raw.ts'
import { poll } from './poll.ts'
import { pingBothWays } from './proofs.ts'
import type { Stage } from './stage.ts'

/** What each command printed, in a form that is the same for equal behaviour. */
export type Printed = ReadonlyMap<string, string>

/** Gives commands to the daemon on moon. */
export type Talk = (stage: Stage) => Promise<Printed>

/** Ours first, then charon in its place. Throws with the first difference of each command. */
export async function proveSurface(stage: Stage, talk: Talk = tunnelTalk): Promise<void> {
  const { moon } = stage.ground
  const ours = await talk(stage)
  writeFileSync(join(moon.folder, 'run/surface-ours.txt'), text(ours))
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const reference = await talk(stage)
  writeFileSync(join(moon.folder, 'run/surface-charon.txt'), text(reference))
  await charon.stop()
  const differences = [...reference].flatMap(([command, expected]) => difference(command, ours.get(command), expected))
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

async function tunnelTalk(stage: Stage): Promise<Printed> {
  const { moon } = stage.ground
  const printed = new Map<string, string>()
  const swanctl = async (words: string, form: (out: string) => string, when = ''): Promise<void> => {
    const { code, text: out } = await moon.shell.run(`timeout 12 swanctl ${words}`)
    printed.set(`${words}${when}`, `status ${code}\n${form(out)}`)
  }
  await swanctl('--version --daemon --pretty', fields)
  await swanctl('--stats --pretty', fields)
  await swanctl('--list-conns --pretty', withoutNewer)
  await swanctl('--list-conns', (out) => out)
  await swanctl('--load-all --noprompt', (out) => out)
  await swanctl('--list-sas --pretty', (out) => out, ' (before)')
  await swanctl('--initiate --child nosuch', (out) => out)
  await swanctl('--terminate --ike nosuch', (out) => out)
  await followLog(moon)
  await swanctl('--initiate --child net', lastLine)
  printed.set('--log', await logged(moon))
  await pingBothWays(stage)
  await swanctl('--list-sas --pretty', fields)
  await swanctl('--list-sas --raw', shape)
  await swanctl('--list-sas', shape)
  await swanctl('--terminate --ike net', lastLine)
  await swanctl('--list-sas --pretty', (out) => out, ' (after)')
  return printed
}

/** `--log` runs beside the others; it has the lines of the set-up in the end. */
async function followLog(host: Host): Promise<void> {
  await host.shell.must('timeout 10 stdbuf -oL swanctl --log >/run/swanctl.log 2>&1 & sleep 0.3')
}

async function logged(host: Host): Promise<string> {
  const file = join(host.folder, 'run/swanctl.log')
  const wanted = [/^\d\d\[ENC\] parsed IKE_AUTH response 1/m, /^\d\d\[IKE\] CHILD_SA net\{\d+\} established with SPIs/m]
  try {
    await poll('--log', 3000, () => wanted.every((one) => one.test(readFileSync(file, 'utf8'))))
    return 'shows the set-up'
  } catch {
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    return `does not show the set-up, its ${lines.length} lines end in: ${lines.at(-1)}`
  }
}

/** Names of fields in their order, without the names of what happens to be there (plugins). */
export function fields(out: string): string {
  return fieldNames(readPretty(out)).join('\n')
}

/** Without what list-conns has since strongSwan 6.0.7, newer than the peer in the lab. */
export function withoutNewer(out: string): string {
  return out
    .replaceAll(/^\s*(local_port|remote_port|interface|priority) = .*\n/gm, '')
    .replaceAll(/^( *)(proposals|esp_proposals|ah_proposals) \{\n(?:\1 .*\n)*\1\}\n/gm, '')
}

/** The text with everything that counts or is drawn by lot replaced. */
export function shape(out: string): string {
  return out
    .replaceAll(/\b[0-9a-f]{16}(?=_[ir])/g, 'SPI')
    .replaceAll(/(initiator-spi|responder-spi|spi-in|spi-out)=[0-9a-f]+/g, '$1=SPI')
    .replaceAll(/^(\s+(?:in|out)\s+)[0-9a-f]{8}/gm, '$1SPI')
    .replaceAll(
      /(bytes-in|bytes-out|packets-in|packets-out|use-in|use-out|established|[a-z]+-time|uniqueid)=-?\d+/g,
      '$1=N',
    )
    .replaceAll(/net-\d+/g, 'net-N')
    .replaceAll(/#\d+/g, '#N')
    .replaceAll(/\d+s\b/g, 'Ns')
    .replaceAll(/\s+\d+s? (bytes|packets)/g, ' N $1')
    .replaceAll(/, +Ns ago/g, ', Ns ago')
}

export function lastLine(out: string): string {
  return out.trim().split('\n').at(-1) ?? ''
}

/** Nothing, or the first line that differs. */
export function difference(command: string, ours: string | undefined, expected: string): string[] {
  if (ours === expected) return []
  const a = (ours ?? '').split('\n')
  const b = expected.split('\n')
  const at = b.findIndex((line, n) => line !== a[n])
  const n = at < 0 ? b.length : at
  const show = (line: string | undefined): string => (line === undefined ? 'nothing' : `'${line.trim().slice(0, 300)}'`)
  return [`swanctl ${command}, line ${n + 1}: ${show(a[n])} where charon has ${show(b[n])}`]
}

export function text(printed: Printed): string {
  return [...printed].map(([command, out]) => `$ swanctl ${command}\n${out}\n`).join('\n')
}
