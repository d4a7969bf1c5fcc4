/**
 * Requests of ours on one IKE SA (RFC 7296 §2.1 to §2.3): each gets a message ID when the peer's window has room for it,
 * and is sent again unchanged until its response comes.
 */
import type { Path } from '../wire/endpoint.ts'
import type { Header } from '../wire/header.ts'
import { EXCHANGE, NOTIFY, nameOf } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { ExchangeTimeout, PeerRefused } from './errors.ts'
import { Reassembly } from './fragments.ts'
import type { IkeSa } from './ike-sa.ts'
import { noteParsed, openCounted } from './messages.ts'
import { mostProbes, PathProbing, probeMs } from './path-probing.ts'
import type { Waiter } from './runner.ts'
import type { Received, RequestEffect } from './script.ts'
import { lastId, type Sending } from './sending.ts'
import type { Timer } from './timers.ts'
import { RequestWindow, retransmitDelayMs } from './window.ts'

/** A request on its way. */
interface Outstanding {
  readonly messageId: number
  readonly effect: RequestEffect
  readonly datagrams: readonly Uint8Array[]
  /** The script that asked. */
  readonly waiter: Waiter
  readonly reassembly: Reassembly
  /** How often it has been sent. */
  sent: number
  timer: Timer | undefined
}

export class Requests {
  readonly #sa: IkeSa
  readonly #sending: Sending
  readonly #window = new RequestWindow()
  readonly #outstanding = new Map<number, Outstanding>()
  /** Requests for which the peer's window has no room yet. */
  #waiting: { readonly waiter: Waiter; readonly effect: RequestEffect }[] = []
  #probing: PathProbing | undefined

  constructor(sa: IkeSa, sending: Sending) {
    this.#sa = sa
    this.#sending = sending
  }

  /** The next request's message ID. */
  get nextId(): number {
    return this.#window.nextId
  }

  /** How many requests the peer takes at once. */
  get windowSize(): number {
    return this.#window.size
  }

  /** The peer takes so many from now on. */
  growWindow(size: number): void {
    this.#window.grow(size)
    this.#sendWaiting()
  }

  /** What waits for a response: the same objects as long as it does. */
  get outstanding(): readonly object[] {
    return [...this.#outstanding.values()]
  }

  /** Sends a request as soon as it may go; `waiter` hears of the response, or why there is none. */
  ask(waiter: Waiter, effect: RequestEffect): void {
    if (this.#waiting.length === 0 && this.#window.isOpen) return this.#begin(waiter, effect)
    const asked = { waiter, effect }
    this.#waiting.push(asked)
    waiter.onAbandon(() => {
      this.#waiting = this.#waiting.filter((other) => other !== asked)
    })
  }

  #sendWaiting(): void {
    while (this.#window.isOpen) {
      const asked = this.#waiting.shift()
      if (asked === undefined) return
      try {
        this.#begin(asked.waiter, asked.effect)
      } catch (error) {
        asked.waiter.fail(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  #begin(waiter: Waiter, effect: RequestEffect): void {
    const { exchange, payloads } = effect
    // RFC 7296 §2.2: IKE_SA_INIT is always message 0, also when it is repeated with a cookie or another group.
    const messageId = exchange === EXCHANGE.IKE_SA_INIT ? 0 : this.#window.nextId
    const datagrams = this.#sending.encode({ exchange, response: false, messageId, payloads })
    if (exchange === EXCHANGE.IKE_SA_INIT) this.#sa.lastInitRequest = datagrams[0]
    this.#window.begin(messageId)
    const reassembly = new Reassembly()
    const outstanding: Outstanding = { messageId, effect, datagrams, waiter, reassembly, sent: 0, timer: undefined }
    this.#outstanding.set(messageId, outstanding)
    waiter.onAbandon(() => this.#end(outstanding))
    this.#transmit(outstanding)
  }

  /** The request is over, answered or not. */
  #end(outstanding: Outstanding): void {
    outstanding.timer?.clear()
    this.#outstanding.delete(outstanding.messageId)
    this.#window.end(outstanding.messageId)
  }

  #fail(outstanding: Outstanding, error: Error): void {
    this.#end(outstanding)
    this.#sendWaiting()
    outstanding.waiter.fail(error)
  }

  #transmit(outstanding: Outstanding): void {
    if (this.#probing !== undefined) return this.#tryPaths(outstanding, this.#probing)
    const { core } = this.#sa
    const { settings, random } = core
    this.#sending.send(outstanding.datagrams)
    const draw = settings.retransmitJitter > 0 ? (random(1)[0] ?? 0) / 256 : 0
    const delay = retransmitDelayMs(settings, Math.min(outstanding.sent, settings.retransmitTries), draw)
    outstanding.sent++
    outstanding.timer = core.timers.set(core.now + delay, () => {
      const { sent, messageId } = outstanding
      // Without any way to the peer its silence says nothing.
      if (sent > settings.retransmitTries && !this.#sa.mobike?.stale) {
        return this.#giveUp(outstanding, `${settings.retransmitTries} retransmits`)
      }
      core.log('IKE', 1, `retransmit ${sent} of request with message ID ${messageId}`, this.#sa)
      core.alert('retransmit-send', this.#sa)
      this.#transmit(outstanding)
    })
  }

  /**
   * From now on requests go out on these paths, the best one first; the answer moves the IKE SA to the one that it came
   * on.
   */
  probe(paths: readonly Path[]): void {
    const probing = new PathProbing(paths)
    this.#probing = probing
    for (const outstanding of [...this.#outstanding.values()]) {
      outstanding.timer?.clear()
      this.#tryPaths(outstanding, probing)
    }
  }

  /** Somebody else has said which path it is: an answer on another one does not move the IKE SA any more. */
  stopProbing(): void {
    this.#probing = undefined
  }

  #tryPaths(outstanding: Outstanding, probing: PathProbing): void {
    const { core } = this.#sa
    const now = probing.next(outstanding)
    if (now === undefined) {
      this.#probing = undefined
      return this.#giveUp(outstanding, `${mostProbes} path probings`)
    }
    core.log('IKE', 1, `path probing attempt ${now.attempt}`, this.#sa)
    for (const path of now.paths) this.#sending.send(outstanding.datagrams, path)
    outstanding.sent++
    outstanding.timer = core.timers.set(core.now + probeMs, () => this.#transmit(outstanding))
  }

  #giveUp(outstanding: Outstanding, after: string): void {
    const { core } = this.#sa
    core.log('IKE', 1, `giving up after ${after}`, this.#sa)
    core.alert('retransmit-send-timeout', this.#sa)
    this.#end(outstanding)
    outstanding.waiter.fail(new ExchangeTimeout(outstanding.effect.exchange))
    // RFC 7296 §2.3: no answer moves no window. What waits goes with the IKE SA, unless that is not given up.
    if (!this.#sa.destroyed && this.#sa.state !== 'DELETING') this.#sendWaiting()
  }

  /** A datagram that says it is a response. Nothing in it is authenticated yet. */
  receive(header: Header, bytes: Uint8Array, path: Path): void {
    const { core } = this.#sa
    const { exchange, messageId } = header
    const outstanding = this.#outstanding.get(messageId)
    const probing = this.#probing
    if (outstanding?.effect.exchange !== exchange || (probing !== undefined && !probing.tries(path))) {
      core.drops.unexpected++
      return
    }
    const opened = openCounted(this.#sa, header, bytes, outstanding.reassembly)
    if (opened === undefined) return
    if (opened.kind === 'malformed') {
      // RFC 7296 §2.21: what was decrypted comes from the peer, and it does not speak our protocol.
      if (exchange !== EXCHANGE.IKE_SA_INIT) this.#fail(outstanding, opened.error)
      return
    }
    noteParsed(this.#sa, header, opened.payloads)
    const received: Received = { ...opened, exchange, messageId, bytes, path }
    if (!this.#believed(outstanding, received)) return
    if (outstanding.sent > 1) core.alert('retransmit-send-cleared', this.#sa)
    this.#sa.heard()
    this.#end(outstanding)
    if (probing !== undefined) {
      this.#probing = undefined
      this.#sa.relocate(path)
    } else if (this.#sa.establishedAtMs !== undefined && this.#sa.mobike === undefined) {
      this.#sa.follow(path)
    }
    if (this.#sa.establishedAtMs !== undefined && saysInvalidSyntax(received)) {
      core.log('IKE', 1, 'received INVALID_SYNTAX notify error, closing IKE_SA', this.#sa)
      this.#sa.refused()
      return
    }
    this.#sendWaiting()
    outstanding.waiter.resume(received)
  }

  /** Whether the response ends the request, as the script that asked decides. */
  #believed(outstanding: Outstanding, received: Received): boolean {
    const { core } = this.#sa
    try {
      const later = outstanding.effect.accept?.(received)
      if (later === undefined) return true
      outstanding.timer?.clear()
      outstanding.timer = core.timers.set(core.now + later.failAfterMs, () => this.#fail(outstanding, later.error))
    } catch (error) {
      core.drops.unexpected++
      core.log('NET', 1, `ignoring response: ${error instanceof Error ? error.message : String(error)}`, this.#sa)
    }
    return false
  }

  /**
   * RFC 6311 §9: the peer goes on with this message ID, and the responses to what is outstanding never come. Questions are
   * asked again; what may have been done already fails, for whoever wants it to look.
   */
  moveTo(next: number): void {
    const overtaken = [...this.#outstanding.values()]
    for (const outstanding of overtaken) this.#end(outstanding)
    this.#window.moveTo(next)
    for (const { waiter, effect } of overtaken) {
      if (effect.exchange === EXCHANGE.INFORMATIONAL) this.ask(waiter, effect)
      else waiter.fail(new PeerRefused(0, `the cluster has lost a ${nameOf(EXCHANGE, effect.exchange)} request`))
    }
  }

  /** Sends one request that nobody waits for, whatever is outstanding: the last message of an SA that ends. */
  sendLast(exchange: number, payloads: readonly Payload[]): void {
    if (this.#window.nextId > lastId) return
    const messageId = this.#window.nextId++
    this.#sending.send(this.#sending.encode({ exchange, response: false, messageId, payloads }))
  }

  /** As if nothing had been asked yet: for a fresh attempt of an initiator. */
  startOver(nextId = 0): void {
    this.end()
    this.#window.nextId = nextId
  }

  /** Nobody waits for any response any more. */
  end(): void {
    for (const outstanding of [...this.#outstanding.values()]) this.#end(outstanding)
    this.#waiting = []
  }
}

function saysInvalidSyntax({ payloads }: Received): boolean {
  return payloads.some((payload) => payload.type === 'N' && payload.notify === NOTIFY.INVALID_SYNTAX)
}
