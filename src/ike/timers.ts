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
    this.#up(this.#heap.length - 1)
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
    heap[0] = last
    this.#down(0)
  }

  #up(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#swapIfBefore(index, parent)) return
      index = parent
    }
  }

  #down(start: number): void {
    let index = start
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      const heap = this.#heap
      const a = heap[left]
      if (a === undefined) return
      const b = heap[right]
      const child = b !== undefined && before(b, a) < 0 ? right : left
      if (!this.#swapIfBefore(child, index)) return
      index = child
    }
  }

  #swapIfBefore(child: number, parent: number): boolean {
    const heap = this.#heap
    const a = heap[child]
    const b = heap[parent]
    if (a === undefined || b === undefined || before(a, b) >= 0) return false
    heap[child] = b
    heap[parent] = a
    return true
  }
}

function before(a: Entry, b: Entry): number {
  return a.at - b.at || a.order - b.order
}
