/** swanctl.conf as a tree, and the usual one of the two hosts: each reaches the network behind the other with a secret. */

/** A section: keys with values, and sections. What is undefined is left out. */
export interface Conf {
  readonly [key: string]: string | number | Conf | undefined
}

/** What differs from the usual configuration, of both hosts or of one. */
export interface Different {
  /** Settings of the connection `net`. `moon_addrs` and `sun_addrs` stand for local and remote ones. */
  readonly conn?: Conf
  /** Settings of its child `net`; undefined for a connection without it. `moon_ts` and `sun_ts` stand for local and remote ones. */
  readonly child?: Conf | undefined
  /** Further children. */
  readonly children?: Readonly<Record<string, Conf>>
  /** Further connections, each as `net` is but for its settings and children. */
  readonly conns?: Readonly<Record<string, Pick<Different, 'conn' | 'child' | 'children'>>>
  /** Further sections beside `connections`: pools, secrets. */
  readonly beside?: Conf
}

/** The files of both hosts. */
export interface Confs {
  readonly moon: Conf
  readonly sun: Conf
}

type Name = keyof Confs

/** swanctl.conf of both hosts: as usual, but for what differs on both, and then on each. */
export function confs(both: Different, { moon = {}, sun = {} }: { moon?: Different; sun?: Different } = {}): Confs {
  return { moon: swanctlConf('moon', both, moon), sun: swanctlConf('sun', both, sun) }
}

function swanctlConf(name: Name, ...parts: readonly Different[]): Conf {
  const others = parts.flatMap(({ conns = {} }) => Object.entries(conns))
  const names = [...new Set(others.map(([conn]) => conn))]
  return {
    connections: {
      net: connection(name, 'net', parts),
      ...Object.fromEntries(
        names.map((conn) => [
          conn,
          connection(
            name,
            conn,
            others.filter(([is]) => is === conn).map(([, part]) => part),
          ),
        ]),
      ),
    },
    ...parts.map(({ beside = {} }) => beside).reduce(merged, { secrets: { 'ike-lab': { secret } } }),
  }
}

function connection(name: Name, conn: string, parts: readonly Different[]): Conf {
  const other = name === 'moon' ? 'sun' : 'moon'
  const hasOwn = !parts.some((part) => 'child' in part && part.child === undefined)
  const own = hasOwn ? { [conn]: parts.map(({ child = {} }) => child).reduce(merged, {}) } : {}
  const children: Conf = parts.map((part) => part.children ?? {}).reduce<Conf>(merged, own)
  const usual: Conf = {
    version: 2,
    moon_addrs: '192.168.0.1',
    sun_addrs: '192.168.0.2',
    proposals: 'aes128gcm16-prfsha256-x25519',
    local: { auth: 'psk', id: `${name}.lab.test` },
    remote: { auth: 'psk', id: `${other}.lab.test` },
  }
  return {
    ...sided(name, parts.map((part) => part.conn ?? {}).reduce(merged, usual)),
    children: Object.fromEntries(
      Object.entries(children).map(([child, settings]) => [
        child,
        sided(
          name,
          merged({ moon_ts: '10.1.0.0/16', sun_ts: '10.2.0.0/16', esp_proposals: 'aes128gcm16' }, settings as Conf),
        ),
      ]),
    ),
  }
}

const secret = '"a secret of the lab"'

/** Keys that begin with the name of a host, as that host's own and the other's. */
function sided(name: Name, conf: Conf): Conf {
  const word = (key: string): string => {
    const [, host, rest] = /^(moon|sun)_(.*)$/.exec(key) ?? []
    return rest === undefined ? key : `${host === name ? 'local' : 'remote'}_${rest}`
  }
  return Object.fromEntries(Object.entries(conf).map(([key, value]) => [word(key), value]))
}

/** The second over the first, section by section. */
export function merged(first: Conf, second: Conf): Conf {
  const result: Record<string, string | number | Conf | undefined> = { ...first }
  for (const [key, value] of Object.entries(second)) {
    const before = result[key]
    result[key] = typeof value === 'object' && typeof before === 'object' ? merged(before, value) : value
  }
  return result
}

/** The text of a tree. */
export function confText(conf: Conf, indent = ''): string {
  return Object.entries(conf)
    .map(([key, value]) => {
      if (value === undefined) return ''
      if (typeof value !== 'object') return `${indent}${key} = ${value}\n`
      return `${indent}${key} {\n${confText(value, `${indent}  `)}${indent}}\n`
    })
    .join('')
}
