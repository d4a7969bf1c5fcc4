/**
 * Pools of addresses for clients, and who has which (CHARON 2.12). An address belongs to an identity also while nobody
 * uses it, so that a client that comes back finds its own; only a pool without a fresh address takes it away.
 */
import type { Pool } from '../config/pools.ts'
import { formatIdentity, type Identity } from '../pki/identity.ts'
import { formatAddress, parseAddress } from '../wire/address.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { Core } from './core.ts'
import type { PoolView } from './view.ts'

/** Who uses a lease: an IKE SA. `remote` is where its peer is now. */
export interface LeaseHolder {
  readonly remote: Endpoint
}

/** An address of a pool and its owner; online while somebody holds it. */
export interface Lease {
  readonly pool: LoadedPool
  readonly address: string
  identity: Identity
  readonly holders: Set<LeaseHolder>
}

/** A pool with all leases it ever gave. */
export class LoadedPool {
  /** The same addresses may be loaded again with other attributes. */
  config: Pool
  readonly #base: bigint
  readonly family: 4 | 6
  /** In the order in which the addresses were first given out. */
  readonly #leases: Lease[] = []
  readonly #byIdentity = new Map<string, Lease[]>()
  /** Leases that nobody uses, the one that is free for the longest time first. */
  readonly #offline = new Set<Lease>()

  constructor(config: Pool) {
    this.config = config
    const base = parseAddress(config.base) ?? new Uint8Array(4)
    this.#base = BigInt(`0x${Buffer.from(base).toString('hex')}`)
    this.family = base.length === 16 ? 6 : 4
  }

  get online(): number {
    return this.#leases.length - this.#offline.size
  }

  /**
   * The identity's own lease: one in use from the same place (the client makes a new IKE SA before it deletes the old
   * one), else one that is free. A request for a certain address is met by that address only.
   */
  existing(identity: Identity, wanted: string | undefined, holder: LeaseHolder): Lease | undefined {
    const own = this.#byIdentity.get(keyOf(identity)) ?? []
    const fits = own.filter(
      ({ address, holders }) => (wanted === undefined || wanted === address) && !holders.has(holder),
    )
    const { address, port } = holder.remote
    const here = ({ remote }: LeaseHolder): boolean => remote.address === address && remote.port === port
    return fits.find(({ holders }) => [...holders].some(here)) ?? fits.find((lease) => this.#offline.has(lease))
  }

  /** An address that nobody had yet. */
  fresh(identity: Identity): Lease | undefined {
    const { length } = this.#leases
    if (length >= this.config.size) return undefined
    const hex = (this.#base + BigInt(length)).toString(16).padStart(this.family === 6 ? 32 : 8, '0')
    const address = formatAddress(new Uint8Array(Buffer.from(hex, 'hex')))
    const lease: Lease = { pool: this, address, identity, holders: new Set() }
    this.#leases.push(lease)
    this.#own(lease)
    return lease
  }

  /** Takes away the lease that is free for the longest time. */
  reassigned(identity: Identity): { readonly lease: Lease; readonly before: Identity } | undefined {
    const [lease] = this.#offline
    if (lease === undefined) return undefined
    const before = lease.identity
    const left = (this.#byIdentity.get(keyOf(before)) ?? []).filter((other) => other !== lease)
    if (left.length > 0) this.#byIdentity.set(keyOf(before), left)
    else this.#byIdentity.delete(keyOf(before))
    lease.identity = identity
    this.#own(lease)
    return { lease, before }
  }

  hold(lease: Lease, holder: LeaseHolder): void {
    lease.holders.add(holder)
    this.#offline.delete(lease)
  }

  /** True when nobody holds the lease any more. */
  release(lease: Lease, holder: LeaseHolder): boolean {
    if (!lease.holders.delete(holder) || lease.holders.size > 0) return false
    this.#offline.add(lease)
    return true
  }

  get view(): PoolView {
    const { name, base, size } = this.config
    const { online } = this
    const leases = this.#leases.map(({ address, identity, holders }) => ({
      address,
      identity,
      online: holders.size > 0,
    }))
    return { name, base, size, online, offline: leases.length - online, leases }
  }

  #own(lease: Lease): void {
    const key = keyOf(lease.identity)
    this.#byIdentity.set(key, [...(this.#byIdentity.get(key) ?? []), lease])
  }
}

/** All pools by name, in load order. */
export class Pools {
  readonly #core: Core
  readonly #pools = new Map<string, LoadedPool>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Loads a pool; the sentence says why it cannot be. The same addresses keep their leases. */
  load(config: Pool): string | undefined {
    const { name, base, size } = config
    const old = this.#pools.get(name)
    const same = old?.config.base === base && old.config.size === size
    if (old !== undefined && !same && old.online > 0) return `vici pool ${name} has online leases, unable to replace`
    if (old !== undefined && same) old.config = config
    else this.#pools.set(name, new LoadedPool(config))
    const done = old === undefined ? 'added' : same ? 'updated' : 'replaced'
    this.#core.log('CFG', 1, `${done} vici pool ${name}: ${base}, ${size} entries`)
    return undefined
  }

  /** Unloads a pool; the sentence says why it cannot be. */
  unload(name: string): string | undefined {
    const pool = this.#pools.get(name)
    if (pool === undefined) return `${name} not found`
    if (pool.online > 0) return `${name} has online leases, unable to unload`
    this.#pools.delete(name)
    this.#core.log('CFG', 1, `unloaded vici pool ${name}`)
    return undefined
  }

  views(name?: string): PoolView[] {
    return [...this.#pools.values()]
      .filter(({ config }) => name === undefined || name === config.name)
      .map((p) => p.view)
  }

  /** Addresses in use, of all pools. */
  get online(): number {
    return [...this.#pools.values()].reduce((sum, pool) => sum + pool.online, 0)
  }

  /**
   * An address of one of the pools `names` for a client at `holder.remote`: its own first, then a fresh one, then one
   * of somebody who is gone; undefined when there is none.
   * @param wanted the address that the client asks for, if it asks for a certain one
   */
  acquire(
    names: readonly string[],
    identity: Identity,
    family: 4 | 6,
    wanted: string | undefined,
    holder: LeaseHolder,
  ): Lease | undefined {
    const pools = names.flatMap((name) => this.#pools.get(name) ?? []).filter((pool) => pool.family === family)
    const lease =
      first(pools, (pool) => this.#existing(pool, identity, wanted, holder)) ??
      first(pools, (pool) => this.#fresh(pool, identity)) ??
      first(pools, (pool) => this.#reassigned(pool, identity))
    if (lease !== undefined) {
      lease.pool.hold(lease, holder)
      return lease
    }
    for (const { config } of pools) this.#log(`pool '${config.name}' is full, unable to assign address`)
    return undefined
  }

  /** The lease goes with its holder; the identity keeps it as long as it can. */
  release(lease: Lease, holder: LeaseHolder): void {
    if (!lease.pool.release(lease, holder)) return
    this.#log(`lease ${lease.address} by '${formatIdentity(lease.identity)}' went offline`)
  }

  /** A rekeyed IKE SA hands its lease to its successor. */
  pass(lease: Lease, from: LeaseHolder, to: LeaseHolder): void {
    lease.pool.hold(lease, to)
    lease.pool.release(lease, from)
  }

  #existing(pool: LoadedPool, identity: Identity, wanted: string | undefined, holder: LeaseHolder): Lease | undefined {
    const lease = pool.existing(identity, wanted, holder)
    if (lease === undefined) return undefined
    const how = lease.holders.size > 0 ? 'online' : 'offline'
    this.#log(`reassigning ${how} lease to '${formatIdentity(identity)}'`)
    return lease
  }

  #fresh(pool: LoadedPool, identity: Identity): Lease | undefined {
    const lease = pool.fresh(identity)
    if (lease !== undefined) this.#log(`assigning new lease to '${formatIdentity(identity)}'`)
    return lease
  }

  #reassigned(pool: LoadedPool, identity: Identity): Lease | undefined {
    const taken = pool.reassigned(identity)
    if (taken === undefined) return undefined
    this.#log(
      `reassigning existing offline lease by '${formatIdentity(taken.before)}' to '${formatIdentity(identity)}'`,
    )
    return taken.lease
  }

  #log(message: string): void {
    this.#core.log('CFG', 1, message)
  }
}

function first<T, R>(list: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of list) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

/** One text per identity; the letters of names and mail addresses count the same in either case. */
function keyOf(identity: Identity): string {
  return `${identity.type} ${formatIdentity(identity).toLowerCase()}`
}
