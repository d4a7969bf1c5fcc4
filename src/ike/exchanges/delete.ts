/**
 * Deletion, RFC 7296 §1.4.1: of a Child SA, each side names its own inbound SPI and the answer names the other one;
 * of an IKE SA, an empty answer ends it.
 *
 *   HDR, SK {D}  -->
 *                <--  HDR, SK {[D]}
 */
import { formatIdentity } from '../../pki/identity.ts'
import { EXCHANGE, PROTOCOL } from '../../wire/numbers.ts'
import type { DPayload, Payload } from '../../wire/payloads/index.ts'
import { formatSelectors } from '../../wire/selector.ts'
import { deletedByPeer, endIkeSa } from '../actions.ts'
import { hex, spiBytes32 } from '../child-negotiation.ts'
import type { ChildSa } from '../child-sa.ts'
import { childCollisions, childSituation } from '../collisions.ts'
import { ExchangeTimeout } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { request, type Script } from '../script.ts'
import { leaveInTime } from '../take-over.ts'
import { announceChild } from '../updown.ts'
import { learnUsage } from '../usage.ts'
import { moveToSuccessor } from './rekey-child-sa.ts'
import { takeOver } from './rekey-ike-sa.ts'

/** Tells the peer that one Child SA is gone, by our inbound SPI; the answer needs no look: ours is gone already. */
export function* deleteChild(protocol: number, spiIn: number): Script<void> {
  const payload: DPayload = { type: 'D', protocol, spiSize: 4, spis: [spiBytes32(spiIn)] }
  yield* request(EXCHANGE.INFORMATIONAL, [payload])
}

/**
 * As initiator: closes a Child SA on both sides. Whoever wants a tunnel to end means what has taken its place by
 * rekeying in the meantime, too; an `expired` SA ends alone.
 */
export function* closeChild(sa: IkeSa, child: ChildSa, expired = false): Script<void> {
  const { core } = sa
  let last = child
  while (!expired && last.replacedBy !== undefined) last = last.replacedBy
  if (childSituation(sa.children.get(last.uniqueId)) === 'unknown' || last.deleteSent) return
  const replaced = last.state === 'REKEYED'
  last.leaving = true
  if (!replaced) last.state = 'DELETING'
  last.deleteSent = true
  yield* learnUsage([last])
  core.log('IKE', 0, closingLine(last), sa)
  core.log('IKE', 1, `sending DELETE for ${last.protocol} CHILD_SA with SPI ${hex(last.spiIn)}`, sa)
  yield* leaveInTime(last)
  yield* deleteChild(PROTOCOL[last.protocol], last.spiIn)
  if (replaced) sa.retireChild(last)
  else gone(sa, last)
}

/** As initiator: closes the IKE SA with everything that belongs to it. A peer that does not answer changes nothing. */
export function* closeIkeSa(sa: IkeSa): Script<void> {
  const { core } = sa
  core.log('IKE', 0, `deleting IKE_SA ${between(sa)}`, sa)
  core.log('IKE', 1, `sending DELETE for IKE_SA ${sa.name}`, sa)
  sa.deleting()
  yield* learnUsage([...sa.children.values()])
  for (const child of [...sa.children.values()]) yield* leaveInTime(child)
  try {
    yield* request(EXCHANGE.INFORMATIONAL, [ikeDelete()])
  } catch (error) {
    if (!(error instanceof ExchangeTimeout)) throw error
  }
  core.log('IKE', 0, 'IKE_SA deleted', sa)
  sa.destroy()
}

/** The D payload that means the IKE SA of the message. */
export function ikeDelete(): DPayload {
  return { type: 'D', protocol: PROTOCOL.IKE, spiSize: 0, spis: [] }
}

/** As responder: removes what the peer deletes and names our halves of it. */
export function* respondToDelete(sa: IkeSa, payloads: readonly DPayload[]): Script<readonly Payload[]> {
  const { core } = sa
  if (payloads.some(({ protocol }) => protocol === PROTOCOL.IKE)) {
    core.log('IKE', 1, `received DELETE for IKE_SA ${sa.name}`, sa)
    core.log('IKE', 0, `deleting IKE_SA ${between(sa)}`, sa)
    // §2.8.2: a rekeying of ours that crossed the peer's is forgotten, the peer's stands.
    if (sa.state === 'REKEYING' && sa.theirRekey !== undefined) takeOver(sa, sa.theirRekey.created)
    sa.deleting()
    yield* learnUsage([...sa.children.values()])
    for (const child of [...sa.children.values()]) yield* leaveInTime(child)
    core.log('IKE', 0, 'IKE_SA deleted', sa)
    sa.whenAnswered(() => endIkeSa(sa, 'deleted by peer', () => sa.close('deleted by peer')))
    return []
  }
  const ours = new Map<number, Uint8Array[]>()
  for (const { protocol, spis } of payloads) {
    for (const spi of spis) {
      const spiOut = new DataView(spi.slice().buffer).getUint32(0)
      core.log(
        'IKE',
        1,
        `received DELETE for ${protocol === PROTOCOL.AH ? 'AH' : 'ESP'} CHILD_SA with SPI ${hex(spiOut)}`,
        sa,
      )
      const child = [...sa.children.values()].find(
        (one) => one.spiOut === spiOut && PROTOCOL[one.protocol] === protocol,
      )
      const situation = childSituation(child)
      if (child === undefined || situation === 'unknown') {
        core.log('IKE', 1, `CHILD_SA not found for SPI ${hex(spiOut)}, ignored`, sa)
        if (sa.deletedUnseen.size < mostUnseen) sa.deletedUnseen.add(spiOut)
        continue
      }
      // RFC 7296 §1.4.1: when both delete at once, the answer does not name what our own request deletes.
      if (childCollisions[situation].close === 'as usual') {
        ours.set(protocol, [...(ours.get(protocol) ?? []), spiBytes32(child.spiIn)])
        core.log('IKE', 1, `sending DELETE for ${child.protocol} CHILD_SA with SPI ${hex(child.spiIn)}`, sa)
      }
      const old = [...sa.children.values()].find((one) => one.theirRekey?.created === child && !one.replacedBy)
      if (old !== undefined) takeBack(sa, old)
      else if (child.state === 'REKEYED' || child.theirRekey !== undefined) {
        yield* moveToSuccessor(sa, child)
        child.owner.retireChild(child) // the IKE SA may have been rekeyed meanwhile
      } else {
        yield* learnUsage([child])
        core.log('IKE', 0, closingLine(child), sa)
        yield* leaveInTime(child)
        gone(sa, child)
        deletedByPeer(sa, child)
      }
    }
  }
  return [...ours].map(([protocol, spis]): DPayload => ({ type: 'D', protocol, spiSize: 4, spis }))
}

/**
 * The peer takes back its rekeying of `old` before `old` is deleted: because it lost a collision whose outcome we do
 * not know yet, or because it could not use what came of it. In the second case `old` is in force again.
 */
function takeBack(sa: IkeSa, old: ChildSa): void {
  const created = old.theirRekey?.created
  if (created === undefined) return
  sa.core.log('IKE', 1, `peer takes back the rekeying of CHILD_SA ${old.name}{${old.uniqueId}}`, sa)
  sa.retireChild(created)
  if (old.state !== 'REKEYED') return
  old.theirRekey = undefined
  if (!old.deleteSent) old.state = 'INSTALLED'
}

/** Takes a child down on our side and says so. */
function gone(sa: IkeSa, child: ChildSa): void {
  if (!sa.children.has(child.uniqueId)) return
  child.state = 'DELETED'
  sa.core.log('IKE', 1, `CHILD_SA ${child.name}{${child.uniqueId}} closed`, sa)
  announceChild(sa, child, false)
  sa.removeChild(child)
}

/** SPIs remembered of DELETEs that overtook an answer: more is not honest. */
const mostUnseen = 64

function closingLine(child: ChildSa): string {
  const { name, uniqueId, spiIn, spiOut, agreement, usage } = child
  const end = (spi: number, way: 'in' | 'out'): string => `${hex(spi)}_${way[0]} (${usage?.[way]?.bytes ?? 0n} bytes)`
  const ts = `${formatSelectors(agreement.localTs)} === ${formatSelectors(agreement.remoteTs)}`
  return `closing CHILD_SA ${name}{${uniqueId}} with SPIs ${end(spiIn, 'in')} ${end(spiOut, 'out')} and TS ${ts}`
}

/** `net[1] between 192.0.2.1[moon]...192.0.2.2[sun]` */
export function between(sa: IkeSa): string {
  const id = (identity: typeof sa.localId) => (identity === undefined ? '%any' : formatIdentity(identity))
  return `${sa.name} between ${sa.local.address}[${id(sa.localId)}]...${sa.remote.address}[${id(sa.remoteId)}]`
}
