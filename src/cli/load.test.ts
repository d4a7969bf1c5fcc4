import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import type { Connection } from '../config/connection.ts'
import { type ScriptedDaemon, scriptedDaemon } from '../vici/testing.ts'
import { against } from './testing.ts'

/** Has the connections that were loaded. */
function daemon(): ScriptedDaemon {
  const connections = new Map<string, Connection>()
  return scriptedDaemon((command) => {
    if (command.kind === 'load-connection') connections.set(command.connection.name, command.connection)
    if (command.kind === 'unload-connection') connections.delete(command.name)
    return command.kind === 'list-connections'
      ? { kind: 'connections', connections: [...connections.values()] }
      : undefined
  })
}

const { privateKey } = generateKeyPairSync('ed25519')
const key = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
const locked = String(privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'open' }))

const conf = `connections {
  net { remote_addrs = 192.0.2.2 }
  typo { remote_adrs = 192.0.2.3 }
}
secrets {
  ike-1 { secret = topsecret }
  private { file = locked.pem
    secret = open }
  odd { secret = x }
}
pools { p4 { addrs = 10.77.0.0/24 } }
`

const files = {
  '/etc/swanctl/swanctl.conf': conf,
  '/etc/swanctl/private/key.pem': key,
  '/etc/swanctl/private/locked.pem': locked,
  '/etc/swanctl/empty.conf': '',
  '/etc/swanctl/broken.conf': 'connections { net {\n',
}

test('load-all: credentials, authorities, pools, connections; one that fails is counted', async () => {
  await using cli = await against(daemon(), files)
  assert.deepEqual(await cli.swanctl('--load-all', '--noprompt'), {
    exit: 22,
    out: `loaded private key from '/etc/swanctl/private/key.pem'
loaded ED25519 key from '/etc/swanctl/private/locked.pem'
loaded ike secret 'ike-1'
no authorities found, 0 unloaded
loaded pool 'p4'
successfully loaded 1 pools, 0 unloaded
loaded connection 'net'
`,
    err: `ignoring unsupported secret 'odd'
loading connection 'typo' failed: unknown option: remote_adrs, config discarded
loaded 1 of 2 connections, 1 failed to load, 0 unloaded
`,
  })
  // As raw messages nothing fails, as swanctl has it.
  const raw = await cli.swanctl('-c', '-r')
  assert.equal(raw.exit, 0)
  assert.match(
    raw.out,
    /^get-conns reply \{conns=\[net\]\}\nload-conn reply \{success=yes\}\nload-conn reply \{success=no /,
  )
  const json = (await cli.call('load-conns', '--json')).out.trim().split('\n')
  assert.deepEqual(JSON.parse(json[0] ?? ''), { command: 'load-conn', name: 'net', success: 'yes' })
})

test('what is no longer there is unloaded, also keys and secrets', async () => {
  await using cli = await against(daemon(), files)
  await cli.swanctl('-q', '-n')
  assert.equal((await cli.swanctl('-c', '-f', '/etc/swanctl/empty.conf')).out, 'no connections found, 1 unloaded\n')
  const raw = (await cli.swanctl('-s', '-n', '-P', '-f', '/etc/swanctl/empty.conf')).out
  assert.match(raw, /^unload-shared reply \{\n {2}success = yes\n\}\n$/m)
})

test('a file that is wrong or not there changes nothing', async () => {
  await using cli = await against(daemon(), files)
  await cli.swanctl('-q', '-n')
  const broken = await cli.swanctl('-c', '-f', '/etc/swanctl/broken.conf')
  assert.equal(broken.exit, 22)
  assert.match(broken.err, /broken\.conf:2:1: .*\ninvalid config file '\/etc\/swanctl\/broken\.conf'\n$/)
  assert.equal((await cli.call('load-conns', '-f', '/nowhere.conf')).exit, 22)
  assert.match((await cli.swanctl('-c', '-r')).out, /^get-conns reply \{conns=\[net\]\}/)
})

test('places are for us, the bare words for swanctl', async () => {
  const missing = { '/etc/swanctl/swanctl.conf': 'connections { net { local { certs = none.pem } } }' }
  await using cli = await against(daemon(), missing)
  const words = "loading certs certificate '/etc/swanctl/x509/none.pem' failed: ENOENT"
  assert.ok((await cli.swanctl('-c')).err.startsWith(words))
  assert.ok((await cli.call('-c')).err.startsWith(`/etc/swanctl/swanctl.conf:1:29: ${words}`))
})
