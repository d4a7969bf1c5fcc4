/** The datagrams of an exploration: the same octets on the same way are one, and have one number. */
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { SideName } from '../simulation/connection.ts'

export interface Datagram {
  readonly number: number
  readonly from: SideName
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly bytes: Uint8Array
}

export class Datagrams {
  readonly #known = new Map<string, Datagram>()

  of(from: SideName, source: Endpoint, destination: Endpoint, bytes: Uint8Array): Datagram {
    const way = `${from} ${source.address} ${source.port} ${destination.address} ${destination.port} `
    const key = way + Buffer.from(bytes).toString('latin1')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const datagram = { number: this.#known.size, from, source, destination, bytes }
    this.#known.set(key, datagram)
    return datagram
  }
}
