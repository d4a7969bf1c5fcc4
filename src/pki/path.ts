import { type Candidate, candidateLine, candidatesByName, ranked } from './candidates.ts'
import { type Certificate, isCa, isSignedBy, sameCertificate } from './certificate.ts'
import { NameRules } from './name-constraints.ts'
import { PolicyGraph, type PolicyInputs } from './policy.ts'
import type { RevocationCheck } from './revocation/check.ts'
import { charonTimeText, timeText } from './time.ts'

/** What to validate, against what. */
export interface PathRequest {
  readonly leaf: Certificate
  /** Received with the leaf or found elsewhere: only ever a way to an anchor. */
  readonly intermediates: readonly Certificate[]
  /** CAs that are trusted. One that others of them have issued is a step on the way, the rest are where a path may end. */
  readonly anchors: readonly Certificate[]
  /** End entities that are trusted as such, without a path. */
  readonly trustedLeaves: readonly Certificate[]
  /** Milliseconds since 1970. */
  readonly now: number
  readonly budget?: Partial<PathBudget>
  readonly policy?: PolicyInputs
  readonly revocation?: RevocationCheck
}

/** How much work one validation may be. The certificates come from somebody who is not authenticated. */
export interface PathBudget {
  readonly signatures: number
  /** Certificates in a path, the anchor included. */
  readonly depth: number
  /** Steps of the search. */
  readonly steps: number
  /** Comparisons of a name with a name constraint. */
  readonly comparisons: number
}

/** A path from the leaf to an anchor, or why there is none. */
export type PathResult = PathFound | PathRefused

export interface PathFound {
  readonly ok: true
  /** The leaf first, the anchor last; the leaf alone if it is trusted as such. */
  readonly path: readonly Certificate[]
  readonly anchor: Certificate
  /** Certificate policies that are valid for the path and acceptable. */
  readonly policies: ReadonlySet<string>
  /** How many signatures it took. */
  readonly signatures: number
  readonly log: readonly string[]
}

export interface PathRefused {
  readonly ok: false
  readonly reason: PathFailure
  /** The subject of the certificate that is at fault. */
  readonly certificate: string
  /** What exactly is wrong, as a sentence. */
  readonly message: string
  /** How many signatures it took. */
  readonly signatures: number
  readonly log: readonly string[]
}

/** The rule of RFC 5280 §6.1 that no path satisfied, of the path that came furthest. */
export type PathFailure =
  | 'expired'
  | 'not-yet-valid'
  | 'no-issuer'
  | 'untrusted-root'
  | 'path-length'
  | 'not-a-ca'
  | 'key-usage'
  | 'bad-signature'
  | 'unknown-critical'
  | 'name-constraints'
  | 'policy'
  | 'revoked'
  | 'revocation-unknown'
  | 'budget'

export const DEFAULT_BUDGET: PathBudget = { signatures: 64, depth: 10, steps: 1024, comparisons: 65_536 }

/**
 * Finds a path from the leaf to an anchor and validates it by RFC 5280 §6.1. Several paths are tried where there are several; of
 * the failures the one that came furthest is told. `log` tells the story of the path in charon's words.
 */
export function validate(request: PathRequest): PathResult {
  const { leaf } = request
  const trusted = [...request.trustedLeaves, ...request.anchors].find((known) => sameCertificate(known, leaf))
  if (trusted !== undefined) {
    const log = [`  using trusted certificate "${leaf.subjectText}"`]
    const fault = checkValidity(leaf, request.now, 'subject')
    if (fault !== undefined) return refused(fault, log)
    return { ok: true, path: [trusted], anchor: trusted, policies: new Set(leaf.policies), signatures: 0, log }
  }
  return search(request)
}

function search(request: PathRequest): PathResult {
  const budget = { ...DEFAULT_BUDGET, ...request.budget }
  const state: Search = {
    request,
    depth: budget.depth,
    issuers: candidatesByName(request.anchors, request.intermediates),
    signatures: new Map(),
    stepsLeft: budget.steps,
    signaturesLeft: budget.signatures,
    comparisonsLeft: budget.comparisons,
    exhausted: false,
    best: undefined,
  }
  const log = [`  using certificate "${request.leaf.subjectText}"`]
  const fault = checkValidity(request.leaf, request.now, 'subject') ?? checkCritical(request.leaf)
  if (fault !== undefined) return refused(fault, log)
  const found = extend(state, [request.leaf], log)
  const signatures = Math.min(budget.signatures, budget.signatures - state.signaturesLeft)
  if (found !== undefined) return { ...found, signatures }
  const best = state.best ?? { fault: noIssuer(request.leaf), progress: 0, log }
  if (!state.exhausted) return refused(best.fault, best.log, signatures)
  const message = `the certificates around "${request.leaf.subjectText}" offer more ways than are worth trying; the best ended with: ${best.fault.message}`
  return refused({ reason: 'budget', certificate: request.leaf, message, line: message }, best.log, signatures)
}

/** Tries to reach an anchor from the last certificate of `path`, which has passed the checks that concern it alone. */
function extend(state: Search, path: readonly Certificate[], log: readonly string[]): PathFound | undefined {
  const subject = path.at(-1)
  if (subject === undefined || state.exhausted) return undefined
  const candidates = state.issuers.get(subject.issuerKey) ?? []
  const useful = candidates.filter(
    ({ certificate }) => !path.some((earlier) => sameSubjectAndKey(earlier, certificate)),
  )
  if (useful.length === 0) fail(state, path.length, log, noIssuer(subject))
  for (const candidate of ranked(useful, subject)) {
    if (state.stepsLeft-- <= 0) state.exhausted = true
    if (state.exhausted) return undefined
    const longer = [...path, candidate.certificate]
    const story = [...log, candidateLine(candidate)]
    const fault = checkIssuer(state, path, subject, candidate.certificate)
    if (fault === 'budget') return undefined
    if (fault !== undefined) {
      fail(state, path.length + (fault.reason === 'bad-signature' ? 0 : 1), story, fault)
      continue
    }
    const found = candidate.ends ? conclude(state, longer, story) : extend(state, longer, story)
    if (found !== undefined) return found
  }
  return undefined
}

/** What must be true of a certificate that is to have issued another one, cheap things first; the signature comes last. */
function checkIssuer(
  state: Search,
  path: readonly Certificate[],
  subject: Certificate,
  issuer: Certificate,
): Fault | 'budget' | undefined {
  const { now } = state.request
  const name = issuer.subjectText
  if (path.length >= state.depth)
    return faultOf(
      'path-length',
      issuer,
      `the path from "${path[0]?.subjectText}" is longer than ${state.depth} certificates`,
    )
  const early = checkValidity(issuer, now, 'issuer') ?? checkCritical(issuer)
  if (early !== undefined) return early
  if (!isCa(issuer))
    return faultOf(
      'not-a-ca',
      issuer,
      `certificate "${name}" has issued "${subject.subjectText}" but is not a CA by its basic constraints`,
    )
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.has('keyCertSign'))
    return faultOf('key-usage', issuer, `the key usage of CA certificate "${name}" does not include keyCertSign`)
  const below = path.slice(1).filter((certificate) => !certificate.selfIssued).length
  const pathLen = issuer.basicConstraints?.pathLen
  if (pathLen !== undefined && below > pathLen)
    return faultOf(
      'path-length',
      issuer,
      `CA certificate "${name}" allows ${pathLen} intermediate CAs below it, the path has ${below}`,
      `path length of ${below} violates constraint of ${pathLen}`,
    )
  const signed = memoised(state, subject, issuer)
  if (signed === 'budget') return 'budget'
  if (!signed)
    return faultOf(
      'bad-signature',
      subject,
      `the signature of "${subject.subjectText}" (${subject.signatureAlgorithm.name}) does not verify with the key of "${name}"`,
    )
  return undefined
}

/** The checks that need the whole path, from the anchor down: name constraints, policies, revocation. */
function conclude(state: Search, path: readonly Certificate[], log: readonly string[]): PathFound | undefined {
  const { request } = state
  const anchor = path.at(-1)
  if (anchor === undefined) return undefined
  const rules = new NameRules(state)
  const graph = new PolicyGraph(path.length - 1, request.policy ?? {})
  rules.add(anchor)
  const reached = anchor.selfIssued ? 'self-signed root ca' : 'trusted intermediate ca'
  const story = [...log, `  reached ${reached} with a path length of ${path.length - 2}`]
  const end = (fault: Fault): undefined => fail(state, ANCHOR_REACHED + path.length, story, fault)
  for (const certificate of path.slice(0, -1).reverse()) {
    const leaf = certificate === request.leaf
    const names = certificate.selfIssued && !leaf ? undefined : rules.check(certificate)
    if (names === 'budget') {
      state.exhausted = true
      return undefined
    }
    if (names !== undefined)
      return end(faultOf('name-constraints', certificate, `certificate "${certificate.subjectText}": ${names}`))
    rules.add(certificate)
    const policy = graph.add(certificate)
    if (policy !== undefined)
      return end(faultOf('policy', certificate, `certificate "${certificate.subjectText}": ${policy}`))
  }
  return checkRevocation(state, path, story, graph.userPolicies(), anchor)
}

function checkRevocation(
  state: Search,
  path: readonly Certificate[],
  log: string[],
  policies: ReadonlySet<string>,
  anchor: Certificate,
): PathFound | undefined {
  const { revocation, now, anchors, intermediates } = state.request
  for (const [i, certificate] of path.slice(0, -1).entries()) {
    const [issuer, ...rest] = path.slice(i + 1)
    if (issuer === undefined || revocation === undefined) break
    const verdict = revocation.check({
      certificate,
      issuers: [issuer, ...rest],
      others: [...anchors, ...intermediates],
      now,
    })
    log.push(...verdict.log)
    if (verdict.kind === 'accepted') continue
    const reason = verdict.kind === 'revoked' ? 'revoked' : 'revocation-unknown'
    return fail(state, ANCHOR_REACHED + path.length, log, faultOf(reason, certificate, verdict.message))
  }
  return { ok: true, path, anchor, policies, signatures: 0, log }
}

interface Search {
  readonly request: PathRequest
  readonly depth: number
  readonly issuers: ReadonlyMap<string, readonly Candidate[]>
  readonly signatures: Map<string, boolean>
  stepsLeft: number
  signaturesLeft: number
  comparisonsLeft: number
  exhausted: boolean
  best: Failure | undefined
}

interface Fault {
  readonly reason: PathFailure
  readonly certificate: Certificate
  readonly message: string
  /** The same for the log, in charon's words where it has some. */
  readonly line: string
}

interface Failure {
  readonly fault: Fault
  readonly progress: number
  readonly log: readonly string[]
}

function memoised(state: Search, subject: Certificate, issuer: Certificate): boolean | 'budget' {
  const key = subject.fingerprint + Buffer.from(issuer.publicKeyInfo).toString('base64')
  const known = state.signatures.get(key)
  if (known !== undefined) return known
  if (state.signaturesLeft-- <= 0) {
    state.exhausted = true
    return 'budget'
  }
  const signed = isSignedBy(subject, issuer)
  state.signatures.set(key, signed)
  return signed
}

function checkValidity(certificate: Certificate, now: number, role: 'subject' | 'issuer'): Fault | undefined {
  const { subjectText, notBefore, notAfter } = certificate
  const line = `${role} certificate invalid (valid from ${charonTimeText(notBefore)} to ${charonTimeText(notAfter)})`
  if (now < notBefore)
    return faultOf(
      'not-yet-valid',
      certificate,
      `certificate "${subjectText}" is not valid before ${timeText(notBefore)}, now it is ${timeText(now)}`,
      line,
    )
  // both ends belong to the period, RFC 5280 §4.1.2.5; notAfter means the whole second
  if (now >= notAfter + 1000)
    return faultOf(
      'expired',
      certificate,
      `certificate "${subjectText}" expired on ${timeText(notAfter)}, now it is ${timeText(now)}`,
      line,
    )
  return undefined
}

function checkCritical(certificate: Certificate): Fault | undefined {
  const [first] = certificate.unknownCritical
  if (first === undefined) return undefined
  return faultOf(
    'unknown-critical',
    certificate,
    `certificate "${certificate.subjectText}" has the critical extension ${first}, which is not supported`,
  )
}

function noIssuer(certificate: Certificate): Fault {
  const { subjectText, issuerText } = certificate
  if (certificate.selfIssued)
    return faultOf(
      'untrusted-root',
      certificate,
      `"${subjectText}" is a root that is not among the trusted CAs`,
      `self-signed certificate "${subjectText}" is not trusted`,
    )
  return faultOf(
    'no-issuer',
    certificate,
    `no issuer certificate found for "${subjectText}": its issuer "${issuerText}" is neither a trusted CA nor was it received`,
    `no issuer certificate found for "${subjectText}"`,
  )
}

const faultOf = (reason: PathFailure, certificate: Certificate, message: string, line: string = message): Fault => ({
  reason,
  certificate,
  message,
  line,
})

function fail(state: Search, progress: number, log: readonly string[], fault: Fault): undefined {
  if (state.best === undefined || progress > state.best.progress) state.best = { fault, progress, log }
  return undefined
}

function refused({ reason, certificate, message, line }: Fault, log: readonly string[], signatures = 0): PathRefused {
  return { ok: false, reason, certificate: certificate.subjectText, message, signatures, log: [...log, line] }
}

const sameSubjectAndKey = (a: Certificate, b: Certificate): boolean =>
  a.subjectKey === b.subjectKey && a.publicKeyId === b.publicKeyId

/** A failure behind an anchor says more than any other. */
const ANCHOR_REACHED = 1000
