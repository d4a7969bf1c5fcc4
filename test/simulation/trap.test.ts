/** Traps: policies without an SA, for which the kernel asks when the first packet comes. */
import assert from 'node:assert/strict'
import { child, subnet } from './connection.ts'
import { carries, logged, nothingLeaks, onlyChild, onlySa, own, sameSingleChild } from './expect.ts'
import { connectionOf, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'

const trapped: PairOptions = { left: { child: { startAction: { trap: true, start: false } } } }

/**
 *   packet -> acquire -> IKE_SA_INIT, IKE_AUTH -> packet passes
 */
scenario('a packet brings the tunnel up', () => {
  const world = pair(trapped)
  assert.deepEqual(world.left.kernel.policies.map(({ direction, priority }) => `${direction} ${priority}`).sort(), [
    'fwd 383616',
    'in 383616',
    'out 383616',
  ])
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  logged(world.left, 'creating acquire job for policy 10.1.0.1/32[udp/40000] === 10.2.0.1/32[udp/53] with reqid {1}')
  world.settle()
  sameSingleChild(world)
})

scenario('further packets do not start further exchanges', () => {
  const world = pair(trapped)
  for (let i = 0; i < 5; i++) assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  sameSingleChild(world)
})

scenario('the trap is back when the child is gone, and brings it up again', () => {
  const world = pair(trapped)
  carries(world, world.left)
  world.settle()
  for (const select of [{ child: 'net' }, { ike: 'lab' }]) {
    world.right.command({ kind: 'terminate', select, force: false, timeoutMs: 0 })
    world.settle()
    assert.deepEqual(own(world.left), [])
    assert.equal(world.left.kernel.policies.length, 3)
  }
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  sameSingleChild(world)
})

scenario('the SA and its trap share a reqid', () => {
  const world = pair(trapped)
  const reqids = world.left.kernel.policies.flatMap(({ templates }) => templates.map(({ reqid }) => reqid))
  carries(world, world.left)
  world.settle()
  assert.deepEqual(new Set(reqids), new Set([onlyChild(world.left).reqid]))
})

scenario('nobody answers: packets stay away, and are tried again after 165 s', () => {
  const world = pair(trapped)
  world.net.partitioned = true
  carries(world, world.left)
  world.wait(100)
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.wait(70)
  assert.deepEqual(world.left.sas(), [])
  world.net.partitioned = false
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  sameSingleChild(world)
})

scenario('both trap, and packets of both meet', () => {
  const action = { child: { startAction: { trap: true, start: false } } }
  const world = pair({ left: action, right: action })
  for (const host of world.hosts) assert.equal(carries(world, host), 'XfrmOutNoStates')
  world.settle()
  for (const host of world.hosts) assert.ok(host.sas().length >= 1)
  for (const host of world.hosts) assert.equal(carries(world, host), 'protected')
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

scenario('trap and start', () => {
  const world = pair({ left: { child: { startAction: { trap: true, start: true } } } })
  world.settle()
  sameSingleChild(world)
})

scenario('install and uninstall by command', () => {
  const world = pair()
  const installed = world.left.command({ kind: 'install', child: 'net' })
  world.finishJobs()
  assert.deepEqual(installed(), { kind: 'done' })
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  sameSingleChild(world)
  const gone = world.left.command({ kind: 'uninstall', child: 'net' })
  world.finishJobs()
  assert.deepEqual(gone(), { kind: 'done' })
  sameSingleChild(world)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

scenario('unloading the connection takes the trap away', () => {
  const world = pair(trapped)
  const answer = world.left.command({ kind: 'unload-connection', name: 'lab' })
  world.finishJobs()
  assert.deepEqual(answer(), { kind: 'done' })
  nothingLeaks(world)
})

scenario('shutdown takes traps away', () => {
  const world = pair(trapped)
  carries(world, world.left)
  world.settle()
  assert.equal(onlySa(world.left).children.length, 1)
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

scenario('pass and drop policies', () => {
  const world = pair({ left: { child: { mode: 'drop', startAction: { trap: true, start: false } } } })
  assert.equal(carries(world, world.left), 'XfrmOutPolBlock')
  world.left.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

/** As with charon: a tunnel to everything has a default route in our table, which is not for what is let pass. */
scenario('what a shunt lets pass is kept out of our routing table', () => {
  const shunt = { mode: 'pass', startAction: { trap: true, start: false } } as const
  const network = { localTs: [subnet('10.1.0.0/16')], remoteTs: [subnet('10.1.0.0/16')] }
  const elsewhere = { localTs: [subnet('10.7.0.0/16')], remoteTs: [subnet('10.8.0.0/16')] }
  const children = [child({ ...shunt, name: 'here', ...network }), child({ ...shunt, name: 'not ours', ...elsewhere })]
  const world = pair({ left: { connection: { children } } })
  assert.deepEqual(world.left.kernel.routes, [
    { family: 4, table: 220, destination: { address: '10.1.0.0', prefix: 16 }, passes: true },
  ])
  world.left.command({ kind: 'uninstall', child: 'here' })
  world.settle()
  assert.deepEqual(world.left.kernel.routes, [])
  world.left.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

scenario('a drop policy is for packets with its mark', () => {
  const shunt = { mode: 'drop', markOut: { value: 3, mask: 0xff }, policiesFwdOut: true } as const
  const world = pair({ left: { child: { ...shunt, startAction: { trap: true, start: false } } } })
  assert.equal(carries(world, world.left, { mark: 3 }), 'XfrmOutPolBlock')
  assert.equal(carries(world, world.left), 'plain')
  assert.equal(world.left.kernel.policies.filter(({ direction }) => direction === 'fwd').length, 2)
  world.left.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

for (const command of [
  { kind: 'uninstall', child: 'net' },
  { kind: 'unload-connection', name: 'lab' },
  { kind: 'shutdown' },
] as const) {
  scenario(`${command.kind} while the trap is being installed`, () => {
    for (let after = 0; after < 8; after++) {
      const world = pair()
      world.holdJobs = true
      world.left.command({ kind: 'load-connection', connection: connectionOf('left', trapped) })
      for (let i = 0; i < after; i++) {
        const [job] = world.left.jobs
        if (job !== undefined) world.left.complete(job)
      }
      world.left.command(command)
      world.finishJobs()
      nothingLeaks(world)
    }
  })
}

/**
 * Left's trap is wider than what right allows. The child of the trap and the child that right asks for have the same
 * selectors, and so one policy: packets of either SA must meet it.
 */
scenario('a narrowed child of a trap, and the same child by the peer', () => {
  const narrow = { child: { localTs: [subnet('10.2.0.0/24')] } }
  for (const inAdvance of [0, 2, 3]) {
    const world = pair({ ...trapped, right: narrow })
    carries(world, world.left)
    world.finishJobs()
    world.deliver(inAdvance)
    world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    for (const host of world.hosts) assert.equal(carries(world, host), 'protected', `${inAdvance} ${host.name}`)
  }
})
