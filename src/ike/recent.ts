/**
 * What is done because of unprotected messages is rare (RFC 7296 §2.4): anybody can send them, under any address. Error
 * messages outside of an IKE SA (§1.5) share one of these: one per address in ten seconds, and a few in all.
 */

/** The pause between two unprotected answers to an address. */
export const answerPauseMs = 10_000
/** Addresses remembered, and so answers per pause in all. */
const mostAddresses = 20

/** When an address was last met, for a bounded number of addresses. */
export class Recent {
  readonly #pauseMs: number
  readonly #times = new Map<string, number>()

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs
  }

  /** Whether it is this address's turn; if so, it is remembered. */
  take(address: string, now: number): boolean {
    for (const [other, at] of this.#times) {
      if (now - at < this.#pauseMs) break // the oldest comes first
      this.#times.delete(other)
    }
    if (this.#times.has(address) || this.#times.size >= mostAddresses) return false
    this.#times.set(address, now)
    return true
  }
}
