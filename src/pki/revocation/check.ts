/**
 * Whether a certificate is revoked, as charon finds out: by an OCSP response, else by CRLs; by what is known already, else
 * by asking. What has to be fetched is asked of the caller, so that this stays without network and clock.
 */
import { DecodeError } from '../../wire/errors.ts'
import type { Certificate } from '../certificate.ts'
import { DEFAULT_BUDGET, validate } from '../path.ts'
import { charonTimeText } from '../time.ts'
import { type Crl, parseCrl } from './crl.ts'
import { crlStatus, type SignerCheck } from './crl-status.ts'
import { certIdOf, encodeOcspRequest } from './ocsp-request.ts'
import { type OcspResponse, parseOcspResponse } from './ocsp-response.ts'
import { ocspStatus } from './ocsp-status.ts'
import type { CertificateStatus, StatusQuestion } from './question.ts'
import { reasonText } from './reasons.ts'

/** Asked once for each certificate of a path below the anchor, the leaf first, after all else about the path is in order. */
export interface RevocationCheck {
  check(question: StatusQuestion): RevocationVerdict
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

/** What is known about the status of certificates, and where more can be learnt. */
export interface RevocationSources {
  /** All CRLs at hand, loaded or fetched. */
  readonly crls: readonly Crl[]
  /** OCSP responses at hand that may be about this certificate. */
  responsesFor(certificate: Certificate, issuer: Certificate): readonly OcspResponse[]
  /** Further places of the operator for certificates of this CA. */
  crlUris(issuer: Certificate): readonly string[]
  ocspUris(issuer: Certificate): readonly string[]
  /** Certificates that the operator trusts to sign OCSP responses. */
  readonly ocspSigners: readonly Certificate[]
  /** `charon.plugins.revocation.enable_crl` and `enable_ocsp`. */
  readonly useCrls: boolean
  readonly useOcsp: boolean
}

/** Something to fetch: a CRL, or the answer to an OCSP request that is to be posted. */
export interface Fetch {
  readonly uri: string
  /** The OCSP request. */
  readonly body?: Uint8Array
}

/** What became of it: the octets, or why there are none. */
export type Fetched = Uint8Array | Error

/** What a check needs: it asks for what has to be fetched, and tells what was good enough to be kept. */
export interface CheckOptions {
  readonly policy: RevocationPolicy
  /** A fresh nonce for each OCSP request. */
  nonce(): Uint8Array
  keepCrl(crl: Crl): void
  keepResponse(response: OcspResponse, certificate: Certificate, issuer: Certificate): void
}

/**
 * Finds out the status of one certificate, and what the policy makes of it. `checking` has the fingerprints of signers whose own
 * status is being looked for: a CRL may be signed by a key that the same CRL is to tell of.
 */
export function* checkRevocation(
  question: StatusQuestion,
  sources: RevocationSources,
  options: CheckOptions,
  checking: ReadonlySet<string> = new Set(),
): Generator<Fetch, RevocationVerdict, Fetched> {
  const { certificate, issuers } = question
  const log = [`checking certificate status of "${certificate.subjectText}"`]
  const ocspUris = ocspUrisOf(question, sources)
  const crlUris = unique([...sources.crlUris(issuers[0]), ...certificate.crlUris.filter(isRemote)])
  const accepted = (): RevocationVerdict => ({ kind: 'accepted', log: [...log, 'certificate status is good'] })
  if (sources.useOcsp) {
    const status = yield* byOcsp(question, sources, options, log)
    if (status.kind === 'revoked') return revoked(certificate, status, log)
    if (status.kind === 'good') return accepted()
    if (status.kind === 'stale') log.push('ocsp information stale, fallback to crl')
    else if (ocspUris.length > 0) log.push('ocsp check failed, fallback to crl')
  }
  let stale = false
  if (sources.useCrls) {
    const status = yield* byCrl(question, sources, options, crlUris, log, checking)
    if (status.kind === 'revoked') return revoked(certificate, status, log)
    if (status.kind === 'good') return accepted()
    stale = status.kind === 'stale'
  }
  log.push(stale ? 'certificate status is unknown, crl is stale' : 'certificate status is not available')
  const demanded = options.policy === 'strict' || (options.policy === 'ifuri' && crlUris.length + ocspUris.length > 0)
  if (!demanded) return { kind: 'accepted', log }
  const why = stale ? 'the CRL is stale' : 'neither an OCSP response nor a CRL tells it'
  const [found, least] = [stale ? 'STALE' : 'FAILED', options.policy === 'strict' ? 'GOOD' : 'SKIPPED']
  const message = `constraint check failed: RULE_CRL_VALIDATION is ${found}, but requires at least ${least} (the status of "${certificate.subjectText}" is unknown, revocation = ${options.policy}: ${why})`
  return { kind: 'unknown', message, log }
}

function revoked(
  { subjectText }: Certificate,
  { time, reason }: { time: number; reason: number },
  log: readonly string[],
): RevocationVerdict {
  const line = `certificate was revoked on ${charonTimeText(time)}, reason: ${reasonText(reason)}`
  return { kind: 'revoked', message: `"${subjectText}": ${line}`, log: [...log, line] }
}

/** What an OCSP response says, and the response. */
export type OcspFinding = CertificateStatus & { readonly response?: OcspResponse }

/** The status of a certificate by OCSP alone. Appends charon's lines to `log`. */
export function* byOcsp(
  question: StatusQuestion,
  sources: RevocationSources,
  options: CheckOptions,
  log: string[],
): Generator<Fetch, OcspFinding, Fetched> {
  const { certificate, issuers } = question
  const [issuer] = issuers
  const { ocspSigners: signers } = sources
  for (const known of sources.responsesFor(certificate, issuer)) {
    const story: string[] = []
    const status = ocspStatus(question, known, { signers }, story)
    if (status.kind !== 'good' && status.kind !== 'revoked') continue
    log.push('  using cached ocsp response', ...story)
    return { ...status, response: known }
  }
  let best: CertificateStatus = { kind: 'unknown' }
  for (const uri of ocspUrisOf(question, sources).slice(0, MAX_URIS)) {
    log.push(`  requesting ocsp status from '${uri}' ...`)
    const nonce = options.nonce()
    const fetched = yield { uri, body: encodeOcspRequest(certIdOf(certificate, issuer), nonce) }
    const response = read(fetched, parseOcspResponse)
    if (response instanceof Error) {
      log.push(response.message, `ocsp request to ${uri} failed`)
      continue
    }
    const status = ocspStatus(question, response, { signers, nonce }, log)
    if (status.kind === 'good' || status.kind === 'revoked') {
      options.keepResponse(response, certificate, issuer)
      return { ...status, response }
    }
    if (status.kind === 'stale') best = status
  }
  return best
}

function* byCrl(
  question: StatusQuestion,
  sources: RevocationSources,
  options: CheckOptions,
  uris: readonly string[],
  log: string[],
  checking: ReadonlySet<string>,
): Generator<Fetch, CertificateStatus, Fetched> {
  const own = sources.crlUris(question.issuers[0])
  const mayCheck = signerCheck(question, sources, checking)
  const evaluate = (crls: readonly Crl[], story: string[]): CertificateStatus =>
    crlStatus(question, crls, own, mayCheck, story)
  const story: string[] = []
  let crls = sources.crls
  let best = evaluate(crls, story)
  if (best.kind !== 'unknown') log.push('  using cached crl', ...story)
  if (best.kind === 'good' || best.kind === 'revoked') return best
  const wanted = [...uris.slice(0, MAX_URIS)]
  for (let uri = wanted.shift(); uri !== undefined; uri = wanted.shift()) {
    log.push(`  fetching crl from '${uri}' ...`)
    const crl = read(yield { uri }, parseCrl)
    if (crl instanceof Error) {
      log.push(crl.message, 'crl fetching failed')
      continue
    }
    crls = [...crls, crl]
    const status = evaluate(crls, log)
    if (status.kind === 'unknown') continue
    options.keepCrl(crl)
    best = status
    if (status.kind === 'good' || status.kind === 'revoked') break
    // a stale list can be continued by its deltas
    for (const delta of crl.freshestUris) if (!wanted.includes(delta) && wanted.length < MAX_URIS) wanted.push(delta)
  }
  return best
}

/** A signer off the path must have a valid path to the same anchor, and not be known to be revoked. */
function signerCheck(
  { issuers, others, now }: StatusQuestion,
  sources: RevocationSources,
  checking: ReadonlySet<string>,
): SignerCheck {
  const anchor = issuers.at(-1) ?? issuers[0]
  let left = MAX_SIGNER_PATHS
  return (signer) => {
    if (left-- <= 0) return false
    const known = { ...sources, crlUris: () => [], ocspUris: () => [] }
    const result = validate({
      leaf: signer,
      intermediates: others,
      anchors: [anchor],
      trustedLeaves: [],
      now,
      budget: { signatures: DEFAULT_BUDGET.signatures / 4 },
      ...(!checking.has(signer.fingerprint) && {
        revocation: offline(known, 'relaxed', new Set([...checking, signer.fingerprint])),
      }),
    })
    return result.ok
  }
}

/** A check that fetches nothing: what is at hand decides. */
export function offline(
  sources: RevocationSources,
  policy: RevocationPolicy,
  checking: ReadonlySet<string> = new Set(),
): RevocationCheck {
  return {
    check(question) {
      const nothing = (): void => undefined
      const options = { policy, nonce: () => new Uint8Array(1), keepCrl: nothing, keepResponse: nothing }
      const steps = checkRevocation(question, sources, options, checking)
      let step = steps.next()
      while (step.done !== true) step = steps.next(new Error(`${step.value.uri}: nothing is fetched here`))
      return step.value
    },
  }
}

/** Nothing known, nowhere to ask. */
export const NO_SOURCES: RevocationSources = {
  crls: [],
  responsesFor: () => [],
  crlUris: () => [],
  ocspUris: () => [],
  ocspSigners: [],
  useCrls: true,
  useOcsp: true,
}

function read<T>(fetched: Fetched, parse: (bytes: Uint8Array) => T): T | Error {
  if (fetched instanceof Error) return fetched
  try {
    return parse(fetched)
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
}

/** A certificate has us read no file of this host; the operator may. */
const isRemote = (uri: string): boolean => !/^file:/i.test(uri)

const ocspUrisOf = ({ certificate, issuers }: StatusQuestion, sources: RevocationSources): string[] =>
  unique([...sources.ocspUris(issuers[0]), ...certificate.ocspUris.filter(isRemote)])

const unique = (uris: readonly string[]): string[] => [...new Set(uris)]

/** How many places are asked for one certificate. */
const MAX_URIS = 8
const MAX_SIGNER_PATHS = 4
