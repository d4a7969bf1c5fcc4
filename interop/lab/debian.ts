/**
 * A Debian machine with its own init, and five tunnels between it and a charon:
 *
 *     moon: systemd, and charon-systemd          sun: charon
 *     or our package in the place of it
 *     10.1.0.11 … 10.1.0.15 ── 192.168.0.1 ── 192.168.0.2 ── 10.2.0.11 … 10.2.0.15
 *
 * Either end begins some of them, by `start_action` or with the first packet.
 */
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ground, type Host, layOut } from './hosts.ts'
import { kernelRest } from './kernel.ts'
import { boot, type Debian, type Machine } from './machine.ts'
import { provePackage } from './package.ts'
import type { PeerName, Running } from './peers/peer.ts'
import { runStrongswan, strongswanConf } from './peers/strongswan.ts'
import { writeConfs } from './peers/swanctl-conf.ts'
import { child, isSection, readPretty, value } from './peers/vici-raw.ts'
import { poll } from './poll.ts'
import { proveRestarts } from './restarts.ts'

/** A scenario of this kind. */
export interface OnDebian {
  readonly kind: 'debian'
  readonly debian: Debian
  /** The life of the package, from its installation to its end; or twenty restarts under traffic. */
  readonly proof: 'package' | 'restarts'
}

/** The two ends, under way: charon-systemd runs on moon, and nothing is configured there yet but the file. */
export interface Ends {
  readonly debian: Debian
  readonly moon: Host
  readonly sun: Host
  readonly peer: Running
  /** Whether the package is to be installed, and not charon-systemd to stay. */
  readonly ours: boolean
  /** Says a line to the person who runs the lab. */
  readonly note: (text: string) => void
}

/** Lets the machine and its peer start, has the proof made and ends both. */
export async function proveOnDebian(
  { debian, proof }: OnDebian,
  ours: PeerName,
  evidence: { readonly folder: string; readonly always: boolean },
  late: AbortSignal,
  note: (text: string) => void,
): Promise<void> {
  const folder = '/tmp/lab/hosts'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const ground = await layOut(folder, { roots: {}, clients: false })
  let machine: Machine | undefined
  const close = async (): Promise<void> => {
    machine?.close()
    await ground.close()
  }
  late.addEventListener('abort', () => void close())
  let failed = true
  try {
    writeConfs(ground.sun, strongswanConf(), swanctlConf('sun'))
    for (const host of [ground.moon, ground.sun]) await host.shell.must(manyAddresses(host))
    machine = await boot(ground.moon, debian, ['/lab/sallyport.deb'])
    const moon = machine.host
    await moon.shell.must(`cat >/etc/swanctl/conf.d/lab.conf <<'END'\n${swanctlConf('moon')}END`)
    await moon.shell.must('chmod 600 /etc/swanctl/conf.d/lab.conf; systemctl reload strongswan')
    const peer = await runStrongswan(ground.sun)
    const ends: Ends = { debian, moon, sun: ground.sun, peer, ours: ours === 'sallyport', note }
    await (proof === 'package' ? provePackage(ends) : proveRestarts(ends))
    failed = false
  } finally {
    if (failed || evidence.always) await keepEvidence(ground, machine, evidence.folder)
    await close()
  }
}

/** Numbers of the tunnels, with what each end does by itself. */
const tunnels: readonly { readonly n: number; readonly moon: Start; readonly sun: Start }[] = [
  { n: 1, moon: 'start', sun: 'none' },
  { n: 2, moon: 'trap', sun: 'none' },
  { n: 3, moon: 'none', sun: 'start' },
  { n: 4, moon: 'none', sun: 'trap' },
  { n: 5, moon: 'trap', sun: 'trap' },
]
type Start = 'none' | 'trap' | 'start'

/** How many tunnels there are. */
export const tunnelCount: number = tunnels.length

/** The address in the tunnel, at one end of it. */
export function inside(end: 'moon' | 'sun', n: number): string {
  return `10.${end === 'moon' ? 1 : 2}.0.${10 + n}`
}

/**
 * Waits until both ends list each tunnel and nothing else, and packets cross each one both ways. Two charons that begin at
 * once keep what both have made; of ours there is one each.
 */
export async function allUp(ends: Ends, timeoutMs: number, on: 'sallyport' | 'charon' = 'sallyport'): Promise<void> {
  let shown = ''
  await poll('all tunnels, each once at both ends', timeoutMs, async () => {
    await Promise.all([ping(ends.moon, 'moon'), ping(ends.sun, 'sun')])
    const lists = (await Promise.all([ends.moon, ends.sun].map(list))).map((lines) =>
      on === 'charon' ? [...new Set(lines)] : lines,
    )
    if (on === 'charon') await nudge(ends, lists)
    shown = lists.map((lines) => lines.join(', ')).join(' | ')
    return lists.every((lines) => lines.join() === tunnels.map(({ n }) => `t${n} ESTABLISHED INSTALLED`).join())
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}; there are: ${shown}`)
  })
  const lost = await Promise.all([ping(ends.moon, 'moon', 5), ping(ends.sun, 'sun', 5)])
  const failed = lost.flat()
  if (failed.length > 0) throw new Error(`not all of five pings came back: ${failed.join(', ')}`)
}

/**
 * A charon that starts answers NO_PROPOSAL_CHOSEN until swanctl has loaded its connections, and its peer then gives up what
 * it has begun.
 */
async function nudge({ moon, sun }: Ends, [there = []]: readonly string[][]): Promise<void> {
  for (const [host, begins] of [
    [moon, tunnels.filter((tunnel) => tunnel.moon === 'start')],
    [sun, tunnels.filter((tunnel) => tunnel.sun === 'start')],
  ] as const) {
    for (const { n } of begins) {
      if (there.some((line) => line.startsWith(`t${n} `))) continue
      await host.shell.run(`timeout 5 swanctl --initiate --child t${n} --timeout 2`)
    }
  }
}

/** Each IKE SA as `name STATE`, with the states of its children, sorted. */
async function list({ shell }: Host): Promise<string[]> {
  const { code, text } = await shell.run('timeout 20 swanctl --list-sas --pretty')
  if (code !== 0) return [`swanctl: ${text.trim().slice(-100)}`]
  return readPretty(text)
    .entries.flatMap(([label, event]) => (label === 'list-sa event' && isSection(event) ? event.entries : []))
    .map(([name, sa]) => {
      if (!isSection(sa)) return name
      const children = child(sa, 'child-sas')?.entries.map(([, one]) => (isSection(one) ? value(one, 'state') : ''))
      return [name, value(sa, 'state'), ...(children ?? [])].join(' ')
    })
    .sort()
}

/** Pings through all tunnels at once; those through which not all came back. */
async function ping({ shell }: Host, end: 'moon' | 'sun', count = 1): Promise<string[]> {
  const other = end === 'moon' ? 'sun' : 'moon'
  const each = tunnels.map(
    ({ n }) =>
      `(ping -n -q -c ${count} -i 0.05 -W 2 -I ${inside(end, n)} ${inside(other, n)} | grep -q ' ${count} received' || echo ${end} t${n}) &`,
  )
  return (await shell.must(`(${each.join(' ')} wait)`)).trim().split('\n').filter(Boolean)
}

/** After the daemon's end the kernel of moon has nothing but what it made itself of packets that met a trap, for minutes. */
export async function nothingLeft({ moon }: Ends): Promise<void> {
  let rest: readonly string[] = []
  await poll('an empty kernel on moon', 6000, async () => {
    rest = (await kernelRest(moon.shell)).filter((line) => !/^state .* 0x00000000$/.test(line))
    return rest.length === 0
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${rest.join('; ').slice(0, 500)}`)
  })
}

function manyAddresses({ name }: Host): string {
  return tunnels.map(({ n }) => `ip address add ${inside(name, n)}/32 dev inside`).join(' && ')
}

/** Sun looks after its peer and comes again by itself, as the operator of a site would have it. */
function swanctlConf(end: 'moon' | 'sun'): string {
  const other = end === 'moon' ? 'sun' : 'moon'
  const id = (of: 'moon' | 'sun', n: number): string => (of === 'moon' ? 'moon.lab.test' : `sun${n}.lab.test`)
  const address = { moon: '192.168.0.1', sun: '192.168.0.2' }
  const again: Readonly<Record<Start, string>> = { start: 'restart', trap: 'trap', none: 'clear' }
  const connections = tunnels.map(({ n, [end]: start }) => {
    return `  t${n} {
    version = 2
    local_addrs = ${address[end]}
    remote_addrs = ${address[other]}
    proposals = aes128gcm16-prfsha256-x25519
    keyingtries = 0
    dpd_delay = 2s
    local {
      auth = psk
      id = ${id(end, n)}
    }
    remote {
      auth = psk
      id = ${id(other, n)}
    }
    children {
      t${n} {
        local_ts = ${inside(end, n)}/32
        remote_ts = ${inside(other, n)}/32
        esp_proposals = aes128gcm16
        start_action = ${start}
        dpd_action = ${again[start]}
        close_action = ${start}
      }
    }
  }
`
  })
  return `connections {
${connections.join('')}}
secrets {
  ike-lab {
    secret = "a secret of the lab"
  }
}
`
}

async function keepEvidence(ground: Ground, machine: Machine | undefined, keep: string): Promise<void> {
  mkdirSync(keep, { recursive: true })
  for (const [from, to] of [
    [join(ground.moon.folder, 'run/boot.log'), 'moon-boot.log'],
    [join(ground.sun.folder, 'run/daemon.log'), 'sun-daemon.log'],
  ] as const) {
    if (existsSync(from)) copyFileSync(from, join(keep, to))
  }
  const kernel = 'ip -s xfrm state; ip -s xfrm policy; cat /proc/net/xfrm_stat; ip address; ip route show table all'
  const looks: readonly (readonly [string, Host | undefined, string])[] = [
    ['moon-journal.txt', machine?.host, 'journalctl --no-pager -o short-precise'],
    [
      'moon-unit.txt',
      machine?.host,
      'systemctl status --no-pager strongswan; systemctl show strongswan; systemctl --failed',
    ],
    ['moon-kernel.txt', machine?.host, kernel],
    ['sun-kernel.txt', ground.sun, kernel],
    ['sun-sas.txt', ground.sun, 'timeout 10 swanctl --list-sas'],
  ]
  for (const [file, host, command] of looks) {
    const { text } = (await host?.shell.run(command).catch((error: Error) => ({ text: error.message }))) ?? { text: '' }
    writeFileSync(join(keep, file), text)
  }
}
