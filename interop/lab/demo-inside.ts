/** The demo's part inside: one tunnel between two hosts, told line by line in /lab/events. */
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { usual } from '../scenarios/base.ts'
import { startCapture } from './capture.ts'
import { type Ground, layOut } from './hosts.ts'
import { kernelRest, kernelStates } from './kernel.ts'
import { drawGap, drawHeads, drawRung, rungReader } from './ladder.ts'
import { readCapture } from './pcap.ts'
import type { PeerName, Running, Side } from './peers/peer.ts'
import { startSallyport } from './peers/sallyport.ts'
import { startStrongswan } from './peers/strongswan.ts'
import { child, readPretty, value } from './peers/vici-raw.ts'
import { credentials } from './pki.ts'
import { poll } from './poll.ts'

/** What goes in. */
export interface DemoPlan {
  readonly moon: PeerName
  readonly sun: PeerName
}

/** What comes out: lines for a person, and whether it went well. */
export type DemoEvent =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'done'; readonly failure?: string }

const plan: DemoPlan = JSON.parse(readFileSync(process.argv[2] ?? '/lab/plan.json', 'utf8'))
const connection = { ...usual, auth: 'ecdsa' } as const
const titles: Readonly<Record<PeerName, string>> = {
  sallyport: 'Sallyport',
  strongswan: 'strongSwan',
  libreswan: 'libreswan',
}

try {
  await demo()
  tell({ kind: 'done' })
} catch (error) {
  tell({ kind: 'done', failure: error instanceof Error ? error.message : String(error) })
}
process.exit(0)

async function demo(): Promise<void> {
  rmSync('/tmp/lab/hosts', { recursive: true, force: true })
  mkdirSync('/tmp/lab/hosts', { recursive: true })
  say('Two hosts, moon and sun, each in a network namespace, with a wire between them.')
  const ground = await layOut('/tmp/lab/hosts', { roots: {}, clients: false })
  try {
    const [moon, sun] = await sides(ground)
    const capture = await startCapture(ground.wire, '/tmp/lab/hosts/wire.pcap')
    say(`Starting ${titles[plan.sun]} on sun and ${titles[plan.moon]} on moon; both have certificates of one CA.`)
    const [first, second] = [start(plan.moon, moon), start(plan.sun, sun)]
    await Promise.allSettled([first, second])
    const [ours, theirs] = [await first, await second]
    say('')
    say('moon $ swanctl --initiate --child net')
    say('')
    const ladder = followLadder(ours)
    drawHeads(
      [`moon, ${titles[plan.moon]}`, ground.moon.place.outside.ipv4],
      [`sun, ${titles[plan.sun]}`, ground.sun.place.outside.ipv4],
    ).forEach(say)
    const up = await ours.up()
    await ladder.quiet()
    if (up.code !== 0) throw new Error(`the tunnel did not come up: ${up.text.trim().split('\n').at(-1)}`)
    await poll('both ends to show the tunnel', 4000, async () => (await ours.established()) && theirs.established())
    await showSa(ground)
    await showPings(ground, capture.read)
    await showOverhead(ground, capture.read)
    say('')
    say('moon $ swanctl --terminate --ike net')
    say('')
    say(drawGap())
    await ours.down()
    await ladder.quiet()
    ladder.end()
    for (const host of [ground.moon, ground.sun]) {
      await poll(`an empty kernel on ${host.name}`, 3000, async () => (await kernelRest(host.shell)).length === 0)
    }
    say('Both kernels are empty again: no SA, no policy.')
    await Promise.all([ours.stop(), theirs.stop()])
  } finally {
    await ground.close()
  }
}

async function sides(ground: Ground): Promise<[Side, Side]> {
  const of = (name: 'moon' | 'sun') => credentials(ground.wire, '/tmp/lab/pki', 'ecdsa', 'common', name)
  const [moon, sun] = [await of('moon'), await of('sun')]
  const common = { connection, end: {}, anchors: [moon.anchor] }
  return [
    { ...common, host: ground.moon, other: ground.sun, initiates: true, own: moon },
    { ...common, host: ground.sun, other: ground.moon, initiates: false, own: sun },
  ]
}

function start(peer: PeerName, side: Side): Promise<Running> {
  return peer === 'sallyport' ? startSallyport(side) : startStrongswan(side)
}

/** Draws messages as they appear in the daemon's log, from now on. */
function followLadder(daemon: Running): { readonly quiet: () => Promise<void>; readonly end: () => void } {
  const read = rungReader()
  const completeLines = (): string[] => daemon.log().split('\n').slice(0, -1)
  let seen = completeLines().length
  const look = (): void => {
    const lines = completeLines().slice(seen)
    seen += lines.length
    for (const line of lines) {
      const rung = read(line)
      if (rung) drawRung(rung).forEach(say)
    }
  }
  const timer = setInterval(look, 40)
  // A log may be written a little after the fact.
  return { quiet: () => sleep(150).then(look), end: () => clearInterval(timer) }
}

async function showSa({ moon }: Ground): Promise<void> {
  const read = readPretty(await moon.shell.must('swanctl --list-sas --pretty'))
  const ike = child(child(read, 'list-sa event'), 'net')
  const net = child(child(ike, 'child-sas'), /^net-/)
  const suite = (of: typeof ike): string => {
    const keySize = value(of, 'encr-keysize')
    const encryption = `${value(of, 'encr-alg')}${keySize ? ` (${keySize} bits)` : ''}`
    return [encryption, ...['integ-alg', 'prf-alg', 'dh-group'].flatMap((name) => value(of, name) ?? [])].join(' / ')
  }
  say(`The IKE SA:   ${suite(ike)}`)
  say(`The Child SA: ${value(net, 'protocol')} in ${value(net, 'mode')?.toLowerCase()} mode, ${suite(net)}`)
  say(`              SPI in ${value(net, 'spi-in')}, out ${value(net, 'spi-out')}`)
  say('              10.1.0.0/16 === 10.2.0.0/16')
}

async function showPings({ moon, sun }: Ground, read: () => Buffer): Promise<void> {
  say('')
  say('moon $ ping -c 10 -I 10.1.0.10 10.2.0.10')
  const before = readCapture(read())
  const { text } = await moon.shell.run('ping -n -c 10 -i 0.1 -w 5 -I 10.1.0.10 10.2.0.10')
  for (const line of text.trim().split('\n').slice(-2)) say(`  ${line}`)
  const after = readCapture(read())
  say(`  on the wire: ${after.esp.length - before.esp.length} ESP packets, ${after.plain.length} in the clear`)
  if (!text.includes('10 received')) throw new Error('not every ping came back')
  if (after.plain.length > 0) throw new Error(`a packet crossed the wire in the clear: ${after.plain[0]}`)
  say('')
  for (const host of [moon, sun]) {
    const sums = (await kernelStates(host.shell)).map(
      (state) => `${state.src} -> ${state.dst} ${state.packets} packets, ${state.bytes} bytes`,
    )
    say(`The kernel of ${host.name.padEnd(4)} counts ${sums.join(' and ')}`)
  }
}

/** The overhead of AES-GCM in tunnel mode, and the largest packet that fits, both tried out. */
async function showOverhead({ moon }: Ground, read: () => Buffer): Promise<void> {
  const fits = async (bytes: number): Promise<boolean> => {
    const { code } = await moon.shell.run(`ping -n -q -c 1 -W 1 -M do -s ${bytes - 28} -I 10.1.0.10 10.2.0.10`)
    return code === 0
  }
  let [most, tooMuch] = [1300, 1501]
  while (tooMuch - most > 1) {
    const middle = (most + tooMuch) >> 1
    if (await fits(middle)) most = middle
    else tooMuch = middle
  }
  const wire = readCapture(read()).largestEsp
  say(`MTU: of 1500 bytes on the wire ${most} are left inside the tunnel, an overhead of ${1500 - most} bytes;`)
  say(`     the largest packet of ${most} bytes crossed as ${wire} bytes.`)
}

function say(text: string): void {
  tell({ kind: 'line', text })
}

function tell(event: DemoEvent): void {
  appendFileSync('/lab/events', `${JSON.stringify(event)}\n`)
}
