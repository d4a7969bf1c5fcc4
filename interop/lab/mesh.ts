/**
 * A mesh of six hosts that all begin at once, each with every neighbour:
 *
 *     m1    m3    m5    Sallyport       192.168.0.N, with 10.N.0.0/16 behind it
 *     ──────────────    the wire
 *     m2    m4    m6    strongSwan
 *
 * Neighbours are all pairs with a Sallyport among them: two charons keep both IKE SAs when their first contacts cross. In
 * the end each pair has one IKE SA with one Child SA, and packets cross.
 */
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { batch, type Host, inNamespace } from './hosts.ts'
import { kernelRest, kernelStates } from './kernel.ts'
import type { PeerName, Running } from './peers/peer.ts'
import { runSallyport, sallyportConf } from './peers/sallyport.ts'
import { runStrongswan, strongswanConf } from './peers/strongswan.ts'
import { writeConfs } from './peers/swanctl-conf.ts'
import { child, isSection, readPretty, value } from './peers/vici-raw.ts'
import { poll } from './poll.ts'
import { Shell } from './shell.ts'

/** A scenario of this kind. */
export interface Mesh {
  readonly kind: 'mesh'
  /** How long after all daemons have started there may be too few or too many SAs, in milliseconds. */
  readonly settlesMs: number
}

type Node = Host<string>

const numbers = [1, 2, 3, 4, 5, 6]
const isOurs = (n: number): boolean => n % 2 === 1
const neighbours = (n: number): number[] => numbers.filter((other) => other !== n && (isOurs(n) || isOurs(other)))
const address = (n: number): string => `192.168.0.${n}`
const inside = (n: number): string => `10.${n}.0.10`
const identity = (n: number): string => `m${n}.lab.test`
const namespaces = [...numbers.map((n) => `m${n}`), 'wire'].join(' ')

/** Starts all, waits for one pair of SAs per pair of neighbours, pings, ends all. */
export async function proveMesh(
  { settlesMs }: Mesh,
  ours: PeerName,
  evidence: { readonly folder: string; readonly always: boolean },
  late: AbortSignal,
): Promise<void> {
  const outer = new Shell(['bash', '--norc'])
  const nodes: Node[] = []
  const running: Running<string>[] = []
  const close = async (): Promise<void> => {
    for (const { shell } of nodes) shell.kill()
    await outer.run(`for n in ${namespaces}; do ip netns delete $n 2>/dev/null; done`)
    outer.kill()
  }
  late.addEventListener('abort', () => void close())
  let failed = true
  try {
    await outer.run(`for n in ${namespaces}; do ip netns delete $n 2>/dev/null; done`)
    nodes.push(...(await layOutMesh(outer)))
    const starting = nodes.map((node, i) => start(node, i + 1, ours).then((daemon) => running.push(daemon)))
    await Promise.allSettled(starting)
    await Promise.all(starting)
    // charon with charon may keep two; that is no fault of the lab.
    const most = ours === 'sallyport' ? 1 : 2
    await poll('one pair of SAs for each pair of neighbours', settlesMs, () => isSettled(nodes, most))
    await sleep(2000)
    if (!(await isSettled(nodes, most)))
      throw new Error(`not settled: ${JSON.stringify(await Promise.all(nodes.map(peers)))}`)
    await pingAll(nodes)
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

async function layOutMesh(outer: Shell): Promise<Node[]> {
  const folder = '/tmp/lab/hosts'
  rmSync(folder, { recursive: true, force: true })
  await outer.must(
    batch(
      [],
      [
        ...namespaces.split(' ').map((name) => `netns add ${name}`),
        ...numbers.map((n) => `link add eth0 netns m${n} type veth peer name m${n} netns wire`),
      ],
    ),
  )
  const ports = numbers.flatMap((n) => [`link set m${n} master wire`, `link set m${n} up`])
  const wire = batch(['-n', 'wire'], ['link add wire type bridge mcast_snooping 0', 'link set wire up', ...ports])
  await outer.must(wire)
  return Promise.all(numbers.map((n) => node(n, join(folder, `m${n}`))))
}

async function node(n: number, folder: string): Promise<Node> {
  mkdirSync(join(folder, 'run'), { recursive: true })
  const shell = inNamespace(
    `m${n}`,
    'unshare --mount --propagation unchanged --pid --fork --kill-child --mount-proc bash --norc',
  )
  const lines = [
    'link set lo up',
    'link set eth0 up',
    'link add inside type veth peer name inner',
    'link set inner up',
    'link set inside up',
    `address add ${address(n)}/24 dev eth0`,
    `address add ${inside(n)}/16 dev inside`,
    ...neighbours(n).map((other) => `route add 10.${other}.0.0/16 via ${address(other)}`),
  ]
  await shell.must(`${batch([], lines)}\nmount --bind ${folder}/run /run`)
  const at = { ipv4: address(n), ipv6: '' }
  return {
    name: `m${n}`,
    shell,
    client: shell,
    folder,
    root: '/',
    place: {
      outside: at,
      seen: at,
      network: { ipv4: `10.${n}.0.0/16`, ipv6: '' },
      inside: { ipv4: inside(n), ipv6: '' },
    },
  }
}

function start(host: Node, n: number, ours: PeerName): Promise<Running<string>> {
  const isSallyport = isOurs(n) && ours === 'sallyport'
  writeConfs(host, isSallyport ? sallyportConf() : strongswanConf(), meshConf(n))
  return isSallyport ? runSallyport(host) : runStrongswan(host)
}

/** A connection with each neighbour, which begins when it is loaded and goes on until the neighbour is there. */
function meshConf(n: number): string {
  const connections = neighbours(n).map(
    (other) => `  to-m${other} {
    version = 2
    local_addrs = ${address(n)}
    remote_addrs = ${address(other)}
    proposals = aes128gcm16-prfsha256-x25519
    keyingtries = 0
    local {
      auth = psk
      id = ${identity(n)}
    }
    remote {
      auth = psk
      id = ${identity(other)}
    }
    children {
      to-m${other} {
        local_ts = 10.${n}.0.0/16
        remote_ts = 10.${other}.0.0/16
        esp_proposals = aes128gcm16
        start_action = start
      }
    }
  }`,
  )
  const ids = numbers.map((one) => `    id-m${one} = ${identity(one)}`)
  return `connections {
${connections.join('\n')}
}
secrets {
  ike-mesh {
${ids.join('\n')}
    secret = "a secret of the mesh"
  }
}
`
}

/** Whether each host lists one to `most` established IKE SAs with each neighbour, each with one child, and nothing else. */
async function isSettled(nodes: readonly Node[], most: number): Promise<boolean> {
  for (const [i, one] of nodes.entries()) {
    const there = await peers(one)
    const expected = neighbours(i + 1).map(identity)
    const counts = expected.map((id) => there.filter((shown) => shown === `${id} ESTABLISHED INSTALLED`).length)
    if (counts.some((count) => count < 1 || count > most)) return false
    if (most === 1 && there.length !== expected.length) return false
    const states = (await kernelStates(one.shell)).filter(({ spi }) => spi !== '0x00000000')
    if (states.length !== 2 * there.length) return false
  }
  return true
}

/** Each IKE SA as `remote-id STATE`, with the states of its children. */
async function peers({ shell }: Node): Promise<string[]> {
  const { entries } = readPretty(await shell.must('timeout 20 swanctl --list-sas --pretty'))
  const sas = entries.flatMap(([label, event]) =>
    label === 'list-sa event' && isSection(event) ? event.entries.map(([, sa]) => sa).filter(isSection) : [],
  )
  return sas.map((sa) => {
    const children = child(sa, 'child-sas')?.entries.map(([, one]) => (isSection(one) ? value(one, 'state') : '')) ?? []
    return [value(sa, 'remote-id'), value(sa, 'state'), ...children].join(' ')
  })
}

async function pingAll(nodes: readonly Node[]): Promise<void> {
  await Promise.all(
    nodes.map(async ({ name, shell }, i) => {
      for (const other of neighbours(i + 1)) {
        const before = await kernelStates(shell)
        const { code, text } = await shell.run(`ping -n -q -c 5 -i 0.05 -W 2 -w 8 -I ${inside(i + 1)} ${inside(other)}`)
        if (code !== 0 || !text.includes(' 5 received')) throw new Error(`${name} to m${other}: ${text.slice(-200)}`)
        const packets = (states: typeof before): number =>
          states.filter(({ dst }) => dst === address(other)).reduce((sum, state) => sum + state.packets, 0)
        const risen = packets(await kernelStates(shell)) - packets(before)
        if (risen < 5) throw new Error(`${name}: the states to m${other} have counted ${risen} of 5 pings`)
      }
    }),
  )
}

async function keepEvidence(nodes: readonly Node[], keep: string): Promise<void> {
  mkdirSync(keep, { recursive: true })
  for (const { name, folder, shell } of nodes) {
    for (const file of ['daemon.log', 'output.log']) {
      const from = join(folder, 'run', file)
      if (existsSync(from)) copyFileSync(from, join(keep, `${name}-${file}`))
    }
    const { text } = await shell
      .run('ip -s xfrm state; ip xfrm policy; cat /proc/net/xfrm_stat; timeout 10 swanctl --list-sas')
      .catch((error: Error) => ({ text: error.message }))
    writeFileSync(join(keep, `${name}-kernel.txt`), text)
  }
}
