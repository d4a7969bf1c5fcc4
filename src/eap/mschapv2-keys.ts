/** The hashes of MS-CHAPv2 (RFC 2759 §8) and the keys that it makes (RFC 3079 §3). */
import { createCipheriv, createHash } from 'node:crypto'
import { concat } from '../crypto/bytes.ts'
import { Secret } from '../crypto/secret.ts'
import { md4 } from './md4.ts'
import type { Password } from './method.ts'

/** What both sides say and know, once the peer has answered. */
export interface Answered {
  readonly authenticatorChallenge: Uint8Array
  readonly peerChallenge: Uint8Array
  /** The name in the response, without the domain before a backslash. */
  readonly user: string
  /** `passwordHash` of the password. */
  readonly passwordHash: Uint8Array
}

/** §8.3. The caller wipes it. */
export function passwordHash({ bytes, hashed }: Password): Uint8Array {
  if (hashed) return Uint8Array.from(bytes)
  const unicode = Uint8Array.from(Buffer.from(Buffer.from(bytes).toString('utf8'), 'utf16le'))
  const hash = md4(unicode)
  unicode.fill(0)
  return hash
}

/** §8.1: 24 octets. */
export function ntResponse(answered: Answered): Uint8Array {
  const challenge = challengeHash(answered)
  const padded = concat(answered.passwordHash, new Uint8Array(5))
  const parts = [0, 7, 14].map((at) => des(padded.subarray(at, at + 7), challenge))
  padded.fill(0)
  return concat(...parts)
}

/** §8.7, as it stands in a success: S= and forty hexadecimal digits. */
export function authenticatorResponse(answered: Answered, response: Uint8Array): string {
  const digest = sha1(md4(answered.passwordHash), response, text('Magic server to client signing constant'))
  const second = sha1(digest, challengeHash(answered), text('Pad to make it do more than one iteration'))
  return `S=${Buffer.from(second).toString('hex').toUpperCase()}`
}

/** RFC 3079 §3.4: the MSK, the same for both sides: the server's receive key, its send key, zeros. */
export function mschapv2Msk(passwordHashValue: Uint8Array, response: Uint8Array): Secret {
  const hashHash = md4(passwordHashValue)
  const master = sha1(hashHash, response, text('This is the MPPE Master Key')).subarray(0, 16)
  const startKey = (magic: string): Uint8Array =>
    sha1(master, new Uint8Array(40), text(magic), new Uint8Array(40).fill(0xf2)).subarray(0, 16)
  const receive = startKey(clientSends)
  const send = startKey(clientReceives)
  const msk = concat(receive, send, new Uint8Array(32))
  for (const wiped of [hashHash, master, receive, send]) wiped.fill(0)
  return Secret.of(msk)
}

const clientSends = 'On the client side, this is the send key; on the server side, it is the receive key.'
const clientReceives = 'On the client side, this is the receive key; on the server side, it is the send key.'

/** §8.2. */
function challengeHash({ peerChallenge, authenticatorChallenge, user }: Answered): Uint8Array {
  return sha1(peerChallenge, authenticatorChallenge, text(user)).subarray(0, 8)
}

/** §8.6: seven octets of key have 56 bits, DES wants each seventh followed by one of parity, which nobody looks at. */
function des(key: Uint8Array, block: Uint8Array): Uint8Array {
  const bits = Array.from(key, (octet) => octet.toString(2).padStart(8, '0')).join('')
  const spread = Uint8Array.from({ length: 8 }, (_, i) => Number.parseInt(`${bits.slice(7 * i, 7 * i + 7)}0`, 2))
  // DES alone is in OpenSSL's legacy provider; three times the same key is DES.
  const cipher = createCipheriv('des-ede3', concat(spread, spread, spread), null).setAutoPadding(false)
  return concat(cipher.update(block), cipher.final())
}

function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return Uint8Array.from(hash.digest())
}

const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value))
