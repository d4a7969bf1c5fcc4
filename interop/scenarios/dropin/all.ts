/** The drop-in scenarios, each in every placement. The control, charon on both hosts, is for `--peer-only`. */
import { placementName, placements } from '../../lab/dropin/dropin.ts'
import type { Scenario } from '../../lab/scenario.ts'
import { scenario } from '../base.ts'
import { children } from './children.ts'
import { networks } from './networks.ts'
import { shunts } from './shunts.ts'
import { traps } from './traps.ts'
import { updowns } from './updown.ts'

export const dropIns: readonly Scenario[] = [...networks, ...children, ...updowns, ...traps, ...shunts].flatMap(
  (dropIn) =>
    placements.map((placement) =>
      scenario(`dropin/${dropIn.name} ${placementName(placement)}`, {
        limitMs: 150_000,
        expect: { kind: 'drop-in', dropIn, placement },
      }),
    ),
)
