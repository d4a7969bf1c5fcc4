import { createPrivateKey, createPublicKey, decapsulate, encapsulate, type KeyObject } from 'node:crypto'
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js'
import { KE } from '../../wire/numbers.ts'
import { buffer, plain } from '../bytes.ts'
import { InvalidPublicValue } from '../errors.ts'
import { type Random, systemRandom } from '../random.ts'
import { Secret } from '../secret.ts'
import type { KeyExchange, KeyPair, Response } from './key-exchange.ts'
import { KeyExchangePrivate } from './private.ts'

/**
 * ML-KEM (FIPS 203) as a key exchange method, draft-ietf-ipsecme-ikev2-mlkem: the initiator sends an encapsulation key,
 * the responder a ciphertext, and the shared secret has 32 octets.
 *
 * A ciphertext of the right length never fails to open: a forged one gives an unrelated secret (FIPS 203 §6.3), which
 * IKE_AUTH or the next SK payload will show.
 */
function mlKem(
  id: number,
  name: string,
  type: 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024',
  publicBytes: number,
  responderBytes: number,
  deterministic: { encapsulate(key: Uint8Array, m: Uint8Array): { cipherText: Uint8Array; sharedSecret: Uint8Array } },
): KeyExchange {
  const pair = (seed: Uint8Array): KeyPair => {
    const key = createPrivateKey({ key: buffer(seed), format: 'raw-seed', asymmetricKeyType: type })
    return {
      public: Uint8Array.from(createPublicKey(key).export({ format: 'raw-public' })),
      private: new KeyExchangePrivate(id, key),
    }
  }
  const generate = (random: Random): KeyPair => {
    const seed = random(64)
    const made = pair(seed)
    seed.fill(0)
    return made
  }
  /** FIPS 203 §7.2: the length, and every coefficient below q; OpenSSL checks the latter when it imports. */
  const checked = (peerPublic: Uint8Array): KeyObject => {
    if (peerPublic.length !== publicBytes) {
      throw new InvalidPublicValue(`${name}: an encapsulation key has ${publicBytes} octets, not ${peerPublic.length}`)
    }
    try {
      return createPublicKey({ key: buffer(peerPublic), format: 'raw-public', asymmetricKeyType: type })
    } catch {
      throw new InvalidPublicValue(`${name}: the encapsulation key is not reduced`)
    }
  }
  /** OpenSSL draws its own randomness; to repeat a run from a seed takes the second implementation. */
  const respond = (peerPublic: Uint8Array, random: Random): Response => {
    const key = checked(peerPublic)
    if (random === systemRandom) {
      const { ciphertext, sharedKey } = encapsulate(key)
      return { public: plain(ciphertext), shared: Secret.of(plain(sharedKey)) }
    }
    const { cipherText, sharedSecret } = deterministic.encapsulate(peerPublic, random(32))
    return { public: cipherText, shared: Secret.of(sharedSecret) }
  }
  const finish = (ours: KeyExchangePrivate, ciphertext: Uint8Array): Secret => {
    const key = ours.key(id)
    if (ciphertext.length !== responderBytes) {
      throw new InvalidPublicValue(`${name}: a ciphertext has ${responderBytes} octets, not ${ciphertext.length}`)
    }
    return Secret.of(plain(decapsulate(key, ciphertext)))
  }
  return {
    id,
    name,
    publicBytes,
    responderBytes,
    weak: false,
    slow: false,
    generate,
    respond,
    finish,
    generateAsync: async () => generate(systemRandom),
    respondAsync: async (peerPublic) => respond(peerPublic, systemRandom),
    finishAsync: async (ours, ciphertext) => finish(ours, ciphertext),
    privateFrom: pair,
  }
}

/** ML_KEM_512, ML_KEM_768, ML_KEM_1024. */
export const mlKems: readonly KeyExchange[] = [
  mlKem(KE.ML_KEM_768, 'ML_KEM_768', 'ml-kem-768', 1184, 1088, ml_kem768),
  mlKem(KE.ML_KEM_1024, 'ML_KEM_1024', 'ml-kem-1024', 1568, 1568, ml_kem1024),
  mlKem(KE.ML_KEM_512, 'ML_KEM_512', 'ml-kem-512', 800, 768, ml_kem512),
]
