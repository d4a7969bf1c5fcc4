/**
 * Several IKE SAs between the same two identities: INITIAL_CONTACT (RFC 7296 §2.4) and the uniqueness policies of
 * charon (CHARON 9.9). What each policy does when a peer has authenticated itself in a new IKE SA:
 *
 * | unique  | INITIAL_CONTACT received | not received, other address | not received, same address |
 * |---------|--------------------------|-----------------------------|----------------------------|
 * | no      | others are destroyed     | others stay                 | others stay                |
 * | never   | others stay              | others stay                 | others stay                |
 * | keep    | others are destroyed     | the new one is refused      | others stay                |
 * | replace | others are destroyed     | others are deleted          | others are deleted in 10 s |
 *
 * From the same address it may be a reauthentication, whose initiator deletes the old IKE SA itself as soon as the new
 * one has all children: an old one must not be taken from under it. An IKE SA that was begun while the new one was
 * being begun is no older contact but a crossing one: first-contact.ts decides about the two.
 */
import { formatIdentity } from '../pki/identity.ts'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { endIkeSa } from './actions.ts'
import { ourIdentity } from './auth/auth.ts'
import { soughtIdentity } from './auth/rounds.ts'
import { Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeSa } from './initiation.ts'
import { has } from './notifies.ts'

/** How long a peer has to delete the old IKE SA of what looks like a reauthentication. */
const reauthenticationMs = 10_000

/**
 * As initiator, RFC 7296 §2.4: no other IKE SA between the two identities is known to us. They are those of the last
 * rounds, by which an IKE SA is known afterwards.
 */
export function isFirstContact(sa: IkeSa): boolean {
  const { core, connection } = sa
  if (connection === undefined || connection.unique === 'never') return false
  const us = ourIdentity(sa, connection.local.at(-1))
  return core.sas.between(us, soughtIdentity(connection.remote.at(-1))).every((other) => other === sa)
}

/**
 * As responder, once the peer is authenticated: what becomes of its other IKE SAs.
 * @throws Refusal AUTHENTICATION_FAILED when the policy keeps the one that is there
 */
export function enforceUniqueness(sa: IkeSa, notifies: readonly NPayload[]): void {
  const { core, connection, localId, remoteId } = sa
  if (connection === undefined || connection.unique === 'never' || localId === undefined) return
  const who = remoteId === undefined ? '%any' : formatIdentity(remoteId)
  const initialContact = has(notifies, NOTIFY.INITIAL_CONTACT)
  for (const other of core.sas.between(localId, remoteId)) {
    if (other === sa || crossedOnTheWay(sa, other)) continue
    if (initialContact) {
      core.log('IKE', 1, `destroying duplicate IKE_SA for peer '${who}', received INITIAL_CONTACT`, other)
      endIkeSa(other, 'replaced', () => other.close('lost'))
      continue
    }
    if (connection.unique === 'no' || other.connection?.name !== connection.name) continue
    const sameAddress = other.remote.address === sa.remote.address
    if (connection.unique === 'keep') {
      if (sameAddress) continue
      core.alert('unique-keep', sa)
      throw new Refusal(NOTIFY.AUTHENTICATION_FAILED, 'canceling IKE_SA setup due to uniqueness policy', {
        endsSa: true,
      })
    }
    core.alert('unique-replace', other)
    if (sameAddress) {
      const why = 'due to uniqueness policy and suspected reauthentication'
      core.log('IKE', 1, `schedule delete of duplicate IKE_SA for peer '${who}' ${why}`, other)
      other.after(reauthenticationMs, () => {
        if (other.state === 'ESTABLISHED' && sa.state === 'ESTABLISHED') closeSa(other)
      })
    } else {
      core.log('IKE', 1, `deleting duplicate IKE_SA for peer '${who}' due to uniqueness policy`, other)
      closeSa(other)
    }
  }
}

/**
 * Whether we had begun `other` and it was not up yet when the peer began `sa`. What the peer says in `sa` about other
 * IKE SAs may then have been true when it was sent and be so no longer. A peer that forgot `other` in a restart cannot
 * have begun `sa` before that restart and finished it after.
 */
function crossedOnTheWay(sa: IkeSa, other: IkeSa): boolean {
  return other.role === 'initiator' && sa.uniqueId <= (other.establishedAfter ?? 0)
}
