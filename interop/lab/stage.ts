/** Sets up the hosts and daemons of a scenario, and takes them away again. */
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Capture, startCapture } from './capture.ts'
import { type Ground, type Host, layOut } from './hosts.ts'
import { startLibreswan } from './peers/libreswan.ts'
import type { PeerName, Running, Side, Start } from './peers/peer.ts'
import { startSallyport } from './peers/sallyport.ts'
import { startStrongswan } from './peers/strongswan.ts'
import { type Credentials, credentials } from './pki.ts'
import type { Scenario } from './scenario.ts'

/** A scenario under way. */
export interface Stage {
  readonly scenario: Scenario
  readonly ground: Ground
  readonly ours: Running
  readonly theirs: Running
  readonly initiator: Running
  readonly responder: Running
  readonly initiatorHost: Host
  readonly responderHost: Host
  readonly capture: Capture
  /** What the daemon on moon was configured from. */
  readonly moonSide: Side
}

/** What comparisons of two daemons leave in /run. */
const compared = ['ours.txt', 'charon.txt', 'ours.jsonl', 'charon.jsonl'].map((end) => `surface-${end}`)

/** Where logs, captures and kernel contents go, and whether also those of what passes. */
export interface Evidence {
  readonly folder: string
  readonly always: boolean
}

const starts: Readonly<Record<PeerName, Start>> = {
  sallyport: startSallyport,
  strongswan: startStrongswan,
  libreswan: startLibreswan,
}

/**
 * Runs `play` on the stage of a scenario. Daemons are ended and hosts removed in any case; if something fails, or
 * `always`, logs, capture and kernel contents are left in the folder for evidence. `late` ends everything at once.
 */
export async function onStage(
  scenario: Scenario,
  oursIs: PeerName,
  evidence: Evidence,
  late: AbortSignal,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  const folder = '/tmp/lab/hosts'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const behind = scenario.initiator === 'ours' ? 'moon' : 'sun'
  const ground = await layOut(folder, {
    roots: {
      ...(oursIs === 'libreswan' ? { moon: 'libreswan' } : scenario.reference ? { moon: scenario.reference } : {}),
      ...(scenario.peer === 'libreswan' ? { sun: 'libreswan' } : scenario.root ? { sun: scenario.root } : {}),
    },
    clients: scenario.clients,
    ...(scenario.nat ? { nat: behind } : {}),
  })
  // Without their shells, all that still waits for hosts fails at once.
  late.addEventListener('abort', () => void ground.close())
  const running: Running[] = []
  let capture: Capture | undefined
  try {
    const [moon, sun] = await sides(scenario, ground)
    capture = await startCapture(ground.wire, join(folder, 'wire.pcap'))
    const weInitiate = scenario.initiator === 'ours'
    const startOurs = async (): Promise<Running> => kept(running, await starts[oursIs](moon))
    const startTheirs = async (): Promise<Running> => kept(running, await starts[scenario.peer](sun))
    const [ours, theirs] = await startBoth(startOurs, startTheirs, scenario)
    await play({
      scenario,
      ground,
      ours,
      theirs,
      initiator: weInitiate ? ours : theirs,
      responder: weInitiate ? theirs : ours,
      initiatorHost: weInitiate ? ground.moon : ground.sun,
      responderHost: weInitiate ? ground.sun : ground.moon,
      capture,
      moonSide: moon,
    })
    if (evidence.always) await keepEvidence(ground, running, capture, evidence.folder)
  } catch (error) {
    await keepEvidence(ground, running, capture, evidence.folder)
    throw error
  } finally {
    await ground.close()
  }
}

async function sides(scenario: Scenario, ground: Ground): Promise<[Side, Side]> {
  const { connection, ours, theirs, initiator } = scenario
  let own: readonly [Credentials | undefined, Credentials | undefined] = [undefined, undefined]
  let anchors: readonly [string, string] = ['', '']
  if (connection.auth !== 'psk') {
    const kind = connection.auth
    const of = (host: Host, which: NonNullable<Side['end']['certificate']>): Promise<Credentials> =>
      credentials(ground.wire, '/tmp/lab/pki', kind, which, host.name)
    own = [await of(ground.moon, ours.certificate ?? 'common'), await of(ground.sun, theirs.certificate ?? 'common')]
    // Each trusts the CA that the other's certificates should come from; 'untrusted' is never trusted.
    const trusted = (which: Side['end']['certificate']): 'common' | 'chain' => (which === 'chain' ? 'chain' : 'common')
    anchors = [
      (await of(ground.moon, trusted(theirs.certificate))).anchor,
      (await of(ground.sun, trusted(ours.certificate))).anchor,
    ]
  }
  const side = (host: Host, other: Host, n: 0 | 1, end: Side['end'], initiates: boolean): Side => ({
    host,
    other,
    connection,
    end,
    initiates,
    own: own[n],
    anchors: own[n] ? [anchors[n]] : [],
  })
  return [
    side(ground.moon, ground.sun, 0, ours, initiator === 'ours'),
    side(ground.sun, ground.moon, 1, theirs, initiator === 'peer'),
  ]
}

/** Starts both at once, but for a connection that starts by itself: its responder must be there first. */
async function startBoth(
  ours: () => Promise<Running>,
  theirs: () => Promise<Running>,
  { connection, initiator }: Scenario,
): Promise<[Running, Running]> {
  if (connection.start === 'start') {
    if (initiator === 'peer') return [await ours(), await theirs()]
    const second = await theirs()
    return [await ours(), second]
  }
  const starting = [ours(), theirs()] as const
  await Promise.allSettled(starting) // so that none starts behind our back when the other has failed
  return [await starting[0], await starting[1]]
}

function kept(running: Running[], daemon: Running): Running {
  running.push(daemon)
  return daemon
}

/** Leaves what the hosts wrote and hold in a folder. */
export async function keepEvidence(
  ground: Ground,
  running: readonly Running[],
  capture: Capture | undefined,
  keep: string,
): Promise<void> {
  mkdirSync(keep, { recursive: true })
  for (const daemon of running) writeFileSync(join(keep, `${daemon.host.name}-${daemon.name}.log`), daemon.log())
  for (const host of [ground.moon, ground.sun]) {
    for (const file of ['daemon.log', 'output.log', 'updown.log', ...compared]) {
      const from = join(host.folder, 'run', file)
      if (existsSync(from)) copyFileSync(from, join(keep, `${host.name}-${file}`))
    }
    const conf = join(host.folder, 'etc/swanctl/swanctl.conf')
    if (existsSync(conf)) copyFileSync(conf, join(keep, `${host.name}-swanctl.conf`))
    const { text } = await host.shell
      .run(
        'ip -s xfrm state; ip -s xfrm policy; cat /proc/net/xfrm_stat; ip -s link; ip address; ip route show table all',
      )
      .catch((error: Error) => ({ text: error.message }))
    writeFileSync(join(keep, `${host.name}-kernel.txt`), text)
  }
  if (capture && existsSync(capture.file)) copyFileSync(capture.file, join(keep, 'wire.pcap'))
}
