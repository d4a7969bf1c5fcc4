import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { PRF as NUMBER } from '../wire/numbers.ts'
import { aesCmac, aesXcbc } from './block-mac.ts'
import { Secret } from './secret.ts'

/** One row of IANA's "Transform Type 2 - Pseudorandom Function Transform IDs". */
export interface Prf {
  /** IANA number. */
  readonly id: number
  /** charon's display name. */
  readonly name: string
  /** The preferred key length: the length of SK_d, SK_pi and SK_pr (RFC 7296 §2.13). */
  readonly keyBytes: number
  readonly outputBytes: number
  /**
   * How many octets of each nonce key SKEYSEED, where the prf is built on a cipher with a key of fixed length
   * (RFC 7296 §2.14); `undefined` takes the nonces whole.
   */
  readonly nonceKeyBytes: number | undefined
  /** prf(key, data…) with a key of any length. */
  compute(key: Secret | Uint8Array, ...data: readonly Uint8Array[]): Uint8Array
}

/** The row of an IANA number. */
export function prf(id: number): Prf | undefined {
  return byId.get(id)
}

/**
 * prf+ of RFC 7296 §2.13: T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n). `bytes` is at most 255 outputs of the prf.
 */
export function prfPlus(prf: Prf, key: Secret | Uint8Array, seed: Uint8Array, bytes: number): Uint8Array {
  const rounds = Math.ceil(bytes / prf.outputBytes)
  if (rounds > 255) throw new RangeError(`prf+ cannot give ${bytes} octets`)
  const held = key instanceof Secret ? key : Secret.of(key.slice())
  const out = new Uint8Array(bytes)
  let t: Uint8Array = new Uint8Array(0)
  for (let n = 1; n <= rounds; n++) {
    const previous = t
    t = prf.compute(held, previous, seed, Uint8Array.of(n))
    previous.fill(0)
    const offset = (n - 1) * prf.outputBytes
    out.set(t.subarray(0, bytes - offset), offset)
  }
  t.fill(0)
  if (held !== key) held[Symbol.dispose]()
  return out
}

function hmac(id: number, name: string, hash: string, bytes: number): Prf {
  return {
    id,
    name,
    keyBytes: bytes,
    outputBytes: bytes,
    nonceKeyBytes: undefined,
    compute(key, ...data) {
      const mac = createHmac(hash, key instanceof Secret ? key.key() : keyObject(key))
      for (const part of data) mac.update(part)
      return Uint8Array.from(mac.digest())
    },
  }
}

function keyObject(key: Uint8Array): KeyObject {
  return createSecretKey(key)
}

/** A prf on a cipher; `fitted` brings a key of another length to 16 octets. */
function blockPrf(
  id: number,
  name: string,
  mac: (key: Secret, ...data: readonly Uint8Array[]) => Uint8Array,
  fitted: (key: Uint8Array) => Uint8Array,
): Prf {
  return {
    id,
    name,
    keyBytes: 16,
    outputBytes: 16,
    nonceKeyBytes: 8,
    compute(key, ...data) {
      if (key instanceof Secret && key.length === 16) return mac(key, ...data)
      const bytes = key instanceof Secret ? key.bytes() : key
      using held = Secret.of(bytes.length === 16 ? bytes.slice() : fitted(bytes))
      return mac(held, ...data)
    },
  }
}

const zeroKey = () => Secret.of(new Uint8Array(16))

/** RFC 4434 §2: a shorter key is padded with zeros, a longer one is hashed. */
function xcbcKey(key: Uint8Array): Uint8Array {
  if (key.length > 16) return aesXcbc(zeroKey(), key)
  const padded = new Uint8Array(16)
  padded.set(key)
  return padded
}

/** RFC 4615 §3: a key of any other length is hashed. */
function cmacKey(key: Uint8Array): Uint8Array {
  return aesCmac(zeroKey(), key)
}

/** Every prf that we negotiate. PRF_HMAC_MD5 is forbidden by RFC 8247 and not here. */
export const PRF: readonly Prf[] = [
  hmac(NUMBER.HMAC_SHA2_256, 'PRF_HMAC_SHA2_256', 'sha256', 32),
  hmac(NUMBER.HMAC_SHA2_384, 'PRF_HMAC_SHA2_384', 'sha384', 48),
  hmac(NUMBER.HMAC_SHA2_512, 'PRF_HMAC_SHA2_512', 'sha512', 64),
  blockPrf(NUMBER.AES128_XCBC, 'PRF_AES128_XCBC', aesXcbc, xcbcKey),
  blockPrf(NUMBER.AES128_CMAC, 'PRF_AES128_CMAC', aesCmac, cmacKey),
  hmac(NUMBER.HMAC_SHA1, 'PRF_HMAC_SHA1', 'sha1', 20),
]

const byId = new Map(PRF.map((row) => [row.id, row]))
