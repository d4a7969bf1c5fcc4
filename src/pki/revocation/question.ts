import type { Certificate } from '../certificate.ts'

/** Whose status is asked for, and who may tell it. */
export interface StatusQuestion {
  readonly certificate: Certificate
  /** The rest of its path: its issuer first, the anchor last. All of it is validated already. */
  readonly issuers: readonly [Certificate, ...Certificate[]]
  /** CAs and certificates that may have signed a CRL without being on the path; not validated. */
  readonly others: readonly Certificate[]
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What a CRL or an OCSP response says of a certificate. */
export type CertificateStatus =
  /** Until when this may be said again without asking, in milliseconds since 1970. */
  | { readonly kind: 'good'; readonly until: number }
  /** When, in milliseconds since 1970, and why (CRLReason). */
  | { readonly kind: 'revoked'; readonly time: number; readonly reason: number }
  /** It was said, but too long ago. */
  | { readonly kind: 'stale'; readonly since: number }
  | { readonly kind: 'unknown' }

/** How much later than ours the clock of whoever signed may be. */
export const CLOCK_SKEW: number = 5 * 60_000
