/** CRLs and OCSP responses to be made, for labs, demonstrations and tests: a CA for real use is another program. */
import type { KeyObject } from 'node:crypto'
import type { Certificate } from '../certificate.ts'
import {
  contextConstructed,
  contextPrimitive,
  derEncode,
  ENUMERATED,
  INTEGER,
  NULL,
  OCTET_STRING,
  SEQUENCE,
} from '../der.ts'
import { algorithmDer, extension, generalizedTimeDer, nameDer, signedDer, timeDer } from '../issue.ts'
import { publicKeyInfo, sha1, subjectPublicKey } from '../keys.ts'
import { oidDer, oids } from '../oid.ts'
import { certIdOf } from './ocsp-request.ts'

/** Who signs. */
export interface StatusIssuer {
  /** `C=CH, O=Lab, CN=Lab CA` */
  readonly subject: string
  readonly key: KeyObject
}

/** A certificate that is revoked, since when (milliseconds since 1970) and why (CRLReason). */
export interface RevokedEntry {
  readonly serial: Uint8Array
  readonly time: number
  readonly reason?: number
}

export interface CrlTemplate {
  readonly issuer: StatusIssuer
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  readonly nextUpdate?: number
  /** CRLNumber, below 128. */
  readonly number?: number
  /** BaseCRLNumber: makes it a delta CRL. */
  readonly base?: number
  readonly revoked?: readonly RevokedEntry[]
  /** Further extensions, their values in DER. */
  readonly extensions?: readonly { readonly oid: string; readonly critical?: boolean; readonly value: Uint8Array }[]
}

/** Makes a CRL, RFC 5280 §5.1, and returns its DER. */
export function issueCrl(template: CrlTemplate): Uint8Array {
  const { issuer, thisUpdate, nextUpdate, number, base, revoked = [], extensions = [] } = template
  const keyId = sha1(subjectPublicKey(publicKeyInfo(issuer.key)))
  const integer = (value: number): Uint8Array => derEncode(INTEGER, Uint8Array.of(value))
  const all = [
    extension(oids.authorityKeyIdentifier, false, derEncode(SEQUENCE, derEncode(contextPrimitive(0), keyId))),
    ...(number === undefined ? [] : [extension(oids.crlNumber, false, integer(number))]),
    ...(base === undefined ? [] : [extension(oids.deltaCrlIndicator, true, integer(base))]),
    ...extensions.map(({ oid, critical, value }) => extension(oid, critical === true, value)),
  ]
  const tbs = derEncode(
    SEQUENCE,
    integer(1),
    algorithmDer(issuer.key),
    nameDer(issuer.subject),
    timeDer(thisUpdate),
    ...(nextUpdate === undefined ? [] : [timeDer(nextUpdate)]),
    ...(revoked.length === 0 ? [] : [derEncode(SEQUENCE, ...revoked.map(entryDer))]),
    derEncode(contextConstructed(0), derEncode(SEQUENCE, ...all)),
  )
  return signedDer(tbs, issuer.key)
}

function entryDer({ serial, time, reason }: RevokedEntry): Uint8Array {
  const code = extension(oids.reasonCode, false, derEncode(ENUMERATED, Uint8Array.of(reason ?? 0)))
  const extensions = reason === undefined ? [] : [derEncode(SEQUENCE, code)]
  return derEncode(SEQUENCE, derEncode(INTEGER, serial), timeDer(time), ...extensions)
}

export interface OcspResponseTemplate {
  readonly certificate: Certificate
  /** The CA of the certificate. */
  readonly issuer: Certificate
  readonly signer: StatusIssuer
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  readonly nextUpdate?: number
  readonly status: 'good' | 'unknown' | Omit<RevokedEntry, 'serial'>
  readonly nonce?: Uint8Array
  /** Certificates to go with it. */
  readonly certificates?: readonly Certificate[]
}

/** Makes an OCSPResponse, RFC 6960 §4.2.1, and returns its DER. */
export function issueOcspResponse(template: OcspResponseTemplate): Uint8Array {
  const { certificate, issuer, signer, thisUpdate, nextUpdate, status, nonce, certificates = [] } = template
  const { hash, issuerNameHash, issuerKeyHash, serial } = certIdOf(certificate, issuer)
  const certId = derEncode(
    SEQUENCE,
    derEncode(SEQUENCE, oidDer(hash), derEncode(NULL)),
    derEncode(OCTET_STRING, issuerNameHash),
    derEncode(OCTET_STRING, issuerKeyHash),
    derEncode(INTEGER, serial),
  )
  const next = nextUpdate === undefined ? [] : [derEncode(contextConstructed(0), generalizedTimeDer(nextUpdate))]
  const single = derEncode(SEQUENCE, certId, statusDer(status), generalizedTimeDer(thisUpdate), ...next)
  const nonceDer = (bytes: Uint8Array): Uint8Array => extension(oids.ocspNonce, false, derEncode(OCTET_STRING, bytes))
  const extensions = nonce === undefined ? [] : [derEncode(contextConstructed(1), derEncode(SEQUENCE, nonceDer(nonce)))]
  const data = derEncode(
    SEQUENCE,
    derEncode(contextConstructed(1), nameDer(signer.subject)),
    generalizedTimeDer(thisUpdate),
    derEncode(SEQUENCE, single),
    ...extensions,
  )
  const sent =
    certificates.length === 0
      ? []
      : [derEncode(contextConstructed(0), derEncode(SEQUENCE, ...certificates.map(({ der }) => der)))]
  const basic = signedDer(data, signer.key, false, ...sent)
  const bytes = derEncode(SEQUENCE, oidDer(oids.ocspBasic), derEncode(OCTET_STRING, basic))
  return derEncode(SEQUENCE, derEncode(ENUMERATED, Uint8Array.of(0)), derEncode(contextConstructed(0), bytes))
}

function statusDer(status: OcspResponseTemplate['status']): Uint8Array {
  if (status === 'good') return derEncode(contextPrimitive(0))
  if (status === 'unknown') return derEncode(contextPrimitive(2))
  const reason =
    status.reason === undefined
      ? []
      : [derEncode(contextConstructed(0), derEncode(ENUMERATED, Uint8Array.of(status.reason)))]
  return derEncode(contextConstructed(1), generalizedTimeDer(status.time), ...reason)
}
