/** What is wrong with the traces: names that lead nowhere, tests that did not pass, requirements that nobody proves. */
import type { Outcomes } from './outcomes.ts'
import type { Checklist, Requirement, Trace } from './parse.ts'

/** `not followed` is what we could do and do not: no requirement with MUST may be it. */
export type Status = 'proven' | 'not applicable' | 'not followed' | 'missing'

/** Names that traces may use besides those of tests. */
export type Lists = Readonly<Record<'interop' | 'sweep' | 'explore', ReadonlySet<string>>>

/** How a requirement stands, by its traces alone: whether the tests pass is for `brokenTraces`. */
export function statusOf({ level }: Requirement, traces: readonly Trace[]): Status {
  const must = level.startsWith('MUST')
  const reason = traces.find((trace) => trace.kind === 'reason')?.reason
  if (reason !== undefined) {
    if (!reason.startsWith('not followed')) return 'not applicable'
    return must ? 'missing' : 'not followed'
  }
  // The lab does not run everywhere: a MUST is proven by what `npm test` runs.
  return traces.some(({ kind }) => kind !== 'interop' || !must) ? 'proven' : 'missing'
}

/** Requirements with neither proof nor reason. */
export function missing(
  checklists: readonly Checklist[],
  byId: ReadonlyMap<string, readonly Trace[]>,
): readonly Requirement[] {
  return checklists
    .flatMap(({ requirements }) => requirements)
    .filter((one) => statusOf(one, byId.get(one.id) ?? []) === 'missing')
}

/** Traces of requirements that no checklist has. */
export function unknownIds(checklists: readonly Checklist[], traces: readonly Trace[]): readonly string[] {
  const known = new Set(checklists.flatMap(({ requirements }) => requirements.map(({ id }) => id)))
  return traces.filter(({ id }) => !known.has(id)).map(({ id, where }) => `${where}: no checklist has ${id}`)
}

/** Traces to what does not exist or did not pass, and those whose tests were skipped here, which is no fault. */
export function brokenTraces(
  traces: readonly Trace[],
  lists: Lists,
  outcomes: Outcomes,
): { readonly broken: readonly string[]; readonly skipped: readonly string[] } {
  const broken: string[] = []
  const skipped: string[] = []
  for (const trace of traces) {
    if (trace.kind === 'reason') continue
    const what = `${trace.where}: ${trace.id}`
    if (trace.kind !== 'test') {
      if (!lists[trace.kind].has(trace.name)) broken.push(`${what}: ${trace.kind} has no "${trace.name}"`)
      continue
    }
    const found = outcomes.of(trace.file, trace.name)
    const failed = found.find(({ outcome }) => outcome === 'failed')
    if (found.length === 0) broken.push(`${what}: no test of ${trace.file} has the name "${trace.name}"`)
    else if (failed !== undefined) broken.push(`${what}: failed: ${failed.name}`)
    else if (!found.some(({ outcome }) => outcome === 'passed')) skipped.push(`${what}: skipped: ${trace.name}`)
  }
  return { broken, skipped }
}

/** Traces by the requirement that they are about. */
export function tracesById(traces: readonly Trace[]): ReadonlyMap<string, readonly Trace[]> {
  return Map.groupBy(traces, ({ id }) => id)
}
