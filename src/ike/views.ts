/** The state of the core as plain data for listings and events (view.ts). */
import type { SaUsage } from '../kernel/operations.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import { proposalView } from './proposals.ts'
import { securityLabel } from './security-labels.ts'
import type { ChildSaView, IkeSaView, ProposalView } from './view.ts'

/** Counters of a child's two states, as the kernel has just told them. */
export interface ChildUsage {
  readonly in?: SaUsage
  readonly out?: SaUsage
}

/** @param children which children to show; all of them by default */
export function ikeSaView(
  sa: IkeSa,
  children: Iterable<ChildSa> = sa.children.values(),
  usage: ReadonlyMap<ChildSa, ChildUsage> = new Map(),
): IkeSaView {
  const { core, connection, nat } = sa
  const { localId = sa.claimed.local, remoteId = sa.claimed.remote } = sa
  const established = sa.state === 'ESTABLISHED'
  const until = (at: number | undefined) => (at === undefined ? undefined : seconds(at - core.now))
  const rekeyTime = established ? until(sa.rekeyAtMs) : undefined
  const reauthTime = established ? until(sa.reauthAtMs) : undefined
  return {
    ...(connection && { name: connection.name }),
    uniqueId: sa.uniqueId,
    state: sa.state,
    local: sa.local,
    remote: sa.remote,
    ...(localId && { localId }),
    ...(remoteId && { remoteId }),
    ...(sa.remoteEapId && { remoteEapId: sa.remoteEapId }),
    initiator: sa.role === 'initiator',
    spiI: sa.spiI,
    spiR: sa.spiR,
    natLocal: nat.local,
    natRemote: nat.remote,
    natFake: nat.fake,
    natAny: nat.local || nat.remote || nat.fake,
    ...sa.interfaceIds,
    ...(sa.selected && { proposal: proposalView(sa.selected) }),
    ppk: sa.ppk === 'used',
    ...(established && sa.establishedAtMs !== undefined && { established: seconds(core.now - sa.establishedAtMs) }),
    ...(rekeyTime !== undefined && { rekeyTime }),
    ...(reauthTime !== undefined && { reauthTime }),
    localVips: [...sa.virtualIps.local],
    remoteVips: sa.virtualIps.remote,
    tasksQueued: sa.queuedTasks.flatMap(({ names }) => names),
    tasksActive: sa.dialogue.shownTasks.flatMap(({ names }) => names),
    tasksPassive: sa.dialogue.passiveTasks,
    children: [...children].map((child) => childSaView(sa, child, usage.get(child) ?? child.usage)),
  }
}

export function childSaView(sa: IkeSa, child: ChildSa, usage: ChildUsage | undefined): ChildSaView {
  const { core } = sa
  const { agreement } = child
  const label = securityLabel(child.config)
  const until = (at: number | undefined) => (at === undefined ? undefined : seconds(at - core.now))
  const ago = (side: SaUsage | undefined) =>
    side?.lastUsedMs === undefined ? undefined : Math.max(0, seconds(core.now - side.lastUsedMs))
  const rekeyTime = until(child.lifetime.rekeyAtMs)
  const lifeTime = until(child.lifetime.expireAtMs)
  const useIn = ago(usage?.in)
  const useOut = ago(usage?.out)
  return {
    name: child.name,
    uniqueId: child.uniqueId,
    reqid: child.reqid,
    state: child.state,
    ...(label && { label }),
    mode: agreement.mode === 'transport' ? 'TRANSPORT' : agreement.mode === 'beet' ? 'BEET' : 'TUNNEL',
    protocol: child.protocol,
    encap: child.encapsulated,
    spiIn: child.spiIn,
    spiOut: child.spiOut,
    ...child.agreement.ipcomp,
    ...child.marking,
    perCpuSas: false,
    proposal: childProposalView(child),
    bytesIn: usage?.in?.bytes ?? 0n,
    packetsIn: usage?.in?.packets ?? 0n,
    ...(useIn !== undefined && { useIn }),
    bytesOut: usage?.out?.bytes ?? 0n,
    packetsOut: usage?.out?.packets ?? 0n,
    ...(useOut !== undefined && { useOut }),
    ...(rekeyTime !== undefined && { rekeyTime }),
    ...(lifeTime !== undefined && { lifeTime }),
    ...(child.installedAtMs !== undefined && { installTime: seconds(core.now - child.installedAtMs) }),
    localTs: agreement.localTs,
    remoteTs: agreement.remoteTs,
  }
}

/** The key exchange of a Child SA is shown only when there was one for it. */
function childProposalView(child: ChildSa): ProposalView {
  const { prf: _, ...view } = proposalView(child.agreement.selected)
  return view
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
