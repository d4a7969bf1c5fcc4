/** Name servers that gateways gave us, and who of us uses them. The host is told the whole list whenever it changes. */
import type { Core } from './core.ts'

/** One that the host shall ask. */
export interface NameServer {
  readonly address: string
  /** Where the packets to it leave, for resolvers that keep a list per interface. */
  readonly interface?: string
}

/** All that are in use. */
export class NameServers {
  readonly #core: Core
  readonly #users = new Map<object, readonly NameServer[]>()

  constructor(core: Core) {
    this.#core = core
  }

  /** With `updown_dns_handler` the scripts are told, and the host is not. */
  add(user: object, servers: readonly NameServer[]): void {
    if (servers.length === 0) return
    this.#users.set(user, servers)
    this.#tell()
  }

  /** Those of one user. */
  of(user: object): readonly NameServer[] {
    return this.#users.get(user) ?? []
  }

  remove(user: object): void {
    if (this.#users.delete(user)) this.#tell()
  }

  #tell(): void {
    if (this.#core.settings.updownDnsHandler) return
    const servers = new Map<string, NameServer>()
    for (const list of this.#users.values()) {
      for (const server of list) if (!servers.has(server.address)) servers.set(server.address, server)
    }
    this.#core.output({ kind: 'name-servers', servers: [...servers.values()] })
  }
}
