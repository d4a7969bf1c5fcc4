/**
 * `npm run conformance`: runs the tests that the traces name, says which requirement of which RFC is proven, and writes
 * docs/conformance.md. Fails when a trace leads nowhere, when a test does not pass, and when a requirement has neither a
 * proof nor a reason. `-- --page` writes the page and runs nothing.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { brokenTraces, missing, tracesById, unknownIds } from './check.ts'
import { Listener } from './outcomes.ts'
import { counts, page, pagePath } from './page.ts'
import { readChecklists, readTraces } from './parse.ts'
import { conformanceFiles, lists } from './project.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
process.chdir(root)
const { values } = parseArgs({ options: { page: { type: 'boolean', default: false } } })

const files = conformanceFiles(root)
const checklists = readChecklists(files)
const { traces, problems: unread } = readTraces(files)
writeFileSync(pagePath, page(files))
if (!values.page) await check()

async function check(): Promise<void> {
  const byId = tracesById(traces)
  const outcomes = await runNamed()
  const { broken, skipped } = brokenTraces(traces, lists, outcomes)
  const open = missing(checklists, byId)
  const problems = [...unread, ...unknownIds(checklists, traces), ...broken]

  console.log('RFC  level             total  proven  not applicable  not followed  missing')
  for (const { rfc, level, total, by } of counts(checklists, byId)) {
    const numbers = [total, by.proven, by['not applicable'], by['not followed'], by.missing]
    const cells = numbers.map((n, i) => String(n).padStart([7, 8, 16, 14, 9][i] ?? 0))
    console.log(`${rfc} ${level.padEnd(16)}${cells.join('')}`)
  }
  list(
    'Neither proof nor reason',
    open.map(({ id, level }) => `${id} ${level}`),
  )
  list('Skipped here', skipped)
  list('Wrong', problems)
  console.log(`\n${traces.length} traces, ${problems.length} wrong, ${open.length} requirements missing`)
  process.exitCode = problems.length + open.length > 0 ? 1 : 0
}

/** The files with tests that traces name. */
async function runNamed(): Promise<Listener> {
  const named = new Set(traces.flatMap((trace) => (trace.kind === 'test' ? [trace.file] : [])))
  const there = [...named].filter((file) => existsSync(file)).sort()
  const listener = new Listener(root)
  if (there.length === 0) return listener
  const stream = run({ files: there, concurrency: availableParallelism() })
  listener.listen(stream)
  await new Promise((resolve) => stream.on('close', resolve).resume())
  return listener
}

function list(title: string, lines: readonly string[]): void {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`)
}
