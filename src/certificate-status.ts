/** Finds out the status of peers' certificates: asks OCSP responders, fetches CRLs, and remembers both. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RevocationSettings } from './config/revocation-options.ts'
import { fetchFile } from './net/fetch.ts'
import type { PeerAuthentication, PeerVerdict } from './pki/authenticate.ts'
import { StatusCache } from './pki/revocation/cache.ts'
import type { Fetch, Fetched } from './pki/revocation/check.ts'
import { type Crl, MAX_CRL } from './pki/revocation/crl.ts'
import { MAX_OCSP_RESPONSE } from './pki/revocation/ocsp-response.ts'
import {
  findOwnStatus,
  type OwnStatus,
  type OwnStatusRequest,
  type StatusOptions,
  verifyPeerWithStatus,
} from './pki/revocation/verify.ts'

export interface CertificateStatusOptions {
  /** As they are now: a reload may change them. */
  readonly settings: () => RevocationSettings
  /** The folder to which CRLs are written, if they are. */
  readonly crlFolder: string
  readonly log: (message: string) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export class CertificateStatus {
  readonly cache: StatusCache = new StatusCache()
  readonly #options: CertificateStatusOptions
  /** CRLs on their way, so that many peers of one CA need one of them. */
  readonly #underWay = new Map<string, Promise<Fetched>>()

  constructor(options: CertificateStatusOptions) {
    this.#options = options
  }

  /** Decides as `verifyPeer` of `src/pki`. Certificates are valid by the calendar, which the core's clock need not follow. */
  async verifyPeer(request: PeerAuthentication): Promise<PeerVerdict> {
    const asked = { ...request, now: this.#options.now() }
    const verdict = await this.#run(verifyPeerWithStatus(asked, this.#statusOptions()))
    // What is trusted without its peer is no news: the anchor, and a leaf that was loaded.
    if (verdict.ok && this.#options.settings().cache) this.cache.addReceived(verdict.path.slice(0, -1))
    return verdict
  }

  /** Finds an OCSP response about a certificate of ours. */
  ownStatus(request: OwnStatusRequest): Promise<OwnStatus> {
    return this.#run(findOwnStatus(request, this.#options.now(), this.#statusOptions()))
  }

  async #run<T>(steps: Generator<Fetch, T, Fetched>): Promise<T> {
    let step = steps.next()
    while (step.done !== true) step = steps.next(await this.#fetch(step.value))
    return step.value
  }

  #statusOptions(): StatusOptions {
    const { useCrls, useOcsp, cache, ocspNonceLength } = this.#options.settings()
    return {
      useCrls,
      useOcsp,
      cache: cache ? this.cache : new StatusCache(),
      nonce: () => randomBytes(ocspNonceLength),
      onCrl: (crl) => void this.#write(crl),
    }
  }

  #fetch(wanted: Fetch): Promise<Fetched> {
    if (wanted.body !== undefined) return this.#fetchNow(wanted)
    const underWay = this.#underWay.get(wanted.uri)
    if (underWay !== undefined) return underWay
    const fetching = this.#fetchNow(wanted).finally(() => this.#underWay.delete(wanted.uri))
    this.#underWay.set(wanted.uri, fetching)
    return fetching
  }

  async #fetchNow({ uri, body }: Fetch): Promise<Fetched> {
    try {
      if (uri.startsWith('file:') && body === undefined) return await readFile(fileURLToPath(uri))
      if (!/^http:\/\//i.test(uri)) return new Error(`unable to fetch from ${uri}, no capable fetcher found`)
      const timeoutMs = this.#options.settings().timeoutSeconds * 1000
      if (body === undefined) return await fetchFile(uri, MAX_CRL, timeoutMs)
      return await fetchFile(uri, MAX_OCSP_RESPONSE, timeoutMs, { body, type: 'application/ocsp-request' })
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** As charon: named by the key of who has signed it. */
  async #write(crl: Crl): Promise<void> {
    const keyId = crl.authorityKeyId?.keyId
    if (!this.#options.settings().writeCrls || keyId === undefined) return
    const name = `${Buffer.from(keyId).toString('hex')}${crl.baseNumber === undefined ? '' : '_delta'}.crl`
    const path = join(this.#options.crlFolder, name)
    try {
      await writeFile(path, crl.der)
      this.#options.log(`  written crl file '${path}' (${crl.der.length} bytes)`)
    } catch (error) {
      this.#options.log(`writing crl file '${path}' failed: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
