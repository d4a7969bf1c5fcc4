/** The replay window of an inbound state (RFC 4303 §3.4.3 and appendix A2), as xfrm_replay.c keeps it. */
export class ReplayWindow {
  readonly #size: number
  readonly #esn: boolean
  #top = 0
  readonly #seen = new Set<number>()

  /** `size` in packets; 0 lets everything pass. */
  constructor(size: number, esn: boolean) {
    this.#size = size
    this.#esn = esn
  }

  /** The highest sequence number that was accepted. */
  get top(): number {
    return this.#top
  }

  /** The whole sequence number that the 32 bits of a header stand for. */
  whole(sequence: number): number {
    if (!this.#esn) return sequence
    const high = Math.floor(this.#top / span)
    const low = this.#top % span
    const bottom = (low - this.#size + 1 + span) % span
    if (low >= this.#size - 1) return (sequence < bottom ? high + 1 : high) * span + sequence
    return (sequence >= bottom && high > 0 ? high - 1 : high) * span + sequence
  }

  /** Whether a packet with this whole sequence number is new and inside the window. */
  fits(sequence: number): boolean {
    if (this.#size === 0) return true
    return sequence > 0 && sequence > this.#top - this.#size && !this.#seen.has(sequence)
  }

  /** Remembers a packet that was authentic. */
  accept(sequence: number): void {
    if (this.#size === 0) return
    this.#seen.add(sequence)
    if (sequence <= this.#top) return
    this.#top = sequence
    for (const old of this.#seen) if (old <= this.#top - this.#size) this.#seen.delete(old)
  }
}

const span = 0x1_0000_0000
