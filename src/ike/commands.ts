/** What operators and programs ask for: the commands of VICI, without VICI. */
import type { ChildConfig, Connection } from '../config/connection.ts'
import { sameChild, sameConnection } from '../config/equality.ts'
import { ChildPlan } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import { connect } from './exchanges/connect.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeChildSa, closeSa, initiate, reusable, runStartAction, undoStartAction } from './initiation.ts'
import type { Command, SaSelector } from './input.ts'
import { rekey, rekeyChild } from './lifetimes.ts'
import type { Answer } from './output.ts'
import { reauthenticate } from './reauthentication.ts'
import { redirectClient, selectsForRedirect } from './redirect.ts'
import type { Script } from './script.ts'
import { learnUsage } from './usage.ts'
import { ikeSaView } from './views.ts'

/** Carries out a command; it is answered now or later, exactly once. */
export function command(core: Core, id: number, command: Command): void {
  const answer = (result: Answer): void => core.output({ kind: 'answer', command: id, answer: result })
  const done = (): void => answer({ kind: 'done' })
  const failed = (message: string): void => answer({ kind: 'failed', message })
  switch (command.kind) {
    case 'load-connection':
      loadConnection(core, command.connection)
      return done()
    case 'unload-connection':
      return unloadConnection(core, command.name) ? done() : failed(`unload: connection '${command.name}' not found`)
    case 'credentials':
      core.credentials = command.credentials
      return done()
    case 'settings':
      core.settings = command.settings
      return done()
    case 'initiate':
      return initiateCommand(core, id, command, answer)
    case 'terminate':
      return terminate(core, id, command, answer)
    case 'rekey':
      return rekeySelected(core, command, answer)
    case 'redirect':
      return redirectSelected(core, command, answer)
    case 'install':
      return install(core, command.child, command.ike, answer)
    case 'uninstall':
      return uninstall(core, command.child, command.ike) ? done() : failed(`policy '${command.child}' not found`)
    case 'list-sas':
      return core.spawn(
        listSas(core, command),
        (result) => answer(result),
        (error) => failed(error.message),
      )
    case 'list-policies':
      return answer({ kind: 'policies', policies: core.traps.views(command.ike, command.child) })
    case 'list-connections':
      return answer({ kind: 'connections', connections: core.connections.all() })
    case 'load-pool': {
      const refused = core.pools.load(command.pool)
      return refused === undefined ? done() : failed(refused)
    }
    case 'unload-pool': {
      const refused = core.pools.unload(command.name)
      return refused === undefined ? done() : failed(refused)
    }
    case 'list-pools':
      return answer({ kind: 'pools', pools: core.pools.views(command.name) })
    case 'stats': {
      const connecting = [...core.sas.values()].filter(({ state }) => state === 'CONNECTING')
      return answer({ kind: 'stats', ikeSas: core.sas.size, halfOpen: connecting.length, scheduled: core.timers.size })
    }
    case 'shutdown':
      return shutdown(core, answer)
  }
}

/** CHARON 2.13: equal connections are updated child by child, others replaced; start actions follow. */
function loadConnection(core: Core, connection: Connection): void {
  const before = core.connections.put(connection)
  if (before === undefined) {
    core.log('CFG', 1, `added vici connection: ${connection.name}`)
    for (const child of connection.children) runStartAction(core, connection, child)
    return
  }
  if (!sameConnection(before, connection)) {
    core.log('CFG', 1, `replaced vici connection: ${connection.name}`)
    for (const child of before.children) undoStartAction(core, before, child)
    for (const child of connection.children) runStartAction(core, connection, child)
    return
  }
  core.log('CFG', 1, `updated vici connection: ${connection.name}`)
  const unchanged = (child: ChildConfig, list: readonly ChildConfig[]) =>
    list.some((other) => other.name === child.name && sameChild(other, child))
  for (const child of before.children) {
    if (!unchanged(child, connection.children)) undoStartAction(core, before, child)
  }
  for (const child of connection.children) {
    if (!unchanged(child, before.children)) runStartAction(core, connection, child)
  }
}

function unloadConnection(core: Core, name: string): boolean {
  const before = core.connections.remove(name)
  if (before === undefined) return false
  core.log('CFG', 1, `removed vici connection: ${name}`)
  for (const child of before.children) undoStartAction(core, before, child)
  return true
}

function initiateCommand(
  core: Core,
  id: number,
  { ike, child, timeoutMs, between }: Extract<Command, { kind: 'initiate' }>,
  answer: (result: Answer) => void,
): void {
  if (ike === undefined && child === undefined) return answer({ kind: 'failed', message: 'missing configuration name' })
  const what = child === undefined ? `IKE_SA '${ike}'` : `CHILD_SA '${child}'`
  core.log('CFG', 1, `vici initiate ${what}`)
  const once = settleOnce(core, timeoutMs, answer, `${what} not established after ${timeoutMs}ms`)
  const fail = (message: string): void => {
    core.log('CFG', 2, message)
    once({ kind: 'failed', message: `establishing ${what} failed` })
  }
  const begun = (sa: IkeSa): void => core.output({ kind: 'tracking', command: id, uniqueId: sa.uniqueId })
  const underWay = (): void => {
    if (timeoutMs < 0) once({ kind: 'done' })
  }
  if (child !== undefined) {
    const found = core.connections.findChild(child, ike)
    if (found === undefined) return once({ kind: 'failed', message: `CHILD_SA config '${child}' not found` })
    const plan = new ChildPlan(found.config)
    plan.listen({ begun, up: () => once({ kind: 'done' }), failed: fail })
    initiate(core, found.connection, plan, between)
    return underWay()
  }
  const connection = ike === undefined ? undefined : core.connections.get(ike)
  if (connection === undefined) return once({ kind: 'failed', message: `IKE_SA config '${ike}' not found` })
  const existing = reusable(core, connection, between)
  if (existing?.state === 'ESTABLISHED') return once({ kind: 'done' })
  const sa = existing ?? connect(core, connection, undefined, { ...between, begun })
  if (existing !== undefined) begun(existing)
  sa.onEstablished(() => once({ kind: 'done' }))
  sa.onDestroy(() => fail('IKE_SA was closed'))
  underWay()
}

/** CHARON 2.3: children by all child selectors, else IKE SAs by name or id. */
function terminate(
  core: Core,
  id: number,
  { select, force, timeoutMs }: Extract<Command, { kind: 'terminate' }>,
  answer: (result: Answer) => void,
): void {
  const { ike, ikeId, child, childId } = select
  if (ike === undefined && ikeId === undefined && child === undefined && childId === undefined) {
    return answer({ kind: 'failed', message: 'missing terminate selector' })
  }
  const ofChildren = child !== undefined || childId !== undefined
  const sas = candidatesFor(core, select, ofChildren).filter((sa) => matchesSa(sa, select, ofChildren))
  const children = ofChildren ? sas.flatMap((sa) => childrenOf(sa, select).map((one) => ({ sa, one }))) : []
  for (const { name } of core.connections.all()) {
    if ((ike ?? name) === name && ikeId === undefined && childId === undefined) core.retries.forget(name, child)
  }
  const matches = ofChildren ? children.length : sas.length
  if (matches === 0) {
    return answer({ kind: 'matched', matches: 0, done: 0, message: 'no matching SAs to terminate found' })
  }
  let [left, success] = [matches, 0]
  const message = matches === 1 ? 'terminating SA failed' : 'not all matching SAs could be terminated'
  const result = (): Answer =>
    success === matches
      ? { kind: 'matched', matches, done: success }
      : { kind: 'matched', matches, done: success, message }
  const once = settleOnce(core, timeoutMs, answer, result)
  const ended = (ok: boolean): void => {
    if (ok) success++
    if (--left === 0) once(result())
  }
  for (const { sa, one } of children) {
    core.output({ kind: 'tracking', command: id, uniqueId: sa.uniqueId })
    if (timeoutMs < 0) {
      closeChildSa(sa, one, () => {})
      ended(true)
    } else closeChildSa(sa, one, ended)
  }
  if (ofChildren) return
  for (const sa of sas) {
    core.output({ kind: 'tracking', command: id, uniqueId: sa.uniqueId })
    if (timeoutMs < 0) ended(true)
    else whenClosed(sa, () => ended(true))
    if (force && timeoutMs <= 0) sa.abandon()
    else closeSa(sa)
    if (force && timeoutMs > 0) core.timers.set(core.now + timeoutMs, () => closeForced(sa))
  }
}

/** Ends an IKE SA that has not ended by asking, and what has taken its place. */
function closeForced(sa: IkeSa): void {
  sa.latest.close('forced')
  sa.close('forced')
}

/** Calls `listener` when an IKE SA that is being closed is gone, also as the one that has taken its place by rekeying. */
function whenClosed(sa: IkeSa, listener: () => void): void {
  sa.onDestroy(() => {
    const { latest } = sa
    if (latest !== sa && latest.closing && !latest.destroyed) whenClosed(latest, listener)
    else listener()
  })
}

/** CHARON 2.4: counts and queues, and does not wait. */
function rekeySelected(
  core: Core,
  { select, reauth }: Extract<Command, { kind: 'rekey' }>,
  answer: (result: Answer) => void,
): void {
  const { ike, ikeId, child, childId } = select
  if (ike === undefined && ikeId === undefined && child === undefined && childId === undefined) {
    return answer({ kind: 'failed', message: 'missing rekey selector' })
  }
  const ofChildren = child !== undefined || childId !== undefined
  const sas = candidatesFor(core, select, ofChildren).filter((sa) => matchesSa(sa, select, ofChildren))
  const children = sas.flatMap((sa) => (ofChildren ? childrenOf(sa, select) : []).map((one) => ({ sa, one })))
  const matches = ofChildren ? children.length : sas.length
  if (matches === 0) return answer({ kind: 'matched', matches, done: 0, message: 'no matching SAs to rekey found' })
  for (const { sa, one } of children) rekeyChild(sa, one)
  for (const sa of ofChildren ? [] : sas) {
    if (reauth) reauthenticate(sa)
    else rekey(sa)
  }
  answer({ kind: 'matched', matches, done: matches })
}

/** CHARON 2.5: counts and queues, and does not wait. */
function redirectSelected(
  core: Core,
  { select, gateway, ...peer }: Extract<Command, { kind: 'redirect' }>,
  answer: (result: Answer) => void,
): void {
  const sas = candidatesFor(core, select, true).filter(
    (sa) => matchesSa(sa, select, true) && selectsForRedirect(sa, peer),
  )
  const matches = sas.length
  if (matches === 0) return answer({ kind: 'matched', matches, done: 0, message: 'no matching SAs to redirect found' })
  for (const sa of sas) redirectClient(sa, gateway)
  answer({ kind: 'matched', matches, done: matches })
}

function install(core: Core, child: string, ike: string | undefined, answer: (result: Answer) => void): void {
  core.log('CFG', 1, `vici install '${child}'`)
  const found = core.connections.findChild(child, ike)
  if (found === undefined) return answer({ kind: 'failed', message: 'configuration name not found' })
  core.spawn(
    core.traps.install(found.connection, found.config),
    () => answer({ kind: 'done' }),
    (error) => {
      core.log('CFG', 1, error.message, undefined, 'error')
      answer({ kind: 'failed', message: `installing policy '${child}' failed` })
    },
  )
}

function uninstall(core: Core, child: string, ike: string | undefined): boolean {
  core.log('CFG', 1, `vici uninstall '${child}'`)
  const trap = core.traps
    .all()
    .find(({ connection, config }) => config.name === child && (ike === undefined || connection.name === ike))
  return trap !== undefined && core.traps.uninstall(trap.connection.name, trap.config.name)
}

/** Asks the kernel for the counters of all children shown. Newest IKE SA first, as charon lists them. */
function* listSas(
  core: Core,
  {
    select,
    before = Number.POSITIVE_INFINITY,
    most = Number.POSITIVE_INFINITY,
  }: Extract<Command, { kind: 'list-sas' }>,
): Script<Answer> {
  const byChild = select.child !== undefined || select.childId !== undefined
  const matching = candidatesFor(core, select, true)
    .filter((sa) => sa.uniqueId < before && matchesSa(sa, select, true))
    .reverse()
  const shown = matching.slice(0, most)
  const children = shown.flatMap((sa) => (byChild ? childrenOf(sa, select) : [...sa.children.values()]))
  const usage = yield* learnUsage(children)
  // SAs may have gone while the kernel was asked.
  const alive = shown.filter((sa) => !sa.destroyed)
  const ikeSas = alive.map((sa) => ikeSaView(sa, byChild ? childrenOf(sa, select) : sa.children.values(), usage))
  const last = matching.length > shown.length ? shown.at(-1) : undefined
  return { kind: 'sas', ikeSas, ...(last && { next: last.uniqueId }) }
}

/** The IKE SAs among which a selector has to look: those of its id or name, if that is enough, else all. */
function candidatesFor(core: Core, { ike, ikeId }: SaSelector, all: boolean): IkeSa[] {
  if (ikeId !== undefined && (all || ike === undefined)) {
    const sa = core.sas.get(ikeId)
    return sa === undefined ? [] : [sa]
  }
  return ike !== undefined && ikeId === undefined ? [...core.sas.named(ike)] : [...core.sas.values()]
}

/** @param all whether name and id must both hold; else one of them is enough (CHARON 2.3) */
function matchesSa(sa: IkeSa, { ike, ikeId }: SaSelector, all: boolean): boolean {
  const byName = ike === undefined ? undefined : sa.connection?.name === ike
  const byId = ikeId === undefined ? undefined : sa.uniqueId === ikeId
  if (all) return byName !== false && byId !== false
  return byName === true || byId === true
}

function childrenOf(sa: IkeSa, { child, childId }: SaSelector): ChildSa[] {
  return [...sa.children.values()].filter(
    (one) => (child === undefined || one.name === child) && (childId === undefined || one.uniqueId === childId),
  )
}

/** An answer that is given once: by whoever comes first, or by the clock. */
function settleOnce(
  core: Core,
  timeoutMs: number,
  answer: (result: Answer) => void,
  late: string | (() => Answer),
): (result: Answer) => void {
  let settled = false
  const timer =
    timeoutMs > 0
      ? core.timers.set(core.now + timeoutMs, () =>
          once(typeof late === 'string' ? { kind: 'failed', message: late } : late()),
        )
      : undefined
  const once = (result: Answer): void => {
    if (settled) return
    settled = true
    timer?.clear()
    answer(result)
  }
  return once
}

/** Everybody is told, nobody is waited for; the answer comes when the kernel has nothing of ours left. */
function shutdown(core: Core, answer: (result: Answer) => void): void {
  core.shuttingDown = true
  core.alert('shutdown-signal')
  core.retries.clear()
  for (const sa of [...core.sas.values()]) sa.abandon()
  for (const { connection, config } of core.traps.all()) core.traps.uninstall(connection.name, config.name)
  core.kernel({ kind: 'flush' }, undefined, () => answer({ kind: 'done' }))
}
