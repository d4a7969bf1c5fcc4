import { sameBytes } from '../bytes.ts'
import type { Certificate } from '../certificate.ts'
import type { Crl } from './crl.ts'
import { isNewer, sameScope } from './crl-status.ts'
import type { OcspResponse } from './ocsp-response.ts'

/** CRLs and OCSP responses that were fetched and found to be signed by who may, for as long as there is room. */
export class StatusCache {
  readonly #crls: Crl[] = []
  readonly #responses = new Map<string, OcspResponse>()

  get crls(): readonly Crl[] {
    return this.#crls
  }

  get responses(): readonly OcspResponse[] {
    return [...this.#responses.values()]
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

  /** Forgets what was fetched. */
  flush(what: 'crls' | 'responses'): void {
    if (what === 'crls') this.#crls.length = 0
    else this.#responses.clear()
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
