/**
 * A connection as configured: the immutable values that `load-conn` (swanctl.conf's `connections` section) becomes.
 * Times are whole seconds as charon has them, 0 is "off". Names follow the keys of swanctl.conf in camelCase.
 */

import type { Identity, IdentityPattern } from '../pki/identity.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'

/** One algorithm choice: transform type and id of IANA's tables, with the Key Length attribute where it has one. */
export interface ProposedTransform {
  readonly type: number
  readonly id: number
  readonly keyBits?: number
}

/** A proposal in the order of preference in which it was written; numbers and SPIs come when it is sent. */
export interface ConfiguredProposal {
  readonly protocol: 'IKE' | 'ESP' | 'AH'
  readonly transforms: readonly ProposedTransform[]
}

/** An address to match or to use: `%any` is kind any; host names stay text and are resolved by the adapter. */
export type AddressPattern =
  | { readonly kind: 'any'; readonly family?: 4 | 6 }
  | { readonly kind: 'host'; readonly address: string }
  | { readonly kind: 'range'; readonly from: string; readonly to: string }
  | { readonly kind: 'name'; readonly name: string }

/** `dynamic` becomes the IKE endpoint's address or the virtual IP when the SA is negotiated. */
export type ConfiguredSelector =
  | { readonly kind: 'dynamic'; readonly protocol: number; readonly startPort: number; readonly endPort: number }
  | { readonly kind: 'fixed'; readonly selector: AddressSelector }

/** A signature constraint or choice: key type with the hashes allowed for it (IKEv2 hash ids; empty is any). */
export interface SignatureConstraint {
  readonly keyType: 'rsa' | 'rsa/pss' | 'ecdsa' | 'ed25519' | 'ed448' | 'any'
  readonly minimumBits?: number
  readonly hashes: readonly number[]
  /** `ike:` prefix: the constraint is for the AUTH signature only, not for the certificates. */
  readonly ikeOnly: boolean
}

export type AuthClass = 'any' | 'pubkey' | 'psk' | 'eap'

/** One authentication round, local or remote. */
export interface AuthRound {
  readonly name: string
  readonly class: AuthClass
  /** Nobody has said `any`: listings leave it out. */
  readonly anyByDefault?: true
  /** Local: who we say we are (undefined: first certificate's subject, else our address). Remote: who is accepted. */
  readonly id: IdentityPattern | undefined
  readonly signatures: readonly SignatureConstraint[]
  /** DER. Local: candidates to send; remote: the only end-entity certificates accepted. */
  readonly certificates: readonly Uint8Array[]
  /** DER. Remote: the only CAs accepted; local: which of our certificates to choose. */
  readonly caCertificates: readonly Uint8Array[]
  /** SubjectPublicKeyInfo DER of raw public keys. */
  readonly publicKeys: readonly Uint8Array[]
  readonly caId?: Identity
  readonly groups: readonly string[]
  readonly certPolicies: readonly string[]
  readonly revocation: 'relaxed' | 'ifuri' | 'strict'
  readonly eapMethod?: string
  readonly eapId?: Identity
  readonly aaaId?: Identity
}

/** charon's three actions; `trap|start` sets both. */
export interface Action {
  readonly trap: boolean
  readonly start: boolean
}

/** Soft and hard limits with their jitter; 0 is off. */
export interface Lifetime<N> {
  readonly rekey: N
  readonly life: N
  readonly rand: N
}

export type UniqueValue = number | '%unique' | '%unique-dir'

export interface ConfiguredMark {
  readonly value: UniqueValue | '%same'
  readonly mask: number
}

export interface ChildConfig {
  readonly name: string
  readonly mode: 'tunnel' | 'transport' | 'pass' | 'drop'
  readonly espProposals: readonly ConfiguredProposal[]
  readonly ahProposals: readonly ConfiguredProposal[]
  readonly localTs: readonly ConfiguredSelector[]
  readonly remoteTs: readonly ConfiguredSelector[]
  readonly startAction: Action
  readonly dpdAction: Action
  readonly closeAction: Action
  readonly lifetimeSeconds: Lifetime<number>
  readonly lifetimeBytes: Lifetime<bigint>
  readonly lifetimePackets: Lifetime<bigint>
  readonly inactivitySeconds: number
  /** 0: chosen by the daemon. */
  readonly reqid: number
  readonly policies: boolean
  readonly policiesFwdOut: boolean
  /** 0: computed as charon computes it. */
  readonly priority: number
  readonly interface?: string
  readonly updown?: string
  readonly hostaccess: boolean
  readonly ipcomp: boolean
  readonly markIn?: ConfiguredMark
  readonly markOut?: ConfiguredMark
  readonly markInSa: boolean
  readonly setMarkIn?: ConfiguredMark
  readonly setMarkOut?: ConfiguredMark
  readonly ifIdIn?: UniqueValue
  readonly ifIdOut?: UniqueValue
  /** Octets, or `mtu`. */
  readonly tfcPadding: number | 'mtu'
  /** undefined: strongswan.conf's charon.replay_window. */
  readonly replayWindow?: number
  readonly hwOffload: 'no' | 'crypto' | 'packet' | 'auto'
  readonly copyDf: boolean
  readonly copyEcn: boolean
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes'
  readonly icmp: boolean
  readonly sha256_96: boolean
  /** As responder: a Child SA for each pair of addresses. */
  readonly singlePair: boolean
  /** Both sides must have the same one (RFC 9478). */
  readonly label?: string
  readonly labelMode: 'system' | 'simple'
}

export interface Connection {
  readonly name: string
  readonly version: 0 | 1 | 2
  readonly localAddresses: readonly AddressPattern[]
  readonly remoteAddresses: readonly AddressPattern[]
  /** As given, for list-conns. */
  readonly localAddressTexts: readonly string[]
  readonly remoteAddressTexts: readonly string[]
  readonly localPort: number
  readonly remotePort: number
  readonly proposals: readonly ConfiguredProposal[]
  readonly vips: readonly string[]
  readonly dscp: number
  /** Force UDP encapsulation by faking NAT detection. */
  readonly encap: boolean
  readonly mobike: boolean
  readonly dpdDelaySeconds: number
  readonly dpdTimeoutSeconds: number
  readonly fragmentation: 'yes' | 'accept' | 'no' | 'force'
  readonly childless: 'allow' | 'prefer' | 'force' | 'never'
  readonly sendCertreq: boolean
  readonly sendCert: 'ifasked' | 'always' | 'never'
  readonly ocsp: 'reply' | 'request' | 'both' | 'never'
  readonly ppkId?: Identity
  readonly ppkRequired: boolean
  /** 0: for ever. */
  readonly keyingTries: number
  readonly unique: 'no' | 'never' | 'keep' | 'replace'
  readonly reauthSeconds: number
  readonly rekeySeconds: number
  readonly overSeconds: number
  readonly randSeconds: number
  readonly pools: readonly string[]
  readonly ifIdIn?: UniqueValue
  readonly ifIdOut?: UniqueValue
  readonly local: readonly AuthRound[]
  readonly remote: readonly AuthRound[]
  readonly children: readonly ChildConfig[]
}

/** A shared secret of load-shared; no owners means everybody (`%any`). */
export interface SharedSecret {
  /** The section's name in `secrets`; undefined for anonymous ones. */
  readonly id: string | undefined
  readonly type: 'ike' | 'eap' | 'ntlm' | 'ppk'
  readonly data: Uint8Array
  readonly owners: readonly IdentityPattern[]
}
