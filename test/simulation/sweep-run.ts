/** One run of the sweep: everything in it is drawn from its seed. */
import assert from 'node:assert/strict'
import type { ConfiguredProposal } from '../../src/config/connection.ts'
import type { SaSelector } from '../../src/ike/input.ts'
import { ENCR, ESN, INTEG, KE } from '../../src/wire/numbers.ts'
import {
  type AuthName,
  encr,
  espProposal,
  hybridEsp,
  hybridProposal,
  ikeProposal,
  integ,
  subnet,
} from './connection.ts'
import { Draw } from './draw.ts'
import { carries, nothingLeaks, onlyChild, onlySa, packetOfChild, sameSingleChild } from './expect.ts'
import { Forger } from './forger.ts'
import { byUrl } from './hash-and-url.ts'
import type { Host } from './host.ts'
import { meshRun } from './mesh-run.ts'
import { noFaults } from './network.ts'
import { configure, connectionOf, kernelOf, type PairOptions, pair } from './pair.ts'
import { type PpkChoice, ppkChoices, withPpks } from './ppk.ts'
import { machineAndUser, type Twice } from './rounds.ts'
import { checkCarried, Violation, watchSafety } from './safety.ts'
import { roadWarrior, v4Pool, v6Pool } from './virtual-ip.ts'
import type { Carried, World } from './world.ts'

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

interface Plan {
  readonly options: PairOptions
  readonly loss: number
  readonly duplication: number
  readonly mostDelayMs: number
  readonly corruption: number
  /** Things that happen: at that time, or so many steps after the one before if that is earlier. */
  readonly actions: readonly { readonly atMs: number; readonly steps: number; readonly name: ActionName }[]
  readonly cookies: boolean
  /** The left one asks for virtual IPs. */
  readonly virtual: boolean
  /** Somebody on the path forges messages all the time. */
  readonly forged: boolean
  readonly summary: string
}

type ActionName =
  | 'left initiates'
  | 'right initiates'
  | 'both initiate'
  | 'left initiates everything'
  | 'right initiates more'
  | 'left terminates the child'
  | 'right terminates the child'
  | 'left terminates the IKE SA'
  | 'right terminates the IKE SA'
  | 'both terminate the IKE SA'
  | 'a packet from left'
  | 'a packet from right'
  | 'the NAT forgets'
  | 'the network is cut'
  | 'the network is back'
  | 'the left kernel refuses'
  | 'the right kernel refuses'
  | 'left rekeys the child'
  | 'right rekeys the child'
  | 'both rekey the child'
  | 'left rekeys all children'
  | 'both rekey all children'
  | 'left rekeys the IKE SA'
  | 'right rekeys the IKE SA'
  | 'both rekey the IKE SA'
  | 'left reauthenticates'
  | 'right reauthenticates'
  | 'both reauthenticate'
  | 'right sends left away'
  | 'left crashes'
  | 'right crashes'
  | 'an old datagram comes again'
  | 'left installs a trap'
  | 'left uninstalls a trap'
  | 'left loads another connection'
  | 'left loads the connection again'
  | 'left unloads the connection'
  | 'an address comes and goes'
  | 'left moves'
  | 'right moves'
  | 'left comes home'
  | 'right comes home'
  | 'the calendar of left jumps'
  | 'the calendar of right jumps'
  | 'left is stopped for a while'
  | 'right is stopped for a while'
  | 'the jobs of left are slow'
  | 'the jobs of right are slow'

interface Action {
  readonly weight: number
  readonly act: (world: World, draw: Draw, plan: Plan) => void
}

const actionTable: Readonly<Record<ActionName, Action>> = {
  'left initiates': { weight: 6, act: ({ left }) => initiate(left) },
  'right initiates': { weight: 3, act: ({ right }) => initiate(right) },
  'both initiate': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) initiate(host)
    },
  },
  'left initiates everything': {
    weight: 3,
    act: ({ left }, _draw, { options }) => {
      initiate(left)
      if (options.more) initiate(left, 'more')
    },
  },
  'right initiates more': {
    weight: 2,
    act: ({ right }, _draw, { options }) => {
      if (options.more) initiate(right, 'more')
    },
  },
  'left terminates the child': { weight: 2, act: ({ left }, draw) => terminate(left, { child: 'net' }, draw) },
  'right terminates the child': { weight: 2, act: ({ right }, draw) => terminate(right, { child: 'net' }, draw) },
  'left terminates the IKE SA': { weight: 2, act: ({ left }, draw) => terminate(left, { ike: 'lab' }, draw) },
  'right terminates the IKE SA': { weight: 2, act: ({ right }, draw) => terminate(right, { ike: 'lab' }, draw) },
  'both terminate the IKE SA': {
    weight: 1,
    act: ({ hosts }, draw) => {
      for (const host of hosts) terminate(host, { ike: 'lab' }, draw)
    },
  },
  'a packet from left': { weight: 4, act: (world) => packet(world, world.left) },
  'a packet from right': { weight: 2, act: (world) => packet(world, world.right) },
  'the NAT forgets': {
    weight: 1,
    act: ({ net }) => {
      for (const box of net.nats) box.rebind()
    },
  },
  'the network is cut': {
    weight: 1,
    act: ({ net }) => {
      net.partitioned = true
    },
  },
  'the network is back': {
    weight: 2,
    act: ({ net }) => {
      net.partitioned = false
    },
  },
  'the left kernel refuses': { weight: 1, act: ({ left }, draw) => refuse(left, draw) },
  'the right kernel refuses': { weight: 1, act: ({ right }, draw) => refuse(right, draw) },
  'left rekeys the child': { weight: 2, act: ({ left }) => rekey(left, { child: 'net' }) },
  'right rekeys the child': { weight: 2, act: ({ right }) => rekey(right, { child: 'net' }) },
  'both rekey the child': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { child: 'net' })
    },
  },
  'left rekeys all children': { weight: 2, act: ({ left }) => rekeyAll(left) },
  'both rekey all children': { weight: 2, act: ({ hosts }) => hosts.forEach(rekeyAll) },
  'left rekeys the IKE SA': { weight: 2, act: ({ left }) => rekey(left, { ike: 'lab' }) },
  'right rekeys the IKE SA': { weight: 2, act: ({ right }) => rekey(right, { ike: 'lab' }) },
  'both rekey the IKE SA': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { ike: 'lab' })
    },
  },
  'left reauthenticates': { weight: 2, act: ({ left }) => rekey(left, { ike: 'lab' }, true) },
  'right reauthenticates': { weight: 2, act: ({ right }) => rekey(right, { ike: 'lab' }, true) },
  'both reauthenticate': {
    weight: 1,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { ike: 'lab' }, true)
    },
  },
  'right sends left away': { weight: 2, act: sendAway },
  'left crashes': { weight: 2, act: (world, _draw, { options }) => crash(world, 'left', options) },
  'right crashes': { weight: 2, act: (world, _draw, { options }) => crash(world, 'right', options) },
  'an old datagram comes again': {
    weight: 3,
    act: ({ net, now }, draw) => {
      if (net.past.length > 0) net.duplicate({ ...draw.pick(net.past), at: now })
    },
  },
  'left installs a trap': {
    weight: 1,
    // A trap for virtual IPs would have to know them.
    act: ({ left }, _draw, { virtual }) => {
      if (!virtual) left.command({ kind: 'install', child: 'net' })
    },
  },
  'left uninstalls a trap': { weight: 1, act: ({ left }) => left.command({ kind: 'uninstall', child: 'net' }) },
  'left loads another connection': {
    weight: 1,
    act: ({ left }, _draw, { options }) => {
      const before = connectionOf('left', options)
      const children = before.children.map((child) => ({ ...child, inactivitySeconds: 1000 }))
      left.command({ kind: 'load-connection', connection: { ...before, children } })
    },
  },
  'left loads the connection again': {
    weight: 1,
    act: ({ left }, _draw, { options }) => load(left, options),
  },
  'left unloads the connection': {
    weight: 1,
    act: ({ left }) => left.command({ kind: 'unload-connection', name: 'lab' }),
  },
  'an address comes and goes': {
    weight: 1,
    act: ({ left }) => {
      const { addresses, addedAddresses } = left.kernel
      left.kernel.readdress(addresses.filter((address) => !addedAddresses.includes(address)))
      left.passKernelEvents()
    },
  },
  'left moves': { weight: 2, act: (world, draw, { options }) => move(world, world.left, options, draw) },
  'right moves': { weight: 1, act: (world, draw, { options }) => move(world, world.right, options, draw) },
  'left comes home': { weight: 1, act: ({ left }, _draw, { options }) => comeHome(left, options) },
  'right comes home': { weight: 1, act: ({ right }, _draw, { options }) => comeHome(right, options) },
  'the calendar of left jumps': { weight: 1, act: ({ left }, draw) => jump(left, draw) },
  'the calendar of right jumps': { weight: 1, act: ({ right }, draw) => jump(right, draw) },
  'left is stopped for a while': { weight: 1, act: ({ left, now }, draw) => stop(left, now, draw) },
  'right is stopped for a while': { weight: 1, act: ({ right, now }, draw) => stop(right, now, draw) },
  'the jobs of left are slow': { weight: 1, act: ({ left, now }, draw) => slow(left, now, draw) },
  'the jobs of right are slow': { weight: 1, act: ({ right, now }, draw) => slow(right, now, draw) },
}

/** To one of some other addresses, behind the NAT where the host lives or out of it. In tunnel mode: the selectors stay. */
function move({ net }: World, host: Host, options: PairOptions, draw: Draw): void {
  const { outer = 4, mode } = options
  if (mode === 'transport' || options.connection?.mobike === false) return
  const name = host.name === 'left' ? 1 : 2
  const number = draw.between(1, 3)
  const [home = '', ...others] = kernelOf(host.name === 'left' ? 'left' : 'right', options).addresses
  const box = draw.chance(0.5) ? net.nats.find((nat) => nat.isInside(home)) : undefined
  const outside = outer === 6 ? `2001:db8:${name}::${number}` : `203.0.113.${name * 10 + number}`
  const elsewhere = box === undefined ? outside : `10.0.${name}.${10 + number}`
  box?.hide(elsewhere)
  host.kernel.readdress([elsewhere, ...others])
  host.passKernelEvents()
}

/** By a time server, or by hand. */
function jump(host: Host, draw: Draw): void {
  host.calendarMs += draw.pick([-86_400, -3600, -5, 5, 3600, 86_400]) * 1000
}

/** A virtual machine that is moved, a laptop that sleeps: then everything that was due happens at once. */
function stop(host: Host, now: number, draw: Draw): void {
  host.stalledUntil = now + draw.pick([3, 40, 400, 4000]) * 1000
}

/** Its kernel and its workers have much to do; messages and timers come all the same. */
function slow(host: Host, now: number, draw: Draw): void {
  host.slowUntil = now + draw.pick([1, 10, 60]) * 1000
}

/** Who is at home hears nothing: a look at the addresses would also find a peer that is gone. */
function comeHome(host: Host, options: PairOptions): void {
  const { addresses } = kernelOf(host.name === 'left' ? 'left' : 'right', options)
  const { kernel } = host
  const now = kernel.addresses.filter((address) => !kernel.addedAddresses.includes(address))
  if (now.join(' ') === addresses.join(' ')) return
  kernel.readdress(addresses)
  host.passKernelEvents()
}

function load(host: Host, options: PairOptions): void {
  host.command({ kind: 'load-connection', connection: connectionOf(host.name === 'left' ? 'left' : 'right', options) })
}

function initiate(host: Host, child = 'net'): void {
  host.command({ kind: 'initiate', child, timeoutMs: 0 })
}

function terminate(host: Host, select: SaSelector, draw: Draw): void {
  host.command({ kind: 'terminate', select, force: draw.chance(0.1), timeoutMs: 0 })
}

function rekey(host: Host, select: SaSelector, reauth = false): void {
  host.command({ kind: 'rekey', select, reauth })
}

/** To the gateway that it is already: all that belongs to it happens all the same. */
function sendAway({ left, right }: World): void {
  const address = left.sas()[0]?.remote.address
  if (address === undefined) return
  right.command({ kind: 'redirect', select: { ike: 'lab' }, gateway: { kind: 'address', address } })
}

function rekeyAll(host: Host): void {
  for (const child of ['net', 'more']) rekey(host, { child })
}

/** Power off and on: the host knows its configuration and nothing else. */
function crash(world: World, side: 'left' | 'right', options: PairOptions): void {
  world.host(side).restart()
  configure(world, side, options)
}

/** What takes away a child that a host keeps up, and is meant to: by its own command, or for want of a configuration. */
const ends: Readonly<Record<'left' | 'right', RegExp>> = {
  left: /left terminates|loads|both terminate/,
  right: /right terminates|right sends|loads|both terminate/,
}

/** Whether one of the hosts has to see to it that the child is up in the end. */
function mustBeUp({ options, actions, virtual }: Plan): boolean {
  // Who gives virtual IPs cannot begin.
  const sides = virtual ? (['left'] as const) : (['left', 'right'] as const)
  return sides.some(
    (side) => options[side]?.child?.dpdAction?.start && !actions.some(({ name }) => ends[side].test(name)),
  )
}

/** The child is up, and packets cross both ways; a rekeying under way may cost a packet. */
function isUp(world: World, draw: Draw): void {
  for (const host of world.hosts) {
    const tries = Array.from({ length: 5 }, () => {
      runFor(world, draw, 3)
      const child = host
        .sas()
        .flatMap(({ children }) => children.filter(({ name, state }) => name === 'net' && state === 'INSTALLED'))[0]
      const packet = child && packetOfChild(child)
      return packet ? world.carry(host, packet) : 'nothing is up'
    })
    assert.ok(tries.includes('protected'), `${host.name} was to keep the child up: ${tries.join(', ')}`)
  }
}

function refuse({ kernel }: Host, draw: Draw): void {
  const kinds = ['allocate-spi', 'install-sa', 'install-policy', 'add-route', 'route-lookup', 'add-address'] as const
  kernel.refuse({
    kind: draw.pick(kinds),
    nth: draw.between(1, 3),
    errno: draw.pick(['ENOMEM', 'EPROTONOSUPPORT', 'EPERM']),
  })
}

function drawPlan(draw: Draw, seed: number): Plan {
  const auth = draw.weighted({ psk: 12, p256: 3, ed25519: 3, rsa2048: 1, p384: 1 }) satisfies AuthName
  const rightAuth = draw.chance(0.1) ? ('psk' as const) : auth
  const outer = draw.chance(0.2) ? 6 : 4
  const inner = draw.chance(0.2) ? 6 : outer
  const nat = outer === 4 && draw.chance(0.3) ? draw.pick(['left', 'right', 'both'] as const) : undefined
  const mode = draw.chance(0.2) ? 'transport' : 'tunnel'
  const ike = drawIke(draw)
  const esp = drawEsp(draw)
  const start = draw.weighted({ none: 4, 'left traps': 2, 'both trap': 1, 'left starts': 1, 'both start': 1 })
  const action = (side: 'left' | 'right'): { trap: boolean; start: boolean } => ({
    trap: start === 'both trap' || start === `${side} traps`,
    start: start === 'both start' || start === `${side} starts`,
  })
  const keeps = start.includes('start') && draw.chance(0.6)
  const keepUp = (side: 'left' | 'right') =>
    keeps && action(side).start
      ? { dpdAction: { trap: false, start: true }, closeAction: { trap: false, start: true } }
      : {}
  const narrow = mode === 'tunnel' && draw.chance(0.15)
  const cookies = draw.chance(0.2)
  const virtual = mode === 'tunnel' && !start.includes('trap') && draw.chance(0.4)
  const window = (): number => draw.pick([1, 1, 2, 3, 4])
  const windows = [window(), window()] as const
  const rare = new Draw(seed + 1_000_003) // of its own, so that older runs stay as they were
  const plain: PairOptions = {
    seed,
    more: mode === 'tunnel' && !virtual && draw.chance(0.5),
    outer,
    inner: mode === 'transport' ? outer : inner,
    mode,
    left: {
      auth,
      settings: { windowSize: windows[0] },
      child: { startAction: action('left'), ...keepUp('left') },
      ...(ike.left && { connection: { proposals: ike.left } }),
    },
    right: {
      auth: rightAuth,
      settings: { windowSize: windows[1] },
      child: {
        // A trap needs an address to go to.
        ...(nat === 'left' || nat === 'both' ? {} : { startAction: action('right'), ...keepUp('right') }),
        ...(narrow && { localTs: [subnet(inner === 6 ? 'fd00:2::/80' : '10.2.0.0/24')] }),
      },
      ...(ike.right && { connection: { proposals: ike.right } }),
    },
    esp,
    ...(nat && { nat }),
    settings: {
      fragmentSize: draw.pick([0, 1280, 1280, 576, 400]),
      cookieThreshold: cookies ? 1 : 30,
      replayWindow: draw.pick([32, 32, 64, 4096]),
      retransmitTries: draw.pick([5, 5, 3]),
      preferConfiguredProposals: draw.chance(0.8),
    },
    connection: {
      mobike: draw.chance(0.7),
      childless: draw.pick(['allow', 'allow', 'prefer', 'force'] as const),
      encap: draw.chance(0.1),
      dpdDelaySeconds: keeps ? 10 : draw.pick([0, 0, 10]),
      keyingTries: draw.pick([1, 1, 0]),
      ...(draw.chance(0.2) && { rekeySeconds: 90, randSeconds: 20, overSeconds: 30 }),
    },
    child: {
      ...(draw.chance(0.2) && { lifetimeSeconds: { rekey: 60, life: 80, rand: 20 } }),
      ipcomp: draw.chance(0.25),
      ...(rare.chance(0.2) && { label: 'secret' }),
      policiesFwdOut: rare.chance(0.2),
    },
  }
  const twice = auth === rightAuth && draw.chance(0.15) ? draw.pick(['left', 'right', 'both'] as const) : undefined
  const rounds = twice ? withRounds(plain, twice, auth, draw.pick(['psk', 'ed25519'])) : plain
  const urls = auth !== 'psk' && draw.chance(0.3)
  const proven = urls ? byUrl(rounds, auth) : rounds
  const ppk = draw.chance(0.15) ? draw.pick(Object.keys(ppkChoices) as PpkChoice[]) : undefined
  const mixed = ppk ? withPpks(proven, ppk) : proven
  const options = virtual ? drawVirtual(draw, mixed) : mixed
  const calm = draw.chance(0.15)
  const loss = calm ? 0 : draw.pick([0, 0.05, 0.2, 0.4, 0.6])
  const duplication = calm ? 0 : draw.pick([0, 0.1, 0.5])
  const mostDelayMs = draw.pick([0, 20, 500, 5000])
  const corruption = calm ? 0 : draw.pick([0, 0, 0.1])
  const seconds = draw.pick([1, 5, 30, 120])
  const quick = draw.chance(0.5)
  const actions = Array.from({ length: draw.between(1, quick ? 12 : 6) }, () => ({
    atMs: draw.below(seconds * 1000),
    steps: quick ? draw.below(20) : Number.POSITIVE_INFINITY,
    name: drawAction(draw),
  })).sort((a, b) => a.atMs - b.atMs)
  // What is kept up shall meet what takes it away without a word.
  if (keeps && draw.chance(0.5)) {
    const name = draw.pick(['left crashes', 'right crashes', 'the calendar of left jumps'] as const)
    actions.push({ atMs: seconds * 1000, steps: Number.POSITIVE_INFINITY, name })
    if (draw.chance(0.5)) actions.push({ atMs: seconds * 1000, steps: 0, name: 'right crashes' })
  }
  const first = {
    atMs: 0,
    steps: 0,
    name: draw.pick(['left initiates', 'left initiates', 'a packet from left'] as const),
  }
  const forged = draw.chance(keeps ? 0.5 : 0.2)
  const summary = [
    auth === rightAuth ? auth : `${auth}/${rightAuth}`,
    `v${options.inner} in v${outer}`,
    mode,
    ...(nat ? [`NAT ${nat}`] : []),
    ...(twice ? [`${twice} twice`] : []),
    ...(urls ? ['hash and URL'] : []),
    ...(ppk ? [ppk] : []),
    ...(ike.summary ? [ike.summary] : []),
    ...(start === 'none' ? [] : [start]),
    ...(keeps ? ['kept up'] : []),
    ...(options.child?.ipcomp ? ['ipcomp'] : []),
    ...(options.child?.label ? ['label'] : []),
    ...(options.child?.policiesFwdOut ? ['forward policies'] : []),
    ...(narrow ? ['narrowed'] : []),
    ...(virtual ? [`virtual ${options.left?.connection?.vips?.join(' ')}`] : []),
    ...(cookies ? ['cookies'] : []),
    ...(forged ? ['forged messages'] : []),
    ...(plain.more ? ['two children'] : []),
    `windows ${windows.join(' and ')}`,
    `loss ${loss}, twice ${duplication}, changed ${corruption}, delay ${mostDelayMs} ms`,
    [first, ...actions].map(({ name }) => name).join(', '),
  ].join('; ')
  const drawn = { options, loss, duplication, corruption, mostDelayMs, cookies, virtual, forged, summary }
  return { ...drawn, actions: [first, ...actions] }
}

/** The same with a second authentication round of one side or both. */
function withRounds(options: PairOptions, who: Twice, first: AuthName, second: AuthName): PairOptions {
  const { left, right } = machineAndUser(who, first, second)
  return {
    ...options,
    left: { ...options.left, ...left, connection: { ...options.left?.connection, ...left?.connection } },
    right: { ...options.right, ...right, connection: { ...options.right?.connection, ...right?.connection } },
  }
}

/** The left one has no network but asks for an address; the right one has enough of them, or just one. */
function drawVirtual(draw: Draw, options: PairOptions): PairOptions {
  const { inner = 4 } = options
  const any = inner === 6 ? '::' : '0.0.0.0'
  const other = inner === 6 ? '0.0.0.0' : '::'
  const pools = [v4Pool, v6Pool].map((pool) => ({
    ...pool,
    size: draw.pick([1, 2, 254]),
    attributes: draw.chance(0.5) ? [{ name: 'dns', values: ['10.2.0.53'] }] : [],
  }))
  const vips = draw.pick([[any], [any, other], [inner === 6 ? 'fec7::1' : '10.77.0.1']])
  return roadWarrior({ ...options, vips, pools, families: [inner] })
}

function drawAction(draw: Draw): ActionName {
  const weights = Object.entries(actionTable).map(([name, { weight }]) => [name, weight] as const)
  // Object.fromEntries forgets the names' type.
  return draw.weighted(Object.fromEntries(weights) as Record<ActionName, number>)
}

interface IkeChoice {
  readonly left?: readonly ConfiguredProposal[]
  readonly right?: readonly ConfiguredProposal[]
  readonly summary?: string
}

/** Cheap groups most of the time: a run shall take milliseconds. */
function drawIke(draw: Draw): IkeChoice {
  switch (
    draw.weighted({ same: 6, ecp: 2, cbc: 2, 'other group first': 3, several: 1, hybrid: 1, 'hybrid first': 1 })
  ) {
    case 'ecp': {
      const proposals = [ikeProposal([draw.pick([KE.ECP_256, KE.ECP_256, KE.ECP_384])])]
      return { left: proposals, right: proposals }
    }
    case 'cbc': {
      const proposals = [ikeProposal([KE.CURVE_25519], false)]
      return { left: proposals, right: proposals }
    }
    case 'other group first':
      return {
        left: [ikeProposal([KE.ECP_256, KE.CURVE_25519])],
        right: [ikeProposal([KE.CURVE_25519])],
        summary: 'other group first',
      }
    case 'hybrid': {
      // x25519-ke1_mlkem768, sometimes with a second one after it.
      const proposals = [hybridProposal([KE.ML_KEM_768], ...(draw.chance(0.3) ? [[KE.ECP_256]] : []))]
      return { left: proposals, right: proposals, summary: 'hybrid' }
    }
    case 'hybrid first':
      return {
        left: [hybridProposal([KE.ML_KEM_512, KE.ML_KEM_768]), ikeProposal()],
        right: draw.chance(0.5) ? [ikeProposal(), hybridProposal([KE.ML_KEM_768])] : [ikeProposal()],
        summary: 'hybrid first',
      }
    case 'several':
      return {
        left: [ikeProposal([KE.ECP_384]), ikeProposal([KE.CURVE_25519], false), ikeProposal()],
        right: [ikeProposal([KE.CURVE_25519, KE.ECP_256])],
        summary: 'several proposals',
      }
    default:
      return {}
  }
}

function drawEsp(draw: Draw): readonly ConfiguredProposal[] {
  const esn = draw.pick([[ESN.NO_ESN], [ESN.ESN], [ESN.ESN, ESN.NO_ESN]])
  const gcm = espProposal([encr(ENCR.AES_GCM_16, draw.pick([128, 256]))], esn)
  const cbc = espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)], esn)
  const chacha = espProposal([encr(ENCR.CHACHA20_POLY1305)], esn)
  const hybrid = hybridEsp([[KE.ML_KEM_512], ...(draw.chance(0.3) ? [[KE.ECP_256]] : [])], gcm)
  return draw.pick([[gcm], [cbc], [chacha], [chacha, gcm], [gcm, cbc], [hybrid], [hybrid, gcm]])
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

/** A packet by the selectors of what is up or trapped, which must not leave as it is; else any between the subnets. */
function packet(world: World, from: Host): void {
  const child = from.sas().flatMap(({ children }) => children.filter(({ state }) => state === 'INSTALLED'))[0]
  const answer = from.command({ kind: 'list-policies' })()
  const protector = child ?? (answer?.kind === 'policies' ? answer.policies[0] : undefined)
  const packet = protector && packetOfChild(protector)
  const selected = packet !== undefined
  const carried = selected ? world.carry(from, packet) : carries(world, from)
  world.ladder.note(from.name, `* a packet: ${carried}`, world.now)
  checkCarried(carried, from, world.peer(from), selected && from.jobs.length === 0)
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

function liveness(world: World, plan: Plan, draw: Draw): void {
  world.net.faults = { ...noFaults, mostDelayMs: 10 }
  world.net.partitioned = false
  for (const host of world.hosts) {
    host.kernel.forgive()
    host.stalledUntil = Math.min(host.stalledUntil, world.now)
    host.slowUntil = Math.min(host.slowUntil, world.now)
  }
  for (const host of world.hosts) comeHome(host, plan.options)
  world.ladder.note('left', '* the network heals', world.now)
  if (mustBeUp(plan)) {
    // Time for the liveness check to fail, for the attempt under way to be given up, and for the longest pause.
    runFor(world, draw, 900)
    isUp(world, draw)
  }
  for (const host of world.hosts) load(host, withoutLimits(plan.options))
  // Longer than all retransmissions of one exchange, and than an acquire is held.
  runFor(world, draw, 400)
  for (const host of world.hosts) assert.equal(host.jobs.length, 0, `${host.name} has jobs that do not end`)
  if ((plan.options.connection?.dpdDelaySeconds ?? 0) > 0) noneIsAlone(world)
  for (const host of world.hosts) if (host.sas().some(({ children }) => children.length > 0)) packet(world, host)
  runFor(world, draw, 30)
  world.ladder.note('left', '* both terminate everything', world.now)
  for (const host of world.hosts)
    host.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  runFor(world, draw, 400)
  for (const host of world.hosts) assert.deepEqual(host.sas(), [], `${host.name} keeps an IKE SA that was terminated`)
  bringUp(world, plan, draw)
  sameSingleChild(world)
  assert.equal(onlySa(world.left).initiator, true)
  assert.equal(onlyChild(world.left).state, 'INSTALLED')
  assert.equal(onlySa(world.left).localVips.length > 0, plan.virtual)
  for (const host of world.hosts) {
    for (const select of [{ child: 'net' }, { ike: 'lab' }]) {
      world.ladder.note(host.name, `* rekey ${JSON.stringify(select)}`, world.now)
      runUnderTraffic(world, draw, 20, () => rekey(host, select))
      sameSingleChild(world)
    }
  }
  world.ladder.note('left', '* reauthenticate', world.now)
  runUnderTraffic(world, draw, 20, () => rekey(world.left, { ike: 'lab' }, true))
  sameSingleChild(world)
  world.ladder.note('left', '* both shut down', world.now)
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  runFor(world, draw, 400)
  nothingLeaks(world)
}

/** RFC 7296 §2.4: who looks whether the peer is alive has no IKE SA that the peer does not have. */
function noneIsAlone(world: World): void {
  for (const host of world.hosts) {
    const theirs = new Set(
      world
        .peer(host)
        .sas()
        .map(({ spiI, spiR }) => `${spiI} ${spiR}`),
    )
    for (const { state, spiI, spiR, uniqueId } of host.sas()) {
      if (state !== 'ESTABLISHED' || theirs.has(`${spiI} ${spiR}`)) continue
      throw new Violation(`${host.name} has IKE SA ${uniqueId} and does not see that the peer has it no more`)
    }
  }
}

/** The same with lifetimes that are not reached: what is looked at in the end shall hold still. */
function withoutLimits(options: PairOptions): PairOptions {
  const { lifetimeSeconds: _, ...child } = options.child ?? {}
  return {
    ...options,
    child,
    connection: { ...options.connection, rekeySeconds: 14400, randSeconds: 0, overSeconds: 1440 },
  }
}

/** By a packet where there is a trap, else by command. */
function bringUp(world: World, plan: Plan, draw: Draw): void {
  const { left } = world
  if (plan.options.left?.child?.startAction?.trap) {
    left.command({ kind: 'install', child: 'net' })
    runFor(world, draw, 1)
    packet(world, left)
  } else {
    left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  }
  runFor(world, draw, 20)
}

function runFor(world: World, draw: Draw, seconds: number): void {
  runUntil(world, draw, world.now + seconds * 1000)
}

/**
 * Each host sends packets all the while. Some wait for a few steps between the choice of their way and their way out, as on
 * a busy processor: between hosts that rekey, over a network that loses nothing, none is lost.
 */
function runUnderTraffic(world: World, draw: Draw, seconds: number, action: () => void): void {
  const packets = world.hosts.map((host) => packetOfChild(onlyChild(host)))
  action()
  const longestMs = 500
  const until = world.now + seconds * 1000
  let chosen: { readonly host: Host; readonly atMs: number; readonly go: () => Carried }[] = []
  do {
    const going = chosen.filter(({ atMs }) => world.now - atMs <= longestMs && draw.chance(0.5))
    chosen = chosen.filter((one) => !going.includes(one) && world.now - one.atMs <= longestMs)
    for (const { host, go } of going) {
      const carried = go()
      if (carried !== 'protected') throw new Violation(`a packet of ${host.name} was lost on its way: ${carried}`)
    }
    for (const [i, host] of world.hosts.entries()) {
      const packet = packets[i]
      assert.ok(packet !== undefined)
      chosen.push({ host, atMs: world.now, go: world.begin(host, packet) })
    }
  } while (world.step(draw, until))
  world.now = Math.max(world.now, until)
}

function runUntil(world: World, draw: Draw, until: number, most: number = Number.POSITIVE_INFINITY): void {
  for (let steps = 0; world.step(draw, until); steps++) {
    if (steps >= most) return
    if (steps > 50_000) throw new Error('the hosts do not come to rest')
  }
  world.now = Math.max(world.now, until)
}
