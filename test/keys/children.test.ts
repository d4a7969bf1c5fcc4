/** The keys of `children.<child>`, each by what it changes in the kernel, between two hosts, or with time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  carries,
  exchanges,
  installed,
  logged,
  nothingLeft,
  onlyChild,
  onlySa,
  saidToPeer,
  sameSingleChild,
} from '../simulation/expect.ts'
import type { Host } from '../simulation/host.ts'
import { certificates, hosts, initiate, key, refused, up } from './hosts.ts'

const child = (text: string) => ({ left: { child: text } })
const states = (host: Host, direction: 'in' | 'out') =>
  installed(host).flatMap(({ sa }) => (sa?.direction === direction ? [sa] : []))
const only = <T>(list: readonly T[]): T => {
  assert.equal(list.length, 1)
  return list[0] as T // there is one
}
const sa = (host: Host, direction: 'in' | 'out') => only(states(host, direction))
const policies = (host: Host, direction: 'in' | 'out' | 'fwd') =>
  host.kernel.policies.filter((policy) => policy.direction === direction)
const policy = (host: Host, direction: 'in' | 'out' | 'fwd') => only(policies(host, direction))

key('children.<child>.esp_proposals', 'what is offered for ESP', async () => {
  const cbc = 'esp_proposals = aes256-sha512, aes128-sha256'
  const world = await up({ left: { child: cbc }, right: { child: 'esp_proposals = aes128-sha256' } })
  assert.equal(onlyChild(world.left).proposal.encryption?.keyBits, 128)
  const nothing = await hosts(child('esp_proposals = aes256-sha512'))
  initiate(nothing)
  saidToPeer(nothing.right, 'N(NO_PROP)')
})

key('children.<child>.ah_proposals', 'AH in place of ESP', async () => {
  const world = await hosts({ both: { child: 'esp_proposals =\nah_proposals = sha256' } })
  initiate(world)
  assert.equal(onlyChild(world.left).protocol, 'AH')
  for (const { kernel } of world.hosts) {
    const asked = kernel.policies.flatMap(({ templates }) => templates.map(({ protocol }) => protocol))
    assert.deepEqual([...new Set(asked)], ['AH'])
  }
})

key('children.<child>.local_ts', 'whose packets go into the tunnel', async () => {
  const world = await up(child('local_ts = 10.1.0.0/24, 10.1.7.0/24[tcp/80]'))
  assert.equal(onlyChild(world.left).localTs.length, 2)
  assert.equal(carries(world, world.left, { source: '10.1.9.1' }), 'plain')
  assert.equal(carries(world, world.left, { source: '10.1.7.1', protocol: 6, sourcePort: 80 }), 'protected')
})

key('children.<child>.remote_ts', 'whereto packets go into the tunnel', async () => {
  const world = await up(child('remote_ts = 10.2.0.0/24'))
  assert.equal(carries(world, world.left, { destination: '10.2.9.1' }), 'plain')
  const outside = await hosts(child('remote_ts = 10.9.0.0/16'))
  initiate(outside)
  saidToPeer(outside.right, 'N(TS_UNACCEPT)')
})

key('children.<child>.updown', 'the script that is told of the child', async () => {
  const world = await up(child('updown = "/usr/local/bin/hook a"'))
  assert.deepEqual(
    world.left.scripts.map(({ command, up }) => [command, up]),
    [['/usr/local/bin/hook a', true]],
  )
})

key('children.<child>.hostaccess', 'the script hears that this host is meant too', async () => {
  const world = await up(child('updown = x\nhostaccess = yes'))
  assert.equal(world.left.scripts[0]?.runs[0]?.['PLUTO_HOST_ACCESS'], '1')
  const without = await up(child('updown = x'))
  assert.equal(without.left.scripts[0]?.runs[0]?.['PLUTO_HOST_ACCESS'], undefined)
})

const hostToHost = { both: { child: 'local_ts = dynamic\nremote_ts = dynamic' } }

key(
  'children.<child>.mode',
  'tunnel, transport; pass and drop are policies alone, what is not there is refused',
  async () => {
    assert.equal(onlyChild((await up()).left).mode, 'TUNNEL')
    const text = `${hostToHost.both.child}\nmode =`
    assert.equal(onlyChild((await up({ both: { child: `${text} transport` } })).left).mode, 'TRANSPORT')
    for (const mode of ['pass', 'drop']) {
      const world = await hosts(child(`mode = ${mode}\nstart_action = trap`))
      assert.deepEqual([...new Set(world.left.kernel.policies.map(({ action }) => action))], [mode])
    }
    for (const mode of ['iptfs', 'beet', 'transport_proxy'])
      await refused(child(`mode = ${mode}`), /invalid value for: mode/)
  },
)

key('children.<child>.policies', 'no: states alone', async () => {
  const world = await hosts(child('policies = no'))
  initiate(world)
  assert.deepEqual(world.left.kernel.policies, [])
  assert.equal(installed(world.left).length, 2)
})

key('children.<child>.policies_fwd_out', 'packets that are forwarded out meet a policy too', async () => {
  const world = await hosts(child('policies_fwd_out = yes'))
  initiate(world)
  assert.equal(policies(world.left, 'fwd').length, 2)
  assert.equal(policies((await up()).left, 'fwd').length, 1)
})

for (const [action, done] of [
  ['none', []],
  ['trap', ['ROUTED']],
  ['start', ['INSTALLED']],
] as const) {
  key('children.<child>.start_action', action, async () => {
    const world = await hosts(child(`start_action = ${action}`))
    world.settle()
    const shown =
      action === 'trap' ? world.left.kernel.policies.map(() => 'ROUTED') : world.left.sas().map(() => 'INSTALLED')
    assert.deepEqual([...new Set(shown)], done)
    if (action === 'start') sameSingleChild(world)
  })
}

key('children.<child>.dpd_action', 'start: a child whose peer is gone is brought up again', async () => {
  for (const [action, tries] of [
    ['none', 1],
    ['start', 2],
  ] as const) {
    const world = await up({ left: { connection: 'dpd_delay = 30s', child: `dpd_action = ${action}` } })
    world.right.restart()
    world.wait(250)
    assert.equal(exchanges(world.left).includes('IKE_SA_INIT request 0'), true)
    const begun = world.left.logs.filter(({ message }) => message.startsWith('initiating IKE_SA'))
    assert.equal(begun.length, tries, action)
  }
})

key('children.<child>.close_action', 'start: a child that the peer closes is brought up again', async () => {
  for (const [action, children] of [
    ['none', 0],
    ['start', 1],
  ] as const) {
    const world = await up(child(`close_action = ${action}`))
    world.right.command({ kind: 'terminate', select: { child: 'net' }, force: false, timeoutMs: 0 })
    world.wait(10)
    assert.equal(world.left.sas().flatMap((one) => one.children).length, children, action)
  }
})

key('children.<child>.ipcomp', 'packets are compressed, if both want it', async () => {
  const world = await up({ both: { child: 'ipcomp = yes' } })
  assert.ok(onlyChild(world.left).cpiIn !== undefined)
  assert.equal(onlyChild((await up(child('ipcomp = yes'))).left).cpiIn, undefined)
})

key('children.<child>.inactivity', 'an idle child is closed', async () => {
  const world = await up(child('inactivity = 60s'))
  world.wait(130)
  logged(world.left, 'deleting CHILD_SA after 60 seconds of inactivity')
  assert.deepEqual(onlySa(world.left).children, [])
})

key('children.<child>.reqid', 'the number that ties policies to states', async () => {
  const world = await up(child('reqid = 4711'))
  assert.deepEqual([sa(world.left, 'in').reqid, policy(world.left, 'out').templates[0]?.reqid], [4711, 4711])
})

key('children.<child>.rekey_time', 'when the child is rekeyed', async () => {
  const world = await up(child('rekey_time = 10m\nrand_time = 0'))
  assert.equal(onlyChild(world.left).rekeyTime, 600)
  world.wait(601)
  assert.ok(exchanges(world.left).includes('CREATE_CHILD_SA request 2'))
})

key('children.<child>.life_time', 'when the kernel removes its states', async () => {
  const world = await up(child('rekey_time = 10m\nlife_time = 11m'))
  assert.equal(sa(world.left, 'in').limits.hardSeconds, 660)
})

key('children.<child>.rand_time', 'by how much the rekeying may be earlier', async () => {
  const world = await up(child('rekey_time = 10m\nrand_time = 5m'))
  const { rekeyTime = 0 } = onlyChild(world.left)
  assert.ok(rekeyTime >= 300 && rekeyTime < 600, `${rekeyTime}`)
})

for (const [unit, one] of [
  ['bytes', 'Bytes'],
  ['packets', 'Packets'],
] as const) {
  const limits = async (text: string) => {
    const { limits } = sa((await up(child(text))).left, 'out')
    return { soft: limits[`soft${one}`], hard: limits[`hard${one}`] }
  }
  key(`children.<child>.rekey_${unit}`, 'how much until the child is rekeyed', async () => {
    assert.deepEqual(await limits(`rekey_${unit} = 10000\nrand_${unit} = 0`), { soft: 10_000n, hard: 11_000n })
    const world = await up(
      child(`rekey_${unit} = ${unit === 'bytes' ? 500 : 5}\nlife_${unit} = 9000\nrand_${unit} = 0`),
    )
    for (let i = 0; i < 8; i++) carries(world, world.left)
    world.settle()
    assert.ok(exchanges(world.left).includes('CREATE_CHILD_SA request 2'))
  })
  key(`children.<child>.life_${unit}`, 'how much until the kernel takes no more', async () => {
    const text = `rekey_${unit} = 10000\nrand_${unit} = 0\nlife_${unit} = 20000`
    assert.deepEqual(await limits(text), { soft: 10_000n, hard: 20_000n })
  })
  key(`children.<child>.rand_${unit}`, 'by how much the rekeying may be earlier', async () => {
    const { soft = 0n } = await limits(`rekey_${unit} = 10000\nrand_${unit} = 5000`)
    assert.ok(soft >= 5000n && soft < 10_000n, `${soft}`)
  })
}

const tenOf = { value: 0x10, mask: 0xff }

key('children.<child>.mark_in', 'of policies for what comes in', async () => {
  const world = await hosts(child('mark_in = 0x10/0xff'))
  initiate(world)
  assert.deepEqual([policy(world.left, 'in').mark, policy(world.left, 'out').mark], [tenOf, undefined])
  assert.equal(sa(world.left, 'in').mark, undefined)
})

key('children.<child>.mark_in_sa', 'the state has the mark too', async () => {
  const world = await hosts(child('mark_in = 0x10/0xff\nmark_in_sa = yes'))
  initiate(world)
  assert.deepEqual(sa(world.left, 'in').mark, tenOf)
})

key('children.<child>.mark_out', 'of the policy and the state for what goes out', async () => {
  const world = await hosts(child('mark_out = 0x10/0xff'))
  initiate(world)
  assert.deepEqual([policy(world.left, 'out').mark, sa(world.left, 'out').mark], [tenOf, tenOf])
  assert.equal(carries(world, world.left), 'plain')
  assert.equal(carries(world, world.left, { mark: 0x10 }), 'protected')
})

for (const way of ['in', 'out'] as const) {
  key(`children.<child>.set_mark_${way}`, 'the mark that a packet has afterwards', async () => {
    const world = await up(child(`set_mark_${way} = 0x10/0xff`))
    assert.deepEqual(sa(world.left, way).outputMark, tenOf)
  })

  key(`children.<child>.if_id_${way}`, 'the XFRM interface of policies and states', async () => {
    const world = await hosts({ left: { connection: 'if_id_in = 1\nif_id_out = 1', child: `if_id_${way} = 7` } })
    initiate(world)
    assert.deepEqual([policy(world.left, way).ifId, sa(world.left, way).ifId], [7, 7])
  })
}

key('children.<child>.interface', 'policies for what leaves hold there alone', async () => {
  const world = await hosts(child('interface = eth7'))
  initiate(world)
  assert.equal(policy(world.left, 'out').selector.interface, 'eth7')
})

key('children.<child>.priority', 'of its policies, in place of what is computed', async () => {
  const world = await up(child('priority = 1234'))
  for (const one of world.left.kernel.policies) assert.equal(one.priority, 1234)
})

key('children.<child>.tfc_padding', 'packets are padded', async () => {
  assert.equal(sa((await up(child('tfc_padding = 1200'))).left, 'out').tfcPadding, 1200)
  assert.equal(sa((await up(child('tfc_padding = mtu'))).left, 'out').tfcPadding, 0xffff_ffff)
})

key('children.<child>.replay_window', 'of the inbound state', async () => {
  assert.equal(sa((await up(child('replay_window = 1024'))).left, 'in').replayWindow, 1024)
  assert.equal(sa((await up(child('replay_window = 0'))).left, 'in').replayWindow, 0)
})

key('children.<child>.hw_offload', 'the hardware is asked', async () => {
  for (const [word, asked] of [
    ['no', undefined],
    ['yes', 'crypto'],
    ['packet', 'packet'],
    ['auto', 'auto'],
  ] as const)
    assert.equal(sa((await up(child(`hw_offload = ${word}`))).left, 'out').hwOffload, asked)
})

for (const [name, field] of [
  ['copy_df', 'copyDf'],
  ['copy_ecn', 'copyEcn'],
] as const) {
  key(`children.<child>.${name}`, 'between inner and outer header', async () => {
    assert.deepEqual(
      [sa((await up()).left, 'out')[field], sa((await up(child(`${name} = no`))).left, 'out')[field]],
      [true, false],
    )
  })
}

key('children.<child>.copy_dscp', 'between inner and outer header, by direction', async () => {
  for (const word of ['no', 'in', 'out', 'yes'])
    assert.equal(sa((await up(child(`copy_dscp = ${word}`))).left, 'out').copyDscp, word)
})

key('children.<child>.icmp', 'errors about what the tunnel carries come in', async () => {
  const world = await up(child('icmp = yes'))
  assert.deepEqual([sa(world.left, 'in').icmpErrors, policy(world.left, 'out').icmpErrors], [true, true])
})

key('children.<child>.sha256_96', 'the ICV of SHA-256 has 96 bits', async () => {
  const { crypto } = sa((await up({ both: { child: 'esp_proposals = aes128-sha256\nsha256_96 = yes' } })).left, 'in')
  assert.equal(crypto.kind === 'separate' && crypto.integrity?.truncationBits, 96)
})

key('children.<child>.single_pair', 'a responder takes one pair of subnets', async () => {
  const world = await hosts({
    left: { child: 'local_ts = 10.1.0.0/24, 10.1.1.0/24' },
    right: { child: 'single_pair = yes' },
  })
  initiate(world)
  saidToPeer(world.right, 'N(SINGLE_PAIR)')
})

test('children: nothing is left of any key', async () => {
  const text = 'mark_out = 7\nif_id_in = 3\nreqid = 9\nipcomp = yes\nstart_action = trap'
  const world = await hosts(certificates({ both: { child: text } }))
  initiate(world)
  for (const host of world.hosts) host.command({ kind: 'unload-connection', name: 'lab' })
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  world.wait(300)
  for (const host of world.hosts) nothingLeft(host)
})

key('children.<child>.per_cpu_sas', 'refused, but for no', async () => {
  await up(child('per_cpu_sas = no'))
  for (const word of ['yes', 'encap']) await refused(child(`per_cpu_sas = ${word}`), /invalid value for: per_cpu_sas/)
})
