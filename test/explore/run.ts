/**
 * `npm run explore -- [--depth 12] [--faults 1] [--seconds 300] [--jobs] [--kernel] [--plan N]`: every plan of plans.ts,
 * in two workers, within so many seconds of processor time of each. Prints what was seen of each plan, and whether that
 * was all; a violation comes with its drawing and its path. `--plan N --path JSON` runs such a path again.
 */
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Explored, explore } from './explore.ts'
import { replay } from './in-world.ts'
import { type Plan, plans } from './plans.ts'
import type { Limits, Step } from './steps.ts'

interface Task {
  readonly plan: number
  readonly seconds: number
}

const workers = 2

if (isMainThread) await main()
else work(workerData as Limits) // the main thread below gives nothing else

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      depth: { type: 'string' },
      faults: { type: 'string' },
      seconds: { type: 'string' },
      plan: { type: 'string' },
      path: { type: 'string' },
      jobs: { type: 'boolean' },
      kernel: { type: 'boolean' },
    },
  })
  const limits: Limits = {
    depth: Number(values.depth ?? 12),
    faults: Number(values.faults ?? 1),
    jobs: values.jobs ?? false,
    kernel: values.kernel ?? false,
    seconds: Number(values.seconds ?? 300),
  }
  const chosen = values.plan === undefined ? smallestFirst() : [Number(values.plan)]
  const [only] = chosen
  const plan = only === undefined ? undefined : plans[only]
  if (values.path !== undefined && plan !== undefined) {
    // The path is one that this program has printed.
    const { world, error } = replay(plan, limits, JSON.parse(values.path) as Step[])
    console.log(String(world.ladder))
    if (error !== undefined) console.log(error)
    return
  }
  const started = performance.now()
  const all: Explored[] = []
  // The time is for all plans together: what one does not use is for those after it.
  let left = limits.seconds * Math.min(workers, chosen.length)
  const next = (): Task | undefined => {
    const seconds = left / chosen.length
    const at = chosen.shift()
    if (at === undefined) return undefined
    left -= seconds
    return { plan: at, seconds }
  }
  await Promise.all(
    Array.from({ length: workers }, () =>
      inWorker(limits, next, (explored, { seconds }) => {
        left += seconds - explored.seconds
        all.push(explored)
        print(explored)
      }),
    ),
  )
  const sum = (of: (explored: Explored) => number): number => all.reduce((total, explored) => total + of(explored), 0)
  const [cpu, wall] = [sum(({ seconds }) => seconds), (performance.now() - started) / 1000]
  console.log(
    `${all.length} plans, ${sum((one) => one.states)} states, ${sum((one) => one.ends)} ends, ` +
      `${all.filter((one) => !one.stopped && one.cut === 0).length} complete; ` +
      `${cpu.toFixed(0)} s of processor time, ${wall.toFixed(0)} s`,
  )
  const violations = sum((one) => one.violations.length)
  console.log(`${violations} violations`)
  process.exitCode = violations > 0 ? 1 : 0
}

/** So that what they do not use is for those that are large: each message of an exchange multiplies the orders. */
function smallestFirst(): number[] {
  const sizes = plans.map(({ left, right }) =>
    [...left, ...right].reduce(
      (size, what) => size + (what === 'rekey IKE SA' ? 3 : what === 'rekey child' ? 2 : 1),
      0,
    ),
  )
  return [...plans.keys()].sort((a, b) => (sizes[a] ?? 0) - (sizes[b] ?? 0))
}

function print(explored: Explored): void {
  const { plan, states, hosts, ends, settled, violations, seconds } = explored
  const counts = `${states} states of ${hosts} hosts, ${ends} ends (${settled} judged), ${violations.length} violations`
  console.log(`${plan.name}: ${counts}, ${extent(explored)}, ${seconds.toFixed(1)} s`)
  for (const { path, message, drawing } of violations.slice(0, 1)) {
    console.log(`\n${drawing}\n\n${JSON.stringify(path)}\n\n${message}\n`)
  }
}

function extent({ stopped, cut, violations }: Explored): string {
  if (stopped) return violations.length > 0 ? 'stopped' : 'bounded by the time'
  return cut === 0 ? 'complete' : `bounded by the depth at ${cut} ends`
}

function inWorker(
  limits: Limits,
  next: () => Task | undefined,
  take: (explored: Explored, task: Task) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: limits })
    let task: Task | undefined
    const give = (): void => {
      task = next()
      worker.postMessage(task)
    }
    worker.on('message', (explored: Explored) => {
      if (task !== undefined) take(explored, task)
      give()
    })
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
    give()
  })
}

function work(limits: Limits): void {
  parentPort?.on('message', (task: Task | undefined) => {
    const plan: Plan | undefined = task && plans[task.plan]
    if (task === undefined || plan === undefined) return parentPort?.close()
    parentPort?.postMessage(explore(plan, { ...limits, seconds: task.seconds }))
  })
}
