/** What one IKE SA puts on the wire. */
import { formatEndpoint, type Path } from '../wire/endpoint.ts'
import { ExchangeTimeout } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { noteGenerated, type Outgoing, protect } from './messages.ts'

/** The last message ID that there is, and how many before it are for rekeying, tried again and again. */
export const lastId = 0xffff_ffff
const spareIds = 0xffff

export class Sending {
  readonly #sa: IkeSa
  /** How many messages have been sealed under the keys of this SA. */
  #sealed = 0n
  /** Called once, when either side has few message IDs left: RFC 7296 §2.2 wants the IKE SA rekeyed by then. */
  whenIdsRunOut: (() => void) | undefined

  constructor(sa: IkeSa) {
    this.#sa = sa
  }

  /**
   * The datagrams of a message: one, or all fragments. They are sent again unchanged.
   * @throws ExchangeTimeout after the last message ID: as good as a request that is never answered
   */
  encode(message: Outgoing): readonly Uint8Array[] {
    if (message.messageId > lastId) throw new ExchangeTimeout(message.exchange)
    if (message.messageId > lastId - spareIds) {
      const act = this.whenIdsRunOut
      this.whenIdsRunOut = undefined
      act?.()
    }
    noteGenerated(this.#sa, message.exchange, message.response, message.messageId, message.payloads)
    return protect(this.#sa, message, () => this.#sealed++)
  }

  /** Sends datagrams on the path of the IKE SA, or on another one. */
  send(datagrams: readonly Uint8Array[], { local, remote }: Path = this.#sa): void {
    const { core } = this.#sa
    this.#sa.lastSentMs = core.now
    for (const datagram of datagrams) {
      const line = `from ${formatEndpoint(local)} to ${formatEndpoint(remote)} (${datagram.length} bytes)`
      core.log('NET', 1, `sending packet: ${line}`, this.#sa)
      core.send(local, remote, datagram, this.#sa.connection?.dscp)
    }
  }
}
