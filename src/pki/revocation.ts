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

/** What to do when the status of a certificate cannot be found out: let it pass, refuse it if it names a source, refuse it. */
export type RevocationPolicy = 'relaxed' | 'ifuri' | 'strict'

/**
 * The check of a daemon that has neither CRLs nor OCSP responses: every status is unknown, and the policy decides. It
 * fails closed where the operator asked for a status.
 */
export function withoutSources(policy: RevocationPolicy): RevocationCheck {
  return {
    check({ subjectText, crlUris, ocspUris }) {
      const log = [`checking certificate status of "${subjectText}"`, 'certificate status is not available']
      const demanded = policy === 'strict' || (policy === 'ifuri' && crlUris.length + ocspUris.length > 0)
      if (!demanded) return { kind: 'accepted', log }
      const message = `constraint check failed: the status of "${subjectText}" is unknown, revocation = ${policy}: CRLs and OCSP are not available yet`
      return { kind: 'unknown', message, log }
    },
  }
}
