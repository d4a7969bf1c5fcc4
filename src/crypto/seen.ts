/**
 * What secret keys give that is no secret: sealed messages, what was in them, and MACs. Everything that a core says and
 * does follows from its inputs and from these, so a record of both repeats a run without a single key (docs/replay.md).
 */

/** What was computed with a key. */
export type Operation = 'seal' | 'open' | 'maced-id' | 'int-auth' | 'psk-auth'

/** Sees each computation, or gives its result in place of it. */
export type Witness = (
  operation: Operation,
  /** What went in besides the key. */
  data: () => readonly Uint8Array[],
  compute: () => Uint8Array,
) => Uint8Array

let present: Witness | undefined

/** Computes, in the presence of a witness if there is one. */
export function seen(operation: Operation, data: () => readonly Uint8Array[], compute: () => Uint8Array): Uint8Array {
  return present === undefined ? compute() : present(operation, data, compute)
}

/** Does something with a witness to all that it computes. What is asynchronous in it has none. */
export function witnessed<T>(witness: Witness, action: () => T): T {
  const before = present
  present = witness
  try {
    return action()
  } finally {
    present = before
  }
}
