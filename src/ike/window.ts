/**
 * The two message windows of an IKE SA (RFC 7296 §2.1 to §2.3): requests of ours that wait for a response and are
 * retransmitted, and requests of the peer, each answered once and from the cache ever after. Both have size 1.
 */
import type { CoreSettings } from '../config/daemon-settings.ts'
import type { Timer } from './timers.ts'

/** A request of ours on its way. */
export interface Outstanding {
  readonly messageId: number
  readonly exchange: number
  /** Datagrams: one, or all fragments. They are sent again unchanged. */
  readonly datagrams: readonly Uint8Array[]
  /** How often it has been sent. */
  sent: number
  timer: Timer | undefined
}

/** Our requests: the next message ID and what is outstanding. */
export class RequestWindow {
  nextId = 0
  outstanding: Outstanding | undefined

  /** Ends the outstanding request, answered or not. */
  close(): void {
    this.outstanding?.timer?.clear()
    this.outstanding = undefined
  }
}

/** What to do with a request of the peer that has a certain message ID. */
export type Verdict = 'new' | 'retransmission' | 'in-progress' | 'outside'

/** The peer's requests: the ID expected next, and the answer to the one before. */
export class ResponseWindow {
  expected = 0
  /** The request `expected` has come and is being worked on. */
  busy = false
  #cached: readonly Uint8Array[] = []

  verdict(messageId: number): Verdict {
    if (messageId === this.expected) return this.busy ? 'in-progress' : 'new'
    if (messageId === this.expected - 1 && this.#cached.length > 0) return 'retransmission'
    return 'outside'
  }

  /** The answer to the request before `expected`, to be sent again. */
  get cached(): readonly Uint8Array[] {
    return this.#cached
  }

  answered(datagrams: readonly Uint8Array[]): void {
    this.#cached = datagrams
    this.expected++
    this.busy = false
  }
}

/**
 * Milliseconds to wait after the n-th transmission (n = 0 is the first): timeout × base^n, capped, minus jitter.
 * @param draw a number in [0, 1)
 */
export function retransmitDelayMs(settings: CoreSettings, n: number, draw: number): number {
  let seconds = settings.retransmitTimeoutSeconds * settings.retransmitBase ** n
  if (settings.retransmitLimitSeconds > 0) seconds = Math.min(seconds, settings.retransmitLimitSeconds)
  const jitter = Math.min(settings.retransmitJitter, 20) / 100
  return Math.floor(seconds * 1000 * (1 - jitter * draw))
}
