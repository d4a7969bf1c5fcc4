/**
 * Numbers of the IANA registry "Internet Key Exchange Version 2 (IKEv2) Parameters": transforms. Names without the
 * prefix that the table already says (`ENCR.AES_GCM_16` is ENCR_AES_GCM_16).
 */

/** Transform types by the short names of RFC 7296 §3.3.2 and RFC 9370 §2.2.1; `ESN` is "Sequence Numbers" in RFC 9827. */
export const TRANSFORM_TYPE = {
  ENCR: 1,
  PRF: 2,
  INTEG: 3,
  KE: 4,
  ESN: 5,
  ADDKE1: 6,
  ADDKE2: 7,
  ADDKE3: 8,
  ADDKE4: 9,
  ADDKE5: 10,
  ADDKE6: 11,
  ADDKE7: 12,
  KWA: 13,
  GCAUTH: 14,
} as const

/** Transform attributes, RFC 7296 §3.3.5. */
export const TRANSFORM_ATTRIBUTE = {
  KEY_LENGTH: 14,
} as const

/** Encryption algorithms, transform type 1. */
export const ENCR = {
  DES_IV64: 1,
  DES: 2,
  '3DES': 3,
  RC5: 4,
  IDEA: 5,
  CAST: 6,
  BLOWFISH: 7,
  '3IDEA': 8,
  DES_IV32: 9,
  NULL: 11,
  AES_CBC: 12,
  AES_CTR: 13,
  AES_CCM_8: 14,
  AES_CCM_12: 15,
  AES_CCM_16: 16,
  AES_GCM_8: 18,
  AES_GCM_12: 19,
  AES_GCM_16: 20,
  NULL_AUTH_AES_GMAC: 21,
  CAMELLIA_CBC: 23,
  CAMELLIA_CTR: 24,
  CAMELLIA_CCM_8: 25,
  CAMELLIA_CCM_12: 26,
  CAMELLIA_CCM_16: 27,
  CHACHA20_POLY1305: 28,
  AES_CCM_8_IIV: 29,
  AES_GCM_16_IIV: 30,
  CHACHA20_POLY1305_IIV: 31,
  KUZNYECHIK_MGM_KTREE: 32,
  MAGMA_MGM_KTREE: 33,
  KUZNYECHIK_MGM_MAC_KTREE: 34,
  MAGMA_MGM_MAC_KTREE: 35,
} as const

/** Pseudorandom functions, transform type 2. */
export const PRF = {
  HMAC_MD5: 1,
  HMAC_SHA1: 2,
  HMAC_TIGER: 3,
  AES128_XCBC: 4,
  HMAC_SHA2_256: 5,
  HMAC_SHA2_384: 6,
  HMAC_SHA2_512: 7,
  AES128_CMAC: 8,
  HMAC_STREEBOG_512: 9,
} as const

/** Integrity algorithms, transform type 3. */
export const INTEG = {
  NONE: 0,
  HMAC_MD5_96: 1,
  HMAC_SHA1_96: 2,
  DES_MAC: 3,
  KPDK_MD5: 4,
  AES_XCBC_96: 5,
  HMAC_MD5_128: 6,
  HMAC_SHA1_160: 7,
  AES_CMAC_96: 8,
  AES_128_GMAC: 9,
  AES_192_GMAC: 10,
  AES_256_GMAC: 11,
  HMAC_SHA2_256_128: 12,
  HMAC_SHA2_384_192: 13,
  HMAC_SHA2_512_256: 14,
} as const

/** Key exchange methods, transform types 4 and 6 to 12. */
export const KE = {
  NONE: 0,
  MODP_768: 1,
  MODP_1024: 2,
  MODP_1536: 5,
  MODP_2048: 14,
  MODP_3072: 15,
  MODP_4096: 16,
  MODP_6144: 17,
  MODP_8192: 18,
  ECP_256: 19,
  ECP_384: 20,
  ECP_521: 21,
  MODP_1024_160: 22,
  MODP_2048_224: 23,
  MODP_2048_256: 24,
  ECP_192: 25,
  ECP_224: 26,
  BRAINPOOL_P224R1: 27,
  BRAINPOOL_P256R1: 28,
  BRAINPOOL_P384R1: 29,
  BRAINPOOL_P512R1: 30,
  CURVE_25519: 31,
  CURVE_448: 32,
  GOST3410_2012_256: 33,
  GOST3410_2012_512: 34,
  ML_KEM_512: 35,
  ML_KEM_768: 36,
  ML_KEM_1024: 37,
} as const

/** Sequence numbers, transform type 5 (RFC 9827). */
export const ESN = {
  NO_ESN: 0,
  ESN: 1,
  UNSPECIFIED_32: 2,
} as const
