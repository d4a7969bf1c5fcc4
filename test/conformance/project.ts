/** The checklists and traces of this repository, and the names that traces may use. */
import { globSync, readFileSync } from 'node:fs'
import { scenarios } from '../../interop/scenarios/all.ts'
import { plans } from '../explore/plans.ts'
import * as safety from '../simulation/safety.ts'
import type { Lists } from './check.ts'
import type { Text } from './parse.ts'

/** The files that `parse.ts` reads; `root` is the path of the repository, with a slash. */
export function conformanceFiles(root: string): readonly Text[] {
  return globSync('test/conformance/{checklists,traces}/*', { cwd: root })
    .sort()
    .map((path) => ({ path, text: readFileSync(`${root}${path}`, 'utf8') }))
}

/** Scenarios of the lab, rules of the sweep, plans of the exploration. */
export const lists: Lists = {
  interop: new Set(scenarios.map(({ name }) => name)),
  sweep: new Set(Object.keys(safety)),
  explore: new Set(plans.map(({ name }) => name)),
}
