/**
 * The two message windows of an IKE SA (RFC 7296 §2.1 to §2.3): requests of ours that wait for a response, and requests
 * of the peer, each answered once and from the cache ever after. Both have size 1 until SET_WINDOW_SIZE says more; they
 * never shrink.
 */
import type { CoreSettings } from '../config/daemon-settings.ts'

/** More than this is neither announced nor made use of. */
export const largestWindow = 32

/** Our requests: which message IDs are on their way, and whether one more may follow. */
export class RequestWindow {
  nextId = 0
  #size = 1
  readonly #outstanding = new Set<number>()

  /** How many requests the peer takes at once. */
  get size(): number {
    return this.#size
  }

  grow(size: number): void {
    this.#size = Math.max(this.#size, Math.min(size, largestWindow))
  }

  /** §2.3: request X may go out when the responses to all requests up to X - size are in. */
  get isOpen(): boolean {
    const oldest = Math.min(this.nextId, ...this.#outstanding)
    return this.nextId < oldest + this.#size
  }

  begin(messageId: number): void {
    this.nextId = messageId + 1
    this.#outstanding.add(messageId)
  }

  /** RFC 6311 §5.1: from now on as if all requests before this one had been answered. */
  moveTo(next: number): void {
    this.nextId = next
    this.#outstanding.clear()
  }

  /** The request has been answered, or nobody waits for its answer any more. */
  end(messageId: number): void {
    this.#outstanding.delete(messageId)
  }
}

/** What to do with a request of the peer that has a certain message ID. */
export type Verdict = 'new' | 'retransmission' | 'in-progress' | 'outside'

/** The peer's requests: which may come, which are being worked on, and the answers to the last ones. */
export class ResponseWindow {
  #size = 1
  #expected = 0
  #newest = -1
  #announced = -1
  readonly #inProgress = new Set<number>()
  readonly #answers = new Map<number, readonly Uint8Array[]>()

  /** The lowest message ID that has not been answered. */
  get expected(): number {
    return this.#expected
  }

  get size(): number {
    return this.#size
  }

  grow(size: number): void {
    this.#size = Math.max(this.#size, Math.min(size, largestWindow))
  }

  /** The highest message ID that the peer has shown us, -1 before the first. */
  get newest(): number {
    return Math.max(this.#newest, this.#announced)
  }

  /** RFC 6311 §5.1: the peer has announced the request `announced`, and goes on with `expected`. */
  moveTo(announced: number, expected: number): void {
    this.#announced = announced
    this.#expected = expected
    this.#answers.clear()
  }

  verdict(messageId: number): Verdict {
    if (this.#answers.has(messageId)) return 'retransmission'
    if (this.#inProgress.has(messageId)) return 'in-progress'
    return this.#expected <= messageId && messageId < this.#expected + this.#size ? 'new' : 'outside'
  }

  /** A request has come and is being worked on. Returns whether none with a higher ID has come before. */
  begin(messageId: number): boolean {
    this.#inProgress.add(messageId)
    const newest = messageId > this.#newest
    if (newest) this.#newest = messageId
    return newest
  }

  /** The request gets no answer: it may come again. */
  forget(messageId: number): void {
    this.#inProgress.delete(messageId)
  }

  /** §2.3: as many answers are kept as the window is wide, besides those to requests that overtook an earlier one. */
  answered(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.#inProgress.delete(messageId)
    this.#answers.set(messageId, datagrams)
    while (this.#answers.has(this.#expected)) this.#expected++
    for (const id of this.#answers.keys()) if (id < this.#expected - this.#size) this.#answers.delete(id)
  }

  /** The answer that was given, to be sent again. */
  cached(messageId: number): readonly Uint8Array[] {
    return this.#answers.get(messageId) ?? []
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

/** Milliseconds from the first transmission of a request until nobody waits for its answer any more. */
export function patienceMs(settings: CoreSettings): number {
  let ms = 0
  for (let sent = 0; sent <= settings.retransmitTries; sent++) ms += retransmitDelayMs(settings, sent, 0)
  return ms
}
