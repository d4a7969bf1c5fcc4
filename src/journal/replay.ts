/** Gives a journal's inputs to a fresh engine, which must say and do the same again, octet for octet. */
import type { CoreSettings } from '../config/daemon-settings.ts'
import { IntegrityError } from '../crypto/errors.ts'
import { type Witness, witnessed } from '../crypto/seen.ts'
import { Engine } from '../ike/engine.ts'
import type { Input } from '../ike/input.ts'
import { decode, encode } from './encoding.ts'
import { type JournalEntry, type JournalHead, journalVersion } from './journal.ts'

/** Where the engine of today first does something else. */
export interface Difference {
  /** Counted from 1; the head is the first. */
  readonly line: number
  readonly input: unknown
  readonly what: string
  readonly recorded: string
  readonly replayed: string
}

export interface Replayed {
  readonly inputs: number
  readonly outputs: number
  readonly difference?: Difference
}

type Json = Parameters<typeof decode>[0]

/**
 * Replays a journal until its end or the first difference.
 * @throws Error when it is no journal of this version
 */
export function replay(lines: Iterable<string>): Replayed {
  let engine: Engine | undefined
  let entry: JournalEntry | undefined
  let [line, inputs, outputs, drawn, computed] = [0, 0, 0, 0, 0]
  // Kept, because an exchange may take the exception for its own.
  let departure: Departure | undefined
  const depart = (what: string, recorded: string, replayed: string): Departure => {
    departure ??= new Departure(what, recorded, replayed)
    return departure
  }
  const random = (count: number): Uint8Array => {
    const next = entry?.random[drawn++]
    if (next?.length !== 2 * count) throw depart('random octets', describeDraw(next), `${count} octets`)
    return Uint8Array.from(Buffer.from(next, 'hex'))
  }
  const witness: Witness = (operation, data) => {
    const next = entry?.computed[computed++]
    const taken = data().map((part) => Buffer.from(part).toString('hex'))
    const ours = `${operation} ${taken.join(' ')}`
    const recorded = next === undefined ? 'nothing' : `${next.operation} ${next.data.join(' ')}`
    if (next === undefined || ours !== recorded) throw depart('a computation with a key', recorded, ours)
    if (typeof next.result !== 'string') throw new IntegrityError(next.result.refused)
    return Uint8Array.from(Buffer.from(next.result, 'hex'))
  }
  for (const text of lines) {
    if (text === '') continue
    line++
    if (engine === undefined) {
      const head = JSON.parse(text) as JournalHead
      if (head.journal !== journalVersion) throw new Error(`not a journal of version ${journalVersion}`)
      engine = new Engine({ random, settings: decode(head.settings as Json) as CoreSettings, strict: head.strict })
      continue
    }
    entry = JSON.parse(text) as JournalEntry
    drawn = 0
    computed = 0
    inputs++
    const { input, now } = entry
    const different = (what: string, recorded: string, replayed: string): Replayed => {
      return { inputs, outputs, difference: { line, input, what, recorded, replayed } }
    }
    let said: readonly unknown[] = []
    let failure: unknown
    try {
      const running = engine
      said = witnessed(witness, () => running.handle(decode(input as Json) as Input, now)).map(encode)
    } catch (error) {
      failure = error
    }
    if (departure !== undefined) return different(departure.what, departure.recorded, departure.replayed)
    if (failure !== undefined) return different('an error', 'none', describeError(failure))
    for (let i = 0; i < Math.max(said.length, entry.outputs.length); i++) {
      const [recorded, replayed] = [JSON.stringify(entry.outputs[i]), JSON.stringify(said[i])]
      if (recorded !== replayed) return different(`output ${i + 1}`, recorded ?? 'nothing', replayed ?? 'nothing')
      outputs++
    }
    if (drawn < entry.random.length) return different('random octets', describeDraw(entry.random[drawn]), 'nothing')
    const left = entry.computed[computed]
    if (left !== undefined) return different('a computation with a key', left.operation, 'nothing')
  }
  if (engine === undefined) throw new Error('an empty file is no journal')
  return { inputs, outputs }
}

/** The engine asks for something that the recorded one did not ask for. */
class Departure extends Error {
  readonly what: string
  readonly recorded: string
  readonly replayed: string

  constructor(what: string, recorded: string, replayed: string) {
    super(`another ${what}`)
    this.what = what
    this.recorded = recorded
    this.replayed = replayed
  }
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function describeDraw(text: string | undefined): string {
  return text === undefined ? 'nothing' : `${text.length / 2} octets`
}
