import { diffieHellman, type KeyObject } from 'node:crypto'
import { leftPad } from '../bytes.ts'
import { InvalidPublicValue } from '../errors.ts'
import { type Random, systemRandom } from '../random.ts'
import { Secret } from '../secret.ts'
import type { KeyExchange, KeyPair } from './key-exchange.ts'
import { KeyExchangePrivate } from './private.ts'

/** What is particular to one Diffie-Hellman group; {@link diffieHellmanExchange} makes the exchange of it. */
export interface Group {
  readonly id: number
  readonly name: string
  /** Exact length of the Key Exchange Data in both directions. */
  readonly publicBytes: number
  /** Length of g^ir as octets: leading zeros are part of it. */
  readonly sharedBytes: number
  readonly weak: boolean
  readonly slow: boolean
  /** A private value drawn from `random`. */
  draw(random: Random): KeyObject
  /** A private value with OpenSSL's random numbers, on the thread pool. */
  generateAsync(): Promise<KeyObject>
  /** The private value with these octets. */
  privateFrom(bytes: Uint8Array): KeyObject
  /** The Key Exchange Data for our own private value. */
  publicOf(ours: KeyObject): Uint8Array
  /** The peer's value, after every check of RFC 6989. `bytes` has the right length. Throws `InvalidPublicValue`. */
  decode(bytes: Uint8Array): KeyObject
}

/** The key exchange over a group: both sides do the same. */
export function diffieHellmanExchange(group: Group): KeyExchange {
  const { id, name, publicBytes, sharedBytes, weak, slow } = group

  const pair = (key: KeyObject): KeyPair => ({
    public: group.publicOf(key),
    private: new KeyExchangePrivate(id, key),
  })
  const checked = (peerPublic: Uint8Array): KeyObject => {
    if (peerPublic.length !== publicBytes) {
      throw new InvalidPublicValue(`${name}: a public value has ${publicBytes} octets, not ${peerPublic.length}`)
    }
    return group.decode(peerPublic)
  }
  const secret = (shared: Uint8Array): Secret => {
    const padded = leftPad(shared, sharedBytes)
    shared.fill(0)
    return Secret.of(padded)
  }
  // OpenSSL refuses on its own what would give a degenerate secret, for example all zeros from X25519.
  const refused = () => new InvalidPublicValue(`${name}: no secret comes from this public value`)
  const derive = (privateKey: KeyObject, publicKey: KeyObject): Secret => {
    let shared: Uint8Array
    try {
      shared = diffieHellman({ privateKey, publicKey })
    } catch {
      throw refused()
    }
    return secret(shared)
  }
  const deriveAsync = (privateKey: KeyObject, publicKey: KeyObject): Promise<Secret> =>
    slow
      ? new Promise((resolve, reject) => {
          diffieHellman({ privateKey, publicKey }, (error, shared) => {
            if (error === null || error === undefined) resolve(secret(shared))
            else reject(refused())
          })
        })
      : Promise.resolve(derive(privateKey, publicKey))
  const drawAsync = async () => (slow ? await group.generateAsync() : group.draw(systemRandom))

  return {
    id,
    name,
    publicBytes,
    responderBytes: publicBytes,
    weak,
    slow,
    generate: (random) => pair(group.draw(random)),
    respond(peerPublic, random) {
      const peer = checked(peerPublic)
      const ours = group.draw(random)
      return { public: group.publicOf(ours), shared: derive(ours, peer) }
    },
    finish: (ours, peerPublic) => derive(ours.key(id), checked(peerPublic)),
    generateAsync: async () => pair(await drawAsync()),
    async respondAsync(peerPublic) {
      const peer = checked(peerPublic)
      const ours = await drawAsync()
      return { public: group.publicOf(ours), shared: await deriveAsync(ours, peer) }
    },
    finishAsync: async (ours, peerPublic) => deriveAsync(ours.key(id), checked(peerPublic)),
    privateFrom: (bytes) => pair(group.privateFrom(bytes)),
  }
}

/**
 * A number from 1 to `order` - 1 as octets, every one equally likely: draws again while the value is out of range, so
 * that the time tells nothing about the value that is taken. `topMask` cuts bits that are always zero.
 */
export function drawScalar(order: Uint8Array, topMask: number, random: Random): Uint8Array {
  for (let attempt = 0; attempt < 200; attempt++) {
    const scalar = random(order.length)
    scalar[0] = (scalar[0] ?? 0) & topMask
    if (inRange(scalar, order)) return scalar
    scalar.fill(0)
  }
  throw new Error('the random source repeats itself')
}

/** Whether a scalar of the order's length is from 1 to the order - 1. */
export function inRange(scalar: Uint8Array, order: Uint8Array): boolean {
  return Buffer.compare(scalar, order) < 0 && scalar.some((octet) => octet !== 0)
}
