/** A binary heap of deadlines: O(log n) to set, O(1) to clear, ties in the order in which they were set. */

/** A running timer; `clear()` may be called at any time, more than once. */
export interface Timer {
  clear(): void
}

interface Entry extends Timer {
  readonly at: number
  readonly order: number
  action: (() => void) | undefined
}

export class Timers {
  readonly #heap: Entry[] = []
  #order = 0
  #cleared = 0

  /** Calls `action` once `at` (epoch milliseconds) has come. */
  set(at: number, action: () => void): Timer {
    const timers = this
    const entry: Entry = {
      at,
      order: this.#order++,
      action,
      clear() {
        if (this.action === undefined) return
        this.action = undefined
        timers.#cleared++
        timers.#compact()
      },
    }
    this.#heap.push(entry)
    this.#up(entry, this.#heap.length - 1)
    return entry
  }

  /** When the next timer is due; undefined when there is none. */
  get next(): number | undefined {
    this.#dropCleared()
    return this.#heap[0]?.at
  }

  /** How many timers run. */
  get size(): number {
    return this.#heap.length - this.#cleared
  }

  /** Runs everything that is due at `now`, the earliest first. */
  expire(now: number): void {
    for (;;) {
      this.#dropCleared()
      const first = this.#heap[0]
      if (first === undefined || first.at > now) return
      this.#pop()
      const { action } = first
      first.action = undefined
      action?.()
    }
  }

  #dropCleared(): void {
    while (this.#heap[0] !== undefined && this.#heap[0].action === undefined) {
      this.#pop()
      this.#cleared--
    }
  }

  /** Cleared timers stay in the heap until they surface; with more dead than alive it is rebuilt (amortised O(1)). */
  #compact(): void {
    if (this.#cleared < 64 || this.#cleared * 2 < this.#heap.length) return
    const alive = this.#heap.filter((entry) => entry.action !== undefined).sort(before)
    this.#heap.length = 0
    for (const entry of alive) this.#heap.push(entry) // a sorted array is a heap
    this.#cleared = 0
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    this.#down(last, 0)
  }

  // Both leave a hole where `entry` was taken from, move it to the right place, and fill it there.

  #up(entry: Entry, start: number): void {
    const heap = this.#heap
    let hole = start
    while (hole > 0) {
      const above = (hole - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || before(entry, parent) >= 0) break
      heap[hole] = parent
      hole = above
    }
    heap[hole] = entry
  }

  #down(entry: Entry, start: number): void {
    const heap = this.#heap
    let hole = start
    for (;;) {
      const left = 2 * hole + 1
      const a = heap[left]
      if (a === undefined) break
      const b = heap[left + 1]
      const [child, below] = b !== undefined && before(b, a) < 0 ? [b, left + 1] : [a, left]
      if (before(entry, child) <= 0) break
      heap[hole] = child
      hole = below
    }
    heap[hole] = entry
  }
}

function before(a: Entry, b: Entry): number {
  return a.at - b.at || a.order - b.order
}
