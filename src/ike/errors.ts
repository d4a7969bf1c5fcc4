/** An error says whose it is. One function (refuse.ts) turns any of them into a response. */
import type { Payload } from '../wire/payloads/index.ts'

/** They ask for what we do not grant. `notify` is what the peer is told. */
export class Refusal extends Error {
  readonly notify: number
  readonly data: Uint8Array
  /** The Child SA that the notify is about, where it names one. */
  readonly child: { readonly protocol: number; readonly spi: Uint8Array } | undefined
  /** What the peer is told in place of the notify. */
  readonly instead: readonly Payload[] | undefined
  /** Whether the IKE SA ends with it (e.g. AUTHENTICATION_FAILED) or only the exchange. */
  readonly endsSa: boolean

  constructor(notify: number, message: string, options: RefusalOptions = {}) {
    super(message)
    this.name = 'Refusal'
    this.notify = notify
    this.data = options.data ?? new Uint8Array()
    const { protocol, spi } = options
    this.child = protocol !== undefined && spi !== undefined ? { protocol, spi } : undefined
    this.instead = options.instead
    this.endsSa = options.endsSa ?? false
  }
}

export interface RefusalOptions {
  readonly data?: Uint8Array
  readonly protocol?: number
  readonly spi?: Uint8Array
  readonly instead?: readonly Payload[]
  readonly endsSa?: boolean
}

/** Their answer to our request was an error notify. */
export class PeerRefused extends Error {
  readonly notify: number

  constructor(notify: number, message: string) {
    super(message)
    this.name = 'PeerRefused'
    this.notify = notify
  }
}

/** A request was retransmitted to the end without an answer (RFC 7296 §2.4). */
export class ExchangeTimeout extends Error {
  readonly exchange: number

  constructor(exchange: number) {
    super('the peer did not answer')
    this.name = 'ExchangeTimeout'
    this.exchange = exchange
  }
}

/** Our address has gone while an IKE SA was being set up. */
export class AddressLost extends Error {
  constructor(address: string) {
    super(`${address} is not available anymore`)
    this.name = 'AddressLost'
  }
}

/** We cannot go on for a reason of our own: no key, no address, no secret. The message names place and cure. */
export class LocalFailure extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'LocalFailure'
  }
}

/** Our own mistake. Ends the SA, never the daemon, and fails every simulation. */
export class Defect extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Defect'
  }
}

/** States something that only a mistake of ours can make false. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Defect(message)
}
