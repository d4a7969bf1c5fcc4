/**
 * A responder whose connection has the peer's host name: it is looked up when the request comes.
 *
 *   left (its name is left.dyn)                                  right (remote_addrs = left.dyn)
 *    |-- IKE_SA_INIT request 0 [ SA KE No … ] --------------------->|  who is left.dyn?
 *    |<----------------- IKE_SA_INIT response 0 [ SA KE No … ] -----|
 */
import assert from 'node:assert/strict'
import type { AddressPattern } from '../../src/config/connection.ts'
import { failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const leftDyn: readonly AddressPattern[] = [{ kind: 'name', name: 'left.dyn' }]
const [here, elsewhere] = ['192.0.2.1', '192.0.2.77']

/** Right knows left by its name, which stands for what `addresses` has at the time. */
function byName(addresses: readonly string[]): {
  readonly world: World
  readonly names: Map<string, readonly string[]>
} {
  const names = new Map([['left.dyn', addresses]])
  const options: PairOptions = { names, right: { connection: { remoteAddresses: leftDyn } } }
  return { world: pair(options), names }
}

function initiate(world: World): ReturnType<World['left']['command']> {
  return world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
}

scenario('the name of the peer is looked up when its request comes', () => {
  const { world } = byName([elsewhere, here])
  initiate(world)
  world.settle()
  sameSingleChild(world)
})

scenario('the name stands for another host', () => {
  const { world } = byName([elsewhere])
  const answer = initiate(world)
  world.wait(35)
  failed(answer(), /failed/)
  saidToPeer(world.right, 'N(NO_PROP)')
  nothingLeaks(world)
})

scenario('the name cannot be resolved', () => {
  const { world } = byName([])
  const answer = initiate(world)
  world.wait(35)
  failed(answer(), /failed/)
  saidToPeer(world.right, 'N(NO_PROP)')
  nothingLeaks(world)
})

/** A host with a dynamic address: the name is right again after a while, and nobody has to reload anything. */
scenario('the name stands for the peer later on', () => {
  const { world, names } = byName([elsewhere])
  initiate(world)
  world.settle()
  saidToPeer(world.right, 'N(NO_PROP)')
  names.set('left.dyn', [here])
  world.wait(2)
  initiate(world)
  world.settle()
  sameSingleChild(world)
})

/** The request is repeated while the name is being looked up: there is one IKE SA, and no refusal. */
scenario('a request that is repeated meanwhile', () => {
  const { world } = byName([here])
  initiate(world)
  world.finishJobsOf(world.left)
  const [request] = world.net.flights
  assert.ok(request)
  world.net.duplicate(request)
  world.holdJobs = true
  for (const flight of [...world.net.flights]) world.deliverThis(flight)
  assert.equal(world.right.sent.length, 0, 'the name is not known yet')
  world.holdJobs = false
  world.settle()
  sameSingleChild(world)
  assert.equal(onlySa(world.right).uniqueId, 1)
  notLogged(world.right, 'no IKE config found')
  logged(world.right, 'is initiating IKE_SA')
})
