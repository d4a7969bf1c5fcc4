/** After any outage: a host that crashes and comes back with nothing, a network that is cut for an hour. */
import assert from 'node:assert/strict'
import type { ChildConfig, Connection } from '../../src/config/connection.ts'
import { credentialsFor, type SideName } from './connection.ts'
import { carries, logged, notLogged, sameSingleChild } from './expect.ts'
import { Mesh } from './mesh.ts'
import { connectionOf, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const start = { trap: false, start: true }
const trap = { trap: true, start: false }
const none = { trap: false, start: false }

/** A child that is to be up always. */
const up: Partial<ChildConfig> = { startAction: start, dpdAction: start, closeAction: start }
/** A child that is to come up whenever there is traffic. */
const onDemand: Partial<ChildConfig> = { startAction: trap, dpdAction: trap }
const watched: Partial<Connection> = { dpdDelaySeconds: 30 }

/** Power off, and on again: everything is loaded anew. */
function restart(world: World, side: SideName, options: PairOptions): void {
  const host = world.host(side)
  world.ladder.note(side, '* restarts', world.now)
  host.restart()
  host.command({ kind: 'credentials', credentials: credentialsFor(side, 'psk') })
  host.command({ kind: 'load-connection', connection: connectionOf(side, options) })
  world.settle()
}

/** The daemon is killed and started again at once, with all that it had in the kernel still there. */
function respawn(world: World, side: SideName, options: PairOptions): void {
  const host = world.host(side)
  world.ladder.note(side, '* is killed and starts again', world.now)
  host.respawn()
  host.command({ kind: 'credentials', credentials: credentialsFor(side, 'psk') })
  host.command({ kind: 'load-connection', connection: connectionOf(side, options) })
  world.settle()
}

/** Packets both ways for a while; the last ones must get through. */
function traffic(world: World, seconds: number): void {
  for (let i = 0; i < seconds; i += 10) {
    for (const host of world.hosts) carries(world, host)
    world.wait(10)
  }
}

/** Who starts, who waits for traffic, and who only answers. */
const kinds: Readonly<Record<string, Pick<PairOptions, 'left' | 'right'>>> = {
  'left starts': { left: { child: up, connection: watched } },
  'both start': { left: { child: up, connection: watched }, right: { child: up, connection: watched } },
  'left traps': { left: { child: onDemand, connection: watched } },
  'both trap': { left: { child: onDemand, connection: watched }, right: { child: onDemand, connection: watched } },
  'left starts for ever': {
    left: { child: { startAction: start, dpdAction: start }, connection: { ...watched, keyingTries: 0 } },
  },
}

for (const [kind, options] of Object.entries(kinds)) {
  for (const side of ['left', 'right'] as const) {
    scenario(`${kind}: ${side} crashes and is back at once`, () => {
      const world = pair(options)
      traffic(world, 60)
      sameSingleChild(world)
      restart(world, side, options)
      traffic(world, 600)
      sameSingleChild(world)
    })

    /*
     *   left                                                          right
     *   * killed, started again: states and policies of the old daemon are removed, its traps are taken over
     *   packet -> trap -> acquire -> IKE_SA_INIT                  -->
     *                                    or: its probes are not answered, and it begins anew
     */
    scenario(`${kind}: ${side} is killed and starts again on the kernel that it left`, () => {
      const world = pair(options)
      traffic(world, 60)
      for (let i = 0; i < 3; i++) {
        respawn(world, side, options)
        traffic(world, 600)
        sameSingleChild(world)
      }
    })

    scenario(`${kind}: ${side} crashes and is back after ten minutes`, () => {
      const world = pair(options)
      traffic(world, 60)
      world.net.partitioned = true
      traffic(world, 600)
      world.net.partitioned = false
      restart(world, side, options)
      traffic(world, 600)
      sameSingleChild(world)
    })
  }

  scenario(`${kind}: both crash`, () => {
    const world = pair(options)
    traffic(world, 60)
    for (const side of ['left', 'right'] as const) restart(world, side, options)
    traffic(world, 600)
    sameSingleChild(world)
  })

  scenario(`${kind}: the network is cut for an hour`, () => {
    const world = pair(options)
    traffic(world, 60)
    world.net.partitioned = true
    traffic(world, 3600)
    world.net.partitioned = false
    traffic(world, 900)
    sameSingleChild(world)
  })
}

scenario('charon would give up: start_action and dpd_action = start go on with pauses', () => {
  const world = pair({ left: { child: { startAction: start, dpdAction: start }, connection: watched } })
  world.settle()
  world.net.partitioned = true
  world.wait(3600)
  logged(world.left, 'establishing IKE_SA failed, peer not responding')
  logged(world.left, "looking after CHILD_SA 'net' again in")
  world.net.partitioned = false
  world.wait(600)
  sameSingleChild(world)
})

scenario('start_action = start alone is one attempt', () => {
  const world = pair({ left: { child: { startAction: start } } })
  world.net.partitioned = true
  world.wait(3600)
  notLogged(world.left, 'looking after')
})

scenario('a peer that refuses at first is asked again', () => {
  const options: PairOptions = { left: { child: up } }
  const nothing = { anchors: [], certificates: [], privateKeys: new Map(), secrets: [] }
  const world = pair({ ...options, right: { credentials: nothing } })
  world.settle()
  logged(world.left, "looking after CHILD_SA 'net' again in")
  world.right.command({ kind: 'credentials', credentials: credentialsFor('right', 'psk') })
  world.wait(120)
  sameSingleChild(world)
})

scenario('a restarted peer that starts something else: our child comes back beside it', () => {
  const options: PairOptions = { left: { child: up, connection: watched } }
  const world = pair(options)
  world.settle()
  restart(world, 'right', options)
  // It begins an IKE SA without our child.
  world.right.command({ kind: 'initiate', ike: 'lab', timeoutMs: 0 })
  world.settle()
  logged(world.left, 'received INITIAL_CONTACT')
  world.wait(30)
  assert.equal(carries(world, world.left), 'protected')
  assert.equal(carries(world, world.right), 'protected')
})

scenario('an unloaded connection does not come back', () => {
  const world = pair({ left: { child: up, connection: watched } })
  world.settle()
  world.net.partitioned = true
  world.wait(600)
  world.left.command({ kind: 'unload-connection', name: 'lab' })
  world.net.partitioned = false
  world.wait(3600)
  assert.deepEqual(world.left.sas(), [])
})

scenario('another try begins where the host is by then', () => {
  const world = pair({
    left: { connection: { keyingTries: 2, localAddresses: [{ kind: 'any' }] } },
    right: { connection: { remoteAddresses: [{ kind: 'any' }] } },
  })
  world.net.partitioned = true
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(60)
  world.left.kernel.readdress(['192.0.2.77', '10.1.0.1'])
  world.left.kernel.drain() // the kernel's news is lost
  world.net.partitioned = false
  world.wait(120)
  logged(world.left, 'peer not responding, trying again (2/2)')
  sameSingleChild(world)
})

scenario('nodes of a mesh crash one after the other', () => {
  const mesh = new Mesh({
    nodes: 5,
    seed: 3,
    child: { startAction: start, dpdAction: start, closeAction: none },
    connection: watched,
  })
  mesh.wait(30)
  mesh.oneOfEach()
  for (let node = 0; node < 5; node++) {
    mesh.hosts[node]?.restart()
    mesh.load(node)
    mesh.wait(3)
  }
  mesh.wait(900)
  mesh.oneOfEach()
})
