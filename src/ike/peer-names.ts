/**
 * Host names in connections, for requests that come: what they stand for is looked up when there is a request that no
 * address fits, as charon does, for addresses behind names change. The request waits for the answer; others go on with
 * what is known meanwhile. Nothing here is authenticated, so there is one look-up at a time, and a pause after it.
 */
import type { Core } from './core.ts'
import { run, type Script } from './script.ts'

const pauseMs = 1000
/** More names take a longer pause: strangers shall not have us ask for all of them all the time. */
const pausePerNameMs = 10

export class PeerNames {
  readonly #core: Core
  #askedMs = Number.NEGATIVE_INFINITY
  #open = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** Whether a look-up is under way that may say who a peer is. */
  get isAsking(): boolean {
    return this.#open > 0
  }

  /** Looks the names up, if there are any and it is time, and then calls `go`; false if there is nothing to wait for. */
  ask(go: () => void): boolean {
    const { now, connections } = this.#core
    const names = connections.hostNames()
    if (names.length === 0 || this.isAsking || now - this.#askedMs < pauseMs + names.length * pausePerNameMs)
      return false
    this.#askedMs = now
    this.#open = names.length
    const ended = (): void => {
      this.#open--
      if (this.#open === 0) go()
    }
    for (const name of names) this.#core.spawn(this.#lookUp(name), ended, ended)
    return true
  }

  /** A name that cannot be resolved now is what it was before. */
  *#lookUp(name: string): Script<void> {
    this.#core.connections.resolved(name, yield* run({ kind: 'resolve', name }))
  }
}
