/**
 * Messages for IKE SAs that nobody knows, RFC 7296 §1.5 and §2.21.4. A request that looks protected, but not by an IKE
 * SA of ours, may come from a peer that has not noticed our restart. It is told so, without protection:
 *
 *   HDR(A, B), SK {...}  -->                 B is no SPI of ours
 *                      <--  HDR(A, B), N(INVALID_IKE_SPI)
 *
 * Nothing is believed of such an answer, and nothing is answered to it: anybody can send it. It makes us ask our peers
 * at that address whether they are still there, now rather than at the next liveness check.
 *
 * The same is said of ESP whose SPI nobody knows, where that reaches us: in UDP, when the kernel has not taken it (Linux
 * does, so that this is for a kernel without ESP). Where there is an IKE SA with the sender it is told inside it, else
 *
 *   ESP in UDP  -->
 *                      <--  HDR(0, 0), N(INVALID_SPI)        a request that nobody answers
 *
 * All are rare: answers as all that is unprotected (recent.ts), a check per address in half a minute.
 */
import { type Endpoint, sameEndpoint } from '../wire/endpoint.ts'
import { DecodeError } from '../wire/errors.ts'
import type { Header } from '../wire/header.ts'
import { decodeMessage, encodeMessage } from '../wire/message.ts'
import { EXCHANGE, NOTIFY, nameOf, PAYLOAD } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import type { Core } from './core.ts'
import { ExchangeTimeout } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { notify } from './notifies.ts'
import { Recent } from './recent.ts'
import { request } from './script.ts'

const checkPauseMs = 30_000

/** An ESP header, and something in it. */
const leastEspBytes = 16

export class UnknownSpis {
  readonly #checks = new Recent(checkPauseMs)

  /** Answers a protected request of an IKE SA that we do not know, if it is time for an answer. */
  answer(core: Core, header: Header, local: Endpoint, remote: Endpoint): void {
    const { spiI, spiR, exchange, messageId, flags, nextPayload } = header
    // §2.21.4: a response is never answered.
    if (flags.response || exchange === EXCHANGE.IKE_SA_INIT || spiI === 0n || spiR === 0n) return
    if (nextPayload !== PAYLOAD.SK && nextPayload !== PAYLOAD.SKF) return
    if (!core.settings.sendInvalidIkeSpi || core.shuttingDown) return
    if (!core.unprotectedAnswers.take(remote.address, core.now)) return
    core.log('NET', 1, `sending INVALID_IKE_SPI to ${remote.address} for an unknown IKE_SA`)
    const bytes = encodeMessage({
      spiI,
      spiR,
      major: 2,
      minor: 0,
      exchange,
      flags: { initiator: !flags.initiator, response: true },
      messageId,
      payloads: [notify(NOTIFY.INVALID_IKE_SPI)],
    })
    core.send(local, remote, bytes)
  }

  /** Tells the sender of ESP in UDP that nobody knows its SPI, if it is time for that. */
  answerEsp(core: Core, packet: Uint8Array, local: Endpoint, remote: Endpoint): void {
    if (packet.length < leastEspBytes || !core.settings.sendInvalidIkeSpi || core.shuttingDown) return
    const data = packet.slice(0, 4)
    const spi = new DataView(data.buffer).getUint32(0)
    // RFC 4303 §2.1: those up to 255 are reserved. What we have the kernel has to take.
    if (spi < 256 || core.sas.withSpi(spi).some(({ spiIn }) => spiIn === spi)) return
    if (!core.unprotectedAnswers.take(remote.address, core.now)) return
    core.log('NET', 1, `sending INVALID_SPI to ${remote.address} for ESP with SPI ${Buffer.from(data).toString('hex')}`)
    const said = notify(NOTIFY.INVALID_SPI, data)
    const sa = [...core.sas.values()].find(
      (one) => one.state === 'ESTABLISHED' && sameEndpoint(one.remote, remote), // behind a NAT there may be others
    )
    if (sa !== undefined) {
      tell(sa, [said])
      return
    }
    const flags = { initiator: true, response: false }
    const header = { spiI: 0n, spiR: 0n, major: 2, minor: 0, exchange: EXCHANGE.INFORMATIONAL, flags, messageId: 0 }
    core.send(local, remote, encodeMessage({ ...header, payloads: [said] }))
  }

  /** Whether a message was such an answer: then it has been taken as the hint that it is. */
  hint(core: Core, header: Header, bytes: Uint8Array, remote: Endpoint): boolean {
    if (header.nextPayload !== PAYLOAD.N || header.exchange === EXCHANGE.IKE_SA_INIT) return false
    const said = hintIn(bytes)
    if (said === undefined) return false
    core.drops.unexpected++
    // The limit comes first: looking through all IKE SAs is not for everybody who sends a datagram.
    if (!this.#checks.take(remote.address, core.now)) return true
    const sas = [...core.sas.values()].filter(
      (sa) => sa.state === 'ESTABLISHED' && sa.remote.address === remote.address,
    )
    for (const sa of sas) {
      core.log('NET', 1, `received unprotected ${nameOf(NOTIFY, said)} from ${remote.address}, checking the peer`, sa)
      check(sa)
    }
    return true
  }
}

/** INVALID_IKE_SPI or INVALID_SPI, if that is what an unprotected message says. */
function hintIn(bytes: Uint8Array): number | undefined {
  try {
    const { payloads } = decodeMessage(bytes)
    const [first] = payloads
    if (first?.type !== 'N') return undefined
    return first.notify === NOTIFY.INVALID_IKE_SPI || first.notify === NOTIFY.INVALID_SPI ? first.notify : undefined
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

/** Asks the peer, unless it is being asked already. */
function check(sa: IkeSa): void {
  if (sa.dialogue.outstanding.length > 0 || sa.activeTasks.length > 0) return
  sa.core.log('IKE', 1, 'sending DPD request', sa)
  tell(sa, [])
}

function tell(sa: IkeSa, payloads: readonly Payload[]): void {
  sa.enqueue({
    names: ['IKE_DPD'],
    *script() {
      yield* request(EXCHANGE.INFORMATIONAL, payloads)
    },
    failed: (error, owner) => {
      if (error instanceof ExchangeTimeout) owner.lost()
    },
  })
}
