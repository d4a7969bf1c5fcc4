/** Root file systems of the lab's hosts: Debian with a peer's packages, made once by debootstrap and kept in the cache. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { debianMirror, ensureTool } from './apt.ts'
import { cacheFolder, locked } from './cache.ts'

/**
 * `strongswan-new` is the strongSwan of Debian's unstable release, for what the stable one lacks; `-old` that of Debian 12.
 * `debian-12` and `-13` start by systemd, and have the packages of charon-systemd at hand.
 * No host stands on `kernel-build`: it has a compiler and the sources of a kernel.
 */
export type RootName =
  | 'strongswan'
  | 'libreswan'
  | 'strongswan-new'
  | 'strongswan-old'
  | 'upstream'
  | 'frr'
  | 'debian-12'
  | 'debian-13'
  | 'vici-clients'
  | 'kernel-build'

/** What a root consists of. */
interface Recipe {
  /** The release that has the wanted versions. Where the mirror does not have it, the machine's own is taken. */
  readonly suite: string
  readonly packages: readonly string[]
  /** Packages whose files stay in apt's cache, so that they can be installed once more without a network. */
  readonly keep?: readonly string[]
}

/** A machine as its operator has it: systemd, charon-systemd, swanctl. */
const machine: Pick<Recipe, 'packages' | 'keep'> = {
  packages: [
    'systemd',
    'systemd-sysv',
    'strongswan-swanctl',
    'charon-systemd',
    'libstrongswan-standard-plugins',
    'iproute2',
    'iputils-ping',
    'iperf3',
    'procps',
  ],
  keep: ['charon-systemd', 'strongswan-libcharon', 'libstrongswan', 'strongswan-swanctl'],
}

/** strongSwan, whichever the release has, with what it can load. */
const strongswan = [
  'strongswan-swanctl',
  'charon-systemd',
  'libcharon-extra-plugins',
  'libstrongswan-extra-plugins',
  'libstrongswan-standard-plugins',
] as const

/** What every host that is to be seen needs. */
const network = ['iproute2', 'iputils-ping'] as const

const recipes: Readonly<Record<RootName, Recipe>> = {
  // Also the root that guests boot from: it brings the kernel and the tools of the lab itself.
  strongswan: {
    suite: 'trixie',
    packages: [
      'user-mode-linux',
      'kmod',
      ...strongswan,
      ...network,
      'tcpdump',
      'nftables',
      'iptables', // the packaged guest kernel has no NAT for nftables
      'openssl',
      'iperf3',
      'conntrack',
    ],
  },
  // ML-KEM, and a guest kernel for processors that the stable one does not know.
  'strongswan-new': {
    suite: 'sid',
    packages: ['user-mode-linux', ...strongswan, ...network],
  },
  // The swanctl that most appliances still have.
  'strongswan-old': {
    suite: 'bookworm',
    packages: [...strongswan, ...network],
  },
  // The newest strongSwan beside the languages that libraries for VICI are written in.
  'vici-clients': {
    suite: 'sid',
    packages: [...strongswan, ...network, 'perl', 'python3', 'ruby'],
  },
  // FRRouting, whose nhrpd asks for tunnels. debootstrap does not get the dependencies of Debian 13's in order.
  frr: { suite: 'bookworm', packages: ['frr', 'iproute2', 'iputils-ping'] },
  // What the hosts of strongSwan's own test scenarios have: the newest strongSwan, and every tool that a scenario calls.
  upstream: {
    suite: 'sid',
    packages: [
      'user-mode-linux',
      'kmod',
      'strongswan-swanctl',
      'charon-systemd',
      'libcharon-extra-plugins',
      'libcharon-extauth-plugins',
      'libstrongswan-extra-plugins',
      'libstrongswan-standard-plugins',
      'strongswan-pki',
      'iproute2',
      'iputils-ping',
      'ifupdown',
      'tcpdump',
      'iptables',
      'nftables',
      'conntrack',
      'traceroute',
      'openssl',
      'openssh-client',
      'openssh-server',
      'wget',
      'netbase', // names of protocols and ports
      'procps',
      'psmisc',
      'bsdextrautils',
      'hostname',
    ],
  },
  'debian-12': { suite: 'bookworm', ...machine },
  'debian-13': { suite: 'trixie', ...machine },
  // The packages of libreswan and strongSwan conflict, hence a second root.
  libreswan: { suite: 'trixie', packages: ['libreswan', 'bind9-host', 'libnss3-tools', 'iproute2', 'iputils-ping'] },
  'kernel-build': {
    suite: 'sid',
    packages: [
      'linux-source',
      'gcc',
      'libc6-dev',
      'make',
      'flex',
      'bison',
      'bc',
      'xz-utils',
      'perl',
      'python3-minimal',
    ],
  },
}

const marker = '.complete'

/** The folder of the named root; builds it if it is not there or was interrupted. `report` gets lines for a person. */
export async function rootFolder(name: RootName, report: (line: string) => void): Promise<string> {
  // The recipe is part of the name: runs of another version of the lab can go on with theirs.
  const recipe = createHash('sha256').update(JSON.stringify(recipes[name])).digest('hex')
  const folder = join(cacheFolder(), 'roots', `${name}-${recipe.slice(0, 8)}`)
  if (existsSync(join(folder, marker))) return folder
  return locked(
    `root-${name}`,
    () => report(`waiting for another run that builds the ${name} root`),
    async () => {
      if (!existsSync(join(folder, marker))) await build(name, folder, report)
      return folder
    },
  )
}

async function build(name: RootName, folder: string, report: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('building the root file system of the lab needs root')
  const { packages, keep = [] } = recipes[name]
  ensureTool('debootstrap', 'debootstrap', report)
  const mirror = debianMirror()
  const partial = `${folder}.partial`
  let reason: unknown
  for (const suite of new Set([recipes[name].suite, mirror.release])) {
    await rm(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    report(`building the ${name} root (Debian ${suite}, once, about a minute)`)
    const script = existsSync(`/usr/share/debootstrap/scripts/${suite}`) ? [] : ['/usr/share/debootstrap/scripts/sid']
    const args = ['--variant=minbase', `--include=${packages.join(',')}`, suite, partial, mirror.uri, ...script]
    try {
      await debootstrap(args, mirror.env, join(cacheFolder(), `debootstrap-${name}.log`), report)
      reason = undefined
      break
    } catch (error) {
      reason = error
      report(`  ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (reason !== undefined) throw reason
  linkKernelModules(partial)
  for (const waste of ['var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale']) {
    await rm(join(partial, waste), { recursive: true, force: true })
  }
  const archives = join(partial, 'var/cache/apt/archives')
  for (const file of readdirSync(archives)) {
    if (keep.includes(file.split('_')[0] ?? '')) continue
    await rm(join(archives, file), { recursive: true, force: true })
  }
  writeFileSync(join(partial, marker), '')
  await rm(folder, { recursive: true, force: true })
  renameSync(partial, folder)
}

/**
 * Runs debootstrap, which prints a line per package, and reports a line now and then. It runs in namespaces of its own:
 * however it ends, none of its mounts and processes stays behind.
 */
function debootstrap(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
  report: (line: string) => void,
): Promise<void> {
  writeFileSync(log, '')
  return new Promise((done, failed) => {
    const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
    const child = spawn('unshare', [...namespaces, 'debootstrap', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const counts = new Map<string, number>()
    let last = ''
    const read = (chunk: Buffer): void => {
      appendFileSync(log, chunk)
      for (const line of chunk.toString().split('\n')) {
        if (line.startsWith('E:') || line.startsWith('W:')) last = line
        const step = /^I: (Retrieving|Unpacking|Configuring) /.exec(line)?.[1]
        if (!step) continue
        const count = (counts.get(step) ?? 0) + 1
        counts.set(step, count)
        if (count === 1 || count % 40 === 0) report(`  ${step.toLowerCase()} packages (${count})`)
      }
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', failed)
    child.once('close', (code) => {
      if (code === 0) done()
      else failed(new Error(`debootstrap ended with ${code}: ${last || 'no reason given'} (see ${log})`))
    })
  })
}

/** modprobe looks below /usr/lib/modules, the package of user-mode Linux puts its modules elsewhere. */
function linkKernelModules(root: string): void {
  const uml = join(root, 'usr/lib/uml/modules')
  if (!existsSync(uml)) return
  mkdirSync(join(root, 'usr/lib/modules'), { recursive: true })
  for (const version of readdirSync(uml)) {
    symlinkSync(`../uml/modules/${version}`, join(root, 'usr/lib/modules', version))
  }
}
