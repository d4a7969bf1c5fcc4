/**
 * All IKE SAs and the ways to find them, so that nothing on the path of a packet, a set-up or an event looks at every
 * one of thousands.
 */
import type { Connection } from '../config/connection.ts'
import { connectionKey } from '../config/equality.ts'
import type { Identity } from '../pki/identity.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'

export class SaTable {
  readonly #all = new Map<number, IkeSa>()
  readonly #byName = new Index<string, IkeSa>()
  readonly #byConnection = new Index<string, IkeSa>()
  readonly #byIdentities = new Index<string, IkeSa>()
  readonly #bySpi = new Index<number, ChildSa>()

  get size(): number {
    return this.#all.size
  }

  get(uniqueId: number): IkeSa | undefined {
    return this.#all.get(uniqueId)
  }

  /** Every IKE SA, the oldest first. */
  values(): IterableIterator<IkeSa> {
    return this.#all.values()
  }

  add(sa: IkeSa): void {
    this.#all.set(sa.uniqueId, sa)
  }

  /** Forgets an IKE SA in every index. */
  remove(sa: IkeSa): void {
    this.#all.delete(sa.uniqueId)
    this.connected(sa, sa.connection, undefined)
    const key = identitiesKey(sa.localId, sa.remoteId)
    if (key !== undefined) this.#byIdentities.remove(key, sa)
  }

  /** An IKE SA has another connection. */
  connected(sa: IkeSa, before: Connection | undefined, now: Connection | undefined): void {
    if (before !== undefined) {
      this.#byName.remove(before.name, sa)
      this.#byConnection.remove(connectionKey(before), sa)
    }
    if (now !== undefined) {
      this.#byName.add(now.name, sa)
      this.#byConnection.add(connectionKey(now), sa)
    }
  }

  /** Both sides of an IKE SA are known. */
  identified(sa: IkeSa): void {
    const key = identitiesKey(sa.localId, sa.remoteId)
    if (key !== undefined) this.#byIdentities.add(key, sa)
  }

  /** Those whose connection has this name. */
  named(name: string): readonly IkeSa[] {
    return this.#byName.of(name)
  }

  /** Those whose connection is equal to this one (CHARON 4.9), whatever its name. */
  ofConnection(connection: Connection): readonly IkeSa[] {
    return this.#byConnection.of(connectionKey(connection))
  }

  /** Those that are established between these identities. */
  between(us: Identity | undefined, peer: Identity | undefined): readonly IkeSa[] {
    const key = identitiesKey(us, peer)
    return key === undefined ? [] : this.#byIdentities.of(key).filter(({ state }) => state === 'ESTABLISHED')
  }

  addChild(child: ChildSa): void {
    this.#bySpi.add(child.spiIn, child)
    if (child.spiOut !== child.spiIn) this.#bySpi.add(child.spiOut, child)
  }

  removeChild(child: ChildSa): void {
    this.#bySpi.remove(child.spiIn, child)
    this.#bySpi.remove(child.spiOut, child)
  }

  /** Children with this SPI, in either direction: ours is unique, a peer may choose what another chose. */
  withSpi(spi: number): readonly ChildSa[] {
    return this.#bySpi.of(spi)
  }
}

/** Values by a key that several may share, in the order in which they came. */
class Index<K, V> {
  readonly #sets = new Map<K, Set<V>>()

  add(key: K, value: V): void {
    const set = this.#sets.get(key)
    if (set === undefined) this.#sets.set(key, new Set([value]))
    else set.add(value)
  }

  remove(key: K, value: V): void {
    const set = this.#sets.get(key)
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key)
  }

  of(key: K): readonly V[] {
    return [...(this.#sets.get(key) ?? [])]
  }
}

function identitiesKey(us: Identity | undefined, peer: Identity | undefined): string | undefined {
  if (us === undefined || peer === undefined) return undefined
  const text = ({ type, data }: Identity) => `${type}:${Buffer.from(data).toString('base64')}`
  return `${text(us)} ${text(peer)}`
}
