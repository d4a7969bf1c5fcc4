/**
 * Writes big-endian fields into a buffer that grows. What does not fit its field is a mistake of ours and a `RangeError`.
 */
export class Writer {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  /** Octets written so far; where the next one goes. */
  get length(): number {
    return this.#length
  }

  u8(value: number): void {
    fits(value, 0xff)
    const at = this.#grow(1)
    this.#bytes[at] = value
  }

  u16(value: number): void {
    const at = this.#grow(2)
    this.#put16(at, value)
  }

  u32(value: number): void {
    fits(value, 0xffffffff)
    const at = this.#grow(4)
    this.#put16(at, Math.floor(value / 0x10000))
    this.#put16(at + 2, value % 0x10000)
  }

  u64(value: bigint): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${value} does not fit 8 octets`)
    const at = this.#grow(8)
    new DataView(this.#bytes.buffer).setBigUint64(at, value)
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** `n` zero octets: a reserved field, or room for what is patched later. */
  zeros(n: number): void {
    const at = this.#grow(n)
    this.#bytes.fill(0, at, at + n)
  }

  /**
   * Fills the two octets at `at`, written before as zeros, with the number of octets from `from` to the end. In most
   * structures of IKEv2 the length counts from two octets before itself.
   */
  length16(at: number, from: number = at - 2): void {
    this.#put16(at, this.#length - from)
  }

  /** Fills the four octets at `at` with the number of octets from `from` to the end. */
  length32(at: number, from: number): void {
    const value = this.#length - from
    this.#put16(at, Math.floor(value / 0x10000))
    this.#put16(at + 2, value % 0x10000)
  }

  /** Fills the octet at `at`, written before. */
  patch8(at: number, value: number): void {
    fits(value, 0xff)
    if (at >= this.#length) throw new RangeError(`nothing was written at ${at}`)
    this.#bytes[at] = value
  }

  /** What was written, as a view of exactly that; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Begins anew, in the room that it has. */
  clear(): void {
    this.#length = 0
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #put16(at: number, value: number): void {
    fits(value, 0xffff)
    this.#bytes[at] = value >>> 8
    this.#bytes[at + 1] = value & 0xff
  }

  #grow(n: number): number {
    const at = this.#length
    this.#length += n
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    return at
  }
}

function fits(value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) throw new RangeError(`${value} does not fit 0..${most}`)
}
