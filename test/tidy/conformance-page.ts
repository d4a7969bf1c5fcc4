/** docs/conformance.md is what the traces generate, and each trace is of a requirement that exists. */
import { unknownIds } from '../conformance/check.ts'
import { page, pagePath } from '../conformance/page.ts'
import { readChecklists, readTraces } from '../conformance/parse.ts'
import type { Source } from './source.ts'

/** Traces that are none or of no known requirement, and a page that is not what the traces say. */
export function conformancePage(sources: readonly Source[]): readonly string[] {
  const { traces, problems } = readTraces(sources)
  const stale = sources.find(({ path }) => path === pagePath)?.text !== page(sources)
  return [
    ...problems,
    ...unknownIds(readChecklists(sources), traces),
    ...(stale ? [`${pagePath}: not as the traces say; run: npm run conformance -- --page`] : []),
  ]
}
