/** The loaded connections, and which of them fits a peer (CHARON rules: addresses first, identities later). */
import type { AddressPattern, ChildConfig, Connection } from '../config/connection.ts'
import { hasWildcards, type Identity, matchIdentity, type RdnMatching } from '../pki/identity.ts'
import { familyOf, parseAddress } from '../wire/address.ts'
import type { Endpoint } from '../wire/endpoint.ts'

/** A connection and its place in the order of loading, which replacing it does not change. */
interface Loaded {
  readonly connection: Connection
  readonly order: number
}

export class Connections {
  readonly #loaded = new Map<string, Loaded>()
  #order = 0
  /** Names of connections by what they are looked up for: a child's name, a peer's address, or any peer at all. */
  readonly #byChild = new Map<string, Set<string>>()
  readonly #byHost = new Map<string, Set<string>>()
  readonly #forAnybody = new Set<string>()
  readonly #withNames = new Set<string>()
  /** Addresses that host names in the configuration last resolved to. */
  readonly #resolved = new Map<string, readonly string[]>()

  /** Stores a connection under its name, in place of the one before, and returns that one. */
  put(connection: Connection): Connection | undefined {
    const { name } = connection
    const before = this.#loaded.get(name)
    if (before !== undefined) this.#forget(before.connection)
    this.#loaded.set(name, { connection, order: before?.order ?? this.#order++ })
    for (const child of connection.children) enter(this.#byChild, child.name, name)
    const hosts = connection.remoteAddresses.flatMap((pattern) => (pattern.kind === 'host' ? [pattern.address] : []))
    for (const host of hosts) enter(this.#byHost, host, name)
    // Subnets, names and %any have to be looked at for every peer.
    if (hosts.length < connection.remoteAddresses.length || hosts.length === 0) this.#forAnybody.add(name)
    if (namesIn(connection).length > 0) this.#withNames.add(name)
    return before?.connection
  }

  remove(name: string): Connection | undefined {
    const before = this.#loaded.get(name)?.connection
    if (before === undefined) return undefined
    this.#forget(before)
    this.#loaded.delete(name)
    return before
  }

  get(name: string): Connection | undefined {
    return this.#loaded.get(name)?.connection
  }

  /** All, in load order. */
  all(): Connection[] {
    return [...this.#loaded.values()].map(({ connection }) => connection)
  }

  /** The child of that name, in the named connection or the first that has one. */
  findChild(child: string, ike?: string): { connection: Connection; config: ChildConfig } | undefined {
    const names = ike === undefined ? (this.#byChild.get(child) ?? []) : [ike]
    const [first] = this.#inOrder(names)
    const config = first?.children.find(({ name }) => name === child)
    return first && config && { connection: first, config }
  }

  /** The host names in all connections. */
  hostNames(): string[] {
    const loaded = [...this.#withNames].flatMap((name) => this.#loaded.get(name)?.connection ?? [])
    return [...new Set(loaded.flatMap(namesIn))]
  }

  /** Whether a connection is for the very address of the peer, so that no host name has to be asked for it. */
  isForHost(local: Endpoint, remote: Endpoint): boolean {
    if (this.#withNames.size === 0) return true
    return this.#byHost.has(remote.address) && this.matching(local, remote).length > 0
  }

  resolved(name: string, addresses: readonly string[]): void {
    this.#resolved.set(name, addresses)
  }

  /** Connections whose addresses fit the two ends of a datagram, the best first, ties in load order. */
  matching(local: Endpoint, remote: Endpoint): Connection[] {
    const scored: { connection: Connection; score: number }[] = []
    const possible = new Set([...(this.#byHost.get(remote.address) ?? []), ...this.#forAnybody])
    for (const connection of this.#inOrder(possible)) {
      if (connection.version === 1) continue
      const ours = this.#quality(connection.localAddresses, local, connection.localPort)
      const theirs = this.#quality(connection.remoteAddresses, remote, connection.remotePort)
      if (ours === 0 || theirs === 0) continue
      scored.push({ connection, score: 8 * ours + 16 * theirs + (connection.version === 2 ? 4 : 0) })
    }
    return scored.sort((a, b) => b.score - a.score).map(({ connection }) => connection)
  }

  #inOrder(names: Iterable<string>): Connection[] {
    const found = [...names].flatMap((name) => this.#loaded.get(name) ?? [])
    return found.sort((a, b) => a.order - b.order).map(({ connection }) => connection)
  }

  #forget({ name, children, remoteAddresses }: Connection): void {
    for (const child of children) leave(this.#byChild, child.name, name)
    for (const pattern of remoteAddresses) if (pattern.kind === 'host') leave(this.#byHost, pattern.address, name)
    this.#forAnybody.delete(name)
    this.#withNames.delete(name)
  }

  /** 0 no match; 1 any; prefix + 1 for a subnet; 129 for the very host; one more if the port is the configured one. */
  #quality(patterns: readonly AddressPattern[], endpoint: Endpoint, port: number): number {
    let best = patterns.length === 0 ? 1 : 0
    for (const pattern of patterns) best = Math.max(best, this.#one(pattern, endpoint.address))
    return best > 0 && endpoint.port === port ? best + 1 : best
  }

  #one(pattern: AddressPattern, address: string): number {
    switch (pattern.kind) {
      case 'any':
        return pattern.family === undefined || pattern.family === familyOf(address) ? 1 : 0
      case 'host':
        return pattern.address === address ? 129 : 0
      case 'name':
        return this.#resolved.get(pattern.name)?.includes(address) ? 129 : 0
      case 'range': {
        const [from, to, at] = [parseAddress(pattern.from), parseAddress(pattern.to), parseAddress(address)]
        if (!from || !to || !at || from.length !== at.length) return 0
        if (Buffer.compare(from, at) > 0 || Buffer.compare(at, to) > 0) return 0
        return (prefixOf(from, to) ?? 0) + 1
      }
    }
  }
}

function namesIn({ localAddresses, remoteAddresses }: Connection): string[] {
  return [...localAddresses, ...remoteAddresses].flatMap((one) => (one.kind === 'name' ? [one.name] : []))
}

function enter(index: Map<string, Set<string>>, key: string, name: string): void {
  const names = index.get(key)
  if (names === undefined) index.set(key, new Set([name]))
  else names.add(name)
}

function leave(index: Map<string, Set<string>>, key: string, name: string): void {
  const names = index.get(key)
  if (names?.delete(name) && names.size === 0) index.delete(key)
}

/** The prefix length if a range is a subnet. */
function prefixOf(from: Uint8Array, to: Uint8Array): number | undefined {
  let bits = 0
  let inPrefix = true
  for (let i = 0; i < from.length * 8; i++) {
    const a = ((from[i >> 3] ?? 0) >> (7 - (i & 7))) & 1
    const b = ((to[i >> 3] ?? 0) >> (7 - (i & 7))) & 1
    if (inPrefix && a === b) bits++
    else if (a === 0 && b === 1) inPrefix = false
    else return undefined
  }
  return bits
}

/**
 * Of connections that fit by address, those that fit the identities of IKE_AUTH as well. One goes before another when
 * it is at least as good on addresses and identities and better on one; the order of `candidates` breaks ties.
 * @param idr who the initiator wants to talk to, if it said so
 */
export function fitting(
  candidates: readonly Connection[],
  idr: Identity | undefined,
  idi: Identity,
  rdnMatching: RdnMatching,
): Connection[] {
  const scored: { connection: Connection; score: number }[] = []
  for (const connection of candidates) {
    const ours = connection.local[0]?.id
    const theirs = connection.remote[0]?.id
    const mine =
      idr === undefined || ours === undefined || 'regex' in ours
        ? 1
        : Math.max(matchIdentity(idr, ours, rdnMatching), hasWildcards(idr) ? matchIdentity(ours, idr, rdnMatching) : 0)
    const yours = theirs === undefined ? 1 : matchIdentity(idi, theirs, rdnMatching)
    if (mine === 0 || yours === 0) continue
    scored.push({ connection, score: mine + yours })
  }
  return scored.sort((a, b) => b.score - a.score).map(({ connection }) => connection)
}
