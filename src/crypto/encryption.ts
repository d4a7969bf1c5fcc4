import { type CipherCCMTypes, type CipherGCMTypes, createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { ENCR } from '../wire/numbers.ts'
import { plain } from './bytes.ts'
import { IntegrityError } from './errors.ts'
import type { Secret } from './secret.ts'

/** One row of IANA's "Transform Type 1 - Encryption Algorithm Transform IDs". */
export interface EncryptionAlgorithm {
  /** IANA number. */
  readonly id: number
  /** charon's display name. */
  readonly name: string
  /** Key lengths one may negotiate. */
  readonly keyBits: readonly number[]
  /** A transform with a single key length must not carry the Key Length attribute (RFC 7296 §3.3.5). */
  readonly fixedKey: boolean
  /** Protects integrity too: negotiated without an INTEG transform. */
  readonly aead: boolean
  /** Not to be proposed or accepted unless configured by name. */
  readonly weak: boolean
  /** The plaintext of an SK payload is padded to a multiple of this. */
  readonly blockBytes: number
  /** The IV carried in each message. */
  readonly ivBytes: number
  /** Octets taken from the key material after the key: the implicit part of the nonce. */
  readonly saltBytes: number
  /** The ICV that an AEAD appends; 0 for the others. */
  readonly icvBytes: number
  /** The algorithm in Linux XFRM. */
  readonly kernelName: string
  /** Usable to protect IKE messages; the others are for ESP in the kernel only. */
  readonly ikeSupported: boolean
  /** Octets to take from KEYMAT or prf+: key and salt. */
  keyMaterialBytes(keyBits: number): number
  /**
   * Encrypts. An AEAD returns ciphertext | ICV; the others return the ciphertext, ignore `aad` and want whole blocks.
   * `key` is key | salt.
   */
  seal(key: Secret, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** The reverse of `seal`. Throws `IntegrityError`. */
  open(key: Secret, iv: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array
}

/** The row of an IANA number, and only if it allows `keyBits` where that is given. */
export function encryption(id: number, keyBits?: number): EncryptionAlgorithm | undefined {
  const row = byId.get(id)
  return row === undefined || (keyBits !== undefined && !row.keyBits.includes(keyBits)) ? undefined : row
}

const aesKeyBits = [128, 192, 256] as const

/** RFC 4106 and RFC 5282: nonce = salt(4) | IV(8). */
function gcm(id: number, icvBytes: 8 | 12 | 16): EncryptionAlgorithm {
  return aead({
    id,
    name: `AES_GCM_${icvBytes}`,
    keyBits: aesKeyBits,
    fixedKey: false,
    saltBytes: 4,
    icvBytes,
    kernelName: 'rfc4106(gcm(aes))',
    cipher: (keyBytes) => `aes-${(keyBytes * 8) as 128 | 192 | 256}-gcm`,
  })
}

/** RFC 4309 and RFC 5282: nonce = salt(3) | IV(8). */
function ccm(id: number, icvBytes: 8 | 12 | 16): EncryptionAlgorithm {
  return aead({
    id,
    name: `AES_CCM_${icvBytes}`,
    keyBits: aesKeyBits,
    fixedKey: false,
    saltBytes: 3,
    icvBytes,
    kernelName: 'rfc4309(ccm(aes))',
    cipher: (keyBytes) => `aes-${(keyBytes * 8) as 128 | 192 | 256}-ccm`,
  })
}

interface Aead {
  readonly id: number
  readonly name: string
  readonly keyBits: readonly number[]
  readonly fixedKey: boolean
  readonly saltBytes: number
  readonly icvBytes: number
  readonly kernelName: string
  cipher(keyBytes: number): CipherGCMTypes | CipherCCMTypes | 'chacha20-poly1305'
}

function aead({ cipher, ...row }: Aead): EncryptionAlgorithm {
  const { saltBytes, icvBytes } = row
  const nonce = (key: Secret, iv: Uint8Array): Uint8Array => {
    assertLength('IV', iv, 8)
    const bytes = new Uint8Array(saltBytes + 8)
    bytes.set(key.bytes().subarray(key.length - saltBytes))
    bytes.set(iv, saltBytes)
    return bytes
  }
  const material = (keyBits: number) => keyBits / 8 + saltBytes
  return {
    ...row,
    aead: true,
    weak: false,
    blockBytes: 1,
    ivBytes: 8,
    ikeSupported: true,
    keyMaterialBytes: material,
    seal(key, iv, aad, plaintext) {
      const keyBytes = assertKey(row, key, material) - saltBytes
      // The types want the mode spelled out to allow setAAD with its options; at run time the modes share one call.
      const sealer = createCipheriv(cipher(keyBytes) as CipherCCMTypes, key.key(keyBytes), nonce(key, iv), {
        authTagLength: icvBytes,
      })
      sealer.setAAD(aad, { plaintextLength: plaintext.length })
      const out = new Uint8Array(plaintext.length + icvBytes)
      out.set(sealer.update(plaintext))
      sealer.final()
      out.set(sealer.getAuthTag(), plaintext.length)
      return out
    },
    open(key, iv, aad, ciphertext) {
      const keyBytes = assertKey(row, key, material) - saltBytes
      const length = ciphertext.length - icvBytes
      if (length < 0 || iv.length !== 8) throw new IntegrityError('shorter than its ICV')
      const opener = createDecipheriv(cipher(keyBytes) as CipherCCMTypes, key.key(keyBytes), nonce(key, iv), {
        authTagLength: icvBytes,
      })
      opener.setAuthTag(ciphertext.subarray(length))
      opener.setAAD(aad, { plaintextLength: length })
      try {
        const plaintext = opener.update(ciphertext.subarray(0, length))
        opener.final()
        return plain(plaintext)
      } catch {
        throw new IntegrityError('the ICV is wrong')
      }
    },
  }
}

/** RFC 2451 and RFC 3602. Padding is the SK payload's own, so the cipher adds none. */
function cbc(
  row: Pick<EncryptionAlgorithm, 'id' | 'name' | 'keyBits' | 'fixedKey' | 'weak' | 'blockBytes' | 'kernelName'>,
  cipher: (keyBytes: number) => string,
): EncryptionAlgorithm {
  const material = (keyBits: number) => keyBits / 8
  return {
    ...row,
    aead: false,
    ivBytes: row.blockBytes,
    saltBytes: 0,
    icvBytes: 0,
    ikeSupported: true,
    keyMaterialBytes: material,
    seal(key, iv, _aad, plaintext) {
      assertKey(row, key, material)
      if (plaintext.length % row.blockBytes !== 0) throw new RangeError('the plaintext is not padded to whole blocks')
      return plainCipher(cipher(key.length), key.key(), iv, plaintext)
    },
    open(key, iv, _aad, ciphertext) {
      assertKey(row, key, material)
      if (ciphertext.length % row.blockBytes !== 0 || iv.length !== row.blockBytes) {
        throw new IntegrityError('the ciphertext is not whole blocks')
      }
      const decipher = createDecipheriv(cipher(key.length), key.key(), iv)
      decipher.setAutoPadding(false)
      const plaintext = decipher.update(ciphertext)
      decipher.final()
      return plain(plaintext)
    },
  }
}

/** RFC 3686 and RFC 5930: counter block = salt(4) | IV(8) | 1. */
function ctr(id: number): EncryptionAlgorithm {
  const row = { id, name: 'AES_CTR', keyBits: aesKeyBits }
  const material = (keyBits: number) => keyBits / 8 + 4
  const crypt = (key: Secret, iv: Uint8Array, data: Uint8Array): Uint8Array => {
    const keyBytes = assertKey(row, key, material) - 4
    assertLength('IV', iv, 8)
    const block = new Uint8Array(16)
    block.set(key.bytes().subarray(keyBytes))
    block.set(iv, 4)
    block[15] = 1
    return plainCipher(`aes-${keyBytes * 8}-ctr`, key.key(keyBytes), block, data)
  }
  return {
    ...row,
    fixedKey: false,
    aead: false,
    weak: false,
    blockBytes: 1,
    ivBytes: 8,
    saltBytes: 4,
    icvBytes: 0,
    kernelName: 'rfc3686(ctr(aes))',
    ikeSupported: true,
    keyMaterialBytes: material,
    seal: (key, iv, _aad, plaintext) => crypt(key, iv, plaintext),
    open: (key, iv, _aad, ciphertext) => crypt(key, iv, ciphertext),
  }
}

/** A row for ESP in the kernel: we derive its keys and never encrypt with it. */
function kernelOnly(
  row: Pick<
    EncryptionAlgorithm,
    'id' | 'name' | 'keyBits' | 'fixedKey' | 'aead' | 'ivBytes' | 'saltBytes' | 'icvBytes' | 'kernelName'
  >,
): EncryptionAlgorithm {
  const refuse = (): never => {
    throw new Error(`${row.name} is for ESP in the kernel only`)
  }
  return {
    ...row,
    weak: false,
    blockBytes: 1,
    ikeSupported: false,
    keyMaterialBytes: (keyBits) => keyBits / 8 + row.saltBytes,
    seal: refuse,
    open: refuse,
  }
}

/** Every encryption algorithm that we negotiate, strongest habits first. */
export const ENCRYPTION: readonly EncryptionAlgorithm[] = [
  gcm(ENCR.AES_GCM_16, 16),
  gcm(ENCR.AES_GCM_12, 12),
  gcm(ENCR.AES_GCM_8, 8),
  // RFC 7634: nonce = salt(4) | IV(8).
  aead({
    id: ENCR.CHACHA20_POLY1305,
    name: 'CHACHA20_POLY1305',
    keyBits: [256],
    fixedKey: true,
    saltBytes: 4,
    icvBytes: 16,
    kernelName: 'rfc7539esp(chacha20,poly1305)',
    cipher: () => 'chacha20-poly1305',
  }),
  ccm(ENCR.AES_CCM_16, 16),
  ccm(ENCR.AES_CCM_12, 12),
  ccm(ENCR.AES_CCM_8, 8),
  cbc(
    {
      id: ENCR.AES_CBC,
      name: 'AES_CBC',
      keyBits: aesKeyBits,
      fixedKey: false,
      weak: false,
      blockBytes: 16,
      kernelName: 'cbc(aes)',
    },
    (keyBytes) => `aes-${keyBytes * 8}-cbc`,
  ),
  ctr(ENCR.AES_CTR),
  // RFC 4543: authenticates with the nonce salt(4) | IV(8), encrypts nothing.
  kernelOnly({
    id: ENCR.NULL_AUTH_AES_GMAC,
    name: 'NULL_AES_GMAC',
    keyBits: aesKeyBits,
    fixedKey: false,
    aead: true,
    ivBytes: 8,
    saltBytes: 4,
    icvBytes: 16,
    kernelName: 'rfc4543(gcm(aes))',
  }),
  kernelOnly({
    id: ENCR.NULL,
    name: 'NULL',
    keyBits: [0],
    fixedKey: true,
    aead: false,
    ivBytes: 0,
    saltBytes: 0,
    icvBytes: 0,
    kernelName: 'ecb(cipher_null)',
  }),
  cbc(
    {
      id: ENCR['3DES'],
      name: '3DES_CBC',
      keyBits: [192],
      fixedKey: true,
      weak: true,
      blockBytes: 8,
      kernelName: 'cbc(des3_ede)',
    },
    () => 'des-ede3-cbc',
  ),
]

const byId = new Map(ENCRYPTION.map((row) => [row.id, row]))

function plainCipher(name: string, key: KeyObject, iv: Uint8Array, data: Uint8Array): Uint8Array {
  const cipher = createCipheriv(name, key, iv)
  cipher.setAutoPadding(false)
  const out = cipher.update(data)
  cipher.final()
  return plain(out)
}

/** The length of the key, which must be one that the row allows. */
function assertKey(
  row: Pick<EncryptionAlgorithm, 'name' | 'keyBits'>,
  key: Secret,
  material: (keyBits: number) => number,
): number {
  if (!row.keyBits.some((bits) => material(bits) === key.length)) {
    throw new RangeError(`${row.name} has no key of ${key.length} octets`)
  }
  return key.length
}

function assertLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`the ${what} has ${length} octets, not ${bytes.length}`)
}
