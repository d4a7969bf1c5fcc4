/** The end of a run of the sweep: the network heals, and everything must come up. */
import assert from 'node:assert/strict'
import type { Draw } from './draw.ts'
import { nothingLeaks, onlyChild, onlySa, packetOfChild, sameSingleChild } from './expect.ts'
import { noFaults } from './network.ts'
import type { PairOptions } from './pair.ts'
import { Violation } from './safety.ts'
import { comeHome, ends, load, packet, rekey } from './sweep-actions.ts'
import type { Plan } from './sweep-plan.ts'
import { runFor, runUnderTraffic } from './sweep-time.ts'
import type { World } from './world.ts'

/** Whether one of the hosts has to see to it that the child is up in the end. */
function mustBeUp({ options, actions, virtual }: Plan): boolean {
  // Who gives virtual IPs cannot begin.
  const sides = virtual ? (['left'] as const) : (['left', 'right'] as const)
  return sides.some(
    (side) => options[side]?.child?.dpdAction?.start && !actions.some(({ name }) => ends[side].test(name)),
  )
}

/** The child is up, and packets cross both ways; a rekeying under way may cost a packet. */
function isUp(world: World, draw: Draw): void {
  for (const host of world.hosts) {
    const tries = Array.from({ length: 5 }, () => {
      runFor(world, draw, 3)
      const child = host
        .sas()
        .flatMap(({ children }) => children.filter(({ name, state }) => name === 'net' && state === 'INSTALLED'))[0]
      const packet = child && packetOfChild(child)
      return packet ? world.carry(host, packet) : 'nothing is up'
    })
    assert.ok(tries.includes('protected'), `${host.name} was to keep the child up: ${tries.join(', ')}`)
  }
}

export function liveness(world: World, plan: Plan, draw: Draw): void {
  world.net.faults = { ...noFaults, mostDelayMs: 10 }
  world.net.partitioned = false
  for (const host of world.hosts) {
    host.kernel.forgive()
    host.stalledUntil = Math.min(host.stalledUntil, world.now)
    host.slowUntil = Math.min(host.slowUntil, world.now)
  }
  for (const host of world.hosts) comeHome(host, plan.options)
  world.ladder.note('left', '* the network heals', world.now)
  if (mustBeUp(plan)) {
    // Time for the liveness check to fail, for the attempt under way to be given up, and for the longest pause.
    runFor(world, draw, 900)
    isUp(world, draw)
  }
  for (const host of world.hosts) load(host, withoutLimits(plan.options))
  // Longer than all retransmissions of one exchange, and than an acquire is held.
  runFor(world, draw, 400)
  for (const host of world.hosts) assert.equal(host.jobs.length, 0, `${host.name} has jobs that do not end`)
  if ((plan.options.connection?.dpdDelaySeconds ?? 0) > 0) noneIsAlone(world)
  for (const host of world.hosts) if (host.sas().some(({ children }) => children.length > 0)) packet(world, host)
  runFor(world, draw, 30)
  world.ladder.note('left', '* both terminate everything', world.now)
  for (const host of world.hosts)
    host.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  runFor(world, draw, 400)
  for (const host of world.hosts) assert.deepEqual(host.sas(), [], `${host.name} keeps an IKE SA that was terminated`)
  bringUp(world, plan, draw)
  sameSingleChild(world)
  assert.equal(onlySa(world.left).initiator, true)
  assert.equal(onlyChild(world.left).state, 'INSTALLED')
  assert.equal(onlySa(world.left).localVips.length > 0, plan.virtual)
  for (const host of world.hosts) {
    for (const select of [{ child: 'net' }, { ike: 'lab' }]) {
      world.ladder.note(host.name, `* rekey ${JSON.stringify(select)}`, world.now)
      runUnderTraffic(world, draw, 20, () => rekey(host, select))
      sameSingleChild(world)
    }
  }
  world.ladder.note('left', '* reauthenticate', world.now)
  runUnderTraffic(world, draw, 20, () => rekey(world.left, { ike: 'lab' }, true))
  sameSingleChild(world)
  world.ladder.note('left', '* both shut down', world.now)
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  runFor(world, draw, 400)
  nothingLeaks(world)
}

/** RFC 7296 §2.4: who looks whether the peer is alive has no IKE SA that the peer does not have. */
function noneIsAlone(world: World): void {
  for (const host of world.hosts) {
    const theirs = new Set(
      world
        .peer(host)
        .sas()
        .map(({ spiI, spiR }) => `${spiI} ${spiR}`),
    )
    for (const { state, spiI, spiR, uniqueId } of host.sas()) {
      if (state !== 'ESTABLISHED' || theirs.has(`${spiI} ${spiR}`)) continue
      throw new Violation(`${host.name} has IKE SA ${uniqueId} and does not see that the peer has it no more`)
    }
  }
}

/** The same with lifetimes that are not reached: what is looked at in the end shall hold still. */
function withoutLimits(options: PairOptions): PairOptions {
  const { lifetimeSeconds: _, ...child } = options.child ?? {}
  return {
    ...options,
    child,
    connection: { ...options.connection, rekeySeconds: 14400, randSeconds: 0, overSeconds: 1440 },
  }
}

/** By a packet where there is a trap, else by command. */
function bringUp(world: World, plan: Plan, draw: Draw): void {
  const { left } = world
  if (plan.options.left?.child?.startAction?.trap) {
    left.command({ kind: 'install', child: 'net' })
    runFor(world, draw, 1)
    packet(world, left)
  } else {
    left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  }
  runFor(world, draw, 20)
}
