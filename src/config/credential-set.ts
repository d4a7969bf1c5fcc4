/**
 * The certificates, keys and secrets that were loaded. This is the one place where they change; the core gets them as
 * one immutable value after each change.
 */
import type { KeyObject } from 'node:crypto'
import type { Credentials } from '../ike/credentials.ts'
import { type Certificate, isCa } from '../pki/certificate.ts'
import { formatIdentity, hasWildcards, ID, type Identity, type IdentityPattern } from '../pki/identity.ts'
import { keyIdentifiers, publicKeyFromInfo, publicKeyId } from '../pki/keys.ts'
import { StatusCache } from '../pki/revocation/cache.ts'
import type { Crl } from '../pki/revocation/crl.ts'
import type { RawKey } from '../pki/store.ts'
import type { Connection, SharedSecret } from './connection.ts'

export type CertificateType = 'X509' | 'X509_AC' | 'X509_CRL' | 'OCSP_RESPONSE' | 'PUBKEY'
export type CertificateFlag = 'NONE' | 'CA' | 'AA' | 'OCSP'

/** An authority of `load-authority`: a trusted CA and where its revocation data is. */
export interface Authority {
  readonly name: string
  readonly certificate: Certificate
  readonly crlUris: readonly string[]
  readonly ocspUris: readonly string[]
  readonly certUriBase?: string
}

export interface LoadedCertificate {
  readonly certificate: Certificate
  readonly flag: CertificateFlag
}

/** Something that is kept as bytes until there is use for it. */
export interface LoadedBlob {
  readonly type: Exclude<CertificateType, 'X509' | 'X509_CRL'>
  readonly der: Uint8Array
  /** Whose public key it is, beside those that are named by it. */
  readonly subject?: Identity
}

export class CredentialSet {
  readonly #certificates = new Map<string, LoadedCertificate>()
  readonly #blobs = new Map<string, LoadedBlob>()
  readonly #keys = new Map<string, KeyObject>()
  readonly #shared: SharedSecret[] = []
  readonly #authorities = new Map<string, Authority>()
  readonly #crls = new StatusCache()
  #snapshot: Credentials | undefined

  /** A certificate that is loaded already keeps its place; the flag of the CA sticks. */
  addCertificate(certificate: Certificate, flag: CertificateFlag): void {
    const known = this.#certificates.get(certificate.fingerprint)
    const kept = known !== undefined && (flag === 'NONE' || known.flag === 'CA') ? known.flag : flag
    this.#certificates.set(certificate.fingerprint, { certificate, flag: isCa(certificate) ? 'CA' : kept })
    this.#snapshot = undefined
  }

  addBlob(type: LoadedBlob['type'], der: Uint8Array, subject?: Identity): void {
    const named = subject === undefined ? '' : formatIdentity(subject)
    this.#blobs.set(`${type} ${Buffer.from(der).toString('base64')} ${named}`, {
      type,
      der,
      ...(subject && { subject }),
    })
    this.#snapshot = undefined
  }

  /** Of CRLs with the same scope the newest stays. Returns whether it is this one. */
  addCrl(crl: Crl): boolean {
    this.#snapshot = undefined
    return this.#crls.addCrl(crl)
  }

  get crls(): readonly Crl[] {
    return this.#crls.crls
  }

  /** The certificates that a connection brings along are trusted as if they were loaded. */
  addFromConnection(connection: Connection, parse: (der: Uint8Array) => Certificate): void {
    for (const round of [...connection.local, ...connection.remote]) {
      for (const der of round.certificates) this.addCertificate(parse(der), 'NONE')
      for (const der of round.caCertificates) this.addCertificate(parse(der), 'CA')
      for (const der of round.publicKeys) this.addBlob('PUBKEY', der, exactly(round.id))
    }
  }

  /** @returns the id, as VICI names it */
  addKey(key: KeyObject): string {
    const id = publicKeyId(key)
    this.#keys.set(id, key)
    this.#snapshot = undefined
    return id
  }

  /** @returns whether there was one */
  removeKey(id: string): boolean {
    this.#snapshot = undefined
    return this.#keys.delete(id)
  }

  /** With an id, replaces the secret of that id; without, adds one more. */
  addShared(secret: SharedSecret): void {
    const at = secret.id === undefined ? -1 : this.#shared.findIndex(({ id }) => id === secret.id)
    if (at < 0) this.#shared.push(secret)
    else this.#shared[at] = secret
    this.#snapshot = undefined
  }

  removeShared(id: string): boolean {
    const at = this.#shared.findIndex((secret) => secret.id === id)
    if (at < 0) return false
    this.#shared.splice(at, 1)
    this.#snapshot = undefined
    return true
  }

  setAuthority(authority: Authority): void {
    this.#authorities.set(authority.name, authority)
    this.#snapshot = undefined
  }

  removeAuthority(name: string): boolean {
    this.#snapshot = undefined
    return this.#authorities.delete(name)
  }

  /** Everything but the authorities. */
  clear(): void {
    this.#certificates.clear()
    this.#blobs.clear()
    this.#crls.flush('crls')
    this.#keys.clear()
    this.#shared.length = 0
    this.#snapshot = undefined
  }

  get certificates(): readonly LoadedCertificate[] {
    return [...this.#certificates.values()]
  }

  get blobs(): readonly LoadedBlob[] {
    return [...this.#blobs.values()]
  }

  get keyIds(): readonly string[] {
    return [...this.#keys.keys()]
  }

  hasKey(id: string): boolean {
    return this.#keys.has(id)
  }

  /** Ids of the secrets that have one. */
  get sharedIds(): readonly string[] {
    return this.#shared.flatMap(({ id }) => id ?? [])
  }

  get authorities(): readonly Authority[] {
    return [...this.#authorities.values()]
  }

  /** What the core works with; the same value until something changes. */
  credentials(): Credentials {
    this.#snapshot ??= this.#make()
    return this.#snapshot
  }

  #make(): Credentials {
    const flagged = [...this.#certificates.values()]
    const loaded = flagged.map(({ certificate }) => certificate)
    const anchors = new Map(loaded.filter(isCa).map((certificate) => [certificate.fingerprint, certificate]))
    for (const { certificate } of this.#authorities.values()) anchors.set(certificate.fingerprint, certificate)
    return {
      anchors: [...anchors.values()],
      certificates: loaded.filter((certificate) => !isCa(certificate)),
      privateKeys: new Map(this.#keys),
      publicKeys: this.blobs.filter(({ type }) => type === 'PUBKEY').flatMap(trusted),
      secrets: [...this.#shared],
      certUriBases: this.authorities.flatMap(({ certificate, certUriBase }) =>
        certUriBase === undefined ? [] : [{ authority: certificate, base: certUriBase }],
      ),
      status: {
        crls: [...this.#crls.crls],
        authorities: this.authorities,
        ocspSigners: flagged.filter(({ flag }) => flag === 'OCSP').map(({ certificate }) => certificate),
      },
    }
  }
}

/** A round's identity, if it is one and no pattern. */
function exactly(id: IdentityPattern | undefined): Identity | undefined {
  return id === undefined || 'regex' in id || id.type === ID.ANY || hasWildcards(id) ? undefined : id
}

/** Whom a public key speaks for: whoever it was loaded for, and those who are named by it. */
function trusted({ der, subject }: LoadedBlob): RawKey[] {
  const key = publicKeyFromInfo(der)
  const named = keyIdentifiers(key).map((data) => ({ type: ID.KEY_ID, data }))
  return [...(subject ? [subject] : []), ...named].map((identity) => ({ key, identity }))
}
