/** The program inside the guest: plays the scenarios of a plan, one after the other, and tells about each in /lab/events. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { play, type Result } from './play.ts'
import { readScenario, type Scenario } from './scenario.ts'
import { type Need, probes } from './scenarios.ts'
import { type DaemonName, layFoundations } from './site.ts'

/** Where Sallyport runs: on one host, on all, on none. `moon` is sun where moon has no daemon. */
export type Stand = string

export interface Plan {
  readonly names: readonly string[]
  /** What a scenario needs of the kernel. */
  readonly needs: Readonly<Record<string, Need>>
  readonly stand: 'all' | 'none' | string
}

export type Event =
  | { readonly kind: 'start'; readonly name: string }
  | {
      readonly kind: 'end'
      readonly name: string
      readonly ms: number
      readonly result?: Result
      /** What the kernel lacks for it. */
      readonly lacking?: Need
      /** It could not be played to the end. */
      readonly failure?: string
    }

const prepared = '/mnt/scenarios'
const plan: Plan = JSON.parse(readFileSync(process.argv[2] ?? '/lab/plan.json', 'utf8'))

// A command that nobody waits for any more (its scenario failed) must not end the other scenarios.
process.on('unhandledRejection', () => {})
// What scenarios use and kernels do not load by themselves, where it is a module.
spawnSync('modprobe', [
  '-aq',
  'overlay',
  'tun',
  'ah4',
  'ah6',
  'ipcomp',
  'ipcomp6',
  'xfrm_interface',
  'ip_vti',
  'nf_tables',
])
layFoundations(prepared)
const has = new Map<Need, boolean>()

for (const name of plan.names) {
  tell({ kind: 'start', name })
  const need = plan.needs[name]
  if (need !== undefined && !kernelHas(need)) {
    tell({ kind: 'end', name, ms: 0, lacking: need })
    continue
  }
  const from = Date.now()
  let outcome: { readonly result: Result } | { readonly failure: string }
  const folder = '/tmp/scenario'
  try {
    rmSync(folder, { recursive: true, force: true })
    const scenario = readScenario(prepared, name, folder)
    outcome = { result: await play(scenario, daemonsOf(scenario), prepared, join('/lab/logs', name)) }
  } catch (error) {
    outcome = { failure: error instanceof Error ? error.message : String(error) }
  }
  tell({ kind: 'end', name, ms: Date.now() - from, ...outcome })
}
process.exit(0)

function daemonsOf({ daemons }: Scenario): Readonly<Record<string, DaemonName>> {
  const ours = plan.stand === 'moon' && !daemons.includes('moon') ? 'sun' : plan.stand
  return Object.fromEntries(
    daemons.map((host) => [host, ours === 'all' || ours === host ? ('sallyport' as const) : ('charon' as const)]),
  )
}

function kernelHas(need: Need): boolean {
  const found = has.get(need) ?? spawnSync('unshare', ['--net', 'sh', '-c', probes[need]]).status === 0
  has.set(need, found)
  return found
}

function tell(event: Event): void {
  appendFileSync('/lab/events', `${JSON.stringify(event)}\n`)
}
