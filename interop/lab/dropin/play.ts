/** Runs a drop-in scenario in one placement, after charon has shown on both hosts what is to be seen. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Capture, startCapture } from '../capture.ts'
import { type Ground, type Host, type HostName, layOut, writeHostFile } from '../hosts.ts'
import { kernelRest } from '../kernel.ts'
import { readCapture } from '../pcap.ts'
import type { Running } from '../peers/peer.ts'
import { runSallyport, sallyportConf } from '../peers/sallyport.ts'
import { runStrongswan, strongswanConf } from '../peers/strongswan.ts'
import { writeCertificates, writeConfs } from '../peers/swanctl-conf.ts'
import { credentials } from '../pki.ts'
import { poll } from '../poll.ts'
import { type Evidence, keepEvidence } from '../stage.ts'
import { Actor } from './actor.ts'
import { type DropIn, type Placement, type Play, placementName } from './dropin.ts'
import { difference, type Look, look } from './look.ts'

/** What both hosts showed at each point. */
type Notes = Record<string, Readonly<Record<HostName, Look>>>

/** The script that scenarios give to `updown`: it notes what it is told. */
export const updownScript = '/etc/swanctl/updown'

const control: Placement = ['strongswan', 'strongswan']

/** Plays the scenario; throws with the reason if something is not as it should be. `charons` is a folder for what charon shows, kept from run to run. */
export async function proveDropIn(
  dropIn: DropIn,
  placement: Placement,
  evidence: Evidence,
  charons: string,
  late: AbortSignal,
): Promise<void> {
  const file = join(charons, `${dropIn.name} ${versionOf(dropIn)}.json`)
  const isControl = placement.every((who) => who === 'strongswan')
  if (isControl || !existsSync(file)) {
    const failed = `${file}.failed`
    if (!isControl && existsSync(failed)) throw new Error(readFileSync(failed, 'utf8'))
    try {
      mkdirSync(charons, { recursive: true })
      const notes = await perform(dropIn, control, evidence, undefined, late)
      writeFileSync(`${file}.${process.pid}`, JSON.stringify(notes, undefined, 1))
      renameSync(`${file}.${process.pid}`, file)
    } catch (error) {
      if (isControl) throw error
      const reason = `the control ${placementName(control)} fails: ${error instanceof Error ? error.message : error}`
      writeFileSync(failed, reason)
      throw new Error(reason)
    }
  }
  if (!isControl) await perform(dropIn, placement, evidence, JSON.parse(readFileSync(file, 'utf8')) as Notes, late)
}

/** Changes with what the hosts are told, so that what charon showed can be kept for later runs. */
function versionOf({ play, ...told }: DropIn): string {
  const hash = createHash('sha256').update(JSON.stringify(told)).update(play.toString())
  for (const file of ['look.ts', 'kernel-lines.ts']) hash.update(readFileSync(join(import.meta.dirname, file)))
  return hash.digest('hex').slice(0, 12)
}

async function perform(
  dropIn: DropIn,
  placement: Placement,
  evidence: Evidence,
  charons: Notes | undefined,
  late: AbortSignal,
): Promise<Notes> {
  const folder = '/tmp/lab/hosts'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const { nat, clients = false } = dropIn
  const ground = await layOut(folder, { roots: {}, clients, ...(nat && { nat, forwards: nat !== 'moon' }) })
  late.addEventListener('abort', () => void ground.close())
  const running: Running[] = []
  let capture: Capture | undefined
  try {
    capture = await startCapture(ground.wire, join(folder, 'wire.pcap'))
    const wire = capture
    const [moon, sun] = await begin(dropIn, placement, ground, running)
    const notes: Notes = {}
    const allowed: RegExp[] = []
    await dropIn.play({
      moon,
      sun,
      same: async (point) => {
        const compared = charons?.[point]
        if (charons && !compared) throw new Error(`charon did not come to the point ${point}`)
        notes[point] = await note(point, [moon, sun], compared)
      },
      inClear: async (what) => {
        allowed.push(what)
        await poll(`${what} in clear on the wire`, 4000, () =>
          readCapture(wire.read()).plain.some((one) => what.test(one)),
        )
      },
      pass: (ms) => sleep(ms),
    } satisfies Play)
    await Promise.all(running.map((daemon) => daemon.stop()))
    for (const host of [ground.moon, ground.sun]) await nothingLeft(host)
    const plain = readCapture(await capture.stop()).plain.filter((one) => !allowed.some((what) => what.test(one)))
    if (plain.length > 0)
      throw new Error(`${plain.length} packets crossed the wire unprotected, the first: ${plain[0]}`)
    if (evidence.always) await keepEvidence(ground, running, capture, `${evidence.folder} ${placementName(placement)}`)
    return notes
  } catch (error) {
    await keepEvidence(ground, running, capture, evidence.folder)
    throw error
  } finally {
    await ground.close()
  }
}

/** Starts both daemons without connections; then sun's are loaded, and then moon's. */
async function begin(
  { moon, sun, daemon = [], plugins, certificates }: DropIn,
  placement: Placement,
  ground: Ground,
  running: Running[],
): Promise<readonly [Actor, Actor]> {
  const hosts = [ground.moon, ground.sun]
  if (certificates) await certify(ground, hosts, certificates)
  const starting = hosts.map(async (host, i) => {
    const lines = 'length' in daemon ? daemon : (daemon[host.name] ?? [])
    const isOurs = placement[i] === 'sallyport'
    const conf = isOurs ? sallyportConf(lines) : strongswanConf(lines, plugins)
    // OpenSSL takes most of the time that swanctl takes in a guest.
    writeConfs(host, certificates ? conf : `${conf}swanctl {\n  load = pem\n}\n`, '')
    writeHostFile(
      host,
      updownScript,
      '#!/bin/sh\nenv | grep ^PLUTO_ | sort | tr "\\n" " " >>/run/updown.log\necho >>/run/updown.log\n',
      0o755,
    )
    const started = await (isOurs ? runSallyport(host) : runStrongswan(host))
    running.push(started)
    return new Actor(host, started)
  })
  await Promise.allSettled(starting) // so that none starts behind our back when the other has failed
  const actors = (await Promise.all(starting)) as unknown as readonly [Actor, Actor]
  await actors[1].load(sun)
  await actors[0].load(moon)
  return actors
}

/** One host after the other: the first makes the CA. */
async function certify(
  { wire }: Ground,
  hosts: readonly Host[],
  kind: NonNullable<DropIn['certificates']>,
): Promise<void> {
  for (const host of hosts) {
    const own = await credentials(wire, '/tmp/lab/pki', kind, 'common', host.name)
    writeCertificates(host, own, [own.anchor])
  }
}

/** What both hosts show, when it has come to rest; if it is compared, when it has become what charon showed. */
async function note(
  point: string,
  actors: readonly [Actor, Actor],
  compared: Notes[string] | undefined,
): Promise<Notes[string]> {
  const end = Date.now() + 20_000
  for (let before = ''; ; ) {
    const [moon, sun] = await Promise.all([look(actors[0].host), look(actors[1].host)])
    const now = { moon, sun }
    const different = actors.flatMap((actor) => {
      const found = compared && difference(now[actor.host.name], compared[actor.host.name])
      return found === undefined ? [] : [`${actor} at '${point}' has in ${found}`]
    })
    const text = JSON.stringify(now)
    const isDone = compared ? different.length === 0 : text === before
    if (isDone) return now
    if (Date.now() > end) throw new Error(different[0] ?? `what hosts show at '${point}' does not come to rest`)
    before = text
    await sleep(150)
  }
}

/** Neither policies and states nor routes, rules and addresses of a daemon stay behind. */
async function nothingLeft(host: Host): Promise<void> {
  let rest: readonly string[] = []
  await poll('', 6000, async () => {
    const rules = await host.shell.must(
      'ip rule show; ip -6 rule show; ip route show table 220 2>/dev/null; ip -6 route show table 220 2>/dev/null; true',
    )
    const more = rules.split('\n').filter((line) => line.trim() && !/^(0|32766|32767):/.test(line))
    rest = [...(await kernelRest(host.shell)), ...more]
    return rest.length === 0
  }).catch(() => {
    throw new Error(`left on ${host.name} after the end of the daemon: ${rest.join('; ').slice(0, 500)}`)
  })
}
