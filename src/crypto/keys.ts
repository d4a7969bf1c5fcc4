import { concat } from './bytes.ts'
import type { EncryptionAlgorithm } from './encryption.ts'
import type { IntegrityAlgorithm } from './integrity.ts'
import { type Prf, prfPlus } from './prf.ts'
import { Secret } from './secret.ts'
import { seen } from './seen.ts'

/** The seven SK_* of RFC 7296 §2.14; with an AEAD `ai` and `ar` are empty and `ei`, `er` end with the salt. */
export interface IkeKeys extends Disposable {
  readonly d: Secret
  readonly ai: Secret
  readonly ar: Secret
  readonly ei: Secret
  readonly er: Secret
  readonly pi: Secret
  readonly pr: Secret
}

/** The keys of one direction of a Child SA: encryption (with salt) and integrity. */
export interface ChildKeys {
  /** Empty for ENCR_NULL and for AH. */
  readonly encr: Secret
  readonly integ?: Secret
}

/** The algorithms that decide how much key material an IKE SA takes. */
export interface IkeSuite {
  readonly prf: Prf
  readonly encr: EncryptionAlgorithm
  readonly encrKeyBits: number
  /** Absent with an AEAD. */
  readonly integ?: IntegrityAlgorithm | undefined
}

/** SKEYSEED = prf(Ni | Nr, g^ir), RFC 7296 §2.14. */
export function skeyseed(prf: Prf, ni: Uint8Array, nr: Uint8Array, shared: Secret): Secret {
  // RFC 7296 §2.14: prfs with a key of fixed length take the first 64 bits of each nonce here, and only here.
  const n = prf.nonceKeyBytes
  return Secret.of(prf.compute(concat(ni.subarray(0, n), nr.subarray(0, n)), shared.bytes()))
}

/**
 * SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), RFC 7296 §2.18, followed by the secrets of additional key exchanges
 * (RFC 9370 §2.2.4). `prf` is that of the old IKE SA.
 */
export function rekeySkeyseed(
  prf: Prf,
  skD: Secret,
  shared: Secret,
  ni: Uint8Array,
  nr: Uint8Array,
  additional: readonly Secret[] = [],
): Secret {
  return Secret.of(prf.compute(skD, shared.bytes(), ni, nr, ...additional.map((secret) => secret.bytes())))
}

/** SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) after an additional key exchange, RFC 9370 §2.2.2. */
export function updateSkeyseed(prf: Prf, skD: Secret, shared: Secret, ni: Uint8Array, nr: Uint8Array): Secret {
  return Secret.of(prf.compute(skD, shared.bytes(), ni, nr))
}

/**
 * {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr), RFC 7296 §2.14.
 * For a rekeyed IKE SA all arguments are those of the new SA.
 */
export function ikeKeys(
  suite: IkeSuite,
  seed: Secret,
  ni: Uint8Array,
  nr: Uint8Array,
  spiI: Uint8Array,
  spiR: Uint8Array,
): IkeKeys {
  const { prf, encr, encrKeyBits, integ } = suite
  const a = encr.aead ? 0 : (integ?.keyBytes ?? 0)
  const e = encr.keyMaterialBytes(encrKeyBits)
  const p = prf.keyBytes
  const take = slices(prfPlus(prf, seed, concat(ni, nr, spiI, spiR), 3 * p + 2 * a + 2 * e))
  const keys = { d: take(p), ai: take(a), ar: take(a), ei: take(e), er: take(e), pi: take(p), pr: take(p) }
  take.wipe()
  return disposable(keys)
}

/** What {@link childKeymat} derives from. */
export interface ChildKeySource {
  readonly prf: Prf
  /** SK_d of the IKE SA that negotiates. */
  readonly d: Secret
  readonly ni: Uint8Array
  readonly nr: Uint8Array
  /** g^ir (new), if there was a key exchange. */
  readonly shared?: Secret | undefined
  /** Secrets of additional key exchanges, RFC 9370 §2.2.4. */
  readonly additional?: readonly Secret[] | undefined
  /** Absent for AH. */
  readonly encr?: EncryptionAlgorithm | undefined
  /** 0 or the fixed length where no Key Length is negotiated. */
  readonly keyBits: number
  readonly integ?: IntegrityAlgorithm | undefined
}

/**
 * KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr), RFC 7296 §2.17. `initiator` are the keys of the SA from the initiator of
 * this exchange to its responder; they come first, and encryption comes before integrity.
 */
export function childKeymat(source: ChildKeySource): { readonly initiator: ChildKeys; readonly responder: ChildKeys } {
  const { prf, d, ni, nr, shared, additional = [], encr, keyBits, integ } = source
  const e = encr?.keyMaterialBytes(keyBits) ?? 0
  const a = encr?.aead ? 0 : (integ?.keyBytes ?? 0)
  const secrets = additional.map((secret) => secret.bytes())
  const seed = concat(shared?.bytes() ?? new Uint8Array(0), ni, nr, ...secrets)
  const take = slices(prfPlus(prf, d, seed, 2 * (e + a)))
  seed.fill(0)
  const direction = (): ChildKeys => (a === 0 ? { encr: take(e) } : { encr: take(e), integ: take(a) })
  const keys = { initiator: direction(), responder: direction() }
  take.wipe()
  return keys
}

/**
 * RFC 8784 §3: mixes a post-quantum preshared key into SK_d, SK_pi and SK_pr, each = prf+(PPK, SK_x'). Copies the other
 * keys; the caller disposes the old ones.
 */
export function mixPpk(prf: Prf, keys: IkeKeys, ppk: Secret): IkeKeys {
  const mixed = (key: Secret) => Secret.of(prfPlus(prf, ppk, key.bytes(), key.length))
  return disposable({
    d: mixed(keys.d),
    ai: keys.ai.copy(),
    ar: keys.ar.copy(),
    ei: keys.ei.copy(),
    er: keys.er.copy(),
    pi: mixed(keys.pi),
    pr: mixed(keys.pr),
  })
}

/** prf(SK_px, RestOfIDPayload), RFC 7296 §2.15: `idPayloadBody` is the ID payload without its generic header. */
export function macedId(prf: Prf, skP: Secret, idPayloadBody: Uint8Array): Uint8Array {
  return seen(
    'maced-id',
    () => [idPayloadBody],
    () => prf.compute(skP, idPayloadBody),
  )
}

/**
 * RealMessage | NonceData | MACedID [| IntAuth], RFC 7296 §2.15 and RFC 9242 §3.3: what is signed or MACed. `nonce` is
 * the other side's; `intermediate` ends with the message ID of IKE_AUTH.
 */
export function authOctets(
  realMessage: Uint8Array,
  nonce: Uint8Array,
  macedId: Uint8Array,
  intermediate: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return concat(realMessage, nonce, macedId, intermediate)
}

/**
 * IntAuth(n) = prf(SK_p(n), IntAuth(n-1) | A | P), RFC 9242 §3.3.2: `a` are the octets up to and with the generic header
 * of SK, with lengths as if unfragmented and unencrypted; `p` is the plaintext without padding.
 */
export function intAuth(
  prf: Prf,
  skP: Secret,
  previous: Uint8Array | undefined,
  a: Uint8Array,
  p: Uint8Array,
): Uint8Array {
  const data = [previous ?? new Uint8Array(0), a, p]
  return seen(
    'int-auth',
    () => data,
    () => prf.compute(skP, ...data),
  )
}

const keyPad = new TextEncoder().encode('Key Pad for IKEv2')

/** AUTH = prf(prf(Shared Secret, "Key Pad for IKEv2"), octets), RFC 7296 §2.15; an EAP MSK is a shared secret too. */
export function pskAuth(prf: Prf, psk: Secret, octets: Uint8Array): Uint8Array {
  return seen(
    'psk-auth',
    () => [octets],
    () => {
      using padded = Secret.of(prf.compute(psk, keyPad))
      return prf.compute(padded, octets)
    },
  )
}

/** Takes secrets from the front of `material`, each in its own memory; `wipe` at the end. */
function slices(material: Uint8Array): { (bytes: number): Secret; wipe(): void } {
  let offset = 0
  const take = (bytes: number): Secret => {
    const secret = Secret.of(material.slice(offset, offset + bytes))
    offset += bytes
    return secret
  }
  return Object.assign(take, { wipe: () => void material.fill(0) })
}

function disposable(keys: Omit<IkeKeys, typeof Symbol.dispose>): IkeKeys {
  return {
    ...keys,
    [Symbol.dispose]() {
      for (const key of [keys.d, keys.ai, keys.ar, keys.ei, keys.er, keys.pi, keys.pr]) key[Symbol.dispose]()
    },
  }
}
