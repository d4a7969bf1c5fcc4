/** Counts of messages, rekeyings and broken datagrams as charon keeps them: for all, and for each connection. */
import { EXCHANGE } from '../wire/numbers.ts'
import type { Event } from './output.ts'

/** charon's names, in the order in which `get-counters` lists them. */
export const counterNames: readonly string[] = [
  'ike-rekey-init',
  'ike-rekey-resp',
  'child-rekey',
  'invalid',
  'invalid-spi',
  ...['ike-init', 'ike-auth', 'create-child', 'info'].flatMap((exchange) =>
    ['in-req', 'in-resp', 'out-req', 'out-resp'].map((way) => `${exchange}-${way}`),
  ),
]

const exchanges: Readonly<Record<number, string>> = {
  [EXCHANGE.IKE_SA_INIT]: 'ike-init',
  [EXCHANGE.IKE_AUTH]: 'ike-auth',
  [EXCHANGE.CREATE_CHILD_SA]: 'create-child',
  [EXCHANGE.INFORMATIONAL]: 'info',
}

/** The counter of each kind of message: every message is counted, and making its name takes longer than that. */
const messageNames: ReadonlyMap<
  number,
  Readonly<Record<'in' | 'out', Readonly<Record<'req' | 'resp', string>>>>
> = new Map(
  Object.entries(exchanges).map(([exchange, name]) => [
    Number(exchange),
    {
      in: { req: `${name}-in-req`, resp: `${name}-in-resp` },
      out: { req: `${name}-out-req`, resp: `${name}-out-resp` },
    },
  ]),
)

export class Counters {
  /** By connection; the numbers of all together have the empty name. */
  readonly #byName = new Map([['', zeros()]])

  /** Connections that have counted anything, and the empty name. */
  names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  /** The numbers of one connection by their names in order; undefined when it has counted nothing yet. */
  read(name: string): Readonly<Record<string, number>> | undefined {
    return this.#byName.get(name)
  }

  /** Forgets a connection's numbers, those of all connections, or with the empty name the numbers of all together. */
  reset(name: string | 'all'): void {
    if (name === '') this.#byName.set('', zeros())
    else if (name !== 'all') this.#byName.delete(name)
    else for (const known of this.names()) if (known !== '') this.#byName.delete(known)
  }

  /** A message was made or read; retransmissions and fragments are not counted. */
  message(connection: string | undefined, exchange: number, way: 'in' | 'out', response: boolean): void {
    const name = messageNames.get(exchange)?.[way][response ? 'resp' : 'req']
    if (name !== undefined) this.#count(connection, name)
  }

  /** Rekeyings, and datagrams that were no messages or nobody's. */
  event(event: Event): void {
    switch (event.kind) {
      case 'ike-rekey':
        return this.#count(event.new.name, event.new.initiator ? 'ike-rekey-init' : 'ike-rekey-resp')
      case 'child-rekey':
        return this.#count(event.ikeSa.name, 'child-rekey')
      case 'alert':
        if (event.alert === 'invalid-ike-spi') this.#count(undefined, 'invalid-spi')
        if (event.alert === 'parse-error-header' || event.alert === 'parse-error-body') {
          this.#count(event.ikeSa?.name, 'invalid')
        }
    }
  }

  #count(connection: string | undefined, name: string): void {
    this.#add('', name)
    if (connection !== undefined) this.#add(connection, name)
  }

  #add(connection: string, name: string): void {
    const numbers = this.#byName.get(connection) ?? zeros()
    numbers[name] = (numbers[name] ?? 0) + 1
    this.#byName.set(connection, numbers)
  }
}

function zeros(): Record<string, number> {
  return Object.fromEntries(counterNames.map((name) => [name, 0]))
}
