/** The whole set-up of an IKE SA as initiator: addresses, IKE_SA_INIT, IKE_AUTH, and trying again. */
import type { AddressPattern, Connection } from '../../config/connection.ts'
import { familyOf } from '../../wire/address.ts'
import { EXCHANGE, NOTIFY } from '../../wire/numbers.ts'
import type { Gateway } from '../../wire/redirect.ts'
import type { ChildPlan } from '../child-plan.ts'
import type { Core } from '../core.ts'
import { AddressLost, assert, ExchangeTimeout, LocalFailure, PeerRefused, Refusal } from '../errors.ts'
import { IkeSa } from '../ike-sa.ts'
import { createChild } from '../initiation.ts'
import type { Between } from '../input.ts'
import { type Redirections, resolveRedirect } from '../redirect.ts'
import { kernel, run, type Script, sleep } from '../script.ts'
import { initiatorSetUp } from '../shown-tasks.ts'
import type { Task } from '../tasks.ts'
import { ikeSaView } from '../views.ts'
import { ikeDelete } from './delete.ts'
import * as ikeAuth from './ike-auth.ts'
import * as ikeIntermediate from './ike-intermediate.ts'
import * as ikeSaInit from './ike-sa-init.ts'

/** What may be different from what the connection says. */
export interface ConnectOptions extends Between {
  /** How we came to go there. */
  readonly redirections?: Redirections
  /** Called before anything is done. */
  readonly begun?: (sa: IkeSa) => void
}

/**
 * Begins an IKE SA to the connection's peer. It exists at once, with the first addresses that the configuration has;
 * names are resolved and the source address is looked up by its first task.
 */
export function connect(
  core: Core,
  connection: Connection,
  plan: ChildPlan | undefined,
  options: ConnectOptions = {},
): IkeSa {
  const { remote, redirections, begun } = options
  const source = options.local ?? sourceFor(connection, remote)
  const sa = new IkeSa(core, {
    role: 'initiator',
    spiI: core.newSpi(),
    spiR: 0n,
    local: {
      address: source,
      port: connection.localPort || core.settings.portIke,
    },
    remote: { address: remote ?? firstHost(connection.remoteAddresses) ?? '%any', port: connection.remotePort || 500 },
    connection,
  })
  sa.state = 'CONNECTING'
  if (redirections !== undefined) sa.redirections = redirections
  const failed = (error: Error | undefined): void => {
    const byAnswer = error instanceof PeerRefused || error instanceof Refusal
    if (byAnswer) sa.answered = true
    if (error !== undefined) report(sa, error)
    // What an answer has ended is said to be down, though it was never up; without an answer nothing is said.
    if (byAnswer) {
      core.event({ kind: 'ike-updown', up: false, ikeSa: ikeSaView(sa) })
    }
    plan?.failed(error?.message ?? 'IKE_SA was closed', error)
    sa.destroy()
  }
  const task: Task = {
    get names() {
      return initiatorSetUp(sa, plan !== undefined)
    },
    alone: true,
    script: () => setUp(sa, plan, options),
    failed,
    ...(plan && { child: plan.config.name }),
  }
  begun?.(sa)
  plan?.begun(sa)
  sa.enqueue(task)
  return sa
}

function* setUp(sa: IkeSa, plan: ChildPlan | undefined, { local, remote }: Between): Script<void> {
  const { core, connection } = sa
  assert(connection, 'an initiator has a connection')
  const tries = connection.keyingTries
  const first = sa.redirections
  let [attempt, nats, pauseMs] = [1, 0, 0]
  for (;;) {
    try {
      if (pauseMs > 0) yield* sleep(pauseMs)
      yield* findAddresses(sa, connection)
      core.log('IKE', 0, `initiating IKE_SA ${sa.name} to ${sa.remote.address}`, sa)
      const elsewhere = (yield* ikeSaInit.initiate(sa)) ?? (yield* authenticate(sa, connection, plan))
      if (elsewhere === undefined) return
      pauseMs = 0
      // The gateway that has authenticated us waits for this; if it is lost, it waits no longer than for a half-open SA.
      if (sa.remoteId !== undefined) sa.dialogue.sendLast(EXCHANGE.INFORMATIONAL, [ikeDelete()])
      sa.remoteId = undefined
      const { address, redirections } = yield* resolveRedirect(sa, elsewhere)
      sa.restart()
      sa.redirections = redirections
      sa.moveTo(
        { address: sourceFor(connection, address), port: connection.localPort || core.settings.portIke },
        { address, port: connection.remotePort || 500 },
      )
    } catch (error) {
      if (sa.state === 'ESTABLISHED') throw error
      pauseMs = 0
      if (error instanceof ExchangeTimeout) {
        if (tries !== 0 && attempt >= tries) throw error
        attempt++
        core.log('IKE', 1, `peer not responding, trying again (${attempt}/${tries})`, sa)
      } else if (error instanceof AddressLost) {
        core.log('IKE', 1, `${error.message}, trying again`, sa)
      } else if (isNatUnexpected(error) && nats < mostNats) {
        // RFC 4555 §3.9: the NAT may be gone by then.
        nats++
        pauseMs = natPauseMs
        core.log('IKE', 1, `a NAT changes addresses between us and the peer, trying again (${nats}/${mostNats})`, sa)
      } else {
        throw error
      }
      sa.restart()
      // From the beginning: a name may have another address by now, and we may have moved.
      const from = local ?? sourceFor(connection, remote)
      sa.redirections = { ...first, timesMs: sa.redirections.timesMs }
      const to = remote ?? firstHost(connection.remoteAddresses) ?? '%any'
      const port = connection.localPort || core.settings.portIke
      sa.moveTo({ address: from, port }, { address: to, port: connection.remotePort || 500 })
    }
  }
}

/** What follows IKE_SA_INIT; comes back with the gateway that we are sent to, if we are. */
function* authenticate(sa: IkeSa, connection: Connection, plan: ChildPlan | undefined): Script<Gateway | undefined> {
  const first = inIkeAuth(sa, connection, plan)
  yield* ikeIntermediate.initiate(sa)
  const elsewhere = yield* ikeAuth.initiate(sa, first)
  if (elsewhere === undefined && plan !== undefined && first === undefined) createChild(sa, plan)
  return elsewhere
}

function isNatUnexpected(error: unknown): boolean {
  return error instanceof PeerRefused && error.notify === NOTIFY.UNEXPECTED_NAT_DETECTED
}

/** How often, and after what pause, a set-up that a NAT has spoilt is tried again. */
const mostNats = 3
const natPauseMs = 5_000

/**
 * The child that IKE_AUTH asks for: none in a childless initiation (RFC 6023), which the peer must have announced.
 * @throws PeerRefused when it has not, and we want no other
 */
function inIkeAuth(sa: IkeSa, { childless }: Connection, plan: ChildPlan | undefined): ChildPlan | undefined {
  if (plan !== undefined && (childless === 'allow' || childless === 'never')) return plan
  if (sa.childlessSupported) return undefined
  if (plan !== undefined && childless === 'prefer') return plan
  throw new PeerRefused(0, 'peer does not support childless IKE_SA initiation')
}

/** Resolves the peer's name and asks the kernel from which address it would go there. */
function* findAddresses(sa: IkeSa, connection: Connection): Script<void> {
  let remote = sa.remote.address
  if (remote === '%any') {
    const name = connection.remoteAddresses.find((pattern) => pattern.kind === 'name')
    if (name === undefined)
      throw new LocalFailure(`unable to initiate to %any: give ${connection.name} a remote address`)
    const ours = firstHost(connection.localAddresses)
    const family = ours === undefined ? undefined : familyOf(ours)
    remote = yield* resolveName(sa, name.name, family)
  }
  let local = sa.local.address
  if (local === '%any') {
    const found = yield* kernel({ kind: 'route-lookup', remote })
    if (found.source === undefined) throw new LocalFailure(`no route found to ${remote}, initiate aborted`)
    local = found.source
  }
  sa.moveTo({ ...sa.local, address: local }, { ...sa.remote, address: remote })
}

/** Asks again after `retry_initiate_interval` when there is no address, as long as the IKE SA is wanted. */
function* resolveName(sa: IkeSa, name: string, family: 4 | 6 | undefined): Script<string> {
  const { core } = sa
  for (;;) {
    let addresses: readonly string[] = []
    try {
      addresses = yield* run({ kind: 'resolve', name, ...(family && { family }) })
    } catch (error) {
      if (sa.destroyed) throw error
      core.log('CFG', 2, `resolving '${name}' failed: ${error instanceof Error ? error.message : String(error)}`, sa)
    }
    core.connections.resolved(name, addresses)
    const [first] = addresses
    if (first !== undefined) return first
    const seconds = core.settings.retryInitiateSeconds
    if (seconds === 0) throw new LocalFailure(`unable to resolve ${name}, initiate aborted`)
    core.log('IKE', 1, `unable to resolve ${name}, retrying in ${seconds}s`, sa)
    yield* sleep(seconds * 1000)
  }
}

/** Our configured address of the peer's family; the kernel chooses one where there is none. */
function sourceFor({ localAddresses }: Connection, remote: string | undefined): string {
  const ours = localAddresses.flatMap((pattern) => (pattern.kind === 'host' ? [pattern.address] : []))
  return ours.find((address) => remote === undefined || familyOf(address) === familyOf(remote)) ?? '%any'
}

function firstHost(patterns: readonly AddressPattern[]): string | undefined {
  return patterns.find((pattern) => pattern.kind === 'host')?.address
}

/** Says why a set-up failed, in charon's words where tools look for them. */
function report(sa: IkeSa, error: Error): void {
  const { core } = sa
  if (error instanceof ExchangeTimeout) {
    core.alert('peer-init-unreachable', sa)
    core.log('IKE', 1, 'establishing IKE_SA failed, peer not responding', sa)
    return
  }
  // What we refused has been logged where it was found.
  if (error instanceof Refusal) return
  if (error instanceof PeerRefused && error.notify === NOTIFY.NO_PROPOSAL_CHOSEN)
    core.alert('proposal-mismatch-ike', sa)
  if (error instanceof LocalFailure) core.alert('local-auth-failed', sa)
  core.log('IKE', 1, error.message, sa)
}
