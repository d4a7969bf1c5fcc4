/**
 * The network of strongSwan's test scenarios: its hosts as namespaces on three bridges, with the addresses that their own
 * configuration in the source tree gives them.
 *
 *     alice venus            carol dave winnetou            bob
 *        │    │                 │    │    │                  │
 *     ───┴────┴── 10.1 ── moon ─┴────┴────┴── 192.168.0 ── sun ── 10.2 ──
 *                         eth1 eth0         eth0 eth1
 *
 * A host has its own mounts, processes and name. Its /etc is what the root has, below that of all hosts, its own, and the
 * scenario's; what is written there vanishes with the host.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { batch, inNamespace } from '../lab/hosts.ts'
import { Shell } from '../lab/shell.ts'
import { readInterfaces } from './grammar.ts'

export type DaemonName = 'sallyport' | 'charon'

/** A host that is there. */
export interface SiteHost {
  readonly name: string
  readonly shell: Shell
  /** Its own folder: `log` is its /var/log, `tmp` its /tmp. */
  readonly folder: string
}

/** What a scenario wants. */
export interface SitePlan {
  readonly hosts: readonly string[]
  /** The IKE daemon of each host that has one. */
  readonly daemons: Readonly<Record<string, DaemonName>>
  /** Files of the scenario for a host: a folder with `etc` in it, or none. */
  readonly files: (host: string) => string | undefined
}

export interface Site {
  readonly hosts: ReadonlyMap<string, SiteHost>
  readonly close: () => Promise<void>
}

/** Bridge by interface of each host. */
const cables: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  alice: { eth0: 'br1', eth1: 'br0' },
  venus: { eth0: 'br1' },
  moon: { eth0: 'br0', eth1: 'br1' },
  carol: { eth0: 'br0' },
  winnetou: { eth0: 'br0' },
  dave: { eth0: 'br0' },
  sun: { eth0: 'br0', eth1: 'br2' },
  bob: { eth0: 'br2' },
}

/** The hosts' default gateway, which forwards nothing. */
const bridges: Readonly<Record<string, string>> = {
  br0: '192.168.0.254/24',
  br1: '10.1.0.254/16',
  br2: '10.2.0.254/16',
}

/** All hosts that there can be. */
export const hostNames: readonly string[] = Object.keys(cables)

/** Where the hosts' layers are kept: on memory of the guest, which their mounts can lie on. */
const base = '/tmp/upstream'
const path = '/sallyport/interop/upstream/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Copies what is the same in all scenarios from the prepared tree. To be done once. */
export function layFoundations(prepared: string): void {
  writeFileSync('/proc/sys/net/unix/max_dgram_qlen', '512') // as systemd does, for bursts of log lines
  rmSync(base, { recursive: true, force: true })
  const hosts = join(prepared, 'testing/hosts')
  cpSync('/etc', join(base, 'layers/root'), { recursive: true, verbatimSymlinks: true })
  writeFileSync(join(base, 'layers/root/resolv.conf'), '') // nobody answers: names are in /etc/hosts
  for (const name of ['default', ...hostNames]) {
    cpSync(join(hosts, name, 'etc'), join(base, 'layers', name), { recursive: true, dereference: true })
  }
  // Anybody may come in as root, as the hosts' sshd_config means it.
  const shadow = join(base, 'layers/root/shadow')
  writeFileSync(shadow, readFileSync(shadow, 'utf8').replace(/^root:[^:]*:/m, 'root::'))
  cpSync(join(hosts, 'default/root'), join(base, 'root'), { recursive: true })
  cpSync(join(hosts, 'default/usr/local'), join(base, 'local'), { recursive: true, dereference: true })
  mkdirSync(join(base, 'local/libexec/ipsec'), { recursive: true })
  cpSync('/usr/lib/ipsec/_updown', join(base, 'local/libexec/ipsec/_updown'))
}

/** Makes the hosts of a scenario. */
export async function openSite(prepared: string, plan: SitePlan): Promise<Site> {
  const outer = new Shell(['bash', '--norc'])
  const shells: Shell[] = []
  const remove = `for n in wire ${hostNames.join(' ')}; do ip netns delete $n 2>/dev/null; done`
  const close = async (): Promise<void> => {
    for (const shell of shells) shell.kill()
    await outer.run(`kill $sockets; wait; ${remove}; rm -rf ${base}/hosts; true`)
    outer.kill()
  }
  try {
    await outer.run(remove)
    const folders = plan.hosts.map((name) => prepareFolder(name, plan))
    await outer.must(batch([], network(plan.hosts)))
    const wire = inNamespace('wire', 'bash --norc')
    shells.push(wire)
    await wire.must(wireUp(plan.hosts))
    await outer.must(
      `mkfifo ${base}/hosts/ready; perl /sallyport/interop/upstream/bin/log-sockets ${folders.join(' ')} >${base}/hosts/ready & ` +
        `sockets=$!; read line <${base}/hosts/ready; [ "$line" = listening ]`,
    )
    const hosts = plan.hosts.map((name): SiteHost => {
      const own = 'unshare --mount --propagation unchanged --uts --pid --fork --kill-child --mount-proc bash --norc'
      const shell = inNamespace(name, own)
      shells.push(shell)
      return { name, shell, folder: join(base, 'hosts', name) }
    })
    await Promise.all(hosts.map((host) => host.shell.must(hostUp(host, prepared), 60_000)))
    return { hosts: new Map(hosts.map((host) => [host.name, host])), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The folder that the host's mounts lie on. */
function prepareFolder(name: string, plan: SitePlan): string {
  const folder = join(base, 'hosts', name)
  for (const part of ['run/network', 'run/sshd', 'tmp', 'log', 'dev/net', 'upper', 'work', 'scenario']) {
    mkdirSync(join(folder, part), { recursive: true })
  }
  const files = plan.files(name)
  if (files !== undefined) cpSync(files, join(folder, 'scenario'), { recursive: true })
  const daemon = plan.daemons[name]
  if (daemon !== undefined) writeFileSync(join(folder, 'run/ike-daemon'), daemon)
  return folder
}

function network(hosts: readonly string[]): string[] {
  return [
    ...['wire', ...hosts].map((name) => `netns add ${name}`),
    ...hosts.flatMap((name) =>
      Object.keys(cables[name] ?? {}).map(
        (device) => `link add ${device} netns ${name} type veth peer name ${name}-${device} netns wire`,
      ),
    ),
  ]
}

function wireUp(hosts: readonly string[]): string {
  return [
    'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 0 > /proc/sys/net/ipv4/ip_forward',
    batch(
      [],
      [
        ...Object.entries(bridges).flatMap(([bridge, address]) => [
          `link add ${bridge} type bridge mcast_snooping 0`,
          `address add ${address} dev ${bridge}`,
          `link set ${bridge} up`,
        ]),
        ...hosts.flatMap((name) =>
          Object.entries(cables[name] ?? {}).flatMap(([device, bridge]) => [
            `link set ${name}-${device} master ${bridge}`,
            `link set ${name}-${device} up`,
          ]),
        ),
      ],
    ),
  ].join('\n')
}

/** Addresses at once usable, forwarding, mounts; and `remote`, which does with its words what ssh to the host would. */
function hostUp({ name, folder }: SiteHost, prepared: string): string {
  const interfaces = readInterfaces(
    readFileSync(join(prepared, 'testing/hosts', name, 'etc/network/interfaces'), 'utf8'),
  )
  const up = interfaces.filter(({ auto }) => auto)
  const layers = ['root', 'default', name].map((layer) => join(base, 'layers', layer))
  const lower = [join(folder, 'scenario/etc'), ...layers.reverse()].filter((layer) => existsSync(layer))
  return [
    'set -e',
    `hostname ${name}`,
    'sysctl() { echo "$2" > /proc/sys/$1; }',
    'for c in all default; do sysctl net/ipv6/conf/$c/accept_dad 0; sysctl net/ipv6/conf/$c/accept_ra 0; done',
    'sysctl net/ipv6/conf/default/router_solicitations 0; sysctl net/ipv4/ip_forward 1; sysctl net/ipv6/conf/all/forwarding 1',
    batch(
      [],
      [
        'link set lo up',
        ...up.flatMap((one) => [
          `link set ${one.name} up`,
          ...one.addresses.map((at) => `address add ${at} ${at.includes(':') ? '' : 'brd +'} dev ${one.name}`),
          ...(one.gateway === undefined ? [] : [`route add default via ${one.gateway}`]),
        ]),
      ],
    ),
    // ifupdown is to know what is up already.
    `printf '%s\\n' lo=lo ${up.map((one) => `${one.name}=${one.name}`).join(' ')} > ${folder}/run/network/ifstate`,
    // A kernel that was built for little may have no overlays.
    `mount -t overlay etc -o lowerdir=${lower.join(':')},upperdir=${folder}/upper,workdir=${folder}/work /etc 2>/dev/null ||
      { ${lower
        .toReversed()
        .map((layer) => `cp -a ${layer}/. ${folder}/upper`)
        .join(' && ')} && mount --bind ${folder}/upper /etc; }`,
    `for d in null zero full random urandom tty net/tun; do [ -e /dev/$d ] && cp -a /dev/$d ${folder}/dev/$d; done; true`,
    `ln -s /proc/self/fd ${folder}/dev/fd; mkdir -p ${folder}/dev/pts ${folder}/dev/shm`,
    `mount --bind ${folder}/dev /dev`,
    `mount --bind ${folder}/run /run`,
    `mount --bind ${folder}/log /var/log`,
    `mount --bind ${base}/local /usr/local`,
    `mount --bind ${base}/root /root`,
    `mount --bind ${folder}/tmp /tmp`,
    `export PATH=${path} STRONGSWAN_CONF=/etc/strongswan.conf.testing SWANCTL_DIR=/etc/swanctl HOME=/root`,
    'unset -f sysctl',
    'remote() { ( cd /root; eval "$*" ); }',
    'set +e',
  ].join('\n')
}
