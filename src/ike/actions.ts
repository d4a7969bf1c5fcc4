/**
 * What becomes of children when they end: dpd_action and close_action (CHARON 9.7, 9.8), and the children that are
 * configured to be up whatever happens. The table below is the only place that says so.
 *
 * | what ended the child                        | action       | if nothing starts it now          |
 * |---------------------------------------------|--------------|-----------------------------------|
 * | the peer did not answer a request (§2.4)    | dpd_action   | it stays down                     |
 * | the peer deleted it, or the IKE SA          | close_action | it stays down                     |
 * | INITIAL_CONTACT or a uniqueness policy      | none         | one that must stay up is, later   |
 * | its own hard limit, as initiator            | made anew    | one that must stay up is, later   |
 * | the hard limit of the IKE SA                | none         | one that must stay up is, later   |
 * | our own terminate, unload or shutdown       | none         | it stays down                     |
 *
 * A child "must stay up" when it has start_action = start and is started again by one of the other actions, or when
 * keyingtries = 0 and anything starts it. charon gives up such a child when the attempt to start it again fails; here
 * retries.ts goes on, ever more slowly.
 */
import type { Action, ChildConfig, Connection } from '../config/connection.ts'
import { PROTOCOL } from '../wire/numbers.ts'
import type { DPayload } from '../wire/payloads/index.ts'
import { ChildPlan } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeChildSa, createChild, initiate } from './initiation.ts'
import { isUnique, type Marking } from './marks.ts'
import type { Script } from './script.ts'

export type Ending = 'no answer' | 'deleted by peer' | 'replaced' | 'child expired' | 'IKE_SA expired'

const nothing: Action = { trap: false, start: false }

const actions: Readonly<Record<Ending, (config: ChildConfig) => Action>> = {
  'no answer': ({ dpdAction }) => dpdAction,
  'deleted by peer': ({ closeAction }) => closeAction,
  replaced: () => nothing,
  'child expired': () => nothing, // `expired` makes it anew on the IKE SA that is there
  'IKE_SA expired': () => nothing,
}

/** The setting that says what follows, where there is one. */
const settingNames: Readonly<Partial<Record<Ending, string>>> = {
  'no answer': 'dpd_action',
  'deleted by peer': 'close_action',
}

/** Whether we go on bringing up this child when charon would give up. */
export function mustStayUp(connection: Connection, { startAction, dpdAction, closeAction }: ChildConfig): boolean {
  const restarted = dpdAction.start || closeAction.start
  return connection.keyingTries === 0 ? startAction.start || restarted : startAction.start && restarted
}

/** A child that ended or is about to, with what is needed to bring it up again. */
export interface Ended {
  readonly connection: Connection
  readonly config: ChildConfig
  /** Where the peer was. */
  readonly remote: string
  /** The IKE SA was the peer's, and we could not have begun it (CHARON 9.8). */
  readonly asymmetric: boolean
  /** Of a child that was up. */
  readonly marking?: Marking
}

/** The children of an IKE SA that are up or were being made: to be taken before the IKE SA is closed. */
export function endedWith(sa: IkeSa): Ended[] {
  const { connection } = sa
  // Whoever has been told to close the IKE SA does not want it back.
  if (connection === undefined || sa.closing) return []
  const configs = new Map<string, ChildConfig>()
  const markings = new Map<string, Marking>()
  for (const child of sa.children.values()) {
    if (!isWanted(child)) continue
    const key = isUnique(child.config) ? `${child.name} ${child.uniqueId}` : child.name
    configs.set(key, child.config)
    markings.set(key, child.marking)
  }
  const planned = [...sa.activeTasks, ...sa.queuedTasks].map(({ child }) => child)
  for (const wanted of [...planned, ...[...sa.putOff].map(({ config }) => config.name)]) {
    const config = connection.children.find(({ name }) => name === wanted)
    const isThere = [...configs.values()].some(({ name }) => name === wanted)
    if (config !== undefined && !isThere && mustStayUp(connection, config)) configs.set(config.name, config)
  }
  return [...configs].flatMap(([key, config]) => endedChild(sa, config, markings.get(key)) ?? [])
}

function endedChild(sa: IkeSa, config: ChildConfig, marking?: Marking): Ended | undefined {
  const { connection, remote } = sa
  if (connection === undefined) return undefined
  return { connection, config, remote: remote.address, asymmetric: asymmetric(sa), ...(marking && { marking }) }
}

/** Whether only the peer can begin such an IKE SA: it gets an address from us, or authenticates by EAP. */
export function asymmetric({ connection, role, virtualIps }: IkeSa): boolean {
  // Also when we have rekeyed it, and so are the original initiator of the present one.
  if (virtualIps.leases.length > 0) return true
  if (connection === undefined || role === 'initiator') return false
  return connection.pools.length > 0 || connection.remote.some((round) => round.class === 'eap')
}

/** Ends an IKE SA together with what its children are to become; `close` removes it. */
export function endIkeSa(sa: IkeSa, ending: Ending, close: () => void): void {
  const { core } = sa
  const ended = endedWith(sa)
  const trapped = ended.filter(
    ({ connection, config }) =>
      actions[ending](config).trap && core.traps.find(connection.name, config.name) === undefined,
  )
  const finish = (): void => {
    close()
    for (const one of ended) follow(core, one, ending)
  }
  if (trapped.length === 0 || core.shuttingDown) return finish()
  // First the trap, then the end: between the two a packet would leave in clear.
  sa.cancelQueued()
  if (sa.state !== 'DELETING') sa.deleting()
  core.spawn(installTraps(core, trapped), finish, finish)
}

/** What follows the end of one child: a restart now, or a look after it later. Traps are there already. */
export function follow(core: Core, ended: Ended, ending: Ending): void {
  const { connection, config, remote, asymmetric } = ended
  if (core.shuttingDown) return
  if (asymmetric) {
    if (actions[ending](config).start) core.log('IKE', 1, 'unable to reestablish IKE_SA due to asymmetric setup')
    return
  }
  if (actions[ending](config).start) {
    core.log('IKE', 1, `restarting CHILD_SA ${config.name}`)
    core.retries.start(connection, config, remote)
    return
  }
  const setting = settingNames[ending]
  if (setting !== undefined) {
    // After a reauthentication the child is up on another IKE SA.
    if (core.retries.isUp(connection, config)) return
    core.log('IKE', 1, `CHILD_SA ${config.name} stays down, ${setting} does not start it`)
  } else if (mustStayUp(connection, config)) core.retries.later(connection, config, remote)
}

/** As responder to a DELETE: traps that take the place of what the peer deletes, before it goes. */
export function* trapsForDeleted(sa: IkeSa, payloads: readonly DPayload[]): Script<void> {
  const { connection, core } = sa
  if (connection === undefined || sa.closing || sa.state === 'REKEYED') return
  const all = payloads.some(({ protocol }) => protocol === PROTOCOL.IKE)
  const named = (child: ChildSa): boolean =>
    payloads.some(
      ({ protocol, spis }) =>
        protocol === PROTOCOL[child.protocol] && spis.some((spi) => Buffer.from(spi).readUInt32BE() === child.spiOut),
    )
  const ended = [...sa.children.values()].filter(
    (child) => isWanted(child) && child.config.closeAction.trap && (all || named(child)),
  )
  yield* installTraps(
    core,
    ended.flatMap(({ config }) => endedChild(sa, config) ?? []),
  )
}

/** The peer has deleted a child, and nothing of ours has asked for it. */
export function deletedByPeer(sa: IkeSa, child: ChildSa): void {
  const ended = endedChild(sa, child.config)
  if (ended === undefined || sa.closing || child.leaving) return
  sa.whenAnswered(() => follow(sa.core, ended, 'deleted by peer'))
}

/** The hard limit of a child: the kernel has removed a state, so the rest goes too and a new one is made. */
export function expired(sa: IkeSa, child: ChildSa): void {
  const { core, connection, role } = sa
  const { config } = child
  const wanted = isWanted(child)
  closeChildSa(sa, child, () => {}, 'expired')
  const ended = endedChild(sa, config)
  if (!wanted || connection === undefined || ended === undefined || core.shuttingDown) return
  if (role === 'initiator' && core.traps.find(connection.name, config.name) === undefined) {
    core.log('IKE', 1, 'queue CHILD_SA recreate after hard expire', sa)
    createChild(sa, new ChildPlan(config))
  }
  follow(core, ended, 'child expired')
}

/** Whether a child is up, nobody has asked for it to go, its limit is not reached, and nothing has taken its place. */
export function isWanted(child: ChildSa): boolean {
  return (child.state === 'INSTALLED' || child.state === 'REKEYING') && !child.leaving
}

function* installTraps(core: Core, ended: readonly Ended[]): Script<void> {
  for (const { connection, config } of ended) {
    if (core.traps.find(connection.name, config.name) !== undefined) continue
    try {
      yield* core.traps.install(connection, config)
    } catch (error) {
      core.log('CFG', 1, error instanceof Error ? error.message : String(error), undefined, 'error')
    }
    // The daemon may have been told to go in the meantime, or the connection.
    if (core.shuttingDown) core.traps.uninstall(connection.name, config.name)
  }
}

/** The attempt itself, by retries.ts. */
export function startAgain(core: Core, connection: Connection, plan: ChildPlan, remote: string | undefined): void {
  // Where the configuration says where the peer is, it is asked again: a name may have another address by now.
  const configured = connection.remoteAddresses.some(({ kind }) => kind === 'host' || kind === 'name')
  initiate(core, connection, plan, configured || remote === undefined ? {} : { remote })
}
