/** Runs one script: resumes it with what it waited for, ends it when its SA goes. */
import { Defect } from './errors.ts'
import type { Effect, ReplyEffect, RequestEffect, RunEffect, Script, SleepEffect } from './script.ts'

/** A script that waits, as those see it who will give it what it waits for. */
export interface Waiter {
  /** Gives the script what it waited for. Does nothing once it has ended. */
  resume(value: unknown): void
  /** Makes the wait fail with `error`. Does nothing once it has ended. */
  fail(error: Error): void
  /** Remembers how to give up the current wait. */
  onAbandon(abandon: () => void): void
}

/** Carries out what a script yields. Nothing here may resume the script before it returns. */
export interface Performer {
  request(waiter: Waiter, effect: RequestEffect): void
  reply(waiter: Waiter, effect: ReplyEffect): void
  run(waiter: Waiter, effect: RunEffect): void
  sleep(waiter: Waiter, effect: SleepEffect): void
  /** Goes around each step of a script, if somebody has to know whose step it is. */
  around?<R>(waiter: Waiter, advance: () => R): R
}

/** A script that runs. It is always waiting for exactly one thing, has ended, or is being stepped right now. */
export class Process<T> implements Waiter {
  readonly #script: Script<T>
  readonly #performer: Performer
  readonly #done: (outcome: Outcome<T>) => void
  #state: 'new' | 'running' | 'waiting' | 'ended' = 'new'
  /** Releases what the runner keeps for the current wait (a timer, an outstanding request). */
  #abandon: (() => void) | undefined

  constructor(script: Script<T>, performer: Performer, done: (outcome: Outcome<T>) => void) {
    this.#script = script
    this.#performer = performer
    this.#done = done
  }

  get ended(): boolean {
    return this.#state === 'ended'
  }

  start(): void {
    this.#step(() => this.#script.next())
  }

  resume(value: unknown): void {
    if (this.#state !== 'waiting') return
    this.#step(() => this.#script.next(value))
  }

  fail(error: Error): void {
    if (this.#state !== 'waiting') return
    this.#step(() => this.#script.throw(error))
  }

  onAbandon(abandon: () => void): void {
    this.#abandon = abandon
  }

  /** Gives up the current wait, whatever it is for, and makes it fail with `error`. */
  interrupt(error: Error): void {
    if (this.#state !== 'waiting') return
    this.#abandon?.()
    this.fail(error)
  }

  /** Ends the script where it waits; its `using` blocks release what they hold. `done` is not called. */
  end(): void {
    if (this.#state === 'ended') return
    const running = this.#state === 'running'
    this.#state = 'ended'
    this.#abandon?.()
    this.#abandon = undefined
    // A script that ends its own SA is on the stack: it runs to its next yield, and #step closes it there.
    if (!running) this.#script.return(undefined as T)
  }

  #step(advance: () => IteratorResult<Effect, T>): void {
    this.#abandon = undefined
    this.#state = 'running'
    let result: IteratorResult<Effect, T>
    try {
      result = this.#performer.around?.(this, advance) ?? advance()
    } catch (error) {
      const wasEnded = this.#ended()
      this.#state = 'ended'
      if (!wasEnded) this.#done({ kind: 'failed', error: error instanceof Error ? error : new Defect(String(error)) })
      return
    }
    if (this.#ended()) {
      if (!result.done) this.#script.return(undefined as T)
      return
    }
    if (result.done) {
      this.#state = 'ended'
      this.#done({ kind: 'returned', value: result.value })
      return
    }
    this.#state = 'waiting'
    try {
      this.#perform(result.value)
    } catch (error) {
      this.fail(error instanceof Error ? error : new Defect(String(error)))
    }
  }

  // Narrowing of #state does not survive the call into the script, which may have ended this process.
  #ended(): boolean {
    return this.#state === 'ended'
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'request':
        return this.#performer.request(this, effect)
      case 'reply':
        return this.#performer.reply(this, effect)
      case 'run':
        return this.#performer.run(this, effect)
      case 'sleep':
        return this.#performer.sleep(this, effect)
    }
  }
}

export type Outcome<T> =
  | { readonly kind: 'returned'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: Error }
