import { sameBytes } from '../bytes.ts'
import type { Certificate } from '../certificate.ts'
import type { Crl } from './crl.ts'
import { isNewer, sameScope } from './crl-status.ts'
import type { OcspResponse } from './ocsp-response.ts'

/**
 * CRLs and OCSP responses that were fetched and found to be signed by who may, and certificates that peers have proven to be
 * theirs, for as long as there is room.
 */
export class StatusCache {
  readonly #crls: Crl[] = []
  readonly #responses = new Map<string, OcspResponse>()
  /** By fingerprint, the one shown last at the end. */
  readonly #received = new Map<string, Certificate>()

  get crls(): readonly Crl[] {
    return this.#crls
  }

  get responses(): readonly OcspResponse[] {
    return [...this.#responses.values()]
  }

  get received(): readonly Certificate[] {
    return [...this.#received.values()]
  }

  /** Keeps certificates of a peer that were verified, in place of those that were not shown for longest. */
  addReceived(certificates: readonly Certificate[]): void {
    for (const certificate of certificates) {
      this.#received.delete(certificate.fingerprint)
      this.#received.set(certificate.fingerprint, certificate)
      const [oldest] = this.#received.keys()
      if (this.#received.size > MAX_RECEIVED && oldest !== undefined) this.#received.delete(oldest)
    }
  }

  /** Keeps a CRL in place of an older one of the same scope. Returns whether it was new. */
  addCrl(crl: Crl): boolean {
    const isDelta = (each: Crl): boolean => each.baseNumber !== undefined
    const at = this.#crls.findIndex((each) => sameScope(each, crl) && isDelta(each) === isDelta(crl))
    const known = this.#crls[at]
    if (known !== undefined && !isNewer(crl, known)) return false
    if (known !== undefined) this.#crls.splice(at, 1)
    this.#crls.push(crl)
    while (this.#crls.length > MAX_CRLS || this.#bytes() > MAX_BYTES) this.#crls.shift()
    return this.#crls.includes(crl)
  }

  addResponse(response: OcspResponse, certificate: Certificate, issuer: Certificate): void {
    const key = keyOf(certificate, issuer)
    this.#responses.delete(key)
    this.#responses.set(key, response)
    const [oldest] = this.#responses.keys()
    if (this.#responses.size > MAX_RESPONSES && oldest !== undefined) this.#responses.delete(oldest)
  }

  responseFor(certificate: Certificate, issuer: Certificate): OcspResponse | undefined {
    return this.#responses.get(keyOf(certificate, issuer))
  }

  /** Forgets what was fetched or received. */
  flush(what: 'crls' | 'responses' | 'received'): void {
    if (what === 'crls') this.#crls.length = 0
    else if (what === 'responses') this.#responses.clear()
    else this.#received.clear()
  }

  #bytes(): number {
    return this.#crls.reduce((sum, { der }) => sum + der.length, 0)
  }
}

/** Whether two certificates are of one CA: the same name and the same key. */
export function sameAuthority(a: Certificate, b: Certificate): boolean {
  return a.subjectKey === b.subjectKey && sameBytes(a.publicKeyInfo, b.publicKeyInfo)
}

const keyOf = (certificate: Certificate, issuer: Certificate): string =>
  `${certificate.fingerprint} ${issuer.fingerprint}`

const MAX_CRLS = 256
const MAX_BYTES = 64 * 1024 * 1024
const MAX_RESPONSES = 1024
/** As many as charon keeps. */
const MAX_RECEIVED = 32
