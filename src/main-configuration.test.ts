/** The daemon as a process: what it makes of its files at start and on reload, in a network namespace of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { formatTree, type Tree } from './config/tree.ts'
import { inOwnNamespace } from './kernel/testing.ts'
import { ViciClient } from './vici/client.ts'

inOwnNamespace('the daemon', import.meta.filename, tests)

function tests(): void {
  test('it reads /etc/swanctl by itself, and says in one line what it does not read of strongswan.conf', async () => {
    await using daemon = await start(
      { 'swanctl.conf': 'connections { net { version = 2\n remote_addrs = 192.0.2.2 } }' },
      'nosuch = 1\n plugins { led { activity_led = x } }',
    )
    assert.equal(formatTree(await daemon.ask('get-conns')), 'conns=[net]')
    const lines = daemon.log().filter((line) => line.includes('options of strongswan.conf without effect'))
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /nosuch \(.*strongswan\.conf:\d+:\d+\), plugins\.led\.activity_led \(.*: no LEDs\)/)
  })

  test('a swanctl.conf with a mistake: it is there without connections, and says where the mistake is', async () => {
    const files = { 'swanctl.conf': 'connections { net { } }\ninclude conf.d/*.conf', 'conf.d/a.conf': 'x {\n' }
    await using daemon = await start(files)
    assert.equal(formatTree(await daemon.ask('get-conns')), 'conns=[]')
    assert.ok(daemon.log().some((line) => /no connections are loaded: .*a\.conf:\d+:\d+: /.test(line)))
  })

  test('a connection that cannot be is named with its place, the others are there', async () => {
    const conf = 'connections {\n bad { children { c {\n mode = subway } } }\n good { } }'
    await using daemon = await start({ 'swanctl.conf': conf })
    assert.equal(formatTree(await daemon.ask('get-conns')), 'conns=[good]')
    assert.ok(
      daemon.log().some((line) => /swanctl\.conf:3:2: load-conn of 'bad' failed: .*'subway' is none of/.test(line)),
    )
  })

  test('its ports are those of strongswan.conf, or random ones', async () => {
    const open = () => new Set(readFileSync('/proc/net/udp', 'utf8').match(/(?<=: [0-9A-F]{8}:)[0-9A-F]{4}/g))
    {
      await using _ = await start({}, 'port = 5555\n port_nat_t = 5556')
      assert.deepEqual([...open()].toSorted(), ['15B3', '15B4'])
    }
    await using _ = await start({})
    assert.equal(open().size, 2)
    assert.ok(!open().has('01F4') && !open().has('1194'))
  })

  test('start-scripts when it listens, stop-scripts before it ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
    const script = (name: string) => `${name}-scripts { a = echo ${name} >>${folder}/said }`
    {
      await using daemon = await start({}, `${script('start')}\n ${script('stop')}`)
      await daemon.ask('version')
    }
    assert.equal(readFileSync(join(folder, 'said'), 'utf8'), 'start\nstop\n')
    rmSync(folder, { recursive: true })
  })

  test('levels of groups change while it runs, by reload-settings; a broken file changes nothing', async () => {
    await using daemon = await start({})
    const asked = async () => {
      await daemon.ask('version')
      return daemon.log().filter((line) => line.includes('requests: version')).length
    }
    assert.equal(await asked(), 0)
    daemon.configure('', 'cfg = 2')
    assert.equal(formatTree(await daemon.ask('reload-settings')), 'success=yes')
    assert.equal(await asked(), 1)
    daemon.configure('', 'cfg = 1\n }')
    assert.match(formatTree(await daemon.ask('reload-settings')), /^success=no errmsg=reloading '.*' failed/)
    assert.equal(await asked(), 2)
    daemon.configure('', 'cfg = 1')
    await daemon.ask('reload-settings')
    assert.equal(await asked(), 2)
  })
}

interface Running extends AsyncDisposable {
  readonly ask: (command: string) => Promise<Tree>
  readonly log: () => readonly string[]
  /** Writes strongswan.conf with these lines in `charon` and in its file logger. */
  readonly configure: (charon: string, logger: string) => void
}

/** Starts the daemon on random ports with these files of swanctl; resolves when it listens. */
async function start(files: Readonly<Record<string, string>>, charon = ''): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  chmodSync(folder, 0o700)
  const [socket, logFile, conf] = ['vici', 'log', 'strongswan.conf'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, 'swanctl', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  const configure = (lines: string, logger: string): void =>
    writeFileSync(
      conf,
      `charon {\n port = 0\n port_nat_t = 0\n ${lines}\n filelog { a { path = ${logFile}\n flush_line = yes\n ${logger}\n } } }

charon-systemd { plugins { vici { socket = unix://${socket} } } }`,
    )
  configure(charon, '')
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const env = { ...process.env, STRONGSWAN_CONF: conf, SWANCTL_DIR: join(folder, 'swanctl') }
  const process_ = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8').split('\n') : [])
  await running(process_)
  return {
    log,
    configure,
    async ask(command) {
      await using client = await ViciClient.connect(`unix://${socket}`)
      return await client.request(command)
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => process_.once('exit', resolve))
      process_.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

/** Resolves when the daemon says on standard error that it runs; one that ends before ends the test. */
async function running(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('sallyportd is running')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}: ${said}`)))
  })
}
