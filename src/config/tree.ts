/**
 * An ordered tree of sections, values and lists of bytes: what a VICI message carries and what a parsed swanctl.conf
 * becomes, so that both are read by the same code.
 */

export interface TreeSection {
  readonly kind: 'section'
  readonly name: string
  readonly items: Tree
}

export interface TreeValue {
  readonly kind: 'value'
  readonly name: string
  readonly value: Uint8Array
}

export interface TreeList {
  readonly kind: 'list'
  readonly name: string
  readonly values: readonly Uint8Array[]
}

export type TreeItem = TreeSection | TreeValue | TreeList

/** Items in order; names may repeat, the first of a name is the one that a look-up finds. */
export type Tree = readonly TreeItem[]

/** A value; text becomes UTF-8, numbers decimal text. */
export function value(name: string, content: string | number | bigint | Uint8Array): TreeValue {
  return { kind: 'value', name, value: toBytes(content) }
}

/** A value, or nothing at all when there is no content. */
export function optional(name: string, content: string | number | bigint | Uint8Array | undefined): TreeValue[] {
  return content === undefined ? [] : [value(name, content)]
}

/** A `yes`, or nothing at all. */
export function flag(name: string, set: boolean): TreeValue[] {
  return set ? [value(name, 'yes')] : []
}

export function list(name: string, contents: readonly (string | Uint8Array)[]): TreeList {
  return { kind: 'list', name, values: contents.map(toBytes) }
}

export function section(name: string, items: Tree): TreeSection {
  return { kind: 'section', name, items }
}

/** The first value of that name. */
export function findValue(tree: Tree, name: string): Uint8Array | undefined {
  const found = tree.find((item) => item.kind === 'value' && item.name === name)
  return found?.kind === 'value' ? found.value : undefined
}

/** The first value of that name as text; undefined also when it is not printable, as charon has it. */
export function findText(tree: Tree, name: string): string | undefined {
  const bytes = findValue(tree, name)
  return bytes && printable(bytes)
}

/** The contents of the first list of that name; no list is an empty one. */
export function findList(tree: Tree, name: string): readonly Uint8Array[] {
  const found = tree.find((item) => item.kind === 'list' && item.name === name)
  return found?.kind === 'list' ? found.values : []
}

/** The items of the first section of that name. */
export function findSection(tree: Tree, name: string): Tree | undefined {
  const found = tree.find((item) => item.kind === 'section' && item.name === name)
  return found?.kind === 'section' ? found.items : undefined
}

/** The text of bytes that are all printable ASCII (C's `isprint`); else undefined. */
export function printable(bytes: Uint8Array): string | undefined {
  for (const byte of bytes) if (byte < 0x20 || byte > 0x7e) return undefined
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

/**
 * The tree as `swanctl --raw` prints one: `name=value list=[a b] section {…}`, bytes that are not text as `0x…`.
 * For tests and for people.
 */
export function formatTree(tree: Tree): string {
  return tree
    .map((item) => {
      if (item.kind === 'section') return `${item.name} {${formatTree(item.items)}}`
      if (item.kind === 'list') return `${item.name}=[${item.values.map(formatValue).join(' ')}]`
      return `${item.name}=${formatValue(item.value)}`
    })
    .join(' ')
}

function formatValue(bytes: Uint8Array): string {
  return printable(bytes) ?? `0x${Buffer.from(bytes).toString('hex')}`
}

function toBytes(content: string | number | bigint | Uint8Array): Uint8Array {
  if (content instanceof Uint8Array) return content
  const text = String(content)
  // A listing has hundreds of thousands of short ones: these stay on the heap of V8, which `encode` leaves.
  if (text.length > 64) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return encoder.encode(text)
    bytes[i] = code
  }
  return bytes
}

const encoder = new TextEncoder()
