/**
 * strongSwan's own client libraries, unmodified from its source tree: each makes the same calls to charon and to Sallyport,
 * and gets the same messages, results and exceptions.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { list, section, type Tree, value } from '../../src/config/tree.ts'
import type { Host } from '../lab/hosts.ts'
import { startStrongswan } from '../lab/peers/strongswan.ts'
import type { Stage } from '../lab/stage.ts'
import { type Call, calls } from './calls.ts'
import { compare, type Known } from './compare.ts'
import { lines, Numbers, normalLog } from './normal.ts'
import { record } from './recorder.ts'
import type { Entry } from './recording.ts'
import { keep, known as knownOfSwanctl } from './swanctl.ts'

export type Language = 'python' | 'ruby' | 'perl'

/** How a script is run; the folder of the library is below that of the plugin in the source tree. */
const scripts: Readonly<Record<Language, { readonly run: string; readonly folder: string }>> = {
  python: { run: 'python3 talk.py', folder: 'python' },
  ruby: { run: 'ruby -W0 talk.rb', folder: 'ruby/lib' },
  // Its hashes have no order, and another one in each run but for this.
  perl: { run: 'env PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl talk.pl', folder: 'perl/Vici-Session/lib' },
}

/** Where run.ts leaves the libraries. */
export const librariesFolder = 'vici-libraries'

const known: readonly Known[] = knownOfSwanctl

/** Ours first, then charon in its place. Throws with every difference. */
export async function proveLibrary(stage: Stage, language: Language): Promise<void> {
  const { moon } = stage.ground
  const ours = await talk(moon, language, 'ours')
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const expected = await talk(moon, language, 'charon')
  await charon.stop()
  const differences = [
    ...compare(ours.entries, expected.entries, known),
    ...compareResults(ours.results, expected.results),
  ]
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

interface Talked {
  readonly entries: readonly Entry[]
  /** A line of JSON for each call. */
  readonly results: readonly string[]
}

async function talk(host: Host, language: Language, who: 'ours' | 'charon'): Promise<Talked> {
  const { run, folder } = scripts[language]
  const here = join(host.folder, 'run/vici')
  mkdirSync(here, { recursive: true })
  cpSync(join('/lab', librariesFolder, folder), join(here, 'library'), { recursive: true })
  cpSync('/sallyport/interop/vici/clients', here, { recursive: true })
  writeFileSync(join(here, 'calls'), calls.map((call) => `${JSON.stringify(call)}\n`).join(''))
  const recorder = await record(join(host.folder, 'run/recorder.vici'), join(host.folder, 'run/charon.vici'))
  try {
    const script = `cd /run/vici && timeout 100 ${run} library /run/recorder.vici <calls >results-${who}`
    await host.shell.must(`chroot ${host.root} sh -c '${script}'`, 110_000)
  } finally {
    await recorder.close()
    keep(host, who, recorder.entries)
  }
  const file = join(here, `results-${who}`)
  const results = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  if (results.length !== calls.length)
    throw new Error(`${results.length} results of ${calls.length} calls: ${results.at(-1)}`)
  return { entries: recorder.entries, results }
}

function compareResults(ours: readonly string[], expected: readonly string[]): string[] {
  const [a, b] = [new Numbers(), new Numbers()]
  return calls.flatMap((call, n) => {
    const [mine, theirs] = [shown(call, ours[n] ?? '', a), shown(call, expected[n] ?? '', b)]
    if (mine === theirs || hasKnown.test(call.call)) return []
    return [`call ${n + 1}, ${JSON.stringify(call)}: ${mine} where charon gives ${theirs}`]
  })
}

/** The messages of these have been compared but for what is known; and how many log entries there are is not. */
const hasKnown = /^(get-algorithms|list-conns|initiate|terminate)$/

function shown(call: Call, result: string, numbers: Numbers): string {
  const { result: got, error } = JSON.parse(result)
  if (error !== undefined) return normalLog(error)
  const name = call.call
  return lines(got === null ? [] : [section(name, tree(got))], numbers)
    .map((line) => (/^stats\./.test(line) ? line.replaceAll(/\d+|= .*/g, '') : line))
    .join('\n')
}

/** The JSON of the scripts as a message: pairs are fields, and what is no pair has a number. */
function tree(got: unknown): Tree {
  if (!Array.isArray(got)) return []
  return got.map((item: unknown, n) => {
    if (!Array.isArray(item) || typeof item[0] !== 'string' || item.length !== 2) {
      return Array.isArray(item) ? section(String(n), tree(item)) : value(String(n), String(item))
    }
    const [name, content] = item as [string, unknown]
    if (Array.isArray(content)) return section(name, tree(content))
    if (typeof content === 'object' && content !== null && 'list' in content)
      return list(name, content.list as string[])
    return value(name, String(content))
  })
}
