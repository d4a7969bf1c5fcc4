/** What one IKE SA puts on the wire. */
import { formatEndpoint, type Path } from '../wire/endpoint.ts'
import type { IkeSa } from './ike-sa.ts'
import { logGenerating, type Outgoing, protect } from './messages.ts'

export class Sending {
  readonly #sa: IkeSa
  /** How many messages have been sealed under the keys of this SA. */
  #sealed = 0n

  constructor(sa: IkeSa) {
    this.#sa = sa
  }

  /** The datagrams of a message: one, or all fragments. They are sent again unchanged. */
  encode(message: Outgoing): readonly Uint8Array[] {
    logGenerating(this.#sa, message.exchange, message.response, message.messageId, message.payloads)
    return protect(this.#sa, message, () => this.#sealed++)
  }

  /** Sends datagrams on the path of the IKE SA, or on another one. */
  send(datagrams: readonly Uint8Array[], { local, remote }: Path = this.#sa): void {
    const { core } = this.#sa
    this.#sa.lastSentMs = core.now
    for (const datagram of datagrams) {
      const line = `from ${formatEndpoint(local)} to ${formatEndpoint(remote)} (${datagram.length} bytes)`
      core.log('NET', 1, `sending packet: ${line}`, this.#sa)
      core.send(local, remote, datagram)
    }
  }
}
