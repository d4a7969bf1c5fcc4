/**
 * Somebody on the path who sees everything and has no key: he sends what the hosts said to each other once more, with
 * another message ID and octets of his own. Nothing of it may have an effect (RFC 7296 §2.21, §2.23).
 */
import assert from 'node:assert/strict'
import { decodeHeader } from '../../src/wire/header.ts'
import { EXCHANGE } from '../../src/wire/numbers.ts'
import type { Draw } from './draw.ts'
import type { Host } from './host.ts'
import type { Arrival, Network } from './network.ts'
import { Violation } from './safety.ts'

const responseFlag = 0x20

/** A message with nothing in it, under an AEAD. */
const shortest = 57

/** Where he really is. */
const stranger = { address: '203.0.113.66', port: 4500 }

export class Forger {
  readonly #draw: Draw
  readonly #everyMs: number
  /** When he comes again (epoch milliseconds). */
  next = 0
  /** The last message that came to a host on the IKE SA that it has: by host. */
  readonly #seen = new Map<string, Flown>()

  /** He tries it every so often. */
  constructor(draw: Draw, everySeconds: number) {
    this.#draw = draw
    this.#everyMs = everySeconds * 1000
  }

  /** Sends something to each host. */
  act(hosts: readonly Host[], net: Network, now: number): void {
    for (const arrival of net.takeArrived()) this.#look(arrival)
    this.next = now + this.#everyMs
    for (const host of hosts) {
      const seen = this.#seen.get(host.name)
      if (seen === undefined || host.jobs.length > 0) continue
      this.#forge(host, seen, false)
      this.#forge(host, seen, true)
    }
  }

  #look({ host, destination, source, bytes }: Flown): void {
    const message = destination.port === 500 ? bytes : bytes.subarray(4)
    if (message.length < shortest || message[18] === EXCHANGE.IKE_SA_INIT) return
    // What the network has changed into something that is no IKE message at all is complained of, rightly.
    const marked = destination.port === 500 || bytes.subarray(0, 4).every((octet) => octet === 0)
    if (!marked || decodeHeader(message).length !== message.length) return
    this.#seen.set(host, { host, destination, source, bytes })
  }

  #forge(host: Host, { destination: local, source, bytes }: Flown, response: boolean): void {
    const forged = Uint8Array.from(bytes)
    const message = local.port === 500 ? forged : forged.subarray(4)
    const { spiI, spiR, messageId, flags } = decodeHeader(message)
    const before = host.sas()
    const sa = before.find((one) => one.spiI === spiI && one.spiR === spiR)
    // A header that the network has changed is another's.
    if (sa?.state !== 'ESTABLISHED' || sa.initiator === flags.initiator) return
    message[18] = EXCHANGE.INFORMATIONAL
    message[19] = ((message[19] ?? 0) & ~responseFlag) | (response ? responseFlag : 0)
    new DataView(message.buffer, message.byteOffset).setUint32(20, messageId + this.#draw.below(2))
    message[message.length - 1] = (message[message.length - 1] ?? 0) ^ 1
    const { logs, sent, events } = host
    const counts = [sent.length, events.length, host.jobs.length]
    const said = logs.length
    host.handle({ kind: 'datagram', local, remote: this.#draw.chance(0.5) ? stranger : source, bytes: forged })
    const after = [sent.length, events.length, host.jobs.length]
    try {
      assert.deepEqual(after, counts, 'datagrams, events and jobs')
      assert.deepEqual(host.sas(), before, 'IKE SAs')
    } catch (error) {
      const why = logs.slice(said).map((entry) => entry.message)
      throw new Violation(`${host.name} believes a forged message: ${why.join('; ')}: ${String(error)}`)
    }
  }
}

type Flown = Arrival
