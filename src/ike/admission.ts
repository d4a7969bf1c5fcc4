/**
 * Who may begin an IKE SA (RFC 7296 §2.6): counts half-open SAs, asks for cookies above a threshold, and refuses above
 * the limits. Nothing is stored for a request that has not passed here.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Core } from './core.ts'

export type Admitted =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'cookie'; readonly cookie: Uint8Array }
  | { readonly kind: 'dropped'; readonly reason: string }

const secretLifetimeMs = 120_000
const cookieLifetimeMs = 10_000
/** Once needed, cookies stay on this long, so that the switch does not flap. */
const calmDownMs = 10_000

export class Admission {
  readonly #core: Core
  #halfOpen = 0
  readonly #byAddress = new Map<string, number>()
  #demandUntil = Number.NEGATIVE_INFINITY
  readonly #demandByAddress = new Map<string, number>()
  #secrets: { readonly key: KeyObject; readonly since: number }[] = []

  constructor(core: Core) {
    this.#core = core
  }

  /** Responder SAs that are not authenticated yet. */
  get halfOpen(): number {
    return this.#halfOpen
  }

  /** Counts a half-open SA; call the result once when it is established or gone. */
  enter(address: string): () => void {
    this.#halfOpen++
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1)
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      this.#halfOpen--
      const left = (this.#byAddress.get(address) ?? 1) - 1
      if (left > 0) this.#byAddress.set(address, left)
      else this.#byAddress.delete(address)
    }
  }

  /** Decides about an IKE_SA_INIT request from `address`, with the cookie it carries, if any. */
  decide(address: string, spiI: bigint, nonce: Uint8Array, cookie: Uint8Array | undefined): Admitted {
    const { settings, sas, now } = this.#core
    if (settings.initiatorOnly) return { kind: 'dropped', reason: 'configured as initiator only' }
    if (settings.dosProtection) {
      if (this.#cookieDemanded(address) && !this.#valid(cookie, address, spiI, nonce)) {
        return { kind: 'cookie', cookie: this.#cookie(address, spiI, nonce, now) }
      }
      // A block threshold below the cookie threshold would refuse before anybody was asked for a cookie.
      const block = Math.max(settings.blockThreshold, settings.cookieThresholdIp + 1)
      if (settings.blockThreshold > 0 && (this.#byAddress.get(address) ?? 0) >= block) {
        return { kind: 'dropped', reason: `per-IP half-open IKE_SA limit of ${block} reached` }
      }
    }
    if (settings.initLimitHalfOpen > 0 && this.#halfOpen >= settings.initLimitHalfOpen) {
      return { kind: 'dropped', reason: `half-open IKE_SA limit of ${settings.initLimitHalfOpen} reached` }
    }
    if (settings.ikeSaLimit > 0 && sas.size >= settings.ikeSaLimit) {
      return { kind: 'dropped', reason: `hitting IKE_SA limit (${settings.ikeSaLimit})` }
    }
    return { kind: 'admitted' }
  }

  #cookieDemanded(address: string): boolean {
    const { settings, now } = this.#core
    const { cookieThreshold, cookieThresholdIp } = settings
    if (cookieThreshold > 0 && this.#halfOpen >= cookieThreshold) this.#demandUntil = now + calmDownMs
    if (now < this.#demandUntil) return true
    if (cookieThresholdIp > 0 && (this.#byAddress.get(address) ?? 0) >= cookieThresholdIp) {
      // Only addresses with half-open SAs get here, and those are bounded by the limits above.
      this.#demandByAddress.set(address, now + calmDownMs)
      if (this.#demandByAddress.size > 1024) {
        for (const [other, until] of this.#demandByAddress) if (until <= now) this.#demandByAddress.delete(other)
      }
    }
    const until = this.#demandByAddress.get(address)
    if (until === undefined) return false
    if (now < until) return true
    this.#demandByAddress.delete(address)
    return false
  }

  /** time (4 octets, seconds) | HMAC-SHA256(secret, Ni | IPi | SPIi | time), as §2.6 recommends. */
  #cookie(address: string, spiI: bigint, nonce: Uint8Array, atMs: number): Uint8Array {
    this.#rotate()
    const current = this.#secrets[0]
    if (current === undefined) throw new Error('rotation leaves a secret')
    return mac(current.key, address, spiI, nonce, Math.floor(atMs / 1000))
  }

  #valid(cookie: Uint8Array | undefined, address: string, spiI: bigint, nonce: Uint8Array): boolean {
    if (cookie?.length !== 36) return false
    this.#rotate()
    const seconds = Buffer.from(cookie.buffer, cookie.byteOffset, 4).readUInt32BE()
    const age = Math.floor(this.#core.now / 1000) - seconds
    if (age < 0 || age * 1000 > cookieLifetimeMs) return false
    return this.#secrets.some(({ key }) => timingSafeEqual(mac(key, address, spiI, nonce, seconds), cookie))
  }

  /** Draws a new secret when the current one is too old; the one before stays valid for cookies under way. */
  #rotate(): void {
    const { now, random } = this.#core
    const [current] = this.#secrets
    if (current !== undefined && now - current.since < secretLifetimeMs) return
    const fresh = { key: createSecretKey(random(32)), since: now }
    this.#secrets = current === undefined ? [fresh] : [fresh, current]
  }
}

function mac(key: KeyObject, address: string, spiI: bigint, nonce: Uint8Array, seconds: number): Uint8Array {
  const head = Buffer.alloc(12)
  head.writeUInt32BE(seconds >>> 0)
  head.writeBigUInt64BE(spiI, 4)
  const digest = createHmac('sha256', key).update(head).update(address).update('|').update(nonce).digest()
  return Buffer.concat([head.subarray(0, 4), digest])
}
