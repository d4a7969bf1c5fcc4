/** What the operator says of the network around the daemon. */
import type { RouteMetrics, RuleMark } from './rtnetlink.ts'

export interface NetworkOptions {
  /** Gets its rule at once, as with charon, whether or not a route ever comes; 0: none. */
  readonly routingTable: number
  /** Of the rule that asks a routing table of ours; undefined: the number of the table. */
  readonly rulePriority: number | undefined
  /** The packets that ask it; undefined: all. */
  readonly ruleMark: RuleMark | undefined
  /** Tables whose routes do not lead to peers. */
  readonly ignoredTables: ReadonlySet<number>
  readonly interfaces: InterfaceFilter
  /** Whether IPv6 goes out from privacy addresses, and which kind peers are told of. */
  readonly preferTemporary: boolean
  /** Whether a change of routes is a change of the network. */
  readonly processRoute: boolean
  /** Whether a change of the network is told at all. */
  readonly roamEvents: boolean
  readonly metrics: RouteMetrics
  /** Of each netlink socket that hears events. */
  readonly bufferBytes: number
  /** How long the kernel keeps larval and acquire states. */
  readonly acquireSeconds: number
  /** Local and remote prefix lengths from which on policies are found by hash. */
  readonly policyHash: { readonly [family in 4 | 6]: readonly [local: number, remote: number] }
}

/** The interfaces that peers are behind: those of `use`, if there are any, else all but those of `ignore`. */
export class InterfaceFilter {
  readonly #use: ReadonlySet<string>
  readonly #ignore: ReadonlySet<string>
  /** By index, as the kernel says. */
  readonly #names = new Map<number, string>()

  constructor(use: readonly string[] = [], ignore: readonly string[] = []) {
    this.#use = new Set(use)
    this.#ignore = new Set(ignore)
  }

  /** Whether there is anything that is not allowed. */
  get restricts(): boolean {
    return this.#use.size > 0 || this.#ignore.size > 0
  }

  allows(name: string): boolean {
    return this.#use.size > 0 ? this.#use.has(name) : !this.#ignore.has(name)
  }

  /** The same by the index of the interface; one whose name was never heard has none that is in use or ignored. */
  allowsIndex(ifindex: number): boolean {
    return !this.restricts || this.allows(this.#names.get(ifindex) ?? '')
  }

  /** An interface is there with this name, or is gone. */
  learn(ifindex: number, name: string | undefined): void {
    if (name === undefined) this.#names.delete(ifindex)
    else this.#names.set(ifindex, name)
  }
}

/** charon's defaults. */
export const defaultNetworkOptions: NetworkOptions = {
  routingTable: 0,
  rulePriority: undefined,
  ruleMark: undefined,
  ignoredTables: new Set(),
  interfaces: new InterfaceFilter(),
  preferTemporary: false,
  processRoute: true,
  roamEvents: true,
  metrics: { mtu: 0, mss: 0 },
  bufferBytes: 8 << 20,
  acquireSeconds: 165,
  policyHash: { 4: [32, 32], 6: [128, 128] },
}
