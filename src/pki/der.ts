import { concat } from '../crypto/bytes.ts'
import { DecodeError } from '../wire/errors.ts'

/**
 * DER, X.690: the reader for everything that comes in certificates and keys, and the few functions that write.
 *
 * The reader is strict where leniency would let two programs see two different things: definite and shortest lengths,
 * one-byte tags, shortest integers, booleans 00 or FF. It is bounded: a document may hold `MAX_VALUES` values read, nested
 * `MAX_DEPTH` deep. It throws DecodeError and nothing else.
 */
export class DerReader {
  readonly #source: DerSource
  readonly #depth: number
  readonly #end: number
  #at: number

  private constructor(source: DerSource, start: number, end: number, depth: number) {
    this.#source = source
    this.#at = start
    this.#end = end
    this.#depth = depth
  }

  /** A reader over a whole document; `place` is the name of the document in error messages. */
  static over(bytes: Uint8Array, place: string): DerReader {
    return new DerReader({ bytes, place, valuesLeft: MAX_VALUES }, 0, bytes.length, 0)
  }

  /** True while something is left. */
  get more(): boolean {
    return this.#at < this.#end
  }

  /** The tag of the next value, or undefined at the end. */
  get nextTag(): number | undefined {
    return this.more ? this.#source.bytes[this.#at] : undefined
  }

  /** The next value, whatever it is. */
  any(what: string): DerValue {
    const { bytes } = this.#source
    const start = this.#at
    if (this.#source.valuesLeft-- <= 0) this.fail(`more than ${MAX_VALUES} values`)
    const tag = this.#byte(start, what)
    if ((tag & 0x1f) === 0x1f) this.fail(`${what}: tags of several bytes are not used here`)
    let length = this.#byte(start + 1, what)
    let content = start + 2
    if (length >= 0x80) {
      const lengthBytes = length & 0x7f
      if (lengthBytes === 0) this.fail(`${what}: a length must be definite`)
      if (lengthBytes > 4) this.fail(`${what}: a length of ${lengthBytes} bytes`)
      length = 0
      for (let i = 0; i < lengthBytes; i++) length = length * 256 + this.#byte(content + i, what)
      if (length < 0x80 || length < 256 ** (lengthBytes - 1))
        this.fail(`${what}: the length is not in its shortest form`)
      content += lengthBytes
    }
    const end = content + length
    if (end > this.#end) this.fail(`${what}: ${length} bytes are announced, ${this.#end - content} are there`)
    this.#at = end
    return {
      tag,
      content: bytes.subarray(content, end),
      whole: bytes.subarray(start, end),
      offset: start,
      children: () => this.#inside(tag, content, end, what),
      reread: () => new DerReader(this.#source, content, end, this.#depth + 1),
    }
  }

  /** The next value, which must have this tag. */
  take(tag: number, what: string): DerValue {
    if (this.nextTag !== tag) {
      const found = this.nextTag === undefined ? 'nothing' : `tag ${hexByte(this.nextTag)}`
      this.fail(`${what}: tag ${hexByte(tag)} expected, ${found} found`)
    }
    return this.any(what)
  }

  /** The next value if it has this tag. */
  optional(tag: number, what: string): DerValue | undefined {
    return this.nextTag === tag ? this.any(what) : undefined
  }

  /** What is inside the next SEQUENCE. */
  sequence(what: string): DerReader {
    return this.take(SEQUENCE, what).children()
  }

  /** The next INTEGER as bytes, two's complement, shortest form. */
  integer(what: string): Uint8Array {
    const { content } = this.take(INTEGER, what)
    const [first, second] = content
    if (first === undefined) this.fail(`${what}: an integer without content`)
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
      this.fail(`${what}: the integer is not in its shortest form`)
    return content
  }

  /** The next INTEGER, not negative and small enough to count with. */
  smallInteger(what: string): number {
    return this.#small(this.integer(what), what)
  }

  /** The next BOOLEAN. */
  boolean(what: string): boolean {
    const { content } = this.take(BOOLEAN, what)
    const value = content[0]
    if (content.length !== 1 || (value !== 0 && value !== 0xff)) this.fail(`${what}: a boolean is 00 or FF`)
    return value === 0xff
  }

  /** The content of an implicitly tagged INTEGER that was taken already. */
  smallImplicit(value: DerValue, what: string): number {
    return this.#small(value.content, what)
  }

  /** The next BIT STRING, which must consist of whole bytes. */
  bitStringBytes(what: string): Uint8Array {
    const { content } = this.take(BIT_STRING, what)
    if (content[0] !== 0) this.fail(`${what}: the bit string does not consist of whole bytes`)
    return content.subarray(1)
  }

  /** Nothing may be left. */
  end(what: string): void {
    if (this.more) this.fail(`${what}: ${this.#end - this.#at} bytes more than there should be`)
  }

  /** Ends the reading with a message that says where we are. */
  fail(message: string): never {
    throw new DecodeError(this.#source.place, this.#at, message)
  }

  #inside(tag: number, start: number, end: number, what: string): DerReader {
    if ((tag & CONSTRUCTED) === 0) this.fail(`${what}: tag ${hexByte(tag)} holds no other values`)
    if (this.#depth >= MAX_DEPTH) this.fail(`${what}: nested deeper than ${MAX_DEPTH}`)
    return new DerReader(this.#source, start, end, this.#depth + 1)
  }

  #small(content: Uint8Array, what: string): number {
    if (content.length === 0) this.fail(`${what}: an integer without content`)
    if ((content[0] ?? 0) >= 0x80) this.fail(`${what}: a negative number`)
    if (content.length > 5) this.fail(`${what}: a number of ${content.length} bytes`)
    return content.reduce((sum, byte) => sum * 256 + byte, 0)
  }

  #byte(at: number, what: string): number {
    const byte = at < this.#end ? this.#source.bytes[at] : undefined
    return byte ?? this.fail(`${what}: the data ends inside a value`)
  }
}

/** One value as it stands in the document. */
export interface DerValue {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number
  readonly content: Uint8Array
  /** Tag, length and content. */
  readonly whole: Uint8Array
  /** Where the value begins in the document. */
  readonly offset: number
  /** A reader for what is inside; only constructed values have an inside. */
  children(): DerReader
  /** A reader for DER that an OCTET STRING or an implicitly tagged value carries as its content. */
  reread(): DerReader
}

/** The elements of a SEQUENCE OF, at least one, at most `MAX_LIST`. */
export function readList<T>(reader: DerReader, what: string, read: (elements: DerReader) => T): T[] {
  const elements = reader.sequence(what)
  const result: T[] = []
  do {
    result.push(read(elements))
    if (result.length > MAX_LIST) reader.fail(`${what}: more than ${MAX_LIST} entries`)
  } while (elements.more)
  return result
}

const MAX_LIST = 256

export const BOOLEAN = 0x01
export const INTEGER = 0x02
export const BIT_STRING = 0x03
export const OCTET_STRING = 0x04
export const NULL = 0x05
export const OID = 0x06
export const ENUMERATED = 0x0a
export const UTF8_STRING = 0x0c
export const PRINTABLE_STRING = 0x13
export const TELETEX_STRING = 0x14
export const IA5_STRING = 0x16
export const UTC_TIME = 0x17
export const GENERALIZED_TIME = 0x18
export const UNIVERSAL_STRING = 0x1c
export const BMP_STRING = 0x1e
export const SEQUENCE = 0x30
export const SET = 0x31

/** The tag `[number]`, primitive (an implicitly tagged simple value). */
export const contextPrimitive = (number: number): number => 0x80 | number

/** The tag `[number]`, constructed (an explicit tag, or an implicitly tagged SEQUENCE). */
export const contextConstructed = (number: number): number => 0xa0 | number

/** One DER value from its tag and the parts of its content. */
export function derEncode(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header = [tag]
  if (length < 0x80) header.push(length)
  else {
    const digits: number[] = []
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
    header.push(0x80 | digits.length, ...digits)
  }
  return concat(Uint8Array.from(header), ...parts)
}

interface DerSource {
  readonly bytes: Uint8Array
  readonly place: string
  valuesLeft: number
}

const CONSTRUCTED = 0x20
const MAX_DEPTH = 24
const MAX_VALUES = 16_384

const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0')
