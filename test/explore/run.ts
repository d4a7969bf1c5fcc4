/**
 * `npm run explore -- [--depth 12] [--faults 1] [--seconds 60] [--jobs] [--kernel] [--plan N]`: every plan of plans.ts,
 * in two workers. Prints what was seen of each; a violation comes with its drawing and its path. `--plan N --path JSON`
 * runs such a path again.
 */
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Explored, explore, replay, type Step } from './explore.ts'
import { plans } from './plans.ts'

interface Share {
  readonly depth: number
  readonly faults: number
  readonly jobs: boolean
  readonly kernel: boolean
  readonly seconds: number
  readonly plans: readonly number[]
}

const workers = 2

if (isMainThread) await main()
else runShare(workerData as Share) // the main thread below gives nothing else

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
  const chosen = values.plan === undefined ? plans.map((_, i) => i) : [Number(values.plan)]
  const shared = {
    depth: Number(values.depth ?? 12),
    faults: Number(values.faults ?? 1),
    jobs: values.jobs ?? false,
    kernel: values.kernel ?? false,
    seconds: Number(values.seconds ?? 60),
  }
  const [only] = chosen
  const plan = only === undefined ? undefined : plans[only]
  if (values.path !== undefined && plan !== undefined) {
    // The path is one that this program has printed.
    const world = replay(plan, { ...shared, until: Number.POSITIVE_INFINITY }, JSON.parse(values.path) as Step[])
    console.log(String(world.ladder))
    return
  }
  const started = performance.now()
  let [states, leaves, violations, incomplete] = [0, 0, 0, 0]
  const take = (explored: Explored): void => {
    states += explored.states
    leaves += explored.leaves
    violations += explored.violations.length
    if (explored.incomplete) incomplete++
    const rest = explored.incomplete ? ', not to the end' : ''
    const found = explored.violations.length
    console.log(`${explored.plan.name}: ${explored.states} states, ${explored.leaves} ends, ${found} violations${rest}`)
    for (const { path, message, drawing } of explored.violations.slice(0, 1)) {
      console.log(`\n${drawing}\n\n${JSON.stringify(path)}\n\n${message}\n`)
    }
  }
  await Promise.all(
    Array.from({ length: workers }, (_, i) =>
      inWorker({ ...shared, plans: chosen.filter((_plan, at) => at % workers === i) }, take),
    ),
  )
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`${chosen.length} plans, ${states} states, ${leaves} ends, ${seconds} s; ${incomplete} not to the end`)
  console.log(`${violations} violations`)
  process.exitCode = violations > 0 ? 1 : 0
}

function inWorker(share: Share, take: (explored: Explored) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (share.plans.length === 0) return resolve()
    const worker = new Worker(new URL(import.meta.url), { workerData: share })
    worker.on('message', take)
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
  })
}

/** The time is for all plans together: what one does not use is for those after it. */
function runShare({ seconds, plans: share, ...limits }: Share): void {
  const end = performance.now() + seconds * 1000
  share.forEach((at, i) => {
    const plan = plans[at]
    if (plan === undefined) return
    const now = performance.now()
    const until = now + (end - now) / (share.length - i)
    parentPort?.postMessage(explore(plan, { ...limits, until }))
  })
}
