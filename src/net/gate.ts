/**
 * Holds back what comes while the connections are still being loaded. A peer that comes again by itself, as after our
 * restart, would else be told that there is no connection for it (NO_PROPOSAL_CHOSEN), and charon then gives up.
 */
export class Gate<T> {
  readonly #pass: (item: T) => void
  readonly #capacity: number
  #held: T[] | undefined = []

  /** @param capacity what is beyond it is dropped: peers send again */
  constructor(capacity: number, pass: (item: T) => void) {
    this.#capacity = capacity
    this.#pass = pass
  }

  /** Passes the item on, now or when the gate opens. */
  take(item: T): void {
    if (this.#held === undefined) this.#pass(item)
    else if (this.#held.length < this.#capacity) this.#held.push(item)
  }

  /** Passes on what it holds, in order, and from now on everything at once. */
  open(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const item of held) this.#pass(item)
  }
}
