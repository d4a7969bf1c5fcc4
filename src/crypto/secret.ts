import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

/**
 * Key material that is never printed and is wiped when disposed.
 *
 * OpenSSL's copy inside a `KeyObject` cannot be wiped from here; it is released together with the `Secret`.
 */
export class Secret implements Disposable {
  readonly #bytes: Uint8Array
  #key: KeyObject | undefined
  #keyLength = -1
  #disposed = false

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Takes ownership: the caller must not keep, change or wipe `bytes`. */
  static of(bytes: Uint8Array): Secret {
    return new Secret(bytes)
  }

  /** Octets. */
  get length(): number {
    return this.#bytes.length
  }

  /** The live octets, not a copy. Throws after disposal. */
  bytes(): Uint8Array {
    if (this.#disposed) throw new Error('a wiped secret was used')
    return this.#bytes
  }

  /**
   * The first `length` octets (all by default; an AEAD key leaves out its salt) as a `KeyObject`, made once. Node 24
   * takes 10 µs longer for every operation whose key is an array of octets.
   */
  key(length: number = this.length): KeyObject {
    const bytes = this.bytes()
    if (this.#key === undefined || this.#keyLength !== length) {
      this.#key = createSecretKey(bytes.subarray(0, length))
      this.#keyLength = length
    }
    return this.#key
  }

  /** Compares in time that depends on the lengths only. */
  equals(other: Secret): boolean {
    return this.length === other.length && timingSafeEqual(this.bytes(), other.bytes())
  }

  /** An independent copy, wiped on its own. */
  copy(): Secret {
    return new Secret(this.bytes().slice())
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0)
    this.#key = undefined
    this.#disposed = true
  }

  toString(): string {
    return `[secret ${this.length}]`
  }

  toJSON(): string {
    return this.toString()
  }
}

// Outside the class, because a declaration file cannot name a member after a symbol of another module.
Object.defineProperty(Secret.prototype, inspect.custom, { value: Secret.prototype.toString })
