/** What the daemon may prove itself with and whom it trusts: one immutable value, replaced as a whole. */
import type { KeyObject } from 'node:crypto'
import type { SharedSecret } from '../config/connection.ts'
import type { Certificate } from '../pki/certificate.ts'

export interface PrivateKey {
  /** charon's key id: hex SHA-1 of the subjectPublicKey bit string. */
  readonly id: string
  readonly key: KeyObject
}

export interface Credentials {
  /** Trust anchors: `x509ca`, authorities, and every loaded certificate with the CA constraint. */
  readonly anchors: readonly Certificate[]
  /** Loaded end-entity certificates: our own and those trusted as they are. */
  readonly certificates: readonly Certificate[]
  readonly keys: readonly PrivateKey[]
  readonly secrets: readonly SharedSecret[]
}

export const noCredentials: Credentials = { anchors: [], certificates: [], keys: [], secrets: [] }
