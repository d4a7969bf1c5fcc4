/** The keys of `local<suffix>` and `remote<suffix>` sections, and of the `cert` and `cacert` sections in them. */
import { certificatesFrom } from '../pki/certificate.ts'
import { type Identity, type IdentityPattern, parseIdentity, parseIdentityPattern } from '../pki/identity.ts'
import { loadPublicKey, publicKeyInfo } from '../pki/keys.ts'
import { type AuthValue, parseAuth } from './auth-value.ts'
import { ConfigError } from './config-error.ts'
import type { AuthRound } from './connection.ts'
import { field, ignored, items, type KeyTable, textOf } from './key-table.ts'
import { parseKeywordOf, parseUint32 } from './values.ts'

export interface RoundDraft {
  round?: number
  auth?: AuthValue
  id?: IdentityPattern
  eapId?: Identity
  aaaId?: Identity
  caId?: Identity
  readonly certificates: Uint8Array[]
  readonly caCertificates: Uint8Array[]
  readonly publicKeys: Uint8Array[]
  readonly groups: string[]
  readonly certPolicies: string[]
  revocation?: AuthRound['revocation']
}

export function newRoundDraft(): RoundDraft {
  return { certificates: [], caCertificates: [], publicKeys: [], groups: [], certPolicies: [] }
}

export const roundKeys: KeyTable<RoundDraft> = {
  round: field('round', parseUint32, { syntax: 'number', default: '0' }),
  auth: field('auth', parseAuth, { syntax: 'authentication', default: 'pubkey or psk, as the peer does' }),
  id: field('id', parseIdentityPattern, { syntax: 'identity', default: '%any' }),
  eap_id: field('eapId', parseIdentity, { syntax: 'identity', default: 'id' }),
  aaa_id: field('aaaId', parseIdentity, { syntax: 'identity', default: 'remote id', support: 'EAP' }),
  xauth_id: ignored(parseIdentity, { syntax: 'identity', default: 'id' }),
  ca_id: field('caId', parseIdentity, { syntax: 'identity', default: '' }),
  certs: items((draft, bytes) => void draft.certificates.push(...certificateDers(bytes)), {
    syntax: 'certificate',
    default: '',
  }),
  cacerts: items((draft, bytes) => void draft.caCertificates.push(...certificateDers(bytes)), {
    syntax: 'CA certificate',
    default: '',
  }),
  pubkeys: items((draft, bytes) => void draft.publicKeys.push(publicKeyInfo(loadPublicKey(bytes))), {
    syntax: 'public key',
    default: '',
  }),
  groups: items((draft, bytes) => void draft.groups.push(textOf(bytes)), {
    syntax: 'identity',
    default: '',
    support: 'refused',
    refused: 'without attribute certificates and RADIUS nobody is in a group, and whoever must be is not believed',
  }),
  cert_policy: items((draft, bytes) => void draft.certPolicies.push(parseOid(textOf(bytes))), {
    syntax: 'OID',
    default: '',
  }),
  revocation: field('revocation', parseKeywordOf(['relaxed', 'ifuri', 'strict']), {
    syntax: 'relaxed, ifuri, strict',
    default: 'relaxed',
  }),
}

export interface CertificateDraft {
  file?: string
  handle?: string
}

export const certificateKeys: KeyTable<CertificateDraft> = {
  file: field('file', (text) => text, { syntax: 'absolute path', default: '' }),
  handle: field('handle', (text) => text, {
    syntax: 'token handle',
    default: '',
    support: 'refused',
    refused: 'no tokens',
  }),
  slot: ignored(parseUint32, { syntax: 'number', default: '', support: 'refused', refused: 'no tokens' }),
  module: ignored((text) => text, { syntax: 'name', default: '', support: 'refused', refused: 'no tokens' }),
}

/** The certificate of a DER or PEM blob; of several in one text the first, as charon does. Throws DecodeError. */
export function certificateDers(bytes: Uint8Array): readonly Uint8Array[] {
  return certificatesFrom(bytes)
    .slice(0, 1)
    .map(({ der }) => der)
}

function parseOid(text: string): string {
  if (!/^[012](\.\d{1,30}){1,40}$/.test(text))
    throw new ConfigError(`'${text}' is no object identifier such as 2.5.29.32.0`)
  return text
}
