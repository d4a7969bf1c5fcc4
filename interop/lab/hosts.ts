/**
 * The hosts of a scenario: network namespaces on one bridge, each with its own /run and /etc.
 *
 *     10.1.0.0/16 ── moon ──┐                  ┌── sun ── 10.2.0.0/16
 *     fec1::/16   192.168.0.1 ── the wire ── 192.168.0.2   fec2::/16
 *                   fec0::1     (captured)    fec0::2
 *
 * or, with moon (likewise sun) behind a NAT:
 *
 *     moon ── nat ── the wire ── sun
 *     172.16.0.2   192.168.0.9
 *
 * or with both behind NATs, of which sun's lets everything in:
 *
 *     moon ── nat ── the wire ── nat2 ── sun
 *     172.16.0.2   192.168.0.9  192.168.0.8  172.17.0.2
 *
 * or with the networks on clients of their own, so that moon and sun are gateways:
 *
 *     alice ── moon ── the wire ── sun ── bob
 *     10.1.0.10                           10.2.0.10
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { translateTo } from './nat.ts'
import type { RootName } from './root.ts'
import { Shell } from './shell.ts'

export type HostName = 'moon' | 'sun'
export type Family = 'ipv4' | 'ipv6'

/** Where a host is in the network. */
export interface Place {
  /** Its own address on its interface `eth0`, by family. */
  readonly outside: Readonly<Record<Family, string>>
  /** The address that others see. Differs from `outside` behind a NAT. */
  readonly seen: Readonly<Record<Family, string>>
  /** The network behind it and an address in it, by family. */
  readonly network: Readonly<Record<Family, string>>
  readonly inside: Readonly<Record<Family, string>>
}

/** A host: commands run in its namespaces, and `folder` holds what it sees as /run and as files below /etc. */
export interface Host<Name extends string = HostName> {
  readonly name: Name
  readonly shell: Shell
  readonly place: Place
  /** Seen from outside the host; `/run` of the host is `folder/run`. */
  readonly folder: string
  /** Where the root of its daemon is mounted. */
  readonly root: string
  /** Where packets of the network behind the host start: the host itself, or a client behind it. */
  readonly client: Shell
}

/** Everything that `layOut` made. */
export interface Ground {
  readonly moon: Host
  readonly sun: Host
  /** The shell at the bridge between the hosts, where captures are taken. */
  readonly wire: Shell
  readonly close: () => Promise<void>
}

/** What a scenario wants of its hosts. */
export interface Layout {
  /** The host that is behind a NAT, or both. */
  readonly nat?: HostName | 'both'
  /** The NAT of the host, or sun's, passes everything on to it: it can be reached. */
  readonly forwards?: boolean
  /** The roots of hosts whose daemon is not in the usual one. */
  readonly roots: Partial<Readonly<Record<HostName, RootName>>>
  /** The networks are behind the hosts (alice behind moon, bob behind sun) instead of on them. */
  readonly clients: boolean
}

const numbers: Readonly<Record<HostName, number>> = { moon: 1, sun: 2 }
const other: Readonly<Record<HostName, HostName>> = { moon: 'sun', sun: 'moon' }
const clients: Readonly<Record<HostName, string>> = { moon: 'alice', sun: 'bob' }
const all = 'moon sun wire nat nat2 alice bob'

/** Makes the hosts. `folder` is theirs and must be on the guest's own memory. */
export async function layOut(folder: string, layout: Layout): Promise<Ground> {
  const outer = new Shell(['bash', '--norc'])
  const shells: Shell[] = [outer]
  const close = async (): Promise<void> => {
    for (const shell of shells.slice(1)) shell.kill()
    await outer.run(`for n in ${all}; do ip netns delete $n 2>/dev/null; done`)
    outer.kill()
  }
  try {
    await outer.run(`for n in ${all}; do ip netns delete $n 2>/dev/null; done`)
    await outer.must(batch([], namespaces(layout)))
    const wire = inNamespace('wire', 'bash --norc')
    shells.push(wire)
    const hosts = (['moon', 'sun'] as const).map((name): Host => {
      const own = join(folder, name)
      const other = layout.roots[name]
      const root = other === undefined ? '/' : `/mnt/${other}`
      mkdirSync(join(own, 'run'), { recursive: true })
      const shell = inNamespace(
        name,
        'unshare --mount --propagation unchanged --pid --fork --kill-child --mount-proc bash --norc',
      )
      shells.push(shell)
      const client = layout.clients ? inNamespace(clients[name], 'bash --norc') : shell
      if (layout.clients) shells.push(client)
      return { name, shell, place: place(name, layout), folder: own, root, client }
    })
    const [moon, sun] = hosts as [Host, Host]
    await Promise.all([
      wire.must(wireUp(layout)),
      ...hosts.filter(({ name }) => isBehindNat(name, layout)).map(({ name }) => natUp(name, layout, shells)),
      ...hosts.map((host) => host.shell.must(hostUp(host, layout))),
      ...(layout.clients ? hosts.map((host) => host.client.must(clientUp(host))) : []),
    ])
    return { moon, sun, wire, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Writes a file that the host sees at `path` once it is mounted with `mountFiles`. */
export function writeHostFile(host: Host<string>, path: string, content: string, mode = 0o644): void {
  const file = join(host.folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content, { mode })
}

/** Mounts the host's own files and folders over those of its root. */
export async function mountFiles(host: Host<string>, paths: readonly string[]): Promise<void> {
  const mounts = paths.flatMap((path) =>
    [...new Set(['/', host.root])]
      // What there is for a daemon in another root only is no file of the usual one.
      .map((root) => join(root, path))
      .filter((point) => existsSync(point))
      .map((point) => `mount --bind ${join(host.folder, path)} ${point}`),
  )
  await host.shell.must(mounts.join(' && '))
}

/** A shell in a network namespace; `command` ends in a bash. */
export function inNamespace(name: string, command: string): Shell {
  return new Shell(['nsenter', `--net=/run/netns/${name}`, ...(command.split(' ') as [string])])
}

/** A command that has ip run lines, all in one process. */
export function batch(options: readonly string[], lines: readonly string[]): string {
  return `ip ${options.join(' ')} -batch - <<'END'\n${lines.join('\n')}\nEND`
}

function isBehindNat(name: HostName, { nat }: Layout): boolean {
  return nat === name || nat === 'both'
}

/** The NAT of a host: its namespace, the addresses of its outer side and of the network within, its hardware address. */
function natOf(name: HostName, { nat }: Layout): { is: string; address: string; within: string; mac: number } {
  return nat === 'both' && name === 'sun'
    ? { is: 'nat2', address: '192.168.0.8', within: '172.17.0', mac: 8 }
    : { is: 'nat', address: '192.168.0.9', within: '172.16.0', mac: 9 }
}

function namespaces(layout: Layout): string[] {
  const nats = (['moon', 'sun'] as const).filter((name) => isBehindNat(name, layout)).map((name) => natOf(name, layout))
  const cable = (near: string, far: string, device: string, mac: number): string =>
    `link add ${device} address 02:00:00:00:00:0${mac} netns ${near} type veth peer name ${near} netns ${far}`
  return [
    ...['moon', 'sun', 'wire', ...nats.map(({ is }) => is), ...(layout.clients ? ['alice', 'bob'] : [])].map(
      (name) => `netns add ${name}`,
    ),
    ...(['moon', 'sun'] as const).map((name) =>
      cable(name, isBehindNat(name, layout) ? natOf(name, layout).is : 'wire', 'eth0', numbers[name]),
    ),
    ...nats.map(({ is, mac }) => cable(is, 'wire', 'eth0', mac)),
    ...(layout.clients
      ? (['moon', 'sun'] as const).map(
          (name) => `link add inside netns ${name} type veth peer name eth0 netns ${clients[name]}`,
        )
      : []),
  ]
}

function place(name: HostName, layout: Layout): Place {
  const n = numbers[name]
  const { address, within } = isBehindNat(name, layout)
    ? natOf(name, layout)
    : { address: `192.168.0.${n}`, within: undefined }
  return {
    outside: { ipv4: within === undefined ? address : `${within}.2`, ipv6: `fec0::${n}` },
    seen: { ipv4: address, ipv6: `fec0::${n}` },
    network: { ipv4: `10.${n}.0.0/16`, ipv6: `fec${n}::/16` },
    inside: { ipv4: `10.${n}.0.10`, ipv6: `fec${n}::10` },
  }
}

function wireUp(layout: Layout): string {
  const ports = (['moon', 'sun'] as const).map((name) => (isBehindNat(name, layout) ? natOf(name, layout).is : name))
  return [
    'sysctl() { echo "$2" > /proc/sys/$1; }',
    'sysctl net/ipv6/conf/all/disable_ipv6 1; sysctl net/ipv6/conf/default/disable_ipv6 1',
    batch(
      [],
      [
        'link add wire type bridge mcast_snooping 0',
        'link set wire up',
        ...ports.flatMap((port) => [`link set ${port} master wire`, `link set ${port} up`]),
      ],
    ),
  ].join('\n')
}

async function natUp(behind: HostName, layout: Layout, shells: Shell[]): Promise<void> {
  const { is, address, within } = natOf(behind, layout)
  const isOpen = layout.forwards === true && (layout.nat !== 'both' || behind === 'sun')
  const shell = inNamespace(is, 'bash --norc')
  shells.push(shell)
  await shell.must(
    [
      'set -e',
      batch(
        [],
        [
          'link set lo up',
          `link set ${behind} up`,
          'link set eth0 up',
          `address add ${within}.1/24 dev ${behind}`,
          `address add ${address}/24 dev eth0`,
        ],
      ),
      'echo 1 > /proc/sys/net/ipv4/ip_forward',
      'set +e',
      translateTo(address, isOpen ? `${within}.2` : undefined),
    ].join('\n'),
  )
}

/** Fixed neighbours and no duplicate detection: nothing but the test's own packets is to be on the wire. */
function hostUp(host: Host, layout: Layout): string {
  const { name, place: at } = host
  const n = numbers[name]
  const peer = place(other[name], layout)
  const gateway = isBehindNat(name, layout) ? `${natOf(name, layout).within}.1` : peer.seen.ipv4
  const neighbour = (address: string, mac: number): string =>
    `neighbour add ${address} lladdr 02:00:00:00:00:0${mac} dev eth0 nud permanent`
  return [
    'set -e',
    'sysctl() { echo "$2" > /proc/sys/$1; }',
    'for c in all default; do sysctl net/ipv6/conf/$c/accept_dad 0; sysctl net/ipv6/conf/$c/accept_ra 0; done',
    'sysctl net/ipv6/conf/default/router_solicitations 0; sysctl net/ipv4/ip_forward 1; sysctl net/ipv6/conf/all/forwarding 1',
    batch(
      [],
      [
        'link set lo up',
        'link set eth0 up',
        ...(layout.clients ? [] : ['link add inside type veth peer name inner', 'link set inner up']),
        'link set inside up',
        `address add ${at.outside.ipv4}/24 dev eth0`,
        `address add fec0::${n}/64 dev eth0 nodad`,
        `address add 10.${n}.0.${layout.clients ? 1 : 10}/16 dev inside`,
        `address add fec${n}::${layout.clients ? 1 : 10}/16 dev inside nodad`,
        ...(layout.nat ? [] : [neighbour(peer.outside.ipv4, numbers[other[name]])]),
        neighbour(peer.outside.ipv6, numbers[other[name]]),
        `route add default via ${gateway}`,
        `route add default via ${peer.outside.ipv6}`,
      ],
    ),
    `mount --bind ${host.folder}/run /run`,
    ...(host.root === '/'
      ? []
      : [
          `mount --bind ${host.folder}/run ${host.root}/run`,
          `mount --bind /dev ${host.root}/dev`,
          `mount -t proc proc ${host.root}/proc`,
          `mount -t sysfs sys ${host.root}/sys`,
          `mount -t tmpfs tmp ${host.root}/tmp`,
        ]),
    'set +e',
  ].join('\n')
}

function clientUp({ name }: Host): string {
  const n = numbers[name]
  return batch(
    [],
    [
      'link set lo up',
      'link set eth0 up',
      `address add 10.${n}.0.10/16 dev eth0`,
      `address add fec${n}::10/16 dev eth0 nodad`,
      `route add default via 10.${n}.0.1`,
      `route add default via fec${n}::1`,
    ],
  )
}
