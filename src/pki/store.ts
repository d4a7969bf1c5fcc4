import type { KeyObject } from 'node:crypto'
import { textBytes } from './bytes.ts'
import { type Certificate, isCa, sameCertificate } from './certificate.ts'
import type { GeneralName } from './general-name.ts'
import { equalIdentity, ID, type Identity, identityFromName } from './identity.ts'
import { publicKeyId } from './keys.ts'

/** Certificates and keys that the engine works with. Immutable: every change gives a new store. */
export interface CredentialStore {
  /** Trusted CAs. */
  readonly anchors: readonly Certificate[]
  /** End entities that we were given: our own, and peers' that are trusted as such. */
  readonly certificates: readonly Certificate[]
  /** Private keys by `publicKeyId`. */
  readonly privateKeys: ReadonlyMap<string, KeyObject>
  /** Public keys that are trusted without a certificate, each for an identity. */
  readonly publicKeys?: readonly RawKey[]
}

/** A public key that is trusted without a certificate; without an identity, for whoever the connection accepts. */
export interface RawKey {
  readonly key: KeyObject
  readonly identity?: Identity
}

export const EMPTY_STORE: CredentialStore = { anchors: [], certificates: [], privateKeys: new Map() }

/** What is needed to sign as an identity. */
export interface SigningCredential {
  readonly key: KeyObject
  readonly keyId: string
  readonly certificate: Certificate
  /** The certificates to send: ours first, then the intermediate CAs above it that we know. */
  readonly chain: readonly Certificate[]
}

/** The store with one more certificate. One with the CA constraint becomes an anchor, others are end entities. */
export function withCertificate(store: CredentialStore, certificate: Certificate): CredentialStore {
  const list = isCa(certificate) ? store.anchors : store.certificates
  if (list.some((known) => sameCertificate(known, certificate))) return store
  return isCa(certificate)
    ? { ...store, anchors: [...list, certificate] }
    : { ...store, certificates: [...list, certificate] }
}

/** The store with one more private key, and the id of that key. */
export function withPrivateKey(store: CredentialStore, key: KeyObject): { store: CredentialStore; id: string } {
  const id = publicKeyId(key)
  return { store: { ...store, privateKeys: new Map(store.privateKeys).set(id, key) }, id }
}

/** The store without the private key of that id; the same store if it has none. */
export function withoutPrivateKey(store: CredentialStore, id: string): CredentialStore {
  if (!store.privateKeys.has(id)) return store
  const privateKeys = new Map(store.privateKeys)
  privateKeys.delete(id)
  return { ...store, privateKeys }
}

/** The certificates of the store that speak for an identity, end entities first. */
export function certificatesFor(store: CredentialStore, identity: Identity): Certificate[] {
  return [...store.certificates, ...store.anchors].filter((certificate) => identityInCertificate(certificate, identity))
}

/**
 * The first certificate that we hold the private key for: of `certificates` if some are configured, else of those in the store
 * that speak for the identity. With `requested` (key ids of the CAs in CERTREQs) those come first whose chain leads to such a CA; a
 * peer that asks for CAs we do not have may still trust the certificate itself.
 */
export function findKeyFor(
  store: CredentialStore,
  identity: Identity,
  certificates: readonly Certificate[] = [],
  requested: readonly Uint8Array[] = [],
): SigningCredential | undefined {
  const candidates = certificates.length > 0 ? certificates : certificatesFor(store, identity)
  const credentials = candidates.flatMap((certificate) => {
    const key = store.privateKeys.get(certificate.publicKeyId)
    if (key === undefined) return []
    const issuers = issuersOf(store, certificate)
    const chain = [certificate, ...issuers.filter(({ selfIssued }) => !selfIssued)]
    const wanted = issuers.some(({ keyId }) => requested.some((id) => Buffer.compare(id, keyId) === 0))
    return [{ key, keyId: certificate.publicKeyId, certificate, chain, wanted }]
  })
  const chosen = credentials.find(({ wanted }) => wanted) ?? credentials[0]
  if (chosen === undefined) return undefined
  const { wanted: _, ...credential } = chosen
  return credential
}

/** The CAs above a certificate, nearest first, as far as the store has them; found by name and key identifier. */
export function issuersOf(store: CredentialStore, certificate: Certificate): Certificate[] {
  const issuers: Certificate[] = []
  for (let current = certificate; issuers.length < MAX_CHAIN; ) {
    const named = store.anchors.filter(({ subjectKey }) => subjectKey === current.issuerKey)
    const wanted = current.authorityKeyId?.keyId
    const fits = named.find(({ subjectKeyId: id }) => wanted && id && Buffer.compare(id, wanted) === 0)
    const issuer = fits ?? named[0]
    if (issuer === undefined || sameCertificate(issuer, current) || issuers.includes(issuer)) break
    issuers.push(issuer)
    current = issuer
  }
  return issuers
}

/**
 * Whether a certificate speaks for an identity: it must be the subject or one of the alternative names, FQDN against dNSName,
 * RFC822 against rfc822Name, addresses against iPAddress. No wildcards: `*.example.org` in a certificate speaks for nobody else.
 */
export function identityInCertificate(certificate: Certificate, identity: Identity): boolean {
  if (identity.type === ID.DER_ASN1_GN)
    return certificate.altNames.some(({ der }) => Buffer.compare(der, identity.data) === 0)
  if (identity.type === ID.KEY_ID) return keyIdsOf(certificate).includes(Buffer.from(identity.data).toString('hex'))
  return identitiesOf(certificate).some((own) => equalIdentity(own, identity))
}

/** All identities that a certificate speaks for, the subject first unless it is empty. */
export function identitiesOf(certificate: Certificate): Identity[] {
  const subject = certificate.subject.rdns.length > 0 ? [identityFromName(certificate.subject)] : []
  return [...subject, ...certificate.altNames.flatMap((name) => identityOf(name) ?? [])]
}

/** The names of its key, as hexadecimal text: how it says itself, and SHA-1 of the key with and without its algorithm. */
function keyIdsOf({ subjectKeyId, keyId, publicKeyId }: Certificate): string[] {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  return [...(subjectKeyId ? [hex(subjectKeyId)] : []), hex(keyId), publicKeyId]
}

function identityOf(name: GeneralName): Identity | undefined {
  switch (name.type) {
    case 'dns':
      return { type: ID.FQDN, data: textBytes(name.text, 'latin1') }
    case 'email':
      return { type: ID.RFC822_ADDR, data: textBytes(name.text, 'latin1') }
    case 'uri':
      return { type: ID.URI, data: textBytes(name.text, 'latin1') }
    case 'ip':
      if (name.bytes.length === 4) return { type: ID.IPV4_ADDR, data: name.bytes }
      return name.bytes.length === 16 ? { type: ID.IPV6_ADDR, data: name.bytes } : undefined
    case 'directory':
      return identityFromName(name.name)
    default:
      return undefined
  }
}

const MAX_CHAIN = 10
