/** The options of strongswan.conf that the protocol core reads, each by what it changes between two hosts. */
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { formatIdentity } from '../../src/pki/identity.ts'
import { exchanges, installed, logged, onlyChild, onlySa, saidToPeer, sameSingleChild } from '../simulation/expect.ts'
import type { Host } from '../simulation/host.ts'
import type { World } from '../simulation/world.ts'
import { type Confs, certificates, hosts, initiate, key, settingsOf, up } from './hosts.ts'

const charon = (text: string): Confs => ({ left: { charon: text } })
const said = (host: Host, payload: string) => host.sent.some(({ label }) => label.includes(payload))

/** When left sends its first request again while nobody answers, in seconds. */
async function tries(text: string): Promise<readonly number[]> {
  const world = await unanswered(text)
  world.wait(900, { deliver: false })
  const [first] = world.left.sent
  return world.left.sent.map(({ atMs }) => Math.round((atMs - (first?.atMs ?? 0)) / 10) / 100)
}

async function unanswered(text: string): Promise<World> {
  const world = await hosts(charon(text))
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  return world
}

key('charon.retransmit_timeout', 'until a request is sent again', async () => {
  assert.deepEqual((await tries('retransmit_timeout = 2.0')).slice(0, 3), [0, 2, 5.6])
})

key('charon.retransmit_base', 'by how much longer each time', async () => {
  assert.deepEqual((await tries('retransmit_base = 1')).slice(0, 4), [0, 4, 8, 12])
})

key('charon.retransmit_tries', 'how many times', async () => {
  assert.equal((await tries('retransmit_tries = 2')).length, 3)
  assert.equal((await tries('retransmit_tries = 0')).length, 1)
})

key('charon.retransmit_jitter', 'percent that may be taken off, at most 20', async () => {
  const plain = await tries('')
  const [, first = 0] = await tries('retransmit_jitter = 20')
  assert.ok(first < (plain[1] ?? 0) && first >= 3.2, `${first}`)
  assert.equal(settingsOf('retransmit_jitter = 90').retransmitJitter, 20)
})

key('charon.retransmit_limit', 'no pause is longer', async () => {
  assert.deepEqual(await tries('retransmit_limit = 5'), [0, 4, 9, 14, 19, 24])
})

key('charon.retry_initiate_interval', 'a name that nobody knows is asked for again', async () => {
  const names = new Map<string, readonly string[]>()
  const left = { connection: 'remote_addrs = right.lab.org', names, charon: 'retry_initiate_interval = 20s' }
  const world = await hosts({ left })
  initiate(world)
  logged(world.left, 'unable to resolve right.lab.org, retrying in 20s')
  names.set('right.lab.org', ['192.0.2.2'])
  world.wait(21)
  sameSingleChild(world)
  const never = await hosts({ left: { ...left, names: new Map(), charon: '' } })
  initiate(never)
  logged(never.left, 'unable to resolve right.lab.org, initiate aborted')
})

key('charon.half_open_timeout', 'how long a peer has to prove who it is', async () => {
  const world = await hosts({ right: { charon: 'half_open_timeout = 5' } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver()
  assert.equal(world.right.sas().length, 1)
  world.wait(6, { deliver: false })
  logged(world.right, 'after timeout')
})

/** How many of ten first requests from one address, each of another IKE SA, right answers with SA, and with a cookie. */
async function flood(
  text: string,
): Promise<{ readonly granted: number; readonly cookies: number; readonly world: World }> {
  const world = await hosts({ left: { charon: 'reuse_ikesa = no' }, right: { charon: text } })
  for (let i = 0; i < 10; i++) {
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: -1 })
    world.finishJobs()
  }
  world.deliver(10)
  const answers = world.right.sent.map(({ label }) => label)
  return {
    granted: answers.filter((label) => label.includes(' SA ')).length,
    cookies: answers.filter((label) => label.includes('N(COOKIE)')).length,
    world,
  }
}

key('charon.cookie_threshold', 'half-open IKE SAs from which on everybody needs a cookie', async () => {
  const { granted, cookies } = await flood('cookie_threshold = 2\ncookie_threshold_ip = 50\nblock_threshold = 60')
  assert.deepEqual([granted, cookies], [2, 8])
})

key('charon.cookie_threshold_ip', 'the same for one address', async () => {
  const { granted, cookies } = await flood('cookie_threshold_ip = 4')
  assert.deepEqual([granted, cookies], [4, 6])
})

key('charon.block_threshold', 'half-open IKE SAs of one address beyond which there is no answer', async () => {
  const { world } = await flood('cookie_threshold_ip = 1\nblock_threshold = 2')
  world.settle()
  logged(world.right, 'per-IP half-open IKE_SA limit of 2 reached')
})

key('charon.dos_protection', 'no: neither cookies nor blocks', async () => {
  const { granted } = await flood('dos_protection = no\ncookie_threshold_ip = 1\nblock_threshold = 2')
  assert.equal(granted, 10)
})

key('charon.init_limit_half_open', 'half-open IKE SAs beyond which there is no answer', async () => {
  const { granted } = await flood('init_limit_half_open = 3\ncookie_threshold_ip = 50\nblock_threshold = 60')
  assert.equal(granted, 3)
})

key('charon.ikesa_limit', 'IKE SAs beyond which there is no answer', async () => {
  const { granted } = await flood('ikesa_limit = 2\ncookie_threshold_ip = 50\nblock_threshold = 60')
  assert.equal(granted, 2)
})

key('charon.child_sa_limit', 'children that a peer may have on one IKE SA', async () => {
  const children = 'more { esp_proposals = aes128gcm16\n local_ts = 0.0.0.0/0\n remote_ts = 0.0.0.0/0 }'
  const world = await up({ both: { children }, right: { charon: 'child_sa_limit = 1' } })
  initiate(world, 'more')
  saidToPeer(world.right, 'N(NO_ADD_SAS)')
})

key('charon.initiator_only', 'requests of others are not answered', async () => {
  const world = await hosts({ right: { charon: 'initiator_only = yes' } })
  initiate(world)
  assert.deepEqual(world.right.sent, [])
})

key('charon.make_before_break', 'whether the new IKE SA comes before the old one goes', async () => {
  const order = async (word: string) => {
    const world = await up({
      left: { connection: 'reauth_time = 10m\nrand_time = 0', charon: `make_before_break = ${word}` },
    })
    world.wait(620)
    sameSingleChild(world)
    return exchanges(world.left).slice(2)
  }
  assert.equal((await order('yes'))[0], 'IKE_SA_INIT request 0')
  assert.equal((await order('no'))[0], 'INFORMATIONAL request 2')
})

key('charon.delete_rekeyed_delay', 'how long a replaced child goes on receiving', async () => {
  const inbound = async (text: string, seconds: number) => {
    const world = await up(charon(text))
    world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
    world.settle()
    world.wait(seconds)
    return installed(world.left).filter(({ sa }) => sa?.direction === 'in').length
  }
  assert.deepEqual([await inbound('', 4), await inbound('', 6)], [2, 1])
  assert.deepEqual(
    [await inbound('delete_rekeyed_delay = 20', 19), await inbound('delete_rekeyed_delay = 20', 21)],
    [2, 1],
  )
  assert.equal(await inbound('delete_rekeyed_delay = 0', 1000), 2)
})

key('charon.send_invalid_ike_spi', 'requests of unknown IKE SAs are answered, now and then', async () => {
  const answered = async (word: string) => {
    const world = await up({ right: { charon: `send_invalid_ike_spi = ${word}` } })
    world.right.restart()
    world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
    world.settle()
    return world.right.sent.length
  }
  assert.deepEqual([await answered('yes'), await answered('no')], [3, 2])
})

key('charon.window_size', 'how many requests a peer may have under way', async () => {
  assert.ok(said((await up({ right: { charon: 'window_size = 8' } })).right, 'N(SET_WINSIZE)'))
  assert.ok(!said((await up()).right, 'N(SET_WINSIZE)'))
})

key('charon.message_id_sync', 'clusters may synchronize message IDs', async () => {
  const both = { charon: 'message_id_sync = yes' }
  assert.ok(said((await up({ both })).left, 'N(MSG_ID_SYN_SUP)'))
})

/** The longest datagram of left in an authentication with certificates. */
async function longest(text: string): Promise<number> {
  const world = await up(certificates(charon(text)))
  return Math.max(...world.left.sent.map(({ bytes }) => bytes.length))
}

key('charon.fragment_size', 'octets of an IP datagram with a fragment', async () => {
  assert.ok((await longest('fragment_size = 400')) <= 400 - 28)
  assert.ok((await longest('')) > 400)
})

key('charon.fragment_size_v4', 'the same for IPv4', async () => {
  assert.ok((await longest('fragment_size_v4 = 400')) <= 400 - 28)
  assert.ok((await longest('fragment_size = 400\nfragment_size_v4 = 1000')) > 400)
})

key('charon.fragment_size_v6', 'the same for IPv6', async () => {
  const six = (own: string, peer: string, text = '') => ({
    connection: `local_addrs = ${own}\nremote_addrs = ${peer}`,
    kernel: { addresses: [own, own === '2001:db8::1' ? '10.1.0.1' : '10.2.0.1'] },
    charon: text,
  })
  const world = await up(
    certificates({
      left: six('2001:db8::1', '2001:db8::2', 'fragment_size_v6 = 500'),
      right: six('2001:db8::2', '2001:db8::1'),
    }),
  )
  assert.ok(Math.max(...world.left.sent.map(({ bytes }) => bytes.length)) <= 500 - 48)
  assert.ok((await longest('fragment_size_v6 = 400')) > 400)
})

key('charon.max_packet', 'longer messages are not read', async () => {
  const world = await hosts({ right: { charon: 'max_packet = 200' } })
  initiate(world)
  assert.deepEqual(world.right.sas(), [])
})

key('charon.prefer_configured_proposals', 'whose order decides', async () => {
  const selected = async (word: string) => {
    const left = { connection: 'proposals = aes128gcm16-prfsha256-x25519, aes256gcm16-prfsha256-x25519' }
    const connection = 'proposals = aes256gcm16-prfsha256-x25519, aes128gcm16-prfsha256-x25519'
    const world = await up({ left, right: { connection, charon: `prefer_configured_proposals = ${word}` } })
    return onlySa(world.left).proposal?.encryption?.keyBits
  }
  assert.deepEqual([await selected('yes'), await selected('no')], [256, 128])
})

key('charon.reuse_ikesa', 'no: each initiation makes an IKE SA of its own', async () => {
  const children = 'more { esp_proposals = aes128gcm16\n local_ts = 0.0.0.0/0\n remote_ts = 0.0.0.0/0 }'
  const count = async (word: string) => {
    const world = await up({
      both: { children, connection: 'unique = never' },
      left: { charon: `reuse_ikesa = ${word}` },
    })
    initiate(world, 'more')
    return world.left.sas().length
  }
  assert.deepEqual([await count('yes'), await count('no')], [1, 2])
})

const inboundWindow = (world: World) => installed(world.left).find(({ sa }) => sa?.direction === 'in')?.sa?.replayWindow

key('charon.replay_window', 'of children that say nothing', async () => {
  assert.equal(inboundWindow(await up(charon('replay_window = 256'))), 256)
})

key('charon.spi_min', 'the lowest SPI of ESP', async () => {
  const world = await up(charon('spi_min = 0x12345678\nspi_max = 0x12345678'))
  assert.equal(onlyChild(world.left).spiIn, 0x12345678)
})

key('charon.spi_max', 'the highest SPI of ESP', async () => {
  const world = await up(charon('spi_min = 0x1000\nspi_max = 0x1000'))
  assert.equal(onlyChild(world.left).spiIn, 0x1000)
})

for (const name of ['spi_mask', 'spi_label'])
  key(`charon.${name}`, 'IKE SPIs of ours have a part that is given', async () => {
    const world = await up(charon('spi_mask = 0xffff000000000000\nspi_label = 0xabcd000000000001'))
    assert.equal(onlySa(world.left).spiI >> 48n, 0xabcdn)
    assert.notEqual(onlySa(world.left).spiI & 0xffff_ffff_ffffn, 1n)
  })

key('charon.reqid_base', 'the first reqid', async () => {
  assert.equal(onlyChild((await up(charon('reqid_base = 500'))).left).reqid, 500)
})

key('charon.keep_alive', 'how often a NAT is reminded', async () => {
  const keepalives = async (text: string) => {
    const world = await hosts({ nat: 'left', ...charon(text) })
    initiate(world)
    world.wait(61)
    return world.left.sent.filter(({ bytes }) => bytes.length === 1).length
  }
  assert.deepEqual(
    [await keepalives(''), await keepalives('keep_alive = 10s'), await keepalives('keep_alive = 0')],
    [3, 6, 0],
  )
})

key('charon.keep_alive_dpd_margin', 'a host that slept asks whether the peer is there', async () => {
  const after = async (text: string) => {
    const world = await hosts({ nat: 'left', ...charon(text) })
    initiate(world)
    world.left.stalledUntil = world.now + 300_000
    world.wait(301)
    return exchanges(world.left).filter((label) => label.startsWith('INFORMATIONAL')).length
  }
  assert.equal(await after(''), 0)
  assert.ok((await after('keep_alive_dpd_margin = 60s')) > 0)
})

const twoAddresses = { addresses: ['192.0.2.1', '192.0.2.11', '10.1.0.1'] }

key('charon.check_current_path', 'a change of the network has the peer asked', async () => {
  const asked = async (word: string) => {
    const world = await up({ left: { charon: `check_current_path = ${word}`, kernel: twoAddresses } })
    world.left.kernel.readdress(twoAddresses.addresses)
    world.left.passKernelEvents()
    world.settle()
    return exchanges(world.left).length
  }
  assert.deepEqual([await asked('no'), await asked('yes')], [2, 3])
})

key('charon.prefer_best_path', 'the path is what the kernel would choose now', async () => {
  const moved = async (word: string) => {
    const left = { connection: 'local_addrs = %any', charon: `prefer_best_path = ${word}`, kernel: twoAddresses }
    const world = await up({ left, right: { connection: 'remote_addrs = %any' } })
    world.left.kernel.readdress(['192.0.2.11', '192.0.2.1', '10.1.0.1'])
    world.left.passKernelEvents()
    world.settle()
    return onlySa(world.left).local.address
  }
  assert.deepEqual([await moved('no'), await moved('yes')], ['192.0.2.1', '192.0.2.11'])
})

key('charon.send_vendor_id', 'who we are', async () => {
  assert.ok(said((await up(charon('send_vendor_id = yes'))).left, ' V '))
  assert.ok(!said((await up()).left, ' V '))
})

key('charon.cisco_flexvpn', 'what Cisco wants to hear', async () => {
  const world = await up(charon('cisco_flexvpn = yes'))
  assert.ok(world.left.sent.some(({ bytes }) => Buffer.from(bytes).includes('FLEXVPN-SUPPORTED')))
})

key('charon.signature_authentication', 'no: the older methods alone', async () => {
  const world = await up(certificates({ both: { charon: 'signature_authentication = no' } }))
  assert.ok(!said(world.left, 'N(HASH_ALG)'))
  logged(world.left, "authentication of 'left.lab' (myself) with ECDSA-256 signature successful")
})

key(
  'charon.signature_authentication_constraints',
  'no: `auth` speaks of certificates alone, but for `ike:`',
  async () => {
    const believed = async (auth: string, word: string) => {
      const right = { remote: `auth = ${auth}`, charon: `signature_authentication_constraints = ${word}` }
      const world = await hosts(certificates({ right }))
      initiate(world)
      return world.right.sas().length
    }
    assert.deepEqual([await believed('ecdsa-sha512', 'yes'), await believed('ecdsa-sha512', 'no')], [0, 1])
    assert.equal(await believed('ike:ecdsa-sha512', 'no'), 0)
  },
)

key('charon.rsa_pss', 'RSA with PSS', async () => {
  const rsa = certificates(charon('rsa_pss = yes'), 'rsa2048')
  logged((await up(rsa)).left, "authentication of 'left.lab' (myself) with RSA_EMSA_PSS")
})

key('charon.multiple_authentication', 'no: one round, and it is not announced', async () => {
  assert.ok(!said((await up(charon('multiple_authentication = no'))).left, 'N(MULT_AUTH)'))
  assert.ok(said((await up()).left, 'N(MULT_AUTH)'))
})

key('charon.hash_and_url', 'certificates are looked up, and it is announced', async () => {
  assert.ok(said((await up(certificates({ both: { charon: 'hash_and_url = yes' } }))).left, 'N(HTTP_CERT_LOOK)'))
})

key('charon.follow_redirects', 'no: it is not announced', async () => {
  assert.ok(!said((await up(charon('follow_redirects = no'))).left, 'N(REDIR_SUP)'))
  assert.ok(said((await up()).left, 'N(REDIR_SUP)'))
})

for (const name of ['gateway', 'exchange', 'ike_sas'])
  key(`charon.redirect.${name}`, 'clients are sent elsewhere, when and from how many on', async () => {
    const redirect = (more: string) => ({ right: { charon: `redirect { gateway = 192.0.2.9\n ${more}\n }` } })
    const world = await hosts(redirect(''))
    initiate(world)
    assert.ok(world.right.sent[0]?.label.includes('N(REDIR)'))
    const later = await hosts(redirect('exchange = auth'))
    initiate(later)
    assert.ok(later.right.sent[1]?.label.includes('N(REDIR)'))
    await up(redirect('ike_sas = 5'))
  })

key('charon.install_routes', 'to what is behind the peer', async () => {
  assert.deepEqual((await up(charon('install_routes = no'))).left.kernel.routes, [])
  assert.equal((await up()).left.kernel.routes[0]?.destination.address, '10.2.0.0')
})

key('charon.routing_table', 'where the routes are', async () => {
  assert.equal((await up(charon('routing_table = 1000'))).left.kernel.routes[0]?.table, 1000)
})

const pool = { rest: 'pools { p { addrs = 10.77.0.0/24 } }', connection: 'pools = p', child: 'remote_ts = dynamic' }
const client = (text: string) => ({
  connection: 'vips = 0.0.0.0',
  child: 'local_ts = dynamic\nupdown = x',
  charon: text,
  kernel: { addresses: ['192.0.2.1'] },
})
const gateway = (text: string) => ({ ...pool, charon: text })

key('charon.install_virtual_ip', 'no: the address is for others to add', async () => {
  const world = await hosts({ left: client('install_virtual_ip = no'), right: pool })
  initiate(world)
  assert.deepEqual(onlySa(world.left).localVips, ['10.77.0.1'])
  assert.deepEqual(world.left.kernel.addedAddresses, [])
})

key('charon.install_virtual_ip_on', 'the interface that gets it', async () => {
  const world = await hosts({ left: client('install_virtual_ip_on = lo'), right: pool })
  const performed = mock.method(world.left.kernel, 'perform')
  initiate(world)
  const asked = performed.mock.calls.flatMap(({ arguments: [operation] }) =>
    operation.kind === 'add-address' ? [operation.interface] : [],
  )
  assert.deepEqual(asked, ['lo'])
})

for (const [name, value] of [
  ['dns1', '10.2.0.53'],
  ['dns2', '10.2.0.54'],
] as const)
  key(`charon.${name}`, 'clients ask this name server', async () => {
    const world = await up({ left: client(''), right: gateway(`${name} = ${value}`) })
    assert.deepEqual(
      world.left.nameServers.map(({ address }) => address),
      [value],
    )
  })

/** Octets of the answer that a client gets. */
async function answer(text: string): Promise<number> {
  const world = await up({ left: client(''), right: gateway(text) })
  return world.right.sent.find(({ label }) => label.startsWith('IKE_AUTH'))?.bytes.length ?? 0
}

for (const name of ['nbns1', 'nbns2'])
  key(`charon.${name}`, 'clients get this WINS server', async () => {
    assert.ok((await answer(`${name} = 10.2.0.55`)) > (await answer('')))
  })

key('charon.plugins.attr.<attr>', 'attributes for clients, by name or number', async () => {
  const plain = await answer('')
  for (const line of ['dns = 10.2.0.53', 'subnet = 10.9.0.0/16', 'split-include = 10.9.0.0/16', '28673 = text'])
    assert.ok((await answer(`plugins { attr { ${line}\n } }`)) > plain, line)
})

key('charon.plugins.updown.dns_handler', 'name servers go to the script', async () => {
  const world = await up({
    left: client('plugins { updown { dns_handler = yes } }'),
    right: gateway('dns1 = 10.2.0.53'),
  })
  assert.deepEqual(world.left.nameServers, [])
  assert.equal(world.left.scripts[0]?.runs[0]?.['PLUTO_DNS4_1'], '10.2.0.53')
})

key('charon.reject_trusted_end_entity', 'a certificate that is loaded here does not speak for a peer', async () => {
  const files = { 'x509/left.der': certificates().left?.files?.['x509/left.der'] ?? '' }
  const believed = async (word: string) => {
    const { left = {}, right = {} } = certificates({ right: { charon: `reject_trusted_end_entity = ${word}` } })
    const own = Object.entries(right.files ?? {}).filter(([path]) => path !== 'x509ca/lab.der')
    const world = await hosts({ left, right: { ...right, files: { ...Object.fromEntries(own), ...files } } })
    initiate(world)
    return world.right.sas().length
  }
  assert.deepEqual([await believed('no'), await believed('yes')], [1, 0])
})

key('charon.rdn_matching', 'names with their parts in another order, or more of them', async () => {
  const matches = async (word: string) => {
    const left = { local: 'id = "C=CH, O=Lab, CN=left"' }
    const right = { remote: 'id = "O=Lab, C=CH, CN=left"', charon: `rdn_matching = ${word}` }
    const world = await hosts({ left, right })
    initiate(world)
    return world.right.sas().map(({ remoteId }) => remoteId && formatIdentity(remoteId))
  }
  assert.deepEqual([await matches('strict'), await matches('reordered')], [[], ['C=CH, O=Lab, CN=left']])
})

key('charon.close_ike_on_child_failure', 'the IKE SA goes with the child that could not be made', async () => {
  const stays = async (word: string) => {
    const world = await hosts({
      left: { charon: `close_ike_on_child_failure = ${word}`, child: 'remote_ts = 10.9.0.0/16' },
    })
    initiate(world)
    return world.left.sas().length
  }
  assert.deepEqual([await stays('no'), await stays('yes')], [1, 0])
})

key('charon.inactivity_close_ike', 'the IKE SA goes with its last child', async () => {
  const stays = async (word: string) => {
    const world = await up({ left: { charon: `inactivity_close_ike = ${word}`, child: 'inactivity = 60s' } })
    world.wait(130)
    return world.left.sas().length
  }
  assert.deepEqual([await stays('no'), await stays('yes')], [1, 0])
})

key('charon.ignore_acquire_ts', 'what a packet needs is not asked for first', async () => {
  const first = async (word: string) => {
    const world = await hosts({ left: { charon: `ignore_acquire_ts = ${word}`, child: 'start_action = trap' } })
    const packet = {
      family: 4,
      source: '10.1.0.1',
      destination: '10.2.0.7',
      protocol: 17,
      sourcePort: 4000,
      destinationPort: 53,
      length: 100,
    } as const
    world.carry(world.left, packet)
    world.settle()
    return world.left.sent.find(({ label }) => label.startsWith('IKE_AUTH request'))?.bytes.length ?? 0
  }
  assert.ok((await first('no')) > (await first('yes')))
})

for (const [name, field] of [
  ['port', 'portIke'],
  ['port_nat_t', 'portNatT'],
] as const)
  key(`charon.${name}`, 'of our sockets; 0 is any', () => {
    assert.equal(settingsOf(`${name} = 5000`)[field], 5000)
    assert.equal(settingsOf(`${name} = 0`)[field], 0)
  })
