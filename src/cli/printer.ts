/** Messages of the daemon on the screen: as swanctl's `--raw` and `--pretty` print them, or as JSON. */
import { findText, formatTree, type Tree, type TreeItem } from '../config/tree.ts'
import type { Io } from './io.ts'
import { treeToJson, valueText } from './tree-json.ts'

/** `text` stands for what is made for people, by the commands themselves. */
export type Format = 'text' | 'raw' | 'pretty' | 'json'

export interface Printer {
  readonly format: Format
  /** Prints the whole message, unless the format is `text`; tells whether it did. */
  message(label: string, message: Tree): boolean
  /**
   * Collects messages of a listing: as JSON they are one array. The result is whether the text was not asked for.
   */
  listing(label: string, message: Tree): boolean
  /** Ends a listing with the response to the command. */
  listed(label: string, response: Tree): void
  line(text: string): void
  error(text: string): void
  /** Prints a message as one line of JSON. */
  json(message: Tree): void
}

/** A printer to `io`. */
export function printer(io: Io, format: Format): Printer {
  const events: string[] = []
  const dump = (label: string, message: Tree): void =>
    io.out(format === 'raw' ? `${label} {${formatTree(message)}}\n` : `${label} {\n${pretty(message, 1)}}\n`)
  const json = (message: Tree): void => io.out(`${JSON.stringify(treeToJson(message))}\n`)
  return {
    format,
    message(label, message) {
      if (format === 'text') return false
      if (format === 'json') json(message)
      else dump(label, message)
      return true
    },
    listing(label, message) {
      if (format === 'text') return false
      if (format === 'json') events.push(JSON.stringify(treeToJson(message)))
      else dump(label, message)
      return true
    },
    listed(label, response) {
      if (format === 'json') io.out(`[${events.join(',')}]\n`)
      else if (format !== 'text') dump(label, response)
    },
    line: (text) => io.out(`${text}\n`),
    error: (text) => io.err(`${text}\n`),
    json,
  }
}

/** Says how a command ended, and makes the exit status of it. */
export function outcome(print: Printer, label: string, command: string, response: Tree, done?: string): number {
  const ok = findText(response, 'success') === 'yes'
  if (print.message(label, response)) return print.format === 'json' && !ok ? 1 : 0
  if (ok) {
    if (done !== undefined) print.line(done)
    return 0
  }
  print.error(`${command} failed: ${findText(response, 'errmsg') ?? ''}`)
  return 1
}

function pretty(tree: Tree, depth: number): string {
  return tree.map((item) => prettyItem(item, '  '.repeat(depth), depth)).join('')
}

function prettyItem(item: TreeItem, indent: string, depth: number): string {
  switch (item.kind) {
    case 'section':
      return `${indent}${item.name} {\n${pretty(item.items, depth + 1)}${indent}}\n`
    case 'list':
      return `${indent}${item.name} = [\n${item.values.map((one) => `${indent}  ${valueText(one)}\n`).join('')}${indent}]\n`
    case 'value':
      return `${indent}${item.name} = ${valueText(item.value)}\n`
  }
}
