/** The loaded connections, and which of them fits a peer (CHARON rules: addresses first, identities later). */
import type { AddressPattern, ChildConfig, Connection } from '../config/connection.ts'
import { hasWildcards, type Identity, matchIdentity, type RdnMatching } from '../pki/identity.ts'
import { familyOf, parseAddress } from '../wire/address.ts'
import type { Endpoint } from '../wire/endpoint.ts'

export class Connections {
  readonly #connections = new Map<string, Connection>()
  /** Addresses that host names in the configuration last resolved to. */
  readonly #resolved = new Map<string, readonly string[]>()

  /** Stores a connection under its name, in place of the one before, and returns that one. */
  put(connection: Connection): Connection | undefined {
    const before = this.#connections.get(connection.name)
    this.#connections.set(connection.name, connection)
    return before
  }

  remove(name: string): Connection | undefined {
    const before = this.#connections.get(name)
    this.#connections.delete(name)
    return before
  }

  get(name: string): Connection | undefined {
    return this.#connections.get(name)
  }

  /** All, in load order. */
  all(): Connection[] {
    return [...this.#connections.values()]
  }

  /** The child of that name, in the named connection or the first that has one. */
  findChild(child: string, ike?: string): { connection: Connection; config: ChildConfig } | undefined {
    for (const connection of this.#connections.values()) {
      if (ike !== undefined && connection.name !== ike) continue
      const config = connection.children.find(({ name }) => name === child)
      if (config !== undefined) return { connection, config }
    }
    return undefined
  }

  resolved(name: string, addresses: readonly string[]): void {
    this.#resolved.set(name, addresses)
  }

  /** Connections whose addresses fit the two ends of a datagram, the best first, ties in load order. */
  matching(local: Endpoint, remote: Endpoint): Connection[] {
    const scored: { connection: Connection; score: number }[] = []
    for (const connection of this.#connections.values()) {
      if (connection.version === 1) continue
      const ours = this.#quality(connection.localAddresses, local, connection.localPort)
      const theirs = this.#quality(connection.remoteAddresses, remote, connection.remotePort)
      if (ours === 0 || theirs === 0) continue
      scored.push({ connection, score: 8 * ours + 16 * theirs + (connection.version === 2 ? 4 : 0) })
    }
    return scored.sort((a, b) => b.score - a.score).map(({ connection }) => connection)
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
