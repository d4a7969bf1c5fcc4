/** What a child can ask for beyond a tunnel: compressed packets, padded packets, an end when nobody uses it. */
import { connectionName } from './connection.ts'
import type { Host } from './hosts.ts'
import { kernelRest, kernelStates } from './kernel.ts'
import { readCapture, type Seen } from './pcap.ts'
import { poll } from './poll.ts'
import { bringUp, pingBothWays, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

/** What a scenario of this kind proves. */
export type ChildProof = 'compression' | 'padding' | 'inactivity'

/** Octets to which the scenario `padding` pads. */
export const paddedTo = 1200
/** Seconds after which the scenario `inactivity` closes. */
export const idleSeconds = 3

/** Octets of a ping that compresses well, without headers. */
const large = 1350

export function proveChild(stage: Stage, proof: ChildProof): Promise<void> {
  switch (proof) {
    case 'compression':
      return proveCompression(stage)
    case 'padding':
      return provePadding(stage)
    case 'inactivity':
      return proveInactivity(stage)
  }
}

/** IPComp states in both kernels; large pings of one octet are small on the wire, before and after rekeyings. */
async function proveCompression(stage: Stage): Promise<void> {
  const { initiator, initiatorHost, responderHost } = stage
  await bringUp(initiator)
  await compresses(stage)
  for (const host of [initiatorHost, responderHost]) {
    const before = await cpis(host)
    await host.shell.must(`timeout 8 swanctl --rekey --child ${connectionName}`)
    await poll(`other CPIs on ${host.name}`, 10_000, async () => (await cpis(host)) !== before)
    for (const { shell, name } of [initiatorHost, responderHost]) {
      await poll(`the replaced states on ${name} to go`, 12_000, async () => (await compression(shell)).length === 2)
    }
    await compresses(stage)
  }
  const seen = await ended(stage)
  if (seen.largestEsp > large / 2) throw new Error(`an ESP packet of ${seen.largestEsp} bytes is not compressed`)
  if (seen.esp.length < 60) throw new Error(`only ${seen.esp.length} ESP packets on the wire`)
}

async function compresses(stage: Stage): Promise<void> {
  const { initiatorHost, responderHost } = stage
  const [ours, theirs] = [await cpis(initiatorHost), await cpis(responderHost)]
  const swapped = theirs.replace(/^(\w+) (\w+)$/, '$2 $1')
  if (!/^[0-9a-f]{4} [0-9a-f]{4}$/.test(ours) || ours !== swapped) {
    throw new Error(`CPIs of ${initiatorHost.name}: ${ours}, of ${responderHost.name}: ${theirs}`)
  }
  await pingBothWays(stage)
  const before = await Promise.all([initiatorHost, responderHost].map(({ shell }) => compression(shell)))
  for (const [from, to] of [
    [initiatorHost, responderHost],
    [responderHost, initiatorHost],
  ] as const) {
    const ends = `-I ${from.place.inside.ipv4} ${to.place.inside.ipv4}`
    await from.client.must(`ping -n -q -c 10 -i 0.03 -W 1 -w 5 -s ${large} -p 00 ${ends}`)
  }
  const after = await Promise.all([initiatorHost, responderHost].map(({ shell }) => compression(shell)))
  before.flat().forEach((packets, i) => {
    const risen = (after.flat()[i] ?? 0) - packets
    if (risen < 10) throw new Error(`an IPComp state has counted ${risen} of twenty large packets`)
  })
}

/** `cpi-in cpi-out` as swanctl lists them. */
async function cpis({ shell }: Host): Promise<string> {
  const shown = await shell.must('timeout 5 swanctl --list-sas --raw')
  return /cpi-in=(\w+) cpi-out=(\w+)/.exec(shown)?.slice(1).join(' ') ?? 'none'
}

/** The packets that each IPComp state of the host has counted. */
async function compression(shell: Host['shell']): Promise<number[]> {
  return (await kernelStates(shell)).filter(({ text }) => /proto comp\b/.test(text)).map(({ packets }) => packets)
}

/** Small pings are large packets. */
async function provePadding(stage: Stage): Promise<void> {
  await bringUp(stage.initiator)
  await pingBothWays(stage)
  for (const { shell, name } of [stage.initiatorHost, stage.responderHost]) {
    const states = await kernelStates(shell)
    const padded = states.filter(({ text }) => text.includes(`tfcpad ${paddedTo}`))
    if (padded.length !== 1) throw new Error(`${name} has ${padded.length} states with padding, not 1`)
  }
  const seen = await ended(stage)
  if (seen.largestEsp < paddedTo) throw new Error(`the largest ESP packet has ${seen.largestEsp} bytes: no padding`)
}

/** Pings keep the child up beyond its time; then it goes by itself, on both sides, and the IKE SA stays. */
async function proveInactivity(stage: Stage): Promise<void> {
  const { initiator, initiatorHost, responderHost, ours } = stage
  await bringUp(initiator)
  const ends = `-I ${initiatorHost.place.inside.ipv4} ${responderHost.place.inside.ipv4}`
  await initiatorHost.client.must(`ping -n -q -c ${idleSeconds * 4} -i 0.5 -W 1 ${ends}`)
  if ((await kernelStates(initiatorHost.shell)).length !== 2) throw new Error('closed while it was in use')
  for (const { shell, name } of [initiatorHost, responderHost]) {
    await poll(`the idle child on ${name} to go`, (idleSeconds + 6) * 1000, async () => {
      return (await kernelRest(shell)).length === 0
    })
    const shown = await shell.must('timeout 5 swanctl --list-sas --raw')
    if (!/state=ESTABLISHED/.test(shown)) throw new Error(`${name} has no IKE SA any more`)
  }
  const said = /deleting CHILD_SA after \d+ seconds of inactivity/
  if (!said.test(ours.log())) throw new Error('the log does not say why the child was closed')
  await ended(stage)
}

/** Ends the connection and the daemons; what crossed the wire. */
async function ended(stage: Stage): Promise<Seen> {
  const down = await stage.initiator.down()
  if (down.code !== 0) throw new Error(`down on ${stage.initiator.name}: ${down.text.trim().slice(-300)}`)
  await quiet(stage)
  const seen = readCapture(await stage.capture.stop())
  if (seen.plain.length > 0) throw new Error(`unprotected on the wire: ${seen.plain[0]}`)
  return seen
}
