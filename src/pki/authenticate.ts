import type { KeyObject } from 'node:crypto'
import { AuthDecodeError, authName, decodeAuth, type SignatureScheme, verify } from '../crypto/signatures.ts'
import { DecodeError } from '../wire/errors.ts'
import { type Certificate, isCa, parseCertificate, sameCertificate } from './certificate.ts'
import { checkChain, checkScheme, type PeerConstraints } from './constraints.ts'
import { DerReader } from './der.ts'
import { equalIdentity, formatIdentity, type Identity } from './identity.ts'
import { DEFAULT_BUDGET, type PathFailure, validate } from './path.ts'
import type { PolicyInputs } from './policy.ts'
import { NO_SOURCES, offline, type RevocationCheck, type RevocationPolicy } from './revocation/check.ts'
import type { OcspResponse } from './revocation/ocsp-response.ts'
import type { LoadedStatus } from './revocation/verify.ts'
import { readSignatureAlgorithm } from './signature-algorithm.ts'
import { identitiesOf, identityInCertificate, type RawKey } from './store.ts'

/** Everything about a peer that says who it is and signs for it. */
export interface PeerAuthentication {
  /** The peer's IDi or IDr. */
  readonly identity: Identity
  /** The DER in the CERT payloads as they came. */
  readonly certificates: readonly Uint8Array[]
  readonly anchors: readonly Certificate[]
  /** End entities that are trusted without a path. */
  readonly trustedLeaves: readonly Certificate[]
  /** Public keys that are trusted as such, for one identity or for all that the connection accepts. */
  readonly rawKeys?: readonly RawKey[]
  /** The AUTH payload: its method and its data. */
  readonly authMethod: number
  readonly authData: Uint8Array
  /** What the signature is over, RFC 7296 §2.15. */
  readonly octets: Uint8Array
  /** Milliseconds since 1970. */
  readonly now: number
  readonly constraints?: PeerConstraints
  readonly policy?: PolicyInputs
  /** What an unknown revocation status means; `relaxed` by default. */
  readonly revocation?: RevocationPolicy
  /** What was loaded about the status of certificates. */
  readonly status?: LoadedStatus
  /** OCSP responses that the peer has sent (RFC 4806). */
  readonly ocspResponses?: readonly OcspResponse[]
}

/** Whether the peer is who it says it is. */
export type PeerVerdict = PeerVerified | PeerRejected

export interface PeerVerified {
  readonly ok: true
  /** The signature scheme by charon's name, for `authentication of 'x' with … successful`. */
  readonly scheme: string
  /** The peer's certificate first, the anchor last; empty if a raw key was used. */
  readonly path: readonly Certificate[]
  /** The key that made the signature. */
  readonly publicKey: KeyObject
  /** charon's `received end entity cert "…"` and `received issuer cert "…"`, group IKE. */
  readonly received: readonly string[]
  /** charon's lines about the path, group CFG. */
  readonly log: readonly string[]
}

export interface PeerRejected {
  readonly ok: false
  /** One sentence for the log, group IKE, that says what differed. */
  readonly message: string
  /** Which charon alerts to raise, the last of them always `peer-auth-failed`. */
  readonly alerts: readonly PeerAlert[]
  readonly received: readonly string[]
  readonly log: readonly string[]
}

/** charon's alerts that a refused peer raises. */
export type PeerAlert =
  | 'peer-auth-failed'
  | 'cert-expired'
  | 'cert-revoked'
  | 'cert-validation-failed'
  | 'cert-no-issuer'
  | 'cert-untrusted-root'
  | 'cert-exceeded-path-len'
  | 'cert-policy-violation'

/**
 * Decides whether the peer is who it says it is: a trusted certificate or raw key speaks for its identity, satisfies the
 * constraints of the connection, and made the signature. Without `revocation`, nothing is known of the status of
 * certificates. Synchronous and without side effects; never throws for what the
 * peer sent.
 */
export function verifyPeer(
  peer: PeerAuthentication,
  revocation: RevocationCheck = offline(NO_SOURCES, peer.revocation ?? 'relaxed'),
): PeerVerdict {
  const { parsed, received, log } = parseAll(peer.certificates)
  const faults: PeerFault[] = []
  const work = { signaturesLeft: DEFAULT_BUDGET.signatures }
  for (const candidate of candidatesFor(peer, parsed)) {
    const outcome = tryCandidate({ peer, received: parsed, log, work, revocation }, candidate)
    if ('scheme' in outcome) return { ok: true, ...outcome, received, log }
    faults.push(outcome)
  }
  // what went wrong with the first candidate says most: it is the one the peer means
  const fault = faults[0] ?? { message: nobodySpeaks(peer, parsed), alerts: [] }
  return { ok: false, message: fault.message, alerts: [...fault.alerts, 'peer-auth-failed'], received, log }
}

interface Candidate {
  readonly key: KeyObject
  readonly certificate?: Certificate
}

interface PeerFault {
  readonly message: string
  readonly alerts: readonly PeerAlert[]
}

/** What all candidates share. */
interface Attempt {
  readonly peer: PeerAuthentication
  /** The certificates that came with the AUTH payload. */
  readonly received: readonly Certificate[]
  readonly log: string[]
  /** A peer may send many certificates for one name. */
  readonly work: { signaturesLeft: number }
  readonly revocation: RevocationCheck
}

type Success = Pick<PeerVerified, 'scheme' | 'path' | 'publicKey'>

function tryCandidate(attempt: Attempt, { key, certificate }: Candidate): Success | PeerFault {
  const { peer } = attempt
  const decoded = decodeSignature(peer, key)
  if ('message' in decoded) return decoded
  const { scheme, signature } = decoded
  const schemeFault = checkScheme(scheme, peer.constraints ?? {})
  if (schemeFault !== undefined) return { message: schemeFault, alerts: [] }
  const chain = certificate === undefined ? { path: [] } : findPath(attempt, certificate)
  if ('message' in chain) return chain
  const chainFault = checkChain(chain.path, key, peer.constraints ?? {})
  if (chainFault !== undefined) return { message: chainFault, alerts: ['cert-policy-violation'] }
  if (!verify(key, scheme, peer.octets, signature)) {
    const whose = certificate === undefined ? 'the raw public key' : `certificate "${certificate.subjectText}"`
    const message = `signature validation failed: the ${scheme.name} signature of '${formatIdentity(peer.identity)}' was not made with the key of ${whose} or not over what we received`
    return { message, alerts: [] }
  }
  return { scheme: authName(scheme), path: chain.path, publicKey: key }
}

function findPath(
  { peer, received, log, work, revocation }: Attempt,
  leaf: Certificate,
): { path: readonly Certificate[] } | PeerFault {
  const { anchors, trustedLeaves, now, policy } = peer
  const result = validate({
    leaf,
    intermediates: received.filter((certificate) => !sameCertificate(certificate, leaf)),
    anchors,
    trustedLeaves,
    now,
    budget: { signatures: work.signaturesLeft },
    ...(policy !== undefined && { policy }),
    revocation,
  })
  work.signaturesLeft -= result.signatures
  log.push(...result.log)
  if (!result.ok) {
    const message = `${nothingTrusted(leaf.keyType, peer)}: ${result.message}`
    return { message, alerts: [ALERTS[result.reason]] }
  }
  const { keyUsage } = leaf
  // RFC 4945 §5.1.3.2
  if (keyUsage !== undefined && !keyUsage.has('digitalSignature') && !keyUsage.has('nonRepudiation')) {
    const reason = `the key usage of certificate "${leaf.subjectText}" includes neither digitalSignature nor nonRepudiation`
    return { message: `${nothingTrusted(leaf.keyType, peer)}: ${reason}`, alerts: ['cert-validation-failed'] }
  }
  return { path: result.path }
}

/** Raw keys for the identity, then certificates that speak for it: those received, then those we have. */
function candidatesFor(peer: PeerAuthentication, received: readonly Certificate[]): Candidate[] {
  const raw = (peer.rawKeys ?? []).filter(
    ({ identity }) => identity === undefined || equalIdentity(identity, peer.identity),
  )
  const speaking = [...received, ...peer.trustedLeaves].filter((each) => identityInCertificate(each, peer.identity))
  const different = speaking.filter((each, i) => speaking.findIndex((earlier) => sameCertificate(earlier, each)) === i)
  const keys: Candidate[] = raw.slice(0, MAX_CANDIDATES).map(({ key }) => ({ key }))
  return [
    ...keys,
    ...different.slice(0, MAX_CANDIDATES).map((certificate) => ({ key: certificate.publicKey, certificate })),
  ]
}

function decodeSignature(
  peer: PeerAuthentication,
  key: KeyObject,
): { scheme: SignatureScheme; signature: Uint8Array } | PeerFault {
  try {
    return decodeAuth(peer.authMethod, peer.authData, key)
  } catch (error) {
    if (!(error instanceof AuthDecodeError || error instanceof DecodeError)) throw error
    return { message: `${nothingTrusted(signatureKeyType(peer), peer)}: ${error.message}`, alerts: [] }
  }
}

function parseAll(certificates: readonly Uint8Array[]): { parsed: Certificate[]; received: string[]; log: string[] } {
  const parsed: Certificate[] = []
  const received: string[] = []
  const log: string[] = []
  for (const [i, der] of certificates.entries()) {
    if (i >= MAX_CERTIFICATES) {
      log.push(`ignoring ${certificates.length - i} certificates, ${MAX_CERTIFICATES} are enough`)
      break
    }
    try {
      const certificate = parseCertificate(der)
      parsed.push(certificate)
      received.push(`received ${isCa(certificate) ? 'issuer' : 'end entity'} cert "${certificate.subjectText}"`)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      log.push(`parsing X509 certificate failed: ${error.message}`)
    }
  }
  return { parsed, received, log }
}

function nobodySpeaks(peer: PeerAuthentication, received: readonly Certificate[]): string {
  const start = nothingTrusted(signatureKeyType(peer), peer)
  const [first] = received
  if (first === undefined) return `${start}: the peer sent no certificate that can be read and we have none for it`
  const names = identitiesOf(received.find((certificate) => !isCa(certificate)) ?? first)
  const list = names.slice(0, MAX_NAMES_TOLD).map((name) => `'${formatIdentity(name)}'`)
  return `${start}: the certificate it sent is for ${list.length === 0 ? 'nobody' : list.join(', ')}`
}

/** charon's words; the reason follows behind a colon. */
function nothingTrusted(keyType: string, { identity }: PeerAuthentication): string {
  return `no trusted ${keyType.toUpperCase()} public key found for '${formatIdentity(identity)}'`
}

/** The kind of key that the AUTH payload says it was made with, as far as it can be told. */
function signatureKeyType({ authMethod, authData }: PeerAuthentication): string {
  if (authMethod === 1) return 'rsa'
  if (authMethod >= 9 && authMethod <= 11) return 'ecdsa'
  try {
    const identifier = authData.subarray(1, 1 + (authData[0] ?? 0))
    return readSignatureAlgorithm(DerReader.over(identifier, 'AUTH'), 'AlgorithmIdentifier').keyType ?? 'any'
  } catch (error) {
    if (error instanceof DecodeError) return 'any'
    throw error
  }
}

const ALERTS: Readonly<Record<PathFailure, PeerAlert>> = {
  expired: 'cert-expired',
  'not-yet-valid': 'cert-expired',
  'no-issuer': 'cert-no-issuer',
  'untrusted-root': 'cert-untrusted-root',
  'path-length': 'cert-exceeded-path-len',
  'not-a-ca': 'cert-validation-failed',
  'key-usage': 'cert-validation-failed',
  'bad-signature': 'cert-validation-failed',
  'unknown-critical': 'cert-validation-failed',
  'name-constraints': 'cert-policy-violation',
  policy: 'cert-policy-violation',
  revoked: 'cert-revoked',
  'revocation-unknown': 'cert-validation-failed',
  budget: 'cert-validation-failed',
}

const MAX_CERTIFICATES = 32
const MAX_CANDIDATES = 4
const MAX_NAMES_TOLD = 5
