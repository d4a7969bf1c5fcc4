/** The keys of `connections.<conn>`, each by what it changes between two hosts. */
import assert from 'node:assert/strict'
import { exchanges, logged, notLogged, onlyChild, onlySa, saidToPeer } from '../simulation/expect.ts'
import type { Host } from '../simulation/host.ts'
import type { World } from '../simulation/world.ts'
import { certificates, hosts, initiate, key, refused, up } from './hosts.ts'

const said = (host: Host, payload: string) => host.sent.some(({ label }) => label.includes(payload))
const twoAddresses = { addresses: ['192.0.2.1', '192.0.2.11', '10.1.0.1'] }

/** The first request of left reaches nobody. */
async function unanswered(connection: string, charon = ''): Promise<World> {
  const world = await hosts({ left: { connection, charon } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  return world
}

key('connections.<conn>.version', '1 is loaded and never used, 0 is IKEv2', async () => {
  const one = await hosts({ right: { connection: 'version = 1' } })
  initiate(one)
  assert.deepEqual(one.right.sas(), [])
  saidToPeer(one.right, 'N(NO_PROP)')
  await up({ both: { connection: 'version = 0' } })
})

key('connections.<conn>.local_addrs', 'the address to speak from', async () => {
  const left = { connection: 'local_addrs = 192.0.2.11', kernel: twoAddresses }
  const world = await up({ left, right: { connection: 'remote_addrs = 192.0.2.0/24' } })
  assert.equal(onlySa(world.left).local.address, '192.0.2.11')
})

key('connections.<conn>.remote_addrs', 'who is meant, by subnet, by range, by name', async () => {
  for (const addresses of ['192.0.2.0/24', '198.51.100.7, 192.0.2.1-192.0.2.9', '%any'])
    await up({ right: { connection: `remote_addrs = ${addresses}` } })
  const names = new Map([['right.lab.org', ['192.0.2.2']]])
  await up({ left: { connection: 'remote_addrs = right.lab.org', names } })
  const stranger = await hosts({ right: { connection: 'remote_addrs = 198.51.100.0/24' } })
  initiate(stranger)
  saidToPeer(stranger.right, 'N(NO_PROP)')
})

key('connections.<conn>.local_port', 'of our socket for NAT traversal: everything goes from there', async () => {
  const world = await up({ left: { connection: 'local_port = 4500\nremote_port = 4500' } })
  assert.equal(onlySa(world.left).local.port, 4500)
})

key('connections.<conn>.remote_port', 'where the first request goes to', async () => {
  const world = await unanswered('remote_port = 4500\nlocal_port = 4500')
  assert.equal(world.net.flights[0]?.destination.port, 4500)
})

key('connections.<conn>.proposals', 'what is offered, in its order', async () => {
  const offer = 'proposals = aes256-sha384-ecp384, aes128gcm16-prfsha256-x25519'
  const world = await up({ left: { connection: offer } })
  assert.equal(onlySa(world.left).proposal?.encryption?.keyBits, 128)
  const nothing = await hosts({ left: { connection: 'proposals = aes256-sha384-ecp384' } })
  initiate(nothing)
  saidToPeer(nothing.right, 'N(NO_PROP)')
})

const pool = { rest: 'pools { p { addrs = 10.77.0.0/24 } }', connection: 'pools = p', child: 'remote_ts = dynamic' }
const client = { connection: 'vips = 0.0.0.0', child: 'local_ts = dynamic' }

key('connections.<conn>.vips', 'an address is asked for and comes up', async () => {
  const world = await up({ left: { ...client, kernel: { addresses: ['192.0.2.1'] } }, right: pool })
  assert.deepEqual(onlySa(world.left).localVips, ['10.77.0.1'])
  assert.deepEqual(world.left.kernel.addedAddresses, ['10.77.0.1'])
})

key('connections.<conn>.pools', 'where addresses for clients come from', async () => {
  const world = await up({ left: { ...client, kernel: { addresses: ['192.0.2.1'] } }, right: pool })
  assert.deepEqual(onlySa(world.right).remoteVips, ['10.77.0.1'])
  const none = await hosts({ left: client, right: { child: 'remote_ts = dynamic' } })
  initiate(none)
  assert.deepEqual(onlySa(none.right).remoteVips, [])
})

key('connections.<conn>.dscp', 'the code point of IKE packets', async () => {
  const world = await up({ left: { connection: 'dscp = 101110' } })
  assert.deepEqual([...new Set(world.left.sent.map(({ dscp }) => dscp))], [46])
})

key('connections.<conn>.encap', 'ESP goes in UDP though there is no NAT', async () => {
  const world = await up({ left: { connection: 'encap = yes' } })
  assert.deepEqual([onlySa(world.left).natFake, onlyChild(world.left).encap], [true, true])
})

key('connections.<conn>.mobike', 'no: it is not announced, and port 500 stays', async () => {
  const world = await up({ left: { connection: 'mobike = no' } })
  assert.deepEqual([said(world.left, 'N(MOBIKE_SUP)'), onlySa(world.left).local.port], [false, 500])
  assert.ok(said((await up()).left, 'N(MOBIKE_SUP)'))
})

key('connections.<conn>.dpd_delay', 'a silent peer is asked', async () => {
  const world = await up({ left: { connection: 'dpd_delay = 30s' } })
  world.wait(31)
  assert.deepEqual(exchanges(world.left).slice(2), ['INFORMATIONAL request 2'])
})

key('connections.<conn>.fragmentation', 'no: not announced, so that nobody sends fragments', async () => {
  const announced = async (word: string) => {
    const world = await up({ left: { connection: `fragmentation = ${word}` } })
    return said(world.left, 'N(FRAG_SUP)')
  }
  assert.deepEqual([await announced('yes'), await announced('accept'), await announced('no')], [true, true, false])
})

key('connections.<conn>.childless', 'force: IKE_AUTH makes no child, never: one has to be there', async () => {
  const world = await up({ left: { connection: 'childless = force' } })
  assert.ok(exchanges(world.left).includes('CREATE_CHILD_SA request 2'))
  const never = await hosts({ left: { connection: 'childless = force' }, right: { connection: 'childless = never' } })
  initiate(never)
  logged(never.left, 'peer does not support childless IKE_SA initiation')
})

key('connections.<conn>.send_certreq', 'no: the peer is not told which CAs we trust', async () => {
  const files = { ...certificates().left?.files, ...certificates().right?.files }
  const asks = async (word: string) =>
    said((await up(certificates({ right: { connection: `send_certreq = ${word}`, files } }))).right, 'CERTREQ')
  assert.deepEqual([await asks('yes'), await asks('no')], [true, false])
})

key('connections.<conn>.send_cert', 'never, unless asked, always', async () => {
  const sends = async (word: string, asked: string) => {
    const files = { ...certificates().left?.files, ...certificates().right?.files }
    const right = { connection: `send_certreq = ${asked}`, files }
    const world = await up(certificates({ left: { connection: `send_cert = ${word}`, files }, right }))
    return said(world.left, ' CERT ')
  }
  assert.deepEqual([await sends('ifasked', 'yes'), await sends('never', 'yes')], [true, false])
  assert.deepEqual([await sends('ifasked', 'no'), await sends('always', 'no')], [false, true])
})

const ppk = { connection: 'ppk_id = shared', secrets: 'ike { secret = x }\nppk-1 { id = shared\n secret = 0x0102 }' }

key('connections.<conn>.ppk_id', 'the keys of the IKE SA have the PPK in them', async () => {
  const world = await up({ both: ppk })
  assert.deepEqual([onlySa(world.left).ppk, onlySa(world.right).ppk], [true, true])
})

key('connections.<conn>.ppk_required', 'a peer without the PPK is refused', async () => {
  const right = { ...ppk, connection: `${ppk.connection}\nppk_required = yes` }
  const world = await hosts({ left: { secrets: 'ike { secret = x }' }, right })
  initiate(world)
  saidToPeer(world.right, 'N(AUTH_FAILED)')
})

key('connections.<conn>.keyingtries', 'a peer that does not answer is tried again from the start', async () => {
  const world = await unanswered('keyingtries = 2')
  world.wait(170, { deliver: false })
  logged(world.left, 'peer not responding, trying again (2/2)')
  const once = await unanswered('')
  once.wait(170, { deliver: false })
  notLogged(once.left, 'trying again')
  logged(once.left, 'establishing IKE_SA failed, peer not responding')
})

key('connections.<conn>.unique', 'replace: the newer IKE SA of an identity ends the older one', async () => {
  const count = async (word: string) => {
    const left = { connection: `unique = never`, charon: 'reuse_ikesa = no', children: twin }
    const world = await up({ left, right: { connection: `unique = ${word}`, children: twin } })
    initiate(world, 'twin')
    world.wait(10)
    return world.right.sas().length
  }
  assert.deepEqual([await count('never'), await count('replace')], [2, 1])
})

const twin = 'twin { esp_proposals = aes128gcm16\n local_ts = 0.0.0.0/0\n remote_ts = 0.0.0.0/0 }'

const around = (seconds: number | undefined, least: number, most: number) =>
  assert.ok(seconds !== undefined && seconds >= least && seconds <= most, `${seconds}`)

key('connections.<conn>.rekey_time', 'when the IKE SA is rekeyed', async () => {
  const world = await up({ left: { connection: 'rekey_time = 10m\nrand_time = 0' } })
  around(onlySa(world.left).rekeyTime, 600, 600)
  world.wait(601)
  assert.ok(exchanges(world.left).includes('CREATE_CHILD_SA request 2'))
})

key('connections.<conn>.reauth_time', 'when the IKE SA is made anew', async () => {
  const world = await up({ left: { connection: 'reauth_time = 10m\nrand_time = 0' } })
  around(onlySa(world.left).reauthTime, 600, 600)
  assert.equal(onlySa(world.left).rekeyTime, undefined)
  world.wait(610)
  assert.equal(exchanges(world.left).filter((one) => one === 'IKE_AUTH request 1').length, 2)
})

key('connections.<conn>.over_time', 'how long an IKE SA lives beyond its rekeying', async () => {
  const world = await up({ left: { connection: 'rekey_time = 10m\nrand_time = 0\nover_time = 20s' } })
  logged(world.left, 'maximum IKE_SA lifetime 620s')
})

key('connections.<conn>.rand_time', 'by how much the rekeying may be earlier', async () => {
  const world = await up({ left: { connection: 'rekey_time = 10m\nrand_time = 5m' } })
  around(onlySa(world.left).rekeyTime, 300, 599)
})

for (const way of ['in', 'out'] as const) {
  key(`connections.<conn>.if_id_${way}`, 'the interface id of children that name none', async () => {
    const world = await hosts({ left: { connection: `if_id_${way} = 7` } })
    initiate(world)
    const view = onlyChild(world.left)
    assert.equal(way === 'in' ? view.ifIdIn : view.ifIdOut, 7)
    const ids = world.left.kernel.policies.filter(({ direction }) => (direction === 'out') === (way === 'out'))
    assert.deepEqual([...new Set(ids.map(({ ifId }) => ifId))], [7])
  })
}

for (const name of ['aggressive', 'pull', 'dpd_timeout']) {
  key(`connections.<conn>.${name}`, 'taken for IKEv1 configurations, and checked', async () => {
    await up({ left: { connection: `${name} = ${name === 'dpd_timeout' ? '2m' : 'yes'}` } })
    await refused(
      { left: { connection: `${name} = perhaps` } },
      new RegExp(`invalid value for: ${name}, config discarded`),
    )
  })
}

for (const [name, word] of [
  ['mediation', 'yes'],
  ['mediated_by', 'm'],
  ['mediation_peer', 'm'],
] as const) {
  key(`connections.<conn>.${name}`, 'refused, unless it asks for nothing', async () => {
    await refused(
      { left: { connection: `${name} = ${word}` } },
      /mediation \(IKE-ME\) is not supported; remove this key/,
    )
    await up({ left: { connection: `${name} = ${name === 'mediation' ? 'no' : '""'}` } })
  })
}
