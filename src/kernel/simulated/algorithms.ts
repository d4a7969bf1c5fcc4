/** The algorithms that the simulated kernel knows, with what it demands of their keys (crypto/ and xfrm_algo.c of Linux). */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { KernelOperation, SaCrypto, SaProtocol } from '../operations.ts'
import { KernelError } from '../operations.ts'

/** AEAD: octets of key and salt together, and the lengths of ICV that are allowed. */
const aeads: Readonly<Record<string, { readonly keyBytes: readonly number[]; readonly icvBits: readonly number[] }>> = {
  'rfc4106(gcm(aes))': { keyBytes: [20, 28, 36], icvBits: [64, 96, 128] },
  'rfc4309(ccm(aes))': { keyBytes: [19, 27, 35], icvBits: [64, 96, 128] },
  'rfc4543(gcm(aes))': { keyBytes: [20, 28, 36], icvBits: [128] },
  'rfc7539esp(chacha20,poly1305)': { keyBytes: [36], icvBits: [128] },
}

const ciphers: Readonly<Record<string, readonly number[]>> = {
  'ecb(cipher_null)': [0],
  'cbc(aes)': [16, 24, 32],
  'cbc(camellia)': [16, 24, 32],
  'cbc(des3_ede)': [24],
  'rfc3686(ctr(aes))': [20, 28, 36],
}

/**
 * Linux takes an HMAC key of any length; here it must have the length of RFC 4868 and RFC 2404, as nothing else ever
 * interoperates.
 */
const macs: Readonly<Record<string, { readonly keyBytes: number; readonly fullBits: number }>> = {
  'hmac(md5)': { keyBytes: 16, fullBits: 128 },
  'hmac(sha1)': { keyBytes: 20, fullBits: 160 },
  'hmac(sha256)': { keyBytes: 32, fullBits: 256 },
  'hmac(sha384)': { keyBytes: 48, fullBits: 384 },
  'hmac(sha512)': { keyBytes: 64, fullBits: 512 },
  'xcbc(aes)': { keyBytes: 16, fullBits: 128 },
  'cmac(aes)': { keyBytes: 16, fullBits: 128 },
}

/** The keys of a state, reduced to what seals packets: two states agree when their fingerprints do. */
export interface SealKey {
  readonly key: KeyObject
  /** Hex; the same for the same protocol, algorithms, lengths and keys, and useless for anything but comparing. */
  readonly fingerprint: string
}

/** Checks algorithms and keys as NEWSA does: ENOSYS for an unknown name, EINVAL for wrong keys or combinations. */
export function sealKey(operation: KernelOperation['kind'], protocol: SaProtocol, crypto: SaCrypto): SealKey {
  const refuse = (errno: string, detail: string): never => {
    throw new KernelError(operation, errno, undefined, detail)
  }
  const parts: (string | Uint8Array)[] = [protocol]
  if (crypto.kind === 'aead') {
    if (protocol === 'AH') refuse('EINVAL', 'AH has no AEAD')
    const aead = aeads[crypto.name] ?? refuse('ENOSYS', `no algorithm ${crypto.name}`)
    if (!aead.keyBytes.includes(crypto.key.length)) refuse('EINVAL', `${crypto.key.length} octets of key`)
    if (!aead.icvBits.includes(crypto.icvBits)) refuse('EINVAL', `${crypto.icvBits} bits of ICV`)
    parts.push(crypto.name, `${crypto.icvBits}`, crypto.key.bytes())
  } else {
    const { encryption, integrity } = crypto
    if (protocol === 'ESP' && encryption === undefined) refuse('EINVAL', 'ESP without encryption')
    if (protocol === 'AH' && encryption !== undefined) refuse('EINVAL', 'AH with encryption')
    if (protocol === 'AH' && integrity === undefined) refuse('EINVAL', 'AH without integrity')
    if (encryption !== undefined) {
      const keyBytes = ciphers[encryption.name] ?? refuse('ENOSYS', `no algorithm ${encryption.name}`)
      if (!keyBytes.includes(encryption.key.length)) refuse('EINVAL', `${encryption.key.length} octets of cipher key`)
      parts.push(encryption.name, encryption.key.bytes())
    }
    if (integrity !== undefined) {
      const mac = macs[integrity.name] ?? refuse('ENOSYS', `no algorithm ${integrity.name}`)
      if (integrity.key.length !== mac.keyBytes) refuse('EINVAL', `${integrity.key.length} octets of integrity key`)
      if (integrity.truncationBits > mac.fullBits) refuse('EINVAL', `${integrity.truncationBits} bits of ICV`)
      parts.push(integrity.name, `${integrity.truncationBits}`, integrity.key.bytes())
    }
  }
  const digest = hash('sha256', Buffer.concat(parts.flatMap((part) => [Buffer.from(part), Buffer.of(0)])), 'buffer')
  return { key: createSecretKey(digest), fingerprint: digest.toString('hex', 0, 16) }
}

/** The integrity tag of a simulated packet. */
export function tagOf(key: SealKey, text: string): string {
  return createHmac('sha256', key.key).update(text).digest('base64')
}
