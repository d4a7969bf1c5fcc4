/**
 * The program inside: runs the scenarios of a plan, one after the other, and tells about each in /lab/events. Where it runs
 * in several lanes, each takes the next scenario that none has taken.
 */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { proveDmvpn } from '../frr/dmvpn.ts'
import { scenarios } from '../scenarios/all.ts'
import { proveEvents } from '../vici/events.ts'
import { proveLibrary } from '../vici/libraries.ts'
import { proveOddInput } from '../vici/odd.ts'
import { proveSeries } from '../vici/series.ts'
import { proveMessages } from '../vici/swanctl.ts'
import { proveChild } from './children.ts'
import { proveDeath } from './deaths.ts'
import { proveOnDebian } from './debian.ts'
import { proveDropIn } from './dropin/play.ts'
import { proveLeased } from './leased.ts'
import { proveMarking } from './marking.ts'
import { proveMesh } from './mesh.ts'
import { proveOwnClient } from './own-client.ts'
import type { PeerName } from './peers/peer.ts'
import { proveRefusal, proveTunnel } from './proofs.ts'
import { proveRedirect } from './redirect.ts'
import { proveRekeys } from './rekeys.ts'
import { proveRoaming } from './roaming.ts'
import { proveSameClient } from './same-client.ts'
import type { Scenario } from './scenario.ts'
import { onStage, type Stage } from './stage.ts'
import { everySubcommand } from './subcommands.ts'
import { proveSurface } from './surface.ts'
import { runTestFile } from './test-file.ts'
import { proveVirtualIps } from './virtual-ips.ts'

/** What goes in. */
export interface Plan {
  readonly names: readonly string[]
  /** What runs on moon. */
  readonly ours: PeerName
  /** Leave logs of what passes, too. */
  readonly keep: boolean
}

/** What comes out. */
export type Event =
  | { readonly kind: 'start'; readonly name: string }
  /** Something measured, for the person who runs the lab. */
  | { readonly kind: 'note'; readonly name: string; readonly text: string }
  | { readonly kind: 'end'; readonly name: string; readonly ms: number; readonly failure?: string }

const plan: Plan = JSON.parse(readFileSync(process.argv[2] ?? '/lab/plan.json', 'utf8'))

// A promise that nobody waits for any more (its scenario failed) must not end the other scenarios.
process.on('unhandledRejection', () => {})

for (const name of plan.names) {
  const scenario = scenarios.find((one) => one.name === name)
  if (!scenario || !claimed(name)) continue
  tell({ kind: 'start', name })
  const from = Date.now()
  let failure: string | undefined
  const late = AbortSignal.timeout(scenario.limitMs)
  const evidence = { folder: join('/lab/logs', name), always: plan.keep }
  try {
    if (scenario.expect.kind === 'test-file') await runTestFile(scenario.expect.file, scenario.limitMs)
    else if (scenario.expect.kind === 'mesh') await proveMesh(scenario.expect, plan.ours, evidence, late)
    else if (scenario.expect.kind === 'dmvpn') await proveDmvpn(evidence, late)
    else if (scenario.expect.kind === 'drop-in') {
      await proveDropIn(scenario.expect.dropIn, scenario.expect.placement, evidence, '/lab/charons', late)
    } else if (scenario.expect.kind === 'debian') {
      await proveOnDebian(scenario.expect, plan.ours, evidence, late, (text) => tell({ kind: 'note', name, text }))
    } else await onStage(scenario, plan.ours, evidence, late, (stage) => play(stage, scenario))
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
    if (late.aborted) failure = `not finished after ${scenario.limitMs / 1000} s: ${failure}`
  }
  tell({ kind: 'end', name, ms: Date.now() - from, ...(failure === undefined ? {} : { failure }) })
}
process.exit(0)

function play(stage: Stage, { expect }: Scenario): Promise<void> {
  switch (expect.kind) {
    case 'up':
      return proveTunnel(stage, expect)
    case 'refused':
      return proveRefusal(stage, expect)
    case 'same-surface':
      return proveSurface(stage)
    case 'same-subcommands':
      return proveSurface(stage, everySubcommand)
    case 'same-client':
      return proveSameClient(stage, expect.daemon)
    case 'same-messages':
      return proveMessages(stage)
    case 'same-events':
      return proveEvents(stage)
    case 'odd-input':
      return proveOddInput(stage)
    case 'same-series':
      return proveSeries(stage)
    case 'library':
      return proveLibrary(stage, expect.language)
    case 'virtual-ips':
      return proveVirtualIps(stage)
    case 'leased':
      return proveLeased(stage)
    case 'roams':
      return proveRoaming(stage, expect.change)
    case 'redirected':
      return proveRedirect(stage, expect.when)
    case 'child':
      return proveChild(stage, expect.proof)
    case 'marking':
      return proveMarking(stage, expect.proof)
    case 'rekeys':
      return proveRekeys(stage, expect)
    case 'death':
      return proveDeath(stage, expect)
    case 'own-client':
      return proveOwnClient(stage)
    case 'dmvpn':
    case 'mesh':
    case 'drop-in':
    case 'debian':
    case 'test-file':
      throw new Error('not on the usual stage')
  }
}

/** Whether the scenario is ours. */
function claimed(name: string): boolean {
  mkdirSync('/lab/claims', { recursive: true })
  try {
    mkdirSync(join('/lab/claims', name.replaceAll('/', ' ')))
    return true
  } catch {
    return false
  }
}

function tell(event: Event): void {
  appendFileSync('/lab/events', `${JSON.stringify(event)}\n`)
}
