import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { loadPrivateKey, publicKeyId } from '../pki/keys.ts'
import { memoryFiles } from './files.ts'
import { readSwanctl } from './swanctl.ts'
import { credentialSteps } from './swanctl-credentials.ts'
import { openSwanctl, swanctlDirectory } from './swanctl-steps.ts'
import { findText, findValue, formatTree } from './tree.ts'

const read = (files: Record<string, string | Uint8Array>, mode?: number) =>
  readSwanctl('/etc/swanctl', memoryFiles(files, mode))

const lines = (files: Record<string, string | Uint8Array>) =>
  read(files).requests.map(({ command, message }) => `${command} ${formatTree(message)}`)

test('connections as swanctl sends them: values first, comma lists split, file names replaced', () => {
  const conf = `connections {
    net : tmpl {
      children { net { local_ts = 10.1.0.0/16 , 10.3.0.0/16
                       start_action = trap } }
      local { certs = moon.pem, /opt/other.pem, 0x3000
              id = "C=CH, O=Lab, CN=moon" }
      version = 2
    }
  }
  tmpl { remote_addrs = 192.0.2.2, gw.example.org }`
  assert.deepEqual(
    lines({ '/etc/swanctl/swanctl.conf': conf, '/etc/swanctl/x509/moon.pem': 'MOON', '/opt/other.pem': 'OTHER' }).slice(
      1,
    ),
    [
      'load-conn net {version=2 remote_addrs=[192.0.2.2 gw.example.org] ' +
        'children {net {local_ts=[10.1.0.0/16 10.3.0.0/16] start_action=trap}} ' +
        'local {certs=[MOON OTHER 0x3000] id=C=CH, O=Lab, CN=moon}}',
    ],
  )
})

test('secrets by prefix, with their owners in order', () => {
  const conf = `secrets {
    ike-1 { id-b = b
            id-a = a
            secret = 0x616263 }
    eap-carol { id = carol
                secret = "Ar3 # x" }
    ikev2-any { secret = 0sc2VjcmV0 }
    xauth { secret = x }
    ppk { id = p
          secret = 0x00 }
    odd { secret = y }
  }`
  assert.deepEqual(lines({ '/etc/swanctl/swanctl.conf': conf }), [
    'load-shared id=ike-1 type=ike data=abc owners=[b a]',
    'load-shared id=eap-carol type=eap data=Ar3 # x owners=[carol]',
    'load-shared id=ikev2-any type=ike data=secret owners=[]',
    'load-shared id=xauth type=xauth data=x owners=[]',
    'load-shared id=ppk type=ppk data=0x00 owners=[p]',
  ])
  assert.deepEqual(read({ '/etc/swanctl/swanctl.conf': conf }).warnings, ["ignoring unsupported secret 'odd'"])
})

test('the folders in swanctl order, then authorities, pools, connections', () => {
  const conf = `connections { c { } }
    pools { p { addrs = 10.0.0.0/24
                dns = 10.0.0.1, 10.0.0.2 } }
    authorities { a { cacert = ca.pem
                      crl_uris = http://a/1, http://a/2 } }`
  const folder = (path: string) => [`/etc/swanctl/${path}`, path] as const
  const files = Object.fromEntries(['x509crl/c', 'pubkey/d', 'x509ca/ca.pem', 'x509/b', 'x509/a'].map(folder))
  assert.deepEqual(lines({ '/etc/swanctl/swanctl.conf': conf, ...files }), [
    'load-cert type=X509 flag=NONE data=x509/a',
    'load-cert type=X509 flag=NONE data=x509/b',
    'load-cert type=X509 flag=CA data=x509ca/ca.pem',
    'load-cert type=X509_CRL data=x509crl/c',
    'load-cert type=PUBKEY data=pubkey/d',
    'load-authority a {cacert=x509ca/ca.pem crl_uris=[http://a/1 http://a/2]}',
    'load-pool p {addrs=10.0.0.0/24 dns=[10.0.0.1 10.0.0.2]}',
    'load-conn c {}',
  ])
})

test('keys, plain and with a passphrase from secrets', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const plain = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const locked = String(privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'open' }))
  const files = { '/etc/swanctl/private/a.pem': plain, '/etc/swanctl/private/b.pem': locked }
  const conf = 'secrets { private-b { file = b.pem\n secret = open\n } }'
  const { requests, problems } = read({ '/etc/swanctl/swanctl.conf': conf, ...files })
  assert.deepEqual(problems, [])
  assert.deepEqual(
    requests.map(({ command, source }) => `${command} ${source}`),
    ['load-key /etc/swanctl/private/a.pem', 'load-key /etc/swanctl/private/b.pem'],
  )
  for (const { message } of requests) {
    assert.equal(formatTree(message.slice(0, 1)), 'type=ECDSA')
    const key = loadPrivateKey(findValue(message, 'data') ?? new Uint8Array())
    assert.equal(publicKeyId(key), publicKeyId(privateKey))
  }
  const [problem] = read(files).problems
  assert.match(problem?.message ?? '', /cannot load the private key \/etc\/swanctl\/private\/b\.pem: .*passphrase/)
})

test('a client passes on what it need not or cannot decrypt, and asks for passphrases', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const plain = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const locked = String(privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'open' }))
  const files = memoryFiles({
    '/d/swanctl.conf': `secrets { ecdsa-b { file = b.pem
      secret-1 = wrong
      secret-2 = open }
      ecdsa-c { file = c.pem
        secret = wrong } }`,
    '/d/ecdsa/a.pem': plain,
    '/d/ecdsa/b.pem': locked,
    '/d/ecdsa/c.pem': locked,
    '/d/private/d.pem': locked,
  })
  const types = (answers?: string[]) => {
    const asked: string[] = []
    const ask = (question: string) => {
      asked.push(question)
      const answer = answers?.shift()
      return answer === undefined ? undefined : new TextEncoder().encode(answer)
    }
    const steps = credentialSteps(openSwanctl('/d/swanctl.conf', files), { by: 'client', ...(answers && { ask }) })
    const seen = [...steps].map((step) =>
      'message' in step ? `${step.source} ${findText(step.message, 'type')}` : 'error' in step && step.error.message,
    )
    return { seen, asked }
  }
  const wrong = "configured decryption secret for 'c.pem' invalid"
  assert.deepEqual(types(), {
    seen: ['/d/private/d.pem any', '/d/ecdsa/a.pem ecdsa', '/d/ecdsa/b.pem ECDSA', wrong, '/d/ecdsa/c.pem ecdsa'],
    asked: [],
  })
  const question = "Password for private file 'd.pem': "
  assert.deepEqual(types(['close', 'open']), {
    seen: ['/d/private/d.pem ECDSA', '/d/ecdsa/a.pem ECDSA', '/d/ecdsa/b.pem ECDSA', wrong, '/d/ecdsa/c.pem ecdsa'],
    asked: [question, question],
  })
  assert.deepEqual(types([]).seen[0], '/d/private/d.pem any')
})

test('one bad part leaves the others', () => {
  const conf = `connections { a { local { certs = missing.pem } }
    b { } }
    secrets { ike-x { id = y }
      ike-z { secret = 0xzz } }`
  const { requests, problems } = read({
    '/etc/swanctl/swanctl.conf': conf,
    '/etc/swanctl/private/broken': 'x',
    '/etc/swanctl/pkcs12/x.p12': 'x',
  })
  assert.deepEqual(
    requests.map(({ source }) => source),
    ['b'],
  )
  const messages = problems.map(({ message }) => message).join('\n')
  assert.match(messages, /swanctl\.conf:1:27: loading certs certificate '\/etc\/swanctl\/x509\/missing\.pem' failed/)
  assert.match(messages, /cannot load the private key \/etc\/swanctl\/private\/broken/)
  assert.match(messages, /cannot load \/etc\/swanctl\/pkcs12\/x\.p12: PKCS#12 at offset 0: PFX/)
  assert.match(messages, /swanctl\.conf:3:15: missing secret in 'ike-x', ignored/)
  assert.match(messages, /swanctl\.conf:4:15: after 0x there is more/)
})

test('secrets that everybody can read are not taken, and the cure is said', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const plain = String(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const locked = String(privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'open' }))
  const files = {
    '/etc/swanctl/swanctl.conf': 'include conf.d/*.conf\nconnections { c { } }',
    '/etc/swanctl/conf.d/s.conf': 'secrets { ike { secret = x\n } private { file = b.pem\n secret = open } }',
    '/etc/swanctl/private/a.pem': plain,
    '/etc/swanctl/private/b.pem': locked,
  }
  const loaded = (mode: number) => read(files, mode).requests.map(({ source }) => source)
  assert.deepEqual(loaded(0o600), ['/etc/swanctl/private/a.pem', '/etc/swanctl/private/b.pem', 'ike', 'c'])
  // What needs a passphrase may be read by others.
  assert.deepEqual(loaded(0o644), ['/etc/swanctl/private/b.pem', 'c'])
  assert.deepEqual(
    read(files, 0o644).problems.map(({ message }) => message),
    [
      '/etc/swanctl/private/a.pem is not taken: /etc/swanctl/private/a.pem can be read by everybody and it is a private key: ' +
        "run 'chmod 600 /etc/swanctl/private/a.pem'",
      "/etc/swanctl/conf.d/s.conf:1:17: secret 'ike' is not taken: /etc/swanctl/conf.d/s.conf can be read by everybody " +
        "and it holds secrets: run 'chmod 600 /etc/swanctl/conf.d/s.conf'",
    ],
  )
})

test('a folder that nobody else may enter hides what is in it', () => {
  const files = memoryFiles({ '/etc/swanctl/swanctl.conf': 'secrets { ike { secret = x\n } }' }, 0o644)
  const hidden = {
    ...files,
    stat: (path: string) => (path === '/etc/swanctl' ? { mode: 0o750, regular: false } : files.stat(path)),
  }
  assert.equal(readSwanctl('/etc/swanctl', hidden).requests.length, 1)
  assert.equal(readSwanctl('/etc/swanctl', files).requests.length, 0)
})

test('no swanctl.conf is a warning, not an error', () => {
  assert.match(read({}).warnings.join(), /swanctl\.conf is not there/)
})

test('SWANCTL_DIR', () => {
  assert.equal(swanctlDirectory({}), '/etc/swanctl')
  assert.equal(swanctlDirectory({ SWANCTL_DIR: '/var/etc/ipsec' }), '/var/etc/ipsec')
})
