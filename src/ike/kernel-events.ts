/** What the kernel tells: packets that want an SA, SAs that run out, peers whose mapping changed. */
import type { KernelEvent } from '../kernel/operations.ts'
import { formatSelector } from '../wire/selector.ts'
import { expired } from './actions.ts'
import { ChildPlan } from './child-plan.ts'
import type { ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import type { IkeSa } from './ike-sa.ts'
import { initiate } from './initiation.ts'
import { rekeyChild } from './lifetimes.ts'
import { roam } from './roaming.ts'
import { packetSelectors } from './selectors.ts'

export function kernelEvent(core: Core, event: KernelEvent): void {
  if (core.shuttingDown) return
  switch (event.kind) {
    case 'acquire':
      return acquire(core, event)
    case 'expire':
      return expire(core, event)
    case 'mapping':
      return mapping(core, event)
    case 'roam':
      return roam(core)
  }
}

function acquire(core: Core, event: Extract<KernelEvent, { kind: 'acquire' }>): void {
  const { reqid, packet, sequence } = event
  const trap = core.traps.byReqid(reqid)
  if (trap === undefined) {
    core.log('KNL', 1, `trap not found, unable to acquire reqid ${reqid}`)
    return
  }
  if (core.traps.pending.has(reqid)) {
    core.log('CFG', 1, `ignoring acquire for reqid ${reqid}, connection attempt pending`)
    return
  }
  const { local, remote } = packetSelectors(packet)
  core.log(
    'KNL',
    1,
    `creating acquire job for policy ${formatSelector(local)} === ${formatSelector(remote)} with reqid {${reqid}}`,
  )
  const plan = new ChildPlan(trap.config, { packet, reqid, sequence })
  core.traps.pending.add(reqid)
  const settled = (): void => void core.traps.pending.delete(reqid)
  plan.listen({ up: settled, failed: settled })
  initiate(core, trap.connection, plan)
}

function expire(core: Core, event: Extract<KernelEvent, { kind: 'expire' }>): void {
  const found = childOf(core, event.spi, event.destination)
  if (found === undefined) return
  const { sa, child } = found
  const what = `CHILD_SA ${event.protocol}/0x${event.spi.toString(16).padStart(8, '0')}/${event.destination}`
  if (!event.hard) {
    if (child.state !== 'INSTALLED') return
    core.log('KNL', 1, `creating rekey job for ${what}`)
    rekeyChild(sa, child)
    return
  }
  core.log('KNL', 1, `creating delete job for ${what}`)
  expired(sa, child)
}

/** The peer's NAT has a new mapping: ESP in UDP came from elsewhere, and was authentic. */
function mapping(core: Core, event: Extract<KernelEvent, { kind: 'mapping' }>): void {
  const child = core.sas.withSpi(event.spi).find(({ spiIn, owner }) => spiIn === event.spi && owner.nat.remote)
  if (child === undefined) return
  const { owner } = child
  owner.follow({ local: owner.local, remote: { address: event.newSource, port: event.newPort } })
}

function childOf(core: Core, spi: number, destination: string): { sa: IkeSa; child: ChildSa } | undefined {
  const child = core.sas.withSpi(spi).find(({ spiIn, owner }) => {
    const end = spiIn === spi ? owner.local : owner.remote
    return end.address === destination
  })
  return child && { sa: child.owner, child }
}
