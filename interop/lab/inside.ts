/** The program inside: runs the scenarios of a plan, one after the other, and tells about each in /work/events. */
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { scenarios } from '../scenarios/all.ts'
import { proveOwnClient } from './own-client.ts'
import type { PeerName } from './peers/peer.ts'
import { proveRefusal, proveTunnel } from './proofs.ts'
import { proveRoaming } from './roaming.ts'
import type { Scenario } from './scenario.ts'
import { onStage, type Stage } from './stage.ts'
import { proveSurface } from './surface.ts'
import { proveVirtualIps } from './virtual-ips.ts'

/** What goes in. */
export interface Plan {
  readonly names: readonly string[]
  /** What runs on moon. */
  readonly ours: PeerName
  /** Milliseconds for one scenario. */
  readonly limitMs: number
  /** Leave logs of what passes, too. */
  readonly keep: boolean
}

/** What comes out. */
export type Event =
  | { readonly kind: 'start'; readonly name: string }
  | { readonly kind: 'end'; readonly name: string; readonly ms: number; readonly failure?: string }

const plan: Plan = JSON.parse(readFileSync(process.argv[2] ?? '/work/plan.json', 'utf8'))

// A promise that nobody waits for any more (its scenario failed) must not end the other scenarios.
process.on('unhandledRejection', () => {})

for (const name of plan.names) {
  const scenario = scenarios.find((one) => one.name === name)
  if (!scenario) continue
  tell({ kind: 'start', name })
  const from = Date.now()
  let failure: string | undefined
  const late = AbortSignal.timeout(plan.limitMs)
  const evidence = { folder: join('/work/logs', name), always: plan.keep }
  try {
    await onStage(scenario, plan.ours, evidence, late, (stage) => play(stage, scenario))
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
    if (late.aborted) failure = `not finished after ${plan.limitMs / 1000} s: ${failure}`
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
    case 'virtual-ips':
      return proveVirtualIps(stage)
    case 'roams':
      return proveRoaming(stage, expect.change)
    case 'own-client':
      return proveOwnClient(stage)
  }
}

function tell(event: Event): void {
  appendFileSync('/work/events', `${JSON.stringify(event)}\n`)
}
