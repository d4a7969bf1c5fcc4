/** What a scenario has to show, each proof an error with a plain reason if it fails. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connectionName } from './connection.ts'
import { leaveHalfOpen } from './half-open.ts'
import type { Family, Host } from './hosts.ts'
import { kernelPolicies, kernelRest, kernelStates } from './kernel.ts'
import { readCapture, type Seen } from './pcap.ts'
import type { Running } from './peers/peer.ts'
import { poll } from './poll.ts'
import type { Expectation, OnTheWire } from './scenario.ts'
import type { Stage } from './stage.ts'

const pings = 10

/** What a scenario that comes up may ask for. */
type Up = Extract<Expectation, { readonly kind: 'up' }>

/** The whole life of a tunnel: up, packets both ways, counters, the wire, down, nothing left. */
export async function proveTunnel(stage: Stage, expect: Up): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost, capture, scenario } = stage
  const { wire = {}, kernel = [] } = expect
  const { start } = scenario.connection
  if (scenario.halfOpenFirst) {
    // charon on a machine that has just booted may refuse its own cookies in the first ten seconds of its life.
    if (responder.name === 'strongswan') await sleep(10_500)
    await leaveHalfOpen(initiatorHost, responderHost)
  }
  if (start === 'trap') await wakeTrap(stage)
  else if (start === 'none') await bringUp(initiator)
  await Promise.all([isEstablished(initiator, stage, expect), isEstablished(responder, stage, expect)])
  await pingBothWays(stage)
  await countersRose(initiatorHost, kernel)
  await countersRose(responderHost, kernel)
  for (const what of expect.rekeys ?? []) await rekey(stage, expect, what)
  for (const daemon of expect.says ? [initiator, responder] : []) {
    if (!daemon.log().includes(expect.says ?? '')) throw new Error(`the log of ${daemon.name} lacks '${expect.says}'`)
  }
  await end(stage, expect.endedBy ?? 'initiator')
  await quiet(stage)
  lookAtWire(stage, readCapture(await capture.stop()), wire)
}

/** The initiator rekeys by swanctl; in the end there is one of each again, with other SPIs, and packets cross. */
async function rekey(stage: Stage, expect: Up, what: 'child' | 'ike'): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost } = stage
  const spis = async (): Promise<string> => (await kernelStates(initiatorHost.shell)).map(({ spi }) => spi).join(' ')
  const ikeSpis = async (): Promise<string> => {
    const shown = await initiatorHost.shell.must('timeout 5 swanctl --list-sas --raw')
    return /initiator-spi=(\w+) responder-spi=(\w+)/.exec(shown)?.[0] ?? ''
  }
  const now = what === 'child' ? spis : ikeSpis
  const before = await now()
  await initiatorHost.shell.must(`timeout 8 swanctl --rekey --${what} ${connectionName}`)
  await poll(`${initiator.name} to rekey the ${what}`, 10_000, async () => (await now()) !== before)
  for (const daemon of [initiator, responder]) await isEstablished(daemon, stage, expect)
  for (const { shell, name } of [initiatorHost, responderHost]) {
    await poll(`the replaced states on ${name} to go`, 12_000, async () => (await kernelStates(shell)).length === 2)
  }
  await pingBothWays(stage)
}

/** Ends the connection; after that neither kernel holds anything. */
async function end(stage: Stage, by: NonNullable<Up['endedBy']>): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost, scenario } = stage
  if (by === 'end-of-daemon') await initiator.stop()
  else {
    const ender = by === 'initiator' ? initiator : responder
    const down = await ender.down()
    if (down.code !== 0) throw new Error(`down on ${ender.name}: status ${down.code}: ${lastLines(down.text)}`)
    if (scenario.connection.start === 'trap') await initiator.disarm()
  }
  await nothingLeft(initiatorHost, 'after down')
  await nothingLeft(responderHost, 'after down')
}

/** A connection that one end refuses: the logs of both say why, and the kernels hold nothing. */
export async function proveRefusal(
  stage: Stage,
  said: { readonly initiator: RegExp; readonly responder: RegExp },
): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost } = stage
  const up = await initiator.up()
  if (up.code === 0) throw new Error(`${initiator.name} says that the connection is up: ${lastLines(up.text)}`)
  await says(initiator, said.initiator)
  await says(responder, said.responder)
  for (const daemon of [initiator, responder]) {
    if (await daemon.established()) throw new Error(`${daemon.name} shows an established connection`)
  }
  await nothingLeft(initiatorHost, 'after the refusal')
  await nothingLeft(responderHost, 'after the refusal')
  await quiet(stage)
}

/** Brings the connection up. */
export async function bringUp(initiator: Running): Promise<void> {
  const up = await initiator.up()
  if (up.code !== 0) throw new Error(`up on ${initiator.name}: status ${up.code}: ${lastLines(up.text)}`)
}

/** Ten pings each way, at the same time, for each family. None may be lost. */
export async function pingBothWays(stage: Stage): Promise<void> {
  const { moon, sun } = stage.ground
  for (const family of families(stage)) {
    const [there, back] = [target(stage, moon, family), target(stage, sun, family)]
    await Promise.all([ping(moon, there, back), ping(sun, back, there)])
  }
}

/** Both daemons end when asked to, with status 0 (if they did not yet), and leave nothing in the kernel. */
export async function quiet({ ours, theirs, ground }: Stage): Promise<void> {
  await Promise.all([ours.stop(), theirs.stop()])
  await nothingLeft(ground.moon, 'after the end of the daemon')
  await nothingLeft(ground.sun, 'after the end of the daemon')
}

/** The first packets bring the connection up; some of them may be lost. */
async function wakeTrap(stage: Stage): Promise<void> {
  const { initiatorHost, responderHost, initiator } = stage
  const [family] = families(stage) as [Family]
  const policies = await kernelPolicies(initiatorHost.shell)
  if (policies.length === 0) throw new Error(`${initiator.name} has no trap policy in the kernel`)
  const from = target(stage, initiatorHost, family)
  const to = target(stage, responderHost, family)
  await poll('a packet to bring the connection up', 8000, async () => {
    const { code } = await initiatorHost.client.run(`ping -n -c 1 -W 1 -I ${from} ${to}`)
    return code === 0
  })
}

async function isEstablished(daemon: Running, stage: Stage, { wire, selectors }: Up): Promise<void> {
  const shown = await poll(`${daemon.name} to show one IKE SA with one Child SA`, 10_000, () => daemon.established())
  const mode = stage.scenario.connection.mode === 'tunnel' ? 'TUNNEL' : 'TRANSPORT'
  if (shown.mode !== mode) throw new Error(`${daemon.name} shows mode ${shown.mode}, not ${mode}`)
  if (shown.isEncapsulated !== (wire?.udp ?? false)) {
    throw new Error(`${daemon.name} shows ${shown.isEncapsulated ? '' : 'no '}UDP encapsulation`)
  }
  if (!selectors || !shown.selectors) return
  const [initiators, responders] = selectors
  const [local, remote] = daemon === stage.initiator ? [initiators, responders] : [responders, initiators]
  if (shown.selectors.local !== local || shown.selectors.remote !== remote) {
    throw new Error(
      `${daemon.name} shows ${shown.selectors.local} === ${shown.selectors.remote}, not ${local} === ${remote}`,
    )
  }
}

async function ping(host: Host, from: string, to: string): Promise<void> {
  const { code, text } = await host.client.run(`ping -n -q -c ${pings} -i 0.03 -W 1 -w 5 -I ${from} ${to}`)
  const got = /(\d+) received/.exec(text)?.[1] ?? '0'
  // A slow guest may send one more before it has seen the last answer.
  if (code !== 0 || Number(got) < pings) throw new Error(`ping ${from} to ${to}: ${got} of ${pings} came back`)
}

/** The host has the two states of one Child SA, and after `pingBothWays` they have counted its packets. */
export async function countersRose(host: Host, kernel: readonly string[] = []): Promise<void> {
  const states = (await kernelStates(host.shell)).filter((state) => state.spi !== '0x00000000')
  if (states.length !== 2) throw new Error(`${host.name} has ${states.length} states in the kernel, not 2`)
  for (const state of states) {
    const which = `the state ${state.src} -> ${state.dst} on ${host.name}`
    if (state.packets < pings || state.bytes < pings * 64) {
      throw new Error(`${which} counts ${state.packets} packets, ${state.bytes} bytes after ${pings} pings each way`)
    }
    for (const text of kernel) if (!state.text.includes(text)) throw new Error(`${which} does not show '${text}'`)
  }
}

async function nothingLeft(host: Host, when: string): Promise<void> {
  const end = Date.now() + 6000
  for (;;) {
    const rest = await kernelRest(host.shell)
    if (rest.length === 0) return
    if (Date.now() > end)
      throw new Error(`left in the kernel of ${host.name} ${when}: ${rest.join('; ').slice(0, 500)}`)
    await sleep(50)
  }
}

function lookAtWire({ scenario, initiatorHost, responderHost }: Stage, seen: Seen, wire: OnTheWire): void {
  if (seen.plain.length > 0) {
    throw new Error(`${seen.plain.length} packets crossed the wire unprotected, the first: ${seen.plain[0]}`)
  }
  const { outer } = scenario.connection
  const [used, unused] = wire.udp ? [seen.espInUdp, seen.esp] : [seen.esp, seen.espInUdp]
  const what = wire.udp ? 'ESP in UDP' : 'ESP'
  if (unused.length > 0) throw new Error(`${unused.length} packets on the wire are not ${what} though they should be`)
  for (const host of [initiatorHost, responderHost]) {
    const count = used.filter((from) => from === host.place.seen[outer]).length
    if (count < pings) throw new Error(`only ${count} ${what} packets from ${host.name} on the wire`)
  }
  const notifies = seen.ike.filter((m) => m.exchange === 34 && m.isResponse).flatMap((m) => m.notifies)
  for (const wanted of wire.initNotifies ?? []) {
    if (!notifies.includes(wanted)) throw new Error(`no response to IKE_SA_INIT carries notify ${wanted}`)
  }
  for (const wanted of wire.exchanges ?? []) {
    if (!seen.ike.some(({ exchange }) => exchange === wanted)) throw new Error(`no exchange ${wanted} on the wire`)
  }
  for (const direction of ['request', 'response'] as const) {
    const isResponse = direction === 'response'
    const found = seen.ike.some((m) => m.exchange === 35 && m.isResponse === isResponse && m.isFragment)
    if ((wire.fragments ?? []).includes(direction) && !found)
      throw new Error(`the IKE_AUTH ${direction} is not in fragments`)
  }
}

async function says(daemon: Running, what: RegExp): Promise<void> {
  if (daemon.name === 'libreswan') return
  await poll(`the log of ${daemon.name} to say ${what}`, 2000, () => what.test(daemon.log()))
}

/** The address of a host that pings go to and come from. */
function target({ scenario }: Stage, host: Host, family: Family): string {
  return scenario.connection.mode === 'tunnel' ? host.place.inside[family] : host.place.outside[family]
}

function families({ scenario: { connection } }: Stage): readonly Family[] {
  return connection.mode === 'tunnel' ? connection.inner : [connection.outer]
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-4).join(' | ').slice(-600)
}
