/**
 * CREATE_CHILD_SA that replaces the IKE SA, RFC 7296 §1.3.2, §2.8, §2.18. The new IKE SA takes over all children.
 *
 *   HDR, SK {SA, Ni, KEi}  -->
 *                      <--  HDR, SK {SA, Nr, KEr}
 *   HDR, SK {D}  -->
 *                      <--  HDR, SK {}
 *
 * When both sides do it at once, the new IKE SA with the lowest nonce is deleted by whoever began it (§2.8.2).
 */
import type { ConfiguredProposal } from '../../config/connection.ts'
import { formatProposal } from '../../config/proposals.ts'
import { ikeKeys, rekeySkeyseed } from '../../crypto/keys.ts'
import type { Secret } from '../../crypto/secret.ts'
import { NOTIFY, nameOf } from '../../wire/numbers.ts'
import type { KEPayload, NoncePayload, Payload, SAPayload } from '../../wire/payloads/index.ts'
import { type AnsweredRekey, loser, mayRekeyIkeSa, type Nonces } from '../collisions.ts'
import { assert, ExchangeTimeout, PeerRefused, Refusal } from '../errors.ts'
import { IkeSa } from '../ike-sa.ts'
import { scheduleLifetime } from '../lifetimes.ts'
import { spiBytes } from '../messages.ts'
import { errorIn } from '../notifies.ts'
import { accepted, proposalOf, type Selected, select, suiteOf } from '../proposals.ts'
import type { Script } from '../script.ts'
import { ikeSaView } from '../views.ts'
import { announceWindowAnew } from '../window-size.ts'
import { answerKeyExchange, exchange } from './create-child-sa.ts'
import { between, closeIkeSa } from './delete.ts'
import * as followUps from './ike-followup-ke.ts'
import { selectionRules } from './ike-sa-init.ts'

/**
 * As initiator: makes a new IKE SA in place of `old` and deletes whichever of the two (or three) is not needed.
 * @throws PeerRefused or Refusal; `old` is then as it was and may be tried again
 */
export function* initiate(old: IkeSa): Script<void> {
  const { core, connection } = old
  assert(connection, 'an established IKE SA has a connection')
  if (old.state !== 'ESTABLISHED') return
  old.state = 'REKEYING'
  using marked = new DisposableStack()
  marked.defer(() => {
    if (old.state === 'REKEYING') old.state = 'ESTABLISHED'
  })
  let ours: AnsweredRekey<IkeSa>
  try {
    ours = yield* negotiate(old, connection.proposals)
  } catch (error) {
    const theirs = old.theirRekey
    if (theirs === undefined || error instanceof ExchangeTimeout) throw error
    // The peer did not take ours, but we have taken its own: that is the one.
    core.log('IKE', 1, error instanceof Error ? error.message : String(error), old)
    takeOver(old, theirs.created)
    old.expectDelete()
    return
  }

  const theirs = old.theirRekey
  const theirNonces = theirs?.nonces ?? old.followUps.theirs
  if (theirNonces !== undefined && loser(ours.nonces, theirNonces) === 'ours') {
    const { created } = ours
    core.log('IKE', 1, `IKE_SA rekey collision lost, deleting redundant IKE_SA ${created.name}`, old)
    created.enqueue({ names: ['IKE_DELETE'], script: closeIkeSa, failed: () => created.destroy() })
    // In its additional key exchanges the peer's has made nothing yet: it goes on from here.
    if (theirs === undefined) return
    takeOver(old, theirs.created)
    old.expectDelete()
    return
  }
  takeOver(old, ours.created)
  if (theirs !== undefined) {
    core.log('IKE', 1, `IKE_SA rekey collision won, deleting old IKE_SA ${old.name}`, old)
    // The peer deletes the redundant one; should it not, it goes with time.
    theirs.created.expectDelete()
  }
  // If the answer is lost nobody is there to repeat it; if all requests are, the peer's own timer ends its half.
  old.after(replacedMs, () => old.destroy())
  yield* closeIkeSa(old)
}

/** How long the DELETE of a replaced IKE SA is sent again. */
const replacedMs = 30_000

/** The exchange of the initiator, and the IKE SA that it makes. */
function* negotiate(old: IkeSa, proposals: readonly ConfiguredProposal[]): Script<AnsweredRekey<IkeSa>> {
  const { core } = old
  const rules = selectionRules(core)
  const spi = core.newSpi()
  const offer: Payload = { type: 'SA', proposals: proposals.map((p, i) => proposalOf(p, i + 1, spiBytes(spi))) }
  using rekeyed = yield* exchange(old, proposals, rules, [offer], [], old)
  const { SA, N } = rekeyed.answer
  if (SA === undefined) {
    const refused = errorIn(N)?.notify ?? 0
    throw new PeerRefused(refused, `received ${nameOf(NOTIFY, refused)} notify, IKE_SA not rekeyed`)
  }
  const selected = accepted(proposals, SA.proposals, rules)
  const { shared, additional, ni, nr } = rekeyed.seed
  if (selected === undefined || shared === undefined || !isIkeSpi(selected.spi)) {
    throw new Refusal(NOTIFY.NO_PROPOSAL_CHOSEN, 'peer selected a proposal that we did not offer, IKE_SA not rekeyed')
  }
  const theirSpi = Buffer.from(selected.spi).readBigUInt64BE()
  const secrets = [shared, ...(additional ?? [])] as const
  const created = successor(old, 'initiator', selected, { spiI: spi, spiR: theirSpi }, { ni, nr }, secrets)
  return { nonces: { ni, nr }, created }
}

/** As responder: makes the new IKE SA, and hands over the children unless a rekeying of our own is under way. */
export function* respond(
  old: IkeSa,
  { SA, Nonce, KE }: { readonly SA: SAPayload; readonly Nonce: NoncePayload; readonly KE: KEPayload | undefined },
): Script<readonly Payload[]> {
  const { core, connection } = old
  mayRekeyIkeSa(old)
  assert(connection, 'an established IKE SA has a connection')
  const { proposals } = connection
  const rules = selectionRules(core)
  const selected = select(proposals, SA.proposals, rules)
  if (selected === undefined || !isIkeSpi(selected.spi)) {
    core.log('CFG', 1, `configured proposals: ${proposals.map(formatProposal).join(', ')}`, old)
    throw new Refusal(NOTIFY.NO_PROPOSAL_CHOSEN, 'no acceptable proposal found, IKE_SA not rekeyed')
  }
  using granted = yield* answerKeyExchange(proposals, SA.proposals, KE, rules)
  assert(granted, 'an IKE proposal has a key exchange')
  mayRekeyIkeSa(old) // the world may have changed: we may be closing it, or a child
  const nonces = { ni: Nonce.nonce, nr: core.random(32) }
  const spiI = Buffer.from(selected.spi).readBigUInt64BE()
  const spiR = core.newSpi()
  const answer: Payload[] = [
    { type: 'SA', proposals: [proposalOf(selected, selected.number, spiBytes(spiR))] },
    { type: 'Nonce', nonce: nonces.nr },
    ...granted.payload,
  ]
  const series = { task: 'IKE_REKEY', rekey: { old, nonces }, stillPossible: () => mayRekeyIkeSa(old) }
  using followed = yield* followUps.respond(old, selected, answer, series)
  const secrets: [Secret, ...Secret[]] = [granted.shared, ...followed.additional]
  const created = successor(old, 'responder', selected, { spiI, spiR }, nonces, secrets)
  old.theirRekey = { nonces, created }
  if (old.state !== 'REKEYING') {
    old.state = 'REKEYED'
    old.whenAnswered(() => {
      takeOver(old, created)
      old.expectDelete()
    })
  }
  return followed.answer
}

/** A new IKE SA with the identities and the connection of the old one, and keys of its own (§2.18). */
function successor(
  old: IkeSa,
  role: IkeSa['role'],
  selected: Selected,
  spis: { readonly spiI: bigint; readonly spiR: bigint },
  nonces: Nonces,
  [shared, ...additional]: readonly [Secret, ...Secret[]],
): IkeSa {
  const { core, suite: oldSuite, keys: oldKeys, connection, local, remote } = old
  assert(oldSuite && oldKeys && connection, 'only an established IKE SA is rekeyed')
  const created = new IkeSa(core, { role, ...spis, local, remote, connection })
  const suite = suiteOf(selected)
  using seed = rekeySkeyseed(oldSuite.prf, oldKeys.d, shared, nonces.ni, nonces.nr, additional)
  created.selected = selected
  created.suite = suite
  created.keys = ikeKeys(suite, seed, nonces.ni, nonces.nr, spiBytes(spis.spiI), spiBytes(spis.spiR))
  created.localId = old.localId
  created.remoteId = old.remoteId
  created.remoteEapId = old.remoteEapId
  created.peer = old.peer
  // RFC 8784 §3: not mixed in again; it is in SK_d, which the new keys come from.
  created.ppk = old.ppk
  created.nat = old.nat
  created.firstRole = old.firstRole
  created.mobike = old.mobike
  created.sync = old.sync
  return created
}

/** The new IKE SA inherits children and pending work; the old one is only there to be deleted. */
export function takeOver(old: IkeSa, created: IkeSa): void {
  const { core } = old
  if (created.destroyed) return
  // Until now it was being rekeyed, whoever began with that.
  const before = { ...ikeSaView(old), state: 'REKEYING' } as const
  created.established()
  created.inherit(old)
  if (created.role === 'responder') {
    created.unconfirmed = old
    old.onDestroy(() => created.confirmed())
  }
  announceWindowAnew(created)
  old.state = 'REKEYED'
  scheduleLifetime(created)
  core.log('IKE', 0, `IKE_SA ${between(created).replace(' between ', ' rekeyed between ')}`, created)
  core.event({ kind: 'ike-rekey', old: before, new: ikeSaView(created) })
}

/** Eight octets that are not all zero (RFC 7296 §3.1, §3.3.1). */
function isIkeSpi(spi: Uint8Array): boolean {
  return spi.length === 8 && spi.some((octet) => octet !== 0)
}
