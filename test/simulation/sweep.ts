/**
 * `npm run sweep -- --seeds N [--from S]` runs N seeds in two workers; `--kind pair` and `--kind mesh` make all of them of
 * that kind, whatever they would draw; `--seed S` runs one and draws it, and with `--journal DIR` writes a journal of each life of each host there, for `npm run replay`. A failing seed is the bug
 * report.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Kind, marks, type SweepResult, sweepRun, type TakeLine } from './sweep-run.ts'

interface Share {
  readonly from: number
  readonly seeds: number
  readonly step: number
  /** For all of them, in place of what they draw. */
  readonly kind: Kind | undefined
}

/** A run with the processor time that it took: none of the result itself, which is the same on every machine. */
type Timed = SweepResult & { readonly tookMs: number }

const workers = 2
const shownFailures = 3
/** One seed in so many is run twice: the second run must be the same. */
const repeatEvery = 50

if (isMainThread) await main()
else runShare(workerData as Share) // the main thread below gives nothing else

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string' },
      journal: { type: 'string' },
      kind: { type: 'string' },
    },
  })
  const { kind } = values
  if (kind !== undefined && kind !== 'pair' && kind !== 'mesh') throw new Error('--kind is pair or mesh')
  if (values.seed !== undefined) {
    const result = sweepRun(
      Number(values.seed),
      true,
      values.journal === undefined ? undefined : journals(values.journal),
      kind,
    )
    console.log(
      `seed ${result.seed} (${result.kind}): ${result.summary}\n\n${result.drawing}\n\n${result.failure ?? 'passed'}`,
    )
    console.log(`digest ${result.digest}`)
    process.exitCode = result.failure === undefined ? 0 : 1
    return
  }
  const seeds = Number(values.seeds ?? 1000)
  const from = Number(values.from ?? 1)
  const started = performance.now()
  let done = 0
  const failures: SweepResult[] = []
  const met = new Map(Object.keys(marks).map((mark) => [mark, 0]))
  const took: Record<Kind, { runs: number; failed: number; ms: number }> = {
    pair: { runs: 0, failed: 0, ms: 0 },
    mesh: { runs: 0, failed: 0, ms: 0 },
  }
  const take = (results: readonly Timed[]): void => {
    for (const result of results) {
      done++
      const its = took[result.kind]
      its.runs++
      its.ms += result.tookMs
      if (result.failure !== undefined) its.failed++
      for (const mark of result.marks) met.set(mark, (met.get(mark) ?? 0) + 1)
      if (result.failure === undefined) continue
      failures.push(result)
      if (failures.length <= shownFailures) show(result)
      else console.log(`seed ${result.seed} failed: ${firstLine(result.failure)}`)
    }
  }
  const progress = setInterval(() => console.log(`${done} of ${seeds}, ${failures.length} failed`), 10_000)
  await Promise.all(
    Array.from({ length: workers }, (_, i) =>
      inWorker({ from: from + i, seeds: seeds - i, step: workers, kind }, take),
    ),
  )
  clearInterval(progress)
  console.log('runs that met')
  for (const [mark, runs] of met) console.log(`${String(runs).padStart(8)}  ${mark}`)
  for (const [name, { runs, failed, ms }] of Object.entries(took))
    if (runs > 0)
      console.log(
        `${runs} runs of the kind ${name}, ${failed} failed, ${(ms / runs).toFixed(0)} ms of processor time each`,
      )
  const seconds = (performance.now() - started) / 1000
  console.log(
    `seeds ${from} to ${from + seeds - 1}: ${(done / seconds).toFixed(0)} per second, ${seconds.toFixed(0)} s`,
  )
  if (failures.length > 0)
    console.log(
      `failed: ${failures
        .map(({ seed }) => seed)
        .sort((a, b) => a - b)
        .join(' ')}`,
    )
  console.log(`${done - failures.length} passed, ${failures.length} failed`)
  process.exitCode = failures.length > 0 ? 1 : 0
}

/** A host that crashes begins a new file. */
function journals(directory: string): TakeLine {
  const lives = new Map<string, number>()
  return (host, line) => {
    if (line.startsWith('{"journal"')) lives.set(host, (lives.get(host) ?? 0) + 1)
    appendFileSync(join(directory, `${host}-${lives.get(host)}.jsonl`), `${line}\n`)
  }
}

function inWorker(share: Share, take: (results: readonly Timed[]) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share })
    worker.on('message', take)
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
  })
}

function runShare({ from, seeds, step, kind }: Share): void {
  let results: Timed[] = []
  for (let i = 0; i < seeds; i += step) {
    const seed = from + i
    const before = process.threadCpuUsage()
    const result = sweepRun(seed, false, undefined, kind)
    const { user, system } = process.threadCpuUsage(before)
    const tookMs = (user + system) / 1000
    results.push({ ...(seed % repeatEvery === 0 ? repeated(result) : result), tookMs })
    if (results.length < 20) continue
    parentPort?.postMessage(results)
    results = []
  }
  parentPort?.postMessage(results)
}

function repeated(result: SweepResult): SweepResult {
  const { seed, kind } = result
  if (result.failure !== undefined || sweepRun(seed, false, undefined, kind).digest === result.digest) return result
  return { ...result, failure: 'the same seed gave another run' }
}

function show({ seed, kind, summary, drawing, failure }: SweepResult): void {
  console.log(`\nseed ${seed} (${kind}) failed: ${summary}\n\n${drawing}\n\n${failure}\n`)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
