/**
 * The protocol core: one input in, all consequences out. Synchronous and deterministic: it reads no clock, draws no
 * randomness and waits for nothing; the same inputs give the same outputs.
 */
import { command } from './commands.ts'
import { Core, type CoreOptions, type DropCounters } from './core.ts'
import type { Counters } from './counters.ts'
import type { Input } from './input.ts'
import { kernelEvent } from './kernel-events.ts'
import type { Output } from './output.ts'
import { datagram } from './routing.ts'

export type { CoreOptions } from './core.ts'

export class Engine {
  readonly #core: Core
  #timerAt: number | undefined

  constructor(options: CoreOptions) {
    this.#core = new Core(options)
  }

  /**
   * @param now epoch milliseconds; never earlier than in the call before
   */
  handle(input: Input, now: number): Output[] {
    const core = this.#core
    core.now = Math.max(core.now, now)
    try {
      this.#dispatch(input)
    } catch (error) {
      // A bug must not take the daemon with it; in tests it must be seen.
      core.defect(error instanceof Error ? error : new Error(String(error)))
    }
    const outputs = core.takeOutputs()
    const next = core.timers.next
    if (next !== this.#timerAt) {
      this.#timerAt = next
      outputs.push({ kind: 'timer', at: next })
    }
    return outputs
  }

  /** The numbers of VICI's `get-counters`. */
  get counters(): Counters {
    return this.#core.counters
  }

  /** What is alive, for tests that look for leaks and for metrics. */
  get census(): Census {
    const core = this.#core
    const { sas, bySpi, byInitRequest, timers, policies, lingering, reqids, pools, admission, drops } = core
    const { pendingJobs, runningProcesses } = core
    return {
      ikeSas: sas.size,
      spis: bySpi.size,
      initRequests: byInitRequest.size,
      timers: timers.size,
      policies: policies.size,
      lingering: lingering.size,
      reqids: reqids.size,
      leases: pools.online,
      jobs: pendingJobs,
      processes: runningProcesses,
      halfOpen: admission.halfOpen,
      drops: { ...drops },
    }
  }

  #dispatch(input: Input): void {
    const core = this.#core
    switch (input.kind) {
      case 'datagram':
        return datagram(core, input.local, input.remote, input.bytes)
      case 'completed':
        return core.jobCompleted(input.job, input.value)
      case 'failed':
        return core.jobFailed(input.job, input.error)
      case 'kernel':
        return kernelEvent(core, input.event)
      case 'timer':
        // Whatever was asked for has been used up: the next deadline must be said again.
        this.#timerAt = undefined
        return core.timers.expire(core.now)
      case 'command':
        return command(core, input.id, input.command)
    }
  }
}

/** Counts of everything that lives in an engine. */
export interface Census {
  readonly ikeSas: number
  readonly spis: number
  readonly initRequests: number
  readonly timers: number
  readonly policies: number
  /** States that have been replaced and are about to be deleted. */
  readonly lingering: number
  readonly reqids: number
  /** Addresses of our pools that clients use now. */
  readonly leases: number
  readonly jobs: number
  readonly processes: number
  readonly halfOpen: number
  readonly drops: DropCounters
}
