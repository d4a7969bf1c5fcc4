/**
 * What clients of the control socket cost and feel: the daemon's loop and VICI server in this thread, clients in threads of
 * their own, a real socket between them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { CredentialSet } from '../../src/config/credential-set.ts'
import { defaultCoreSettings } from '../../src/config/daemon-settings.ts'
import { memoryFiles } from '../../src/config/files.ts'
import { systemRandom } from '../../src/crypto/random.ts'
import { Engine } from '../../src/ike/engine.ts'
import type { Kernel } from '../../src/kernel/operations.ts'
import { Loop } from '../../src/loop.ts'
import type { Daemon } from '../../src/vici/daemon.ts'
import { listenVici } from '../../src/vici/server.ts'
import { median } from './figures.ts'
import { EasyKernel, Fleet } from './fleet.ts'
import type { Said, Task } from './vici-client.ts'

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly most: number
}

/** What `list-sas` costs, and what others notice of it. */
export interface ListingUnderLoad {
  readonly sas: number
  /** From the request to the response, events included, for each listing. */
  readonly seconds: readonly number[]
  /** CPU of the daemon's thread for each listing. */
  readonly cpuSeconds: readonly number[]
  /** Of a second client's `stats`, without and with listings. */
  readonly client: { readonly alone: Latency; readonly listing: Latency }
  /** How long what comes in (a datagram, a timer) waits for its turn in the event loop, without and with listings. */
  readonly turn: { readonly alone: Latency; readonly listing: Latency }
  /** The same as CPU of the daemon's thread between two turns, which nothing else on the machine lengthens. */
  readonly turnCpu: { readonly alone: Latency; readonly listing: Latency }
}

/** Lists `sas` IKE SAs with a Child SA each, `times` times. */
export async function listingUnderLoad(sas: number, times: number): Promise<ListingUnderLoad> {
  const fleet = new Fleet({ auth: 'psk', clients: sas, kernel: 'easy' })
  for (let i = 0; i < sas; i++) fleet.setUp(i)
  await using daemon = await serve(fleet.engine('responder'), fleet.timer('responder').now)
  await using lister = client(daemon.uri)
  await using prober = client(daemon.uri)
  const probe = async (work: () => Promise<void>) => {
    const turns = new Turns()
    const probing = prober.ask({ kind: 'probe' })
    await work()
    const said = turns.end()
    prober.tell({ kind: 'stop' })
    const { latencies } = await probing
    return { ...said, client: latencyOf(latencies) }
  }
  await lister.ask({ kind: 'list' }) // warms up
  const alone = await probe(() => new Promise((resolve) => setTimeout(resolve, 2000)))
  const seconds: number[] = []
  const cpuSeconds: number[] = []
  const listing = await probe(async () => {
    for (let i = 0; i < times; i++) {
      const before = process.threadCpuUsage()
      const { listed, ms } = await lister.ask({ kind: 'list' })
      if (listed !== sas) throw new Error(`${listed} of ${sas} IKE SAs were listed`)
      const { user, system } = process.threadCpuUsage(before)
      seconds.push(ms / 1000)
      cpuSeconds.push((user + system) / 1e6)
    }
  })
  const both = <K extends 'client' | 'turn' | 'turnCpu'>(key: K) => ({ alone: alone[key], listing: listing[key] })
  return { sas, seconds, cpuSeconds, client: both('client'), turn: both('turn'), turnCpu: both('turnCpu') }
}

/** What loading connections takes. */
export interface Loading {
  readonly connections: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** Bytes that stay, for each connection: on V8's heap, outside of it, and of the whole process. */
  readonly heap: number
  readonly outside: number
  readonly resident: number
}

/** Loads connections one after the other, as `swanctl --load-conns` does. */
export async function loading(connections: number): Promise<Loading> {
  const engine = new Engine({ random: systemRandom, settings: defaultCoreSettings })
  await using daemon = await serve(engine, Date.now())
  await using loader = client(daemon.uri)
  await loader.ask({ kind: 'load', from: 0, count: 100 }) // warms up
  const before = memory()
  const cpu = process.threadCpuUsage()
  const { ms } = await loader.ask({ kind: 'load', from: 100, count: connections })
  const { user, system } = process.threadCpuUsage(cpu)
  const after = memory()
  const each = (key: keyof typeof before): number => (after[key] - before[key]) / connections
  return {
    connections,
    seconds: ms / 1000,
    cpuSeconds: (user + system) / 1e6,
    heap: each('heap'),
    outside: each('outside'),
    resident: each('resident'),
  }
}

function memory(): { readonly heap: number; readonly outside: number; readonly resident: number } {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed, outside: external, resident: rss }
}

/** A loop whose clock begins when that of the engine stands. */
class LoopFrom extends Loop {
  #began: number | undefined
  readonly #from: number

  constructor(engine: Engine, around: ConstructorParameters<typeof Loop>[1], from: number) {
    super(engine, around)
    this.#from = from
  }

  override now(): number {
    this.#began ??= performance.now()
    return Math.floor(this.#from + performance.now() - this.#began)
  }
}

async function serve(engine: Engine, now: number): Promise<{ readonly uri: string } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const easy = new EasyKernel()
  // The operation says what the result is.
  const perform = async (operation: Parameters<Kernel['perform']>[0]) => easy.perform(operation) as never
  const kernel: Kernel = { perform, onEvent: () => {}, close: async () => {} }
  const ignore = (): undefined => undefined
  const never = async () => {
    throw new Error('nobody proves anything here')
  }
  const loop = new LoopFrom(
    engine,
    {
      kernel,
      send: ignore,
      log: ignore,
      useNameServers: ignore,
      runUpdown: ignore,
      verifyPeer: never,
      ownStatus: never,
    },
    now,
  )
  const daemon: Daemon = {
    program: {
      name: 'charon-systemd',
      version: '6.1.0',
      sysname: '',
      release: '',
      machine: '',
      startedMs: 0,
      threads: 1,
    },
    credentials: new CredentialSet(),
    command: (command, tracking) => loop.command(command, tracking),
    subscribe: (listener) => loop.subscribe(listener),
    log: ignore,
    reload: async () => {},
    now: () => loop.now(),
  }
  const uri = `unix://${join(folder, 'vici')}`
  const server = await listenVici({ uri, daemon, files: memoryFiles({}) })
  return {
    uri,
    async [Symbol.asyncDispose]() {
      loop.stop()
      await server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

interface Client extends AsyncDisposable {
  readonly tell: (task: Task) => void
  readonly ask: (task: Task) => Promise<Said>
}

function client(uri: string): Client {
  const worker = new Worker(new URL('vici-client.ts', import.meta.url), { workerData: uri })
  const tell = (task: Task): void => worker.postMessage(task)
  return {
    tell,
    ask: (task) =>
      new Promise((resolve, reject) => {
        worker.once('error', reject)
        worker.once('message', (said: Said) => {
          worker.off('error', reject)
          resolve(said)
        })
        tell(task)
      }),
    [Symbol.asyncDispose]: async () => void (await worker.terminate()),
  }
}

/** Comes by every millisecond: how much later it is let in, and what CPU this thread has had meanwhile. */
class Turns {
  readonly #late: RecordableHistogram = createHistogram()
  readonly #cpu: RecordableHistogram = createHistogram()
  readonly #timer: NodeJS.Timeout
  #atMs = performance.now()
  #cpuUs = cpuUs()

  constructor() {
    this.#timer = setInterval(() => this.#come(), 1)
  }

  end(): { readonly turn: Latency; readonly turnCpu: Latency } {
    clearInterval(this.#timer)
    return { turn: histogramLatency(this.#late), turnCpu: histogramLatency(this.#cpu) }
  }

  #come(): void {
    const [atMs, us] = [performance.now(), cpuUs()]
    this.#late.record(Math.max(1, Math.round((atMs - this.#atMs - 1) * 1000)))
    this.#cpu.record(Math.max(1, Math.round(us - this.#cpuUs)))
    this.#atMs = atMs
    this.#cpuUs = us
  }
}

function cpuUs(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}

/** Of microseconds. */
function histogramLatency(histogram: RecordableHistogram): Latency {
  const ms = (us: number): number => us / 1000
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), most: ms(histogram.max) }
}

function latencyOf(ms: readonly number[]): Latency {
  const sorted = ms.toSorted((a, b) => a - b)
  return { p50: median(ms), p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0, most: sorted.at(-1) ?? 0 }
}
