/**
 * `npm test`: everything that says whether the project works, short enough to run before each commit. Prints failures
 * in full, then how many tests of each kind ran, and why some were skipped. `npm test -- --only KIND` runs one kind.
 */
import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { run } from 'node:test'
import type { TestEvent } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { inspect, parseArgs } from 'node:util'
import { brokenTraces } from './conformance/check.ts'
import { Listener } from './conformance/outcomes.ts'
import { readTraces } from './conformance/parse.ts'
import { conformanceFiles, lists } from './conformance/project.ts'

const kinds = ['checks', 'tidy', 'unit', 'properties', 'vectors', 'scenarios', 'conformance', 'sweep', 'fuzz'] as const
type Kind = (typeof kinds)[number]

/** Kinds that are files of tests; `properties` are single tests in files of the other kinds. */
const fileKinds = ['tidy', 'unit', 'vectors', 'scenarios'] as const satisfies readonly Kind[]

type Passed = Extract<TestEvent, { type: 'test:pass' }>['data']
type Failed = Extract<TestEvent, { type: 'test:fail' }>['data']

const sweepSeeds = 200
const fuzzInputs = 20_000

interface Skip {
  readonly kind: Kind
  readonly test: string
  readonly reason: string
}

interface Tally {
  passed: number
  failed: number
  readonly skipped: Skip[]
  seconds: number
}

const root = fileURLToPath(new URL('..', import.meta.url))
const tallies = new Map<Kind, Tally>(kinds.map((kind) => [kind, { passed: 0, failed: 0, skipped: [], seconds: 0 }]))

/** How every test of the files that ran ended. */
const outcomes = new Listener(root)

/** Source files by lines, each read once. */
const sources = new Map<string, readonly string[]>()

process.chdir(root)
const { values } = parseArgs({ options: { only: { type: 'string' } } })
if (values.only !== undefined && !kinds.includes(values.only as Kind)) {
  console.error(`--only takes one of: ${kinds.join(', ')}`)
  process.exit(2)
}

await timed('checks', checks)
for (const kind of fileKinds) await timed(kind, () => testFiles(kind))
await timed('conformance', conformance)
await timed('sweep', sweep)
await timed('fuzz', fuzz)
summary()

async function timed(kind: Kind, body: () => Promise<void>): Promise<void> {
  // Properties live in files of unit tests and vectors: those run, and only properties count.
  if (!wanted(kind) && !(values.only === 'properties' && (kind === 'unit' || kind === 'vectors'))) return
  const before = performance.now()
  await body()
  tally(kind).seconds = (performance.now() - before) / 1000
}

function wanted(kind: Kind): boolean {
  return values.only === undefined || values.only === kind
}

function tally(kind: Kind): Tally {
  return tallies.get(kind) as Tally // one was made for each kind
}

/** Types, then style. */
async function checks(): Promise<void> {
  await command('checks', 'types', ['node_modules/.bin/tsc', '--noEmit'])
  await command('checks', 'lint', ['node_modules/.bin/biome', 'check', '--diagnostic-level=error', '.'])
}

async function command(kind: Kind, name: string, argv: readonly string[]): Promise<void> {
  const { ok, output } = await child(argv)
  if (ok) tally(kind).passed++
  else {
    tally(kind).failed++
    failure(kind, name, output)
  }
}

/** Traces from the requirements of the RFCs to the tests that have just run; each counts as one test. */
async function conformance(): Promise<void> {
  if (values.only !== undefined) return command('conformance', 'traces', ['node', 'test/conformance/run.ts'])
  const { traces } = readTraces(conformanceFiles(root))
  const { broken, skipped } = brokenTraces(traces, lists, outcomes)
  for (const trace of broken) failure('conformance', trace, 'npm run conformance says more')
  const { length } = traces.filter(({ kind }) => kind !== 'reason')
  tally('conformance').passed += length - broken.length - skipped.length
  tally('conformance').failed += broken.length
  for (const test of skipped) {
    tally('conformance').skipped.push({ kind: 'conformance', test, reason: 'its test was skipped' })
  }
}

/** Random runs of two hosts; each seed counts as one test. */
async function sweep(): Promise<void> {
  const { ok, output } = await child(['node', 'test/simulation/sweep.ts', '--seeds', String(sweepSeeds)])
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? []
  tally('sweep').passed += Number(passed ?? 0)
  tally('sweep').failed += Math.max(Number(failed ?? 0), ok && passed !== undefined ? 0 : 1)
  if (!ok || passed === undefined) failure('sweep', `${sweepSeeds} seeds`, output)
}

/** Mutated inputs for every decoder; each decoder counts as one test. */
async function fuzz(): Promise<void> {
  const { ok, output } = await child(['node', 'test/fuzz/run.ts', '--seed', '1', '--runs', String(fuzzInputs)])
  const decoders = [...output.matchAll(/ \d+ inputs: \d+ decoded, \d+ refused/g)].length
  tally('fuzz').passed += decoders
  if (ok && decoders > 0) return
  tally('fuzz').failed++
  failure('fuzz', `${fuzzInputs} inputs for each decoder`, output)
}

/** Runs a program and collects what it writes. */
function child([name = '', ...args]: readonly string[]): Promise<{ readonly ok: boolean; readonly output: string }> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const started = spawn(name === 'node' ? process.execPath : name, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const take = (part: Buffer): void => void parts.push(part)
    started.stdout.on('data', take)
    started.stderr.on('data', take)
    started.on('error', (error) => resolve({ ok: false, output: `${name}: ${error.message}` }))
    started.on('close', (code) => resolve({ ok: code === 0, output: Buffer.concat(parts).toString() }))
  })
}

/** Runs the test files of one kind and counts the tests that have no tests inside. */
async function testFiles(kind: (typeof fileKinds)[number]): Promise<void> {
  const files = globSync('{src,test,interop}/**/*.test.ts').filter((file) => kindOfFile(file) === kind)
  if (files.length === 0) return
  const stream = run({ files: files.sort(), concurrency: availableParallelism() })
  outcomes.listen(stream)
  const inside: number[] = []
  const said = new Map<string, string>()
  const take = (data: Passed | Failed, failed: boolean): void => {
    const { nesting, details } = data
    const children = inside[nesting + 1] ?? 0
    inside[nesting + 1] = 0
    inside[nesting] = (inside[nesting] ?? 0) + 1
    // A suite, or a test of tests: those inside have been counted.
    const outer = details.type === 'suite' || children > 0
    if (failed) {
      const { error } = (data as Failed).details
      // The property is there, but not in the type: the outer test failed because those inside did.
      if ('failureType' in error && error.failureType === 'subtestsFailed') return
      const as = kindOf(kind, data)
      tally(as).failed++
      failure(as, where(data), `${describe(error)}\n${said.get(data.file ?? '') ?? ''}`)
    } else if (!outer) {
      const as = kindOf(kind, data)
      if (data.skip === undefined && data.todo === undefined) tally(as).passed++
      else {
        const why = reason(data.skip) ?? reason(data.todo) ?? 'no reason given'
        tally(as).skipped.push({ kind: as, test: where(data), reason: why })
      }
    }
  }
  const hear = ({ file = '', message }: { file?: string; message: string }): void =>
    void said.set(file, `${said.get(file) ?? ''}${message}`)
  stream.on('test:pass', (data) => take(data, false))
  stream.on('test:fail', (data) => take(data, true))
  stream.on('test:stdout', hear)
  stream.on('test:stderr', hear)
  await new Promise((resolve) => stream.on('close', resolve).resume())
}

function kindOfFile(file: string): (typeof fileKinds)[number] {
  if (file === 'test/tidy.test.ts') return 'tidy'
  if (file.startsWith('test/simulation/') || file.startsWith('test/keys/') || file.startsWith('test/explore/'))
    return 'scenarios'
  return source(file).some((line) => line.includes('rfc-vectors')) ? 'vectors' : 'unit'
}

/** A test that asserts a property of fast-check is one, wherever it stands. */
function kindOf(kind: Kind, { file, line }: { readonly file?: string; readonly line?: number }): Kind {
  if ((kind !== 'unit' && kind !== 'vectors') || file === undefined || line === undefined) return kind
  const lines = source(file)
  const indent = /^ */.exec(lines[line - 1] ?? '')?.[0] ?? ''
  const end = lines.findIndex((text, i) => i >= line && text.startsWith(`${indent}}`))
  const body = lines.slice(line - 1, end < 0 ? line : end)
  return body.some((text) => text.includes('fc.assert(')) ? 'properties' : kind
}

function source(file: string): readonly string[] {
  let lines = sources.get(file)
  if (lines === undefined) {
    lines = readFileSync(file, 'utf8').split('\n')
    sources.set(file, lines)
  }
  return lines
}

function where({
  name,
  file,
  line,
}: {
  readonly name: string
  readonly file?: string
  readonly line?: number
}): string {
  return file === undefined ? name : `${relative(root, file)}:${line} ${name}`
}

function reason(given: string | boolean | undefined): string | undefined {
  return typeof given === 'string' && given !== '' ? given : undefined
}

function describe(error: Error): string {
  const { cause = error } = error
  return cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause)
}

function failure(kind: Kind, name: string, text: string): void {
  if (wanted(kind)) console.log(`\nFAILED (${kind}) ${name}\n${text.trimEnd()}\n`)
}

function summary(): void {
  const shown = kinds.filter((kind) => wanted(kind)).map((kind) => ({ kind, ...tally(kind) }))
  const skips = shown.flatMap(({ skipped }) => skipped)
  if (skips.length > 0) console.log(`\nSkipped:\n${grouped(skips).join('\n')}`)
  const columns = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(12) : String(cell).padStart(9))).join('')
  console.log(`\n${columns(['kind', 'ran', 'passed', 'failed', 'skipped', 'seconds'])}`)
  for (const { kind, passed, failed, skipped, seconds } of shown) {
    const time = kind === 'properties' ? '' : seconds.toFixed(1)
    console.log(columns([kind, passed + failed, passed, failed, skipped.length, time]))
  }
  const sum = (of: (one: Tally) => number): number => shown.reduce((total, one) => total + of(one), 0)
  const [passed, failed, skipped] = [sum((x) => x.passed), sum((x) => x.failed), sum((x) => x.skipped.length)]
  const empty = shown.filter((one) => one.passed + one.failed + one.skipped.length === 0)
  for (const { kind } of empty) console.log(`\nNo test of the kind ${kind} was found.`)
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed > 0 || empty.length > 0 ? 1 : 0
}

/** One line for each reason, however many tests it keeps from running: the first is named. */
function grouped(skips: readonly Skip[]): readonly string[] {
  const byReason = new Map<string, Skip[]>()
  for (const skip of skips) {
    const name = `${skip.kind} ${skip.reason}`
    byReason.set(name, [...(byReason.get(name) ?? []), skip])
  }
  return [...byReason.values()].map((tests) => {
    const [first] = tests as [Skip] // a group begins with one
    const which = tests.length === 1 ? first.test : `${first.test} and ${tests.length - 1} more`
    return `  ${tests.length} of ${first.kind}: ${first.reason} (${which})`
  })
}
