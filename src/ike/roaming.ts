/**
 * The host has moved, or the network around it: what becomes of its IKE SAs. The kernel says that something has changed;
 * an IKE SA whose path is as good as before tells at most its new list of addresses, any other looks for another path
 * (RFC 4555 §3.5), or begins anew where the peer has no MOBIKE. One that is still being set up starts over.
 */
import { familyOf } from '../wire/address.ts'
import type { Path } from '../wire/endpoint.ts'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { endedWith } from './actions.ts'
import type { Core } from './core.ts'
import { AddressLost } from './errors.ts'
import { announce, checkRoutability, detection, initiate } from './exchanges/update-sa-addresses.ts'
import type { IkeSa } from './ike-sa.ts'
import { peerLost } from './initiation.ts'
import { checkNow } from './liveness.ts'
import { additionalAddresses, addressesIn, ownAddresses } from './mobike.ts'
import { find } from './notifies.ts'
import { kernel, type Received, type Script } from './script.ts'
import type { Task } from './tasks.ts'

/**
 * Addresses, links or routes of this host have changed. When we have answered a rekeying and the peer may not know the new
 * IKE SA yet, it hears of this on the old one first: so it finds us with its request, which gets the answer again.
 */
export function roam(core: Core): void {
  for (const sa of [...core.sas.values()]) {
    if (sa.unconfirmed !== undefined && sa.mobike !== undefined) {
      sa.whenConfirmed(() => changePath(sa))
      continue
    }
    const settingUp = sa.state === 'CONNECTING' && sa.role === 'initiator'
    const stands = sa.state === 'ESTABLISHED' || sa.state === 'REKEYING' || sa.replacedBy?.unconfirmed === sa
    if (!settingUp && !stands) continue
    core.spawn(
      check(sa),
      () => {},
      (error) => core.log('KNL', 1, error.message, sa, 'error'),
    )
  }
}

function* check(sa: IkeSa): Script<void> {
  if (sa.state === 'CONNECTING') return yield* checkSetUp(sa)
  const { core, mobike, local, remote } = sa
  const { preferBestPath, checkCurrentPath } = core.settings
  // Without our address the kernel says which one it would choose now.
  const from = preferBestPath && mobike !== undefined && !isConfigured(sa) ? {} : { local: local.address }
  const { source } = yield* kernel({ kind: 'route-lookup', remote: remote.address, ...from })
  if (sa.destroyed || sa.local !== local || sa.remote !== remote) return
  const usable = source === local.address
  if (usable && checkCurrentPath) checkNow(sa)
  if (mobike === undefined) {
    if (!usable) beginAnew(sa)
    return
  }
  if (usable && !mobike.stale) {
    core.log('IKE', 2, `keeping connection path ${local.address} - ${remote.address}`, sa)
    const list = addressesIn(additionalAddresses(sa, yield* ownAddresses(sa)), sa.local.address)
    if (sa.destroyed || String(list) === String(mobike.announced)) return
    core.log('IKE', 1, 'sending address list update using MOBIKE', sa)
    enqueue(sa, announceTask)
    return
  }
  core.log('IKE', 1, 'old path is not available anymore, try to find another', sa)
  const paths = yield* pathsToPeer(sa)
  if (sa.destroyed) return
  if (paths.length === 0) {
    core.log('IKE', 1, `no route found to reach ${remote.address}, MOBIKE update deferred`, sa)
    mobike.stale = true
    return
  }
  changePath(sa, paths)
}

/** What has been said from an address that is gone is not answered: the set-up begins again from another one. */
function* checkSetUp(sa: IkeSa): Script<void> {
  const { local, remote } = sa
  if (local.address === '%any' || isConfigured(sa)) return
  const { source } = yield* kernel({ kind: 'route-lookup', remote: remote.address, local: local.address })
  if (sa.state !== 'CONNECTING' || sa.local !== local || source === undefined || source === local.address) return
  sa.dialogue.interrupt(new AddressLost(local.address))
}

/** The path of this IKE SA is no good any more: requests go out on `paths`, and the peer hears of the change. */
export function changePath(sa: IkeSa, paths?: readonly Path[]): void {
  const { core, mobike } = sa
  if (mobike === undefined || sa.destroyed) return
  mobike.changes++
  mobike.stale = false
  resend(sa, paths)
  if (sa.firstRole === 'initiator') {
    core.log('IKE', 1, 'requesting address change using MOBIKE', sa)
    enqueue(sa, changeTask)
  } else {
    core.log('IKE', 1, 'sending address list update using MOBIKE, implicitly requesting an address change', sa)
    enqueue(sa, requestTask)
  }
}

/** §3.5: what has not been answered is sent again with the new addresses. */
function resend(sa: IkeSa, paths: readonly Path[] | undefined): void {
  const { core } = sa
  const waiting = sa.dialogue.outstanding
  if (waiting.length === 0) return
  if (paths !== undefined) {
    sa.dialogue.probe(paths)
    return
  }
  core.spawn(
    pathsToPeer(sa),
    (found) => {
      const still = sa.dialogue.outstanding.some((request) => waiting.includes(request))
      if (still && found.length > 0) sa.dialogue.probe(found)
    },
    (error) => core.log('KNL', 1, error.message, sa, 'error'),
  )
}

/** As original responder: the peer says that it is elsewhere. */
export function verifyPath(sa: IkeSa): void {
  if ([...sa.children.values()].every((child) => child.isAt(sa))) return
  enqueue(sa, verifyTask)
}

/** Pairs of addresses on which the peer may be reached, the kernel's choice first. */
export function* pathsToPeer(sa: IkeSa): Script<Path[]> {
  const { mobike, local, remote } = sa
  const { portIke, portNatT } = sa.core.settings
  const own = yield* ownAddresses(sa)
  const port = local.port === portIke ? portNatT : local.port
  const paths: Path[] = []
  for (const address of new Set([remote.address, ...(mobike?.peerAddresses ?? [])])) {
    const family = familyOf(address)
    const { source } = yield* kernel({ kind: 'route-lookup', remote: address })
    for (const candidate of new Set([...(source === undefined ? [] : [source]), ...own])) {
      if (paths.length >= mostPaths || familyOf(candidate) !== family) continue
      if (candidate !== source) {
        const found = yield* kernel({ kind: 'route-lookup', remote: address, local: candidate })
        if (found.source !== candidate) continue
      }
      // §3.3: port 4500 on both sides, unless a NAT shows another one.
      const known = address === remote.address && remote.port !== 500
      paths.push({ local: { address: candidate, port }, remote: { address, port: known ? remote.port : 4500 } })
    }
  }
  return paths
}

// --- a NAT that forgets (§3.8) --------------------------------------------------------------------------------------

/** What a liveness check asks besides: where the peer sees us, when we are behind a NAT. */
export function mappingQuestion(sa: IkeSa): NPayload[] {
  return sa.mobike !== undefined && sa.firstRole === 'initiator' && sa.nat.local ? detection(sa) : []
}

/**
 * The answer: another mapping than last time is told to the peer, which follows nothing else. So is the first one: what
 * the NAT had at set-up nobody has said, and it may have forgotten that since.
 */
export function mappingAnswer(sa: IkeSa, { payloads }: Received): void {
  const { core, mobike } = sa
  const notifies = payloads.filter((payload) => payload.type === 'N')
  const seenAs = find(notifies, NOTIFY.NAT_DETECTION_DESTINATION_IP)?.data
  if (mobike === undefined || seenAs === undefined) return
  const before = mobike.seenAs
  mobike.seenAs = seenAs
  if (before !== undefined && Buffer.compare(before, seenAs) === 0) return
  if (before !== undefined) core.log('IKE', 1, 'detected changes in NAT mappings, initiating MOBIKE update', sa)
  mobike.changes++
  enqueue(sa, updateTask)
}

// --- tasks ----------------------------------------------------------------------------------------------------------

const common: Omit<Task, 'script'> = {
  names: ['IKE_MOBIKE'],
  urgent: true,
  failed: (error, sa) => {
    if (error !== undefined) peerLost(sa, error)
  },
}
// A peer that rekeys the IKE SA in the middle of these may not have heard of the change. The original responder has found
// its path by then and need not look for another.
const changeTask: Task = { ...common, script: (sa) => initiate(sa, true), remains: () => changeTask }
const updateTask: Task = { ...common, script: (sa) => initiate(sa, false), remains: () => updateTask }
const announceTask: Task = { ...common, script: (sa) => announce(sa, false), remains: () => announceTask }
const requestTask: Task = { ...common, script: (sa) => announce(sa, true), remains: () => announceTask }
const verifyTask: Task = { ...common, script: checkRoutability, remains: () => verifyTask }

/** Once is enough: a task that waits reads what is true when it begins, one that runs starts over by itself. */
function enqueue(sa: IkeSa, wanted: Task): void {
  if (sa.queuedTasks.includes(wanted)) return
  const startsOver = wanted === changeTask || wanted === verifyTask
  if (startsOver && sa.activeTasks.includes(wanted)) return
  sa.enqueue(wanted)
}

/** Without MOBIKE the addresses of an IKE SA are its own for ever: a new one has to be made. */
function beginAnew(sa: IkeSa): void {
  const { core, connection, local, remote } = sa
  if (connection === undefined || sa.firstRole !== 'initiator') return
  if (isConfigured(sa)) {
    core.log('IKE', 2, `keeping statically configured path ${local.address} - ${remote.address}`, sa)
    return
  }
  core.log('IKE', 1, 'reauthenticating IKE_SA due to address change', sa)
  const ended = endedWith(sa)
  sa.abandon()
  for (const { config } of ended) core.retries.start(connection, config, remote.address)
}

/** The configuration wants this address of ours and no other. */
function isConfigured({ connection, local }: IkeSa): boolean {
  const patterns = connection?.localAddresses ?? []
  return patterns.some((pattern) => pattern.kind === 'host' && pattern.address === local.address)
}

const mostPaths = 8
