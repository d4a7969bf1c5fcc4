/** Every scenario, in the order they run. */
import type { Scenario } from '../lab/scenario.ts'
import { children } from './children.ts'
import { deaths } from './deaths.ts'
import { debian } from './debian.ts'
import { dropIns } from './dropin/all.ts'
import { frr } from './frr.ts'
import { libreswan } from './libreswan.ts'
import { marking } from './marking.ts'
import { matrix } from './matrix.ts'
import { meshes } from './mesh.ts'
import { negotiation } from './negotiation.ts'
import { network } from './network.ts'
import { pooled } from './pools.ts'
import { quantum } from './quantum.ts'
import { redirected } from './redirect.ts'
import { refused } from './refused.ts'
import { rekeys } from './rekeys.ts'
import { roaming } from './roaming.ts'
import { rounds } from './rounds.ts'
import { surface } from './surface.ts'

// Those that take longest come first, so that the others fill the lanes beside and after them.
export const scenarios: readonly Scenario[] = [
  ...rekeys,
  ...deaths,
  ...meshes,
  ...debian,
  ...matrix,
  ...network,
  ...negotiation,
  ...refused,
  ...redirected,
  ...rounds,
  ...pooled,
  ...roaming,
  ...surface,
  ...frr,
  ...quantum,
  ...children,
  ...marking,
  ...libreswan,
  ...dropIns,
]
