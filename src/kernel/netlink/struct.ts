import { DecodeError } from '../../wire/errors.ts'

/** What encoding takes: fields left out are zero. */
export type Partially<T> = T extends number | bigint | string | Uint8Array
  ? T
  : { readonly [K in keyof T]?: Partially<T[K]> }

/**
 * One kind of field in a structure of the kernel. Numbers are in the byte order of the CPU, which is little-endian on
 * every CPU supported, except for `be16` and `be32`.
 */
export interface Field<T> {
  readonly size: number
  readonly align: number
  read(view: DataView, at: number): T
  write(view: DataView, at: number, value: Partially<T>): void
}

/** A structure of the kernel, which can also be a field of a larger one. */
export interface Struct<T> extends Field<T> {
  readonly name: string
  /** Where each field begins, for comparison with the kernel's header files. */
  readonly offsets: Readonly<Record<string, number>>
  encode(value: Partially<T>): Uint8Array
  /** The structure at the start of `bytes`; what follows it is ignored, since newer kernels append fields. */
  decode(bytes: Uint8Array): T
}

/** Types of fields by name, for the type of a structure: `Struct<Addresses<'daddr'> & Numbers<'spi' | 'proto'>>`. */
export type Numbers<K extends string> = { readonly [_ in K]: number }
/** Fields of 64 bits by their names. */
export type BigInts<K extends string> = { readonly [_ in K]: bigint }
/** Fields of 16 octets that hold an address, by their names. */
export type Addresses<K extends string> = { readonly [_ in K]: Uint8Array }

/**
 * A structure as its header file declares it: fields in order, each aligned to its size as C does.
 * @param size what `sizeof` says; a table that does not come to it is refused when the module is loaded
 */
export function struct<T extends object>(
  name: string,
  size: number,
  fields: { readonly [K in keyof T]: Field<T[K]> },
): Struct<T> {
  const offsets: Record<string, number> = {}
  let end = 0
  let align = 1
  const entries = Object.entries(fields) as [string & keyof T, Field<T[keyof T]>][] // entries loses the key type
  for (const [key, field] of entries) {
    end = roundUp(end, field.align)
    offsets[key] = end
    end += field.size
    align = Math.max(align, field.align)
  }
  if (roundUp(end, align) !== size) throw new Error(`struct ${name} has ${roundUp(end, align)} octets, not ${size}`)
  const layout = entries.map(([key, field]) => ({ key, field, offset: offsets[key] ?? 0 }))

  const read = (view: DataView, at: number): T => {
    const value: Record<string, unknown> = {}
    for (const { key, field, offset } of layout) value[key] = field.read(view, at + offset)
    return value as T // each key was read by its field
  }
  const write = (view: DataView, at: number, value: Partially<T>): void => {
    const parts = value as { readonly [K in keyof T]?: Partially<T[K]> } // T is an object, not a number
    for (const { key, field, offset } of layout) {
      const part = parts[key]
      if (part !== undefined) field.write(view, at + offset, part)
    }
  }
  return {
    name,
    size,
    align,
    offsets,
    read,
    write,
    encode(value) {
      const bytes = new Uint8Array(size)
      write(new DataView(bytes.buffer), 0, value)
      return bytes
    },
    decode(bytes) {
      if (bytes.length < size) throw new DecodeError(name, bytes.length, `${size} octets wanted, ${bytes.length} there`)
      return read(new DataView(bytes.buffer, bytes.byteOffset, size), 0)
    },
  }
}

export const u8: Field<number> = {
  size: 1,
  align: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
}

export const u16: Field<number> = {
  size: 2,
  align: 2,
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value, true),
}

export const u32: Field<number> = {
  size: 4,
  align: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
}

export const i32: Field<number> = {
  size: 4,
  align: 4,
  read: (view, at) => view.getInt32(at, true),
  write: (view, at, value) => view.setInt32(at, value, true),
}

export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
}

/** __be16, e.g. a port. */
export const be16: Field<number> = {
  size: 2,
  align: 2,
  read: (view, at) => view.getUint16(at),
  write: (view, at, value) => view.setUint16(at, value),
}

/** __be32, e.g. an SPI. */
export const be32: Field<number> = {
  size: 4,
  align: 4,
  read: (view, at) => view.getUint32(at),
  write: (view, at, value) => view.setUint32(at, value),
}

/** xfrm_address_t: 16 octets, of which IPv4 uses the first four. Shorter values are padded with zeros. */
export const address: Field<Uint8Array> = {
  size: 16,
  align: 4,
  read: (view, at) => octets(view, at, 16).slice(),
  write: (view, at, value) => octets(view, at, 16).set(value),
}

/** `char name[size]`: text that ends with the first zero octet. */
export function chars(size: number): Field<string> {
  return {
    size,
    align: 1,
    read: (view, at) => text(octets(view, at, size)),
    write(view, at, value) {
      const bytes = Buffer.from(value, 'latin1')
      if (bytes.length >= size) throw new RangeError(`"${value}" does not fit ${size} octets`)
      octets(view, at, size).set(bytes)
    },
  }
}

/** Text up to the first zero octet. */
export function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
}

function octets(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size)
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to
}
