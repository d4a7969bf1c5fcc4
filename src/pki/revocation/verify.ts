/** Whether a peer is who it says it is, with a look at the status of its certificates. */
import { type PeerAuthentication, type PeerVerdict, verifyPeer } from '../authenticate.ts'
import type { Certificate } from '../certificate.ts'
import { type StatusCache, sameAuthority } from './cache.ts'
import {
  byOcsp,
  type CheckOptions,
  checkRevocation,
  type Fetch,
  type Fetched,
  type RevocationPolicy,
  type RevocationSources,
  type RevocationVerdict,
} from './check.ts'
import type { Crl } from './crl.ts'
import type { OcspResponse } from './ocsp-response.ts'
import type { StatusQuestion } from './question.ts'

/** What the operator has loaded about the status of certificates. */
export interface LoadedStatus {
  readonly crls: readonly Crl[]
  readonly authorities: readonly StatusAuthority[]
  /** Certificates that are trusted to sign OCSP responses (the folder x509ocsp). */
  readonly ocspSigners: readonly Certificate[]
}

/** An authority and where the status of its certificates can be learnt. */
export interface StatusAuthority {
  readonly certificate: Certificate
  readonly crlUris: readonly string[]
  readonly ocspUris: readonly string[]
}

export const NOTHING_LOADED: LoadedStatus = { crls: [], authorities: [], ocspSigners: [] }

/** How the status of certificates is found out. */
export interface StatusOptions {
  readonly useCrls: boolean
  readonly useOcsp: boolean
  /** What was fetched before, and where to keep what is fetched now. */
  readonly cache: StatusCache
  nonce(): Uint8Array
  /** A CRL was fetched, and is newer than what was known. */
  onCrl?(crl: Crl): void
}

/**
 * Decides as `verifyPeer` does. What has to be fetched is yielded, and only for a peer that has proven to hold its key and whose
 * certificates are in order in all else: nobody else makes us fetch anything.
 */
export function* verifyPeerWithStatus(
  peer: PeerAuthentication,
  options: StatusOptions,
): Generator<Fetch, PeerVerdict, Fetched> {
  const verdicts = new Map<string, RevocationVerdict>()
  const keyOf = ({ certificate, issuers }: StatusQuestion): string =>
    `${certificate.fingerprint} ${issuers[0].fingerprint}`
  for (let round = 0; ; round++) {
    const asked: StatusQuestion[] = []
    const verdict = verifyPeer(peer, {
      check(question) {
        const known = verdicts.get(keyOf(question))
        if (known !== undefined) return known
        if (round >= MAX_ROUNDS) return { kind: 'unknown', message: 'too many paths lead to a trusted CA', log: [] }
        asked.push(question)
        return { kind: 'accepted', log: [] }
      },
    })
    if (!verdict.ok || asked.length === 0) return verdict
    for (const question of asked) {
      const found = yield* statusOf(question, peer, options)
      verdicts.set(keyOf(question), found)
      if (found.kind !== 'accepted') break // the path is lost, whatever the rest of it is
    }
  }
}

/** The status of one certificate, by all that is known and can be fetched. */
function statusOf(
  question: StatusQuestion,
  peer: PeerAuthentication,
  options: StatusOptions,
): Generator<Fetch, RevocationVerdict, Fetched> {
  const sources = sourcesOf(peer.status ?? NOTHING_LOADED, options, peer.ocspResponses ?? [])
  return checkRevocation(question, sources, checkOptions(peer.revocation ?? 'relaxed', options))
}

/** A certificate of ours, and the CAs above it. */
export interface OwnStatusRequest {
  readonly certificate: Certificate
  readonly issuers: readonly [Certificate, ...Certificate[]]
  readonly status?: LoadedStatus
}

/** The DER of an OCSP response that says that our certificate is good, if there is one, and charon's lines. */
export interface OwnStatus {
  readonly response?: Uint8Array
  readonly log: readonly string[]
}

/** Finds an OCSP response about a certificate of ours, for a peer that asks for it (RFC 4806). */
export function* findOwnStatus(
  { certificate, issuers, status }: OwnStatusRequest,
  now: number,
  options: StatusOptions,
): Generator<Fetch, OwnStatus, Fetched> {
  const log = [`checking OCSP status of "${certificate.subjectText}"`]
  const sources = sourcesOf(status ?? NOTHING_LOADED, options, [])
  const found = yield* byOcsp({ certificate, issuers, others: [], now }, sources, checkOptions('relaxed', options), log)
  if (found.kind !== 'good' || found.response === undefined) return { log }
  return { response: found.response.der, log: [...log, 'certificate status is good'] }
}

function checkOptions(policy: RevocationPolicy, { cache, nonce, onCrl }: StatusOptions): CheckOptions {
  return {
    policy,
    nonce,
    keepCrl: (crl) => {
      if (cache.addCrl(crl)) onCrl?.(crl)
    },
    keepResponse: (response, certificate, issuer) => cache.addResponse(response, certificate, issuer),
  }
}

/** All that is known, in the form that a check wants. `received` are OCSP responses that the peer has sent (RFC 4806). */
export function sourcesOf(
  loaded: LoadedStatus,
  { cache, useCrls, useOcsp }: Pick<StatusOptions, 'cache' | 'useCrls' | 'useOcsp'>,
  received: readonly OcspResponse[],
): RevocationSources {
  const of = (issuer: Certificate): StatusAuthority[] =>
    loaded.authorities.filter(({ certificate }) => sameAuthority(certificate, issuer))
  return {
    crls: [...loaded.crls, ...cache.crls],
    responsesFor: (certificate, issuer) => {
      const cached = cache.responseFor(certificate, issuer)
      return cached === undefined ? received : [cached, ...received]
    },
    crlUris: (issuer) => of(issuer).flatMap(({ crlUris }) => crlUris),
    ocspUris: (issuer) => of(issuer).flatMap(({ ocspUris }) => ocspUris),
    ocspSigners: loaded.ocspSigners,
    useCrls,
    useOcsp,
  }
}

/** Each round may find another path. */
const MAX_ROUNDS = 4
