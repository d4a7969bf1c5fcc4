/** The drop-in scenarios, each in every placement. The control, charon on both hosts, is for `--peer-only`. */
import { type DropIn, placementName, placements } from '../../lab/dropin/dropin.ts'
import type { Scenario } from '../../lab/scenario.ts'
import { scenario } from '../base.ts'
import { certificates } from './certificates.ts'
import { children } from './children.ts'
import { lives } from './lives.ts'
import { marks } from './marks.ts'
import { nats } from './nat.ts'
import { networks } from './networks.ts'
import { reloads } from './reload.ts'
import { shunts } from './shunts.ts'
import { traps } from './traps.ts'
import { uniqueness } from './uniqueness.ts'
import { updowns } from './updown.ts'
import { virtualIps } from './virtual-ips.ts'

const all: readonly DropIn[] = [
  ...networks,
  ...certificates,
  ...virtualIps,
  ...nats,
  ...children,
  ...marks,
  ...updowns,
  ...traps,
  ...shunts,
  ...lives,
  ...uniqueness,
  ...reloads,
]

// One placement after the other, so that the control of a scenario is played once, and not by three lanes at the same time.
export const dropIns: readonly Scenario[] = placements.flatMap((placement) =>
  all.map((dropIn) =>
    scenario(`dropin/${dropIn.name} ${placementName(placement)}`, {
      limitMs: 240_000,
      expect: { kind: 'drop-in', dropIn, placement },
    }),
  ),
)
