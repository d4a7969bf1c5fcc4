/** docs/conformance.md is what the traces generate; every requirement has a trace, and every trace a requirement. */
import { missing, tracesById, unknownIds } from '../conformance/check.ts'
import { page, pagePath } from '../conformance/page.ts'
import { readChecklists, readTraces } from '../conformance/parse.ts'
import type { Source } from './source.ts'

/** Traces that are none or of no known requirement, requirements without any, and a page that is not what traces say. */
export function conformancePage(sources: readonly Source[]): readonly string[] {
  const checklists = readChecklists(sources)
  const { traces, problems } = readTraces(sources)
  const stale = sources.find(({ path }) => path === pagePath)?.text !== page(sources)
  return [
    ...problems,
    ...unknownIds(checklists, traces),
    ...missing(checklists, tracesById(traces)).map(
      ({ id }) => `${id}: neither a proof nor a reason why it does not apply`,
    ),
    ...(stale ? [`${pagePath}: not as the traces say; run: npm run conformance -- --page`] : []),
  ]
}
