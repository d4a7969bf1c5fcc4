/**
 * Writes what an engine is given, what it computes with keys, and what it puts out: one line of JSON for each input.
 * There is no secret key in it, but everything that the two peers say to each other (docs/replay.md).
 */
import type { CoreSettings } from '../config/daemon-settings.ts'
import type { Random } from '../crypto/random.ts'
import { type Operation, type Witness, witnessed } from '../crypto/seen.ts'
import { Engine } from '../ike/engine.ts'
import type { Input } from '../ike/input.ts'
import type { Output } from '../ike/output.ts'
import { encode } from './encoding.ts'

export const journalVersion = 1

/** The first line. */
export interface JournalHead {
  readonly journal: typeof journalVersion
  readonly settings: unknown
  /** Mistakes of the core end it, as in tests. */
  readonly strict: boolean
}

/** Every other line. Octets are hexadecimal. */
export interface JournalEntry {
  /** Epoch milliseconds, as the engine was told. */
  readonly now: number
  readonly input: unknown
  /** What the engine drew meanwhile. */
  readonly random: readonly string[]
  readonly computed: readonly Computed[]
  readonly outputs: readonly unknown[]
}

/** One computation with a key. */
export interface Computed {
  readonly operation: Operation
  readonly data: readonly string[]
  readonly result: string | { readonly refused: string }
}

/** An engine that writes a journal of itself. */
export class JournalingEngine extends Engine {
  readonly #line: (line: string) => void
  readonly #random: string[]
  #computed: Computed[] = []

  /** @param line takes each line, without the newline */
  constructor(options: { random: Random; settings: CoreSettings; strict?: boolean }, line: (line: string) => void) {
    const drawn: string[] = []
    const random: Random = (count) => {
      const bytes = options.random(count)
      drawn.push(hex(bytes))
      return bytes
    }
    super({ ...options, random })
    this.#random = drawn
    this.#line = line
    const head: JournalHead = {
      journal: journalVersion,
      settings: encode(options.settings),
      strict: options.strict ?? false,
    }
    line(JSON.stringify(head))
  }

  override handle(input: Input, now: number): Output[] {
    const encoded = encode(input)
    const outputs = witnessed(this.#witness, () => super.handle(input, now))
    const random = this.#random.splice(0)
    const computed = this.#computed
    this.#computed = []
    const entry: JournalEntry = { now, input: encoded, random, computed, outputs: outputs.map(encode) }
    this.#line(JSON.stringify(entry))
    return outputs
  }

  readonly #witness: Witness = (operation, data, compute) => {
    const taken = data().map(hex)
    try {
      const result = compute()
      this.#computed.push({ operation, data: taken, result: hex(result) })
      return result
    } catch (error) {
      const refused = error instanceof Error ? error.message : String(error)
      this.#computed.push({ operation, data: taken, result: { refused } })
      throw error
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
