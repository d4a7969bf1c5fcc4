/** What the daemon may prove itself with and whom it trusts: one immutable value, replaced as a whole. */
import type { SharedSecret } from '../config/connection.ts'
import { type CredentialStore, EMPTY_STORE } from '../pki/store.ts'

/** Certificates and private keys, and the shared secrets beside them. */
export interface Credentials extends CredentialStore {
  readonly secrets: readonly SharedSecret[]
}

export const noCredentials: Credentials = { ...EMPTY_STORE, secrets: [] }
