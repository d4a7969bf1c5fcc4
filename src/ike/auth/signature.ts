/** Authentication by a signature, with X.509 certificates or keys that both sides know (RFC 7296 §2.15, RFC 7427, RFC 4754, RFC 8420). */
import type { AuthRound, SignatureConstraint } from '../../config/connection.ts'
import { authName, chooseScheme, encodeAuth, type SchemeOptions } from '../../crypto/signatures.ts'
import type { PeerConstraints, SchemeConstraint } from '../../pki/constraints.ts'
import { formatIdentity, type Identity } from '../../pki/identity.ts'
import { type KeyType, publicKeyFromInfo, publicKeyId } from '../../pki/keys.ts'
import { findKeyFor, type SigningCredential } from '../../pki/store.ts'
import { CERT_ENCODING, HASH_ALGORITHM } from '../../wire/numbers.ts'
import type { AUTHPayload, CERTPayload, CERTREQPayload } from '../../wire/payloads/index.ts'
import { LocalFailure } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { run, type Script } from '../script.ts'
import { authenticationFailed, certificateOf, type Proof, type Shown } from './auth.ts'
import { certificatePayload } from './hash-and-url.ts'
import { ownStatus, readOcspRequests, receivedResponses } from './ocsp.ts'

/** @throws LocalFailure when there is no key for our identity, or none that the peer can verify */
export function* proveSignature(
  sa: IkeSa,
  round: AuthRound | undefined,
  us: Identity,
  octets: Uint8Array,
): Script<Proof> {
  const { core, peer } = sa
  const credential = credentialFor(sa, round, us)
  if (credential === undefined) {
    throw new LocalFailure(
      `no private key found for '${formatIdentity(us)}': load a certificate with this identity as subject or altName, or name the public key in pubkeys, and load its key`,
    )
  }
  const options: SchemeOptions = {
    peerHashes: core.settings.signatureAuthentication ? peer.signatureHashes : undefined,
    rsaPss: core.settings.rsaPss,
    ...signingChoice(round?.signatures ?? []),
  }
  const scheme = chooseScheme(credential.key, options)
  if (scheme === undefined) {
    throw new LocalFailure(`no signature scheme is acceptable to both sides for the key of '${formatIdentity(us)}'`)
  }
  const signature = yield* run({ kind: 'sign', key: credential.key, scheme, data: octets })
  core.log('IKE', 1, `authentication of '${formatIdentity(us)}' (myself) with ${authName(scheme)} successful`, sa)
  const auth: AUTHPayload = { type: 'AUTH', method: scheme.method, data: encodeAuth(scheme, signature) }
  const send = sa.connection?.sendCert ?? 'ifasked'
  if (send === 'never' || (send === 'ifasked' && !sa.certificatesRequested)) return { certificates: [], auth }
  const certificates = credential.chain.map((certificate, i): CERTPayload => {
    core.log('IKE', 1, `sending ${i === 0 ? 'end entity' : 'issuer'} cert "${certificate.subjectText}"`, sa)
    return certificatePayload(sa, certificate)
  })
  return { certificates: [...certificates, ...(yield* ownStatus(sa, credential.chain))], auth }
}

/** What a connection names if it names anything, else what speaks for us. A raw public key is not sent: the peer has it. */
function credentialFor(
  sa: IkeSa,
  round: AuthRound | undefined,
  us: Identity,
): Pick<SigningCredential, 'key' | 'chain'> | undefined {
  const { credentials } = sa.core
  const configured = (round?.certificates ?? []).map(certificateOf)
  const raw = (round?.publicKeys ?? []).map(publicKeyFromInfo)
  if (configured.length > 0 || raw.length === 0) {
    const credential = findKeyFor(credentials, us, configured, sa.requestedCas)
    if (credential !== undefined) return credential
  }
  const key = raw.map((one) => credentials.privateKeys.get(publicKeyId(one))).find((found) => found !== undefined)
  return key && { key, chain: [] }
}

/** @throws Refusal AUTHENTICATION_FAILED, saying which step failed and for which certificate */
export function* verifySignature(
  sa: IkeSa,
  round: AuthRound | undefined,
  peer: Shown,
  octets: Uint8Array,
): Script<void> {
  const { core } = sa
  const { credentials, settings } = core
  const pinned = (round?.certificates ?? []).map(certificateOf)
  const pinnedKeys = (round?.publicKeys ?? []).map(publicKeyFromInfo)
  const authorities = (round?.caCertificates ?? []).map(certificateOf)
  const trusted = settings.rejectTrustedEndEntity ? [] : credentials.certificates
  if (round !== undefined && round.groups.length > 0) {
    throw authenticationFailed(
      `constraint check failed: group membership '${round.groups.join(', ')}' required, and nothing here can prove it: attribute certificates and RADIUS are not available`,
    )
  }
  const result = yield* run({
    kind: 'verify-peer',
    request: {
      identity: peer.id,
      certificates: peer.certificates
        .filter(({ encoding }) => encoding === CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE)
        .map(({ data }) => data),
      // Certificates that a connection names are trusted like loaded ones.
      anchors: [...credentials.anchors, ...authorities],
      trustedLeaves: [...pinned, ...trusted],
      rawKeys: [...pinnedKeys.map((key) => ({ key })), ...(credentials.publicKeys ?? [])],
      authMethod: peer.auth.method,
      authData: peer.auth.data,
      octets,
      now: core.now,
      ...(round && { revocation: round.revocation }),
      ...(credentials.status && { status: credentials.status }),
      ocspResponses: receivedResponses(sa, peer.certificates),
      ...(round?.certPolicies.length && {
        policy: { initialPolicies: new Set(round.certPolicies), explicitPolicy: true },
      }),
      constraints: {
        ...schemeConstraints(round?.signatures ?? [], settings.signatureConstraints),
        announcedHashes: signatureHashes,
        rdnMatching: settings.rdnMatching,
        ...(pinned.length > 0 && { certificates: pinned }),
        ...(pinnedKeys.length > 0 && { publicKeys: pinnedKeys }),
        ...(authorities.length > 0 && { authorities }),
        ...(round?.caId && { caId: round.caId }),
      },
    },
  })
  for (const line of result.received) core.log('IKE', 1, line, sa)
  for (const line of result.log) core.log('CFG', 1, line, sa)
  if (!result.ok) {
    for (const alert of result.alerts) core.alert(alert, sa)
    throw authenticationFailed(result.message)
  }
  core.log('IKE', 1, `authentication of '${formatIdentity(peer.id)}' with ${result.scheme} successful`, sa)
}

/** CERTREQ for every CA that may vouch for the peer (RFC 7296 §3.7): the SHA-1 hashes of their keys. */
export function certificateRequest(sa: IkeSa, rounds: readonly AuthRound[]): CERTREQPayload | undefined {
  const wanted = rounds.some((round) => round.class === 'pubkey' || round.class === 'any' || round.class === 'eap')
  const { anchors } = sa.core.credentials
  if (!wanted || anchors.length === 0) return undefined
  for (const anchor of anchors) sa.core.log('IKE', 1, `sending cert request for "${anchor.subjectText}"`, sa)
  return {
    type: 'CERTREQ',
    encoding: CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE,
    data: Buffer.concat(anchors.map(({ keyId }) => keyId)),
  }
}

/** Takes notice of the peer's CERTREQs. */
export function readCertificateRequests(sa: IkeSa, requests: readonly CERTREQPayload[]): void {
  readOcspRequests(sa, requests)
  const ids = requests
    .filter(({ encoding, data }) => encoding === CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE && data.length % 20 === 0)
    .flatMap(({ data }) => Array.from({ length: data.length / 20 }, (_, i) => data.slice(20 * i, 20 * i + 20)))
  let unknown = 0
  for (const id of ids) {
    const anchor = sa.core.credentials.anchors.find(({ keyId }) => Buffer.compare(keyId, id) === 0)
    if (anchor === undefined) unknown++
    else sa.core.log('IKE', 1, `received cert request for "${anchor.subjectText}"`, sa)
  }
  if (unknown > 0) sa.core.log('IKE', 1, `received ${unknown} cert requests for an unknown ca`, sa)
  if (requests.length > 0) sa.certificatesRequested = true
  sa.requestedCas = [...sa.requestedCas, ...ids]
}

/** The hash algorithms that we announce in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4). */
export const signatureHashes: readonly number[] = [
  HASH_ALGORITHM.SHA2_256,
  HASH_ALGORITHM.SHA2_384,
  HASH_ALGORITHM.SHA2_512,
  HASH_ALGORITHM.IDENTITY,
]

/**
 * The words of `auth` as constraints: all of them for the AUTH signature, those without `ike:` for the chain. Without
 * `signature_authentication_constraints` the schemes for the AUTH signature are those with `ike:` alone.
 */
function schemeConstraints(signatures: readonly SignatureConstraint[], all: boolean): PeerConstraints {
  const typed = signatures.flatMap(perKeyType)
  if (typed.length === 0) return {}
  const schemes = (list: typeof typed): SchemeConstraint[] =>
    list.flatMap(({ keyType, hashes, pss }) => hashes.map((hash) => ({ keyType, hash, ...(pss && { pss }) })))
  const chain = schemes(typed.filter(({ ikeOnly }) => !ikeOnly))
  const auth = schemes(typed.filter(({ ikeOnly }) => all || ikeOnly))
  return {
    keyTypes: [...new Set(typed.map(({ keyType }) => keyType))],
    minimumBits: Object.fromEntries(
      typed.flatMap(({ keyType, minimumBits }) => (minimumBits === undefined ? [] : [[keyType, minimumBits]])),
    ),
    ...(auth.length > 0 && { authSchemes: auth }),
    ...(chain.length > 0 && { chainSchemes: chain }),
  }
}

/** What `ike:` and plain signature words say about the scheme to sign with. */
function signingChoice(constraints: readonly SignatureConstraint[]): Pick<SchemeOptions, 'configured'> {
  const ours = constraints.some(({ ikeOnly }) => ikeOnly) ? constraints.filter(({ ikeOnly }) => ikeOnly) : constraints
  const configured = ours
    .flatMap(perKeyType)
    .flatMap(({ keyType, hashes, pss }) => hashes.map((hash) => ({ keyType, hash, ...(pss && { pss }) })))
  return configured.length > 0 ? { configured } : {}
}

/** A word with the kind of key that it is for. Hashes after `pubkey` are for each kind that has them; it alone says nothing. */
function perKeyType({ keyType, ...rest }: SignatureConstraint): readonly TypedConstraint[] {
  if (keyType === 'rsa/pss') return [{ ...rest, keyType: 'rsa', pss: true }]
  if (keyType !== 'any') return [{ ...rest, keyType, pss: false }]
  const identity = rest.hashes.filter((hash) => hash === HASH_ALGORITHM.IDENTITY)
  const others = rest.hashes.filter((hash) => hash !== HASH_ALGORITHM.IDENTITY)
  const of = (keyTypes: readonly KeyType[], hashes: readonly number[]): TypedConstraint[] =>
    hashes.length === 0 ? [] : keyTypes.map((type) => ({ ...rest, hashes, keyType: type, pss: false }))
  return [...of(['rsa', 'ecdsa'], others), ...of(['ed25519', 'ed448'], identity)]
}

interface TypedConstraint extends Omit<SignatureConstraint, 'keyType'> {
  readonly keyType: KeyType
  readonly pss: boolean
}
