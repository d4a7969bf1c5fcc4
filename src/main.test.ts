/** The process as systemd and operators meet it: signals, exit codes, arguments. */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const program = join(import.meta.dirname, 'main.ts')

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('unshare', ['-n', 'ip', 'xfrm', 'state']).status !== 0)
    return 'needs network namespaces, XFRM in the kernel, and iproute2'
  return false
}

const needed = { skip: reasonToSkip() }

/** The environment of a daemon with files of its own. */
function files(t: TestContext, strongswanConf: string, swanctlConf = ''): NodeJS.ProcessEnv {
  const folder = mkdtempSync(join(tmpdir(), 'sallyportd-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'swanctl'))
  writeFileSync(join(folder, 'swanctl/swanctl.conf'), swanctlConf)
  const vici = `charon { plugins { vici { socket = unix://${join(folder, 'charon.vici')} } } }\n`
  writeFileSync(join(folder, 'strongswan.conf'), vici + strongswanConf)
  return {
    PATH: process.env['PATH'],
    STRONGSWAN_CONF: join(folder, 'strongswan.conf'),
    SWANCTL_DIR: join(folder, 'swanctl'),
  }
}

/** The daemon in a network namespace of its own, and a way to wait for what it says. */
class Daemon {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<number | string | null>
  #said = ''

  constructor(t: TestContext, env: NodeJS.ProcessEnv) {
    this.child = spawn('unshare', ['-n', process.execPath, program], { env })
    this.ended = new Promise((done) => this.child.once('close', (code, signal) => done(signal ?? code)))
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString()
        this.child.emit('said')
      })
    }
    t.after(() => this.child.kill('SIGKILL'))
  }

  /** Waits until it has said the text so many times; fails if it ends before. */
  async says(text: string, times = 1): Promise<void> {
    const more = (): Promise<'more'> => new Promise((done) => this.child.once('said', () => done('more')))
    while (this.#said.split(text).length <= times) {
      const how = await Promise.race([this.ended, more()])
      if (how !== 'more') assert.fail(`ended (${how}) without '${text}': ${this.#said}`)
    }
  }
}

test('SIGHUP reads strongswan.conf anew, SIGINT is nothing, SIGTERM ends with status 0', needed, async (t) => {
  const env = files(t, '')
  const daemon = new Daemon(t, env)
  await daemon.says('is running')
  daemon.child.kill('SIGHUP')
  await daemon.says('signal of type SIGHUP received. Reloading configuration')
  writeFileSync(env['STRONGSWAN_CONF'] ?? '', 'charon {')
  daemon.child.kill('SIGHUP')
  await daemon.says("strongswan.conf' failed")
  daemon.child.kill('SIGINT')
  daemon.child.kill('SIGPIPE')
  daemon.child.kill('SIGHUP')
  await daemon.says('signal of type SIGHUP received. Reloading configuration', 3)
  daemon.child.kill('SIGTERM')
  await daemon.says('SIGTERM received, shutting down')
  assert.equal(await daemon.ended, 0)
})

test('what it cannot start with is status 66, and said', needed, (t) => {
  const socket = 'charon { plugins { vici { socket = unix:///nowhere/charon.vici } } }'
  for (const [conf, reason] of [
    ['charon {', 'strongswan.conf'],
    [socket, '/nowhere/charon.vici'],
  ] as const) {
    const { status, stderr } = spawnSync('unshare', ['-n', process.execPath, program], {
      env: files(t, conf),
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.equal(status, 66, stderr)
    assert.ok(stderr.includes(reason), stderr)
  }
})

test('a connection that cannot be loaded keeps nothing else from starting', needed, async (t) => {
  const daemon = new Daemon(t, files(t, '', 'connections { a { local { auth = nonsense } } }'))
  await daemon.says('is running')
  await daemon.says('nonsense')
  daemon.child.kill('SIGTERM')
  assert.equal(await daemon.ended, 0)
})

test('arguments: the version, help, and what it does not know', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  assert.match(run('--version').stdout, /^sallyportd \d+\.\d+\.\d+\n$/)
  assert.match(run('--help').stdout, /strongswan\.conf/)
  const { status, stderr } = run('--daemonize')
  assert.equal(status, 64)
  assert.match(stderr, /^sallyportd: .*--daemonize.*\n/)
  assert.match(stderr, /--help/)
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack')
})
