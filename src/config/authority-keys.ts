/** The keys of `authorities.<name>`. */
import { type Certificate, certificatesFrom, isCa } from '../pki/certificate.ts'
import { ConfigError } from './config-error.ts'
import { field, ignored, items, type KeyTable, textOf } from './key-table.ts'

export interface AuthorityDraft {
  certificate?: Certificate
  file?: string
  certUriBase?: string
  readonly crlUris: string[]
  readonly ocspUris: string[]
}

export const authorityKeys: KeyTable<AuthorityDraft> = {
  cacert: {
    kind: 'value',
    syntax: 'CA certificate',
    default: '',
    support: 'yes',
    read: (draft, bytes) => {
      draft.certificate = caCertificate(bytes)
    },
  },
  file: field('file', (text) => text, { syntax: 'absolute path', default: '' }),
  handle: ignored(noToken, { syntax: 'token handle', default: '', support: 'refused', refused: 'no tokens' }),
  slot: ignored((text) => text, { syntax: 'number', default: '', support: 'refused', refused: 'no tokens' }),
  module: ignored((text) => text, { syntax: 'name', default: '', support: 'refused', refused: 'no tokens' }),
  cert_uri_base: field('certUriBase', (text) => text, { syntax: 'URI', default: '' }),
  crl_uris: items((draft, bytes) => void draft.crlUris.push(textOf(bytes)), {
    syntax: 'URI',
    default: '',
  }),
  ocsp_uris: items((draft, bytes) => void draft.ocspUris.push(textOf(bytes)), {
    syntax: 'URI',
    default: '',
  }),
}

function noToken(): never {
  throw new ConfigError('certificates on tokens are not supported; use file')
}

/** The CA certificate of a DER or PEM blob. @throws ConfigError for one that is no CA */
export function caCertificate(bytes: Uint8Array): Certificate {
  const [certificate] = certificatesFrom(bytes)
  if (certificate === undefined || !isCa(certificate)) {
    throw new ConfigError('certificate in authority section lacks CA basic constraint, rejected')
  }
  return certificate
}
