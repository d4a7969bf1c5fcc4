/**
 * Algorithms by charon's names: the keywords of proposals and the names in logs and listings. The keywords include what
 * we cannot do, so that it can be refused by name.
 */
import { encryption } from '../crypto/encryption.ts'
import { integrity } from '../crypto/integrity.ts'
import { keyExchange } from '../crypto/key-exchange/key-exchange.ts'
import { prf } from '../crypto/prf.ts'
import { ENCR, ESN, INTEG, KE, PRF, TRANSFORM_TYPE } from '../wire/numbers.ts'
import type { ProposedTransform } from './connection.ts'

/** What a keyword of a proposal stands for; undefined for words that are none. Case matters, as in charon. */
export function parseKeyword(word: string): ProposedTransform | undefined {
  const additional = /^ke([1-7])_(.+)$/i.exec(word)
  if (additional === null) return keywords.get(word)
  const method = keywords.get(additional[2] ?? '')
  if (method?.type !== TRANSFORM_TYPE.KE) return undefined
  return { type: TRANSFORM_TYPE.ADDKE1 + Number(additional[1]) - 1, id: method.id }
}

/** charon's name of an algorithm without its key length, `(1234)` for one without a name. */
export function algorithmName(type: number, id: number): string {
  return names.get(isKeyExchange(type) ? TRANSFORM_TYPE.KE : type)?.get(id) ?? `(${id})`
}

/** The name with the key length: `AES_CBC_128`, `KE1_ML_KEM_768`. */
export function formatTransform({ type, id, keyBits }: ProposedTransform): string {
  const prefix = type >= TRANSFORM_TYPE.ADDKE1 && type <= TRANSFORM_TYPE.ADDKE7 ? `KE${type - 5}_` : ''
  return `${prefix}${algorithmName(type, id)}${keyBits === undefined ? '' : `_${keyBits}`}`
}

export function isKeyExchange(type: number): boolean {
  return type === TRANSFORM_TYPE.KE || (type >= TRANSFORM_TYPE.ADDKE1 && type <= TRANSFORM_TYPE.ADDKE7)
}

/** Whether an encryption algorithm protects integrity too. */
export function isAead(id: number): boolean {
  return aeads.has(id)
}

/** Why we cannot use an algorithm for that protocol; undefined when we can. */
export function whyUnsupported(
  protocol: 'IKE' | 'ESP' | 'AH',
  { type, id, keyBits }: ProposedTransform,
): string | undefined {
  switch (type) {
    case TRANSFORM_TYPE.ENCR: {
      const row = encryption(id, keyBits)
      if (row === undefined) return brokenCiphers.has(id) ? 'it is broken' : 'Sallyport does not have this cipher'
      return protocol !== 'IKE' || row.ikeSupported ? undefined : 'it is for ESP only'
    }
    case TRANSFORM_TYPE.INTEG: {
      const row = integrity(id)
      if (row === undefined) return 'Sallyport does not have this integrity algorithm'
      if (protocol === 'IKE') return row.ikeSupported ? undefined : 'it is for AH only'
      return row.kernelName === undefined ? 'Linux does not have it' : undefined
    }
    case TRANSFORM_TYPE.PRF:
      return prf(id) === undefined ? 'Sallyport does not have this PRF' : undefined
    case TRANSFORM_TYPE.ESN:
      return undefined
    default:
      return id === KE.NONE || keyExchange(id) !== undefined ? undefined : 'Sallyport does not have this key exchange'
  }
}

const AES = ['128', '192', '256'] as const

const aeads: ReadonlySet<number> = new Set([
  ENCR.AES_CCM_8,
  ENCR.AES_CCM_12,
  ENCR.AES_CCM_16,
  ENCR.AES_GCM_8,
  ENCR.AES_GCM_12,
  ENCR.AES_GCM_16,
  ENCR.NULL_AUTH_AES_GMAC,
  ENCR.CAMELLIA_CCM_8,
  ENCR.CAMELLIA_CCM_12,
  ENCR.CAMELLIA_CCM_16,
  ENCR.CHACHA20_POLY1305,
])

const brokenCiphers: ReadonlySet<number> = new Set([ENCR.DES, ENCR.CAST, ENCR.BLOWFISH])

/** Numbers from the private range that strongSwan uses. */
const PRIVATE = {
  SERPENT_CBC: 1026,
  TWOFISH_CBC: 1027,
  HMAC_SHA2_256_96: 1026,
  CAMELLIA_XCBC_96: 1030,
  PRF_CAMELLIA128_XCBC: 1028,
  MODP_NULL: 1024,
} as const

const keywords: ReadonlyMap<string, ProposedTransform> = new Map([
  ...ciphers(),
  ...plain(TRANSFORM_TYPE.INTEG, {
    md5: INTEG.HMAC_MD5_96,
    sha: INTEG.HMAC_SHA1_96,
    sha1: INTEG.HMAC_SHA1_96,
    aesxcbc: INTEG.AES_XCBC_96,
    md5_128: INTEG.HMAC_MD5_128,
    sha1_160: INTEG.HMAC_SHA1_160,
    aescmac: INTEG.AES_CMAC_96,
    sha256: INTEG.HMAC_SHA2_256_128,
    sha2_256: INTEG.HMAC_SHA2_256_128,
    sha384: INTEG.HMAC_SHA2_384_192,
    sha2_384: INTEG.HMAC_SHA2_384_192,
    sha512: INTEG.HMAC_SHA2_512_256,
    sha2_512: INTEG.HMAC_SHA2_512_256,
    sha256_96: PRIVATE.HMAC_SHA2_256_96,
    sha2_256_96: PRIVATE.HMAC_SHA2_256_96,
    camelliaxcbc: PRIVATE.CAMELLIA_XCBC_96,
  }),
  ...plain(TRANSFORM_TYPE.PRF, {
    prfmd5: PRF.HMAC_MD5,
    prfsha1: PRF.HMAC_SHA1,
    prfaesxcbc: PRF.AES128_XCBC,
    prfsha256: PRF.HMAC_SHA2_256,
    prfsha384: PRF.HMAC_SHA2_384,
    prfsha512: PRF.HMAC_SHA2_512,
    prfaescmac: PRF.AES128_CMAC,
    prfcamelliaxcbc: PRIVATE.PRF_CAMELLIA128_XCBC,
  }),
  ...plain(TRANSFORM_TYPE.KE, {
    none: KE.NONE,
    modpnone: KE.NONE,
    modp768: KE.MODP_768,
    modp1024: KE.MODP_1024,
    modp1536: KE.MODP_1536,
    modp2048: KE.MODP_2048,
    modp3072: KE.MODP_3072,
    modp4096: KE.MODP_4096,
    modp6144: KE.MODP_6144,
    modp8192: KE.MODP_8192,
    ecp256: KE.ECP_256,
    ecp384: KE.ECP_384,
    ecp521: KE.ECP_521,
    modp1024s160: KE.MODP_1024_160,
    modp2048s224: KE.MODP_2048_224,
    modp2048s256: KE.MODP_2048_256,
    ecp192: KE.ECP_192,
    ecp224: KE.ECP_224,
    ecp224bp: KE.BRAINPOOL_P224R1,
    ecp256bp: KE.BRAINPOOL_P256R1,
    ecp384bp: KE.BRAINPOOL_P384R1,
    ecp512bp: KE.BRAINPOOL_P512R1,
    curve25519: KE.CURVE_25519,
    x25519: KE.CURVE_25519,
    curve448: KE.CURVE_448,
    x448: KE.CURVE_448,
    gost256: KE.GOST3410_2012_256,
    gost512: KE.GOST3410_2012_512,
    mlkem512: KE.ML_KEM_512,
    mlkem768: KE.ML_KEM_768,
    mlkem1024: KE.ML_KEM_1024,
    modpnull: PRIVATE.MODP_NULL,
  }),
  ...plain(TRANSFORM_TYPE.ESN, { noesn: ESN.NO_ESN, esn: ESN.ESN }),
])

function* ciphers(): Generator<[string, ProposedTransform]> {
  yield* plain(TRANSFORM_TYPE.ENCR, { null: ENCR.NULL, des: ENCR.DES, '3des': ENCR['3DES'] })
  yield* plain(TRANSFORM_TYPE.ENCR, { chacha20poly1305: ENCR.CHACHA20_POLY1305 })
  yield ['chacha20poly1305compat', sized(ENCR.CHACHA20_POLY1305, '256')]
  yield ['cast128', sized(ENCR.CAST, '128')]
  const block = { aes: ENCR.AES_CBC, camellia: ENCR.CAMELLIA_CBC, blowfish: ENCR.BLOWFISH }
  for (const [word, id] of Object.entries({ ...block, serpent: PRIVATE.SERPENT_CBC, twofish: PRIVATE.TWOFISH_CBC })) {
    yield [word, sized(id, '128')]
    for (const bits of AES) yield [`${word}${bits}`, sized(id, bits)]
  }
  const modes = {
    aes: {
      ctr: ENCR.AES_CTR,
      ...{ ccm8: ENCR.AES_CCM_8, ccm64: ENCR.AES_CCM_8, ccm12: ENCR.AES_CCM_12, ccm96: ENCR.AES_CCM_12 },
      ...{ ccm16: ENCR.AES_CCM_16, ccm128: ENCR.AES_CCM_16, ccm: ENCR.AES_CCM_16 },
      ...{ gcm8: ENCR.AES_GCM_8, gcm64: ENCR.AES_GCM_8, gcm12: ENCR.AES_GCM_12, gcm96: ENCR.AES_GCM_12 },
      ...{ gcm16: ENCR.AES_GCM_16, gcm128: ENCR.AES_GCM_16, gcm: ENCR.AES_GCM_16 },
      gmac: ENCR.NULL_AUTH_AES_GMAC,
    },
    camellia: {
      ctr: ENCR.CAMELLIA_CTR,
      ...{ ccm8: ENCR.CAMELLIA_CCM_8, ccm64: ENCR.CAMELLIA_CCM_8, ccm12: ENCR.CAMELLIA_CCM_12 },
      ...{ ccm96: ENCR.CAMELLIA_CCM_12, ccm16: ENCR.CAMELLIA_CCM_16, ccm128: ENCR.CAMELLIA_CCM_16 },
    },
  }
  for (const [cipher, suffixes] of Object.entries(modes)) {
    for (const [suffix, id] of Object.entries(suffixes)) {
      for (const bits of AES) yield [`${cipher}${bits}${suffix}`, sized(id, bits)]
    }
  }
}

function sized(id: number, bits: string): ProposedTransform {
  return { type: TRANSFORM_TYPE.ENCR, id, keyBits: Number(bits) }
}

function plain(type: number, words: Readonly<Record<string, number>>): [string, ProposedTransform][] {
  return Object.entries(words).map(([word, id]) => [word, { type, id }])
}

/** Names where charon's differ from IANA's. */
const names: ReadonlyMap<number, ReadonlyMap<number, string>> = new Map([
  [
    TRANSFORM_TYPE.ENCR as number,
    named(ENCR, '', {
      [ENCR.DES]: 'DES_CBC',
      [ENCR['3DES']]: '3DES_CBC',
      [ENCR.CAST]: 'CAST_CBC',
      [ENCR.BLOWFISH]: 'BLOWFISH_CBC',
      [ENCR.NULL_AUTH_AES_GMAC]: 'NULL_AES_GMAC',
      [PRIVATE.SERPENT_CBC]: 'SERPENT_CBC',
      [PRIVATE.TWOFISH_CBC]: 'TWOFISH_CBC',
    }),
  ],
  [
    TRANSFORM_TYPE.INTEG,
    named(INTEG, '', {
      [PRIVATE.HMAC_SHA2_256_96]: 'HMAC_SHA2_256_96',
      [PRIVATE.CAMELLIA_XCBC_96]: 'CAMELLIA_XCBC_96',
    }),
  ],
  [TRANSFORM_TYPE.PRF, named(PRF, 'PRF_', { [PRIVATE.PRF_CAMELLIA128_XCBC]: 'PRF_CAMELLIA128_XCBC' })],
  [
    TRANSFORM_TYPE.KE,
    named(KE, '', {
      [KE.NONE]: 'KE_NONE',
      [KE.BRAINPOOL_P224R1]: 'ECP_224_BP',
      [KE.BRAINPOOL_P256R1]: 'ECP_256_BP',
      [KE.BRAINPOOL_P384R1]: 'ECP_384_BP',
      [KE.BRAINPOOL_P512R1]: 'ECP_512_BP',
      [KE.GOST3410_2012_256]: 'GOST3410_256',
      [KE.GOST3410_2012_512]: 'GOST3410_512',
      [PRIVATE.MODP_NULL]: 'MODP_NULL',
    }),
  ],
  [
    TRANSFORM_TYPE.ESN,
    new Map([
      [ESN.NO_ESN, 'NO_EXT_SEQ'],
      [ESN.ESN, 'EXT_SEQ'],
    ]),
  ],
])

function named(
  table: Readonly<Record<string, number>>,
  prefix: string,
  different: Readonly<Record<number, string>>,
): ReadonlyMap<number, string> {
  return new Map([
    ...Object.entries(table).map(([name, id]) => [id, prefix + name] as const),
    ...Object.entries(different).map(([id, name]) => [Number(id), name] as const),
  ])
}
