/** VICI messages as JSON values: sections are objects, lists arrays, values strings (bytes that are no text in hex). */
import { printable, type Tree } from '../config/tree.ts'

export type Json = string | readonly Json[] | { readonly [name: string]: Json }

export function treeToJson(tree: Tree): Json {
  return Object.fromEntries(
    tree.map((item) => {
      if (item.kind === 'section') return [item.name, treeToJson(item.items)]
      return [item.name, item.kind === 'list' ? item.values.map(valueText) : valueText(item.value)]
    }),
  )
}

export function valueText(bytes: Uint8Array): string {
  return printable(bytes) ?? `0x${Buffer.from(bytes).toString('hex')}`
}
