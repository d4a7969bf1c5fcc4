/**
 * The numbers of IKEv2 by their IANA names. One object per table; `nameOf` goes the other way.
 */
export * from './numbers/authentication.ts'
export * from './numbers/configuration.ts'
export * from './numbers/exchange.ts'
export * from './numbers/notify.ts'
export * from './numbers/transform.ts'

/** A table of numbers by name. */
export type NumberTable = Readonly<Record<string, number>>

/** The name of `n` in `table`, or `(n)` if it has none. */
export function nameOf(table: NumberTable, n: number): string {
  return knownName(table, n) ?? `(${n})`
}

/** The name of `n` in `table`, if it has one. */
export function knownName(table: NumberTable, n: number): string | undefined {
  let names = reversed.get(table)
  if (names === undefined) {
    names = new Map(Object.entries(table).map(([name, number]) => [number, name]))
    reversed.set(table, names)
  }
  return names.get(n)
}

const reversed = new WeakMap<NumberTable, ReadonlyMap<number, string>>()
