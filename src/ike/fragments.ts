/** Reassembly of fragmented messages (RFC 7383 §2.6), of pieces that have been decrypted and verified already. */

/** A fragment after decryption. `inner` is the next payload number, meaningful in the first fragment only. */
export interface Fragment {
  readonly messageId: number
  readonly number: number
  readonly total: number
  readonly inner: number
  readonly plaintext: Uint8Array
  /** The octets of the datagram up to and with the generic header of its SKF payload. */
  readonly head: Uint8Array
}

export interface Reassembled {
  readonly inner: number
  readonly plaintext: Uint8Array
  /** That of the first fragment. */
  readonly head: Uint8Array
}

/** The pieces of one message at a time; a newer message ID or a greater total starts over. */
export class Reassembly {
  #messageId = -1
  #total = 0
  #bytes = 0
  #pieces: (Fragment | undefined)[] = []

  /**
   * Adds a piece and returns the whole message once all are there.
   * @param maxBytes bound on the sum of all pieces; a message beyond it is dropped
   */
  add(fragment: Fragment, maxBytes: number): Reassembled | 'incomplete' | 'dropped' {
    if (fragment.messageId !== this.#messageId || fragment.total > this.#total) {
      // RFC 7383 §2.6: a greater Total Fragments means that the peer fragmented anew with smaller pieces.
      this.#messageId = fragment.messageId
      this.#total = fragment.total
      this.#bytes = 0
      this.#pieces = []
    }
    if (fragment.total < this.#total || this.#pieces[fragment.number] !== undefined) return 'dropped'
    this.#bytes += fragment.plaintext.length
    if (this.#bytes > maxBytes) {
      this.clear()
      return 'dropped'
    }
    this.#pieces[fragment.number] = fragment
    const pieces: Fragment[] = []
    for (let number = 1; number <= this.#total; number++) {
      const piece = this.#pieces[number]
      if (piece === undefined) return 'incomplete'
      pieces.push(piece)
    }
    const plaintext = new Uint8Array(this.#bytes)
    let offset = 0
    for (const piece of pieces) {
      plaintext.set(piece.plaintext, offset)
      offset += piece.plaintext.length
    }
    this.clear()
    return { inner: pieces[0]?.inner ?? 0, plaintext, head: pieces[0]?.head ?? new Uint8Array() }
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0
  }

  clear(): void {
    this.#messageId = -1
    this.#total = 0
    this.#bytes = 0
    this.#pieces = []
  }
}
