import type { KeyObject } from 'node:crypto'

/**
 * Our private value of a key exchange between sending and receiving the public values: opaque, for
 * `KeyExchange.finish` of the same method, released when disposed.
 */
export class KeyExchangePrivate implements Disposable {
  /** IANA number of the method that made it. */
  readonly method: number
  #key: KeyObject | undefined

  constructor(method: number, key: KeyObject) {
    this.method = method
    this.#key = key
  }

  /** For the methods only. Throws after disposal, and for another method than its own. */
  key(method: number): KeyObject {
    if (this.#key === undefined) throw new Error('a released private value was used')
    if (method !== this.method) throw new Error(`a private value of method ${this.method} was used with ${method}`)
    return this.#key
  }

  [Symbol.dispose](): void {
    this.#key = undefined
  }
}
