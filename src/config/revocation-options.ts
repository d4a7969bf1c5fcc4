/** The options of strongswan.conf about the status of certificates. */
import { type Draft, type OptionTable, parseInteger, rows } from './option-table.ts'

/** How the status of certificates is found out. */
export interface RevocationSettings {
  readonly useCrls: boolean
  readonly useOcsp: boolean
  readonly timeoutSeconds: number
  /** What was fetched is remembered. */
  readonly cache: boolean
  /** CRLs that were fetched are written to x509crl. */
  readonly writeCrls: boolean
  /** Octets, 1 to 32. */
  readonly ocspNonceLength: number
}

export const defaultRevocationSettings: RevocationSettings = {
  useCrls: true,
  useOcsp: true,
  timeoutSeconds: 10,
  cache: true,
  writeCrls: false,
  ocspNonceLength: 32,
}

type RevocationDraft = Draft<RevocationSettings>

const { bool, seconds } = rows<RevocationDraft>()

export const revocationOptions: OptionTable<RevocationDraft> = {
  'plugins.revocation.enable_crl': bool('useCrls', 'yes'),
  'plugins.revocation.enable_ocsp': bool('useOcsp', 'yes'),
  'plugins.revocation.timeout': seconds('timeoutSeconds', '10s'),
  cert_cache: bool('cache', 'yes'),
  cache_crls: bool('writeCrls', 'no'),
  ocsp_nonce_len: {
    default: '32',
    read: (draft, value) => {
      draft.ocspNonceLength = Math.min(32, Math.max(1, parseInteger(value)))
    },
  },
}
