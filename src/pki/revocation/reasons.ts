/** Reasons of revocation: CRLReason (RFC 5280 §5.3.1) and ReasonFlags (§4.2.1.13). */

/** All bits of ReasonFlags that say something, as a mask: bit n of the flags is `1 << n`. */
export const ALL_REASONS: number = 0b1_1111_1110

/** The mask of a ReasonFlags, from the content of its BIT STRING. */
export function reasonsIn(content: Uint8Array): number {
  let mask = 0
  for (let bit = 0; bit < 9; bit++) {
    const byte = content[1 + (bit >> 3)] ?? 0
    if ((byte & (0x80 >> (bit & 7))) !== 0) mask |= 1 << bit
  }
  return mask & ALL_REASONS
}

/** CRLReason removeFromCRL: in a delta CRL, the certificate is good again. */
export const REMOVE_FROM_CRL = 8

/** CRLReason in charon's words. */
export function reasonText(reason: number): string {
  return REASON_TEXTS[reason] ?? `reason #${reason}`
}

const REASON_TEXTS: readonly (string | undefined)[] = [
  'unspecified',
  'key compromise',
  'ca compromise',
  'affiliation changed',
  'superseded',
  'cessation of operation',
  'certificate hold',
  undefined,
  'remove from crl',
]
