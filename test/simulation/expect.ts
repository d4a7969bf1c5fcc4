/** What scenarios expect of two hosts. */
import assert from 'node:assert/strict'
import type { Answer } from '../../src/ike/output.ts'
import type { ChildSaView, IkeSaView } from '../../src/ike/view.ts'
import type { Packet } from '../../src/kernel/simulated/packet.ts'
import type { State } from '../../src/kernel/simulated/states.ts'
import { formatAddress } from '../../src/wire/address.ts'
import type { AddressSelector } from '../../src/wire/payloads/index.ts'
import type { Host } from './host.ts'
import type { Carried, World } from './world.ts'

/** The one IKE SA that a host has. */
export function onlySa(host: Host): IkeSaView {
  const sas = host.sas()
  assert.equal(sas.length, 1, `${host.name} has ${sas.length} IKE SAs`)
  return sas[0] as IkeSaView // there is one
}

/** The one Child SA that a host has. */
export function onlyChild(host: Host): ChildSaView {
  const { children } = onlySa(host)
  assert.equal(children.length, 1, `${host.name} has ${children.length} Child SAs`)
  return children[0] as ChildSaView // there is one
}

/**
 * Both hosts have one IKE SA and one Child SA, the same ones, installed in both kernels with the same keys, and packets
 * cross both ways.
 */
export function sameSingleChild(world: World): void {
  const { left, right } = world
  // A replaced state stays in the kernel for a moment, for packets that are on their way into it.
  if (world.hosts.some(({ engine }) => engine.census.lingering > 0)) world.wait(1)
  const [a, b] = [onlySa(left), onlySa(right)]
  assert.deepEqual([a.state, b.state], ['ESTABLISHED', 'ESTABLISHED'])
  assert.deepEqual([a.spiI, a.spiR], [b.spiI, b.spiR])
  assert.notEqual(a.initiator, b.initiator)
  const [ours, theirs] = [onlyChild(left), onlyChild(right)]
  assert.deepEqual([ours.state, theirs.state], ['INSTALLED', 'INSTALLED'])
  assert.deepEqual([ours.spiIn, ours.spiOut], [theirs.spiOut, theirs.spiIn])
  // Through a NAT each names the hosts of transport mode by the addresses that it knows (RFC 7296 §2.23.1).
  if (ours.mode === 'TUNNEL' || world.net.nats.length === 0) {
    assert.deepEqual([ours.localTs, ours.remoteTs], [theirs.remoteTs, theirs.localTs])
  }
  assert.deepEqual(ours.proposal, theirs.proposal)
  assert.deepEqual([ours.mode, ours.protocol, ours.encap], [theirs.mode, theirs.protocol, theirs.encap])
  for (const host of world.hosts) kernelIsAsSaid(host)
  assert.deepEqual(fingerprints(left, 'in'), fingerprints(right, 'out'))
  assert.deepEqual(fingerprints(right, 'in'), fingerprints(left, 'out'))
  carriesPacket(world)
}

/** The kernel has the states of the Child SAs that the core lists, and no other. */
export function kernelIsAsSaid(host: Host): void {
  const said = host.sas().flatMap(({ children }) => children.flatMap(spisOf))
  const there = installed(host).map(({ spi }) => spi)
  assert.deepEqual([...there].sort(), [...said].sort(), `the SPIs in the kernel of ${host.name}`)
}

/** The SPIs of a Child SA, and its CPIs if it compresses. */
export function spisOf({ spiIn, spiOut, cpiIn, cpiOut }: ChildSaView): number[] {
  return [spiIn, spiOut, ...(cpiIn === undefined ? [] : [cpiIn]), ...(cpiOut === undefined ? [] : [cpiOut])]
}

/** Packets between the selectors of the only Child SA cross protected, both ways, and are counted. */
export function carriesPacket(world: World): void {
  for (const host of world.hosts) {
    const packet = packetOfChild(onlyChild(host))
    assert.ok(packet !== undefined)
    assert.equal(world.carry(host, packet), 'protected', `a packet from ${host.name}`)
  }
}

/** What becomes of a packet from behind `host` to behind its peer. */
export function carries(world: World, host: Host, packet: Partial<Packet> = {}): Carried {
  return begins(world, host, packet)()
}

/** The same for a packet whose way is chosen now and that goes when the result is called. */
export function begins(world: World, host: Host, packet: Partial<Packet> = {}): () => Carried {
  const [source, destination] = host === world.left ? ['10.1.0.1', '10.2.0.1'] : ['10.2.0.1', '10.1.0.1']
  return world.begin(host, {
    family: 4,
    source: source as string, // both lists have two addresses
    destination: destination as string,
    protocol: 17,
    sourcePort: 40_000,
    destinationPort: 53,
    length: 100,
    ...packet,
  })
}

/** A packet that the two selectors let through. */
export function packetOf(local: AddressSelector, remote: AddressSelector): Omit<Packet, 'id'> {
  const protocol = local.protocol || remote.protocol || 17
  const port = ({ startPort, endPort }: AddressSelector): number =>
    startPort === 0 && endPort === 65535 ? 40_000 : startPort
  return {
    family: local.family,
    source: formatAddress(hostIn(local)),
    destination: formatAddress(hostIn(remote)),
    protocol,
    sourcePort: port(local),
    destinationPort: port(remote),
    length: 100,
  }
}

/** A packet that a Child SA or a trap is for; undefined if it has no two selectors of one family. */
export function packetOfChild(child: Pick<ChildSaView, 'localTs' | 'remoteTs'>): Omit<Packet, 'id'> | undefined {
  for (const local of child.localTs) {
    const remote = child.remoteTs.find(({ family }) => family === local.family)
    if (remote !== undefined) return packetOf(local, remote)
  }
  return undefined
}

/** Nothing is left: no SA, state, policy, route, job or timer, on either host. */
export function nothingLeaks(world: World): void {
  for (const host of world.hosts) nothingLeft(host)
}

/** As `nothingLeaks`, for one host. */
export function nothingLeft(host: Host): void {
  const { name, kernel } = host
  assert.deepEqual(
    host.jobs.map(({ job }) => job.kind),
    [],
    `jobs of ${name}`,
  )
  assert.deepEqual(host.sas(), [], `IKE SAs of ${name}`)
  assert.deepEqual(own(host).map(describeState), [], `states in the kernel of ${name}`)
  assert.deepEqual(kernel.policies, [], `policies in the kernel of ${name}`)
  assert.deepEqual(kernel.routes, [], `routes of ${name}`)
  assert.deepEqual(kernel.addedAddresses, [], `addresses of ${name}`)
  assert.deepEqual(host.nameServers, [], `name servers of ${name}`)
  assert.equal(host.timerAt, undefined, `a timer of ${name}`)
  const { drops: _, ...alive } = host.engine.census
  assert.deepEqual(
    Object.entries(alive).filter(([, count]) => count !== 0),
    [],
    `what is alive in the core of ${name}`,
  )
  assert.deepEqual(host.unanswered, [], `commands of ${name} without an answer`)
}

/** The messages that a host has sent, without their payloads: `IKE_AUTH request 1`. */
export function exchanges(host: Host): string[] {
  return host.sent.map(({ label }) => label.replace(/ \[.*/, ''))
}

/** Some message of the host has this in its list of payloads, e.g. `N(TS_UNACCEPT)`. */
export function saidToPeer(host: Host, payload: string): void {
  const labels = host.sent.map(({ label }) => label)
  assert.ok(
    labels.some((label) => label.includes(payload)),
    `${host.name} never sent ${payload}, but:\n  ${labels.join('\n  ')}`,
  )
}

/** The command has failed, and says why. */
export function failed(answer: Answer | undefined, why: RegExp): void {
  assert.ok(answer !== undefined, 'the command has no answer')
  const message = 'message' in answer ? (answer.message ?? '') : ''
  const done = answer.kind === 'done' || (answer.kind === 'matched' && answer.done === answer.matches)
  assert.ok(!done, `the command did not fail: ${JSON.stringify(answer)}`)
  assert.match(message, why)
}

/** A log entry of the host contains the text. */
export function logged(host: Host, text: string): void {
  const found = host.logs.some(({ message }) => message.includes(text))
  const all = host.logs.filter(({ level }) => level <= 1).map(({ group, message }) => `  ${group} ${message}`)
  assert.ok(found, `${host.name} never logged "${text}", but:\n${all.join('\n')}`)
}

/** No log entry of the host contains the text. */
export function notLogged(host: Host, text: string): void {
  const entry = host.logs.find(({ message }) => message.includes(text))
  assert.equal(entry, undefined, `${host.name} logged ${entry?.message}`)
}

/** States that the core made: not the acquire states of the kernel itself. */
export function own(host: Host): readonly Readonly<State>[] {
  return host.kernel.states.filter(({ kind }) => kind !== 'acquire')
}

/** States with keys. */
export function installed(host: Host): readonly Readonly<State>[] {
  return host.kernel.states.filter(({ kind }) => kind === 'valid')
}

export function describeState(state: Readonly<State>): string {
  return `${state.kind} ${state.protocol} ${state.spi.toString(16)} ${state.source} -> ${state.destination}`
}

function fingerprints(host: Host, direction: 'in' | 'out'): (string | undefined)[] {
  return installed(host)
    .filter(({ sa }) => sa?.direction === direction)
    .map(({ seal }) => seal?.fingerprint)
    .sort()
}

/** An address of a range: the second one, if there is one, as the first often is no host's. */
function hostIn({ start, end }: AddressSelector): Uint8Array {
  if (Buffer.compare(start, end) === 0) return start
  const host = start.slice()
  host[host.length - 1] = (host[host.length - 1] ?? 0) | 1
  return host
}
