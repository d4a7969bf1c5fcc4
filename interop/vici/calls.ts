/** What the client libraries say: every command, what is wrong among it, and events that are there or not. */

/** One call; a library makes it with its own method for the command, or as an unknown command. */
export interface Call {
  readonly call: string
  readonly message?: Message
  /** With `listen`: what to register for. */
  readonly events?: readonly string[]
}

export interface Message {
  readonly [name: string]: string | readonly string[] | Message
}

const call = (name: string, message?: Message): Call =>
  message === undefined ? { call: name } : { call: name, message }

const psk = { local: { auth: 'psk', id: 'moon.lab.test' }, remote: { auth: 'psk', id: 'sun.lab.test' } }

/** A connection as strongSwan's users load them from programs. */
const loaded: Message = {
  extra: {
    version: '2',
    local_addrs: ['192.168.0.1'],
    remote_addrs: ['192.168.0.2', '192.168.0.77'],
    proposals: ['aes128gcm16-prfsha256-x25519', 'aes256-sha384-modp2048'],
    dpd_delay: '30s',
    ...psk,
    children: {
      lan: {
        local_ts: ['10.1.0.0/16'],
        remote_ts: ['10.9.0.0/16[tcp/http]'],
        mode: 'tunnel',
        esp_proposals: ['aes128gcm16'],
      },
    },
  },
}

const bad = (what: Message): Call => call('load-conn', { bad: what })

/** In this order. The tunnel `net` to the peer is loaded already. */
export const calls: readonly Call[] = [
  call('version'),
  call('stats'),
  call('nosuch'),
  call('nosuch', { key: 'value' }),
  { call: 'listen', events: ['ike-updown', 'child-updown', 'log'] },
  { call: 'listen', events: ['nosuch'] },
  call('reload-settings'),
  // connections
  call('get-conns'),
  call('list-conns', { ike: 'net' }),
  call('load-conn', loaded),
  call('load-conn', loaded),
  call('list-conns', { ike: 'extra' }),
  call('load-conn', {}),
  bad({ nosuch: '1' }),
  bad({ version: '4' }),
  bad({ proposals: 'aes128-sha256-ecp256' }),
  bad({ version: ['2'] }),
  bad({ nosuch: {} }),
  bad({ local: { cert1: {} } }),
  bad({ local: { cert1: { file: '/nowhere.pem' } } }),
  bad({ dpd_delay: 'soon' }),
  bad({ children: { x: { local_ts: ['nowhere'] } } }),
  bad({ children: { x: { esp_proposals: ['nosuch'] } } }),
  bad({ unique: 'yes' }),
  bad({ mobike: 'on' }),
  call('get-conns'),
  call('unload-conn', { name: 'extra' }),
  call('unload-conn', { name: 'extra' }),
  call('unload-conn', {}),
  // secrets, keys, certificates
  call('get-shared'),
  call('load-shared', { id: 'one', type: 'IKE', data: 'a secret', owners: ['a.lab.test', 'b.lab.test'] }),
  call('load-shared', { id: 'two', type: 'eap', data: 'another', owners: ['carol'] }),
  call('load-shared', { type: 'nosuch', data: 'x' }),
  call('load-shared', { type: 'ike' }),
  call('load-shared', {}),
  call('unload-shared', { id: 'two' }),
  call('unload-shared', { id: 'nosuch' }),
  call('unload-shared', {}),
  call('get-keys'),
  call('load-key', { type: 'any', data: 'no key' }),
  call('load-key', { type: 'nosuch', data: 'x' }),
  call('load-key', { type: 'rsa' }),
  call('load-key', {}),
  call('unload-key', { id: '0011223344556677889900112233445566778899' }),
  call('unload-key', {}),
  call('load-token', {}),
  call('load-cert', { type: 'X509', flag: 'NONE', data: 'no certificate' }),
  call('load-cert', { type: 'X509', flag: 'nosuch', data: 'x' }),
  call('load-cert', { type: 'nosuch', data: 'x' }),
  call('load-cert', { type: 'X509' }),
  call('load-cert', {}),
  call('list-certs', {}),
  call('list-certs', { type: 'nosuch' }),
  call('flush-certs', {}),
  call('flush-certs', { type: 'nosuch' }),
  // authorities
  call('get-authorities'),
  call('load-authority', { lab: { crl_uris: ['http://crl.lab.test/lab.crl'] } }),
  call('load-authority', { lab: { nosuch: '1' } }),
  call('load-authority', { lab: { cacert: 'no certificate' } }),
  call('list-authorities', {}),
  call('unload-authority', { name: 'lab' }),
  call('unload-authority', {}),
  // pools
  call('load-pool', { p4: { addrs: '10.77.0.0/24', dns: ['10.77.0.53', '10.77.0.54'] } }),
  call('load-pool', { p6: { addrs: 'fec7::/120' } }),
  call('load-pool', { bad: { addrs: 'nowhere' } }),
  call('load-pool', { bad: { dns: ['10.77.0.53'] } }),
  call('load-pool', { bad: { addrs: '10.78.0.0/24', nosuch: ['x'] } }),
  call('get-pools', {}),
  call('get-pools', { leases: 'yes', name: 'p4' }),
  call('unload-pool', { name: 'p6' }),
  call('unload-pool', { name: 'nosuch' }),
  call('unload-pool', {}),
  // policies
  call('install', { child: 'net' }),
  call('list-policies', { trap: 'yes', drop: 'yes', pass: 'yes' }),
  call('list-policies', { drop: 'yes' }),
  call('uninstall', { child: 'net' }),
  call('uninstall', { child: 'nosuch' }),
  call('install', { child: 'nosuch' }),
  call('install', {}),
  // SAs
  call('list-sas', {}),
  call('initiate', {}),
  call('initiate', { child: 'nosuch' }),
  call('initiate', { ike: 'nosuch' }),
  call('initiate', { child: 'net', ike: 'nosuch' }),
  call('initiate', { child: 'net', loglevel: '1' }),
  call('initiate', { child: 'net', timeout: '2000', loglevel: '-1' }),
  call('list-sas', {}),
  call('list-sas', { ike: 'net', noblock: 'no' }),
  call('list-sas', { child: 'nosuch' }),
  call('list-sas', { 'ike-id': '0x63' }),
  call('rekey', {}),
  call('rekey', { ike: 'nosuch' }),
  call('rekey', { child: 'net' }),
  call('redirect', {}),
  call('redirect', { ike: 'net' }),
  call('redirect', { gateway: '192.0.2.9' }),
  call('redirect', { gateway: '192.0.2.9', ike: 'nosuch' }),
  call('redirect', { gateway: '192.0.2.9', 'peer-ip': 'nowhere' }),
  call('terminate', {}),
  call('terminate', { ike: 'nosuch' }),
  call('terminate', { child: 'nosuch', force: 'yes' }),
  call('terminate', { ike: 'net', loglevel: '1', timeout: '5000' }),
  call('list-sas', {}),
  call('get-counters', { name: 'net' }),
  call('get-counters', { name: 'nosuch' }),
  call('reset-counters', { all: 'yes' }),
  call('get-algorithms'),
  call('clear-creds'),
  call('get-shared'),
]
