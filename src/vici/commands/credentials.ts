/** load-cert, load-key, unload-key, get-keys, load-shared, unload-shared, get-shared, flush-certs, clear-creds, list-certs. */
import type { SharedSecret } from '../../config/connection.ts'
import type { CertificateFlag, CertificateType } from '../../config/credential-set.ts'
import { findList, findText, findValue, flag, list, optional, printable, type Tree, value } from '../../config/tree.ts'
import { type Certificate, certificatesFrom, isCa } from '../../pki/certificate.ts'
import { DerReader } from '../../pki/der.ts'
import { formatIdentity, ID, matchIdentity, parseIdentity, parseIdentityPattern } from '../../pki/identity.ts'
import { loadPrivateKey, loadPublicKey, PassphraseMissing, publicKeyId, publicKeyInfo } from '../../pki/keys.ts'
import { decodePem, isPem } from '../../pki/pem.ts'
import { parseCrl } from '../../pki/revocation/crl.ts'
import { identitiesOf } from '../../pki/store.ts'
import { DecodeError } from '../../wire/errors.ts'
import { type Context, configLog, failure, type Handler, success } from '../request.ts'

/** Gives the core the credentials as they are now. Await it before answering: the next command may need them. */
export async function pushCredentials({ daemon }: Context): Promise<void> {
  await daemon.command({ kind: 'credentials', credentials: daemon.credentials.credentials() })
}

export const loadCert: Handler = async ({ message }, context) => {
  const { daemon } = context
  const given = findText(message, 'type')
  if (given === undefined) return failure('certificate type missing')
  const legacy = legacyTypes.get(given.toLowerCase())
  const type = legacy?.type ?? certificateTypes.find((known) => known === given.toUpperCase())
  if (type === undefined) return failure(`invalid certificate type '${given}'`)
  const flagText = findText(message, 'flag') ?? 'NONE'
  const flagged = legacy?.flag ?? flags.find((known) => known === flagText.toUpperCase())
  if (type === 'X509' && flagged === undefined) return failure(`invalid certificate flag '${flagText}'`)
  const data = findValue(message, 'data')
  if (data === undefined) return failure('certificate data missing')
  try {
    if (type === 'X509') {
      const [certificate] = certificatesFrom(data)
      if (certificate === undefined) return failure('parsing X509 certificate failed')
      daemon.log(configLog(`loaded certificate '${certificate.subjectText}'`))
      if (flagged === 'CA' && !isCa(certificate)) {
        return failure('ca certificate lacks CA basic constraint, rejected')
      }
      daemon.credentials.addCertificate(certificate, flagged ?? 'NONE')
      await pushCredentials(context)
      return success()
    }
    if (type === 'X509_CRL') {
      const crl = parseCrl(data)
      daemon.log(configLog(`loaded certificate '${crl.issuerText}'`))
      if (daemon.credentials.addCrl(crl)) await pushCredentials(context)
      return success()
    }
    const der = type === 'PUBKEY' ? publicKeyInfo(loadPublicKey(data)) : derOf(data)
    daemon.credentials.addBlob(type, der)
    if (type === 'PUBKEY') await pushCredentials(context)
    daemon.log(configLog(`loaded certificate of type ${type}`))
    return success()
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    daemon.log(configLog(`parsing ${type} certificate failed: ${error.message}`))
    return failure(`parsing ${type} certificate failed`)
  }
}

export const loadKey: Handler = async ({ message }, context) => {
  const { daemon } = context
  const given = findText(message, 'type')
  if (given === undefined) return failure('key type missing')
  const type = given.toUpperCase()
  if (!keyTypes.has(type)) return failure(`invalid key type: ${given}`)
  const data = findValue(message, 'data')
  if (data === undefined) return failure('key data missing')
  try {
    const id = daemon.credentials.addKey(loadPrivateKey(data))
    await pushCredentials(context)
    daemon.log(configLog(`loaded ${type} private key`))
    return success(value('id', id))
  } catch (error) {
    if (!(error instanceof DecodeError) && !(error instanceof PassphraseMissing)) throw error
    daemon.log(configLog(`parsing ${type} private key failed: ${error.message}`))
    return failure(`parsing ${type} private key failed`)
  } finally {
    data.fill(0)
  }
}

export const unloadKey: Handler = async ({ message }, context) => {
  const id = findText(message, 'id')
  if (id === undefined) return failure('key id missing')
  const found = context.daemon.credentials.removeKey(id.toLowerCase())
  context.daemon.log(configLog(`unloaded private key with id ${id}`))
  if (!found) return failure('key not found')
  await pushCredentials(context)
  return success()
}

export const getKeys: Handler = (_request, { daemon }) => [list('keys', daemon.credentials.keyIds)]

export const loadToken: Handler = ({ message }) =>
  failure(findText(message, 'handle') === undefined ? 'keyid missing' : 'loading private key from token failed')

export const loadShared: Handler = async ({ message }, context) => {
  const { daemon } = context
  const id = findText(message, 'id')
  const given = findText(message, 'type')
  if (given === undefined) return failure('shared key type missing')
  const type = sharedTypes.get(given.toLowerCase())
  if (type === undefined) return failure(`invalid shared key type: ${given}`)
  const data = findValue(message, 'data')
  if (data === undefined) return failure('shared key data missing')
  const owners = sharedOwners(message)
  if (owners === undefined) return failure('parsing shared key owners failed')
  daemon.credentials.addShared({ id, type, data: Uint8Array.from(data), owners })
  data.fill(0)
  await pushCredentials(context)
  const names = owners.length === 0 ? "'%any'" : owners.map((owner) => `'${formatIdentity(owner)}'`).join(', ')
  const named = id === undefined ? '' : ` with id '${id}'`
  daemon.log(configLog(`loaded ${given.toUpperCase()} shared key${named} for: ${names}`))
  return success()
}

export const unloadShared: Handler = async ({ message }, context) => {
  const id = findText(message, 'id')
  if (id === undefined) return failure('unique identifier missing')
  if (context.daemon.credentials.removeShared(id)) await pushCredentials(context)
  context.daemon.log(configLog(`unloaded shared key with id '${id}'`))
  return success()
}

export const getShared: Handler = (_request, { daemon }) => [list('keys', daemon.credentials.sharedIds)]

/** Forgets what was fetched or received; what was loaded stays. */
export const flushCerts: Handler = ({ message }, { daemon: { fetched } }) => {
  const given = findText(message, 'type')
  const type = given?.toUpperCase() ?? 'ANY'
  if (type !== 'ANY' && !isType(type)) return failure(`invalid certificate type '${given}'`)
  if (type === 'ANY' || type === 'X509') fetched?.flush('received')
  if (type === 'ANY' || type === 'X509_CRL') fetched?.flush('crls')
  if (type === 'ANY' || type === 'OCSP_RESPONSE') fetched?.flush('responses')
  return success()
}

export const clearCreds: Handler = async (_request, context) => {
  const { credentials, fetched } = context.daemon
  credentials.clear()
  for (const what of ['received', 'crls', 'responses'] as const) fetched?.flush(what)
  await pushCredentials(context)
  return success()
}

/** Raw keys first, then X.509 by flag, then the rest. A wrong type or flag lists nothing. */
export const listCerts: Handler = async ({ message, stream }, { daemon }) => {
  const type = findText(message, 'type')?.toUpperCase() ?? 'ANY'
  const wantedFlag = findText(message, 'flag')?.toUpperCase() ?? 'ANY'
  const subject = findText(message, 'subject')
  if (type !== 'ANY' && !isType(type)) {
    daemon.log(configLog(`invalid certificate type '${type}'`))
    return []
  }
  if (wantedFlag !== 'ANY' && !flags.some((known) => known === wantedFlag)) {
    daemon.log(configLog(`invalid certificate flag '${wantedFlag}'`))
    return []
  }
  const { credentials, fetched } = daemon
  const blobs = async (wanted: CertificateType) => {
    if (subject !== undefined || (type !== 'ANY' && type !== wanted)) return
    for (const blob of credentials.blobs) {
      if (blob.type !== wanted || blob.der.length > maxValueBytes) continue
      const owned = wanted === 'PUBKEY' && credentials.hasKey(publicKeyId(loadPublicKey(blob.der)))
      const whose = blob.subject && blob.subject.type !== ID.KEY_ID ? formatIdentity(blob.subject) : undefined
      const fields = [value('type', wanted), ...flag('has_privkey', owned), value('data', blob.der)]
      await stream('list-cert', [...fields, ...optional('subject', whose)])
    }
  }
  await blobs('PUBKEY')
  if (type === 'ANY' || type === 'X509') {
    for (const listed of flags.filter((known) => wantedFlag === 'ANY' || known === wantedFlag)) {
      for (const { certificate, flag: own } of allCertificates(credentials, fetched?.received ?? [])) {
        if (own !== listed || certificate.der.length > maxValueBytes || !speaksFor(certificate, subject)) continue
        const owned = credentials.hasKey(certificate.publicKeyId)
        const fields = [value('type', 'X509'), value('flag', own), ...flag('has_privkey', owned)]
        await stream('list-cert', [...fields, value('data', certificate.der)])
      }
    }
  }
  const ders = async (wanted: CertificateType, listed: readonly { readonly der: Uint8Array }[]) => {
    if (subject !== undefined || (type !== 'ANY' && type !== wanted)) return
    for (const { der } of listed) {
      if (der.length <= maxValueBytes) await stream('list-cert', [value('type', wanted), value('data', der)])
    }
  }
  await blobs('X509_AC')
  await ders('X509_CRL', [...credentials.crls, ...(fetched?.crls ?? [])])
  await blobs('OCSP_RESPONSE')
  await ders('OCSP_RESPONSE', fetched?.responses ?? [])
  return []
}

function allCertificates(
  set: Context['daemon']['credentials'],
  received: readonly Certificate[],
): readonly { certificate: Certificate; flag: CertificateFlag }[] {
  const loaded = set.certificates
  const known = new Set(loaded.map(({ certificate }) => certificate.fingerprint))
  const more = set.authorities.filter(({ certificate }) => !known.has(certificate.fingerprint))
  for (const { certificate } of more) known.add(certificate.fingerprint)
  const shown = received.filter(({ fingerprint }) => !known.has(fingerprint))
  return [
    ...loaded,
    ...more.map(({ certificate }) => ({ certificate, flag: 'CA' as const })),
    ...shown.map((certificate) => ({ certificate, flag: isCa(certificate) ? ('CA' as const) : ('NONE' as const) })),
  ]
}

function speaksFor(certificate: Certificate, subject: string | undefined): boolean {
  if (subject === undefined) return true
  try {
    const pattern = parseIdentity(subject)
    return identitiesOf(certificate).some((own) => matchIdentity(own, pattern) > 0)
  } catch (error) {
    if (error instanceof DecodeError) return false
    throw error
  }
}

function sharedOwners(message: Tree): SharedSecret['owners'] | undefined {
  try {
    return findList(message, 'owners').map((bytes) => {
      const text = printable(bytes)
      if (text === undefined) throw new DecodeError('owner', 0, 'not printable')
      return parseIdentityPattern(text)
    })
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function derOf(data: Uint8Array): Uint8Array {
  const der = isPem(data) ? decodePem(data)[0]?.der : data
  if (der === undefined) throw new DecodeError('PEM', 0, 'there is no block in the text')
  const reader = DerReader.over(der, 'data')
  reader.sequence('data')
  reader.end('data')
  return Uint8Array.from(der)
}

function isType(text: string): boolean {
  return certificateTypes.some((known) => known === text.toUpperCase())
}

/** A longer value cannot be sent; such a certificate is not listed. */
const maxValueBytes = 0xffff

const certificateTypes: readonly CertificateType[] = ['X509', 'X509_AC', 'X509_CRL', 'OCSP_RESPONSE', 'PUBKEY']
const flags: readonly CertificateFlag[] = ['NONE', 'CA', 'AA', 'OCSP']
const keyTypes: ReadonlySet<string> = new Set(['ANY', 'RSA', 'ECDSA', 'ED25519', 'ED448', 'DSA'])

const legacyTypes: ReadonlyMap<string, { readonly type: CertificateType; readonly flag?: CertificateFlag }> = new Map([
  ['x509ca', { type: 'X509', flag: 'CA' }],
  ['x509ocsp', { type: 'X509', flag: 'OCSP' }],
  ['x509aa', { type: 'X509', flag: 'AA' }],
  ['x509ac', { type: 'X509_AC' }],
  ['x509crl', { type: 'X509_CRL' }],
])

const sharedTypes: ReadonlyMap<string, SharedSecret['type']> = new Map([
  ['ike', 'ike'],
  ['eap', 'eap'],
  ['xauth', 'eap'],
  ['ntlm', 'ntlm'],
  ['ppk', 'ppk'],
])
