import { hash, randomFillSync } from 'node:crypto'
import { concat } from './bytes.ts'

/** Gives `bytes` fresh random octets. */
export type Random = (bytes: number) => Uint8Array

/** The operating system's generator, through OpenSSL. */
export const systemRandom: Random = (bytes) => randomFillSync(new Uint8Array(bytes))

/**
 * The same stream for the same seed: SHA-256(seed | counter), block after block. For tests and simulation; never for a
 * daemon that talks to the world.
 */
export function seededRandom(seed: number | Uint8Array): Random {
  const start = typeof seed === 'number' ? new TextEncoder().encode(`seed ${seed}`) : seed.slice()
  const input = concat(start, new Uint8Array(8))
  const counter = new DataView(input.buffer, start.length)
  let block: Uint8Array = new Uint8Array(0)
  let used = 0
  let next = 0n
  return (bytes) => {
    const out = new Uint8Array(bytes)
    let filled = 0
    while (filled < bytes) {
      if (used === block.length) {
        counter.setBigUint64(0, next++)
        block = hash('sha256', input, 'buffer')
        used = 0
      }
      const count = Math.min(bytes - filled, block.length - used)
      out.set(block.subarray(used, used + count), filled)
      filled += count
      used += count
    }
    return out
  }
}
