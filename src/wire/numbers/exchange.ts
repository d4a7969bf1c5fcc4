/**
 * Numbers of the IANA registry "Internet Key Exchange Version 2 (IKEv2) Parameters": exchanges, payloads and protocols.
 */

/** Exchange types, RFC 7296 §3.1. */
export const EXCHANGE = {
  IKE_SA_INIT: 34,
  IKE_AUTH: 35,
  CREATE_CHILD_SA: 36,
  INFORMATIONAL: 37,
  IKE_SESSION_RESUME: 38,
  GSA_AUTH: 39,
  GSA_REGISTRATION: 40,
  GSA_REKEY: 41,
  IKE_INTERMEDIATE: 43,
  IKE_FOLLOWUP_KE: 44,
} as const

/** Payload types by the short names of RFC 7296 §3.2; `NONE` ends a chain. */
export const PAYLOAD = {
  NONE: 0,
  SA: 33,
  KE: 34,
  IDi: 35,
  IDr: 36,
  CERT: 37,
  CERTREQ: 38,
  AUTH: 39,
  Nonce: 40,
  N: 41,
  D: 42,
  V: 43,
  TSi: 44,
  TSr: 45,
  SK: 46,
  CP: 47,
  EAP: 48,
  GSPM: 49,
  IDg: 50,
  GSA: 51,
  KD: 52,
  SKF: 53,
  PS: 54,
} as const

/** Protocols of proposals, notifies and deletes, RFC 7296 §3.3.1. */
export const PROTOCOL = {
  IKE: 1,
  AH: 2,
  ESP: 3,
  FC_ESP_HEADER: 4,
  FC_CT_AUTHENTICATION: 5,
} as const

/** Transforms of IPCOMP_SUPPORTED, RFC 7296 §3.10.1. */
export const IPCOMP = {
  OUI: 1,
  DEFLATE: 2,
  LZS: 3,
  LZJH: 4,
} as const
