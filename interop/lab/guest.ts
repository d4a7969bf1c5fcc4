/**
 * The ground that hosts stand on: the kernel of this machine if it has ESP, else a guest kernel (user-mode Linux) that
 * runs on the same files. Either way one program runs inside, as root, in the strongSwan root, with
 *
 *     /sallyport          the checkout as it was at the start, so that edits during a run do not matter; read-only
 *     /opt/node/node      the Node that runs us
 *     /opt/compile-cache  what Node keeps of the sources that it has read, from run to run: it halves a start
 *     /lab                a folder shared with us: the plan goes in, events and logs come out
 *     /mnt/NAME           a further root, if wanted
 *
 * The program can run in several lanes: so many processes, each with a /run, a /tmp and network namespaces of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from './cache.ts'
import { ownKernel } from './kernel-build.ts'
import { rootFolder } from './root.ts'

/** Where scenarios can run, or why they cannot. */
export type Ground =
  | { readonly kind: 'host' }
  /** `kernel` is the guest kernel that is taken in place of that of the strongSwan root. */
  | { readonly kind: 'user-mode-linux'; readonly kernel?: GuestKernel }
  | { readonly kind: 'none'; readonly missing: string }

/** A guest kernel. */
export interface GuestKernel {
  /** The file that is run. */
  readonly binary: string
  /** Where its modules are; missing if it needs none. */
  readonly modules?: string
}

/** What to run inside, and the folders it needs. */
export interface Job {
  /** The program, relative to the checkout. Its argument is the path of the plan, inside. */
  readonly program: string
  /** JSON for the program. */
  readonly plan: unknown
  /** Our folder that becomes /lab. Must exist. */
  readonly work: string
  /** The strongSwan root. */
  readonly root: string
  /** Other folders that hosts need, such as roots of their peers, by their names below /mnt. */
  readonly others?: Readonly<Record<string, string>>
  /** How many processes of the program run side by side. */
  readonly lanes: number
  /** The guest is killed if it is silent for so long. */
  readonly silenceMs: number
}

/** How a job ended: by itself, or killed because it was silent. */
export type Ending = 'finished' | 'silent'

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A ground that is there. */
export type FoundGround = Exclude<Ground, { readonly kind: 'none' }>

/**
 * Looks for ESP in the kernel of this machine, in a network namespace of its own, and otherwise for a guest kernel that
 * runs on its processor.
 */
export async function findGround(root: string, report: (line: string) => void): Promise<Ground> {
  if (process.getuid?.() !== 0) return { kind: 'none', missing: 'root: namespaces cannot be made without it' }
  const probe =
    'ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 reqid 1 mode tunnel ' +
    `aead 'rfc4106(gcm(aes))' 0x${'11'.repeat(20)} 128 && ` +
    'ip link add a type veth peer name b && ip link add c type bridge'
  const tried = spawnSync('unshare', ['--net', 'chroot', root, 'sh', '-c', probe], { encoding: 'utf8' })
  if (tried.status === 0) return { kind: 'host' }
  if (tried.error) return { kind: 'none', missing: 'unshare, which the package util-linux brings' }
  if (await guestRuns(root)) return { kind: 'user-mode-linux' }
  report('the guest kernel of the stable release does not run on this processor; trying a newer one')
  const newer = await rootFolder('strongswan-new', report).catch((error: Error) => error)
  if (typeof newer === 'string') {
    const kernel = { binary: join(newer, 'usr/bin/linux.uml'), modules: join(newer, 'usr/lib/uml/modules') }
    if (await guestRuns(root, kernel)) return { kind: 'user-mode-linux', kernel }
  }
  return {
    kind: 'none',
    missing: `ESP in the kernel of this machine, or a guest kernel that runs on it${typeof newer === 'string' ? '' : ` (${newer.message})`}`,
  }
}

/**
 * A ground whose hosts can have XFRM interfaces: the kernel of this machine, or the guest kernel that was built for the lab
 * (kernel-build.ts); undefined if there is none.
 */
export async function groundWithInterfaces(ground: FoundGround, root: string): Promise<FoundGround | undefined> {
  if (ground.kind === 'host') {
    const probe = 'ip link add dummy type xfrm if_id 1'
    return spawnSync('unshare', ['--net', 'chroot', root, 'sh', '-c', probe]).status === 0 ? ground : undefined
  }
  const binary = ownKernel()
  if (binary === undefined || !(await guestRuns(root, { binary }))) return undefined
  return { kind: 'user-mode-linux', kernel: { binary } }
}

/**
 * Whether the guest kernel gets as far as its first program, which ends at once. That of Debian 13 does not where the
 * processor has AMX, and then says nothing: it expects the registers of a process to have fewer bytes.
 */
async function guestRuns(root: string, kernel?: GuestKernel): Promise<boolean> {
  if (!existsSync(kernel?.binary ?? join(root, 'usr/bin/linux.uml'))) return false
  if (kernel === undefined && /^flags.*\bamx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false
  const linux = `${linuxUml} mem=128M init=/bin/true`
  const steps = [...kernelBinds(root, kernel), `exec chroot ${quote(root)} ${linux}`]
  const child = spawn('unshare', [...ownNamespaces, 'sh', '-ec', steps.join('\n')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tooLate = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let said = ''
  let runs = false
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (!said.includes('Attempted to kill init! exitcode=0x00000000')) return
      runs = true
      child.kill('SIGKILL') // it would take its time to tell where it was
    })
  }
  await new Promise((done) => child.once('close', done).once('error', done))
  clearTimeout(tooLate)
  return runs
}

// Devices are those of the root. Without uml_dir it wants a folder below $HOME, which the root may not have, and stands still when it cannot make it.
const linuxUml =
  '/usr/bin/linux.uml rootfstype=hostfs rw con=null con0=fd:0,fd:1 quiet panic=-1 seccomp=auto uml_dir=/tmp/ devtmpfs.mount=0'
const ownNamespaces = ['--mount', '--pid', '--fork', '--kill-child']

/** What the guest kernel needs: devices, memory, and its own files if they come from elsewhere. */
function kernelBinds(root: string, kernel: GuestKernel | undefined): string[] {
  const modules = ['usr/lib/uml/modules', 'usr/lib/modules']
  return [
    `mount --bind /dev ${quote(join(root, 'dev'))}`,
    `mount -t proc proc ${quote(join(root, 'proc'))}`,
    `mount -t tmpfs tmp ${quote(join(root, 'tmp'))}`, // user-mode Linux keeps the guest's memory in a file here
    ...(kernel
      ? [
          `mount --bind ${quote(kernel.binary)} ${quote(join(root, 'usr/bin/linux.uml'))}`,
          ...(kernel.modules === undefined ? [] : modules).map(
            (to) => `mount --bind ${quote(kernel.modules ?? '')} ${quote(join(root, to))}`,
          ),
        ]
      : []),
  ]
}

/** Runs the job and hands over each event (a line of JSON in /lab/events) as it comes. */
export async function runInside(ground: FoundGround, job: Job, onEvent: (event: unknown) => void): Promise<Ending> {
  writeFileSync(join(job.work, 'plan.json'), JSON.stringify(job.plan))
  writeFileSync(join(job.work, 'init'), init(ground.kind, job), { mode: 0o755 })
  const sources = join(job.work, 'checkout')
  rmSync(sources, { recursive: true, force: true })
  for (const part of ['package.json', 'src', 'native', 'interop', 'dist']) {
    if (existsSync(join(checkout, part))) cpSync(join(checkout, part), join(sources, part), { recursive: true })
  }
  mkdirSync(join(sources, 'node_modules'))
  writeFileSync(join(job.work, 'seed'), randomBytes(64))
  const events = join(job.work, 'events')
  writeFileSync(events, '')
  const console_ = openSync(join(job.work, 'console.log'), 'w')
  const child = start(ground, job, console_)
  closeSync(console_)
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => resolve())
  })
  let over = false
  const watched = ended.then(() => {
    over = true
  })
  const follow = follower(events, onEvent)
  let last = Date.now()
  for (;;) {
    await Promise.race([watched, new Promise((wake) => setTimeout(wake, 50))])
    if (follow()) last = Date.now()
    if (over) return 'finished'
    if (Date.now() - last > job.silenceMs) {
      child.kill('SIGKILL') // takes the whole PID namespace along
      await ended
      return 'silent'
    }
  }
}

/**
 * Starts the guest in mount and PID namespaces of its own: the mounts vanish with it, and killing the one process that
 * we started ends everything inside.
 */
function start(ground: FoundGround, job: Job, output: number): ChildProcess {
  const { root, work, others = {} } = job
  const compiled = join(cacheFolder(), 'compiled')
  mkdirSync(compiled, { recursive: true })
  const points = [
    'sallyport',
    'lab',
    'opt/node',
    'opt/compile-cache',
    ...Object.keys(others).map((name) => `mnt/${name}`),
  ]
  const binds = [
    `mkdir -p ${points.map((point) => quote(join(root, point))).join(' ')}`,
    `mount --bind ${quote(join(work, 'checkout'))} ${quote(join(root, 'sallyport'))}`,
    `mount --bind ${quote(realpathSync(join(checkout, 'node_modules')))} ${quote(join(root, 'sallyport/node_modules'))}`,
    `mount -o remount,ro,bind ${quote(join(root, 'sallyport/node_modules'))}`,
    `mount -o remount,ro,bind ${quote(join(root, 'sallyport'))}`,
    `mount --bind ${quote(dirname(realpathSync(process.execPath)))} ${quote(join(root, 'opt/node'))}`,
    `mount --bind ${quote(compiled)} ${quote(join(root, 'opt/compile-cache'))}`,
    `mount --bind ${quote(work)} ${quote(join(root, 'lab'))}`,
    ...Object.entries(others).map(([name, other]) => `mount --bind ${quote(other)} ${quote(join(root, 'mnt', name))}`),
    ...kernelBinds(root, ground.kind === 'host' ? undefined : ground.kernel),
  ]
  const linux = `${linuxUml} mem=3G init=/lab/init`
  const enter = `exec chroot ${quote(root)} ${ground.kind === 'host' ? '/lab/init' : linux}`
  const options = [...ownNamespaces, ...(ground.kind === 'host' ? ['--net'] : [])]
  return spawn('unshare', [...options, 'sh', '-ec', [...binds, enter].join('\n')], {
    stdio: ['ignore', output, output],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' },
  })
}

/** The first program inside. It must be bash: the loop over modules is quicker than asking Node to do it. */
function init(ground: 'host' | 'user-mode-linux', { program, lanes }: Job): string {
  const guest = ground === 'user-mode-linux'
  const flags = '--no-concurrent-recompilation --disable-warning=ExperimentalWarning'
  const lane = ['mount -t tmpfs run /run', 'mkdir -p /run/netns', 'mount -t tmpfs tmp /tmp', 'ip link set lo up']
  const lines = [
    '#!/bin/bash',
    'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb NODE_COMPILE_CACHE=/opt/compile-cache',
    ...(guest
      ? [
          'mount -t proc proc /proc; mount -t tmpfs tmp /tmp',
          // Nothing in the guest makes entropy, and daemons would wait for it: RNDADDENTROPY of ours.
          `perl -e 'open S,"/lab/seed";read S,$s,64;open R,">/dev/random";ioctl R,0x40085203,pack("lla64",512,64,$s)'`,
          // libuv's io_uring makes the packaged guest kernel panic
          'echo 2 > /proc/sys/kernel/io_uring_disabled',
          // A guest that has to wait for the machine gets its packets in bursts.
          'echo 8388608 > /proc/sys/net/core/rmem_max; echo 4194304 > /proc/sys/net/core/rmem_default; echo 10000 > /proc/sys/net/core/netdev_max_backlog',
          'modprobe -a xfrm_user esp4 esp6 veth bridge gcm overlay 2>/dev/null',
        ]
      : []),
    'mount -t sysfs sys /sys 2>/dev/null',
    `lane='${lane.join('; ')}; exec /opt/node/node ${flags} /sallyport/${program} /lab/plan.json'`,
    `for n in $(seq ${lanes}); do unshare --mount --net bash -c "$lane" & done; wait`,
    ...(guest ? ['echo o > /proc/sysrq-trigger', 'sleep 10'] : []),
  ]
  return `${lines.join('\n')}\n`
}

/** Reads what was added to the file of events. True if there was something. */
function follower(file: string, onEvent: (event: unknown) => void): () => boolean {
  let offset = 0
  let rest = ''
  return () => {
    const { size } = statSync(file)
    if (size <= offset) return false
    const bytes = Buffer.alloc(size - offset)
    const fd = openSync(file, 'r')
    offset += readSync(fd, bytes, 0, bytes.length, offset)
    closeSync(fd)
    const lines = (rest + bytes.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line) onEvent(JSON.parse(line))
    return true
  }
}

/** A word for the shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
