/** What scenarios of rekeying do and demand. */
import assert from 'node:assert/strict'
import type { ConfiguredProposal } from '../../src/config/connection.ts'
import type { Packet } from '../../src/kernel/simulated/packet.ts'
import { KE, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import { child, espProposal, subnet } from './connection.ts'
import { begins, carries, nothingLeaks, onlySa, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import type { Flight } from './network.ts'
import { established, type PairOptions } from './pair.ts'
import type { World } from './world.ts'

export type What = 'child' | 'IKE SA'

export function rekey(host: Host, what: What): void {
  const select = what === 'child' ? { child: 'net' } : { ike: 'lab' }
  const answer = host.command({ kind: 'rekey', select, reauth: false })()
  assert.equal(answer?.kind, 'matched')
}

export function terminate(host: Host, what: What): () => unknown {
  const select = what === 'child' ? { child: 'net' } : { ike: 'lab' }
  return host.command({ kind: 'terminate', select, force: false, timeoutMs: 0 })
}

/** The default ESP proposal with groups for perfect forward secrecy. */
export function espWith(...groups: readonly number[]): ConfiguredProposal {
  const { protocol, transforms } = espProposal()
  return { protocol, transforms: [...transforms, ...groups.map((id) => ({ type: TRANSFORM_TYPE.KE, id }))] }
}

export const pfs: readonly ConfiguredProposal[] = [espWith(KE.CURVE_25519)]

export type Nonce = 'left Ni' | 'left Nr' | 'right Ni' | 'right Nr'
export const nonceNames: readonly Nonce[] = ['left Ni', 'left Nr', 'right Ni', 'right Nr']

/**
 * Both sides have begun to rekey: makes one of the four nonces the lowest. `left Nr` is the one that left answers with.
 * Call it before the rekeyings begin.
 */
export function lowestNonce(world: World, lowest: Nonce): void {
  for (const host of world.hosts) {
    const start = (name: 'Ni' | 'Nr'): number => (lowest === `${host.name} ${name}` ? 0x00 : 0xff)
    host.nonceStarts = [start('Ni'), start('Nr')]
  }
}

/** Whose rekeying makes the redundant SA. */
export function loserOf(world: World, lowest: Nonce): Host {
  return lowest === 'left Ni' || lowest === 'right Nr' ? world.left : world.right
}

/** The only datagram in flight from this host. */
export function flightOf(world: World, from: Host): Flight {
  const flights = world.net.flights.filter((flight) => flight.from === from.name)
  assert.equal(flights.length, 1, `${flights.length} datagrams of ${from.name} in flight`)
  return flights[0] as Flight // there is one
}

/** Delivers the only datagram of this host, and what it makes others do, but not what they send. */
export function deliverFrom(world: World, from: Host): void {
  world.finishJobs()
  world.deliverThis(flightOf(world, from))
}

/** What each host sends; without it, a packet between the first subnets. */
type Packets = readonly (Omit<Packet, 'id'> | undefined)[]

/** A packet each way crosses protected. */
export function trafficFlows(world: World, packets: Packets = []): void {
  trafficFlowsAcross(world, () => {}, packets)
}

/** Each host has chosen the way of a packet before a step, and sends it after the step. */
export function trafficFlowsAcross(world: World, step: () => void, packets: Packets = []): void {
  const chosen = world.hosts.map((host, i) => ({ host, go: begins(world, host, packets[i]) }))
  step()
  for (const { host, go } of chosen) assert.equal(go(), 'protected', `a packet from ${host.name}`)
}

/** Does everything that is to be done now, a job or a datagram at a time, with packets both ways across each. */
export function settleUnderTraffic(world: World, packets: Packets = []): void {
  world.holdJobs = true
  for (;;) {
    const busy = world.hosts.find(({ jobs }) => jobs.length > 0)
    const job = busy?.jobs[0]
    const flight = world.net.flights[0]
    if (busy !== undefined && job !== undefined) trafficFlowsAcross(world, () => busy.complete(job), packets)
    else if (flight !== undefined) trafficFlowsAcross(world, () => world.deliverThis(flight), packets)
    else break
  }
  world.holdJobs = false
  trafficFlows(world, packets)
}

/** The outbound SPI that a packet of this host would use now, as the peer's inbound states count. */
export function sendsOn(world: World, host: Host): number {
  const peer = world.peer(host)
  const before = new Map(peer.kernel.states.map((state) => [state.spi, state.packets]))
  assert.equal(carries(world, host), 'protected', `a packet from ${host.name}`)
  const used = peer.kernel.states.find(({ spi, packets }) => packets > (before.get(spi) ?? 0))
  assert.ok(used !== undefined)
  return used.spi
}

/** After a scenario: one IKE SA and one child on both sides, one more rekeying of each works, and nothing leaks. */
export function stillWorks(world: World, by: Host = world.left): void {
  sameSingleChild(world)
  for (const what of ['child', 'IKE SA'] as const) {
    rekey(by, what)
    world.wait(6)
    sameSingleChild(world)
  }
  closesClean(world)
}

/** Terminates everything; nothing is left. */
export function closesClean(world: World): void {
  for (const host of world.hosts) terminate(host, 'IKE SA')
  world.wait(200)
  nothingLeaks(world)
}

/** As `stillWorks` where no child is left: a new one can be made. */
export function canStartAgain(world: World): void {
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  bringUp(world)
  stillWorks(world)
}

/** Brings the child up from the left. */
export function bringUp(world: World): void {
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(6)
}

/** Events of this kind that a host has raised. */
export function eventsOf(host: Host, kind: 'child-rekey' | 'ike-rekey' | 'child-updown' | 'ike-updown'): unknown[] {
  return host.events.filter((event) => event.kind === kind)
}

/** `net` is up between the first subnets of both sides; `more`, between the second ones, is not. */
export function twoChildren(options: Pick<PairOptions, 'esp'> = {}): World {
  return established(withTwoChildren(options))
}

export function withTwoChildren({ esp = [espProposal()] }: Pick<PairOptions, 'esp'> = {}): PairOptions {
  const children = (side: 1 | 2) =>
    ['net', 'more'].map((name, i) =>
      child({
        name,
        espProposals: esp,
        localTs: [subnet(`10.${side}.${i}.0/24`)],
        remoteTs: [subnet(`10.${3 - side}.${i}.0/24`)],
      }),
    )
  return { left: { connection: { children: children(1) } }, right: { connection: { children: children(2) } } }
}
