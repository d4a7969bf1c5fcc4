/** What must hold at an end: the network has been left alone, and both peers agree. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { installed, kernelIsAsSaid, nothingLeaks, packetOf } from '../simulation/expect.ts'
import type { Host } from '../simulation/host.ts'
import { rekey, terminate } from '../simulation/rekey.ts'
import type { World } from '../simulation/world.ts'

/** So long the network is left alone before the end is judged: longer than a peer that does not answer is tried. */
export const quietSeconds = 400

/** After that time: both sides agree, packets pass, one more rekeying of each works, nothing leaks. */
export function judge(world: World): void {
  agree(world)
  if (world.left.sas().length > 0) {
    for (const what of ['child', 'IKE SA'] as const) {
      const there = world.left.sas().some(({ children }) => children.some(({ name }) => name === 'net'))
      if (what === 'child' && !there) continue
      rekey(world.left, what)
      world.wait(10)
      agree(world)
    }
  }
  for (const host of world.hosts) terminate(host, 'IKE SA')
  world.wait(10)
  nothingLeaks(world)
}

function agree(world: World): void {
  const [left, right] = world.hosts.map((host) => live(host, host.name === 'left'))
  assert.deepEqual(left, right, 'both sides have the same SAs')
  for (const host of world.hosts) {
    kernelIsAsSaid(host)
    const [sa, ...others] = host.sas()
    assert.equal(others.length, 0, `${host.name} has more than one IKE SA`)
    for (const { localTs, remoteTs, state } of sa?.children ?? []) {
      assert.equal(state, 'INSTALLED')
      const [local, remote] = [localTs[0], remoteTs[0]]
      assert.ok(local !== undefined && remote !== undefined)
      assert.equal(world.carry(host, packetOf(local, remote)), 'protected', `a packet from ${host.name}`)
    }
    assert.equal(installed(host).length, 2 * (sa?.children.length ?? 0))
  }
}

/**
 * Names an end by what the two hosts have in it: when it is, their SAs with SPIs and ages, the states and policies of
 * their kernels with the keys, their timers, and the events that they have raised on the way,
 * but for the alerts that something was repeated.
 */
export function endState(world: World): string {
  const said = world.hosts.map((host) => [
    host.events.map(({ kind }) => kind).filter((kind) => kind !== 'alert'),
    host.sas(),
    host.kernel.states.map(({ spi, kind, seal }) => [spi, kind, seal?.fingerprint]),
    host.kernel.policies.map(({ direction, templates }) => [direction, templates.map(({ reqid }) => reqid)]),
    host.timerAt,
  ])
  const text = JSON.stringify([world.now, said], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
  return createHash('sha256').update(text).digest('base64')
}

/** IKE SAs and children, as one side sees them and as it should look from the other. */
function live(host: Host, straight: boolean): unknown {
  return host.sas().map(({ state, spiI, spiR, children }) => ({
    state,
    spis: [spiI, spiR],
    children: children
      .map(({ name, spiIn, spiOut }) => (straight ? `${name} ${spiIn} ${spiOut}` : `${name} ${spiOut} ${spiIn}`))
      .sort(),
  }))
}
