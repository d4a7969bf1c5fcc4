import { createCipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { Secret } from './secret.ts'

const BLOCK = 16
const zeroBlock = new Uint8Array(BLOCK)

/** AES-CMAC, RFC 4493. `key` has 16 octets; the result too. */
export function aesCmac(key: Secret, ...data: readonly Uint8Array[]): Uint8Array {
  const l = encryptBlock(key.key(), zeroBlock)
  const k1 = doubled(l)
  return chain(key.key(), k1, doubled(k1), data)
}

/** AES-XCBC-MAC without truncation, RFC 3566. `key` has 16 octets; the result too. */
export function aesXcbc(key: Secret, ...data: readonly Uint8Array[]): Uint8Array {
  const derived = (octet: number) => encryptBlock(key.key(), new Uint8Array(BLOCK).fill(octet))
  const k1 = derived(1)
  const chainKey = createSecretKey(k1)
  k1.fill(0)
  return chain(chainKey, derived(2), derived(3), data)
}

/**
 * CBC-MAC whose last block is masked: with `whole` if it is complete, else padded with 80 00… and masked with
 * `partial`. Both masks are wiped.
 */
function chain(key: KeyObject, whole: Uint8Array, partial: Uint8Array, data: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of data) length += part.length
  const padded = new Uint8Array(Math.max(1, Math.ceil(length / BLOCK)) * BLOCK)
  let offset = 0
  for (const part of data) {
    padded.set(part, offset)
    offset += part.length
  }
  const complete = length === padded.length
  if (!complete) padded[length] = 0x80
  const mask = complete ? whole : partial
  const last = padded.subarray(-BLOCK)
  for (let i = 0; i < BLOCK; i++) last[i] = (last[i] ?? 0) ^ (mask[i] ?? 0)
  const cipher = createCipheriv('aes-128-cbc', key, zeroBlock)
  cipher.setAutoPadding(false)
  const out = cipher.update(padded)
  cipher.final()
  for (const bytes of [padded, whole, partial]) bytes.fill(0)
  return Uint8Array.from(out.subarray(-BLOCK))
}

function encryptBlock(key: KeyObject, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null)
  cipher.setAutoPadding(false)
  const out = cipher.update(block)
  cipher.final()
  return Uint8Array.from(out)
}

/** Multiplication by x in GF(2^128), without a branch on the key. */
function doubled(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK)
  for (let i = 0; i < BLOCK; i++) out[i] = ((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7)
  out[BLOCK - 1] = (out[BLOCK - 1] ?? 0) ^ (0x87 & -((block[0] ?? 0) >> 7))
  return out
}
