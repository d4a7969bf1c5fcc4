/** Traps and shunts: policies without an SA. A packet that meets a trap makes the kernel ask for the SA. */
import type { ChildConfig, Connection } from '../config/connection.ts'
import type { KernelPolicy, KernelRoute, PolicyDirection } from '../kernel/operations.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import { policiesOf, reqidKey, routesFor, routesPast, unique } from './child-policies.ts'
import type { Core } from './core.ts'
import { LocalFailure } from './errors.ts'
import { shuntMarking } from './marks.ts'
import { kernel, run, type Script } from './script.ts'
import { securityLabel } from './security-labels.ts'
import { kernelSelector, pairs, policyPriority, resolveSelectors } from './selectors.ts'
import type { PolicyView } from './view.ts'

export interface Trap {
  readonly connection: Connection
  readonly config: ChildConfig
  /** Missing for shunts. */
  readonly reqid: number | undefined
  readonly localTs: readonly AddressSelector[]
  readonly remoteTs: readonly AddressSelector[]
  readonly policies: readonly KernelPolicy[]
  /** Routes go with it. */
  readonly routed: boolean
  readonly routes: KernelRoute[]
  readonly remote: string
}

export class Traps {
  /** reqids whose packet has made us initiate, until that has ended. */
  readonly pending: Set<number> = new Set()
  readonly #core: Core
  readonly #traps = new Map<string, Trap>()

  constructor(core: Core) {
    this.#core = core
  }

  find(connection: string, child: string): Trap | undefined {
    return this.#traps.get(keyOf(connection, child))
  }

  byReqid(reqid: number): Trap | undefined {
    return [...this.#traps.values()].find((trap) => trap.reqid === reqid)
  }

  all(): Trap[] {
    return [...this.#traps.values()]
  }

  /**
   * Installs the policies of a child without an SA, in place of those of the same name.
   * @throws LocalFailure without a peer address, KernelError
   */
  *install(connection: Connection, config: ChildConfig): Script<void> {
    const core = this.#core
    const trap = yield* this.#prepare(connection, config)
    this.uninstall(connection.name, config.name)
    this.#traps.set(keyOf(connection.name, config.name), trap)
    // While the kernel was at work the trap may have been taken away, or another one of its name put in its place.
    const stay = () => {
      if (this.find(connection.name, config.name) !== trap) throw new LocalFailure('uninstalled while being installed')
    }
    try {
      for (const policy of trap.policies) {
        const operation = core.policies.add(policy, trap)
        if (operation?.kind === 'install-policy') yield* kernel(operation)
        stay()
      }
      const routes = core.settings.installRoutes ? yield* this.#routesOf(trap) : []
      stay()
      for (const route of routes) {
        trap.routes.push(route)
        const operation = core.policies.addRoute(route, trap)
        if (operation?.kind === 'add-route') yield* kernel(operation)
        stay()
      }
    } catch (error) {
      if (this.find(connection.name, config.name) === trap) this.uninstall(connection.name, config.name)
      throw error
    }
  }

  /** Removes a trap or shunt; whether there was one. */
  uninstall(connection: string, child: string): boolean {
    const core = this.#core
    const trap = this.find(connection, child)
    if (trap === undefined) return false
    this.#traps.delete(keyOf(connection, child))
    for (const route of trap.routes) core.policies.perform(core.policies.removeRoute(route, trap))
    for (const policy of trap.policies) core.policies.perform(core.policies.remove(policy, trap))
    if (trap.reqid !== undefined) core.reqids.release(trap.reqid)
    return true
  }

  views(ike: string | undefined, child: string | undefined): PolicyView[] {
    const shown = this.all().filter(
      ({ connection, config }) =>
        (ike === undefined || connection.name === ike) && (child === undefined || config.name === child),
    )
    return shown.reverse().map(({ connection, config, reqid, localTs, remoteTs }) => {
      const label = securityLabel(config)
      return {
        connection: connection.name,
        child: config.name,
        ...(reqid !== undefined && { reqid }),
        mode: modeNames[config.mode],
        ...(label && { label }),
        localTs,
        remoteTs,
      }
    })
  }

  /** Into the tunnel of a trap, or past the tunnels for what a shunt lets pass. */
  *#routesOf(trap: Trap): Script<readonly KernelRoute[]> {
    const { connection, config } = trap
    if (config.mode === 'pass') return yield* routesPast(this.#core, trap)
    if (!trap.routed || config.mode !== 'tunnel') return []
    const local = yield* sourceFor(connection, trap.remote)
    return local === undefined ? [] : yield* routesFor(this.#core, local, trap.remote, trap)
  }

  *#prepare(connection: Connection, config: ChildConfig): Script<Trap> {
    const core = this.#core
    const shunt = config.mode === 'pass' || config.mode === 'drop'
    const remote = yield* remoteOf(connection)
    if (remote === undefined && !shunt) throw new LocalFailure('installing trap failed, remote address unknown')
    const local = remote === undefined ? undefined : yield* sourceFor(connection, remote)
    const common = { connection, config, remote: remote ?? '', routes: [] }
    const hosts = (address: string | undefined) => (address === undefined ? [] : [address])
    const localTs = resolveSelectors(config.localTs, hosts(local))
    const remoteTs = resolveSelectors(config.remoteTs, hosts(remote))
    if (shunt) {
      const policies = shuntPolicies(config, localTs, remoteTs)
      return { ...common, reqid: undefined, localTs, remoteTs, policies, routed: false }
    }
    const marking = core.uniqueNumbers.marking(config, connection)
    const reqid = core.reqids.acquire(reqidKey(localTs, remoteTs, marking), config.reqid)
    const mode = config.mode === 'transport' ? ('transport' as const) : ('tunnel' as const)
    const protocol = config.ahProposals.length > 0 ? 'AH' : 'ESP'
    const policies = policiesOf(
      local ?? '',
      remote ?? '',
      { config, agreement: { mode, localTs, remoteTs }, marking },
      reqid,
      true,
      protocol,
    )
    return { ...common, reqid, localTs, remoteTs, policies, routed: marking.ifIdOut === undefined }
  }
}

const modeNames: Readonly<Record<ChildConfig['mode'], PolicyView['mode']>> = {
  tunnel: 'TUNNEL',
  transport: 'TRANSPORT',
  pass: 'PASS',
  drop: 'DROP',
}

function keyOf(connection: string, child: string): string {
  return `${connection}\0${child}`
}

function* remoteOf(connection: Connection): Script<string | undefined> {
  for (const pattern of connection.remoteAddresses) {
    if (pattern.kind === 'host') return pattern.address
    if (pattern.kind === 'name') {
      const [first] = yield* run({ kind: 'resolve', name: pattern.name })
      if (first !== undefined) return first
    }
  }
  return undefined
}

function* sourceFor(connection: Connection, remote: string): Script<string | undefined> {
  for (const pattern of connection.localAddresses) if (pattern.kind === 'host') return pattern.address
  return (yield* kernel({ kind: 'route-lookup', remote })).source
}

/** Policies that let traffic pass, or drop it, without any SA. */
function shuntPolicies(
  config: ChildConfig,
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
): KernelPolicy[] {
  const action = config.mode === 'pass' ? ('pass' as const) : ('drop' as const)
  const { markIn, markOut } = shuntMarking(config)
  return pairs(localTs, remoteTs).flatMap(({ local, remote, protocol }) => {
    const policy = (direction: PolicyDirection, leaving: boolean): KernelPolicy => {
      const [from, to] = leaving ? [local, remote] : [remote, local]
      const selector = kernelSelector(from, to, protocol, config.interface)
      const priority = policyPriority(selector, action, config, false)
      const mark = leaving ? markOut : markIn
      return { direction, selector, action, priority, templates: [], ...(mark && { mark }) }
    }
    const forwarded = config.policiesFwdOut ? [policy('fwd', true)] : []
    return unique([policy('out', true), policy('in', false), policy('fwd', false), ...forwarded])
  })
}
