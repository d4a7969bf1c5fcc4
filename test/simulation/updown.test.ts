/** What updown scripts are told, and when (CHARON 9.4). */
import assert from 'node:assert/strict'
import { subnet } from './connection.ts'
import { logged, onlyChild, onlySa } from './expect.ts'
import type { Host } from './host.ts'
import { established, pair } from './pair.ts'
import { rekey, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'
import { roadWarrior, v4Pool, v6Pool } from './virtual-ip.ts'

const updown = '/usr/lib/updown --some "argument"'

function verbsOf(host: Host): readonly (string | undefined)[] {
  return host.scripts.flatMap(({ runs }) => runs.map(({ PLUTO_VERB }) => PLUTO_VERB))
}

/**
 *    |-- IKE_AUTH request [ … SA TSi TSr ] -->|   * up
 *    |<--------- IKE_AUTH response [ … ] -----|   * up
 *    |-- INFORMATIONAL request [ D(ESP) ] --->|   * down
 *    |<-- INFORMATIONAL response [ D(ESP) ] --|   * down
 */
scenario('a child that comes up and is deleted runs its script once for each on both sides', () => {
  const world = established({ child: { updown } })
  for (const host of world.hosts) {
    const [script] = host.scripts
    assert.ok(script !== undefined && host.scripts.length === 1)
    const { local, remote, uniqueId } = onlySa(host)
    const other = world.peer(host).name
    assert.equal(script.command, updown)
    assert.equal(script.up, true)
    assert.equal(script.local, local.address)
    assert.deepEqual(script.runs, [
      {
        PLUTO_VERSION: '1.1',
        PLUTO_CONNECTION: 'net',
        PLUTO_REQID: '1',
        PLUTO_PROTO: 'esp',
        PLUTO_UNIQUEID: String(uniqueId),
        PLUTO_MY_ID: `${host.name}.lab`,
        PLUTO_PEER_ID: `${other}.lab`,
        PLUTO_VERB: 'up-client',
        PLUTO_ME: local.address,
        PLUTO_PEER: remote.address,
        PLUTO_MY_CLIENT: host.name === 'left' ? '10.1.0.0/16' : '10.2.0.0/16',
        PLUTO_PEER_CLIENT: host.name === 'left' ? '10.2.0.0/16' : '10.1.0.0/16',
        PLUTO_MY_PORT: '0',
        PLUTO_PEER_PORT: '0',
        PLUTO_MY_PROTOCOL: '0',
        PLUTO_PEER_PROTOCOL: '0',
      },
    ])
  }
  terminate(world.left, 'child')
  world.wait(1)
  for (const host of world.hosts) assert.deepEqual(verbsOf(host), ['up-client', 'down-client'])
})

scenario('rekeyings of the child and of the IKE SA run no script; the end of the IKE SA does', () => {
  const world = established({ child: { updown } })
  for (const what of ['child', 'IKE SA'] as const) {
    rekey(world.left, what)
    world.wait(10)
  }
  for (const host of world.hosts) assert.deepEqual(verbsOf(host), ['up-client'])
  terminate(world.right, 'IKE SA')
  world.wait(1)
  for (const host of world.hosts) {
    assert.deepEqual(verbsOf(host), ['up-client', 'down-client'])
    const [up, down] = host.scripts
    assert.equal(up?.runs[0]?.['PLUTO_REQID'], down?.runs[0]?.['PLUTO_REQID'])
  }
})

scenario('one run for each pair of selectors, with protocol and ports', () => {
  const world = established({
    left: {
      child: {
        updown,
        localTs: [subnet('10.1.0.0/16', 6, 443, 443), subnet('10.3.0.0/16')],
        remoteTs: [subnet('10.2.0.1/32')],
      },
    },
    right: {
      child: {
        localTs: [subnet('10.2.0.1/32')],
        remoteTs: [subnet('10.1.0.0/16', 6, 443, 443), subnet('10.3.0.0/16')],
      },
    },
  })
  const [script] = world.left.scripts
  assert.deepEqual(
    script?.runs.map((run) => [
      run['PLUTO_MY_CLIENT'],
      run['PLUTO_MY_PROTOCOL'],
      run['PLUTO_MY_PORT'],
      run['PLUTO_PEER_CLIENT'],
      run['PLUTO_PEER_PORT'],
    ]),
    [
      ['10.1.0.0/16', '6', '443', '10.2.0.1/32', '0'],
      ['10.3.0.0/16', '0', '0', '10.2.0.1/32', '0'],
    ],
  )
  assert.deepEqual(world.right.scripts, [])
})

scenario('virtual IPs, marks and interface ids are said when there are any', () => {
  const world = pair(
    roadWarrior({
      vips: ['0.0.0.0', '::'],
      pools: [v4Pool, v6Pool],
      families: [4, 6],
      child: { updown, hostaccess: true, ifIdIn: 7, ifIdOut: 8, markOut: { value: 5, mask: 0xffffffff } },
    }),
  )
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  assert.equal(onlyChild(world.left).state, 'INSTALLED')
  const [left] = world.left.scripts[0]?.runs ?? []
  const [right] = world.right.scripts[0]?.runs ?? []
  assert.ok(left !== undefined && right !== undefined)
  assert.equal(left['PLUTO_MY_SOURCEIP'], '10.77.0.1')
  assert.equal(left['PLUTO_MY_SOURCEIP4_1'], '10.77.0.1')
  assert.equal(left['PLUTO_MY_SOURCEIP6_1'], 'fec7::1')
  assert.equal(right['PLUTO_PEER_SOURCEIP4_1'], '10.77.0.1')
  assert.equal(right['PLUTO_MY_SOURCEIP'], undefined)
  assert.equal(left['PLUTO_IF_ID_IN'], '7')
  assert.equal(left['PLUTO_IF_ID_OUT'], '8')
  assert.equal(left['PLUTO_MARK_OUT'], '5/0xffffffff')
  assert.equal(left['PLUTO_MARK_IN'], undefined)
  assert.equal(left['PLUTO_HOST_ACCESS'], '1')
  assert.ok(world.left.scripts[0]?.runs.some(({ PLUTO_VERB }) => PLUTO_VERB?.endsWith('-v6')))
})

scenario('behind a NAT the script knows the port of the peer', () => {
  const world = established({ nat: 'left', child: { updown } })
  assert.equal(world.right.scripts[0]?.runs[0]?.['PLUTO_UDP_ENC'], String(onlySa(world.right).remote.port))
})

scenario('a host that is its own client is told so', () => {
  const world = established({ mode: 'transport', child: { updown } })
  for (const host of world.hosts) assert.deepEqual(verbsOf(host), ['up-host'])
  logged(world.left, 'CHILD_SA net{1} established')
})
