import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { KE } from '../../wire/numbers.ts'
import { buffer } from '../bytes.ts'
import { InvalidPublicValue } from '../errors.ts'
import { diffieHellmanExchange } from './diffie-hellman.ts'
import type { KeyExchange } from './key-exchange.ts'

/**
 * X25519 and X448, RFC 7748 and RFC 8031. Every string of the right length is a public value; those of small order give
 * a secret of zeros, which is refused (RFC 8031 §2).
 */
function montgomery(
  id: number,
  name: string,
  type: 'x25519' | 'x448',
  publicBytes: number,
  slow: boolean,
): KeyExchange {
  const privateKey = (scalar: Uint8Array): KeyObject =>
    createPrivateKey({ key: buffer(scalar), format: 'raw-private', asymmetricKeyType: type })
  return diffieHellmanExchange({
    id,
    name,
    publicBytes,
    sharedBytes: publicBytes,
    weak: false,
    slow,
    draw(random) {
      const scalar = random(publicBytes)
      const key = privateKey(scalar)
      scalar.fill(0)
      return key
    },
    generateAsync: () =>
      new Promise((resolve, reject) => {
        const done = (error: Error | null, _public: KeyObject, ours: KeyObject) => {
          if (error === null || error === undefined) resolve(ours)
          else reject(error)
        }
        if (type === 'x25519') generateKeyPair('x25519', undefined, done)
        else generateKeyPair('x448', undefined, done)
      }),
    privateFrom: privateKey,
    publicOf: (ours) => Uint8Array.from(createPublicKey(ours).export({ format: 'raw-public' })),
    decode(bytes) {
      try {
        return createPublicKey({ key: buffer(bytes), format: 'raw-public', asymmetricKeyType: type })
      } catch {
        throw new InvalidPublicValue(`${name}: the public value is malformed`)
      }
    },
  })
}

/** Group 31. */
export const curve25519: KeyExchange = montgomery(KE.CURVE_25519, 'CURVE_25519', 'x25519', 32, false)

/** Group 32. */
export const curve448: KeyExchange = montgomery(KE.CURVE_448, 'CURVE_448', 'x448', 56, true)
