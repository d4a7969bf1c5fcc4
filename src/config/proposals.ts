/** Proposals as swanctl.conf writes them (`aes128gcm16-prfsha256-x25519`), completed and checked as charon does. */
import { encryption } from '../crypto/encryption.ts'
import { ENCR, ESN, INTEG, KE, PRF, TRANSFORM_TYPE } from '../wire/numbers.ts'
import { formatTransform, isAead, parseKeyword, whyUnsupported } from './algorithms.ts'
import { ConfigError } from './config-error.ts'
import type { ConfiguredProposal, ProposedTransform } from './connection.ts'

type Protocol = ConfiguredProposal['protocol']

/**
 * The proposals of one item: one, or for `default` those of the table below.
 * @throws ConfigError which names the word and what is wrong with it
 */
export function parseProposals(protocol: Protocol, text: string): readonly ConfiguredProposal[] {
  if (text.toLowerCase() === 'default') return defaultProposals(protocol)
  const transforms = text.split('-').map((word) => {
    const transform = parseKeyword(word)
    if (transform === undefined) throw new ConfigError(`algorithm '${word}' not recognized`)
    return { ...transform, word }
  })
  const complete = checkers[protocol](transforms)
  for (const transform of complete) {
    const reason = whyUnsupported(protocol, transform)
    const word = transforms.find((given) => given.type === transform.type && given.id === transform.id)?.word
    if (reason !== undefined) {
      throw new ConfigError(
        `algorithm '${word ?? formatTransform(transform)}' cannot be used for ${protocol}: ${reason}`,
      )
    }
  }
  return [{ protocol, transforms: complete }]
}

/** `IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256` */
export function formatProposal(proposal: ConfiguredProposal): string {
  return `${proposal.protocol}:${inOrder(proposal.transforms).map(formatTransform).join('/')}`
}

/** What `default` stands for: everything sound that we can do, in charon's order. */
export function defaultProposals(protocol: Protocol): readonly ConfiguredProposal[] {
  const known = defaults.get(protocol)
  if (known !== undefined) return known
  const made = makeDefaults(protocol)
  defaults.set(protocol, made)
  return made
}

const defaults = new Map<Protocol, readonly ConfiguredProposal[]>()

const T = TRANSFORM_TYPE

type Word = ProposedTransform & { readonly word?: string }

const checkers: Readonly<Record<Protocol, (given: readonly Word[]) => readonly ProposedTransform[]>> = {
  IKE(given) {
    const ciphers = only(given, T.ENCR)
    const aead = checkCiphers('IKE', ciphers)
    const integ = only(given, T.INTEG)
    if (!aead && integ.length === 0) {
      throw new ConfigError(
        'an integrity algorithm is mandatory in IKE proposals with classic (non-AEAD) encryption algorithms',
      )
    }
    const named = only(given, T.PRF)
    const prfs = named.length > 0 ? named : integ.flatMap(({ id }) => prfOf.get(id) ?? [])
    if (prfs.length === 0) {
      throw new ConfigError("a PRF algorithm is mandatory in IKE proposals; add one such as 'prfsha256'")
    }
    const groups = only(given, T.KE).filter(({ id }) => id !== KE.NONE)
    if (groups.length === 0) throw new ConfigError("a DH group is mandatory in IKE proposals; add one such as 'x25519'")
    return distinct([...ciphers, ...(aead ? [] : integ), ...prfs, ...groups, ...additional(given)])
  },
  ESP(given) {
    const ciphers = only(given, T.ENCR)
    const aead = checkCiphers('ESP', ciphers)
    const integ = aead ? [] : only(given, T.INTEG)
    return distinct([...ciphers, ...integ, ...only(given, T.KE), ...additional(given), ...esn(given)])
  },
  AH(given) {
    const gmac = only(given, T.ENCR).flatMap(({ id, keyBits }) => {
      const integ = id === ENCR.NULL_AUTH_AES_GMAC ? gmacIntegrity.get(keyBits ?? 0) : undefined
      return integ === undefined ? [] : [{ type: T.INTEG, id: integ }]
    })
    const integ = [...only(given, T.INTEG), ...gmac]
    if (integ.length === 0) throw new ConfigError('an integrity algorithm is mandatory in AH proposals')
    return distinct([...integ, ...only(given, T.KE), ...additional(given), ...esn(given)])
  },
}

/** Whether the ciphers are AEADs. */
function checkCiphers(protocol: Protocol, ciphers: readonly ProposedTransform[]): boolean {
  if (ciphers.length === 0) throw new ConfigError(`an encryption algorithm is mandatory in ${protocol} proposals`)
  const aeads = ciphers.filter(({ id }) => isAead(id))
  if (aeads.length > 0 && aeads.length < ciphers.length) {
    throw new ConfigError(
      `classic and combined-mode (AEAD) encryption algorithms can't be contained in the same ${protocol} proposal`,
    )
  }
  return aeads.length > 0
}

function only(given: readonly Word[], type: number): readonly ProposedTransform[] {
  return given
    .filter((transform) => transform.type === type)
    .map(({ id, keyBits }) => (keyBits === undefined ? { type, id } : { type, id, keyBits }))
}

function additional(given: readonly Word[]): readonly ProposedTransform[] {
  return Array.from({ length: 7 }, (_, n) => only(given, T.ADDKE1 + n)).flat()
}

function esn(given: readonly Word[]): readonly ProposedTransform[] {
  const named = only(given, T.ESN)
  return named.length > 0 ? named : [{ type: T.ESN, id: ESN.NO_ESN }]
}

function distinct(transforms: readonly ProposedTransform[]): readonly ProposedTransform[] {
  const seen = new Set<string>()
  return transforms.filter(({ type, id, keyBits }) => {
    const key = `${type} ${id} ${keyBits}`
    return !seen.has(key) && seen.add(key)
  })
}

/** The order of names: encryption, integrity, PRF, key exchange, additional ones, sequence numbers. */
function inOrder(transforms: readonly ProposedTransform[]): readonly ProposedTransform[] {
  const rank = ({ type }: ProposedTransform) => {
    const at = order.indexOf(type)
    return at < 0 ? order.length : at
  }
  return transforms.toSorted((a, b) => rank(a) - rank(b))
}

const order: readonly number[] = [
  T.ENCR,
  T.INTEG,
  T.PRF,
  T.KE,
  ...Array.from({ length: 7 }, (_, n) => T.ADDKE1 + n),
  T.ESN,
]

/** The PRF that goes with an integrity algorithm when none is named. */
const prfOf: ReadonlyMap<number, ProposedTransform> = new Map(
  [
    [INTEG.HMAC_MD5_96, PRF.HMAC_MD5],
    [INTEG.HMAC_MD5_128, PRF.HMAC_MD5],
    [INTEG.HMAC_SHA1_96, PRF.HMAC_SHA1],
    [INTEG.HMAC_SHA1_160, PRF.HMAC_SHA1],
    [INTEG.HMAC_SHA2_256_128, PRF.HMAC_SHA2_256],
    [INTEG.HMAC_SHA2_384_192, PRF.HMAC_SHA2_384],
    [INTEG.HMAC_SHA2_512_256, PRF.HMAC_SHA2_512],
    [INTEG.AES_XCBC_96, PRF.AES128_XCBC],
    [INTEG.AES_CMAC_96, PRF.AES128_CMAC],
  ].map(([integ, prf]) => [integ ?? 0, { type: T.PRF, id: prf ?? 0 }]),
)

const gmacIntegrity: ReadonlyMap<number, number> = new Map([
  [128, INTEG.AES_128_GMAC],
  [192, INTEG.AES_192_GMAC],
  [256, INTEG.AES_256_GMAC],
])

/** The tables of charon's default proposals; what we lack or hold for weak is left out when they are made. */
const preferred = {
  classic: [ENCR.AES_CBC, ENCR.AES_CTR, ENCR.CAMELLIA_CBC, ENCR.CAMELLIA_CTR],
  aead: [
    ENCR.AES_CCM_16,
    ENCR.AES_GCM_16,
    ENCR.CHACHA20_POLY1305,
    ENCR.AES_CCM_8,
    ENCR.AES_CCM_12,
    ENCR.AES_GCM_8,
    ENCR.AES_GCM_12,
  ],
  integ: [
    INTEG.HMAC_SHA2_256_128,
    INTEG.HMAC_SHA2_384_192,
    INTEG.HMAC_SHA2_512_256,
    INTEG.AES_XCBC_96,
    INTEG.AES_CMAC_96,
    INTEG.HMAC_SHA1_96,
  ],
  childInteg: [
    INTEG.HMAC_SHA2_256_128,
    INTEG.HMAC_SHA2_384_192,
    INTEG.HMAC_SHA2_512_256,
    INTEG.HMAC_SHA1_96,
    INTEG.AES_XCBC_96,
  ],
  prf: [PRF.HMAC_SHA2_256, PRF.HMAC_SHA2_384, PRF.HMAC_SHA2_512, PRF.AES128_XCBC, PRF.AES128_CMAC, PRF.HMAC_SHA1],
  ke: [
    KE.ECP_256,
    KE.ECP_384,
    KE.ECP_521,
    KE.BRAINPOOL_P256R1,
    KE.BRAINPOOL_P384R1,
    KE.BRAINPOOL_P512R1,
    KE.CURVE_25519,
    KE.CURVE_448,
    KE.MODP_3072,
    KE.MODP_4096,
    KE.MODP_6144,
    KE.MODP_8192,
    KE.MODP_2048,
  ],
} as const

function makeDefaults(protocol: Protocol): readonly ConfiguredProposal[] {
  const proposal = (...parts: readonly (readonly ProposedTransform[])[]): ConfiguredProposal => ({
    protocol,
    transforms: parts.flat().filter((transform) => whyUnsupported(protocol, transform) === undefined),
  })
  const of = (type: number, ids: readonly number[]) => ids.map((id) => ({ type, id }))
  const ciphers = (ids: readonly number[]) =>
    ids.flatMap((id) => {
      const row = encryption(id)
      if (row === undefined || row.weak) return []
      if (row.fixedKey) return [{ type: T.ENCR, id }]
      return row.keyBits.map((keyBits) => ({ type: T.ENCR, id, keyBits }))
    })
  const ke = of(T.KE, preferred.ke)
  const child = [...ke, { type: T.KE, id: KE.NONE }, { type: T.ESN, id: ESN.NO_ESN }]
  const childInteg = of(T.INTEG, preferred.childInteg)
  switch (protocol) {
    case 'IKE':
      return [
        proposal(ciphers(preferred.classic), of(T.INTEG, preferred.integ), of(T.PRF, preferred.prf), ke),
        proposal(ciphers(preferred.aead), of(T.PRF, preferred.prf), ke),
      ]
    case 'ESP':
      return [proposal(ciphers([ENCR.AES_GCM_16]), child), proposal(ciphers([ENCR.AES_CBC]), childInteg, child)]
    case 'AH':
      return [proposal(childInteg, child)]
  }
}
