/**
 * npm run interop -- [filter…] [--list] [--peer-only] [--keep] [--retry] [--guests N] [--lanes N] [--deb FILE]
 *   [--source TREE]
 * npm run interop -- --build-kernel
 *
 * Runs the scenarios whose names contain one of the filters (all without any) and ends with their number. `--peer-only`
 * puts strongSwan in Sallyport's place, which proves the lab itself. `--keep` keeps the logs of what passed. Scenarios
 * run side by side: in so many guest kernels, and in so many lanes in each. `--retry` plays what has failed once more, one
 * after the other: on a busy machine a peer's timeouts pass that are not ours; the end says how many needed it. `--deb` takes a
 * package for Debian that is there; else one is built. TREE is a source tree of strongSwan: its client libraries are
 * played, too. `--build-kernel` makes a guest kernel with what packaged ones
 * leave out (lab/kernel-build.ts), for the scenarios that need it.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder, runFolder } from './lab/cache.ts'
import { type FoundGround, findGround, type Ground, groundWithInterfaces, runInside } from './lab/guest.ts'
import type { Event, Plan } from './lab/inside.ts'
import { buildKernel } from './lab/kernel-build.ts'
import { strongswanHasMlKem } from './lab/ml-kem.ts'
import { type RootName, rootFolder } from './lab/root.ts'
import type { Scenario } from './lab/scenario.ts'
import { scenarios } from './scenarios/all.ts'
import { librariesFolder } from './vici/libraries.ts'

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    'peer-only': { type: 'boolean' },
    'build-kernel': { type: 'boolean' },
    keep: { type: 'boolean' },
    retry: { type: 'boolean' },
    guests: { type: 'string' },
    lanes: { type: 'string' },
    deb: { type: 'string' },
    source: { type: 'string' },
  },
})
const checkout = fileURLToPath(new URL('..', import.meta.url))
const chosen = scenarios.filter(
  (scenario) => isMeant(scenario) && (filters.length === 0 || filters.some((filter) => scenario.name.includes(filter))),
)

/** Where the client libraries are in a source tree of strongSwan. */
const libraries = options.source && join(options.source, 'src/libcharon/plugins/vici')
if (options['build-kernel']) {
  await buildKernel((line) => console.log(line))
} else if (libraries !== undefined && !existsSync(libraries)) {
  console.log(`--source is to be a strongSwan source tree: there is no ${libraries}`)
  process.exitCode = 2
} else if (options.list) {
  for (const { name } of chosen) console.log(name)
} else {
  process.exitCode = await main(chosen)
}

/** What `npm run deb` makes of this checkout; or the file given, as it is. Says why if there is none. */
/** What `npm run deb` makes of this checkout; or the file given, as it is. Says why if there is none. */
function packaged(work: string, reasons: string[]): string | undefined {
  const file = join(work, 'sallyport.deb')
  if (options.deb !== undefined) {
    copyFileSync(options.deb, file)
    return file
  }
  console.log('building the Debian package')
  const built = spawnSync(process.execPath, ['packaging/debian/build.ts', '--quick', '--out', work], {
    cwd: checkout,
    encoding: 'utf8',
  })
  if (built.status !== 0) {
    reasons.push(`skipped what needs the Debian package, which cannot be built: ${built.stderr.trim().slice(-300)}`)
    return undefined
  }
  renameSync(built.stdout.trim(), file)
  return file
}

/** Whether it is for this kind of run: of the scenarios for swanctl, the control has strongSwan everywhere. */
function isMeant({ expect }: Scenario): boolean {
  if (expect.kind === 'library') return options.source !== undefined
  if (expect.kind !== 'drop-in') return true
  return expect.placement.every((who) => who === 'strongswan') === (options['peer-only'] ?? false)
}

/** The folders of a run. */
interface Folders {
  readonly root: string
  /** Our package for Debian, where a scenario wants it. */
  readonly debianPackage: string | undefined
  readonly others: Partial<Readonly<Record<RootName, string>>>
  readonly work: string
}

async function main(wanted: readonly Scenario[]): Promise<number> {
  const begin = Date.now()
  const report = (line: string): void => console.log(line)
  const root = await rootFolder('strongswan', report).catch((error: Error) => error)
  const ground: Ground =
    typeof root === 'string' ? await findGround(root, report) : { kind: 'none', missing: root.message }
  if (typeof root !== 'string' || ground.kind === 'none') {
    console.log(
      `0 passed, 0 failed, ${wanted.length} skipped: nothing can run; missing: ${ground.kind === 'none' ? ground.missing : ''}`,
    )
    return 1
  }
  const { others, reasons } = await otherRoots(wanted, report)
  const work = runFolder('interop')
  const debianPackage = wanted.some(({ expect }) => expect.kind === 'debian') ? packaged(work, reasons) : undefined
  const rooted = wanted.filter(
    (scenario) =>
      otherRoot(scenario).every((name) => others[name] !== undefined) &&
      (scenario.expect.kind !== 'debian' || debianPackage !== undefined),
  )
  const demanding = rooted.filter(({ needs }) => needs !== undefined)
  const withInterfaces = demanding.length > 0 ? await groundWithInterfaces(ground, root) : undefined
  const possible = withInterfaces === undefined ? rooted.filter(({ needs }) => needs === undefined) : rooted
  const without = rooted.length - possible.length
  if (without > 0)
    reasons.push(`skipped ${without} that need XFRM interfaces: the kernel has none; build one with --build-kernel`)
  const skipped = wanted.length - possible.length
  const where = ground.kind === 'host' ? 'the kernel of this machine' : 'user-mode Linux'
  console.log(`${possible.length} scenarios on ${where}`)
  const plan = {
    names: [],
    ours: options['peer-only'] ? 'strongswan' : 'sallyport',
    keep: options.keep ?? false,
  } as const
  const results = new Map<string, string | undefined>()
  let second = 0
  for (const [under, label, group] of [
    [ground, '.', possible.filter(({ needs }) => needs === undefined)],
    [withInterfaces, 'interfaces', possible.filter(({ needs }) => needs !== undefined)],
  ] as const) {
    if (under === undefined || group.length === 0) continue
    const folders = { root, debianPackage, others, work: join(work, label) }
    mkdirSync(folders.work, { recursive: true })
    const some = await runAll(under, folders, plan, group)
    if (options.retry) second += await playAgain(under, folders, plan, some)
    for (const [name, failure] of some) results.set(name, failure)
  }
  const failed = [...results.values()].filter((failure) => failure !== undefined).length
  const notRun = possible.length - results.size
  for (const reason of reasons) console.log(reason)
  const lacking = skipped + notRun > 0 ? `, ${skipped + notRun} skipped` : ''
  const more = second > 0 ? `${lacking}, ${second} passed at the second attempt` : lacking
  console.log(
    `${results.size - failed} passed, ${failed} failed${more} (${((Date.now() - begin) / 60_000).toFixed(1)} min)`,
  )
  if (failed === 0 && !options.keep) rmSync(work, { recursive: true, force: true })
  else console.log(`logs, captures and kernel contents: ${work}`)
  // That a packaged kernel lacks something is no fault of the run.
  return failed === 0 && skipped + notRun === without ? 0 : 1
}

/** The roots that a scenario needs besides the usual one. */
function otherRoot({ peer, root, reference, also }: Scenario): readonly RootName[] {
  return [...(peer === 'libreswan' ? (['libreswan'] as const) : []), root, reference, also].filter(
    (name) => name !== undefined,
  )
}

/** The roots that scenarios want, those that can be had; and why others cannot. */
async function otherRoots(
  wanted: readonly Scenario[],
  report: (line: string) => void,
): Promise<{ readonly others: Folders['others']; readonly reasons: string[] }> {
  const others: Partial<Record<RootName, string>> = {}
  const reasons: string[] = []
  for (const name of new Set(wanted.flatMap(otherRoot))) {
    try {
      const folder = await rootFolder(name, report)
      if (name === 'strongswan-new' && !strongswanHasMlKem(folder)) throw new Error('its strongSwan has no ML-KEM')
      others[name] = folder
    } catch (error) {
      reasons.push(`skipped what needs the root ${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { others, reasons }
}

/**
 * Runs all chosen scenarios, side by side. What was under way in a guest that fell silent, and what it had not begun,
 * is run again, one at a time: so the one that makes guests fall silent is found.
 */
async function runAll(
  ground: FoundGround,
  folders: Folders,
  plan: Plan,
  chosen: readonly Scenario[],
): Promise<Map<string, string | undefined>> {
  const results = new Map<string, string | undefined>()
  const guests = ground.kind === 'host' ? 1 : Number(options.guests ?? Math.min(availableParallelism(), 4))
  const lanes = Number(options.lanes ?? 4)
  await Promise.all(
    Array.from({ length: Math.min(guests, chosen.length) }, async (_, guest) => {
      const names = chosen.filter((_, n) => n % guests === guest).map(({ name }) => name)
      await runGuest(ground, folders, `guest-${guest + 1}`, { ...plan, names }, Math.min(lanes, names.length), results)
    }),
  )
  for (let again = 1; ; again++) {
    const names = chosen.map(({ name }) => name).filter((name) => !results.has(name))
    if (names.length === 0) return results
    const { current, ending, folder } = await runGuest(
      ground,
      folders,
      `again-${again}`,
      { ...plan, names },
      1,
      results,
    )
    if (names.every((name) => results.has(name))) return results
    const lost = current ?? names.find((name) => !results.has(name)) ?? ''
    const reason = `the guest ${ending === 'silent' ? 'was silent' : 'ended'} (see ${join(folder, 'console.log')})`
    results.set(lost, reason)
    print(lost, 0, reason, folder)
    if (current === undefined) return results // it does not even start a scenario
  }
}

/** Plays once more what has failed, alone and one after the other. Returns how many passed then. */
async function playAgain(
  ground: FoundGround,
  folders: Folders,
  plan: Plan,
  results: Map<string, string | undefined>,
): Promise<number> {
  const names = [...results].flatMap(([name, failure]) => (failure === undefined ? [] : [name]))
  if (names.length === 0) return 0
  console.log(`once more, one after the other: ${names.length}`)
  await runGuest(ground, folders, 'second', { ...plan, names }, 1, results)
  return names.filter((name) => results.get(name) === undefined).length
}

/** Runs the scenarios of a plan in one guest, until they are done or the guest falls silent or ends. */
async function runGuest(
  ground: FoundGround,
  { root, debianPackage, others, work }: Folders,
  label: string,
  plan: Plan,
  lanes: number,
  results: Map<string, string | undefined>,
): Promise<{ readonly current: string | undefined; readonly ending: string; readonly folder: string }> {
  const folder = join(work, label)
  mkdirSync(folder)
  if (libraries !== undefined) cpSync(libraries, join(folder, librariesFolder), { recursive: true })
  if (debianPackage !== undefined) linkSync(debianPackage, join(folder, 'sallyport.deb'))
  const charons = join(cacheFolder(), 'charons', basename(root))
  if (existsSync(charons)) cpSync(charons, join(folder, 'charons'), { recursive: true })
  let current: string | undefined
  const limitMs = Math.max(
    ...scenarios.filter(({ name }) => plan.names.includes(name)).map((scenario) => scenario.limitMs),
  )
  const job = { program: 'interop/lab/inside.ts', plan, lanes, work: folder, root, others, silenceMs: limitMs + 30_000 }
  const ending = await runInside(ground, job, (event) => {
    const it = event as Event // written by inside.ts
    if (it.kind === 'start') current = it.name
    else if (it.kind === 'note') console.log(`               ${it.name}: ${it.text}`)
    else {
      current = undefined
      results.set(it.name, it.failure)
      print(it.name, it.ms, it.failure, folder)
    }
  })
  // What charon showed in the drop-in scenarios is true for later runs, too.
  if (existsSync(join(folder, 'charons'))) {
    cpSync(join(folder, 'charons'), charons, { recursive: true, filter: (file) => !file.endsWith('.failed') })
  }
  for (const part of ['checkout', 'claims', 'charons', 'sallyport.deb'])
    rmSync(join(folder, part), { recursive: true, force: true })
  return { current, ending, folder }
}

function print(name: string, ms: number, failure: string | undefined, folder: string): void {
  const time = `${(ms / 1000).toFixed(1)} s`.padStart(7)
  console.log(`${failure === undefined ? 'ok  ' : 'FAIL'} ${time}  ${name}`)
  if (failure !== undefined) {
    console.log(`               ${failure}`)
    if (existsSync(join(folder, 'logs', name))) console.log(`               ${join(folder, 'logs', name)}`)
  }
}
