/** Bringing up a child: over an IKE SA that is there, or over a new one. */
import type { ChildConfig, Connection } from '../config/connection.ts'
import { serves } from './child-parts.ts'
import type { ChildPlan } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import { ExchangeTimeout, LocalFailure } from './errors.ts'
import { connect } from './exchanges/connect.ts'
import * as createChildSa from './exchanges/create-child-sa.ts'
import { closeChild, closeIkeSa } from './exchanges/delete.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Between } from './input.ts'
import { isUnique } from './marks.ts'

/**
 * Starts to bring up `plan`'s child; the plan's listeners hear how it ends. Returns the IKE SA that works on it.
 * @param between our address and the peer's, for a connection that does not say where they are
 */
export function initiate(core: Core, connection: Connection, plan: ChildPlan, between: Between = {}): IkeSa {
  const sa = reusable(core, connection, between)
  if (sa === undefined) {
    // RFC 7296 §3.15.4: an IKE SA that got no address is deleted, and all is tried from the start.
    for (const other of ofConnection(core, connection)) if (other.virtualIps.missing) closeSa(other)
    return connect(core, connection, plan, between)
  }
  plan.begun(sa)
  const { config } = plan
  const existing = [...sa.children.values()].find(
    (child) =>
      child.name === config.name &&
      (child.state === 'INSTALLED' || child.state === 'REKEYING') &&
      !child.leaving &&
      serves(child, plan) &&
      !(isUnique(config) && plan.packet === undefined),
  )
  const queued = [...sa.activeTasks, ...sa.queuedTasks].some((task) => task.child === config.name)
  if (existing !== undefined || queued) {
    const other = existing === undefined ? 'a CHILD_SA that is being created' : `{${existing.uniqueId}}`
    const message = `not establishing CHILD_SA ${config.name} due to existing duplicate ${other}`
    core.log('IKE', 1, message, sa)
    plan.failed(message, existing === undefined ? new LocalFailure(message) : undefined)
    return sa
  }
  createChild(sa, plan)
  return sa
}

/** Queues the creation of a child on an IKE SA. */
export function createChild(sa: IkeSa, plan: ChildPlan): void {
  sa.enqueue({
    names: ['CHILD_CREATE'],
    child: plan.config.name,
    script: (owner) => createChildSa.initiate(owner, plan),
    failed: (error, owner) => {
      plan.failed(error?.message ?? 'IKE_SA was closed', error)
      if (error !== undefined) peerLost(owner, error)
    },
  })
}

/** An IKE SA of an equal connection that can take another child (CHARON 2.2). */
export function reusable(core: Core, connection: Connection, { local, remote }: Between = {}): IkeSa | undefined {
  if (!core.settings.reuseIkeSa) return undefined
  return ofConnection(core, connection).find(
    (sa) =>
      (sa.state === 'ESTABLISHED' ||
        sa.state === 'REKEYING' ||
        (sa.state === 'CONNECTING' && sa.role === 'initiator')) &&
      !sa.closing &&
      !lacksAddress(sa, connection) &&
      (local === undefined || sa.local.address === local) &&
      (remote === undefined || sa.remote.address === remote),
  )
}

/** Our children need a virtual IP, and here is none: the gateway gave none, or began the IKE SA and was not asked. */
function lacksAddress(sa: IkeSa, connection: Connection): boolean {
  if (sa.state === 'CONNECTING') return false
  return sa.virtualIps.missing || (connection.vips.length > 0 && sa.virtualIps.local.length === 0)
}

function ofConnection(core: Core, connection: Connection): IkeSa[] {
  return [...core.sas.ofConnection(connection)]
}

/** The `start` and `trap` of start_action. */
export function runStartAction(core: Core, connection: Connection, config: ChildConfig): void {
  const shunt = config.mode === 'pass' || config.mode === 'drop'
  if (config.startAction.trap) {
    core.log('CFG', 1, `vici installing '${config.name}'`)
    core.spawn(
      core.traps.install(connection, config),
      () => {},
      (error) => core.log('CFG', 1, `installing '${config.name}' failed: ${error.message}`, undefined, 'error'),
    )
    if (shunt) return
  }
  if (config.startAction.start && !shunt) {
    core.log('CFG', 1, `vici initiating '${config.name}'`)
    core.retries.start(connection, config)
  }
}

/** Takes back what `runStartAction` did. */
export function undoStartAction(core: Core, connection: Connection, config: ChildConfig): void {
  core.retries.forget(connection.name, config.name)
  if (config.startAction.trap || config.dpdAction.trap || config.closeAction.trap) {
    core.log('CFG', 1, `vici uninstalling '${config.name}'`)
    core.traps.uninstall(connection.name, config.name)
  }
  if (!config.startAction.start) return
  for (const sa of core.sas.named(connection.name)) {
    const ours = [...sa.children.values()].filter((child) => child.config.name === config.name)
    const alone = ours.length === sa.children.size && sa.queuedTasks.length === 0
    if (alone && sa.state !== 'DELETING') {
      core.log('CFG', 1, `vici closing IKE_SA '${connection.name}' #${sa.uniqueId}`)
      closeSa(sa)
    } else {
      for (const child of ours) {
        core.log('CFG', 1, `vici closing CHILD_SA '${config.name}' #${child.uniqueId}`)
        closeChildSa(sa, child, () => {})
      }
    }
  }
}

/** Closes an IKE SA in the orderly way; one that is not up yet simply goes, one that was replaced is about to. */
export function closeSa(sa: IkeSa): void {
  sa.closing = true
  if (sa.state === 'DELETING' || sa.state === 'REKEYED') return
  if (sa.state !== 'ESTABLISHED' && sa.state !== 'REKEYING') {
    sa.destroy()
    return
  }
  sa.cancelQueued()
  sa.enqueue({ names: ['IKE_DELETE'], script: closeIkeSa, failed: (_error, owner) => owner.destroy() })
}

/** Closes one child in the orderly way; `ended` hears whether the exchange worked. */
export function closeChildSa(
  sa: IkeSa,
  child: ChildSa,
  ended: (success: boolean) => void,
  why: 'wanted' | 'expired' = 'wanted',
): void {
  if (child.state === 'DELETED') {
    // Replaced and deleted on both sides; it was kept for packets that are late, and nobody wants them any more.
    sa.core.log('IKE', 1, `CHILD_SA ${child.name}{${child.uniqueId}} closed`, sa)
    sa.removeChild(child)
    return ended(true)
  }
  child.leaving = true
  // The kernel has removed what expired: it is no tunnel any more, however long the queue is.
  if (why === 'expired' && child.state === 'INSTALLED') child.state = 'DELETING'
  sa.enqueue({
    names: ['CHILD_DELETE'],
    changes: child.name,
    script: (owner) => closeChild(owner, child, why === 'expired'),
    done: () => ended(true),
    failed: (error, owner) => {
      ended(error === undefined)
      if (error !== undefined) peerLost(owner, error)
    },
  })
}

/** An exchange on an established SA failed: without an answer to all retransmissions the peer is gone (§2.4). */
export function peerLost(sa: IkeSa, error: Error): void {
  sa.core.log('IKE', 1, error.message, sa)
  if (error instanceof ExchangeTimeout) sa.lost()
}
