/**
 * Reauthentication: both sides prove again who they are, in an IKE SA that is made from the beginning (RFC 7296
 * §2.8.3). Make before break, unless the settings say otherwise:
 *
 *   IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA ...   the new IKE SA with all children of the old one
 *   HDR, SK {D}  -->                             on the old IKE SA
 *                      <--  HDR, SK {}
 *
 * For a while both are there, and no packet is lost. INITIAL_CONTACT is not sent, because there is another IKE SA.
 *
 * A responder that could not begin an IKE SA itself tells the initiator when it has to do so (RFC 4478):
 *
 *   HDR, SK {IDi, ... }  -->
 *                      <--  HDR, SK {IDr, ... N(AUTH_LIFETIME)}
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { asymmetric, endedWith, mustStayUp } from './actions.ts'
import { ChildPlan } from './child-plan.ts'
import { ExchangeTimeout } from './errors.ts'
import { type ConnectOptions, connect } from './exchanges/connect.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeSa, createChild } from './initiation.ts'
import { find, notify } from './notifies.ts'
import { pauseSeconds } from './put-off.ts'

/** A peer that asks for it all the time is not obeyed more often. */
const leastSeconds = 10

/** Sets the time at which `sa` is reauthenticated, in place of the one before. */
export function scheduleReauthentication(sa: IkeSa, seconds: number): void {
  const { core } = sa
  const at = core.now + seconds * 1000
  sa.reauthAtMs = at
  // We cannot begin: the peer has been told, and the maximum lifetime ends what it does not do.
  if (!canBegin(sa)) return
  sa.after(seconds * 1000, () => {
    if (sa.reauthAtMs === at) reauthenticate(sa)
  })
}

/** Begins the reauthentication now, or soon if the IKE SA or one of its children is being rekeyed. */
export function reauthenticate(sa: IkeSa): void {
  const { core, connection, remote } = sa
  if (sa.destroyed || sa.closing || sa.reauthenticating || connection === undefined) return
  if (!canBegin(sa)) {
    core.log('IKE', 1, 'unable to reauthenticate IKE_SA as responder, the peer has to do it', sa)
    return
  }
  if (sa.state !== 'ESTABLISHED' || isBusy(sa)) return later(sa, 'IKE_SA reauthentication delayed')
  core.log('IKE', 0, `reauthenticating IKE_SA ${sa.name}`, sa)
  const to = whereTo(sa)
  if (!core.settings.makeBeforeBreak) {
    const children = endedWith(sa).map(({ config }) => config)
    sa.reauthenticating = true
    sa.onDestroy(() => {
      if (core.shuttingDown) return
      for (const config of children) core.retries.start(connection, config, remote.address)
      if (children.length === 0) connect(core, connection, undefined, to)
    })
    closeSa(sa)
    return
  }
  remake(sa, { ...to, failed: (old) => later(old, 'IKE_SA reauthentication failed') })
}

/**
 * Makes another IKE SA with all children of `sa`, somewhere else if the options say so; `sa` is closed when they are up.
 * `failed` is called with what has become of `sa` when the other one could not be established.
 */
export function remake(sa: IkeSa, { failed, ...options }: ConnectOptions & { failed: (old: IkeSa) => void }): void {
  const { core, connection } = sa
  if (connection === undefined) return
  sa.reauthenticating = true
  const plans = endedWith(sa).map(({ config, marking }) => new ChildPlan(config, { ...(marking && { kept: marking }) }))
  let left = Math.max(1, plans.length)
  let alone = false
  const settled = (): void => {
    if (--left > 0) return
    // The peer may have rekeyed the old one in the meantime.
    const old = sa.latest
    old.reauthenticating = false
    if (old.destroyed) return
    // Without an answer on the new one nothing is known of the old one: what is dead is not closed but found out, so
    // that dpd_action follows.
    if (created.state === 'ESTABLISHED' && !alone) closeSa(old)
    else failed(old)
  }
  for (const plan of plans) {
    plan.listen({
      up: settled,
      failed: (_message, error) => {
        if (error instanceof ExchangeTimeout) alone = true
        // The old one goes with its child, and nothing else looks after that.
        if (error !== undefined && mustStayUp(connection, plan.config))
          core.retries.later(connection, plan.config, sa.remote.address)
        settled()
      },
    })
  }
  const [first, ...others] = plans
  const created = connect(core, connection, first, options)
  if (first === undefined) {
    let up = false
    created.onEstablished(() => {
      up = true
      settled()
    })
    created.onDestroy(() => {
      if (!up) settled()
    })
  }
  for (const plan of others) createChild(created, plan)
}

/** As responder in IKE_AUTH: tells an initiator that we depend on when it has to reauthenticate. */
export function authLifetime(sa: IkeSa): NPayload[] {
  if (sa.reauthAtMs === undefined || canBegin(sa)) return []
  const data = Buffer.alloc(4)
  data.writeUInt32BE(Math.max(0, Math.floor((sa.reauthAtMs - sa.core.now) / 1000)))
  return [notify(NOTIFY.AUTH_LIFETIME, data)]
}

/** As initiator, RFC 4478 §3: the peer says how long it will accept the authentication. */
export function receiveAuthLifetime(sa: IkeSa, notifies: readonly NPayload[]): void {
  const { core, connection } = sa
  const received = find(notifies, NOTIFY.AUTH_LIFETIME)
  if (received?.data.length !== 4 || connection === undefined) return
  const lifetime = Buffer.from(received.data).readUInt32BE()
  const said = `received AUTH_LIFETIME of ${lifetime}s`
  if (sa.role === 'responder') {
    core.log('IKE', 1, `${said}, ignored as responder`, sa)
    return
  }
  // Early enough to be done before the peer ends the old IKE SA.
  const margin = Math.min(connection.overSeconds, Math.ceil(lifetime / 10))
  const seconds = Math.max(leastSeconds, lifetime - margin)
  const scheduled = sa.reauthAtMs === undefined ? undefined : Math.floor((sa.reauthAtMs - core.now) / 1000)
  if (scheduled !== undefined && scheduled <= seconds) {
    core.log('IKE', 1, `${said}, reauthentication already scheduled in ${scheduled}s`, sa)
    return
  }
  core.log('IKE', 1, `${said}, scheduling reauthentication in ${seconds}s`, sa)
  scheduleReauthentication(sa, seconds)
}

/** Whether we know how to begin an IKE SA with this peer: always, if we did it before. */
function canBegin(sa: IkeSa): boolean {
  if (asymmetric(sa)) return false
  return sa.role === 'initiator' || whereTo(sa).remote === undefined
}

/** The address to go to, where the configuration does not say it. */
function whereTo({ connection, remote }: IkeSa): ConnectOptions {
  const configured = connection?.remoteAddresses.some(({ kind }) => kind === 'host' || kind === 'name')
  return configured ? {} : { remote: remote.address }
}

function isBusy(sa: IkeSa): boolean {
  if ([...sa.children.values()].some(({ state }) => state === 'REKEYING')) return true
  return [...sa.activeTasks, ...sa.queuedTasks].some(
    ({ child, names }) => child !== undefined || names.includes('IKE_REKEY'),
  )
}

/** Tries again after a pause. */
function later(sa: IkeSa, why: string): void {
  const { core } = sa
  const seconds = pauseSeconds(core)
  core.log('IKE', 1, `${why}, trying again in ${seconds} seconds`, sa)
  sa.after(seconds * 1000, () => reauthenticate(sa))
}
