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
  const parts: Buffer[] = []
  encodeItems(tree, parts, 0)
  return new Uint8Array(Buffer.concat(parts))
}

function encodeItems(tree: Tree, parts: Buffer[], depth: number): void {
  for (const item of tree) {
    const name = encodeName(item.name)
    if (name === undefined) continue
    switch (item.kind) {
      case 'section':
        if (depth === maxDepth) continue
        parts.push(startSection, name)
        encodeItems(item.items, parts, depth + 1)
        parts.push(endSection)
        break
      case 'value':
        if (item.value.length > 0xffff) continue
        parts.push(keyValue, name, u16(item.value.length), Buffer.from(item.value))
        break
      case 'list':
        parts.push(startList, name)
        for (const one of item.values) {
          if (one.length <= 0xffff) parts.push(listItem, u16(one.length), Buffer.from(one))
        }
        parts.push(endList)
        break
    }
  }
}

/** u8 length and text, or undefined when VICI has no way to write it. */
export function encodeName(name: string): Buffer | undefined {
  const text = Buffer.from(name, 'utf8')
  if (text.length > 255 || printable(text) === undefined) return undefined
  return Buffer.concat([Buffer.of(text.length), text])
}

function u16(n: number): Buffer {
  return Buffer.of(n >> 8, n & 0xff)
}

const startSection = Buffer.of(ELEMENT.SECTION_START)
const endSection = Buffer.of(ELEMENT.SECTION_END)
const keyValue = Buffer.of(ELEMENT.KEY_VALUE)
const startList = Buffer.of(ELEMENT.LIST_START)
const listItem = Buffer.of(ELEMENT.LIST_ITEM)
const endList = Buffer.of(ELEMENT.LIST_END)
