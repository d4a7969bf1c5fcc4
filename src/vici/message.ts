/**
 * VICI messages: a flat sequence of elements that describes a tree.
 *
 *   SECTION_START u8-length name … SECTION_END
 *   KEY_VALUE     u8-length name, u16-length value
 *   LIST_START    u8-length name, { LIST_ITEM u16-length value }, LIST_END
 */
import type { Tree, TreeItem } from '../config/tree.ts'
import { printable } from '../config/tree.ts'
import { Reader } from '../wire/reader.ts'
import { Writer } from '../wire/writer.ts'

export const ELEMENT = {
  SECTION_START: 1,
  SECTION_END: 2,
  KEY_VALUE: 3,
  LIST_START: 4,
  LIST_ITEM: 5,
  LIST_END: 6,
} as const

/** The longest frame in either direction, without its length field. */
export const maxFrameBytes: number = 512 * 1024

/** charon sets no limit; nothing in use is deeper than 6, and recursion over trees must stay bounded. */
export const maxDepth = 64

/** @throws DecodeError for bytes that are no balanced message. */
export function decodeMessage(bytes: Uint8Array): Tree {
  const reader = new Reader(bytes, 'message')
  return decodeItems(reader, 0)
}

function decodeItems(reader: Reader, depth: number): Tree {
  const items: TreeItem[] = []
  while (reader.left > 0) {
    const element = reader.u8()
    switch (element) {
      case ELEMENT.SECTION_START: {
        if (depth === maxDepth) reader.fail(`sections nest deeper than ${maxDepth}`)
        const name = decodeName(reader)
        items.push({ kind: 'section', name, items: decodeItems(reader, depth + 1) })
        break
      }
      case ELEMENT.SECTION_END:
        if (depth === 0) reader.fail('a section ends that never began')
        return items
      case ELEMENT.KEY_VALUE: {
        const name = decodeName(reader)
        items.push({ kind: 'value', name, value: reader.bytes(reader.u16()) })
        break
      }
      case ELEMENT.LIST_START: {
        const name = decodeName(reader)
        items.push({ kind: 'list', name, values: decodeList(reader) })
        break
      }
      default:
        reader.fail(`element ${element} has no place here`)
    }
  }
  if (depth > 0) reader.fail('a section does not end')
  return items
}

function decodeList(reader: Reader): readonly Uint8Array[] {
  const values: Uint8Array[] = []
  for (;;) {
    const element = reader.u8()
    if (element === ELEMENT.LIST_END) return values
    if (element !== ELEMENT.LIST_ITEM) reader.fail(`element ${element} inside a list`)
    values.push(reader.bytes(reader.u16()))
  }
}

/** A name: u8 length and printable ASCII. */
export function decodeName(reader: Reader): string {
  const bytes = reader.bytes(reader.u8())
  return printable(bytes) ?? reader.fail('a name is not printable ASCII')
}

/**
 * The bytes of a message. What VICI cannot express (a value above 65535 bytes, a name above 255 or not printable) is
 * left out, because charon's way, dropping the whole message, leaves the client waiting for ever.
 */
export function encodeMessage(tree: Tree): Uint8Array {
  const out = new Writer(1024)
  writeMessage(tree, out)
  return out.finish()
}

/** The same behind what is there. */
export function writeMessage(tree: Tree, out: Writer): void {
  encodeItems(tree, out, 0)
}

function encodeItems(tree: Tree, out: Writer, depth: number): void {
  for (const item of tree) {
    const name = encodeName(item.name)
    if (name === undefined) continue
    switch (item.kind) {
      case 'section':
        if (depth === maxDepth) continue
        out.u8(ELEMENT.SECTION_START)
        out.bytes(name)
        encodeItems(item.items, out, depth + 1)
        out.u8(ELEMENT.SECTION_END)
        break
      case 'value':
        if (item.value.length > 0xffff) continue
        out.u8(ELEMENT.KEY_VALUE)
        out.bytes(name)
        encodeValue(item.value, out)
        break
      case 'list':
        out.u8(ELEMENT.LIST_START)
        out.bytes(name)
        for (const one of item.values) {
          if (one.length > 0xffff) continue
          out.u8(ELEMENT.LIST_ITEM)
          encodeValue(one, out)
        }
        out.u8(ELEMENT.LIST_END)
        break
    }
  }
}

function encodeValue(value: Uint8Array, out: Writer): void {
  out.u16(value.length)
  out.bytes(value)
}

/** u8 length and text, or undefined when VICI has no way to write it. */
export function encodeName(name: string): Uint8Array | undefined {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const bytes = nameBytes(name)
  // Fields have some hundred names, connections as many as there are.
  if (knownNames.size >= mostKnown) knownNames.clear()
  if (bytes !== undefined) knownNames.set(name, bytes)
  return bytes
}

const knownNames = new Map<string, Uint8Array>()
const mostKnown = 1000

function nameBytes(name: string): Uint8Array | undefined {
  if (name.length > 255 || !/^[ -~]*$/.test(name)) return undefined
  const bytes = new Uint8Array(1 + name.length)
  bytes[0] = name.length
  for (let i = 0; i < name.length; i++) bytes[1 + i] = name.charCodeAt(i)
  return bytes
}
