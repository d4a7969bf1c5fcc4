/** Every scenario, in the order they run. */
import type { Scenario } from '../lab/scenario.ts'
import { matrix } from './matrix.ts'

export const scenarios: readonly Scenario[] = [...matrix]
