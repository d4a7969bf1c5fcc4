/** One simulated host: a protocol core, a kernel in memory, and the jobs that are still to be done. */
import { createHash, type Hash } from 'node:crypto'
import type { CoreSettings } from '../../src/config/daemon-settings.ts'
import { type Random, seededRandom } from '../../src/crypto/random.ts'
import { Engine } from '../../src/ike/engine.ts'
import type { Command, Input } from '../../src/ike/input.ts'
import type { Job, KernelJob } from '../../src/ike/job.ts'
import type { NameServer } from '../../src/ike/name-servers.ts'
import type { Answer, Event, LogEntry, Output, UpdownScript } from '../../src/ike/output.ts'
import type { IkeSaView } from '../../src/ike/view.ts'
import { JournalingEngine } from '../../src/journal/journal.ts'
import type { SaCrypto, SaUsage } from '../../src/kernel/operations.ts'
import { SimulatedKernel, type SimulatedKernelOptions } from '../../src/kernel/simulated/simulated-kernel.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { performJob } from './perform-job.ts'

export interface HostOptions {
  readonly name: string
  readonly seed: number
  readonly settings: CoreSettings
  readonly kernel: Omit<SimulatedKernelOptions, 'random'>
  /** Says what time it is (epoch milliseconds). */
  readonly clock: { readonly now: number }
  readonly names?: ReadonlyMap<string, readonly string[]>
  /** What `http:` URLs lead to. */
  readonly web?: ReadonlyMap<string, Uint8Array>
  /** Takes what the core sends. `label` says what it is. */
  readonly transmit: (local: Endpoint, remote: Endpoint, bytes: Uint8Array, label: string) => void
  /** Takes the lines of a journal of the core; a restart begins a new one. */
  readonly journal?: (line: string) => void
  /** Hears every log entry, for the drawing. */
  readonly note?: (entry: LogEntry) => void
}

/** A job that has been asked for and not been completed. Kernel jobs are performed in order, whatever completes first. */
export interface PendingJob {
  readonly id: number
  readonly job: Job
  outcome: { readonly value: unknown } | { readonly error: Error } | undefined
}

/** An SA has come into a state. */
export type StateEvent = Extract<Event, { kind: 'ike-state' | 'child-state' }>
export class Host {
  readonly name: string
  engine: Engine
  kernel: SimulatedKernel
  readonly logs: LogEntry[] = []
  /** But for those that tell a state. */
  readonly events: Exclude<Event, StateEvent>[] = []
  readonly states: StateEvent[] = []
  /** The name servers that the core wants to be asked. */
  nameServers: readonly NameServer[] = []
  /** The updown scripts that it has run, in order. */
  readonly scripts: UpdownScript[] = []
  /** How far the calendar of the host is from its steady clock: the kernel tells times by the calendar. */
  calendarMs = 0
  /** Until then the host does nothing: stopped, or suspended (epoch milliseconds). */
  stalledUntil = 0
  /** Until then its jobs take: it answers, but its kernel and its workers do not come to an end (epoch milliseconds). */
  slowUntil = 0
  readonly #answers = new Map<number, Answer>()
  readonly #unanswered = new Map<number, Command['kind']>()
  readonly #options: HostOptions
  readonly #random: Random
  readonly #labels = new Map<string, string>()
  readonly #digest: Hash = createHash('sha256')
  /** First octets of the next nonces (the values of 32 octets that the core draws), in their order. */
  nonceStarts: readonly number[] = []
  #jobs: PendingJob[] = []
  #timerAt: number | undefined
  #lastCommand = 0
  #lives = 0
  /** What was sent, in order: every datagram, with its name as logged, e.g. `IKE_AUTH request 1 [ IDi … ]`. */
  readonly sent: {
    readonly label: string
    readonly atMs: number
    readonly bytes: Uint8Array
    readonly dscp?: number
  }[] = []

  constructor(options: HostOptions) {
    const { name, seed } = options
    this.name = name
    this.#options = options
    this.#random = seededRandom(Buffer.from(`${name} jobs ${seed}`))
    this.engine = this.#newEngine(`${seed}`)
    this.kernel = this.#newKernel(`${seed}`)
  }

  /**
   * The power goes off and comes back: a new core and an empty kernel that know nothing of before. The configuration
   * has to be loaded again.
   */
  restart(): void {
    const life = `${this.#options.seed} life ${++this.#lives}`
    const { addresses, addedAddresses } = this.kernel
    this.#forget(this.#newEngine(life))
    this.kernel = this.#newKernel(life)
    this.kernel.readdress(addresses.filter((address) => !addedAddresses.includes(address)))
    this.kernel.drain()
  }

  /** The daemon is killed and started again; the kernel keeps what it had. */
  respawn(): void {
    const { spiMin, spiMax } = this.#options.settings
    this.kernel.drain()
    this.#forget(
      this.#newEngine(
        `${this.#options.seed} life ${++this.#lives}`,
        this.kernel.startAnew({ min: spiMin, max: spiMax }),
      ),
    )
  }

  #forget(engine: Engine): void {
    this.engine = engine
    this.#jobs = []
    this.#timerAt = undefined
    this.#answers.clear()
    this.#unanswered.clear()
    this.#labels.clear()
  }

  #newEngine(seed: string, reqidsInUse: readonly number[] = []): Engine {
    const { name } = this.#options
    const settings = { ...this.#options.settings, reqidsInUse }
    const random = this.#withNonces(seededRandom(Buffer.from(`${name} core ${seed}`)))
    const { journal } = this.#options
    if (journal !== undefined) return new JournalingEngine({ random, settings, strict: true }, journal)
    return new Engine({ random, settings, strict: true })
  }

  #newKernel(seed: string): SimulatedKernel {
    const { name, kernel } = this.#options
    return new SimulatedKernel({ ...kernel, random: seededRandom(Buffer.from(`${name} kernel ${seed}`)) })
  }

  /** How many requests it takes at once, when it says so. */
  get windowSize(): number {
    return this.#options.settings.windowSize
  }

  /** Jobs in the order in which they were asked for. */
  get jobs(): readonly PendingJob[] {
    return this.#jobs
  }

  /** The commands that have no answer yet. */
  get unanswered(): readonly string[] {
    return [...this.#unanswered.values()]
  }

  /** When the core wants to be woken (epoch milliseconds). */
  get timerAt(): number | undefined {
    return this.#timerAt
  }

  /** When the core or the kernel has something to do next. */
  get deadline(): number | undefined {
    const kernel = this.kernel.deadline
    if (kernel === undefined && this.#timerAt === undefined) return undefined
    const next = Math.min(kernel ?? Number.POSITIVE_INFINITY, this.#timerAt ?? Number.POSITIVE_INFINITY)
    return Math.max(next, this.stalledUntil)
  }

  /** Whether no job is completed now. */
  get slow(): boolean {
    return this.slowUntil > this.#now
  }

  get stalled(): boolean {
    return this.stalledUntil > this.#now
  }

  /** Gives the core one input and passes on what it puts out. */
  handle(input: Input): void {
    if (input.kind === 'timer') this.#timerAt = undefined
    let generated: string | undefined
    for (const output of this.engine.handle(input, this.#now)) {
      this.#digestOutput(output)
      switch (output.kind) {
        case 'send': {
          const { local, remote, bytes, dscp } = output
          const label = this.#label(local, bytes, generated)
          this.sent.push({ label, atMs: this.#now, bytes, ...(dscp !== undefined && { dscp }) })
          this.#options.transmit(local, remote, bytes, label)
          break
        }
        case 'job':
          this.#jobs.push({ id: output.id, job: snapshot(output.job), outcome: undefined })
          break
        case 'log':
          if (output.entry.message.startsWith('generating ')) generated = output.entry.message.slice(11)
          this.logs.push(output.entry)
          this.#options.note?.(output.entry)
          break
        case 'event':
          if (output.event.kind === 'ike-state' || output.event.kind === 'child-state') this.states.push(output.event)
          else this.events.push(output.event)
          break
        case 'answer':
          this.#answers.set(output.command, output.answer)
          this.#unanswered.delete(output.command)
          break
        case 'tracking':
          break
        case 'name-servers':
          this.nameServers = output.servers
          break
        case 'updown':
          this.scripts.push(output.script)
          break
        case 'timer':
          this.#timerAt = output.at
          break
      }
    }
  }

  /** Gives a command; the returned function says its answer once there is one. */
  command(command: Command): () => Answer | undefined {
    const id = ++this.#lastCommand
    this.#unanswered.set(id, command.kind)
    this.handle({ kind: 'command', id, command })
    return () => this.#answers.get(id)
  }

  /** Completes a job: performs it, and for a kernel job all that were asked for before it. */
  complete(pending: PendingJob): void {
    if (pending.job.kind === 'kernel') {
      for (const other of this.#jobs) {
        if (other.job.kind === 'kernel') other.outcome ??= this.#perform(other.job)
        if (other === pending) break
      }
    } else {
      pending.outcome ??= this.#perform(pending.job)
    }
    this.#jobs = this.#jobs.filter((other) => other !== pending)
    const { id, outcome } = pending
    if (outcome === undefined) throw new Error('the job does not belong to this host')
    this.handle(
      'error' in outcome ? { kind: 'failed', job: id, ...outcome } : { kind: 'completed', job: id, ...outcome },
    )
    this.passKernelEvents()
  }

  /** Wakes what is due. */
  wake(): void {
    this.kernel.advance(this.#now)
    this.passKernelEvents()
    if (this.#timerAt !== undefined && this.#timerAt <= this.#now) this.handle({ kind: 'timer' })
  }

  passKernelEvents(): void {
    for (const event of this.kernel.drain()) this.handle({ kind: 'kernel', event })
  }

  /** The IKE SAs as list-sas shows them; its questions to the kernel are answered at once. */
  sas(): readonly IkeSaView[] {
    // What is due in the kernel happens when it is asked, and is to be seen.
    this.kernel.advance(this.#now)
    this.passKernelEvents()
    const answer = this.command({ kind: 'list-sas', select: {} })
    for (;;) {
      const said = answer()
      if (said !== undefined) return said.kind === 'sas' ? said.ikeSas : []
      const query = this.#jobs.find(({ job }) => job.kind === 'kernel' && job.operation.kind === 'query-sas')
      if (query === undefined) throw new Error('list-sas waits for something else than the kernel')
      this.complete(query)
    }
  }

  /** Throws away what was logged, raised and sent so far: for runs that are long. */
  forget(): void {
    this.logs.length = 0
    this.events.length = 0
    this.states.length = 0
    this.sent.length = 0
    this.#labels.clear()
  }

  /** Names all outputs so far, in their order and with their contents. */
  digest(): string {
    return this.#digest.copy().digest('hex')
  }

  #withNonces(random: Random): Random {
    return (count) => {
      const drawn = random(count)
      const [start, ...rest] = this.nonceStarts
      if (count !== 32 || start === undefined) return drawn
      this.nonceStarts = rest
      return Uint8Array.from(drawn, (octet, i) => (i === 0 ? start : octet))
    }
  }

  get #now(): number {
    return this.#options.clock.now
  }

  #perform(job: Job): PendingJob['outcome'] {
    try {
      const value =
        job.kind === 'kernel'
          ? this.#byCalendar(job, this.kernel.perform(job.operation, this.#now))
          : performJob(job, this.#random, this.#options.names ?? new Map(), this.#options.web ?? new Map(), this.#now)
      return { value }
    } catch (error) {
      return { error: error instanceof Error ? error : new Error(String(error)) }
    }
  }

  /** Linux notes the last use of a state by the calendar. */
  #byCalendar({ operation }: KernelJob, result: unknown): unknown {
    const byCalendar = (usage: SaUsage | undefined) =>
      usage?.lastUsedMs === undefined ? usage : { ...usage, lastUsedMs: usage.lastUsedMs + this.calendarMs }
    // The operation says what the result is.
    if (operation.kind === 'query-sa') return byCalendar(result as SaUsage | undefined)
    if (operation.kind === 'query-sas') return (result as readonly (SaUsage | undefined)[]).map(byCalendar)
    return result
  }

  /** What the core said it generated; for a retransmission what it was called the first time. */
  #label(local: Endpoint, bytes: Uint8Array, generated: string | undefined): string {
    const message = local.port === this.#options.settings.portIke ? bytes : bytes.subarray(4)
    if (message.length < 28) return `${message.length} octets`
    const name =
      Buffer.from(message.subarray(0, 8)).toString('hex') + Buffer.from(message.subarray(17, 24)).toString('hex')
    if (generated !== undefined) this.#labels.set(name, generated)
    return this.#labels.get(name) ?? `exchange ${message[18]}, message ${Buffer.from(message).readUInt32BE(20)}`
  }

  #digestOutput(output: Output): void {
    const digest = this.#digest.update(output.kind)
    switch (output.kind) {
      case 'send':
        digest.update(`${output.local.address} ${output.local.port} ${output.remote.address} ${output.remote.port}`)
        digest.update(output.bytes)
        break
      case 'job':
        digest.update(
          `${output.id} ${output.job.kind} ${output.job.kind === 'kernel' ? output.job.operation.kind : ''}`,
        )
        break
      case 'log':
        digest.update(output.entry.message)
        break
      case 'event':
        digest.update(output.event.kind)
        break
      case 'answer':
        digest.update(`${output.command} ${output.answer.kind}`)
        break
      case 'tracking':
        digest.update(`${output.command} ${output.uniqueId}`)
        break
      case 'name-servers':
        digest.update(output.servers.map(({ address }) => address).join(' '))
        break
      case 'updown':
        digest.update(JSON.stringify(output.script))
        break
      case 'timer':
        digest.update(`${output.at}`)
        break
    }
  }
}

/**
 * A kernel job with keys of its own: the daemon's performer writes the netlink message at once, and the core may wipe
 * the keys before the kernel has read it.
 */
function snapshot(job: Job): Job {
  if (job.kind !== 'kernel') return job
  const { operation } = job
  if (operation.kind !== 'install-sa' && operation.kind !== 'move-sa') return job
  const sa = { ...operation.sa, crypto: copyOf(operation.sa.crypto) }
  return { kind: 'kernel', operation: { ...operation, sa } } satisfies KernelJob
}

function copyOf(crypto: SaCrypto): SaCrypto {
  if (crypto.kind === 'aead') return { ...crypto, key: crypto.key.copy() }
  const { kind, encryption, integrity } = crypto
  return {
    kind,
    ...(encryption && { encryption: { ...encryption, key: encryption.key.copy() } }),
    ...(integrity && { integrity: { ...integrity, key: integrity.key.copy() } }),
  }
}
