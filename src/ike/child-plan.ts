/** The wish for a Child SA, from a command, a start action or an acquire, and who waits for it. */
import type { ChildConfig } from '../config/connection.ts'
import type { KernelSelector } from '../kernel/operations.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'

export interface PlanListener {
  /** An IKE SA starts to work on it; called before anything else happens there. */
  begun?(sa: IkeSa): void
  up(child: ChildSa): void
  /** @param error what went wrong; missing when somebody ended the attempt on purpose */
  failed(message: string, error?: Error): void
}

export class ChildPlan {
  readonly config: ChildConfig
  /** The packet that met a trap; its addresses and ports go in front of the selectors (RFC 7296 §2.9). */
  readonly packet: KernelSelector | undefined
  /** The reqid of the trap that wants it. */
  readonly reqid: number | undefined
  readonly #listeners = new Set<PlanListener>()
  #settled = false

  constructor(config: ChildConfig, options: { packet?: KernelSelector; reqid?: number } = {}) {
    this.config = config
    this.packet = options.packet
    this.reqid = options.reqid
  }

  listen(listener: PlanListener): void {
    this.#listeners.add(listener)
  }

  begun(sa: IkeSa): void {
    for (const listener of this.#listeners) listener.begun?.(sa)
  }

  up(child: ChildSa): void {
    if (this.#settled) return
    this.#settled = true
    for (const listener of this.#listeners) listener.up(child)
  }

  failed(message: string, error?: Error): void {
    if (this.#settled) return
    this.#settled = true
    for (const listener of this.#listeners) listener.failed(message, error)
  }
}
