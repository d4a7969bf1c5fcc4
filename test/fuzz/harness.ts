import { performance } from 'node:perf_hooks'

/**
 * One decoder under fuzzing. A module `test/fuzz/NAME.ts` exports `targets: readonly Target[]`; `npm run fuzz` finds it.
 *
 *     export const targets: readonly Target[] = [
 *       { name: 'wire message', corpus: messages, decode: decodeMessage, allowed: (e) => e instanceof DecodeError },
 *     ]
 */
export interface Target {
  /** Unique among all targets: the name of the module and what is decoded, as in `wire message`; `--only` takes a part. */
  readonly name: string
  /** Good and bad inputs to start from; mutations splice them with each other. Never written to. */
  readonly corpus: readonly Uint8Array[]
  /**
   * The decoder, or a property of it: it may also encode again and throw an `AssertionError` if the result differs. It is
   * given a fresh copy each time and must be finished when it returns, or when the promise ends that it returns.
   */
  decode(input: Uint8Array): unknown
  /** Whether a throw is the decoder's own refusal. Anything else is a bug and ends the run. */
  allowed(error: unknown): boolean
  /** Inputs of `size` octets that might be worst, to see how time grows; besides the generic ones. */
  worst?(size: number): readonly Uint8Array[]
  /** Upper limit of the size of mutated inputs in octets; 4,096 unless given. */
  readonly maxBytes?: number
}

/** How a run went. */
export interface Outcome {
  readonly name: string
  readonly seed: number
  readonly runs: number
  readonly decoded: number
  readonly refused: number
  /** The slowest single input. */
  readonly slowestMs: number
  readonly slowest: Uint8Array
  readonly growth: readonly Growth[]
}

/** Time for large inputs, the worst of all tried at each size. */
export interface Growth {
  readonly bytes: number
  readonly ms: number
}

/** An input that the decoder neither took nor refused. The message holds all that is needed to repeat it. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure'
  readonly input: Uint8Array

  constructor(target: string, seed: number, run: number, input: Uint8Array, cause: unknown) {
    const hex = Buffer.from(input).toString('hex')
    super(`${target}: seed ${seed} run ${run}: ${describe(cause)}\ninput (${input.length} octets): ${hex}`, { cause })
    this.input = input
  }
}

/**
 * Gives `runs` mutations of the corpus to the decoder. The same seed gives the same inputs.
 * @throws FuzzFailure at the first throw that is not `allowed`
 */
export async function fuzz(options: Target & { readonly seed: number; readonly runs: number }): Promise<Outcome> {
  const { name, seed, runs, corpus, allowed, maxBytes = 4096 } = options
  const random = randomFrom(seed)
  let decoded = 0
  let slowestMs = 0
  let slowest: Uint8Array = new Uint8Array()
  const attempt = async (input: Uint8Array, run: number): Promise<Attempt> => {
    const copy = Uint8Array.from(input) // slice() of a Buffer is a view: the decoder could change the corpus
    const before = performance.now()
    let refused = false
    try {
      const result = options.decode(copy)
      if (result instanceof Promise) await result
    } catch (error) {
      if (!allowed(error)) throw new FuzzFailure(name, seed, run, input, error)
      refused = true
    }
    return { refused, ms: performance.now() - before }
  }
  // A pause of the machine or of the garbage collector does not come three times for the same input.
  const timeMs = async (input: Uint8Array): Promise<number> => {
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < 3; i++) least = Math.min(least, (await attempt(input, -1)).ms)
    return least
  }
  for (let run = 0; run < runs; run++) {
    // First the corpus as it is, so that a broken corpus shows as "nothing decoded".
    const input = corpus[run] ?? mutate(corpus, random, maxBytes)
    const { refused, ms } = await attempt(input, run)
    if (!refused) decoded++
    if (ms <= slowestMs) continue
    const againMs = await timeMs(input)
    if (againMs > slowestMs) [slowestMs, slowest] = [againMs, input]
  }
  const growth: Growth[] = []
  for (const bytes of GROWTH_BYTES) {
    let ms = 0
    for (const input of [...large(corpus, bytes), ...(options.worst?.(bytes) ?? [])])
      ms = Math.max(ms, await timeMs(input))
    growth.push({ bytes, ms })
  }
  return { name, seed, runs, decoded, refused: runs - decoded, slowestMs, slowest, growth }
}

interface Attempt {
  readonly refused: boolean
  readonly ms: number
}

/** A generator of numbers in 0..n-1, fixed by its seed (mulberry32). */
export function randomFrom(seed: number): (n: number) => number {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * n)
  }
}

type Random = (n: number) => number

/** One input: a member of the corpus with one to eight changes. */
export function mutate(corpus: readonly Uint8Array[], random: Random, maxBytes: number): Uint8Array {
  let input = Uint8Array.from(corpus[random(corpus.length)] ?? []).subarray(0, maxBytes)
  for (let changes = 1 + random(8) * random(2); changes > 0; changes--) {
    const change = CHANGES[random(CHANGES.length)] as Change // random stays below the length
    input = change(input, random, corpus).slice(0, maxBytes)
  }
  return input
}

type Change = (input: Uint8Array, random: Random, corpus: readonly Uint8Array[]) => Uint8Array

const CHANGES: readonly Change[] = [
  function flipBit(input, random) {
    if (input.length > 0) {
      const at = random(input.length)
      input[at] = (input[at] ?? 0) ^ (1 << random(8))
    }
    return input
  },
  function setOctet(input, random) {
    if (input.length > 0) input[random(input.length)] = INTERESTING[random(INTERESTING.length)] ?? 0
    return input
  },
  function anyOctet(input, random) {
    if (input.length > 0) input[random(input.length)] = random(256)
    return input
  },
  function length16(input, random) {
    // A field of two octets: extreme, or near to the octets that are really left.
    if (input.length < 2) return input
    const at = random(input.length - 1)
    const value = random(2) === 0 ? (EXTREME_16[random(EXTREME_16.length)] ?? 0) : input.length - at + random(9) - 4
    input[at] = (value >>> 8) & 0xff
    input[at + 1] = value & 0xff
    return input
  },
  function length32(input, random) {
    if (input.length < 4) return input
    const at = random(input.length - 3)
    const value = EXTREME_32[random(EXTREME_32.length)] ?? 0
    new DataView(input.buffer, input.byteOffset + at, 4).setUint32(0, value)
    return input
  },
  function wholeLength(input) {
    // Repairs the length of an IKE message, so that what other changes did is reached at all.
    if (input.length >= 28) new DataView(input.buffer, input.byteOffset + 24, 4).setUint32(0, input.length)
    return input
  },
  (input, random) => input.slice(0, random(input.length + 1)), // truncation
  (input, random) => input.slice(random(Math.min(input.length, 32) + 1)), // a missing front
  (input, random) => {
    // a part, repeated
    const from = random(input.length + 1)
    const part = input.subarray(from, from + 1 + random(64))
    return concat([input.subarray(0, from), ...Array<Uint8Array>(1 + random(8)).fill(part), input.subarray(from)])
  },
  (input, random) => {
    // a part, cut out
    const from = random(input.length + 1)
    return concat([input.subarray(0, from), input.subarray(from + 1 + random(32))])
  },
  (input, random, corpus) => {
    // the front of one, the back of another
    const other = corpus[random(corpus.length)] ?? input
    return concat([input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1))])
  },
  (input, random) => {
    // octets from nowhere
    const at = random(input.length + 1)
    const some = Uint8Array.from({ length: 1 + random(16) }, () => random(256))
    return concat([input.subarray(0, at), some, input.subarray(at)])
  },
]

/** Large inputs: each of the first members repeated, zeros, ones. */
function large(corpus: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  const repeated = corpus
    .filter((member) => member.length > 0)
    .slice(0, 16)
    .map((member) => Uint8Array.from({ length: bytes }, (_, i) => member[i % member.length] ?? 0))
  return [...repeated, new Uint8Array(bytes), new Uint8Array(bytes).fill(0xff)]
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 46, 53, 63, 64, 127, 128, 129, 254, 255]
const EXTREME_16 = [0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 32767, 32768, 65531, 65532, 65534, 65535]
const EXTREME_32 = [0, 1, 27, 28, 29, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff]
const GROWTH_BYTES = [8192, 16384, 32768, 65536]
