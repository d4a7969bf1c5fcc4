/** Two hosts that are configured for each other, as a scenario wants them. */
import type { ChildConfig, ConfiguredProposal, Connection } from '../../src/config/connection.ts'
import { type CoreSettings, defaultCoreSettings } from '../../src/config/daemon-settings.ts'
import type { Pool } from '../../src/config/pools.ts'
import type { Credentials } from '../../src/ike/credentials.ts'
import type { SimulatedKernelOptions } from '../../src/kernel/simulated/simulated-kernel.ts'
import {
  type AuthName,
  addresses,
  child,
  connection,
  credentialsFor,
  places,
  roundOf,
  type SideName,
  subnet,
} from './connection.ts'
import { Draw } from './draw.ts'
import { sameSingleChild } from './expect.ts'
import { NatBox } from './network.ts'
import { watch } from './scenario.ts'
import { type SideOptions, World } from './world.ts'

/** What differs from the defaults on one side. */
export interface Side {
  readonly auth?: AuthName
  readonly connection?: Partial<Connection>
  readonly child?: Partial<ChildConfig>
  readonly settings?: Partial<CoreSettings>
  readonly kernel?: Partial<SimulatedKernelOptions>
  /** In place of what `auth` needs. */
  readonly credentials?: Credentials
  readonly pools?: readonly Pool[]
  /** Takes the lines of a journal of the core. */
  readonly journal?: (line: string) => void
}

export interface PairOptions {
  readonly seed?: number
  /** Family of the outer addresses, and of the subnets behind the hosts. */
  readonly outer?: 4 | 6
  readonly inner?: 4 | 6
  readonly auth?: AuthName
  readonly mode?: 'tunnel' | 'transport'
  readonly ike?: readonly ConfiguredProposal[]
  readonly esp?: readonly ConfiguredProposal[]
  /** Who is behind a NAT. */
  readonly nat?: SideName | 'both'
  readonly connection?: Partial<Connection>
  readonly child?: Partial<ChildConfig>
  /** A second child `more` between other subnets, in tunnel mode. */
  readonly more?: boolean
  readonly settings?: Partial<CoreSettings>
  /** What `http:` URLs lead to. */
  readonly web?: ReadonlyMap<string, Uint8Array>
  /** What host names stand for. */
  readonly names?: ReadonlyMap<string, readonly string[]>
  readonly left?: Side
  readonly right?: Side
}

/** Two hosts with one connection `lab` and one child `net` between them; nothing is up. */
export function pair(options: PairOptions = {}): World {
  const { seed = 1, nat } = options
  const outside = { ...(options.web && { web: options.web }), ...(options.names && { names: options.names }) }
  const world = new World({
    seed,
    draw: new Draw(seed),
    nats: (['left', 'right'] as const).flatMap((side) => (nat === side || nat === 'both' ? [natBox(side)] : [])),
    left: { ...sideOf('left', options), ...outside },
    right: { ...sideOf('right', options), ...outside },
  })
  watch(world)
  for (const side of ['left', 'right'] as const) {
    configure(world, side, options)
    world.finishJobs()
  }
  return world
}

/** Gives a host all that it has to know, as at its start. */
export function configure(world: Pick<World, 'host'>, side: SideName, options: PairOptions): void {
  const auth = options[side]?.auth ?? options.auth ?? 'psk'
  const host = world.host(side)
  host.command({ kind: 'credentials', credentials: options[side]?.credentials ?? credentialsFor(side, auth) })
  for (const pool of options[side]?.pools ?? []) host.command({ kind: 'load-pool', pool })
  host.command({ kind: 'load-connection', connection: connectionOf(side, options) })
}

/** As `pair`, and `left` has brought the child up. */
export function established(options: PairOptions = {}): World {
  const world = pair(options)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  return world
}

/** The connection that one side of a pair is configured with. */
export function connectionOf(side: SideName, options: PairOptions): Connection {
  const other = side === 'left' ? 'right' : 'left'
  const { mode = 'tunnel', outer = 4, inner = outer, ike, esp } = options
  const auth = options[side]?.auth ?? options.auth ?? 'psk'
  const peerAuth = options[other]?.auth ?? options.auth ?? 'psk'
  const localAddresses = addresses(addressOf(side, options))
  const remoteAddresses = addresses(seenAddressOf(other, options))
  const net = (name: SideName): string => (inner === 6 ? `${places[name].inner6}/64` : `${places[name].inner4}/16`)
  return connection({
    name: 'lab',
    localAddresses,
    remoteAddresses,
    ...(ike && { proposals: ike }),
    local: [roundOf(side, auth)],
    remote: [roundOf(other, peerAuth)],
    children: [
      child({
        mode,
        ...(mode === 'tunnel' && { localTs: [subnet(net(side))], remoteTs: [subnet(net(other))] }),
        ...(esp && { espProposals: esp }),
        ...options.child,
        ...options[side]?.child,
      }),
      ...(options.more ? [more(side, esp)] : []),
    ],
    ...options.connection,
    ...options[side]?.connection,
  })
}

function more(side: SideName, esp: readonly ConfiguredProposal[] | undefined): ChildConfig {
  const net = (name: SideName): string => (name === 'left' ? '172.16.1.0/24' : '172.16.2.0/24')
  const selectors = { localTs: [subnet(net(side))], remoteTs: [subnet(net(side === 'left' ? 'right' : 'left'))] }
  return child({ name: 'more', ...selectors, ...(esp && { espProposals: esp }) })
}

/** The address that a side has itself. */
export function addressOf(side: SideName, { outer = 4, nat }: PairOptions): string {
  return nat === side || nat === 'both' ? places[side].private : places[side][outer]
}

/** The address that its peer is configured with: a NAT that forwards the ports of IKE, or anything. */
function seenAddressOf(side: SideName, options: PairOptions): string {
  const { nat } = options
  if (nat !== side && nat !== 'both') return addressOf(side, options)
  return side === 'left' ? '%any' : places[side].nat
}

/** The left one hides its host; the right one forwards the ports of IKE, so that it can be a responder. */
function natBox(side: SideName): NatBox {
  const { private: inside, nat } = places[side]
  const forwarded = side === 'right' ? [500, 4500] : []
  return new NatBox(nat, [inside], new Map(forwarded.map((port) => [port, { address: inside, port }])))
}

function sideOf(side: SideName, options: PairOptions): SideOptions {
  const journal = options[side]?.journal
  return { settings: settingsOf(side, options), kernel: kernelOf(side, options), ...(journal && { journal }) }
}

/** The settings of a side, the same for all its connections. */
export function settingsOf(side: SideName, options: PairOptions): CoreSettings {
  return { ...defaultCoreSettings, ...options.settings, ...options[side]?.settings }
}

/** The kernel of a side, with the addresses that it has in the beginning. */
export function kernelOf(side: SideName, options: PairOptions): Omit<SimulatedKernelOptions, 'random'> {
  const { outer = 4, inner = outer } = options
  const gateway = inner === 6 ? places[side].inner6 : places[side].inner4
  return { addresses: [addressOf(side, options), gateway], ...options[side]?.kernel }
}
