/** Fields of messages as listings show them: what is missing is `(null)`, as swanctl has it. */
import { findList, findText, type Tree } from '../../config/tree.ts'
import { valueText } from '../tree-json.ts'

/** A field, or `(null)`. */
export function field(tree: Tree, name: string): string {
  return findText(tree, name) ?? '(null)'
}

/** Fields that are there, in this order. */
export function present(tree: Tree, ...names: readonly string[]): string[] {
  return names.flatMap((name) => findText(tree, name) ?? [])
}

/** The items of a list. */
export function texts(tree: Tree, name: string): readonly string[] {
  return findList(tree, name).map(valueText)
}

/** The items of a list in one line, or `(null)` when there are none. */
export function joined(tree: Tree, name: string): string {
  return texts(tree, name).join(' ') || '(null)'
}

/** A sentence about a field, if it is there. */
export function told(tree: Tree, name: string, say: (text: string) => string): string[] {
  return present(tree, name).map(say)
}

/** The additional key exchanges of RFC 9370: `KE1_ML_KEM_768`. */
export function additionalKeyExchanges(tree: Tree): string[] {
  return Array.from({ length: 7 }, (_, n) => n + 1).flatMap((n) => told(tree, `ake${n}`, (name) => `KE${n}_${name}`))
}

/** `AES_CBC-128`; nothing when the field is not there. */
export function algorithm(tree: Tree, kind: 'encr' | 'integ'): string[] {
  const size = findText(tree, `${kind}-keysize`)
  return told(tree, `${kind}-alg`, (name) => (size === undefined ? name : `${name}-${size}`))
}
