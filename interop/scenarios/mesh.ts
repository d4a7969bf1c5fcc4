/** Six hosts that all begin at once: lab/mesh.ts. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const meshes: readonly Scenario[] = [
  scenario('mesh/six-at-once', { limitMs: 300_000, expect: { kind: 'mesh', settlesMs: 120_000 } }),
]
