/**
 * reqids tie policies to states in the kernel. One per distinct set of selectors, marks and interface ids; shared by a
 * trap, its Child SA and all its rekeyings; given back when unused and then used again in the order of release.
 */
export class Reqids {
  readonly #byKey = new Map<string, { reqid: number; users: number }>()
  readonly #keys = new Map<number, string>()
  readonly #free: number[] = []
  #next: number

  readonly #taken: ReadonlySet<number>

  /** @param taken reqids that somebody else uses: only a configured one may be among them */
  constructor(base: number, taken: Iterable<number> = []) {
    this.#next = base
    this.#taken = new Set(taken)
  }

  /** Takes a reference on the reqid of `key`; `fixed` is a configured one (not 0). */
  acquire(key: string, fixed: number): number {
    const full = fixed > 0 ? `fixed ${fixed}` : key
    let entry = this.#byKey.get(full)
    if (entry === undefined) {
      entry = { reqid: fixed > 0 ? fixed : (this.#free.shift() ?? this.#unused()), users: 0 }
      this.#byKey.set(full, entry)
      this.#keys.set(entry.reqid, full)
    }
    entry.users++
    return entry.reqid
  }

  /** One more user of a reqid that is in use. */
  share(reqid: number): number {
    const entry = this.#byKey.get(this.#keys.get(reqid) ?? '')
    if (entry !== undefined) entry.users++
    return reqid
  }

  release(reqid: number): void {
    const key = this.#keys.get(reqid)
    const entry = key === undefined ? undefined : this.#byKey.get(key)
    if (key === undefined || entry === undefined || --entry.users > 0) return
    this.#byKey.delete(key)
    this.#keys.delete(reqid)
    if (!key.startsWith('fixed ')) this.#free.push(reqid)
  }

  /** How many reqids are in use. */
  get size(): number {
    return this.#byKey.size
  }

  #unused(): number {
    while (this.#taken.has(this.#next)) this.#next++
    return this.#next++
  }
}
