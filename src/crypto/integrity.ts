import { createHmac } from 'node:crypto'
import { INTEG } from '../wire/numbers.ts'
import { aesCmac, aesXcbc } from './block-mac.ts'
import { sameBytes } from './bytes.ts'
import type { Secret } from './secret.ts'

/** One row of IANA's "Transform Type 3 - Integrity Algorithm Transform IDs". */
export interface IntegrityAlgorithm {
  /** IANA number. */
  readonly id: number
  /** charon's display name. */
  readonly name: string
  /** Octets to take from KEYMAT or prf+. */
  readonly keyBytes: number
  /** Octets of the truncated result on the wire. */
  readonly icvBytes: number
  /** Not to be proposed or accepted unless configured by name. */
  readonly weak: boolean
  /** Usable to protect IKE messages. */
  readonly ikeSupported: boolean
  /** The algorithm in Linux XFRM, or `undefined` where Linux has none. */
  readonly kernelName: string | undefined
  /** The truncation to configure in XFRM (`XFRMA_ALG_AUTH_TRUNC`), in bits. */
  readonly kernelTruncBits: number
  /** The truncated MAC over all `data` in order. */
  sign(key: Secret, ...data: readonly Uint8Array[]): Uint8Array
}

/** The row of an IANA number. */
export function integrity(id: number): IntegrityAlgorithm | undefined {
  return byId.get(id)
}

/** Whether `icv` is the MAC over `data`, in time that does not depend on the octets. */
export function verifyIcv(
  integ: IntegrityAlgorithm,
  key: Secret,
  icv: Uint8Array,
  ...data: readonly Uint8Array[]
): boolean {
  return sameBytes(integ.sign(key, ...data), icv)
}

/** RFC 2403, RFC 2404 and RFC 4868. */
function hmac(
  id: number,
  name: string,
  hash: string,
  keyBytes: number,
  icvBytes: number,
  weak = false,
): IntegrityAlgorithm {
  return {
    id,
    name,
    keyBytes,
    icvBytes,
    weak,
    ikeSupported: true,
    kernelName: `hmac(${hash})`,
    kernelTruncBits: icvBytes * 8,
    sign(key, ...data) {
      const mac = createHmac(hash, key.key())
      for (const part of data) mac.update(part)
      return Uint8Array.from(mac.digest().subarray(0, icvBytes))
    },
  }
}

/** RFC 3566 and RFC 4494. */
function blockMac(
  id: number,
  name: string,
  kernelName: string,
  mac: (key: Secret, ...data: readonly Uint8Array[]) => Uint8Array,
): IntegrityAlgorithm {
  return {
    id,
    name,
    keyBytes: 16,
    icvBytes: 12,
    weak: false,
    ikeSupported: true,
    kernelName,
    kernelTruncBits: 96,
    sign: (key, ...data) => mac(key, ...data).slice(0, 12),
  }
}

/** RFC 4543: for AH only, with a salt of 4 octets after the key; Linux has no AH with it. */
function gmac(id: number, keyBits: number): IntegrityAlgorithm {
  const name = `AES_${keyBits}_GMAC`
  return {
    id,
    name,
    keyBytes: keyBits / 8 + 4,
    icvBytes: 16,
    weak: false,
    ikeSupported: false,
    kernelName: undefined,
    kernelTruncBits: 128,
    sign() {
      throw new Error(`${name} is for AH only`)
    },
  }
}

/** Every integrity algorithm that we know. */
export const INTEGRITY: readonly IntegrityAlgorithm[] = [
  hmac(INTEG.HMAC_SHA2_256_128, 'HMAC_SHA2_256_128', 'sha256', 32, 16),
  hmac(INTEG.HMAC_SHA2_384_192, 'HMAC_SHA2_384_192', 'sha384', 48, 24),
  hmac(INTEG.HMAC_SHA2_512_256, 'HMAC_SHA2_512_256', 'sha512', 64, 32),
  blockMac(INTEG.AES_XCBC_96, 'AES_XCBC_96', 'xcbc(aes)', aesXcbc),
  blockMac(INTEG.AES_CMAC_96, 'AES_CMAC_96', 'cmac(aes)', aesCmac),
  gmac(INTEG.AES_128_GMAC, 128),
  gmac(INTEG.AES_192_GMAC, 192),
  gmac(INTEG.AES_256_GMAC, 256),
  hmac(INTEG.HMAC_SHA1_96, 'HMAC_SHA1_96', 'sha1', 20, 12),
  hmac(INTEG.HMAC_SHA1_160, 'HMAC_SHA1_160', 'sha1', 20, 20),
  hmac(INTEG.HMAC_MD5_96, 'HMAC_MD5_96', 'md5', 16, 12, true),
]

const byId = new Map(INTEGRITY.map((row) => [row.id, row]))
