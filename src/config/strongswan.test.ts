import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError } from './config-error.ts'
import { coreOptions } from './core-options.ts'
import { defaultCoreSettings } from './daemon-settings.ts'
import { memoryFiles } from './files.ts'
import { defaultHostSettings, hostOptions } from './host-options.ts'
import { readDaemonSettings, strongswanConfPath } from './strongswan.ts'

const read = (text: string) => readDaemonSettings('/etc/strongswan.conf', memoryFiles({ '/etc/strongswan.conf': text }))

test('no file and an empty file are the defaults', () => {
  for (const settings of [readDaemonSettings('/none', memoryFiles({})), read('')]) {
    assert.deepEqual(settings.core, defaultCoreSettings)
    assert.equal(settings.host.viciUri, 'unix:///var/run/charon.vici')
    assert.deepEqual(settings.log.loggers, [{ kind: 'journal', levels: { default: 1, groups: {} } }])
    assert.deepEqual(settings.warnings, [])
  }
})

test('options of the core, charon-systemd before charon', () => {
  const { core, warnings } = read(`
    charon { port = 5000
      port_nat_t = 5001
      retransmit_timeout = 2.5
      half_open_timeout = 1m
      spi_min = 0xc1000000
      rsa_pss = yes
      rdn_matching = relaxed
      retransmit_jitter = 50
      keep_alive = 30 s }
    charon-systemd { port = 6000 }`)
  assert.deepEqual(warnings, [])
  const { portIke, portNatT, retransmitTimeoutSeconds, halfOpenTimeoutSeconds, keepAliveSeconds } = core
  assert.deepEqual(
    [portIke, portNatT, retransmitTimeoutSeconds, halfOpenTimeoutSeconds, keepAliveSeconds],
    [6000, 5001, 2.5, 60, 30],
  )
  assert.deepEqual(
    [core.spiMin, core.rsaPss, core.rdnMatching, core.retransmitJitter],
    [0xc1000000, true, 'relaxed', 20],
  )
})

test('the defaults in the tables are those of the settings', () => {
  const lines = [...Object.entries(coreOptions), ...Object.entries(hostOptions)]
    .filter(([, option]) => option.default !== '' && !option.default.startsWith('charon.'))
    .map(([name, option]) => `${name} = "${option.default}"`)
  assert.ok(lines.length > 60)
  // A dot in a name is a section.
  const text = lines.map((line) => {
    const parts = (line.split(' = ')[0] ?? '').split('.')
    const last = parts.pop() ?? ''
    return `${parts.map((part) => `${part} {`).join(' ')} ${last} = ${line.split(' = ')[1]}\n${'}'.repeat(parts.length)}`
  })
  const { core, host, warnings } = read(`charon { ${text.join('\n')}\n }`)
  assert.deepEqual(warnings, [])
  assert.deepEqual(core, defaultCoreSettings)
  assert.deepEqual(host, defaultHostSettings)
})

test('charon-systemd, then charon, then libstrongswan, part by part', () => {
  const { core, log, warnings } = read(`
    libstrongswan { port = 1
      reqid_base = 7
      filelog { c { } } }
    charon { port = 2
      port_nat_t = 3
      filelog { a { default = 2
          ike = 3 }
        b { } } }
    charon-systemd { port = 4
      filelog { a { default = 0 } } }`)
  assert.deepEqual([core.portIke, core.portNatT, core.reqidBase, warnings], [4, 3, 7, []])
  const files = log.loggers.flatMap((one) => (one.kind === 'filelog' ? [[one.path, one.levels]] : []))
  assert.deepEqual(files, [
    ['a', { default: 0, groups: { IKE: 3 } }],
    ['b', { default: 1, groups: {} }],
    ['c', { default: 1, groups: {} }],
  ])
})

test('what charon has and we have not is said with its reason, unless there is nothing to do', () => {
  const { warnings } = read(`charon { load_modular = yes
    cisco_unity = yes
    cert_cache = no
    send_delay = 5
    filelog { a { nosuch = 1 } }
    plugins { kernel-netlink { load = yes
        buflen = 8192 } } }`)
  assert.deepEqual(warnings, [
    'options of strongswan.conf without effect: send_delay (/etc/strongswan.conf:4:5: for tests of charon), ' +
      'filelog.a.nosuch (/etc/strongswan.conf:5:19)',
  ])
})

test('a value that is none is warned of with its place, and the default stays', () => {
  const { core, warnings } = read('charon {\n port = many\n dos_protection = perhaps\n port_nat_t = 70000\n}')
  assert.deepEqual([core.portIke, core.dosProtection, core.portNatT], [500, true, 4500])
  assert.match(warnings.join('\n'), /^\/etc\/strongswan\.conf:2:2: port: 'many' is no number; its default is used$/m)
  assert.equal(warnings.length, 3)
})

test('the block threshold stays above the one for cookies', () => {
  assert.equal(read('charon { cookie_threshold_ip = 9\n }').core.blockThreshold, 10)
})

test('what clients get beside an address, and where name servers go', () => {
  const { core, host, warnings } = read(`charon {
    dns1 = 10.2.0.53
    nbns2 = 10.2.0.54
    install_virtual_ip = no
    install_virtual_ip_on = dummy0
    plugins {
      attr { dns = 10.2.0.55, fec2::53
        split-include = 10.3.0.0/16
        netmask = x }
      resolve { file = /run/resolv.conf
        resolvconf { path = /usr/sbin/resolvconf
          iface = ipsec0 } } } }`)
  assert.deepEqual(core.attributes, [
    { name: 'dns', values: ['10.2.0.53'] },
    { name: 'nbns', values: ['10.2.0.54'] },
    { name: 'dns', values: ['10.2.0.55', 'fec2::53'] },
    { name: 'split_include', values: ['10.3.0.0/16'] },
  ])
  assert.deepEqual([core.installVirtualIp, core.installVirtualIpOn], [false, 'dummy0'])
  assert.deepEqual(
    [host.resolvFile, host.resolvconf, host.resolvconfInterface],
    ['/run/resolv.conf', '/usr/sbin/resolvconf', 'ipsec0'],
  )
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /plugins\.attr\.netmask: invalid attribute value for netmask; its default is used$/)
})

test('unknown options are listed once', () => {
  const { warnings } = read(`charon {
    load_modular = yes
    nosuch = 1
    plugins { eap-radius { server = x
        load = yes }
      vici { socket = unix:///run/x }
      openssl { load = yes } }
    filelog { stderr { default = 2 } } }`)
  assert.deepEqual(warnings, [
    'options of strongswan.conf without effect: nosuch (/etc/strongswan.conf:3:5), ' +
      'plugins.eap-radius.server (/etc/strongswan.conf:4:28: no EAP methods that carry others or ask a server; the others have no options)',
  ])
})

test('the status of certificates', () => {
  const { revocation, warnings } = read(`charon { cache_crls = yes
    cert_cache = no
    ocsp_nonce_len = 64
    plugins { revocation { enable_ocsp = no
      timeout = 1m } } }`)
  assert.deepEqual(warnings, [])
  assert.deepEqual(revocation, {
    useCrls: true,
    useOcsp: false,
    timeoutSeconds: 60,
    cache: false,
    writeCrls: true,
    ocspNonceLength: 32,
  })
})

test('loggers', () => {
  const { log, host } = read(`charon {
    plugins { vici { socket = "tcp://[::1]:4502" } }
    filelog {
      charon { path = /var/log/charon.log
        time_format = "%b %e %T"
        time_precision = ms
        default = 1
        ike = 2
        knl = -1
        append = no
        ike_name = yes
        flush_line = yes }
      stderr { default = 9 }
    }
    syslog { auth { default = 0
        identifier = vpn }
      nosuch { } }
    journal { default = 0 } }`)
  assert.equal(host.viciUri, 'tcp://[::1]:4502')
  assert.deepEqual(log.loggers, [
    { kind: 'journal', levels: { default: 0, groups: {} } },
    {
      kind: 'filelog',
      path: '/var/log/charon.log',
      levels: { default: 1, groups: { IKE: 2, KNL: -1 } },
      append: false,
      flushLine: true,
      ikeName: true,
      logLevel: false,
      timeFormat: '%b %e %T',
      timePrecision: 'ms',
      json: false,
    },
    {
      kind: 'filelog',
      path: 'stderr',
      levels: { default: 1, groups: {} },
      append: true,
      flushLine: false,
      ikeName: false,
      logLevel: false,
      json: false,
    },
    {
      kind: 'syslog',
      facility: 'auth',
      levels: { default: 0, groups: {} },
      ikeName: false,
      logLevel: false,
      mapLevel: -1,
      identifier: 'vpn',
    },
  ])
})

test('scripts in order', () => {
  const { startScripts } = read('charon { start-scripts { b = echo b\n a = "echo a" } }')
  assert.deepEqual(startScripts, [
    { name: 'b', command: 'echo b' },
    { name: 'a', command: 'echo a' },
  ])
})

test('a broken file is refused', () => assert.throws(() => read('charon {'), ConfigError))

test('STRONGSWAN_CONF', () => {
  assert.equal(strongswanConfPath({}), '/etc/strongswan.conf')
  assert.equal(strongswanConfPath({ STRONGSWAN_CONF: '/x' }), '/x')
})

test('redirection: whether to follow, and where to send clients', () => {
  const { core, warnings } = read(`charon {
    follow_redirects = no
    multiple_authentication = no
    hash_and_url = yes
    redirect {
      gateway = gw2.lab.org
      exchange = auth
      ike_sas = 100
    } }`)
  assert.deepEqual(warnings, [])
  assert.deepEqual([core.followRedirects, core.multipleAuthentication, core.hashAndUrl], [false, false, true])
  assert.deepEqual(core.redirectGateway, { kind: 'name', name: 'gw2.lab.org' })
  assert.deepEqual([core.redirectExchange, core.redirectAbove], ['auth', 100])
  const bad = read('charon { redirect {\n gateway = CN=gw\n exchange = never\n } }')
  assert.deepEqual([bad.core.redirectGateway, bad.core.redirectExchange], [undefined, 'init'])
  assert.equal(bad.warnings.length, 2)
})
