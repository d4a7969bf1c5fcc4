import { Draw } from './draw.ts'
import { Forger } from './forger.ts'
import type { Host } from './host.ts'
import { meshRun } from './mesh-run.ts'
import { type PairOptions, pair } from './pair.ts'
import { watchSafety } from './safety.ts'
import { actionTable } from './sweep-actions.ts'
import { liveness } from './sweep-end.ts'
import { drawPlan, type Plan } from './sweep-plan.ts'
import { runUntil } from './sweep-time.ts'
import type { World } from './world.ts'

/** Two hosts with every option, or 3 to 6 nodes with a few. */
export type Kind = 'pair' | 'mesh'

export interface SweepResult {
  readonly seed: number
  readonly kind: Kind
  /** Names all outputs of all hosts. */
  readonly digest: string
  /** What was drawn, in one line. */
  readonly summary: string
  /** Which of the things worth meeting the run has met. */
  readonly marks: readonly string[]
  readonly failure?: string
  readonly drawing?: string
}

/** What a seed draws: one in eight is a mesh. */
export function kindOf(seed: number): Kind {
  return new Draw(seed + 0x1_0000_0000).below(8) === 0 ? 'mesh' : 'pair'
}

/** Runs a seed: a troubled time, in which safety must hold; then the network heals, and everything must come up. */
export function sweepRun(seed: number, always = false, journal?: TakeLine, kind: Kind = kindOf(seed)): SweepResult {
  if (kind === 'pair') return pairRun(seed, always, journal)
  const { hosts, story, failure, ...said } = meshRun(seed, journal)
  const drawing = (always || failure !== undefined) && { drawing: story }
  return { seed, kind, ...said, marks: marksOf(hosts), ...drawing, ...(failure !== undefined && { failure }) }
}

function pairRun(seed: number, always: boolean, journal: TakeLine | undefined): SweepResult {
  const kind = 'pair'
  const draw = new Draw(seed)
  const plan = drawPlan(draw, seed)
  const world = pair(journal === undefined ? plan.options : withJournals(plan.options, journal))
  const digest = (): string => world.hosts.map((host) => host.digest()).join(' ')
  const { summary } = plan
  try {
    watchSafety(world)
    if (plan.forged) forgeAt(world, seed)
    troubledTime(world, plan, draw)
    liveness(world, plan, draw)
    return {
      seed,
      kind,
      digest: digest(),
      summary,
      marks: marksOf(world.hosts),
      ...(always && { drawing: world.ladder.toString() }),
    }
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const marks = marksOf(world.hosts)
    return { seed, kind, digest: digest(), summary, marks, failure, drawing: world.ladder.toString() }
  }
}

/** Takes a line of the journal of a host. */
export type TakeLine = (host: string, line: string) => void

function withJournals(options: PairOptions, take: TakeLine): PairOptions {
  const left = { ...options.left, journal: (line: string) => take('left', line) }
  const right = { ...options.right, journal: (line: string) => take('right', line) }
  return { ...options, left, right }
}

/** A stranger's messages come more often than anybody looks whether the peer is alive. */
function forgeAt(world: World, seed: number): void {
  const forger = new Forger(new Draw(seed), 4)
  world.visitor = {
    get next() {
      return forger.next
    },
    act: () => forger.act(world.hosts, world.net, world.now),
  }
}

/** What a sweep should meet often enough to mean something, by what the hosts log. */
export const marks: Readonly<Record<string, RegExp>> = {
  'IKE SA established': /IKE_SA .* established/,
  'a second child on an IKE SA': /generating CREATE_CHILD_SA request/,
  'additional key exchange': /generating IKE_INTERMEDIATE request/,
  'additional key exchange of a rekeying': /generating IKE_FOLLOWUP_KE request/,
  'additional key exchange refused': /generating IKE_FOLLOWUP_KE response \d+ \[ N\(/,
  'cookie demanded': /generating IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/,
  'another group': /generating IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/,
  'cookie, then another group': /generating IKE_SA_INIT request 0 \[ N\(COOKIE\)/,
  'request sent again': /^retransmit \d/,
  'answer sent again': /retransmitting response/,
  'given up': /giving up after/,
  'half-open SA removed': /deleting half open/,
  fragments: /reassembled fragmented/,
  'NAT found': /is behind NAT/,
  'initial contact': /received INITIAL_CONTACT/,
  acquire: /creating acquire job/,
  'kernel refused': /failed: (ENOMEM|EPERM|EPROTONOSUPPORT)/,
  'Child SA rekeyed': /generating CREATE_CHILD_SA response \d+ \[ (?!N\().*TSi/,
  'IKE SA rekeyed': /IKE_SA .* rekeyed between/,
  reauthenticated: /reauthenticating IKE_SA/,
  'started again': /restarting CHILD_SA/,
  'looked after later': /looking after CHILD_SA/,
  'another path found': /found a path from/,
  'the responder moved': /implicitly requesting an address change/,
  'crossing first contacts': /both sides began an IKE_SA at once/,
  'told to try later': /N\(TEMP_FAIL\)/,
  'liveness checked': /sending DPD request/,
  'a window above 1': /^peer takes [2-4] requests/,
  'DELETE of a child': /received DELETE for ESP/,
  'DELETE of an IKE SA': /received DELETE for IKE_SA/,
  'DELETE of what is gone': /CHILD_SA not found/,
  'another authentication round': /generating IKE_AUTH request \d+ .*N\(AUTH_FOLLOWS\)/,
  redirected: /redirected to/,
  'certificate looked up': /^fetching certificate/,
  'PPK used': /using PPK for PPK_ID/,
  'packets compressed': /generating .* response .*N\(IPCOMP_SUP\)/,
  'virtual IP given': /assigning virtual IP/,
  'virtual IP kept': /reassigning (offline|online) lease/,
  'forged or broken message': /ignoring|invalid|could not decrypt|verification failed/,
}

function marksOf(hosts: readonly Host[]): string[] {
  const messages = hosts.flatMap(({ logs }) => logs.map(({ message }) => message))
  return Object.entries(marks).flatMap(([name, mark]) => (messages.some((text) => mark.test(text)) ? [name] : []))
}

function troubledTime(world: World, plan: Plan, draw: Draw): void {
  const start = world.now
  world.net.faults = {
    loss: plan.loss,
    duplication: plan.duplication,
    corruption: plan.corruption,
    leastDelayMs: 0,
    mostDelayMs: plan.mostDelayMs,
  }
  for (const { atMs, steps, name } of plan.actions) {
    runUntil(world, draw, start + atMs, steps)
    world.ladder.note('left', `* ${name}`, world.now)
    actionTable[name].act(world, draw, plan)
    world.onStep?.()
    if (plan.cookies && draw.chance(0.7)) halfOpen(world)
  }
  runUntil(world, draw, world.now + draw.pick([1, 10, 60]) * 1000)
}

/** Somebody else begins an IKE SA with each host that is being spoken to, so that cookies are demanded. */
function halfOpen(world: World): void {
  for (const { from, bytes } of world.net.flights) {
    if (bytes[18] !== 34 || bytes[19] !== 0x08) continue // an IKE_SA_INIT request
    const other = Uint8Array.from(bytes)
    other[0] = (other[0] ?? 0) ^ 0xff
    world.inject(world.peer(world.host(from)), { address: '203.0.113.7', port: 500 }, other)
    return
  }
}
