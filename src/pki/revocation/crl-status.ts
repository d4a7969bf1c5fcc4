/** What CRLs say of a certificate: RFC 5280 §6.3.3. */
import { sameBytes } from '../bytes.ts'
import { type Certificate, sameCertificate } from '../certificate.ts'
import { verifySignature } from '../signature-algorithm.ts'
import { charonTimeText } from '../time.ts'
import type { Crl, CrlEntry } from './crl.ts'
import { distributionPoints, reasonsCovered } from './crl-scope.ts'
import { type CertificateStatus, CLOCK_SKEW, type StatusQuestion } from './question.ts'
import { ALL_REASONS, REMOVE_FROM_CRL } from './reasons.ts'

/** Whether a certificate that is not on the path may sign for its end: it has a valid path to the same anchor. */
export type SignerCheck = (signer: Certificate) => boolean

/**
 * The status of a certificate by the CRLs that are at hand. Who has signed them is checked here; a list that nobody may have signed
 * tells nothing. `uris` are the operator's own distribution points. Appends charon's lines to `log`.
 */
export function crlStatus(
  question: StatusQuestion,
  crls: readonly Crl[],
  uris: readonly string[],
  mayCheck: SignerCheck,
  log: string[],
): CertificateStatus {
  const { certificate, now } = question
  let open = ALL_REASONS
  let staleSince: number | undefined
  let until = Number.POSITIVE_INFINITY
  const usable = crls.filter((crl) => !crl.unusable && crl.thisUpdate <= now + CLOCK_SKEW).sort(newestFirst)
  const trusted = memo((crl: Crl) => isTrusted(question, crl, mayCheck, log))
  for (const point of distributionPoints(certificate, uris)) {
    const seen: Crl[] = []
    for (const crl of usable) {
      if (crl.baseNumber !== undefined || seen.some((newer) => sameScope(newer, crl))) continue
      const covered = reasonsCovered(crl, certificate, point)
      if ((covered & open) === 0 || !trusted(crl)) continue
      seen.push(crl)
      const delta = usable.find((each) => updates(each, crl) && trusted(each))
      const entry = entryOf(certificate, crl, delta)
      if (entry !== undefined) return { kind: 'revoked', ...entry }
      const next = Math.max(nextUpdateOf(crl), delta === undefined ? 0 : nextUpdateOf(delta))
      if (next < now) {
        log.push(`  crl is stale: since ${charonTimeText(next)}`)
        staleSince = Math.max(staleSince ?? 0, next)
        continue
      }
      log.push(`  crl is valid: until ${charonTimeText(next)}`)
      open &= ~covered
      until = Math.min(until, next)
      if (open === 0) return { kind: 'good', until }
    }
  }
  return staleSince === undefined ? { kind: 'unknown' } : { kind: 'stale', since: staleSince }
}

/** The delta CRL has the last word, where it has one. */
function entryOf({ issuerKey, serial }: Certificate, crl: Crl, delta: Crl | undefined): CrlEntry | undefined {
  const change = delta?.find(issuerKey, serial)
  if (change === undefined) return crl.find(issuerKey, serial)
  return change.reason === REMOVE_FROM_CRL ? undefined : change
}

/** §6.3.3 (c): a delta CRL that continues this complete one. */
function updates(delta: Crl, crl: Crl): boolean {
  return (
    delta.baseNumber !== undefined &&
    crl.number !== undefined &&
    delta.number !== undefined &&
    delta.baseNumber <= crl.number &&
    delta.number > crl.number &&
    sameScope(delta, crl)
  )
}

/** Lists of one issuer, with one key, about the same certificates and reasons: the newer replaces the older. */
export function sameScope(a: Crl, b: Crl): boolean {
  const keyOf = (crl: Crl): Uint8Array => crl.authorityKeyId?.keyId ?? new Uint8Array()
  return a.issuerKey === b.issuerKey && sameBytes(a.scope.der, b.scope.der) && sameBytes(keyOf(a), keyOf(b))
}

/** Whether one list is newer than another of the same scope. */
export function isNewer(a: Crl, b: Crl): boolean {
  if (a.number !== undefined && b.number !== undefined && a.number !== b.number) return a.number > b.number
  return a.thisUpdate > b.thisUpdate
}

const newestFirst = (a: Crl, b: Crl): number => (isNewer(a, b) ? -1 : isNewer(b, a) ? 1 : 0)

/** RFC 5280 §5.1.2.5 wants every list to say when the next one comes. One that does not counts for a day. */
const nextUpdateOf = (crl: Crl): number => crl.nextUpdate ?? crl.thisUpdate + 24 * 3_600_000

/** §6.3.3 (f) and (g): signed by the key of somebody who may sign CRLs and who has a path to the same anchor. */
function isTrusted({ issuers, others }: StatusQuestion, crl: Crl, mayCheck: SignerCheck, log: string[]): boolean {
  const named = [...issuers, ...others].filter(({ subjectKey }) => subjectKey === crl.issuerKey)
  const wanted = crl.authorityKeyId?.keyId
  const fits = ({ subjectKeyId }: Certificate): boolean =>
    wanted === undefined || subjectKeyId === undefined || sameBytes(wanted, subjectKeyId)
  for (const signer of named.filter(fits).slice(0, MAX_SIGNERS)) {
    if (signer.keyUsage !== undefined && !signer.keyUsage.has('cRLSign')) continue
    if (!signed(crl, signer)) continue
    if (!issuers.some((issuer) => sameCertificate(issuer, signer)) && !mayCheck(signer)) continue
    log.push(`  crl correctly signed by "${signer.subjectText}"`)
    return true
  }
  log.push('crl response verification failed')
  return false
}

/** Remembered: a long list takes its time, and is asked for every peer. */
function signed(crl: Crl, signer: Certificate): boolean {
  const key = Buffer.from(signer.publicKeyInfo).toString('base64')
  const known = signatures.get(crl) ?? new Map<string, boolean>()
  signatures.set(crl, known)
  const before = known.get(key)
  if (before !== undefined) return before
  const result = verifySignature(crl.signatureAlgorithm, signer.publicKey, crl.tbs, crl.signature)
  known.set(key, result)
  return result
}

const signatures = new WeakMap<Crl, Map<string, boolean>>()

function memo<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const value = compute(key)
    known.set(key, value)
    return value
  }
}

const MAX_SIGNERS = 4
