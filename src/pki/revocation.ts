import type { Certificate } from './certificate.ts'

/** Asked once for each certificate of a path below the anchor, the leaf first, after all else about the path is in order. */
export interface RevocationCheck {
  check(certificate: Certificate, issuer: Certificate, now: number): RevocationVerdict
}

/**
 * `accepted` lets the certificate pass: it is good, or its status is unknown and the policy (`relaxed`, `ifuri`) lets that pass.
 * The log has charon's lines, for example `certificate status is good`.
 */
export type RevocationVerdict =
  | { readonly kind: 'accepted'; readonly log: readonly string[] }
  | { readonly kind: 'revoked' | 'unknown'; readonly message: string; readonly log: readonly string[] }
