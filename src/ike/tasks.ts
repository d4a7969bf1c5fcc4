/** Our own work on one IKE SA: what waits for its turn, what is under way, and what may be under way together. */
import { InvalidPublicValue } from '../crypto/errors.ts'
import { Defect } from './errors.ts'
import { closeIkeSa } from './exchanges/delete.ts'
import type { IkeSa } from './ike-sa.ts'
import { type Performer, Process } from './runner.ts'
import type { Script } from './script.ts'

/** Work of our own on an IKE SA: in the order of the queue, several at a time where `overlaps` allows it. */
export interface Task {
  /** charon's task names, for listings; fewer as its parts are done. */
  readonly names: readonly string[]
  /** Is given the SA that it runs on: a rekeyed IKE SA hands over the work that has not begun. */
  readonly script: (sa: IkeSa) => Script<void>
  /** Called when the script threw, or when the SA went before or while it ran (`error` is undefined then). */
  readonly failed: (error: Error | undefined, sa: IkeSa) => void
  readonly done?: () => void
  /** The child this brings up, to find duplicates. */
  readonly child?: string
  /** The child that is there and that this changes. */
  readonly changes?: string
  /** Nothing may be under way beside it, whatever its names are at the moment. */
  readonly alone?: boolean
  /** Goes before all others that have not begun. */
  readonly urgent?: boolean
  /** What remains to be done on the successor when the IKE SA is rekeyed while this runs. */
  readonly remains?: () => Task
}

type Kind = 'liveness' | 'child' | 'other'

/**
 * Whether two tasks may be under way at once, given a peer with a window for both. What changes the IKE SA itself (set-up,
 * rekeying, deletion, addresses) is alone: RFC 7296 §2.8 and §2.25 have it refused or refuse others beside it. Exchanges
 * about Child SAs touch nothing in common, unless they are about the same one.
 */
const overlaps: Readonly<Record<Kind, Readonly<Record<Kind, 'yes' | 'another child' | 'no'>>>> = {
  liveness: { liveness: 'no', child: 'yes', other: 'no' },
  child: { liveness: 'yes', child: 'another child', other: 'no' },
  other: { liveness: 'no', child: 'no', other: 'no' },
}

/** Whether `task` may begin while `other` is under way. */
export function mayOverlap(task: Task, other: Task): boolean {
  const rule = overlaps[kindOf(task)][kindOf(other)]
  return rule === 'yes' || (rule === 'another child' && about(task) !== about(other))
}

function kindOf(task: Task): Kind {
  const [name, ...more] = task.names
  if (task.alone || more.length > 0) return 'other'
  return name === 'IKE_DPD' ? 'liveness' : about(task) === undefined ? 'other' : 'child'
}

function about({ child, changes }: Task): string | undefined {
  return child ?? changes
}

/** The queue of one IKE SA and what has been taken from it. */
export class Tasks {
  readonly #sa: IkeSa
  readonly #performer: Performer
  /** How many may be under way: as many as the peer takes requests. */
  readonly #most: () => number
  readonly #queue: Task[] = []
  readonly #active = new Map<Task, Process<void>>()
  /** Those that have failed or been ended, while their failure is told. */
  #ending: readonly Task[] = []

  constructor(sa: IkeSa, performer: Performer, most: () => number) {
    this.#sa = sa
    this.#performer = performer
    this.#most = most
  }

  get queued(): readonly Task[] {
    return this.#queue
  }

  get active(): readonly Task[] {
    return [...this.#active.keys()]
  }

  /** Those under way and those whose failure is being told, for listings. */
  get shown(): readonly Task[] {
    return [...this.#ending, ...this.#active.keys()]
  }

  enqueue(task: Task): void {
    if (this.#sa.destroyed) {
      task.failed(undefined, this.#sa)
      return
    }
    if (task.urgent) this.#queue.unshift(task)
    else this.#queue.push(task)
    this.next()
  }

  /** Begins what may begin. Nothing overtakes: what has to be alone would wait for ever. */
  next(): void {
    for (;;) {
      const [task] = this.#queue
      if (task === undefined || this.#sa.destroyed || this.#active.size >= this.#most()) return
      if (this.active.some((other) => !mayOverlap(task, other))) return
      this.#queue.shift()
      this.#begin(task)
    }
  }

  #begin(task: Task): void {
    const { core } = this.#sa
    const process: Process<void> = new Process(task.script(this.#sa), this.#performer, (outcome) => {
      this.#active.delete(task)
      if (outcome.kind === 'failed') {
        if (isOurMistake(outcome.error)) core.defect(outcome.error, this.#sa)
        this.#telling([task], () => task.failed(outcome.error, this.#sa))
        if (outcome.error instanceof InvalidPublicValue) this.#distrust()
      } else {
        task.done?.()
      }
      this.next()
    })
    this.#active.set(task, process)
    process.start()
  }

  /** What those under way wait for fails with `error`. */
  interrupt(error: Error): void {
    for (const process of [...this.#active.values()]) process.interrupt(error)
  }

  #telling(tasks: readonly Task[], tell: () => void): void {
    const before = this.#ending
    this.#ending = [...before, ...tasks]
    try {
      tell()
    } finally {
      this.#ending = before
    }
  }

  /** RFC 6989 §2.5: a peer whose public value cannot be is faulty or malicious. */
  #distrust(): void {
    if (this.#sa.destroyed || this.#sa.establishedAtMs === undefined) return
    this.cancelQueued()
    this.enqueue({ names: ['IKE_DELETE'], script: closeIkeSa, failed: (_error, sa) => sa.destroy() })
  }

  /** Takes back all work that has not begun. */
  cancelQueued(): void {
    for (const task of this.takeQueue()) task.failed(undefined, this.#sa)
  }

  /** All work that has not begun, for somebody else to do. */
  takeQueue(): Task[] {
    return this.#queue.splice(0)
  }

  /** Ends every script. What they and the queue were to do has failed, as the result is to be told. */
  end(): () => void {
    const active = [...this.#active]
    this.#active.clear()
    const before = this.#ending
    this.#ending = [...before, ...active.map(([task]) => task)]
    for (const [, process] of active) process.end()
    return () => {
      this.#ending = before
      const queued = this.takeQueue()
      for (const [task] of active) task.failed(undefined, this.#sa)
      for (const task of queued) task.failed(undefined, this.#sa)
    }
  }
}

/** Errors of the language are mistakes of ours, whoever made us make them. */
export function isOurMistake(error: Error): boolean {
  return (
    error instanceof Defect ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError
  )
}
