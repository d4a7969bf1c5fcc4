import { constants, type KeyObject, randomBytes, sign } from 'node:crypto'
import { textBytes } from './bytes.ts'
import {
  BIT_STRING,
  BOOLEAN,
  contextConstructed,
  contextPrimitive,
  derEncode,
  GENERALIZED_TIME,
  INTEGER,
  NULL,
  OCTET_STRING,
  SEQUENCE,
  UTC_TIME,
} from './der.ts'
import { KEY_USAGES, type KeyUsage } from './extensions.ts'
import { ID, type Identity, parseIdentity } from './identity.ts'
import { curveOf, keyTypeOf, publicKeyInfo, sha1, subjectPublicKey } from './keys.ts'
import { parseNameText } from './name.ts'
import { oidDer, oids } from './oid.ts'

/** A certificate to be made. For labs, demonstrations, benchmarks and tests: a CA for real use is another program. */
export interface CertificateTemplate {
  /** `C=CH, O=Lab, CN=moon.lab.org` */
  readonly subject: string
  /** The subject's key; the public half goes into the certificate. */
  readonly key: KeyObject
  /** Who signs; the subject itself if there is none. */
  readonly issuer?: { readonly subject: string; readonly key: KeyObject }
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  /** Positive; random if not given. */
  readonly serial?: Uint8Array
  /** A CA, perhaps with a path length. */
  readonly ca?: boolean | { readonly pathLen: number }
  /** Identities in text: FQDN, e-mail address, IP address or distinguished name. */
  readonly altNames?: readonly string[]
  readonly keyUsage?: readonly KeyUsage[]
  /** Further extensions, their values in DER. */
  readonly extensions?: readonly { readonly oid: string; readonly critical?: boolean; readonly value: Uint8Array }[]
  /** RSASSA-PSS with SHA-256 instead of PKCS #1, for RSA keys. */
  readonly pss?: boolean
}

/** Makes a certificate, RFC 5280 §4.1, and returns its DER. Throws RangeError for a template that makes no sense. */
export function issueCertificate(template: CertificateTemplate): Uint8Array {
  const { key: signer, subject: issuer } = template.issuer ?? template
  const { algorithm } = signatureOf(signer, template.pss === true)
  const info = publicKeyInfo(template.key)
  const tbs = derEncode(
    SEQUENCE,
    derEncode(contextConstructed(0), derEncode(INTEGER, Uint8Array.of(2))),
    derEncode(INTEGER, template.serial ?? Uint8Array.of(1, ...randomBytes(15))),
    algorithm,
    nameDer(issuer),
    derEncode(SEQUENCE, timeDer(template.notBefore), timeDer(template.notAfter)),
    nameDer(template.subject),
    info,
    derEncode(contextConstructed(3), derEncode(SEQUENCE, ...extensionsOf(template, signer, info))),
  )
  return signedDer(tbs, signer, template.pss === true)
}

/** The AlgorithmIdentifier of the signatures that `signedDer` makes with this key. */
export function algorithmDer(key: KeyObject): Uint8Array {
  return signatureOf(key, false).algorithm
}

/** What is to be signed, how, and the signature: the outer SEQUENCE of certificates, CRLs and OCSP responses. */
export function signedDer(
  tbs: Uint8Array,
  signer: KeyObject,
  wantPss = false,
  ...more: readonly Uint8Array[]
): Uint8Array {
  const { algorithm, hash, pss } = signatureOf(signer, wantPss)
  const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : {}
  const signature = sign(hash, tbs, { key: signer, ...padding })
  return derEncode(SEQUENCE, tbs, algorithm, derEncode(BIT_STRING, Uint8Array.of(0), signature), ...more)
}

function extensionsOf(template: CertificateTemplate, signer: KeyObject, info: Uint8Array): Uint8Array[] {
  const { ca, altNames = [], keyUsage, extensions = [] } = template
  const result = [
    extension(oids.subjectKeyIdentifier, false, derEncode(OCTET_STRING, sha1(subjectPublicKey(info)))),
    extension(
      oids.authorityKeyIdentifier,
      false,
      derEncode(SEQUENCE, derEncode(contextPrimitive(0), sha1(subjectPublicKey(publicKeyInfo(signer))))),
    ),
  ]
  if (ca !== undefined && ca !== false) {
    const pathLen = ca === true ? [] : [derEncode(INTEGER, Uint8Array.of(ca.pathLen))]
    const value = derEncode(SEQUENCE, derEncode(BOOLEAN, Uint8Array.of(0xff)), ...pathLen)
    result.push(extension(oids.basicConstraints, true, value))
  }
  if (keyUsage !== undefined) result.push(extension(oids.keyUsage, true, keyUsageDer(keyUsage)))
  if (altNames.length > 0)
    result.push(
      extension(oids.subjectAltName, false, derEncode(SEQUENCE, ...altNames.map((n) => altNameDer(parseIdentity(n))))),
    )
  for (const { oid, critical, value } of extensions) result.push(extension(oid, critical === true, value))
  return result
}

/** An Extension, RFC 5280 §4.1. */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [derEncode(BOOLEAN, Uint8Array.of(0xff))] : []
  return derEncode(SEQUENCE, oidDer(oid), ...flag, derEncode(OCTET_STRING, value))
}

/** A BIT STRING of named bits has no zeros at its end, X.690 §11.2.2. */
function keyUsageDer(usages: readonly KeyUsage[]): Uint8Array {
  const numbers = usages.map((usage) => KEY_USAGES.indexOf(usage))
  const last = Math.max(...numbers)
  const bytes = new Uint8Array(last < 0 ? 0 : (last >> 3) + 1)
  for (const bit of numbers) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return derEncode(BIT_STRING, Uint8Array.of(last < 0 ? 0 : 7 - (last & 7)), bytes)
}

function altNameDer({ type, data }: Identity): Uint8Array {
  switch (type) {
    case ID.RFC822_ADDR:
      return derEncode(contextPrimitive(1), data)
    case ID.FQDN:
      return derEncode(contextPrimitive(2), data)
    case ID.DER_ASN1_DN:
      return derEncode(contextConstructed(4), data)
    case ID.IPV4_ADDR:
    case ID.IPV6_ADDR:
      return derEncode(contextPrimitive(7), data)
    default:
      throw new RangeError(`an identity of type ${type} is no alternative name`)
  }
}

function signatureOf(key: KeyObject, wantPss: boolean): { algorithm: Uint8Array; hash: string | null; pss: boolean } {
  const type = keyTypeOf(key)
  const curve = curveOf(key) ?? ''
  switch (type) {
    case 'ed25519':
    case 'ed448':
      return { algorithm: derEncode(SEQUENCE, oidDer(oids[type])), hash: null, pss: false }
    case 'ecdsa': {
      const bits = /521|512/.test(curve) ? 512 : /384/.test(curve) ? 384 : 256
      const oid = `1.2.840.10045.4.3.${{ 256: 2, 384: 3, 512: 4 }[bits]}`
      return { algorithm: derEncode(SEQUENCE, oidDer(oid)), hash: `sha${bits}`, pss: false }
    }
    case 'rsa': {
      const pss = wantPss || key.asymmetricKeyType === 'rsa-pss'
      const plain = derEncode(SEQUENCE, oidDer('1.2.840.113549.1.1.11'), derEncode(NULL))
      return { algorithm: pss ? PSS_SHA256 : plain, hash: 'sha256', pss }
    }
  }
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from then on. */
export function timeDer(ms: number): Uint8Array {
  const text = timeDigits(ms)
  const year = Number(text.slice(0, 4))
  return year >= 1950 && year < 2050 ? derEncode(UTC_TIME, textBytes(text.slice(2))) : generalizedTimeDer(ms)
}

/** GeneralizedTime, whatever the year is: RFC 6960 knows no other. */
export function generalizedTimeDer(ms: number): Uint8Array {
  return derEncode(GENERALIZED_TIME, textBytes(timeDigits(ms)))
}

const timeDigits = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`

/** A Name from its text. Throws RangeError. */
export function nameDer(text: string): Uint8Array {
  if (text === '') return derEncode(SEQUENCE)
  const name = parseNameText(text)
  if (name === undefined) throw new RangeError(`"${text}" is not a distinguished name`)
  return name.der
}

const SHA256 = derEncode(SEQUENCE, oidDer('2.16.840.1.101.3.4.2.1'), derEncode(NULL))

const PSS_SHA256 = derEncode(
  SEQUENCE,
  oidDer(oids.rsassaPss),
  derEncode(
    SEQUENCE,
    derEncode(contextConstructed(0), SHA256),
    derEncode(contextConstructed(1), derEncode(SEQUENCE, oidDer(oids.mgf1), SHA256)),
    derEncode(contextConstructed(2), derEncode(INTEGER, Uint8Array.of(32))),
  ),
)
