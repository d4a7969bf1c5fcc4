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
import { childRules, conclude, draft, grant, hex, proposalsOf, reserveSpi } from '../child-negotiation.ts'
import { ChildPlan } from '../child-plan.ts'
import type { ChildSa } from '../child-sa.ts'
import { loser, mayCreateChild, mayRekeyChild } from '../collisions.ts'
import { ExchangeTimeout, PeerRefused, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { createChild } from '../initiation.ts'
import { errorIn } from '../notifies.ts'
import type { Script } from '../script.ts'
import { ikeSaView } from '../views.ts'
import { answerKeyExchange, exchange } from './create-child-sa.ts'
import { deleteChild } from './delete.ts'
import * as followUps from './ike-followup-ke.ts'

/**
 * As initiator: makes a new SA in place of `old`, then deletes whichever of the two (or three) is not needed.
 * @throws PeerRefused or Refusal; `old` is then as it was and may be tried again
 */
export function* initiate(sa: IkeSa, old: ChildSa): Script<void> {
  if (!sa.children.has(old.uniqueId) || old.state !== 'INSTALLED') return
  using marked = new DisposableStack()
  old.state = 'REKEYING'
  marked.defer(() => {
    if (old.state === 'REKEYING') old.state = 'INSTALLED'
  })
  const proposals = proposalsOf(old.config)
  using spi = yield* reserveSpi(sa, old.protocol)
  const offered = draft(sa, new ChildPlan(old.config), spi, false, old)
  using rekeyed = yield* exchange(sa, proposals, childRules(sa, false), offered.proposal, offered.selectors, old)
  if (rekeyed.lost && old.theirRekey !== undefined) {
    announceRekeyed(sa, old, old.theirRekey.created)
    old.state = 'REKEYED'
    return
  }

  if (errorIn(rekeyed.answer.N)?.notify === NOTIFY.CHILD_SA_NOT_FOUND) {
    lostByPeer(sa, old)
    return
  }
  let created: ChildSa
  try {
    created = yield* conclude(sa, offered, spi, rekeyed.answer, rekeyed.seed, false)
  } catch (error) {
    const theirs = rekeyed.answer.SA?.proposals[0]
    if (error instanceof ExchangeTimeout || error instanceof PeerRefused || theirs?.spi.length !== 4) throw error
    yield* deleteChild(theirs.protocol, spi.spi)
    throw error
  }

  // The world may have changed: the peer may have rekeyed the same SA, and even deleted it since.
  const crossing = old.theirRekey
  const theirs = crossing?.nonces ?? old.followUps.theirs
  if (theirs !== undefined && loser(rekeyed.seed, theirs) === 'ours') {
    sa.core.log('IKE', 1, `CHILD_SA rekey collision lost, deleting redundant child ${nameOfChild(created)}`, sa)
    created.state = 'REKEYED'
    yield* deleteReplaced(sa, created)
    return
  }
  if (crossing !== undefined) {
    sa.core.log('IKE', 1, `CHILD_SA rekey collision won, deleting old child ${nameOfChild(old)}`, sa)
    crossing.created.state = 'REKEYED'
  }
  announceRekeyed(sa, old, created)
  if (!isAlive(sa, old)) return
  old.state = 'REKEYED'
  yield* deleteReplaced(sa, old)
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
  mayRekeyChild(old)
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
      const series = { task: 'CHILD_REKEY', rekey: { old, nonces: seed }, stillPossible: () => mayStillRekey(sa, old) }
      return yield* followUps.respond(sa, selected, first, series)
    },
  )
  const crossing = old.state === 'REKEYING'
  old.theirRekey = { nonces: { ni: Nonce.nonce, nr }, created: child }
  if (!crossing) {
    old.state = 'REKEYED'
    announceRekeyed(sa, old, child)
  }
  return answer
}

/** Much may have happened in the exchanges before the last one. */
function mayStillRekey(sa: IkeSa, old: ChildSa): void {
  mayCreateChild(sa)
  if (!sa.children.has(old.uniqueId)) {
    throw new Refusal(NOTIFY.TEMPORARY_FAILURE, `CHILD_SA ${nameOfChild(old)} is gone, not rekeyed`)
  }
  mayRekeyChild(old)
}

/** The child whose outbound SPI the peer names: it is the peer's inbound one. */
function namedBy(sa: IkeSa, { protocol, spi }: NPayload): ChildSa {
  const spiOut = spi.length === 4 ? new DataView(spi.slice().buffer).getUint32(0) : undefined
  const found = [...sa.children.values()].find(
    (child) => child.spiOut === spiOut && PROTOCOL[child.protocol] === protocol,
  )
  // A replaced SA that lingers for its last packets is gone as far as the protocol is concerned.
  if (found !== undefined && found.state !== 'DELETED') return found
  throw new Refusal(
    NOTIFY.CHILD_SA_NOT_FOUND,
    `unable to rekey, ${nameOf(PROTOCOL, protocol)} CHILD_SA with SPI ${hex(spiOut ?? 0)} not found`,
    { protocol, spi },
  )
}

/** RFC 7296 §2.25: the peer does not know our old SA: it is deleted silently and made anew from scratch. */
function lostByPeer(sa: IkeSa, old: ChildSa): void {
  if (!sa.children.has(old.uniqueId) || old.theirRekey !== undefined) return
  sa.core.log('IKE', 1, `peer does not know CHILD_SA ${nameOfChild(old)}, deleting it and creating a new one`, sa)
  const { config } = old
  sa.core.event({ kind: 'child-updown', up: false, ikeSa: ikeSaView(sa, [old]) })
  sa.removeChild(old)
  createChild(sa, new ChildPlan(config))
}

/** Deletes a replaced or redundant SA on both sides; it goes on receiving for a moment (CHARON 9.5). */
function* deleteReplaced(sa: IkeSa, child: ChildSa): Script<void> {
  const { core } = sa
  core.log('IKE', 1, `sending DELETE for ${child.protocol} CHILD_SA with SPI ${hex(child.spiIn)}`, sa)
  child.deleteSent = true
  yield* deleteChild(PROTOCOL[child.protocol], child.spiIn)
  sa.retireChild(child)
}

/** Says that `created` has taken the place of `old`. */
function announceRekeyed(sa: IkeSa, old: ChildSa, created: ChildSa): void {
  const spis = (child: ChildSa) => `${nameOfChild(child)} with SPIs ${hex(child.spiIn)}_i ${hex(child.spiOut)}_o`
  sa.core.log('IKE', 0, `rekeyed CHILD_SA ${spis(old)} with ${spis(created)}`, sa)
  sa.core.event({ kind: 'child-rekey', ikeSa: ikeSaView(sa, [old, created]) })
}

/** Whether a child is still there; the peer may have deleted it while we waited. */
function isAlive(sa: IkeSa, child: ChildSa): boolean {
  return sa.children.has(child.uniqueId) && child.state !== 'DELETED'
}

function nameOfChild({ name, uniqueId }: ChildSa): string {
  return `${name}{${uniqueId}}`
}
