/** dpd_action, close_action, and the limits of children: what is up again after it ended, and what is not. */
import assert from 'node:assert/strict'
import type { Action, ChildConfig } from '../../src/config/connection.ts'
import { subnet } from './connection.ts'
import { carries, logged, nothingLeaks, notLogged, onlyChild, onlySa, sameSingleChild } from './expect.ts'
import { connectionOf, established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const none: Action = { trap: false, start: false }
const trap: Action = { trap: true, start: false }
const start: Action = { trap: false, start: true }
const both: Action = { trap: true, start: true }
const all: Readonly<Record<string, Action>> = { none, trap, start, 'trap|start': both }

/** One side's child with these actions, and a liveness check every half minute. */
function withActions(child: Partial<ChildConfig>, side: 'left' | 'right' = 'left'): PairOptions {
  return { [side]: { child, connection: { dpdDelaySeconds: 30 } } }
}

function trapsOf(world: World): number {
  const answer = world.left.command({ kind: 'list-policies' })()
  return answer?.kind === 'policies' ? answer.policies.length : 0
}

for (const [name, action] of Object.entries(all)) {
  for (const [startName, startAction] of Object.entries(all)) {
    /**
     *   the network is cut:  request, retransmissions, nothing  ->  dpd_action
     */
    scenario(`dpd_action = ${name} with start_action = ${startName}`, () => {
      const world = established(withActions({ dpdAction: action, startAction }))
      world.net.partitioned = true
      world.wait(30 + 166)
      logged(world.left, 'giving up after 5 retransmits')
      const restarting = action.start
      assert.equal(trapsOf(world), action.trap || startAction.trap ? 1 : 0)
      if (!restarting) {
        assert.deepEqual(world.left.sas(), [])
        notLogged(world.left, 'restarting CHILD_SA net')
        return
      }
      logged(world.left, 'restarting CHILD_SA net')
      assert.equal(onlySa(world.left).state, 'CONNECTING')
      world.net.partitioned = false
      world.wait(60)
      sameSingleChild(world)
    })

    /**
     *                          <--  HDR, SK {D}     IKE SA, or child
     *   HDR, SK {}  -->                             close_action
     */
    for (const what of ['the IKE SA', 'the child'] as const) {
      scenario(`close_action = ${name} with start_action = ${startName}: the peer deletes ${what}`, () => {
        const world = established(withActions({ closeAction: action, startAction }))
        const before = onlyChild(world.left).uniqueId
        const select = what === 'the child' ? { child: 'net' } : { ike: 'lab' }
        world.right.command({ kind: 'terminate', select, force: false, timeoutMs: 0 })
        world.settle()
        assert.equal(trapsOf(world), action.trap || startAction.trap ? 1 : 0)
        if (action.start) {
          sameSingleChild(world)
          assert.notEqual(onlyChild(world.left).uniqueId, before)
          return
        }
        assert.deepEqual(
          world.left.sas().flatMap(({ children }) => children),
          [],
        )
        if (action.trap || startAction.trap) {
          assert.equal(carries(world, world.left), 'XfrmOutNoStates')
          world.settle()
          assert.equal(carries(world, world.left), 'protected')
        }
      })
    }
  }
}

scenario('a packet does not leave in clear between the end of an SA and the trap in its place', () => {
  const world = established(withActions({ closeAction: trap }))
  world.holdJobs = true
  world.right.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  for (let i = 0; i < 100; i++) {
    assert.notEqual(carries(world, world.left), 'plain')
    const host = world.hosts.find(({ jobs }) => jobs.length > 0)
    const job = host?.jobs[0]
    if (host === undefined || job === undefined) break
    host.complete(job)
    world.settle()
  }
  assert.equal(trapsOf(world), 1)
})

scenario('nor when the peer is gone', () => {
  const world = established(withActions({ dpdAction: trap }))
  world.net.partitioned = true
  world.wait(30 + 160)
  world.holdJobs = true
  for (let i = 0; i < 200; i++) {
    world.wait(0.2)
    assert.notEqual(carries(world, world.left), 'plain')
    const job = world.left.jobs[0]
    if (job !== undefined) world.left.complete(job)
  }
  logged(world.left, 'giving up')
  assert.equal(trapsOf(world), 1)
})

for (const select of [{ child: 'net' }, { ike: 'lab' }]) {
  scenario(`our own terminate of ${JSON.stringify(select)} is final`, () => {
    const world = established(withActions({ closeAction: start, dpdAction: start, startAction: start }))
    world.left.command({ kind: 'terminate', select, force: false, timeoutMs: 0 })
    world.settle()
    world.wait(1000)
    assert.deepEqual(
      world.left.sas().flatMap(({ children }) => children),
      [],
    )
  })
}

scenario('a terminate that the peer never answers is final as well', () => {
  const world = established(withActions({ dpdAction: start, closeAction: start, startAction: start }))
  world.net.partitioned = true
  world.wait(31)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.wait(1000)
  assert.deepEqual(world.left.sas(), [])
  notLogged(world.left, 'restarting')
})

scenario('all children of a dead IKE SA come back on one new IKE SA', () => {
  const options: PairOptions = { left: { connection: { dpdDelaySeconds: 30 } } }
  const children = (side: 'left' | 'right'): ChildConfig[] =>
    connectionOf(side, options).children.flatMap((net) => [
      { ...net, dpdAction: start },
      {
        ...net,
        name: 'more',
        localTs: [subnet('172.16.0.0/16')],
        remoteTs: [subnet('172.16.0.0/16')],
        dpdAction: start,
      },
    ])
  const world = pair({
    left: { connection: { dpdDelaySeconds: 30, children: children('left') } },
    right: { connection: { children: children('right') } },
  })
  for (const child of ['net', 'more']) world.left.command({ kind: 'initiate', child, timeoutMs: 0 })
  world.settle()
  const names = (): string[] => onlySa(world.left).children.map(({ name }) => name)
  assert.deepEqual(names(), ['net', 'more'])
  world.net.partitioned = true
  world.wait(200)
  assert.equal(onlySa(world.left).state, 'CONNECTING')
  world.net.partitioned = false
  world.wait(60)
  assert.deepEqual(names(), ['net', 'more'])
})

/**
 *   hard limit  ->  HDR, SK {D}, then HDR, SK {SA, Ni, TSi, TSr}
 */
scenario('a child whose hard limit is reached is made anew by the initiator', () => {
  const lifetimeSeconds = { rekey: 0, life: 100, rand: 0 }
  const world = established({ child: { lifetimeSeconds } })
  const before = onlyChild(world.left).uniqueId
  world.wait(110)
  logged(world.left, 'queue CHILD_SA recreate after hard expire')
  assert.notEqual(onlyChild(world.left).uniqueId, before)
  sameSingleChild(world)
})

/**
 * The child is of an IKE SA that the peer began, so that no other one is made on it at once, but looked after later:
 *
 *   rekey time      HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->  lost, as all that follows
 *   hard limit      looked after: one that expired while it was being rekeyed is not up
 *   no answer       a new IKE SA
 */
scenario('a child that expires while its rekeying gets no answer comes back', () => {
  const kept = { dpdAction: start, closeAction: start, lifetimeSeconds: { rekey: 90, life: 100, rand: 0 } }
  const world = established({ right: { child: kept, connection: { keyingTries: 0 } } })
  world.wait(85)
  world.net.partitioned = true
  world.wait(30)
  logged(world.right, "looking after CHILD_SA 'net' again")
  logged(world.right, 'restarting CHILD_SA net')
  world.wait(170)
  logged(world.right, 'giving up after 5 retransmits')
  world.net.partitioned = false
  world.wait(60)
  sameSingleChild(world)
})

scenario('a child with a trap waits for the next packet after its hard limit', () => {
  const lifetimeSeconds = { rekey: 0, life: 100, rand: 0 }
  const world = established({ child: { lifetimeSeconds }, left: { child: { startAction: trap, lifetimeSeconds } } })
  world.wait(110)
  assert.deepEqual(onlySa(world.left).children, [])
  carries(world, world.left)
  world.settle()
  sameSingleChild(world)
})

scenario('a trap that dpd_action has put there goes with the connection', () => {
  const world = established(withActions({ dpdAction: trap }))
  world.net.partitioned = true
  world.wait(200)
  assert.equal(trapsOf(world), 1)
  world.net.partitioned = false
  world.wait(300)
  for (const host of world.hosts) {
    host.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
    host.command({ kind: 'unload-connection', name: 'lab' })
  }
  world.settle()
  nothingLeaks(world)
})

/**
 * The peer begins an IKE SA of a connection that is the same under another name: what is up there need not be brought up
 * again.
 */
scenario('a child that is up by an equal connection of another name is not brought up a second time', () => {
  const kept = { startAction: start, dpdAction: start, closeAction: start }
  const world = pair({ left: { child: kept } })
  world.net.partitioned = true
  world.left.command({ kind: 'unload-connection', name: 'lab' })
  const lab = connectionOf('left', { left: { child: kept } })
  world.left.command({ kind: 'load-connection', connection: { ...connectionOf('left', {}), name: 'twin' } })
  world.left.command({ kind: 'load-connection', connection: lab })
  world.wait(170)
  logged(world.left, "looking after CHILD_SA 'net' again")
  world.net.partitioned = false
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  assert.equal(onlySa(world.left).name, 'twin')
  world.wait(20)
  notLogged(world.left, 'restarting CHILD_SA net')
  sameSingleChild(world)
})
