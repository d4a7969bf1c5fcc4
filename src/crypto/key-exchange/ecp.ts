import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { KE } from '../../wire/numbers.ts'
import { buffer, concat, leftPad } from '../bytes.ts'
import { InvalidPublicValue } from '../errors.ts'
import { diffieHellmanExchange, drawScalar, type Group, inRange } from './diffie-hellman.ts'
import type { KeyExchange } from './key-exchange.ts'

/**
 * Groups of elliptic curves over prime fields: RFC 5903 (NIST), RFC 6954 (Brainpool). The Key Exchange Data is x | y,
 * the shared secret is x.
 */
function ecp(id: number, name: string, curve: string, fieldBits: number, slow: boolean, orderHex: string): KeyExchange {
  const bytes = Math.ceil(fieldBits / 8)
  const order = Uint8Array.from(Buffer.from(orderHex, 'hex'))
  const topMask = fieldBits % 8 === 0 ? 0xff : (1 << (fieldBits % 8)) - 1
  const privateKey = (scalar: Uint8Array): KeyObject => {
    const key = buffer(leftPad(scalar, bytes))
    const imported = createPrivateKey({ key, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve: curve })
    key.fill(0)
    return imported
  }
  const group: Group = {
    id,
    name,
    publicBytes: 2 * bytes,
    sharedBytes: bytes,
    weak: false,
    slow,
    draw(random) {
      const scalar = drawScalar(order, topMask, random)
      const key = privateKey(scalar)
      scalar.fill(0)
      return key
    },
    generateAsync: () =>
      new Promise((resolve, reject) => {
        generateKeyPair('ec', { namedCurve: curve }, (error, _public, ours) => {
          if (error === null || error === undefined) resolve(ours)
          else reject(error)
        })
      }),
    privateFrom(bytes) {
      const scalar = leftPad(bytes, order.length)
      if (!inRange(scalar, order)) throw new RangeError(`${name}: a private value is from 1 to the order - 1`)
      return privateKey(scalar)
    },
    publicOf: (ours) => Uint8Array.from(createPublicKey(ours).export({ format: 'raw-public' }).subarray(1)),
    decode(point) {
      // RFC 6989 §2.3: both coordinates below p, and the point on the curve. OpenSSL checks that when it imports.
      try {
        const key = buffer(concat(uncompressed, point))
        return createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ec', namedCurve: curve })
      } catch {
        throw new InvalidPublicValue(`${name}: the public value is not a point of the curve`)
      }
    },
  }
  return diffieHellmanExchange(group)
}

const uncompressed = Uint8Array.of(4)

/** ECP_256, ECP_384, ECP_521 and the three Brainpool groups, with the orders of their base points. */
export const ecpGroups: readonly KeyExchange[] = [
  ecp(
    KE.ECP_256,
    'ECP_256',
    'prime256v1',
    256,
    false,
    'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  ),
  ecp(
    KE.ECP_384,
    'ECP_384',
    'secp384r1',
    384,
    true,
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  ),
  ecp(
    KE.ECP_521,
    'ECP_521',
    'secp521r1',
    521,
    true,
    '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  ),
  ecp(
    KE.BRAINPOOL_P256R1,
    'ECP_256_BP',
    'brainpoolP256r1',
    256,
    true,
    'a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7',
  ),
  ecp(
    KE.BRAINPOOL_P384R1,
    'ECP_384_BP',
    'brainpoolP384r1',
    384,
    true,
    '8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565',
  ),
  ecp(
    KE.BRAINPOOL_P512R1,
    'ECP_512_BP',
    'brainpoolP512r1',
    512,
    true,
    'aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069',
  ),
]
