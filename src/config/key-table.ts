/**
 * Tables of configuration keys. One row says all about a key: whether it is a value or a list, its syntax, its default
 * and how far it is supported, and how it is read. load-conn is driven by them, and the documented matrix is made from
 * them.
 */
import { DecodeError } from '../wire/errors.ts'
import { ConfigError } from './config-error.ts'
import { printable, type Tree, type TreeItem } from './tree.ts'

export type Support =
  | 'yes'
  /** As `yes`, and charon does not have it. */
  | 'own'
  /** Accepted, without effect: it means something for IKEv1 only. */
  | 'IKEv1'
  /** Of a meaning for EAP methods with TLS only, which there are none of. */
  | 'EAP'
  /** Only the value that asks for nothing is accepted. */
  | 'refused'

export interface KeyRow<Draft> {
  readonly kind: 'value' | 'list'
  /** Name of the syntax, for documents. */
  readonly syntax: string
  readonly default: string
  readonly support: Support
  /** Why only nothing can be asked for. */
  readonly refused?: string
  /** Reads a value or one item of a list into the draft. Throws ConfigError or DecodeError. */
  readonly read: (draft: Draft, bytes: Uint8Array) => void
}

export type KeyTable<Draft> = Readonly<Record<string, KeyRow<Draft>>>

type RowText = Pick<KeyRow<never>, 'syntax' | 'default' | 'refused'> & { readonly support?: Support }

/** A row for a value that one parser turns into one field. */
export function field<Draft, K extends keyof Draft>(
  name: K,
  parse: (text: string) => Draft[K],
  row: RowText,
): KeyRow<Draft> {
  return {
    kind: 'value',
    support: 'yes',
    ...row,
    read: (draft, bytes) => {
      draft[name] = parse(textOf(bytes))
    },
  }
}

/** A row for a value that is accepted and means nothing here. */
export function ignored<Draft>(parse: (text: string) => unknown, row: RowText): KeyRow<Draft> {
  return { kind: 'value', support: 'IKEv1', ...row, read: (_draft, bytes) => void parse(textOf(bytes)) }
}

/** A row for a list whose items are added one by one. */
export function items<Draft>(read: (draft: Draft, bytes: Uint8Array) => void, row: RowText): KeyRow<Draft> {
  return { kind: 'list', support: 'yes', ...row, read }
}

/** charon reads only printable ASCII as text. */
export function textOf(bytes: Uint8Array): string {
  const text = printable(bytes)
  if (text === undefined) throw new ConfigError('the value has characters other than printable ASCII')
  return text
}

/**
 * Reads the values and lists of one level in order and hands its sections on. The first fault ends it, with charon's
 * words; what was wrong in detail is the error's `cause`. `what` is what these words call that which is thrown away.
 */
export function readKeys<Draft>(
  tree: Tree,
  table: KeyTable<Draft>,
  draft: Draft,
  section: (name: string, items: Tree) => void,
  what = 'config',
): void {
  for (const item of tree) {
    if (item.kind === 'section') below(item.name, () => section(item.name, item.items))
    else readItem(item, table, draft, what)
  }
}

function readItem<Draft>(
  item: Exclude<TreeItem, { kind: 'section' }>,
  table: KeyTable<Draft>,
  draft: Draft,
  what: string,
): void {
  const row = Object.hasOwn(table, item.name) ? table[item.name] : undefined
  if (row === undefined || row.kind !== item.kind) {
    throw at(
      item.name,
      new ConfigError(`unknown option: ${item.name}, ${what} discarded`, undefined, hintFor(item, row?.kind)),
    )
  }
  for (const bytes of item.kind === 'list' ? item.values : [item.value]) {
    try {
      row.read(draft, bytes)
    } catch (error) {
      if (!(error instanceof ConfigError) && !(error instanceof DecodeError)) throw error
      throw at(item.name, new ConfigError(`invalid value for: ${item.name}, ${what} discarded`, undefined, error))
    }
  }
}

/** Does something with a section; an error in there says so. */
export function below(name: string, read: () => void): void {
  try {
    read()
  } catch (error) {
    throw error instanceof ConfigError ? at(name, error) : error
  }
}

function at(name: string, error: ConfigError): ConfigError {
  error.path.unshift(name)
  return error
}

function hintFor(item: TreeItem, wanted: 'value' | 'list' | undefined): ConfigError | undefined {
  return wanted === undefined ? undefined : new ConfigError(`${item.name} is a ${wanted}, not a ${item.kind}`)
}
