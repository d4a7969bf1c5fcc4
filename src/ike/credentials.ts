/** What the daemon may prove itself with and whom it trusts: one immutable value, replaced as a whole. */
import type { SharedSecret } from '../config/connection.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { LoadedStatus } from '../pki/revocation/verify.ts'
import { type CredentialStore, EMPTY_STORE } from '../pki/store.ts'

/** Certificates and private keys, and the shared secrets beside them. */
export interface Credentials extends CredentialStore {
  readonly secrets: readonly SharedSecret[]
  /** CRLs, and where the status of certificates can be learnt. */
  readonly status?: LoadedStatus
  /** Where certificates that these authorities have issued can be fetched: the base, and the SHA-1 of the DER in hex. */
  readonly certUriBases?: readonly { readonly authority: Certificate; readonly base: string }[]
}

export const noCredentials: Credentials = { ...EMPTY_STORE, secrets: [] }
