/** secrets, pools and authorities: their keys, by what comes of them. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { memoryFiles } from '../../src/config/files.ts'
import { readSwanctl } from '../../src/config/swanctl.ts'
import { formatTree } from '../../src/config/tree.ts'
import { passwordHash } from '../../src/eap/mschapv2-keys.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { issueCrl, issueOcspResponse } from '../../src/pki/revocation/issue.ts'
import { logged, notLogged, onlySa, saidToPeer, sameSingleChild } from '../simulation/expect.ts'
import { testAuthority } from '../simulation/test-keys.ts'
import { type Conf, type Confs, certificate, certificates, hosts, initiate, key, refused, up } from './hosts.ts'

const secret = (text: string) => ({ secrets: text })

key('secrets.ike<suffix>.secret', 'the same at both ends, in any notation', async () => {
  const left = secret('ike { secret = 0sdGhlIHNhbWU= }')
  await up({ left, right: secret('ike-a { secret = "the same" }') })
  await up({ left, right: secret('ike { secret = 0x7468652073616d65 }') })
  const world = await hosts({ left, right: secret('ike { secret = other }') })
  initiate(world)
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

key('secrets.ike<suffix>.id<suffix>', 'whose secret it is', async () => {
  const two =
    'ike-1 { id = nobody.lab\n secret = wrong }\n ike-2 { id-a = left.lab\n id-b = right.lab\n secret = right }'
  await up({ left: secret(two), right: secret('ike { secret = right }') })
})

const ppk = (id: string) => ({
  connection: 'ppk_id = p',
  secrets: `ike { secret = x }\n ppk { id = ${id}\n secret = 0x01 }`,
})

key('secrets.ppk<suffix>.secret', 'post-quantum pre-shared key', async () => {
  const world = await up({ both: ppk('p') })
  assert.ok(onlySa(world.left).ppk)
})

key('secrets.ppk<suffix>.id<suffix>', 'the PPK_ID by which it is found', async () => {
  const world = await hosts({ left: ppk('other') })
  initiate(world)
  assert.ok(!world.left.sas().some((one) => one.ppk))
})

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const locked = String(privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'open' }))

/** What the daemon's own reader makes of a swanctl.conf with these secrets and files. */
function read(secrets: string, files: Record<string, string | Uint8Array> = {}) {
  return readSwanctl('/etc/swanctl', memoryFiles({ '/etc/swanctl/swanctl.conf': `secrets { ${secrets} }`, ...files }))
}

for (const folder of ['private', 'rsa', 'ecdsa', 'pkcs8']) {
  const files = { [`/etc/swanctl/${folder}/k.pem`]: locked }
  key(`secrets.${folder}<suffix>.file`, 'the key that the passphrase is for', () => {
    assert.equal(read(`${folder}-a { file = k.pem\n secret = open }`, files).requests[0]?.command, 'load-key')
    assert.match(read(`${folder}-a { file = other.pem\n secret = open }`, files).problems.join(), /passphrase/)
  })
  key(`secrets.${folder}<suffix>.secret`, 'the passphrase', () => {
    assert.equal(read(`${folder} { file = k.pem\n secret-1 = shut\n secret-2 = open }`, files).problems.length, 0)
    assert.match(read(`${folder} { file = k.pem\n secret = shut }`, files).problems.join(), /k\.pem/)
  })
}

key('secrets.ntlm<suffix>.secret', 'the hash of a password does as well', async () => {
  const hash = Buffer.from(passwordHash({ bytes: Buffer.from('Ar3etTnp'), hashed: false })).toString('hex')
  const secrets = (side: string) => ({ secrets: `${side}` })
  const world = await up(
    certificates({
      left: { local: 'auth = eap\n eap_id = carol', ...secrets('eap { id = carol\n secret = Ar3etTnp }') },
      right: { remote: 'auth = eap-mschapv2\n eap_id = %any', ...secrets(`ntlm { id = carol\n secret = 0x${hash} }`) },
    }),
  )
  logged(world.right, "authentication of 'left.lab' with EAP successful")
})

for (const kind of ['eap', 'xauth', 'ntlm']) {
  const text = () => read(`${kind}-a { id = carol\n secret = x }`).requests.map(({ message }) => formatTree(message))
  for (const name of ['secret', 'id<suffix>'])
    key(`secrets.${kind}<suffix>.${name}`, 'loaded and listed', () =>
      assert.deepEqual(text(), [`id=${kind}-a type=${kind} data=x owners=[carol]`]),
    )
}

for (const name of ['handle', 'slot', 'module', 'pin'])
  key(`secrets.token<suffix>.${name}`, 'there are no tokens', () => {
    const [problem] = read(`token-a { handle = 01\n ${name} = 1 }`).problems
    assert.match(problem?.message ?? '', /swanctl\.conf:1:\d+: keys on tokens are not supported: secret 'token-a'/)
  })

/** A key and its certificate, as in src/pki/pkcs12.test.ts. */
const container = new Uint8Array(readFileSync(new URL('pkcs12.p12', import.meta.url)))

key('secrets.pkcs12<suffix>.file', 'the container that the passphrase is for', () => {
  const files = { '/etc/swanctl/pkcs12/a.p12': container }
  assert.deepEqual(
    read('pkcs12 { file = a.p12\n secret = geheim }', files).requests.map(({ command }) => command),
    ['load-cert', 'load-key'],
  )
  assert.match(read('pkcs12 { file = b.p12\n secret = geheim }', files).problems.join(), /a\.p12: .*passphrase/)
})

key('secrets.pkcs12<suffix>.secret', 'the passphrase', () => {
  const files = { '/etc/swanctl/pkcs12/a.p12': container }
  assert.equal(read('pkcs12 { file = a.p12\n secret-1 = shut\n secret-2 = geheim }', files).problems.length, 0)
  assert.match(
    read('pkcs12 { file = a.p12\n secret = shut }', files).problems.join(),
    /a\.p12: .*is the passphrase right/,
  )
})

const client = { connection: 'vips = 0.0.0.0', child: 'local_ts = dynamic', kernel: { addresses: ['192.0.2.1'] } }
const gateway = (text: string) => ({
  rest: `pools { p { ${text} } }`,
  connection: 'pools = p',
  child: 'remote_ts = dynamic',
})

key('pools.<name>.addrs', 'a subnet, a range, or one address', async () => {
  for (const [addrs, first] of [
    ['10.77.0.0/24', '10.77.0.1'],
    ['10.77.0.9-10.77.0.20', '10.77.0.9'],
    ['10.77.0.33', '10.77.0.33'],
  ] as const) {
    const world = await up({ left: client, right: gateway(`addrs = ${addrs}`) })
    assert.deepEqual(onlySa(world.left).localVips, [first])
  }
  await refused({ right: gateway('addrs = some') }, /conf:\d+:\d+: load-pool of 'p' failed: invalid addrs value/)
})

key('pools.<name>.dns', 'clients ask these name servers', async () => {
  const world = await up({ left: client, right: gateway('addrs = 10.77.0.0/24\n dns = 10.2.0.53, 10.2.0.54') })
  assert.deepEqual(
    world.left.nameServers.map(({ address }) => address),
    ['10.2.0.53', '10.2.0.54'],
  )
})

/** The answer of the gateway is longer with this line in its pool. */
async function grows(line: string, shown: string): Promise<void> {
  const answer = async (text: string) => {
    const world = await up({ left: client, right: gateway(`addrs = 10.77.0.0/24\n ${text}`) })
    return world.right.sent.find(({ label }) => label.startsWith('IKE_AUTH'))?.bytes.length ?? 0
  }
  assert.ok((await answer(line)) > (await answer('')), shown)
}

key('pools.<name>.<number>', 'an attribute that has no name here', () => grows('28672 = text', '28672'))

for (const [name, value, shown] of [
  ['nbns', '10.2.0.55', 'NBNS'],
  ['dhcp', '10.2.0.56', 'DHCP'],
  ['netmask', '255.255.255.0', 'MASK'],
  ['subnet', '10.2.0.0/16', 'SUBNET'],
  ['split_include', '10.3.0.0/16', 'U_SPLITINC'],
  ['split_exclude', '10.4.0.0/16', 'U_LOCALLAN'],
  ['server', '10.2.0.57', 'server'],
  ['address', '10.2.0.58', 'address'],
  ['p_cscf', '10.2.0.59', 'P_CSCF'],
] as const) {
  key(`pools.<name>.${name}`, 'an attribute that clients get', async () => {
    await grows(`${name} = ${value}`, shown)
  })
}

const ca = testAuthority('Lab CA').certificate.der
const authority = (text: string) => ({ rest: `authorities { lab { ${text} } }`, files: { 'x509ca/ca.der': ca } })

key('authorities.<name>.cacert', 'a CA that is trusted', async () => {
  const { files, ...rest } = certificate('right')
  const { 'x509ca/lab.der': _, ...own } = files ?? {}
  const right = { ...rest, remote: 'auth = pubkey', ...authority('cacert = ca.der') }
  const left = { ...certificate('left'), remote: 'auth = pubkey' }
  const world = await hosts({ left, right: { ...right, files: { ...own, 'x509/ca.der': ca, 'x509ca/ca.der': ca } } })
  initiate(world)
  sameSingleChild(world)
  await refused({ left: authority('cacert = other.der') }, /conf:\d+:\d+: loading ca certificate '.*x509ca\/other\.der/)
})

key('authorities.<name>.file', 'read by the daemon, by its path', async () => {
  await up({ left: authority('file = /etc/swanctl/x509ca/ca.der') })
  await refused({ left: authority('file = /nowhere') }, /load-authority of 'lab' failed/)
})

for (const name of ['handle', 'slot', 'module'])
  key(`authorities.<name>.${name}`, 'there are no tokens', () =>
    refused(
      { left: authority(name === 'handle' ? 'handle = 01' : `handle = 01\n ${name} = 1`) },
      /load-authority of 'lab' failed/,
    ),
  )

const labIssuer = { subject: 'CN=Lab CA', key: testAuthority('Lab CA').key }
const always = { thisUpdate: Date.parse('2020-01-01T00:00:00Z'), nextUpdate: Date.parse('2049-01-01T00:00:00Z') }
const certificateOfLeft = parseCertificate(Buffer.from(certificate('left').files?.['x509/left.der'] ?? ''))
const since = Date.parse('2024-01-01T00:00:00Z')

for (const [name, uri, ofStatus] of [
  [
    'crl_uris',
    'http://lab.org/ca.crl',
    (revoked: boolean) =>
      issueCrl({
        issuer: labIssuer,
        ...always,
        revoked: revoked ? [{ serial: certificateOfLeft.serial, time: since }] : [],
      }),
  ],
  [
    'ocsp_uris',
    'http://lab.org/ocsp',
    (revoked: boolean) =>
      issueOcspResponse({
        certificate: certificateOfLeft,
        issuer: testAuthority('Lab CA').certificate,
        signer: labIssuer,
        ...always,
        status: revoked ? { time: since } : 'good',
      }),
  ],
] as const) {
  key(`authorities.<name>.${name}`, 'the status of certificates of this CA is asked for there', async () => {
    const right = (revoked: boolean): Conf => ({
      ...authority(`cacert = ca.der\n ${name} = ${uri}`),
      remote: 'revocation = strict',
      web: new Map([[uri, ofStatus(revoked)]]),
    })
    const world = await up(certificates({ right: right(false) }))
    logged(world.right, uri)
    logged(world.right, 'certificate status is good')
    const refusing = await hosts(certificates({ right: right(true) }))
    initiate(refusing)
    logged(refusing.right, 'certificate was revoked on Jan 01 00:00:00 2024')
    saidToPeer(refusing.right, 'N(AUTH_FAILED)')
  })
}

/** What the lab's OCSP responder says of a side's certificate. */
const goodOf = (side: 'left' | 'right'): ReadonlyMap<string, Uint8Array> => {
  const der = Buffer.from(certificate(side).files?.[`x509/${side}.der`] ?? '')
  const { certificate: issuer } = testAuthority('Lab CA')
  const response = { certificate: parseCertificate(der), issuer, signer: labIssuer, ...always }
  return new Map([['http://lab.org/ocsp', issueOcspResponse({ ...response, status: 'good' })]])
}

/** Left can ask nobody; right can ask about its own certificate. */
const stapled = (left: string, right: string): Confs =>
  certificates({
    left: { connection: `ocsp = ${left}`, remote: 'revocation = strict' },
    right: {
      connection: `ocsp = ${right}`,
      ...authority('cacert = ca.der\n ocsp_uris = http://lab.org/ocsp'),
      web: goodOf('right'),
    },
  })

key('connections.<conn>.ocsp', 'the peer is asked for OCSP responses, and sends them (RFC 4806)', async () => {
  for (const [left, right] of [
    ['request', 'reply'],
    ['both', 'both'],
  ] as const) {
    const world = await up(stapled(left, right))
    logged(world.right, 'received empty OCSP cert request')
    logged(world.right, 'sending OCSP status for certificate "CN=right.lab"')
    logged(world.left, 'received OCSP response issued by "CN=Lab CA"')
    logged(world.left, 'certificate status is good')
  }
})

key('connections.<conn>.ocsp', 'who does not ask gets none, and who does not answer sends none', async () => {
  for (const [left, right] of [
    ['reply', 'both'],
    ['request', 'never'],
    ['both', 'request'],
  ] as const) {
    const world = await hosts(stapled(left, right))
    initiate(world)
    notLogged(world.right, 'sending OCSP status')
    logged(world.left, 'is unknown, revocation = strict')
  }
})

key('connections.<conn>.ocsp', 'a responder that asks, asks in IKE_SA_INIT', async () => {
  const world = await up(
    certificates({
      left: { ...authority('cacert = ca.der\n ocsp_uris = http://lab.org/ocsp'), web: goodOf('left') },
      right: { connection: 'ocsp = request', remote: 'revocation = strict' },
    }),
  )
  logged(world.left, 'sending OCSP status for certificate "CN=left.lab"')
  logged(world.right, 'certificate status is good')
})

key('authorities.<name>.cert_uri_base', 'certificates go as URL and hash', async () => {
  const text = authority('cacert = ca.der\n cert_uri_base = http://lab.org/certs/').rest
  const both = { charon: 'hash_and_url = yes', rest: text }
  const files = { 'x509ca/ca.der': ca }
  const world = await hosts(certificates({ left: { ...both, files }, right: { ...both, files } }))
  initiate(world)
  saidToPeer(world.right, 'N(HTTP_CERT_LOOK)')
})
