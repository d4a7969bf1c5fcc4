/** What charon refuses is refused with file, line, key and cure, and what was there before stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../src/config/config-error.ts'
import { memoryFiles } from '../../src/config/files.ts'
import { readDaemonSettings } from '../../src/config/strongswan.ts'
import { readSwanctl } from '../../src/config/swanctl.ts'
import { commands } from '../../src/vici/commands/index.ts'
import { loadAll } from '../../src/vici/load-all.ts'
import { onlySa } from '../simulation/expect.ts'
import { load, settingsOf, up } from './hosts.ts'

/** What the daemon says of a swanctl.conf. */
async function problems(conf: string): Promise<readonly string[]> {
  const world = await up()
  const daemon = await load(world, 'left', {})
  const files = memoryFiles({ '/etc/swanctl/swanctl.conf': conf })
  return (await loadAll(readSwanctl('/etc/swanctl', files), { daemon, files })).problems
}

/** A line of a connection, a round or a child, and what is wrong with it: CHARON-like words, then the reason. */
const lines: readonly (readonly [where: 'connection' | 'local' | 'remote' | 'child', line: string, why: RegExp])[] = [
  ['connection', 'nosuch = 1', /unknown option: nosuch, config discarded/],
  ['connection', 'version = two', /invalid value for: version.*'two' is no number/],
  ['connection', 'remote_port = http', /invalid value for: remote_port.*'http' is no port number/],
  ['connection', 'proposals = aes128-nosuch', /invalid value for: proposals.*nosuch/],
  ['connection', 'vips = anything', /invalid value for: vips.*write 0\.0\.0\.0 or :: for any/],
  ['connection', 'dscp = 102', /invalid value for: dscp/],
  ['connection', 'encap = perhaps', /invalid value for: encap.*neither yes nor no/],
  ['connection', 'dpd_delay = 1.5s', /invalid value for: dpd_delay.*write a whole number and one of s, m, h, d/],
  ['connection', 'fragmentation = maybe', /invalid value for: fragmentation.*none of yes, accept, no, force/],
  ['connection', 'childless = maybe', /invalid value for: childless/],
  ['connection', 'send_cert = maybe', /invalid value for: send_cert/],
  ['connection', 'unique = maybe', /invalid value for: unique/],
  ['connection', 'keyingtries = some', /invalid value for: keyingtries/],
  ['connection', 'rekey_time = soon', /invalid value for: rekey_time/],
  ['connection', 'if_id_in = eth0', /invalid value for: if_id_in/],
  ['connection', 'mediation = yes', /invalid value for: mediation.*remove this key/],
  ['local', 'nosuch = 1', /unknown option: nosuch/],
  ['local', 'round = first', /invalid value for: round/],
  ['local', 'auth = magic', /invalid value for: auth/],
  ['remote', 'revocation = often', /invalid value for: revocation.*none of relaxed, ifuri, strict/],
  ['remote', 'cert_policy = 1.x', /invalid value for: cert_policy.*no object identifier/],
  ['child', 'nosuch = 1', /unknown option: nosuch/],
  ['child', 'mode = subway', /invalid value for: mode/],
  ['child', 'local_ts = 10.0.0.0/33', /invalid value for: local_ts/],
  ['child', 'remote_ts = 10.0.0.0/8[tcp', /invalid value for: remote_ts/],
  ['child', 'start_action = trap,start', /invalid value for: start_action/],
  ['child', 'life_bytes = 1t', /invalid value for: life_bytes/],
  ['child', 'mark_in = %same', /invalid value for: mark_in/],
  ['child', 'hw_offload = never', /invalid value for: hw_offload/],
  ['child', 'copy_dscp = sometimes', /invalid value for: copy_dscp/],
  ['child', 'tfc_padding = much', /invalid value for: tfc_padding/],
]

for (const [where, line, why] of lines) {
  test(`${where}: ${line} is refused with its place`, async () => {
    const section = (name: string) => (where === name ? `\n        ${line}\n` : '')
    const [problem = ''] = await problems(`connections {
  c {
    ${where === 'connection' ? line : ''}
    local { auth = psk${section('local')} }
    remote { auth = psk${section('remote')} }
    children { n { ${section('child')} } }
  }
}`)
    const row = { connection: 3, local: 5, remote: 6, child: 7 }[where]
    assert.match(problem, new RegExp(`^/etc/swanctl/swanctl\\.conf:${row}:\\d+: load-conn of 'c' failed: `))
    assert.match(problem, why)
  })
}

test('pools, authorities and secrets: the place of the key', async () => {
  const found = await problems(`pools {
  p {
    addrs = some }
  q { addrs = 10.0.0.0/24
    nosuch = 1 }
}
authorities {
  a { nosuch = 1
    cacert = 0x00 } }
secrets { ike { secret = 0xzz } }`)
  assert.match(found.join('\n'), /conf:3:5: load-pool of 'p' failed: invalid addrs value: some/)
  assert.match(found.join('\n'), /conf:5:5: load-pool of 'q' failed: invalid attribute: nosuch/)
  assert.match(found.join('\n'), /conf:8:7: load-authority of 'a' failed: unknown option: nosuch, authority discarded/)
  assert.match(found.join('\n'), /conf:10:17: after 0x there is more/)
})

test('a connection that fails to load leaves the earlier one in force, and its SAs up', async () => {
  const world = await up()
  const before = onlySa(world.left).uniqueId
  await assert.rejects(load(world, 'left', { left: { child: 'mode = subway' } }), /invalid value for: mode/)
  assert.equal(onlySa(world.left).uniqueId, before)
  const answer = world.left.command({ kind: 'list-connections' })()
  assert.ok(answer?.kind === 'connections' && answer.connections[0]?.children[0]?.mode === 'tunnel')
})

test('a reload touches only what has changed', async () => {
  const children = 'more { esp_proposals = aes128gcm16\n local_ts = 172.16.0.0/16\n remote_ts = 172.17.0.0/16 }'
  const world = await up({ both: { children } })
  const before = onlySa(world.left)
  const again = async (confs: Parameters<typeof load>[2]) => {
    await load(world, 'left', confs)
    world.settle()
    return onlySa(world.left)
  }
  // The same once more, then another child that is not up: nobody notices.
  const same = await again({ both: { children } })
  assert.deepEqual([same.uniqueId, same.children[0]?.uniqueId], [before.uniqueId, before.children[0]?.uniqueId])
  const other = await again({ both: { children: `${children}\nthird { }` } })
  assert.deepEqual([other.uniqueId, other.children[0]?.spiIn], [before.uniqueId, before.children[0]?.spiIn])
})

test('a broken include changes nothing: of swanctl.conf no connection, of strongswan.conf no setting', async () => {
  const files = memoryFiles({
    '/etc/swanctl/swanctl.conf': 'connections { good { } }\ninclude conf.d/*.conf',
    '/etc/swanctl/conf.d/a.conf': 'connections { bad {',
  })
  assert.throws(() => readSwanctl('/etc/swanctl', files), /conf\.d\/a\.conf:1/)
  const conf = 'charon { port = 7\n }\ninclude d/*.conf'
  const settings = memoryFiles({ '/etc/s.conf': conf, '/etc/d/x.conf': 'charon {' })
  assert.throws(() => readDaemonSettings('/etc/s.conf', settings), ConfigError)
})

test('a section that nobody reads is told of, a template is not', () => {
  const conf = 'conections { c { } }\nconnections { c : tmpl.c { } }\ntmpl { c { } }'
  const { warnings } = readSwanctl('/etc/swanctl', memoryFiles({ '/etc/swanctl/swanctl.conf': conf }))
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /swanctl\.conf:1:1: nobody reads the section 'conections'; there are connections/)
})

/** Values of strongswan.conf that are none: each is warned of with its place, and the default stays. */
for (const line of [
  'port = http',
  'retransmit_timeout = -1',
  'retransmit_tries = 1000',
  'cookie_threshold = few',
  'keep_alive = often',
  'rdn_matching = loose',
  'dos_protection = perhaps',
  'spi_mask = 0xg',
  'plugins { kernel-netlink { fwmark = x/y } }',
  'plugins { kernel-netlink { mtu = 100000 } }',
  'plugins { attr { dns = ns.lab.org } }',
  'routing_table_prio = low',
]) {
  test(`strongswan.conf: ${line} is told with its place`, () =>
    assert.throws(() => settingsOf(line), /\/c:2:\d+: .*; its default is used/))
}

test('the words of VICI stay charon’s, whatever the reason', async () => {
  const world = await up()
  const daemon = await load(world, 'left', {})
  const files = memoryFiles({})
  const [item] = readSwanctl(
    '/etc/swanctl',
    memoryFiles({ '/etc/swanctl/swanctl.conf': 'connections { c { children { n { mode = subway } } } }' }),
  ).requests
  const stream = async () => undefined
  const answer = await commands.get('load-conn')?.(
    { message: item?.message ?? [], broken: false, stream },
    { daemon, files },
  )
  assert.deepEqual(
    answer?.map((one) => one.kind === 'value' && `${one.name}=${Buffer.from(one.value)}`),
    ['success=no', 'errmsg=invalid value for: mode, config discarded'],
  )
})
