import type { Certificate } from './certificate.ts'

/** A certificate that may be the issuer of others. */
export interface Candidate {
  readonly certificate: Certificate
  readonly trusted: boolean
  /** A path may end here. */
  readonly ends: boolean
  /** How many certificates a path from here to an anchor has at least, going by the names. */
  distance: number
}

/** All possible issuers by subject, with their distance from an anchor. */
export function candidatesByName(
  anchors: readonly Certificate[],
  intermediates: readonly Certificate[],
): ReadonlyMap<string, readonly Candidate[]> {
  const byName = new Map<string, Candidate[]>()
  const seen = new Set<string>()
  const add = (certificate: Certificate, trusted: boolean): void => {
    if (seen.has(certificate.fingerprint)) return
    seen.add(certificate.fingerprint)
    const others =
      trusted && !certificate.selfIssued && anchors.some((other) => other.subjectKey === certificate.issuerKey)
    const candidate = { certificate, trusted, ends: trusted && !others, distance: Number.POSITIVE_INFINITY }
    const same = byName.get(certificate.subjectKey)
    if (same === undefined) byName.set(certificate.subjectKey, [candidate])
    else same.push(candidate)
  }
  for (const anchor of anchors) add(anchor, true)
  for (const certificate of intermediates.slice(0, MAX_INTERMEDIATES)) add(certificate, false)
  measure([...byName.values()].flat())
  return byName
}

/** Breadth first from the anchors down, so that a search goes up the shortest way first. */
function measure(candidates: readonly Candidate[]): void {
  const byIssuer = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    const key = candidate.certificate.issuerKey
    const same = byIssuer.get(key)
    if (same === undefined) byIssuer.set(key, [candidate])
    else same.push(candidate)
  }
  let level = candidates.filter(({ ends }) => ends)
  for (let distance = 0; level.length > 0; distance++) {
    const below = new Set<Candidate>()
    for (const candidate of level) candidate.distance = Math.min(candidate.distance, distance)
    for (const { certificate } of level) {
      for (const issued of byIssuer.get(certificate.subjectKey) ?? [])
        if (issued.distance === Number.POSITIVE_INFINITY) below.add(issued)
      byIssuer.delete(certificate.subjectKey)
    }
    level = [...below]
  }
}

/** Those whose key identifier fits first, then the shortest way, then trusted ones. */
export function ranked(candidates: readonly Candidate[], subject: Certificate): readonly Candidate[] {
  const rank = ({ certificate, trusted, distance }: Candidate): number =>
    keyIdFit(certificate, subject) * 1000 + Math.min(distance, 100) * 2 + (trusted ? 0 : 1)
  return [...candidates].sort((a, b) => rank(a) - rank(b))
}

/** 0 the identifiers agree, 1 one of them is missing, 2 they differ; only a hint, RFC 5280 §4.2.1.1. */
function keyIdFit(issuer: Certificate, subject: Certificate): 0 | 1 | 2 {
  const wanted = subject.authorityKeyId?.keyId
  if (wanted === undefined || issuer.subjectKeyId === undefined) return 1
  return Buffer.compare(wanted, issuer.subjectKeyId) === 0 ? 0 : 2
}

/** How charon tells of a candidate that is tried. */
export function candidateLine({ certificate, trusted, ends }: Candidate): string {
  const kind = !trusted
    ? 'untrusted intermediate'
    : ends && certificate.selfIssued
      ? 'trusted ca'
      : 'trusted intermediate ca'
  return `  using ${kind} certificate "${certificate.subjectText}"`
}

const MAX_INTERMEDIATES = 64
