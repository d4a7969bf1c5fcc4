/**
 * CREATE_CHILD_SA that replaces a Child SA, RFC 7296 §1.3.3, §2.8:
 *
 *   HDR, SK {N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr}  -->
 *                      <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
 *   HDR, SK {D}  -->
 *                      <--  HDR, SK {D}
 *
 * When both sides do it at once there are two new SAs; the one with the lowest nonce is deleted by whoever began it
 * (§2.8.1).
 */
import { NOTIFY, nameOf, PROTOCOL } from '../../wire/numbers.ts'
import type {
  KEPayload,
  NoncePayload,
  NPayload,
  Payload,
  SAPayload,
  TSiPayload,
  TSrPayload,
} from '../../wire/payloads/index.ts'
import { childRules, proposalsOf } from '../child-choice.ts'
import { announceUp, conclude, DeletedByPeer, draft, grant, hex, reserve } from '../child-negotiation.ts'
import { ChildPlan } from '../child-plan.ts'
import type { ChildSa } from '../child-sa.ts'
import { loser, mayCreateChild, mayRekeyChild } from '../collisions.ts'
import { assert, LocalFailure, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { createChild } from '../initiation.ts'
import { errorIn } from '../notifies.ts'
import type { Script } from '../script.ts'
import { unusable } from '../take-over.ts'
import { announceChild } from '../updown.ts'
import type { ChildSaView } from '../view.ts'
import { ikeSaView } from '../views.ts'
import { answerKeyExchange, exchange } from './create-child-sa.ts'
import { closeChild, deleteChild } from './delete.ts'
import * as followUps from './ike-followup-ke.ts'

/**
 * As initiator: makes a new SA in place of `old`, then deletes whichever of the two (or three) is not needed.
 * @throws PeerRefused or Refusal; `old` is then as it was and may be tried again
 */
export function* initiate(sa: IkeSa, old: ChildSa): Script<void> {
  if (!sa.children.has(old.uniqueId) || old.state !== 'INSTALLED') return
  // Our request could overtake our answer: the peer would not know what it is about.
  if (old.awaited) throw new LocalFailure(`CHILD_SA ${nameOfChild(old)} is not confirmed by the peer yet`)
  using marked = new DisposableStack()
  old.state = 'REKEYING'
  marked.defer(() => {
    // Whatever becomes of ours: one of the peer's that we have answered stands.
    const theirs = standing(sa, old)
    if (!theirs) old.theirRekey = undefined
    if (old.state === 'REKEYING') old.state = theirs ? 'REKEYED' : 'INSTALLED'
  })
  const proposals = proposalsOf(old.config)
  using spi = yield* reserve(sa, old.config, old)
  const offered = draft(sa, new ChildPlan(old.config), spi, false, old)
  using rekeyed = yield* exchange(sa, proposals, childRules(sa, false), offered.proposal, offered.selectors, old)
  if (rekeyed.lost) return

  if (errorIn(rekeyed.answer.N)?.notify === NOTIFY.CHILD_SA_NOT_FOUND) {
    lostByPeer(sa, old)
    return
  }
  // Asked again after the installation: the peer's request may be late.
  const lost = () => {
    const theirs = old.theirRekey?.nonces ?? old.followUps.theirs
    return theirs !== undefined && loser(rekeyed.seed, theirs) === 'ours'
  }
  let created: ChildSa
  try {
    created = yield* conclude(sa, offered, spi, rekeyed.answer, rekeyed.seed, false, lost())
  } catch (error) {
    const theirs = rekeyed.answer.SA?.proposals[0]
    if (error instanceof DeletedByPeer) {
      sa.core.log('IKE', 1, error.message, sa)
      if (old.theirRekey === undefined) yield* closeChild(sa, old)
      return
    }
    const nothingMade = error instanceof PeerRefused || theirs?.spi.length !== 4
    if (!nothingMade) yield* deleteChild(theirs.protocol, spi.spi)
    if (!sa.children.has(old.uniqueId) || standing(sa, old)) {
      sa.core.log('IKE', 1, error instanceof Error ? error.message : String(error), sa)
      return
    }
    throw error
  }

  // The world may have changed: the peer may have rekeyed the same SA, and even deleted it since.
  const theirs = old.theirRekey?.created
  if (lost()) {
    sa.core.log('IKE', 1, `CHILD_SA rekey collision lost, deleting redundant child ${nameOfChild(created)}`, sa)
    yield* deleteReplaced(sa, created)
    return
  }
  if (theirs !== undefined) {
    sa.core.log('IKE', 1, `CHILD_SA rekey collision won, deleting old child ${nameOfChild(old)}`, sa)
    theirs.state = 'REKEYED'
    old.theirRekey = undefined
  }
  old.replacedBy = created
  if (!isAlive(sa, old)) {
    // The peer deleted the old one before we had its answer, and it was said to be down.
    announceUp(sa, created)
    return
  }
  announceRekeyed(sa, old, created)
  yield* deleteReplaced(sa, old)
}

/** The peer's rekeying of `old` has made an SA that is still there. */
function standing(sa: IkeSa, old: ChildSa): boolean {
  return old.theirRekey !== undefined && isAlive(sa, old.theirRekey.created)
}

/**
 * The peer has replaced `old` and deletes it now: we send on its successor, before the peer hears that `old` is no
 * longer in use (RFC 7296 §1.4.1) and stops receiving on it.
 */
export function* moveToSuccessor(sa: IkeSa, old: ChildSa): Script<void> {
  const created = succeed(sa, old)
  if (created !== undefined) yield* created.sendOnIt(sa.core, unusable(created))
}

/** However a replaced SA goes: if the peer has replaced it, we send on its successor from now on. */
export function sendOnSuccessor(sa: IkeSa, old: ChildSa): void {
  const created = succeed(sa, old)
  created?.enableOutbound(sa.core, unusable(created))
}

/** The successor that the peer has made, if `old` has to make way for it. */
function succeed(sa: IkeSa, old: ChildSa): ChildSa | undefined {
  const created = old.theirRekey?.created
  if (created === undefined || !standing(sa, old) || old.replacedBy !== undefined) return undefined
  old.replacedBy = created
  sa.core.log('IKE', 0, `outbound CHILD_SA ${nameOfChild(created)} established with SPIs ${spisOf(created)}`, sa)
  announceRekeyed(sa, old, created, true)
  return created
}

/** The payloads of a request to rekey a child. */
export interface RekeyRequest {
  readonly SA: SAPayload
  readonly Nonce: NoncePayload
  readonly KE: KEPayload | undefined
  readonly TSi: TSiPayload
  readonly TSr: TSrPayload
  readonly N: readonly NPayload[]
  readonly rekey: NPayload
}

/** As responder: makes the new SA and receives on it; sends on it once the peer deletes the old one. */
export function* respond(sa: IkeSa, { SA, Nonce, KE, TSi, TSr, N, rekey }: RekeyRequest): Script<readonly Payload[]> {
  mayCreateChild(sa)
  const old = namedBy(sa, rekey)
  // The world may change while we wait: we may close the old one, or rekey it ourselves.
  const stillPossible = () => mayRekeyChild(sa, sa.children.get(old.uniqueId), notFound(rekey))
  const nr = sa.core.random(32)
  using granted = yield* answerKeyExchange(proposalsOf(old.config), SA.proposals, KE, childRules(sa, false))
  const seed = { ni: Nonce.nonce, nr, ...(granted && { shared: granted.shared }) }
  const { child, answer } = yield* grant(
    sa,
    { SA, TSi, TSr, N },
    seed,
    false,
    old,
    function* (selected, proposal, selectors) {
      const first: Payload[] = [...proposal, { type: 'Nonce', nonce: nr }, ...(granted?.payload ?? []), ...selectors]
      const series = { task: 'CHILD_REKEY', rekey: { old, nonces: seed }, stillPossible }
      return yield* followUps.respond(sa, selected, first, series)
    },
  )
  try {
    stillPossible()
  } catch (error) {
    sa.removeChild(child)
    throw error
  }
  old.theirRekey = { nonces: { ni: Nonce.nonce, nr }, created: child }
  if (old.state !== 'REKEYING') old.state = 'REKEYED'
  return answer
}

/**
 * The child whose outbound SPI the peer names: it is the peer's inbound one.
 * @throws Refusal when it cannot be rekeyed now
 */
function namedBy(sa: IkeSa, rekey: NPayload): ChildSa {
  const { protocol, spi } = rekey
  const spiOut = spi.length === 4 ? new DataView(spi.slice().buffer).getUint32(0) : undefined
  const named = [...sa.children.values()].filter(
    (child) => child.spiOut === spiOut && PROTOCOL[child.protocol] === protocol,
  )
  const found = named.find((child) => child.state !== 'DELETED') ?? named[0]
  mayRekeyChild(sa, found, notFound(rekey))
  assert(found, 'what is not there cannot be rekeyed')
  return found
}

function notFound({ protocol, spi }: NPayload): Refusal {
  const name = `${nameOf(PROTOCOL, protocol)} CHILD_SA with SPI ${Buffer.from(spi).toString('hex')}`
  return new Refusal(NOTIFY.CHILD_SA_NOT_FOUND, `unable to rekey, ${name} not found`, { protocol, spi })
}

/** RFC 7296 §2.25: the peer does not know our old SA: it is deleted silently and made anew from scratch. */
function lostByPeer(sa: IkeSa, old: ChildSa): void {
  if (!isAlive(sa, old) || old.theirRekey !== undefined) return
  sa.core.log('IKE', 1, `peer does not know CHILD_SA ${nameOfChild(old)}, deleting it and creating a new one`, sa)
  const { config } = old
  announceChild(sa, old, false)
  sa.removeChild(old)
  createChild(sa, new ChildPlan(config))
}

/** Deletes a replaced or redundant SA on both sides; it goes on receiving for a moment (CHARON 9.5). */
function* deleteReplaced(sa: IkeSa, child: ChildSa): Script<void> {
  const { core } = sa
  child.state = 'REKEYED'
  child.deleteSent = true
  core.log('IKE', 1, `sending DELETE for ${child.protocol} CHILD_SA with SPI ${hex(child.spiIn)}`, sa)
  yield* deleteChild(PROTOCOL[child.protocol], child.spiIn)
  sa.retireChild(child)
}

/** Says that `created` has taken the place of `old`. @param deleted the peer deletes `old` in this moment */
function announceRekeyed(sa: IkeSa, old: ChildSa, created: ChildSa, deleted = false): void {
  const what = (child: ChildSa) => `${nameOfChild(child)} with SPIs ${spisOf(child)}`
  sa.core.log('IKE', 0, `rekeyed CHILD_SA ${what(old)} with ${what(created)}`, sa)
  const ikeSa = ikeSaView(sa, [old, created])
  const shown = (child: ChildSaView): ChildSaView =>
    deleted && child.uniqueId === old.uniqueId ? { ...child, state: 'DELETED' } : child
  sa.core.event({ kind: 'child-rekey', ikeSa: { ...ikeSa, children: ikeSa.children.map(shown) } })
}

function spisOf({ spiIn, spiOut }: ChildSa): string {
  return `${hex(spiIn)}_i ${hex(spiOut)}_o`
}

/** Whether a child is still there; the peer may have deleted it while we waited. */
function isAlive(sa: IkeSa, child: ChildSa): boolean {
  return sa.children.has(child.uniqueId) && child.state !== 'DELETED'
}

function nameOfChild({ name, uniqueId }: ChildSa): string {
  return `${name}{${uniqueId}}`
}
