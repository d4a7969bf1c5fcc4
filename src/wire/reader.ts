import { DecodeError } from './errors.ts'

/**
 * Reads big-endian fields from front to back. Throws a `DecodeError` at the first octet that is missing and never
 * shortens. What it returns are views into the given bytes: they must not be changed afterwards.
 */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #parent: Reader | undefined
  readonly #segment: string
  /** Where `#bytes` begins, counted from the start of the outermost bytes. */
  readonly #base: number
  #at = 0

  /**
   * @param place what errors call these bytes, for example `message`
   * @param parent the reader that these bytes were taken from, if any; they end where it stands now
   */
  constructor(bytes: Uint8Array, place = '', parent?: Reader) {
    // A Buffer would hand its class on to every view that is taken of it.
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#segment = place
    this.#parent = parent
    this.#base = parent === undefined ? 0 : parent.offset - bytes.length
  }

  /** Octets not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** The next octet to be read, counted from the start of the outermost bytes. */
  get offset(): number {
    return this.#base + this.#at
  }

  /** The path of names from the outermost reader to this one. */
  get place(): string {
    const outer = this.#parent?.place ?? ''
    if (outer === '' || this.#segment === '') return outer + this.#segment
    return `${outer}.${this.#segment}`
  }

  u8(): number {
    const at = this.#take(1)
    return this.#bytes[at] as number // #take checked that it is there
  }

  u16(): number {
    const at = this.#take(2)
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number)
  }

  u32(): number {
    if (this.left < 4) this.fail(`4 octets wanted, ${this.left} left`)
    return this.u16() * 0x10000 + this.u16()
  }

  u64(): bigint {
    if (this.left < 8) this.fail(`8 octets wanted, ${this.left} left`)
    eight.setUint32(0, this.u32())
    eight.setUint32(4, this.u32())
    return eight.getBigUint64(0)
  }

  /** The next `n` octets, as a view. */
  bytes(n: number): Uint8Array {
    const at = this.#take(n)
    return this.#bytes.subarray(at, at + n)
  }

  /** Everything that is left, as a view; may be empty. */
  rest(): Uint8Array {
    return this.bytes(this.left)
  }

  /** A reader of the next `n` octets, which errors call `place`. */
  sub(n: number, place: string): Reader {
    return new Reader(this.bytes(n), place, this)
  }

  /** Everything must have been read. */
  end(): void {
    if (this.left > 0) this.fail(`${this.left} octets too many`)
  }

  /** Refuses the bytes. `notify` is the notify to answer with where it is not INVALID_SYNTAX. */
  fail(reason: string, notify?: number): never {
    throw new DecodeError(this.place, this.offset, reason, notify)
  }

  #take(n: number): number {
    if (n > this.left) this.fail(`${n} octets wanted, ${this.left} left`)
    const at = this.#at
    this.#at += n
    return at
  }
}

/** Where the octets of a u64 meet: a view made for each would cost more than everything else in a header. */
const eight = new DataView(new ArrayBuffer(8))
