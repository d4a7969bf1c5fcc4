/**
 * Who initiates says between which addresses, for a connection to anybody (nhrpd does so), and hears of every state that
 * the SAs come into.
 */
import assert from 'node:assert/strict'
import type { ChildConfig } from '../../src/config/connection.ts'
import { addresses } from './connection.ts'
import { failed, logged, nothingLeaks, onlyChild, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const dynamic: ChildConfig['localTs'] = [{ kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65535 }]

function toAnybody(): World {
  const connection = { localAddresses: addresses('%any'), remoteAddresses: addresses('%any') }
  const child = { localTs: dynamic, remoteTs: dynamic }
  return pair({ mode: 'transport', left: { connection, child }, right: { connection, child } })
}

function states(host: Host): string[] {
  return host.states.map(({ kind, state }) => `${kind.split('-')[0]} ${state}`)
}

scenario('a connection to anybody comes up to the address that is given, and once', () => {
  const world = toAnybody()
  const nowhere = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(nowhere(), /./)
  logged(world.left, 'unable to initiate to %any')
  const between = { local: '192.0.2.1', remote: '192.0.2.2' }
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: -1, between })
  assert.deepEqual(answer(), { kind: 'done' })
  world.settle()
  sameSingleChild(world)
  // The same once more: nothing to do. From elsewhere to elsewhere: an IKE SA of its own, to which nobody answers.
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: -1, between })
  world.settle()
  sameSingleChild(world)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: -1, between: { ...between, remote: '192.0.2.77' } })
  const [, other] = world.left.sas().toSorted((a, b) => a.uniqueId - b.uniqueId)
  assert.equal(other?.remote.address, '192.0.2.77')
  world.wait(170)
  sameSingleChild(world)
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  nothingLeaks(world)
})

/** charon's builds for DMVPN tell these states; nhrpd takes a tunnel for up or down by them. */
scenario('the states of the SAs are told as they come', () => {
  const world = toAnybody()
  const between = { remote: '192.0.2.2' }
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0, between })
  world.settle()
  for (const host of world.hosts) {
    assert.deepEqual(states(host), ['ike ESTABLISHED', 'child INSTALLING', 'child INSTALLED'])
    const told = host.states.find(({ state }) => state === 'INSTALLED')?.ikeSa.children
    assert.deepEqual(
      told?.map(({ uniqueId, state }) => [uniqueId, state]),
      [[onlyChild(host).uniqueId, 'INSTALLED']],
    )
    host.states.length = 0
  }
  world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.settle()
  assert.deepEqual(states(world.left), ['child REKEYING', 'child INSTALLING', 'child INSTALLED', 'child REKEYED'])
  assert.deepEqual(states(world.right), ['child INSTALLING', 'child INSTALLED', 'child REKEYED'])
  for (const host of world.hosts) host.states.length = 0
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  for (const host of world.hosts) {
    assert.deepEqual(states(host), ['child DESTROYING', 'child DESTROYING', 'ike DESTROYING'])
  }
  nothingLeaks(world)
})
