/**
 * What all parts of the protocol core share while one input is handled: the time, the tables of SAs, connections and
 * jobs, and the outputs so far. There is no other state, and nothing here waits.
 */
import { createHash } from 'node:crypto'
import type { CoreSettings } from '../config/daemon-settings.ts'
import type { Random } from '../crypto/random.ts'
import { KernelError, type KernelOperation } from '../kernel/operations.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { Admission } from './admission.ts'
import { Connections } from './connections.ts'
import { Counters } from './counters.ts'
import { type Credentials, noCredentials } from './credentials.ts'
import { Defect } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Job } from './job.ts'
import { Lingering } from './lingering.ts'
import { UniqueNumbers } from './marks.ts'
import { NameServers } from './name-servers.ts'
import type { AlertKind, Event, LogEntry, LogGroup, Output } from './output.ts'
import { PeerNames } from './peer-names.ts'
import { Policies } from './policies.ts'
import { Pools } from './pools.ts'
import { answerPauseMs, Recent } from './recent.ts'
import { Reqids } from './reqids.ts'
import { Retries } from './retries.ts'
import { Process, type Waiter } from './runner.ts'
import { SaTable } from './sa-table.ts'
import type { ReplyEffect, RequestEffect, RunEffect, Script, SleepEffect } from './script.ts'
import { Timers } from './timers.ts'
import { Traps } from './traps.ts'
import { UnknownSpis } from './unknown-spi.ts'
import { ikeSaView } from './views.ts'

export interface CoreOptions {
  readonly random: Random
  readonly settings: CoreSettings
  /** Throw our own mistakes out of `handle` instead of logging them and ending the SA: for tests. */
  readonly strict?: boolean
}

/** Somebody waits for a job: a script, or nobody but the log. */
interface Waiting {
  readonly resume: (value: unknown) => void
  readonly fail: (error: Error) => void
}

/** Datagrams that were dropped, by reason. */
export interface DropCounters {
  malformed: number
  unknownSpi: number
  unexpected: number
  forged: number
  limits: number
}

export class Core {
  readonly random: Random
  readonly strict: boolean
  settings: CoreSettings
  credentials: Credentials = noCredentials
  now = 0
  readonly timers: Timers = new Timers()
  readonly connections: Connections = new Connections()
  readonly admission: Admission
  readonly policies: Policies
  readonly lingering: Lingering
  readonly reqids: Reqids
  readonly uniqueNumbers: UniqueNumbers = new UniqueNumbers()
  readonly pools: Pools
  readonly nameServers: NameServers
  readonly peerNames: PeerNames
  readonly traps: Traps
  readonly retries: Retries
  readonly unknownSpis: UnknownSpis = new UnknownSpis()
  /** Whom we have sent an error without protection to. */
  readonly unprotectedAnswers: Recent = new Recent(answerPauseMs)
  /** All IKE SAs by unique id, oldest first. */
  readonly sas: SaTable = new SaTable()
  /** The same by the SPI we chose. */
  readonly bySpi: Map<bigint, IkeSa> = new Map()
  /** Those we respond in, by what a retransmitted IKE_SA_INIT request looks like. */
  readonly byInitRequest: Map<string, IkeSa> = new Map()
  readonly drops: DropCounters = { malformed: 0, unknownSpi: 0, unexpected: 0, forged: 0, limits: 0 }
  readonly counters: Counters = new Counters()
  shuttingDown = false

  #outputs: Output[] = []
  #lastJob = 0
  #lastIkeId = 0
  #lastChildId = 0
  readonly #jobs = new Map<number, Waiting>()
  #processes = 0

  constructor(options: CoreOptions) {
    this.random = options.random
    this.strict = options.strict ?? false
    this.settings = options.settings
    this.admission = new Admission(this)
    this.policies = new Policies(this)
    this.lingering = new Lingering(this)
    this.pools = new Pools(this)
    this.peerNames = new PeerNames(this)
    this.nameServers = new NameServers(this)
    this.reqids = new Reqids(options.settings.reqidBase, options.settings.reqidsInUse)
    this.traps = new Traps(this)
    this.retries = new Retries(this)
  }

  /** Takes what has been put out since the last time. */
  takeOutputs(): Output[] {
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  output(output: Output): void {
    this.#outputs.push(output)
  }

  /** The unique id of the youngest IKE SA: whatever has a higher one was begun later. */
  get lastIkeId(): number {
    return this.#lastIkeId
  }

  nextIkeId(): number {
    return ++this.#lastIkeId
  }

  /** The same of Child SAs. */
  get lastChildId(): number {
    return this.#lastChildId
  }

  nextChildId(): number {
    return ++this.#lastChildId
  }

  /** Jobs whose completion is still to come. */
  get pendingJobs(): number {
    return this.#jobs.size
  }

  /** Running scripts that belong to no IKE SA. */
  get runningProcesses(): number {
    return this.#processes
  }

  log(group: LogGroup, level: LogEntry['level'], message: string, sa?: IkeSa, severity?: 'error' | 'warn'): void {
    this.output({
      kind: 'log',
      entry: {
        group,
        level,
        message,
        ...(severity && { severity }),
        ...(sa && { ikeSa: { name: sa.connection?.name, uniqueId: sa.uniqueId } }),
      },
    })
  }

  event(event: Event): void {
    this.counters.event(event)
    this.output({ kind: 'event', event })
  }

  alert(alert: AlertKind, sa?: IkeSa): void {
    this.event({ kind: 'alert', alert, ...(sa && { ikeSa: ikeSaView(sa) }) })
  }

  /** Sends an IKE message; on every port but IKE's own it gets the non-ESP marker (RFC 3948 §2.2). */
  send(local: Endpoint, remote: Endpoint, message: Uint8Array, dscp = 0): void {
    let bytes = message
    if (local.port !== this.settings.portIke) {
      bytes = new Uint8Array(4 + message.length)
      bytes.set(message, 4)
    }
    this.output({ kind: 'send', local, remote, bytes, ...(dscp !== 0 && { dscp }) })
  }

  /** Hands out a job; `waiting` hears how it ended. Returns a way to hand the wait to somebody else. */
  startJob(job: Job, waiting: Waiting): { abandon: (waiting: Waiting) => void } {
    const id = ++this.#lastJob
    this.#jobs.set(id, waiting)
    const said = job.kind === 'kernel' ? sadEntry(job.operation, 'begun') : undefined
    if (said !== undefined) this.log('KNL', 2, said)
    this.output({ kind: 'job', id, job })
    return {
      abandon: (other) => {
        if (this.#jobs.has(id)) this.#jobs.set(id, other)
      },
    }
  }

  jobCompleted(id: number, value: unknown): void {
    const waiting = this.#jobs.get(id)
    this.#jobs.delete(id)
    waiting?.resume(value)
  }

  jobFailed(id: number, error: Error): void {
    const waiting = this.#jobs.get(id)
    this.#jobs.delete(id)
    waiting?.fail(error)
  }

  /**
   * A kernel operation no script waits for: a removal. What fails is logged, except that the thing was gone already (the
   * kernel itself removes states at their hard limit); `ended` is called either way.
   */
  kernel(operation: KernelOperation, sa?: IkeSa, ended?: () => void): void {
    this.startJob(
      { kind: 'kernel', operation },
      {
        resume: () => {
          const said = sadEntry(operation, 'done')
          if (said !== undefined) this.log('KNL', 2, said, sa)
          ended?.()
        },
        fail: (error) => {
          const gone = error instanceof KernelError && (error.errno === 'ESRCH' || error.errno === 'ENOENT')
          if (!gone) this.log('KNL', 1, error.message, sa, 'error')
          ended?.()
        },
      },
    )
  }

  /** The part of a script's performer that is the same with and without an IKE SA. */
  runJob(waiter: Waiter, effect: RunEffect): void {
    const started = this.startJob(effect.job, {
      resume: (value) => waiter.resume(value),
      fail: (error) => waiter.fail(error),
    })
    waiter.onAbandon(() =>
      started.abandon({
        // The result is of the job's kind; RunEffect ties the two together.
        resume: (value) => effect.orphan?.(value as never),
        fail: () => {},
      }),
    )
  }

  sleep(waiter: Waiter, effect: SleepEffect): void {
    const timer = this.timers.set(this.now + effect.ms, () => waiter.resume(undefined))
    waiter.onAbandon(() => timer.clear())
  }

  /** Runs a script that belongs to no IKE SA and so can neither request nor reply. */
  spawn<T>(script: Script<T>, done: (value: T) => void, failed: (error: Error) => void): void {
    const performer = {
      request: (_waiter: Waiter, _effect: RequestEffect) => {
        throw new Defect('a script without an IKE SA cannot send a request')
      },
      reply: (_waiter: Waiter, _effect: ReplyEffect) => {
        throw new Defect('a script without an IKE SA cannot reply')
      },
      run: (waiter: Waiter, effect: RunEffect) => this.runJob(waiter, effect),
      sleep: (waiter: Waiter, effect: SleepEffect) => this.sleep(waiter, effect),
    }
    const process: Process<T> = new Process(script, performer, (outcome) => {
      this.#processes--
      if (outcome.kind === 'returned') done(outcome.value)
      else failed(outcome.error)
    })
    this.#processes++
    process.start()
  }

  /** A fresh IKE SPI: not zero, not in use, with the label that is configured. */
  newSpi(): bigint {
    const { spiMask, spiLabel } = this.settings
    for (;;) {
      const drawn = Buffer.from(this.random(8)).readBigUInt64BE()
      const spi = (drawn & ~spiMask) | (spiLabel & spiMask)
      if (spi !== 0n && !this.bySpi.has(spi)) return spi
    }
  }

  /** Our own mistake: fails a test, ends an SA in the field. */
  defect(error: Error, sa?: IkeSa): void {
    if (this.strict) throw error
    this.log('IKE', 1, `internal error: ${error.stack ?? error.message}`, sa, 'error')
  }
}

/** What charon's log says of states that come and go. */
function sadEntry(operation: KernelOperation, when: 'begun' | 'done'): string | undefined {
  const spi = (number: number): string => number.toString(16).padStart(8, '0')
  if (operation.kind === 'delete-sa')
    return `${when === 'done' ? 'deleted' : 'deleting'} SAD entry with SPI ${spi(operation.id.spi)}`
  if (operation.kind !== 'install-sa' || when === 'done') return undefined
  return `adding SAD entry with SPI ${spi(operation.sa.spi)} and reqid {${operation.sa.reqid}}`
}

/** Names an IKE_SA_INIT request for the recognition of retransmissions: the same octets from the same place. */
export function initRequestKey(remote: Endpoint, bytes: Uint8Array): string {
  return `${remote.address} ${remote.port} ${createHash('sha256').update(bytes).digest('base64')}`
}
