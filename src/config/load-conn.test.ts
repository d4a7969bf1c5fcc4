import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { formatIdentity } from '../pki/identity.ts'
import { ConfigError } from './config-error.ts'
import type { Connection } from './connection.ts'
import { connectionKey, sameChild, sameConnection } from './equality.ts'
import { memoryFiles } from './files.ts'
import { parseConf } from './grammar.ts'
import { detailOf, loadConnection } from './load-conn.ts'
import { formatProposal } from './proposals.ts'
import { formatConfiguredSelector } from './selectors.ts'
import { connectionTree } from './swanctl.ts'
import { list, section, type Tree, value } from './tree.ts'

const files = memoryFiles({})

function tree(text: string): Tree {
  return connectionTree(parseConf(text, '/x.conf', files).root, { directory: '/etc/swanctl', files })
}

const load = (text: string): Connection => loadConnection('x', tree(text), files).connection

function errmsg(from: Tree): string {
  try {
    loadConnection('x', from, files)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
  }
  return 'accepted'
}

test('a connection without any key has the defaults', () => {
  const { proposals, local, remote, ...rest } = load('')
  assert.deepEqual(rest, {
    name: 'x',
    version: 2,
    localAddresses: [{ kind: 'any' }],
    remoteAddresses: [{ kind: 'any' }],
    localAddressTexts: ['%any'],
    remoteAddressTexts: ['%any'],
    localPort: 500,
    remotePort: 500,
    vips: [],
    dscp: 0,
    encap: false,
    mobike: true,
    dpdDelaySeconds: 0,
    dpdTimeoutSeconds: 0,
    fragmentation: 'yes',
    childless: 'allow',
    sendCertreq: true,
    sendCert: 'ifasked',
    ocsp: 'reply',
    ppkRequired: false,
    keyingTries: 1,
    unique: 'no',
    rekeySeconds: 14400,
    reauthSeconds: 0,
    overSeconds: 1440,
    randSeconds: 1440,
    pools: [],
    children: [],
  })
  assert.equal(proposals.length, 2)
  assert.deepEqual(
    [local, remote].map((rounds) => rounds.map((round) => round.class)),
    [['any'], ['any']],
  )
})

test('a child without any key has the defaults', () => {
  const child = load('children { net { } }').children[0]
  assert.ok(child)
  const { espProposals, ...rest } = child
  assert.equal(espProposals.length, 2)
  assert.deepEqual(
    rest.localTs.map((ts) => formatConfiguredSelector(ts)),
    ['dynamic'],
  )
  assert.deepEqual(rest.lifetimeSeconds, { rekey: 3600, life: 3960, rand: 360 })
  assert.deepEqual(rest.lifetimeBytes, { rekey: 0n, life: 0n, rand: 0n })
  assert.deepEqual([rest.mode, rest.copyDscp, rest.hwOffload], ['tunnel', 'out', 'no'])
  assert.deepEqual([rest.policies, rest.copyDf, rest.copyEcn, rest.icmp], [true, true, true, false])
})

test('the whole of a usual connection', () => {
  const connection = load(`
    local_addrs = 192.0.2.1
    remote_addrs = 192.0.2.2, gw.example.org
    proposals = aes128gcm16-prfsha256-x25519, aes256-sha512-modp4096
    local { auth = psk
            id = moon.example.org }
    remote { auth = psk
             id = "C=CH, O=Lab, CN=sun" }
    children {
      net { local_ts = 10.1.0.0/16, 10.9.0.1
            remote_ts = 10.2.0.0/16[tcp/443]
            esp_proposals = aes128gcm16-x25519
            start_action = trap|start
            mark_out = 16/0xff
            if_id_in = 7
            updown = "/etc/up vti1" }
      host { mode = transport }
    }`)
  assert.deepEqual(connection.remoteAddresses, [
    { kind: 'host', address: '192.0.2.2' },
    { kind: 'name', name: 'gw.example.org' },
  ])
  assert.deepEqual(connection.proposals.map(formatProposal), [
    'IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519',
    'IKE:AES_CBC_256/HMAC_SHA2_512_256/PRF_HMAC_SHA2_512/MODP_4096',
  ])
  assert.deepEqual(
    [...connection.local, ...connection.remote].map(({ id }) => id && formatIdentity(id)),
    ['moon.example.org', 'C=CH, O=Lab, CN=sun'],
  )
  const [net, host] = connection.children
  assert.deepEqual(
    net?.localTs.map((ts) => formatConfiguredSelector(ts)),
    ['10.1.0.0/16', '10.9.0.1/32'],
  )
  assert.deepEqual(net?.startAction, { trap: true, start: true })
  assert.deepEqual(net?.markOut, { value: 16, mask: 255 })
  assert.deepEqual([net?.ifIdIn, net?.ifIdOut, net?.updown], [7, undefined, '/etc/up vti1'])
  assert.deepEqual([host?.name, host?.mode], ['host', 'transport'])
})

const discarded = (key: string) => `unknown option: ${key}, config discarded`
const invalid = (key: string) => `invalid value for: ${key}, config discarded`

const verdicts: readonly (readonly [string, string])[] = [
  ['foo = 1', discarded('foo')],
  ['foo { }', 'invalid section: foo'],
  ['__proto__ = 1', discarded('__proto__')],
  ['local { foo = 1 }', discarded('foo')],
  ['children { c { foo = 1 } }', discarded('foo')],
  ['local { foo { } }', 'invalid section: foo'],
  ['children { c { foo { } } }', 'accepted'],
  ['children { foo = 1 }', 'accepted'],
  ['local { cert1 { } }', 'handle or file path missing: cert1'],
  ['local { cert1 { file = /a\n handle = 12 } }', 'handle and file path given: cert1'],
  ['local { cert1 { file = /nowhere } }', 'unable to load certificate: cert1'],
  ['remote { cacert-x { handle = 12 } }', 'unable to load certificate: cacert-x'],
  ['version = 3', 'accepted'],
  ['version = 1', 'accepted'],
  ['aggressive = yes\npull = no', 'accepted'],
  ['aggressive = maybe', invalid('aggressive')],
  ['local { auth = eap-foo }', 'accepted'],
  ['local { auth = pubkey-foo }', 'accepted'],
  ['local { auth = PSK }', 'accepted'],
  ['local { auth = ed25519 }', invalid('auth')],
  ['local { auth = ed448 }', invalid('auth')],
  ['local { auth = any }', invalid('auth')],
  ['local { auth = PubKey }', invalid('auth')],
  ['local { auth = xauth }', invalid('auth')],
  ['local { id = "" }', 'accepted'],
  ['remote { id = "fqdn:^(a$" }', invalid('id')],
  ['rekey_time = ""', 'accepted'],
  ['rekey_time = -1', 'accepted'],
  ['rekey_time = 1h30m', invalid('rekey_time')],
  ['local_port = 70000', 'accepted'],
  ['mobike = on', invalid('mobike')],
  ['mobike = ""', invalid('mobike')],
  ['unique = yes', invalid('unique')],
  ['keyingtries = %forever', invalid('keyingtries')],
  ['children { c { dpd_action = hold } }', invalid('dpd_action')],
  ['children { c { mode = iptfs } }', invalid('mode')],
  ['children { c { local_ts = 10.0.0.0/33 } }', invalid('local_ts')],
  ['proposals = aes128-sha256-ecp256, nosuch', invalid('proposals')],
  ['mediation = no', 'accepted'],
  ['mediation = yes', invalid('mediation')],
  ['LOCAL-a { }\nRemote7 { }\nChildren { }', 'accepted'],
]

for (const [text, expected] of verdicts) {
  test(`load-conn ${JSON.stringify(text)}: ${expected}`, () => assert.equal(errmsg(tree(text)), expected))
}

test('a value for a list and a list for a value are unknown options', () => {
  assert.equal(errmsg([value('proposals', 'aes128-sha256-ecp256')]), discarded('proposals'))
  assert.equal(errmsg([list('version', ['2'])]), discarded('version'))
  assert.equal(errmsg([section('children', [section('c', [value('local_ts', 'dynamic')])])]), discarded('local_ts'))
})

test('bytes that are no text are no value', () => {
  assert.equal(errmsg([value('rekey_time', Uint8Array.of(0x31, 0xff))]), invalid('rekey_time'))
})

test('the reason is in the log text, not in errmsg', () => {
  assert.throws(
    () => loadConnection('x', tree('proposals = aes128-md4-x25519'), files),
    (error) =>
      error instanceof ConfigError && /invalid value for: proposals.*'md4' not recognized/.test(detailOf(error)),
  )
})

const lifetimes: readonly (readonly [string, { rekey: number; life: number; rand: number }])[] = [
  ['life_time = 4000', { rekey: 3636, life: 4000, rand: 364 }],
  ['rekey_time = 0', { rekey: 0, life: 0, rand: 0 }],
  ['rekey_time = 0\nlife_time = 1h', { rekey: 0, life: 3600, rand: 3600 }],
  ['rekey_time = 1h\nlife_time = 30m', { rekey: 3600, life: 1800, rand: 0 }],
  ['rekey_time = 50m\nlife_time = 1h\nrand_time = 5', { rekey: 3000, life: 3600, rand: 5 }],
  ['rekey_time = -1', { rekey: 3600, life: 3960, rand: 360 }],
]

for (const [text, expected] of lifetimes) {
  test(`lifetimes of a child with ${JSON.stringify(text)}`, () => {
    assert.deepEqual(load(`children { c { ${text}\n } }`).children[0]?.lifetimeSeconds, expected)
  })
}

test('lifetimes in bytes and packets', () => {
  const child = load('children { c { life_bytes = 1g\n rekey_packets = 1000\n } }').children[0]
  assert.deepEqual(child?.lifetimeBytes, { rekey: 976128930n, life: 1073741824n, rand: 97612894n })
  assert.deepEqual(child?.lifetimePackets, { rekey: 1000n, life: 1100n, rand: 100n })
})

const ikeTimes: readonly (readonly [string, readonly number[]])[] = [
  ['rekey_time = 1h', [3600, 0, 360, 360]],
  ['reauth_time = 1h', [0, 3600, 360, 360]],
  ['rekey_time = 10\nreauth_time = 20\nover_time = 100', [10, 20, 100, 5]],
  ['rekey_time = 0', [0, 0, 0, 0]],
  ['rand_time = 7', [14400, 0, 1440, 7]],
]

for (const [text, expected] of ikeTimes) {
  test(`times of an IKE SA with ${JSON.stringify(text)}`, () => {
    const { rekeySeconds, reauthSeconds, overSeconds, randSeconds } = load(text)
    assert.deepEqual([rekeySeconds, reauthSeconds, overSeconds, randSeconds], expected)
  })
}

test('rounds: by their number, else by position', () => {
  const connection = load(
    'local-b { round = 2\n id = b }\nlocal-c { id = c }\nlocal { round = 1\n id = a }\nremote { id = r }',
  )
  assert.deepEqual(
    connection.local.map(({ name, id }) => [name, id && formatIdentity(id)]),
    [
      ['local-1', 'c'],
      ['local-2', 'a'],
      ['local-3', 'b'],
    ],
  )
})

test('signature constraints', () => {
  const auth = (text: string) => load(`remote { auth = ${text}\n }`).remote[0]?.signatures
  assert.deepEqual(auth('pubkey'), [{ keyType: 'any', hashes: [], ikeOnly: false }])
  assert.deepEqual(auth('rsa-4096-sha256-sha512-ecdsa-sha384'), [
    { keyType: 'rsa', minimumBits: 4096, hashes: [2, 4], ikeOnly: false },
    { keyType: 'ecdsa', hashes: [3], ikeOnly: false },
  ])
  assert.deepEqual(auth('ike:rsa/pss-sha256'), [{ keyType: 'rsa/pss', hashes: [2], ikeOnly: true }])
  assert.deepEqual(auth('ike:ed25519-identity'), [{ keyType: 'ed25519', hashes: [5], ikeOnly: true }])
})

test('EAP methods', () => {
  const eap = (text: string) => {
    const round = load(`remote { auth = ${text}\n }`).remote[0]
    return [round?.class, round?.eapMethod]
  }
  assert.deepEqual(eap('eap'), ['eap', undefined])
  assert.deepEqual(eap('EAP-mschapv2'), ['eap', 'mschapv2'])
  assert.deepEqual(eap('eap-26'), ['eap', '26'])
  for (const method of ['tls', 'radius', 'peap', '13', '254-10415']) {
    assert.match(errmsg(tree(`remote { auth = eap-${method} }`)), /invalid value for: auth/)
  }
})

test('what is odd but accepted is noted', () => {
  const notes = (text: string) => loadConnection('x', tree(text), files).notes
  assert.deepEqual(notes('local { auth = pubkey-foo }'), ["ignoring invalid auth token: 'foo'"])
  assert.deepEqual(notes('local { auth = eap-foo }'), ['unknown or invalid EAP method: foo'])
})

test('what is unique to Child SAs is refused where there are none', () => {
  const shunt = (mode: string): string => errmsg(tree(`children { y { mode = ${mode}\n mark_in = %unique } }`))
  assert.match(shunt('pass'), /%unique is for CHILD_SAs, mode = pass has none/)
  assert.match(shunt('drop'), /mode = drop has none/)
  assert.equal(shunt('tunnel'), 'accepted')
})

test('a security label is for both sides to have, not for the kernel', () => {
  const conf = (mode: string): Tree => tree(`children { y { label = secret\n ${mode} } }`)
  assert.equal(load('children { y { label = secret } }').children[0]?.label, 'secret')
  assert.match(errmsg(tree('children { y { label = "" } }')), /invalid value for: label/)
  assert.match(errmsg(conf('label_mode = selinux')), /invalid value for: label_mode/)
  const selinux = memoryFiles({ '/sys/fs/selinux/enforce': '1' })
  assert.throws(() => loadConnection('x', conf(''), selinux), /invalid value for: label_mode/)
  assert.throws(() => loadConnection('x', conf('label_mode = system'), selinux), /invalid value for: label_mode/)
  assert.doesNotThrow(() => loadConnection('x', conf('label_mode = simple'), selinux))
})

test('raw public keys are kept as SubjectPublicKeyInfo', () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const pem = new TextEncoder().encode(String(publicKey.export({ format: 'pem', type: 'spki' })))
  const { connection } = loadConnection('x', [section('local', [list('pubkeys', [pem])])], files)
  assert.deepEqual(
    Buffer.from(connection.local[0]?.publicKeys[0] ?? []),
    publicKey.export({ format: 'der', type: 'spki' }),
  )
})

const differences: readonly (readonly [string, boolean])[] = [
  ['dscp = 101110', true],
  ['dpd_timeout = 30s', true],
  ['children { net { } }', true],
  ['dpd_delay = 30s', false],
  ['local { id = other }', false],
  ['remote_addrs = 192.0.2.9', false],
  ['proposals = aes256-sha256-x25519', false],
  ['if_id_in = 5', false],
  ['vips = 0.0.0.0', false],
]

for (const [text, same] of differences) {
  test(`${JSON.stringify(text)} makes ${same ? 'no' : 'another'} connection`, () => {
    const base = 'local { auth = pubkey\n id = "fqdn:^a.*$" }'
    assert.ok(sameConnection(load(base), load(base)))
    const other = loadConnection('y', tree(`${base}\n${text}`), files).connection
    assert.equal(sameConnection(load(base), other), same)
    assert.equal(connectionKey(load(base)) === connectionKey(other), same)
  })
}

test('children are the same whatever they are called, and differ by any key', () => {
  const child = (text: string) => load(`children { ${text} }`).children[0] ?? assert.fail()
  assert.ok(sameChild(child('a { }'), child('b { rekey_time = 1h\n }')))
  for (const text of [
    'mode = transport',
    'mark_in = 1',
    'local_ts = ::/0',
    'life_bytes = 1',
    'start_action = trap',
    'reqid = 1',
  ]) {
    assert.ok(!sameChild(child('a { }'), child(`a { ${text}\n }`)), text)
  }
})
