import type { Payload, PayloadOf } from './payloads/index.ts'

/** How often a payload type may be in a message: exactly once, at most once, or any number of times. */
export type Occurs = 'one' | 'optional' | 'many'

/** The rules of a message: payload types with their number. */
export type Rules = { readonly [T in Payload['type']]?: Occurs }

/** The payloads of a message that follows the rules `R`. */
export type Shaped<R extends Rules> = {
  readonly [T in keyof R & Payload['type']]: R[T] extends 'one'
    ? PayloadOf<T>
    : R[T] extends 'optional'
      ? PayloadOf<T> | undefined
      : readonly PayloadOf<T>[]
}

/** A message that lacks a payload, or has one more than once. The answer is INVALID_SYNTAX. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError'
  /** The type of the payload that is missing or repeated. */
  readonly payload: Payload['type']

  constructor(payload: Payload['type'], reason: string) {
    super(`payload ${payload} ${reason}`)
    this.payload = payload
  }
}

/**
 * Makes a function that sorts the payloads of a message by type. Types that the rules do not name are left out: RFC 7296
 * §2.5 has us ignore payloads that we do not expect.
 *
 *     const initRequest = shape({ SA: 'one', KE: 'one', Nonce: 'one', N: 'many' })
 *     const { SA, KE, Nonce, N } = initRequest(message.payloads)
 *
 * The function throws a `ShapeError` if a payload is missing or repeated.
 */
export function shape<const R extends Rules>(rules: R): (payloads: readonly Payload[]) => Shaped<R> {
  const entries = Object.entries(rules) as [Payload['type'], Occurs][] // the keys of Rules
  return (payloads) => {
    const found = new Map<Payload['type'], Payload[]>(entries.map(([type]) => [type, []]))
    for (const payload of payloads) found.get(payload.type)?.push(payload)
    const shaped: Partial<Record<Payload['type'], unknown>> = {}
    for (const [type, occurs] of entries) {
      const those = found.get(type) ?? []
      if (occurs !== 'many' && those.length > 1) throw new ShapeError(type, `is there ${those.length} times`)
      if (occurs === 'one' && those.length === 0) throw new ShapeError(type, 'is missing')
      shaped[type] = occurs === 'many' ? those : those[0]
    }
    return shaped as Shaped<R> // built from the same rules just above
  }
}
