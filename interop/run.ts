/**
 * npm run interop -- [filter…] [--list] [--peer-only] [--keep]
 *
 * Runs the scenarios whose names contain one of the filters (all without any) and ends with their number. `--peer-only`
 * puts strongSwan in Sallyport's place, which proves the lab itself. `--keep` keeps the logs of what passed.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runFolder } from './lab/cache.ts'
import { findGround, type Ground, runInside } from './lab/guest.ts'
import type { Event, Plan } from './lab/inside.ts'
import { strongswanHasMlKem } from './lab/ml-kem.ts'
import { rootFolder } from './lab/root.ts'
import type { Scenario } from './lab/scenario.ts'
import { scenarios } from './scenarios/all.ts'

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, 'peer-only': { type: 'boolean' }, keep: { type: 'boolean' } },
})
const chosen = scenarios.filter(({ name }) => filters.length === 0 || filters.some((filter) => name.includes(filter)))

if (options.list) {
  for (const { name } of chosen) console.log(name)
} else {
  process.exitCode = await main(chosen)
}

async function main(wanted: readonly Scenario[]): Promise<number> {
  const report = (line: string): void => console.log(line)
  const root = await rootFolder('strongswan', report).catch((error: Error) => error)
  const ground: Ground = typeof root === 'string' ? findGround(root) : { kind: 'none', missing: root.message }
  if (typeof root !== 'string' || ground.kind === 'none') {
    console.log(
      `0 passed, 0 failed, ${wanted.length} skipped: nothing can run; missing: ${ground.kind === 'none' ? ground.missing : ''}`,
    )
    return 1
  }
  const { libreswan, reason } = await libreswanRoot(wanted, report)
  const possible = wanted.filter(({ needs }) => needs !== 'ML-KEM' || strongswanHasMlKem(root))
  if (possible.length < wanted.length) {
    console.log(`${wanted.length - possible.length} scenarios left out: the strongSwan of this lab has no ML-KEM`)
  }
  const chosen = possible.filter(({ peer }) => peer !== 'libreswan' || libreswan !== undefined)
  const skipped = possible.length - chosen.length
  console.log(
    `${chosen.length} scenarios on ${ground.kind === 'host' ? 'the kernel of this machine' : 'user-mode Linux'}`,
  )
  const work = runFolder('interop')
  const folders = { root, work, ...(libreswan ? { libreswan } : {}) }
  const ours = options['peer-only'] ? 'strongswan' : 'sallyport'
  const results = await runAll(
    ground,
    folders,
    { names: [], ours, limitMs: 60_000, keep: options.keep ?? false },
    chosen,
  )
  const failed = [...results.values()].filter((failure) => failure !== undefined).length
  const notRun = chosen.length - results.size
  if (skipped > 0) console.log(`skipped what needs libreswan: ${reason}`)
  const more = skipped + notRun > 0 ? `, ${skipped + notRun} skipped` : ''
  console.log(`${results.size - failed} passed, ${failed} failed${more}`)
  for (const part of ['checkout', 'compile-cache']) rmSync(join(work, part), { recursive: true, force: true })
  if (failed === 0 && !options.keep) rmSync(work, { recursive: true, force: true })
  else console.log(`logs, captures and kernel contents: ${join(work, 'logs')}`)
  return failed === 0 && skipped + notRun === 0 ? 0 : 1
}

/** The libreswan root, if a scenario wants it and it can be built. */
async function libreswanRoot(
  wanted: readonly Scenario[],
  report: (line: string) => void,
): Promise<{ readonly libreswan?: string; readonly reason?: string }> {
  if (!wanted.some(({ peer }) => peer === 'libreswan')) return {}
  try {
    return { libreswan: await rootFolder('libreswan', report) }
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) }
  }
}

/** Runs all chosen scenarios; if the guest falls silent it is started anew with those that remain. */
async function runAll(
  ground: Exclude<Ground, { readonly kind: 'none' }>,
  folders: { readonly root: string; readonly libreswan?: string; readonly work: string },
  plan: Plan,
  chosen: readonly Scenario[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const results = new Map<string, string | undefined>()
  for (;;) {
    const names = chosen.map(({ name }) => name).filter((name) => !results.has(name))
    if (names.length === 0) return results
    let current: string | undefined
    const ending = await runInside(
      ground.kind,
      { program: 'interop/lab/inside.ts', plan: { ...plan, names }, silenceMs: plan.limitMs + 30_000, ...folders },
      (event) => {
        const it = event as Event // written by inside.ts
        if (it.kind === 'start') current = it.name
        else {
          current = undefined
          results.set(it.name, it.failure)
          print(it.name, it.ms, it.failure, folders.work)
        }
      },
    )
    if (current === undefined && names.every((name) => results.has(name))) return results
    const lost = current ?? names.find((name) => !results.has(name)) ?? ''
    const reason = `the guest ${ending === 'silent' ? 'was silent' : 'ended'} (see ${join(folders.work, 'console.log')})`
    results.set(lost, reason)
    print(lost, 0, reason, folders.work)
    if (current === undefined) return results // it does not even start a scenario
  }
}

function print(name: string, ms: number, failure: string | undefined, work: string): void {
  const time = `${(ms / 1000).toFixed(1)} s`.padStart(7)
  console.log(`${failure === undefined ? 'ok  ' : 'FAIL'} ${time}  ${name}`)
  if (failure !== undefined) {
    console.log(`               ${failure}`)
    if (existsSync(join(work, 'logs', name))) console.log(`               ${join(work, 'logs', name)}`)
  }
}
