/**
 * The ground that hosts stand on: the kernel of this machine if it has ESP, else a guest kernel (user-mode Linux) that
 * runs on the same files. Either way one program runs inside, as root, in the strongSwan root, with
 *
 *     /sallyport        the checkout as it was at the start, so that edits during a run do not matter; read-only
 *     /opt/node/node    the Node that runs us
 *     /work             a folder shared with us: the plan goes in, events and logs come out
 *     /mnt/libreswan    the libreswan root, if wanted
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where scenarios can run, or why they cannot. */
export type Ground =
  | { readonly kind: 'host' }
  | { readonly kind: 'user-mode-linux' }
  | { readonly kind: 'none'; readonly missing: string }

/** What to run inside, and the folders it needs. */
export interface Job {
  /** The program, relative to the checkout. Its argument is the path of the plan, inside. */
  readonly program: string
  /** JSON for the program. */
  readonly plan: unknown
  /** Our folder that becomes /work. Must exist. */
  readonly work: string
  /** The strongSwan root. */
  readonly root: string
  /** The libreswan root, if a host needs it. */
  readonly libreswan?: string
  /** The guest is killed if it is silent for so long. */
  readonly silenceMs: number
}

/** How a job ended: by itself, or killed because it was silent. */
export type Ending = 'finished' | 'silent'

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Looks for ESP in the kernel of this machine, in a network namespace of its own, and for the guest kernel otherwise. */
export function findGround(root: string): Ground {
  if (process.getuid?.() !== 0) return { kind: 'none', missing: 'root: namespaces cannot be made without it' }
  const probe =
    'ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 reqid 1 mode tunnel ' +
    `aead 'rfc4106(gcm(aes))' 0x${'11'.repeat(20)} 128 && ` +
    'ip link add a type veth peer name b && ip link add c type bridge'
  const tried = spawnSync('unshare', ['--net', 'chroot', root, 'sh', '-c', probe], { encoding: 'utf8' })
  if (tried.status === 0) return { kind: 'host' }
  if (tried.error) return { kind: 'none', missing: 'unshare, which the package util-linux brings' }
  if (existsSync(join(root, 'usr/bin/linux.uml'))) return { kind: 'user-mode-linux' }
  return {
    kind: 'none',
    missing: 'ESP in the kernel of this machine, or a guest kernel, which the package user-mode-linux brings',
  }
}

/** Runs the job and hands over each event (a line of JSON in /work/events) as it comes. */
export async function runInside(
  ground: 'host' | 'user-mode-linux',
  job: Job,
  onEvent: (event: unknown) => void,
): Promise<Ending> {
  writeFileSync(join(job.work, 'plan.json'), JSON.stringify(job.plan))
  writeFileSync(join(job.work, 'init'), init(ground, job.program), { mode: 0o755 })
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
function start(ground: 'host' | 'user-mode-linux', job: Job, output: number): ChildProcess {
  const { root, work, libreswan } = job
  const binds = [
    `mount --bind ${quote(join(work, 'checkout'))} ${quote(join(root, 'sallyport'))}`,
    `mount --bind ${quote(realpathSync(join(checkout, 'node_modules')))} ${quote(join(root, 'sallyport/node_modules'))}`,
    `mount -o remount,ro,bind ${quote(join(root, 'sallyport/node_modules'))}`,
    `mount -o remount,ro,bind ${quote(join(root, 'sallyport'))}`,
    `mount --bind ${quote(dirname(realpathSync(process.execPath)))} ${quote(join(root, 'opt/node'))}`,
    `mount --bind ${quote(work)} ${quote(join(root, 'work'))}`,
    ...(libreswan ? [`mount --bind ${quote(libreswan)} ${quote(join(root, 'mnt/libreswan'))}`] : []),
    `mount --bind /dev ${quote(join(root, 'dev'))}`,
    `mount -t proc proc ${quote(join(root, 'proc'))}`,
    `mount -t tmpfs tmp ${quote(join(root, 'tmp'))}`, // user-mode Linux keeps the guest's memory in a file here
  ]
  const linux =
    '/usr/bin/linux.uml mem=1500M rootfstype=hostfs rw init=/work/init con=null con0=fd:0,fd:1 quiet panic=-1'
  const enter = `exec chroot ${quote(root)} ${ground === 'host' ? '/work/init' : linux}`
  const options = ['--mount', '--pid', '--fork', '--kill-child', ...(ground === 'host' ? ['--net'] : [])]
  return spawn('unshare', [...options, 'sh', '-ec', [...binds, enter].join('\n')], {
    stdio: ['ignore', output, output],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' },
  })
}

/** The first program inside. It must be bash: the loop over modules is quicker than asking Node to do it. */
function init(ground: 'host' | 'user-mode-linux', program: string): string {
  const guest = ground === 'user-mode-linux'
  const lines = [
    '#!/bin/bash',
    'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb',
    ...(guest
      ? [
          'mount -t proc proc /proc; mount -t tmpfs tmp /tmp',
          // Nothing in the guest makes entropy, and daemons would wait for it: RNDADDENTROPY of ours.
          `perl -e 'open S,"/work/seed";read S,$s,64;open R,">/dev/random";ioctl R,0x40085203,pack("lla64",512,64,$s)'`,
          // libuv's io_uring makes the packaged guest kernel panic
          'echo 2 > /proc/sys/kernel/io_uring_disabled',
          'modprobe -a xfrm_user esp4 esp6 veth bridge gcm 2>/dev/null',
        ]
      : []),
    'mount -t sysfs sys /sys 2>/dev/null; mount -t tmpfs run /run; mkdir -p /run/netns',
    'ip link set lo up',
    `/opt/node/node --no-concurrent-recompilation --disable-warning=ExperimentalWarning /sallyport/${program} /work/plan.json`,
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
