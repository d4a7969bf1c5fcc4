/** The wish for a Child SA, from a command, a start action or an acquire, and who waits for it. */
import type { ChildConfig } from '../config/connection.ts'
import type { KernelSelector } from '../kernel/operations.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Marking } from './marks.ts'

export interface PlanListener {
  /** An IKE SA starts to work on it; called before anything else happens there. */
  begun?(sa: IkeSa): void
  up(child: ChildSa): void
  /** @param error what went wrong; missing when somebody ended the attempt on purpose */
  failed(message: string, error?: Error): void
}

/** Both sides' selectors of a Child SA. */
export interface Selectors {
  readonly local: readonly AddressSelector[]
  readonly remote: readonly AddressSelector[]
}

interface PlanOptions {
  readonly packet?: KernelSelector
  readonly reqid?: number
  readonly sequence?: number
  readonly selectors?: Selectors
  readonly budget?: { left: number }
  readonly kept?: Marking
}

/** Child SAs for the selectors of one child: more than that is no policy. */
export const mostParts = 16

export class ChildPlan {
  readonly config: ChildConfig
  /** The packet that met a trap; its addresses and ports go in front of the selectors (RFC 7296 §2.9). */
  readonly packet: KernelSelector | undefined
  /** The number of the kernel's own question about the packet, which the answer to it carries. */
  readonly sequence: number | undefined
  /** What is asked for in place of the selectors of the configuration (child-parts.ts). */
  readonly selectors: Selectors | undefined
  /** How many more Child SAs may come of the selectors. */
  readonly budget: { left: number }
  /** What the child in another IKE SA has, in whose place it comes: reauthentication keeps marks, not interface ids. */
  readonly kept: Marking | undefined
  /** The reqid of the trap that wants it. */
  readonly reqid: number | undefined
  readonly #listeners = new Set<PlanListener>()
  #settled = false

  constructor(config: ChildConfig, options: PlanOptions = {}) {
    this.config = config
    this.packet = options.packet
    this.reqid = options.reqid
    this.sequence = options.sequence
    this.selectors = options.selectors
    this.kept = options.kept
    this.budget = options.budget ?? { left: mostParts }
  }

  /** A plan of its own for some of the selectors. */
  part(selectors: Selectors): ChildPlan {
    const { config, packet, reqid, sequence, budget } = this
    return new ChildPlan(config, {
      ...(packet && { packet }),
      ...(reqid !== undefined && { reqid }),
      ...(sequence !== undefined && { sequence }),
      selectors,
      budget,
    })
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
