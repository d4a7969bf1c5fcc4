/** Runs an engine: inputs in, outputs to the sockets, the kernel, the logs and whoever waits for an answer. */

import type { Engine } from './ike/engine.ts'
import type { Command, Input } from './ike/input.ts'
import type { NameServer } from './ike/name-servers.ts'
import type { Answer, Event, LogEntry, Output, UpdownScript } from './ike/output.ts'
import { type Performers, perform } from './perform.ts'
import type { Endpoint } from './wire/endpoint.ts'

/** What a loop needs of the world around it. */
export interface Surroundings extends Performers {
  /** Sends a datagram; the result is an errno name or undefined. */
  readonly send: (datagram: { local: Endpoint; remote: Endpoint; bytes: Uint8Array }) => string | undefined
  readonly log: (entry: LogEntry) => void
  /** Has the host ask these name servers first, in place of those before. */
  readonly useNameServers: (servers: readonly NameServer[]) => void
  readonly runUpdown: (script: UpdownScript) => void
}

export interface Subscriber {
  readonly log?: (entry: LogEntry) => void
  readonly event?: (event: Event) => void
}

interface PendingCommand {
  readonly settle: (answer: Answer) => void
  readonly tracking: ((uniqueId: number) => void) | undefined
}

/** setTimeout takes no more; a deadline beyond it is reached in several steps. */
const longestTimeoutMs = 2 ** 31 - 1

export class Loop {
  readonly #engine: Engine
  readonly #around: Surroundings
  readonly #subscribers = new Set<Subscriber>()
  readonly #commands = new Map<number, PendingCommand>()
  readonly #inputs: Input[] = []
  #running = false
  #lastCommand = 0
  #timer: NodeJS.Timeout | undefined

  constructor(engine: Engine, around: Surroundings) {
    this.#engine = engine
    this.#around = around
    around.kernel.onEvent((event) => this.input({ kind: 'kernel', event }))
  }

  /** The steady clock that the engine lives by: epoch milliseconds, and no jump of the system's clock moves it. */
  now(): number {
    return Math.floor(performance.timeOrigin + performance.now())
  }

  /** Gives the engine an input and carries out everything that follows. */
  input(input: Input): void {
    this.#inputs.push(input)
    if (this.#running) return // an output has caused it: it is handled when the outputs before it are done
    this.#running = true
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        for (const output of this.#engine.handle(next, this.now())) this.#carryOut(output)
      }
    } finally {
      this.#running = false
    }
  }

  /** Has the engine carry out a command. `tracking` hears which IKE SAs work on it, before their log entries. */
  command(command: Command, tracking?: (uniqueId: number) => void): Promise<Answer> {
    const id = ++this.#lastCommand
    return new Promise((settle) => {
      this.#commands.set(id, { settle, tracking })
      this.input({ kind: 'command', id, command })
    })
  }

  /** Calls back for all log entries and events from now on, until the result is called. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber)
    return () => void this.#subscribers.delete(subscriber)
  }

  /** Writes an entry as if the engine had. */
  log(entry: LogEntry): void {
    this.#around.log(entry)
    for (const { log } of this.#subscribers) log?.(entry)
  }

  /** Stops the clock. What is still under way is not waited for. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #carryOut(output: Output): void {
    switch (output.kind) {
      case 'send': {
        const error = this.#around.send(output)
        if (error !== undefined) this.#sendFailed(output.remote, error)
        return
      }
      case 'job':
        void this.#perform(output.id, output.job)
        return
      case 'log':
        return this.log(output.entry)
      case 'event':
        for (const { event } of this.#subscribers) event?.(output.event)
        return
      case 'answer': {
        const pending = this.#commands.get(output.command)
        this.#commands.delete(output.command)
        return pending?.settle(output.answer)
      }
      case 'tracking':
        return this.#commands.get(output.command)?.tracking?.(output.uniqueId)
      case 'name-servers':
        return this.#around.useNameServers(output.servers)
      case 'updown':
        return this.#around.runUpdown(output.script)
      case 'timer':
        return this.#wake(output.at)
    }
  }

  async #perform(id: number, job: Extract<Output, { kind: 'job' }>['job']): Promise<void> {
    try {
      const value = await perform(job, this.#around)
      this.input({ kind: 'completed', job: id, value })
    } catch (error) {
      this.input({ kind: 'failed', job: id, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  #wake(at: number | undefined): void {
    clearTimeout(this.#timer)
    if (at === undefined) return
    const delay = Math.min(Math.max(0, at - this.now()), longestTimeoutMs)
    this.#timer = setTimeout(() => this.input({ kind: 'timer' }), delay)
  }

  /** A datagram that was not sent is as good as lost: the retransmission comes. */
  #sendFailed(remote: Endpoint, errno: string): void {
    this.log({
      group: 'NET',
      level: 1,
      severity: 'warn',
      message: `error writing to socket: ${errno} (to ${remote.address}:${remote.port})`,
    })
  }
}
