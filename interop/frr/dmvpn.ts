/**
 * A hub and two spokes with FRRouting's nhrpd, which asks for tunnels through VICI: GRE in ESP transport mode.
 *
 *     10.1.0.0/16 ─ hub   192.168.0.1 ─┐
 *     10.2.0.0/16 ─ left  192.168.0.2 ─┼─ the wire       gre1 on each: 10.255.0.N, one network over all three
 *     10.3.0.0/16 ─ right 192.168.0.3 ─┘
 *
 * The spokes register with the hub. A packet from one to the other goes by the hub, which says that there is a shorter
 * way: the spokes find each other (RFC 2332), make a tunnel of their own, and the hub has nothing more to do.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { batch, type Host, inNamespace } from '../lab/hosts.ts'
import { kernelRest, kernelStates } from '../lab/kernel.ts'
import type { Running } from '../lab/peers/peer.ts'
import { runSallyport, sallyportConf } from '../lab/peers/sallyport.ts'
import { writeConfs } from '../lab/peers/swanctl-conf.ts'
import { poll } from '../lab/poll.ts'
import { Shell } from '../lab/shell.ts'
import { reportForwarded } from './nflog.ts'

/** A scenario of this kind. */
export interface Dmvpn {
  readonly kind: 'dmvpn'
}

type Node = Host<string>

const names = ['hub', 'left', 'right'] as const
const outside = (n: number): string => `192.168.0.${n}`
const overlay = (n: number): string => `10.255.0.${n}`
const inside = (n: number): string => `10.${n}.0.10`
const namespaces = [...names, 'wire'].join(' ')
const frr = '/mnt/frr'

/** Registration, the way by the hub, the shortcut, the end. */
export async function proveDmvpn(
  evidence: { readonly folder: string; readonly always: boolean },
  late: AbortSignal,
): Promise<void> {
  const outer = new Shell(['bash', '--norc'])
  const nodes: Node[] = []
  let wire: Shell | undefined
  const close = async (): Promise<void> => {
    for (const { shell } of nodes) shell.kill()
    wire?.kill()
    await outer.run(`for n in ${namespaces}; do ip netns delete $n 2>/dev/null; done`)
    outer.kill()
  }
  late.addEventListener('abort', () => void close())
  let failed = true
  try {
    await outer.run(`for n in ${namespaces}; do ip netns delete $n 2>/dev/null; done`)
    nodes.push(...(await layOut(outer)))
    wire = inNamespace('wire', 'bash --norc')
    await wire.must('tcpdump -n -l -i wire ip proto 47 >/tmp/lab/clear.txt 2>/dev/null & sleep 0.5')
    const running = await Promise.all(nodes.map(startDaemon))
    for (const [i, node] of nodes.entries()) await startFrr(node, i + 1)
    // What the hub forwards from spoke to spoke, its nhrpd wants to see.
    await nodes[0]?.shell.must(reportForwarded([overlay(1), inside(1)]))
    await proveShortcut(nodes)
    const clear = readFileSync('/tmp/lab/clear.txt', 'utf8')
    if (clear !== '') throw new Error(`GRE in clear on the wire: ${clear.split('\n')[0]}`)
    await Promise.all(nodes.map(({ shell }) => shell.run('kill $(cat /run/frr/nhrpd.pid /run/frr/zebra.pid)')))
    await Promise.all(running.map((daemon) => daemon.stop()))
    for (const { name, shell } of nodes) {
      await poll(`an empty kernel on ${name}`, 6000, async () => (await kernelRest(shell)).length === 0)
    }
    failed = false
  } finally {
    if (failed || evidence.always) await keepEvidence(nodes, evidence.folder)
    await close()
  }
}

async function proveShortcut([hub, left, right]: readonly Node[]): Promise<void> {
  if (!hub || !left || !right) throw new Error('three hosts are needed')
  for (const spoke of [left, right]) {
    await poll(`${spoke.name} to reach the hub`, 60_000, async () => (await ping(spoke, overlay(1), 1)).code === 0)
  }
  await poll('the hub to have a tunnel to each spoke', 10_000, async () => {
    const there = await tunnels(hub)
    return there.has(outside(2)) && there.has(outside(3))
  })
  if ((await tunnels(left)).has(outside(3))) throw new Error('the spokes had a tunnel before there was a packet for it')
  await poll('a tunnel between the spokes', 60_000, async () => {
    await ping(left, inside(3), 1, inside(2))
    return (await tunnels(left)).has(outside(3)) && (await tunnels(right)).has(outside(2))
  })
  await poll('the shortcut in the routes', 20_000, async () => {
    await ping(left, inside(3), 1, inside(2))
    // The very host of the first packet is reached at once, the rest of its network by the overlay's address.
    const way = await left.shell.must(`ip route get ${inside(3)}`)
    const network = await left.shell.must('ip route show 10.3.0.0/16')
    return !way.includes(`via ${overlay(1)}`) && network.includes(`via ${overlay(3)} dev gre1`)
  })
  const before = { hub: await packets(hub), left: await tunnels(left) }
  const { code, text } = await ping(left, inside(3), 10, inside(2))
  if (code !== 0 || !text.includes(' 10 received')) throw new Error(`by the shortcut: ${text.slice(-200)}`)
  const after = { hub: await packets(hub), left: await tunnels(left) }
  const risen = (after.left.get(outside(3)) ?? 0) - (before.left.get(outside(3)) ?? 0)
  if (risen < 10) throw new Error(`the tunnel between the spokes has carried ${risen} of 10 packets`)
  // nhrpd may say something to the hub meanwhile, but the pings and their answers would be 40.
  if (after.hub - before.hub >= 20) throw new Error(`the hub has still carried ${after.hub - before.hub} packets`)
}

function ping(from: Node, to: string, count: number, source?: string): Promise<{ code: number; text: string }> {
  const origin = source === undefined ? '' : `-I ${source}`
  return from.shell.run(`ping -n -q -c ${count} -i 0.1 -W 1 -w ${count + 5} ${origin} ${to}`)
}

/** Packets to each peer that there is a state for. */
async function tunnels({ shell }: Node): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  for (const { dst, spi, packets } of await kernelStates(shell)) {
    if (spi !== '0x00000000') found.set(dst, (found.get(dst) ?? 0) + packets)
  }
  return found
}

async function packets(host: Node): Promise<number> {
  return [...(await tunnels(host)).values()].reduce((sum, one) => sum + one, 0)
}

async function layOut(outer: Shell): Promise<Node[]> {
  const folder = '/tmp/lab/hosts'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await outer.must(
    batch(
      [],
      [
        ...namespaces.split(' ').map((name) => `netns add ${name}`),
        ...names.map((name) => `link add eth0 netns ${name} type veth peer name ${name} netns wire`),
      ],
    ),
  )
  const ports = names.flatMap((name) => [`link set ${name} master wire`, `link set ${name} up`])
  await outer.must(batch(['-n', 'wire'], ['link add wire type bridge mcast_snooping 0', 'link set wire up', ...ports]))
  return Promise.all(names.map((name, i) => node(name, i + 1, join(folder, name))))
}

async function node(name: string, n: number, folder: string): Promise<Node> {
  mkdirSync(join(folder, 'run/frr'), { recursive: true })
  const shell = inNamespace(
    name,
    'unshare --mount --propagation unchanged --pid --fork --kill-child --mount-proc bash --norc',
  )
  const others = n === 1 ? [2, 3] : []
  const lines = [
    'link set lo up',
    'link set eth0 up',
    'link add inside type veth peer name inner',
    'link set inner up',
    'link set inside up',
    `address add ${outside(n)}/24 dev eth0`,
    `address add ${inside(n)}/16 dev inside`,
    'link add gre1 type gre key 42 ttl 64 dev eth0',
    `address add ${overlay(n)}/32 dev gre1`,
    'link set gre1 up',
    // By the hub, until there is a shorter way.
    ...others.map((other) => `route add 10.${other}.0.0/16 via ${overlay(other)} dev gre1 onlink`),
    ...(n === 1 ? [] : [`route add 10.0.0.0/8 via ${overlay(1)} dev gre1 onlink`]),
  ]
  await shell.must(
    [
      'set -e',
      batch([], lines),
      'echo 1 > /proc/sys/net/ipv4/ip_forward',
      `mount --bind ${folder}/run /run`,
      `mount --bind ${folder}/run ${frr}/run`,
      `mount --bind /dev ${frr}/dev`,
      `mount -t proc proc ${frr}/proc`,
      `mount -t sysfs sys ${frr}/sys`,
      `mount -t tmpfs tmp ${frr}/tmp`,
      'set +e',
    ].join('\n'),
  )
  const at = { ipv4: outside(n), ipv6: '' }
  const within = { network: { ipv4: `10.${n}.0.0/16`, ipv6: '' }, inside: { ipv4: inside(n), ipv6: '' } }
  return { name, shell, client: shell, folder, root: '/', place: { outside: at, seen: at, ...within } }
}

/** A connection to anybody: nhrpd says between which addresses. */
function startDaemon(host: Node): Promise<Running<string>> {
  writeConfs(
    host,
    sallyportConf(),
    `connections {
  dmvpn {
    version = 2
    proposals = aes128gcm16-prfsha256-x25519
    local { auth = psk }
    remote { auth = psk }
    children {
      dmvpn {
        mode = transport
        local_ts = dynamic[gre]
        remote_ts = dynamic[gre]
        esp_proposals = aes128gcm16
        dpd_action = clear
      }
    }
  }
}
secrets {
  ike-dmvpn {
    secret = "a secret of the cloud"
  }
}
`,
  )
  return runSallyport(host)
}

async function startFrr({ folder, shell }: Node, n: number): Promise<void> {
  const role = n === 1 ? ['ip nhrp redirect'] : [`ip nhrp nhs ${overlay(1)} nbma ${outside(1)}`, 'ip nhrp shortcut']
  const lines = ['network-id 1', 'holdtime 60', 'registration no-unique'].map((line) => `ip nhrp ${line}`)
  const conf = [
    'debug nhrp all',
    'nhrp nflog-group 1',
    'interface gre1',
    ...[...lines, ...role, 'tunnel protection vici profile dmvpn', 'tunnel source eth0'].map((line) => ` ${line}`),
  ]
  writeFileSync(join(folder, 'run/frr/nhrpd.conf'), `${conf.join('\n')}\n`)
  writeFileSync(join(folder, 'run/frr/zebra.conf'), 'ip forwarding\n')
  await shell.must(`chroot ${frr} chown -R frr:frr /run/frr`)
  for (const daemon of ['zebra', 'nhrpd']) {
    const options = `-d -A 127.0.0.1 -f /run/frr/${daemon}.conf -i /run/frr/${daemon}.pid`
    await shell.must(
      `chroot ${frr} /usr/lib/frr/${daemon} ${options} --log file:/run/frr/${daemon}.log --log-level debugging`,
    )
  }
}

async function keepEvidence(nodes: readonly Node[], keep: string): Promise<void> {
  mkdirSync(keep, { recursive: true })
  for (const { name, folder, shell } of nodes) {
    for (const file of ['output.log', 'frr/nhrpd.log', 'frr/zebra.log']) {
      const from = join(folder, 'run', file)
      if (existsSync(from)) copyFileSync(from, join(keep, `${name}-${file.replace('/', '-')}`))
    }
    const asked = ['ip nhrp cache', 'ip nhrp nhs', 'ip nhrp shortcut', 'dmvpn', 'ip route']
    const vtysh = `timeout 10 chroot ${frr} vtysh ${asked.map((one) => `-c 'show ${one}'`).join(' ')}`
    const { text } = await shell
      .run(
        `${vtysh}; ip -s xfrm state; ip xfrm policy; cat /proc/net/xfrm_stat; ip route show table all; ip neighbour; ip -d -s link; cat /run/nflog.txt /proc/net/netlink; timeout 10 swanctl --list-sas`,
      )
      .catch((error: Error) => ({ text: error.message }))
    writeFileSync(join(keep, `${name}-kernel.txt`), text)
  }
}
