import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { memoryFiles } from '../../config/files.ts'
import { readSwanctl } from '../../config/swanctl.ts'
import { formatTree, list, section, type Tree, value } from '../../config/tree.ts'
import { seededRandom } from '../../crypto/random.ts'
import { command } from '../../ike/commands.ts'
import { Core } from '../../ike/core.ts'
import type { Command } from '../../ike/input.ts'
import type { Answer } from '../../ike/output.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { parseIdentity } from '../../pki/identity.ts'
import { publicKeyId } from '../../pki/keys.ts'
import { StatusCache } from '../../pki/revocation/cache.ts'
import { parseCrl } from '../../pki/revocation/crl.ts'
import { issueCrl } from '../../pki/revocation/issue.ts'
import { loadAll } from '../load-all.ts'
import { type Context, configLog } from '../request.ts'
import { scriptedDaemon } from '../testing.ts'
import { commands } from './index.ts'

const pkits = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../../rfc-vectors/pkits/certs/${name}.crt`, import.meta.url)))
const ca = pkits('GoodCACert')
const endEntity = pkits('ValidCertificatePathTest1EE')
const caName = parseCertificate(ca).subjectText
const endEntityName = parseCertificate(endEntity).subjectText

/** Commands against a daemon of their own: the response as text, and what was streamed. */
function setup(files: Record<string, string | Uint8Array> = {}, fetched: StatusCache = new StatusCache()) {
  const scripted = scriptedDaemon((command) => {
    switch (command.kind) {
      case 'stats':
        return { kind: 'stats', ikeSas: 3, halfOpen: 1, scheduled: 9 }
      case 'load-pool':
      case 'unload-pool':
      case 'list-pools':
        return inCore(core, command, (message) => daemon.log(configLog(message)))
      default:
        return undefined
    }
  })
  const daemon = { ...scripted, fetched }
  const core = new Core({ random: seededRandom(Buffer.from('commands')), settings: defaultCoreSettings, strict: true })
  const context: Context = { daemon, files: memoryFiles(files) }
  const streamed: Tree[] = []
  const run = async (command: string, ...message: Tree) => {
    const handler = commands.get(command) ?? assert.fail(command)
    const stream = async (_event: string, fields: Tree) => void streamed.push(fields)
    return formatTree(await handler({ message, broken: false, stream }, context))
  }
  const lastLog = () => daemon.logged.at(-1)?.message
  return { daemon, core, context, run, streamed, lastLog }
}

/** Has a core carry out a command that it answers at once. */
function inCore(core: Core, asked: Command, log: (message: string) => void): Answer | undefined {
  command(core, 1, asked)
  let answer: Answer | undefined
  for (const output of core.takeOutputs()) {
    if (output.kind === 'log') log(output.entry.message)
    if (output.kind === 'answer') answer = output.answer
  }
  return answer
}

test('load-cert checks in order, and a CA becomes an anchor whatever its flag', async () => {
  const { daemon, run, lastLog } = setup()
  assert.equal(await run('load-cert'), 'success=no errmsg=certificate type missing')
  assert.equal(await run('load-cert', value('type', 'x')), "success=no errmsg=invalid certificate type 'x'")
  assert.equal(
    await run('load-cert', value('type', 'X509'), value('flag', 'y')),
    "success=no errmsg=invalid certificate flag 'y'",
  )
  assert.equal(await run('load-cert', value('type', 'x509')), 'success=no errmsg=certificate data missing')
  assert.equal(
    await run('load-cert', value('type', 'X509'), value('data', 'junk')),
    'success=no errmsg=parsing X509 certificate failed',
  )
  assert.equal(await run('load-cert', value('type', 'X509'), value('flag', 'None'), value('data', ca)), 'success=yes')
  assert.equal(lastLog(), `loaded certificate '${caName}'`)
  assert.equal(await run('load-cert', value('type', 'X509'), value('data', endEntity)), 'success=yes')
  assert.equal(
    await run('load-cert', value('type', 'x509ca'), value('data', endEntity)),
    'success=no errmsg=ca certificate lacks CA basic constraint, rejected',
  )
  assert.equal(
    await run('load-cert', value('type', 'X509_CRL'), value('data', 'junk')),
    'success=no errmsg=parsing X509_CRL certificate failed',
  )
  const { anchors, certificates } = daemon.credentials.credentials()
  assert.deepEqual(
    [anchors, certificates].map((found) => found.map(({ subjectText }) => subjectText)),
    [[caName], [endEntityName]],
  )
  assert.equal(daemon.commands.at(-1)?.kind, 'credentials')
})

test('CRLs: the newer of two stays; those that were fetched are listed, and flushed, too', async () => {
  const fetched = new StatusCache()
  const { daemon, run, streamed, lastLog } = setup({}, fetched)
  const key = generateKeyPairSync('ed25519').privateKey
  const crl = (name: string, number: number) =>
    issueCrl({ issuer: { subject: `CN=${name}`, key }, thisUpdate: 0, nextUpdate: 1000, number })
  for (const number of [1, 3, 2]) {
    assert.equal(await run('load-cert', value('type', 'x509crl'), value('data', crl('Lab', number))), 'success=yes')
    assert.equal(lastLog(), "loaded certificate 'CN=Lab'")
  }
  assert.deepEqual(
    daemon.credentials.credentials().status?.crls.map(({ number }) => number),
    [3n],
  )
  fetched.addCrl(parseCrl(crl('Other', 1)))
  const listed = async () => {
    streamed.length = 0
    assert.equal(await run('list-certs', value('type', 'x509_crl')), '')
    return streamed.map((fields) => formatTree(fields.filter(({ name }) => name !== 'data')))
  }
  assert.deepEqual(await listed(), ['type=X509_CRL', 'type=X509_CRL'])
  assert.equal(await run('flush-certs', value('type', 'ocsp_response')), 'success=yes')
  assert.equal((await listed()).length, 2)
  assert.equal(await run('flush-certs'), 'success=yes')
  assert.equal((await listed()).length, 1)
  await run('clear-creds')
  assert.deepEqual(await listed(), [])
})

test('list-certs: by flag and subject, with the private key noted', async () => {
  const { run, streamed } = setup()
  await run('load-cert', value('type', 'X509'), value('flag', 'CA'), value('data', ca))
  await run('load-cert', value('type', 'X509'), value('data', endEntity))
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  await run('load-cert', value('type', 'PUBKEY'), value('data', spki))
  await run('load-key', value('type', 'any'), value('data', privateKey.export({ format: 'der', type: 'pkcs8' })))
  const listed = async (...message: Tree) => {
    streamed.length = 0
    assert.equal(await run('list-certs', ...message), '')
    return streamed.map((fields) => formatTree(fields.filter(({ name }) => name !== 'data')))
  }
  assert.deepEqual(await listed(), ['type=PUBKEY has_privkey=yes', 'type=X509 flag=NONE', 'type=X509 flag=CA'])
  assert.deepEqual(await listed(value('type', 'x509'), value('flag', 'ca')), ['type=X509 flag=CA'])
  assert.deepEqual(await listed(value('subject', endEntityName)), ['type=X509 flag=NONE'])
  assert.deepEqual(await listed(value('type', 'nosuch')), [])
})

test('list-certs: what peers have shown is listed until it is flushed, and once', async () => {
  const fetched = new StatusCache()
  const { run, streamed } = setup({}, fetched)
  const listed = async () => {
    streamed.length = 0
    assert.equal(await run('list-certs'), '')
    return streamed.map((fields) => formatTree(fields.filter(({ name }) => name !== 'data')))
  }
  fetched.addReceived([parseCertificate(endEntity), parseCertificate(ca)])
  assert.deepEqual(await listed(), ['type=X509 flag=NONE', 'type=X509 flag=CA'])
  await run('load-cert', value('type', 'X509'), value('flag', 'CA'), value('data', ca))
  assert.deepEqual(await listed(), ['type=X509 flag=NONE', 'type=X509 flag=CA'])
  assert.equal(await run('flush-certs', value('type', 'x509_crl')), 'success=yes')
  assert.equal((await listed()).length, 2)
  assert.equal(await run('flush-certs', value('type', 'x509')), 'success=yes')
  assert.deepEqual(await listed(), ['type=X509 flag=CA'])
  fetched.addReceived([parseCertificate(endEntity)])
  assert.equal(await run('clear-creds'), 'success=yes')
  assert.deepEqual(await listed(), [])
})

test('keys: loaded, listed by id, unloaded', async () => {
  const { daemon, run, lastLog } = setup()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = () => value('data', Uint8Array.from(privateKey.export({ format: 'der', type: 'pkcs8' })))
  const id = publicKeyId(privateKey)
  assert.equal(await run('load-key'), 'success=no errmsg=key type missing')
  assert.equal(await run('load-key', value('type', 'x')), 'success=no errmsg=invalid key type: x')
  assert.equal(await run('load-key', value('type', 'rsa')), 'success=no errmsg=key data missing')
  assert.equal(
    await run('load-key', value('type', 'any'), value('data', 'junk')),
    'success=no errmsg=parsing ANY private key failed',
  )
  const message = der()
  assert.equal(await run('load-key', value('type', 'any'), message), `success=yes id=${id}`)
  assert.ok(
    message.value.every((byte) => byte === 0),
    'the message still holds the key',
  )
  assert.equal(lastLog(), 'loaded ANY private key')
  assert.equal(await run('get-keys'), `keys=[${id}]`)
  assert.equal(daemon.credentials.credentials().privateKeys.size, 1)
  assert.equal(await run('unload-key', value('id', id)), 'success=yes')
  assert.equal(await run('unload-key', value('id', id)), 'success=no errmsg=key not found')
  assert.equal(lastLog(), `unloaded private key with id ${id}`)
  assert.equal(await run('unload-key'), 'success=no errmsg=key id missing')
})

test('shared secrets: replaced by id, anonymous ones added', async () => {
  const { daemon, run, lastLog } = setup()
  const data = (text: string) => value('data', text)
  assert.equal(await run('load-shared'), 'success=no errmsg=shared key type missing')
  assert.equal(await run('load-shared', value('type', 'x')), 'success=no errmsg=invalid shared key type: x')
  assert.equal(await run('load-shared', value('type', 'ike')), 'success=no errmsg=shared key data missing')
  assert.equal(
    await run('load-shared', value('type', 'ike'), data('x'), list('owners', ['fqdn:^($'])),
    'success=no errmsg=parsing shared key owners failed',
  )
  await run('load-shared', value('id', 'ike-1'), value('type', 'IKE'), data('one'), list('owners', ['a', '@b']))
  assert.equal(lastLog(), "loaded IKE shared key with id 'ike-1' for: 'a', 'b'")
  await run('load-shared', value('type', 'xauth'), data('two'))
  assert.equal(lastLog(), "loaded XAUTH shared key for: '%any'")
  await run('load-shared', value('id', 'ike-1'), value('type', 'ike'), data('three'))
  assert.equal(await run('get-shared'), 'keys=[ike-1]')
  assert.deepEqual(
    daemon.credentials.credentials().secrets.map(({ type, data: bytes }) => `${type} ${Buffer.from(bytes)}`),
    ['ike three', 'eap two'],
  )
  assert.equal(await run('unload-shared', value('id', 'ike-1')), 'success=yes')
  assert.equal(await run('unload-shared'), 'success=no errmsg=unique identifier missing')
  assert.equal(daemon.credentials.credentials().secrets.length, 1)
  assert.equal(await run('clear-creds'), 'success=yes')
  assert.equal(daemon.credentials.credentials().secrets.length, 0)
  assert.doesNotMatch(JSON.stringify(daemon.logged), /one|two|three/)
})

test('authorities', async () => {
  const { daemon, run, streamed } = setup({ '/ca': ca, '/ee': endEntity })
  const load = (...fields: Tree) => run('load-authority', section('a', fields))
  assert.equal(await load(value('x', '')), 'success=no errmsg=unknown option: x, authority discarded')
  assert.equal(await load(value('crl_uris', 'u')), 'success=no errmsg=unknown option: crl_uris, authority discarded')
  assert.equal(await load(), 'success=no errmsg=CA certificate missing: a')
  assert.equal(await load(value('file', '/ee')), 'success=no errmsg=invalid value for: file, authority discarded')
  assert.equal(
    await load(value('cacert', endEntity)),
    'success=no errmsg=invalid value for: cacert, authority discarded',
  )
  assert.match(daemon.logged.at(-1)?.message ?? '', /lacks CA basic constraint/)
  assert.equal(await load(value('file', '/ca'), list('crl_uris', ['http://c'])), 'success=yes')
  assert.equal(await run('get-authorities'), 'authorities=[a]')
  await run('list-authorities')
  assert.equal(formatTree(streamed[0] ?? []), `a {cacert=${caName} crl_uris=[http://c] ocsp_uris=[]}`)
  assert.equal(daemon.credentials.credentials().anchors.length, 1)
  await run('clear-creds')
  assert.equal(daemon.credentials.credentials().anchors.length, 1)
  assert.equal(await run('unload-authority'), 'success=no errmsg=unload: missing authority name')
  assert.equal(await run('unload-authority', value('name', 'z')), "success=no errmsg=unload: authority 'z' not found")
  assert.equal(await run('unload-authority', value('name', 'a')), 'success=yes')
  assert.equal(daemon.credentials.credentials().anchors.length, 0)
})

const pools: readonly (readonly [string, string, number])[] = [
  ['10.0.0.0/24', '10.0.0.1', 254],
  ['10.0.0.8/24', '10.0.0.8', 247],
  ['10.0.0.8/30', '10.0.0.9', 2],
  ['10.0.0.8/31', '10.0.0.8', 2],
  ['10.0.0.7/32', '10.0.0.7', 1],
  ['10.0.0.5-10.0.0.6', '10.0.0.5', 2],
  ['2001:db8::/64', '2001:db8::1', 2147483646],
  ['fec7::/120', 'fec7::1', 254],
]

for (const [addrs, base, size] of pools) {
  test(`pool ${addrs}`, async () => {
    const { run } = setup()
    assert.equal(await run('load-pool', section('p', [value('addrs', addrs)])), 'success=yes')
    assert.equal(await run('get-pools'), `p {base=${base} size=${size} online=0 offline=0}`)
  })
}

test('pools: errors, logs, unloading', async () => {
  const { run, lastLog } = setup()
  const load = (...fields: Tree) => run('load-pool', section('p', fields))
  const addrs = value('addrs', '10.0.0.0/24')
  assert.equal(await load(), "success=no errmsg=missing addrs for pool 'p'")
  assert.equal(await load(addrs, addrs), 'success=no errmsg=multiple addrs defined')
  assert.equal(await load(value('addrs', 'x')), 'success=no errmsg=invalid addrs value: x')
  assert.equal(await load(addrs, list('x', [])), 'success=no errmsg=invalid attribute: x')
  assert.equal(await load(addrs, value('dns', '10.0.0.1')), 'success=no errmsg=invalid attribute: dns')
  assert.equal(await load(addrs, list('dns', ['x'])), 'success=no errmsg=invalid attribute value for dns')
  await load(addrs, list('dns', ['10.0.0.1']), list('25', ['any']), list('subnet', ['10.0.0.0/8']))
  assert.equal(lastLog(), 'added vici pool p: 10.0.0.1, 254 entries')
  await load(addrs)
  assert.equal(lastLog(), 'updated vici pool p: 10.0.0.1, 254 entries')
  await load(value('addrs', '10.0.1.0/24'))
  assert.equal(lastLog(), 'replaced vici pool p: 10.0.1.1, 254 entries')
  assert.equal(
    await run('get-pools', value('leases', 'yes')),
    'p {base=10.0.1.1 size=254 online=0 offline=0 leases {}}',
  )
  assert.equal(await run('unload-pool'), 'success=no errmsg=missing pool name to unload')
  assert.equal(await run('unload-pool', value('name', 'z')), 'success=no errmsg=z not found')
  assert.equal(await run('unload-pool', value('name', 'p')), 'success=yes')
})

test('pools: leases, and what is refused while they are in use', async () => {
  const { core, run } = setup()
  const load = (addrs: string) => run('load-pool', section('p', [value('addrs', addrs)]))
  await load('10.0.0.0/24')
  await run('load-pool', section('q', [value('addrs', 'fec7::/120')]))
  const holder = { remote: { address: '192.0.2.1', port: 4500 } }
  const identities = ['carol@lab.org', 'C=CH, O=strongSwan, CN=dave'].map((text) => parseIdentity(text))
  const [first] = identities.map((identity) => core.pools.acquire(['p'], identity, 4, undefined, holder))
  assert.ok(first)
  core.pools.release(first, holder)
  assert.equal(
    await run('get-pools', value('leases', 'yes'), value('name', 'p')),
    'p {base=10.0.0.1 size=254 online=1 offline=1 leases {' +
      '0 {address=10.0.0.1 identity=carol@lab.org status=offline} ' +
      '1 {address=10.0.0.2 identity=C=CH, O=strongSwan, CN=dave status=online}}}',
  )
  assert.equal(
    await run('get-pools'),
    'p {base=10.0.0.1 size=254 online=1 offline=1} q {base=fec7::1 size=254 online=0 offline=0}',
  )
  assert.equal(await load('10.0.1.0/24'), 'success=no errmsg=vici pool p has online leases, unable to replace')
  assert.equal(await load('10.0.0.0/24'), 'success=yes')
  assert.equal(await run('unload-pool', value('name', 'p')), 'success=no errmsg=p has online leases, unable to unload')
})

test('stats has every field that exporters read', async () => {
  const { run } = setup()
  assert.match(
    await run('stats'),
    /^uptime \{running=3 minutes since=[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}\} workers \{total=16 idle=15 active \{critical=1 high=0 medium=0 low=0\}\} queues \{critical=0 high=0 medium=0 low=0\} scheduled=9 ikesas \{total=3 half-open=1\} plugins=\[sallyport\] mallinfo \{sbrk=\d+ mmap=\d+ used=\d+ free=\d+\}$/,
  )
})

test('get-algorithms lists what we have, by kind', async () => {
  const { run } = setup()
  const text = await run('get-algorithms')
  assert.match(
    text,
    /^encryption \{.*AES_CBC=sallyport.*\} integrity \{.*\} aead \{AES_GCM_16=.*\} hasher \{.*\} prf \{/,
  )
  assert.match(text, /ke \{CURVE_25519=sallyport.*\} rng \{.*\} nonce-gen \{NONCE_GEN=sallyport\}$/)
})

test('initiate and terminate as commands, with charon’s numbers', async () => {
  const { daemon, run, lastLog } = setup()
  await run('initiate', value('child', 'c'), value('ike', 'i'), value('timeout', '0x10'), value('init-limits', 'yes'))
  assert.deepEqual(daemon.commands.at(-1), { kind: 'initiate', ike: 'i', child: 'c', timeoutMs: 16, initLimits: true })
  const hosts = [value('my-host', '192.0.2.1'), value('other-host', '2001:DB8::0')]
  await run('initiate', value('child', 'c'), value('timeout', '-1'), value('async', '1'), ...hosts)
  const between = { local: '192.0.2.1', remote: '2001:db8::' }
  const given = { kind: 'initiate', child: 'c', timeoutMs: -1, initLimits: false }
  assert.deepEqual(daemon.commands.at(-1), { ...given, between })
  await run(
    'initiate',
    value('child', 'c'),
    value('timeout', '-1'),
    value('my-host', '0.0.0.0'),
    value('other-host', 'x'),
  )
  assert.deepEqual(daemon.commands.at(-1), given)
  await run('terminate', value('child', 'c'), value('child-id', 5), value('ike-id', 3), value('timeout', 'x'))
  assert.deepEqual(daemon.commands.at(-1), {
    kind: 'terminate',
    select: { ikeId: 3, child: 'c', childId: 5 },
    force: false,
    timeoutMs: 0,
  })
  assert.equal(lastLog(), "vici terminate CHILD_SA 'c' #5 of IKE_SA #3")
  await run('rekey', value('ike', 'i'), value('reauth', 'YES'))
  assert.deepEqual(daemon.commands.at(-1), { kind: 'rekey', select: { ike: 'i' }, reauth: true })
})

test('local_port is by default the port of our socket', async () => {
  for (const [portIke, text, expected] of [
    [15500, undefined, 15500],
    [15500, '4000', 4000],
    [undefined, undefined, 500],
    [15500, '0', 0],
  ] as const) {
    const { daemon, context } = setup()
    const known = portIke === undefined ? daemon : { ...daemon, portIke }
    const handler = commands.get('load-conn') ?? assert.fail()
    const message = [section('x', text === undefined ? [] : [value('local_port', text)])]
    await handler({ message, broken: false, stream: async () => undefined }, { ...context, daemon: known })
    const command = daemon.commands.at(-1)
    assert.equal(command?.kind === 'load-connection' && command.connection.localPort, expected)
  }
})

test('certificates in a connection become known', async () => {
  const { daemon, run } = setup({ '/ee.pem': endEntity })
  const local = section('local', [list('certs', [endEntity])])
  const remote = section('remote', [list('cacerts', [ca]), section('cert1', [value('file', '/ee.pem')])])
  assert.equal(await run('load-conn', section('x', [local, remote])), 'success=yes')
  assert.equal(daemon.logged.at(-1)?.message, `  id not specified, defaulting to cert subject '${endEntityName}'`)
  const { anchors, certificates } = daemon.credentials.credentials()
  assert.deepEqual([anchors.length, certificates.length], [1, 1])
  assert.deepEqual(
    daemon.commands.map(({ kind }) => kind),
    ['credentials', 'load-connection'],
  )
})

test('the daemon loads /etc/swanctl on its own; what fails does not stop the rest', async () => {
  const files = {
    '/etc/swanctl/x509ca/ca.crt': ca,
    '/etc/swanctl/x509/broken': 'junk',
    '/etc/swanctl/swanctl.conf': `connections { good { version = 2 }
      bad { nosuch = 1 } }
      secrets { ike-a { secret = x } }
      pools { p { addrs = 10.0.0.0/24 } }`,
  }
  const { daemon, context } = setup(files)
  const { loaded, problems } = await loadAll(readSwanctl('/etc/swanctl', memoryFiles(files)), context)
  assert.equal(loaded, 4)
  assert.deepEqual(problems, [
    "load-cert of '/etc/swanctl/x509/broken' failed: parsing X509 certificate failed",
    "/etc/swanctl/swanctl.conf:2:13: load-conn of 'bad' failed: unknown option: nosuch, config discarded",
  ])
  assert.equal(daemon.logged.filter(({ severity }) => severity === 'error').length, 2)
  assert.deepEqual(daemon.credentials.sharedIds, ['ike-a'])
})

test('every command that swanctl uses is there', () => {
  const names =
    `version stats reload-settings initiate terminate rekey redirect install uninstall list-sas list-policies
    list-conns get-conns list-certs list-authorities get-authorities load-conn unload-conn load-cert load-key unload-key
    get-keys load-token load-shared unload-shared get-shared flush-certs clear-creds load-authority unload-authority
    load-pool unload-pool get-pools get-algorithms get-counters reset-counters`.split(/\s+/)
  assert.deepEqual([...commands.keys()].toSorted(), names.toSorted())
})

test('get-counters without counters says so', async () => {
  const { run } = setup()
  assert.equal(await run('get-counters'), 'counters {} success=no errmsg=no counters available (plugin missing?)')
})

test('redirect: selectors and the gateway', async () => {
  const { daemon, run } = setup()
  const gateway = value('gateway', '192.0.2.7')
  assert.equal(await run('redirect', value('ike', 'gw')), 'success=no errmsg=missing target gateway')
  assert.equal(await run('redirect', gateway), 'success=no errmsg=missing redirect selector')
  assert.equal(
    await run('redirect', value('gateway', 'C=CH, CN=gw'), value('ike', 'gw')),
    'success=no errmsg=unsupported gateway identity',
  )
  assert.equal(
    await run('redirect', gateway, value('peer-ip', 'not.an.address')),
    'success=no errmsg=invalid peer IP selector',
  )
  await run('redirect', gateway, value('ike', 'gw'), value('ike-id', '7'), value('peer-ip', '10.0.0.0/8'))
  await run('redirect', value('gateway', 'gw2.lab'), value('peer-id', '*@lab.org'))
  const sent = daemon.commands.filter(({ kind }) => kind === 'redirect')
  assert.deepEqual(sent, [
    {
      kind: 'redirect',
      select: { ike: 'gw', ikeId: 7 },
      peerIp: { kind: 'range', from: '10.0.0.0', to: '10.255.255.255' },
      gateway: { kind: 'address', address: '192.0.2.7' },
    },
    {
      kind: 'redirect',
      select: {},
      peerId: parseIdentity('*@lab.org'),
      gateway: { kind: 'name', name: 'gw2.lab' },
    },
  ])
})

test('redirect in a core without IKE SAs matches none', async () => {
  const { core } = setup()
  const asked = { kind: 'redirect', select: { ike: 'gw' }, gateway: { kind: 'name', name: 'gw2.lab' } } as const
  const answer = inCore(core, asked, () => {})
  assert.deepEqual(answer, { kind: 'matched', matches: 0, done: 0, message: 'no matching SAs to redirect found' })
})

test('cert_uri_base goes to the core with its authority', async () => {
  const { daemon, run } = setup()
  await run('load-authority', section('good', [value('cacert', ca), value('cert_uri_base', 'http://certs.lab/')]))
  const { certUriBases } = daemon.credentials.credentials()
  assert.deepEqual(
    certUriBases?.map(({ authority, base }) => [authority.subjectText, base]),
    [[caName, 'http://certs.lab/']],
  )
  await run('unload-authority', value('name', 'good'))
  assert.deepEqual(daemon.credentials.credentials().certUriBases, [])
})
