/** What must hold after every step of every run, whatever the network, the kernel and the order of events do. */

import type { IkeSaView } from '../../src/ike/view.ts'
import type { State } from '../../src/kernel/simulated/states.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { decodeHeader } from '../../src/wire/header.ts'
import { EXCHANGE, PAYLOAD } from '../../src/wire/numbers.ts'
import { describeState, installed, own, spisOf } from './expect.ts'
import type { Host } from './host.ts'
import type { Carried } from './world.ts'

/** A rule was broken: a mistake in the core (or in the rule). */
export class Violation extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Violation'
  }
}

/** What has hosts, steps and datagrams: a world of two or a mesh of many. */
export interface Watched {
  readonly now: number
  readonly hosts: readonly Host[]
  onStep: ((who?: Host) => void) | undefined
  onSend: ((from: Host, local: Endpoint, bytes: Uint8Array) => void) | undefined
}

/** What is compared between two hosts. */
export interface Twin extends Pick<Host, 'name' | 'sas'> {
  readonly kernel: { readonly states: readonly Readonly<State>[] }
}

/** Watches a world from now on; any broken rule is thrown out of the step that broke it. */
export function watchSafety(world: Watched): void {
  const windows = new Map<string, Window>()
  world.onSend = (from, local, bytes) => {
    checkWindow(windows, from, world.hosts, local.port === 500 ? bytes : bytes.subarray(4))
  }
  world.onStep = (who) => {
    // A step changes one host only.
    const changed = who === undefined ? world.hosts : [who]
    twinsAgree(world.hosts, changed)
    for (const host of changed) {
      inboundFirst(host)
      // What is due may be in the kernel already, and the core does not know it.
      if (host.jobs.length > 0 || (host.deadline ?? world.now + 1) <= world.now) continue
      const sas = host.sas()
      kernelHasAnOwner(host, sas)
      addressesHaveAnOwner(host, sas)
    }
  }
}

/**
 * Each outbound SA has an inbound twin at the peer with the same keys. While an exchange is under way the twin may be
 * - larval: the responder installs both directions before the initiator has its answer;
 * - gone: the peer has deleted it and we do not know yet, or the peer gave up on an exchange that we think succeeded.
 * Never may it be there and be different.
 */
export function twinsAgree(hosts: readonly Twin[], changed: readonly Twin[] = hosts): void {
  for (const host of hosts) {
    for (const outbound of host.kernel.states) {
      if (outbound.sa?.direction !== 'out') continue
      const twin = twinOf(changed.includes(host) ? hosts : changed, host, outbound)
      if (twin?.sa === undefined) continue
      const what = describeState(outbound)
      if (twin.sa.direction !== 'in') throw new Violation(`${what}: both ends use it to send`)
      if (twin.seal?.fingerprint !== outbound.seal?.fingerprint)
        throw new Violation(`${what}: the two ends have other keys`)
      if (twin.mode !== outbound.mode) throw new Violation(`${what}: ${outbound.mode} here, ${twin.mode} there`)
      if (twin.sa.esn !== outbound.sa.esn) throw new Violation(`${what}: the two ends differ about ESN`)
      if ((twin.sa.encapsulation === undefined) !== (outbound.sa.encapsulation === undefined)) {
        if (!hosts.some(isMoving)) throw new Violation(`${what}: one end only uses UDP`)
      }
    }
  }
}

/** SPIs are drawn from 32 bits: no other host of a run has the same one. */
function twinOf(hosts: readonly Twin[], host: Twin, { spi, protocol }: Readonly<State>): Readonly<State> | undefined {
  for (const peer of hosts) {
    if (peer === host) continue
    const twin = peer.kernel.states.find((state) => state.spi === spi && state.protocol === protocol)
    if (twin !== undefined) return twin
  }
  return undefined
}

/** RFC 7296 §2.8: nothing is sent on a Child SA before the kernel can receive the answer to it. */
export function inboundFirst({ name, kernel }: Host): void {
  const { states } = kernel
  for (const outbound of states) {
    // At its hard limit the kernel takes each direction away by itself.
    if (outbound.sa?.direction !== 'out' || outbound.sa.limits.hardSeconds !== undefined) continue
    const inbound = states.some(({ sa, reqid }) => sa?.direction === 'in' && reqid === outbound.reqid)
    if (!inbound) throw new Violation(`${name}: sends on ${describeState(outbound)} and cannot receive yet`)
  }
}

/** It is about to move its children: then the two ends see the NATs between them for a moment differently. */
function isMoving(host: Twin): boolean {
  return host.sas().some(({ tasksActive, tasksQueued }) => [...tasksActive, ...tasksQueued].includes('IKE_MOBIKE'))
}

/**
 * A host without work in progress: every SA in the kernel belongs to a Child SA that the core lists, every Child SA
 * that is INSTALLED has its SAs, larval states belong to an exchange, policies to a Child SA or a trap.
 */
export function kernelHasAnOwner(host: Host, sas: readonly IkeSaView[] = host.sas()): void {
  const { name, kernel } = host
  const children = sas.flatMap((sa) => sa.children)
  const listed = new Set(children.flatMap(spisOf))
  const there = new Set(kernel.states.map(({ spi }) => spi))
  // Of a Child SA that another one has replaced, states may be there a moment longer, each with its IPComp state.
  const lingering = new Set<number>()
  for (const state of installed(host)) {
    if (listed.has(state.spi)) continue
    if (state.sa !== undefined) lingering.add(state.sa.spi)
    if (lingering.size <= host.engine.census.lingering) continue
    throw new Violation(`${name}: nobody owns ${describeState(state)}`)
  }
  for (const { state, spiIn, spiOut, name: child, reqid, lifeTime } of children) {
    // At its hard limit the kernel removes an SA at once; the DELETE for the peer may have to wait for the window.
    if (state !== 'INSTALLED' || (lifeTime !== undefined && lifeTime <= 0)) continue
    // RFC 7296 §2.8: the responder of a rekeying goes on sending with the old SA until it is deleted.
    const replaces = children.some((other) => other.spiOut !== spiOut && other.reqid === reqid)
    for (const spi of replaces ? [spiIn] : [spiIn, spiOut]) {
      if (!there.has(spi)) throw new Violation(`${name}: the kernel has no ${spi.toString(16)} of ${child}`)
    }
  }
  const larval = own(host).filter(({ kind, protocol }) => kind === 'larval' && protocol !== 'IPCOMP')
  const busy = sas.reduce((sum, { tasksActive, tasksPassive }) => sum + tasksActive.length + tasksPassive.length, 0)
  const [first] = larval
  if (first !== undefined && larval.length > busy) {
    throw new Violation(`${name}: ${larval.length} larval states, ${busy} tasks, e.g. ${describeState(first)}`)
  }
  if (kernel.policies.length === 0) return
  const answer = host.command({ kind: 'list-policies' })()
  const traps = answer?.kind === 'policies' ? answer.policies : []
  const reqids = new Set([...children, ...traps].map(({ reqid }) => reqid))
  for (const policy of kernel.policies) {
    const orphan = policy.templates.find(({ reqid }) => !reqids.has(reqid))
    if (orphan !== undefined)
      throw new Violation(`${name}: nobody owns a policy ${policy.direction} with reqid ${orphan.reqid}`)
  }
}

/** Virtual IPs are on the interface for as long as an IKE SA has them, and leases in use belong to one. */
export function addressesHaveAnOwner(host: Host, sas: readonly IkeSaView[] = host.sas()): void {
  const ours = sas.flatMap(({ localVips }) => localVips).sort()
  const there = host.kernel.addedAddresses.toSorted()
  if (ours.join(' ') !== there.join(' ')) {
    throw new Violation(`${host.name}: its IKE SAs have ${ours}, its interfaces have ${there}`)
  }
  const given = new Set(sas.flatMap(({ remoteVips }) => remoteVips))
  const { leases } = host.engine.census
  if (given.size !== leases) throw new Violation(`${host.name}: ${leases} leases in use, its peers have ${[...given]}`)
}

/** Whatever happens to a packet between the two subnets, it must not be one of these. */
export function checkCarried(carried: Carried, from: Host, to: Host, mustBeProtected: boolean): void {
  switch (carried) {
    case 'XfrmInTmplMismatch':
      // The SA may be there a moment before its policies; until then a wider one, for example a trap, is in force.
      if (to.jobs.length === 0) throw new Violation(`a packet of ${from.name} was dropped: ${carried}`)
      break
    case 'XfrmInStateProtoError':
    case 'XfrmInStateModeError':
    case 'XfrmInStateMismatch':
    case 'XfrmInStateSeqError':
      throw new Violation(`a packet of ${from.name} was dropped: ${carried}`)
    case 'plain':
      if (mustBeProtected) throw new Violation(`a packet of ${from.name} left without protection`)
      break
    default:
      break
  }
}

interface Window {
  /** Message IDs of the first and the newest request that were seen. */
  first?: number
  newest?: number
  /** Datagrams by message id and direction: what is sent again must be the same octets. */
  readonly sent: Map<string, Set<string>>
  /** Datagrams by the octets where an IV begins: under one key none is used twice (RFC 5282 §3.1). */
  readonly ivs: Map<string, string>
}

/**
 * RFC 7296 §2.2, §2.3: message ids go up by one, never further than the peer's window allows and never back behind it, and
 * what is sent again is the same.
 */
function checkWindow(windows: Map<string, Window>, from: Host, hosts: readonly Host[], message: Uint8Array): void {
  if (message.length < 28) return // a keepalive
  const header = decodeHeader(message)
  // IKE_SA_INIT may be sent again with a cookie or another group, and errors without protection belong to no window.
  if (header.messageId === 0 && header.exchange === EXCHANGE.IKE_SA_INIT) return
  if (header.nextPayload !== PAYLOAD.SK && header.nextPayload !== PAYLOAD.SKF) return
  const { messageId, flags, exchange, spiI, spiR } = header
  const nameOf = (host: Host): string => `${host.name} ${spiI} ${spiR}`
  const window = windows.get(nameOf(from)) ?? newWindow()
  windows.set(nameOf(from), window)
  const what = `${from.name}: ${flags.response ? 'response' : 'request'} ${messageId}`
  if (!flags.response) {
    const others = hosts.filter((host) => host !== from)
    const size = Math.max(...others.map(({ windowSize }) => windowSize))
    window.first ??= messageId
    const { newest = messageId } = window
    if (messageId <= newest - size) throw new Violation(`${what} after request ${newest}`)
    if (messageId > newest + 1) throw new Violation(`${what} after request ${newest}: one is left out`)
    window.newest = Math.max(newest, messageId)
    // The last word of an IKE SA that ends at once waits for nothing.
    const last = exchange === EXCHANGE.INFORMATIONAL ? 1 : 0
    const answered = (id: number): boolean => others.some((host) => windows.get(nameOf(host))?.sent.has(`true ${id}`))
    for (let id = window.first; id <= messageId - size - last; id++) {
      if (!answered(id)) throw new Violation(`${what} before the response to request ${id}`)
    }
  }
  const key = `${flags.response} ${messageId}`
  const datagrams = window.sent.get(key) ?? new Set()
  window.sent.set(key, datagrams)
  const text = Buffer.from(message.buffer, message.byteOffset, message.length).toString('latin1')
  datagrams.add(text)
  // Fragments share an id; a whole message is alone with it.
  const fragmented = header.nextPayload === PAYLOAD.SKF
  const start = 28 + (fragmented ? 8 : 4)
  const iv = text.slice(start, start + 8)
  if ((window.ivs.get(iv) ?? text) !== text) throw new Violation(`${what} has an IV that was used before`)
  window.ivs.set(iv, text)
  if (!fragmented && datagrams.size > 1) throw new Violation(`${what} was sent twice with different octets`)
}

function newWindow(): Window {
  return { sent: new Map(), ivs: new Map() }
}
