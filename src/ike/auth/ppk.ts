/**
 * Post-quantum preshared keys, RFC 8784: a secret that both sides know is mixed into SK_d, SK_pi and SK_pr in IKE_AUTH,
 * once and never again.
 *
 *   IKE_SA_INIT:  ..., N(USE_PPK)  -->
 *                                 <--  ..., N(USE_PPK)
 *   IKE_AUTH:     SK {..., AUTH, N(PPK_IDENTITY)(PPK_ID) [, N(NO_PPK_AUTH)]}  -->
 *                                 <--  SK {..., AUTH, N(PPK_IDENTITY)}
 *
 * NO_PPK_AUTH is the same proof without the key, for a responder that does not have it and an initiator to whom that is
 * all the same.
 */
import type { Connection, SharedSecret } from '../../config/connection.ts'
import { type IkeKeys, mixPpk } from '../../crypto/keys.ts'
import { Secret } from '../../crypto/secret.ts'
import { formatIdentity, type Identity, type IdentityPattern, matchIdentity } from '../../pki/identity.ts'
import { ID_TYPE, NOTIFY, PPK_ID_TYPE } from '../../wire/numbers.ts'
import type { AUTHPayload, NPayload } from '../../wire/payloads/index.ts'
import type { Core } from '../core.ts'
import { assert, LocalFailure, Refusal } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { find, has, notify } from '../notifies.ts'
import type { Script } from '../script.ts'
import type { Proof } from './auth.ts'

/**
 * Whether to announce USE_PPK: an initiator that has one for its peer, a responder that has any.
 * @throws LocalFailure when the connection demands one and there is none
 */
export function announcesPpk(sa: IkeSa, connection: Connection | undefined): boolean {
  const { core } = sa
  if (sa.role === 'responder') return core.credentials.secrets.some(({ type }) => type === 'ppk')
  if (connection === undefined) return false
  const { ppkId, ppkRequired } = connection
  if (ppkId !== undefined && secretFor(core, ppkId.data) !== undefined) return true
  const message =
    ppkId === undefined
      ? `${connection.name} has ppk_required without ppk_id`
      : `no PPK for '${formatIdentity(ppkId)}' found: add a secret ppk with this id`
  if (ppkRequired) throw new LocalFailure(`PPK required, but ${message}`)
  if (ppkId !== undefined) core.log('CFG', 1, `${message}, going on without`, sa)
  return false
}

/** Takes notice of USE_PPK in the peer's IKE_SA_INIT message, which counts if we have sent ours or are going to. */
export function agreePpk(sa: IkeSa, notifies: readonly NPayload[]): void {
  const announced = has(notifies, NOTIFY.USE_PPK)
  sa.ppk = announced && announcesPpk(sa, sa.connection) ? 'agreed' : 'none'
  if (!announced && sa.connection?.ppkId !== undefined) {
    sa.core.log('CFG', 1, 'peer does not support PPK, going on without', sa)
  }
}

/** What an initiator has said about its PPK. Disposing wipes the keys that are not needed. */
export interface PpkOffer extends Disposable {
  readonly proof: Proof
  readonly notifies: readonly NPayload[]
  /**
   * Reads the answer, and leaves the SA with the keys that the responder's AUTH is computed with.
   * @throws Refusal AUTHENTICATION_FAILED when the responder did not use the PPK that is required
   */
  readonly settle: (answer: readonly NPayload[]) => void
}

/** As initiator: our proof, with the PPK if that was agreed on, and then also without unless it is required. */
export function* provePpk(sa: IkeSa, prove: () => Script<Proof>): Script<PpkOffer> {
  const { connection, keys, suite } = sa
  const ppkId = connection?.ppkId
  if (sa.ppk !== 'agreed' || ppkId === undefined) {
    return { proof: yield* prove(), notifies: [], settle: () => {}, [Symbol.dispose]: () => {} }
  }
  assert(connection && keys && suite, 'IKE_AUTH comes after IKE_SA_INIT')
  const secret = secretFor(sa.core, ppkId.data)
  if (secret === undefined) throw new LocalFailure(`the PPK for '${formatIdentity(ppkId)}' is gone`)
  const notifies = [notify(NOTIFY.PPK_IDENTITY, Uint8Array.of(PPK_ID_TYPE.FIXED, ...ppkId.data))]
  if (!connection.ppkRequired) {
    const without = yield* prove()
    notifies.push(notify(NOTIFY.NO_PPK_AUTH, without.auth.data))
  }
  using undo = new DisposableStack()
  undo.defer(() => forgetUnused(sa, keys))
  sa.keys = mixed(sa, keys, secret)
  const proof = yield* prove()
  const settle = (answer: readonly NPayload[]): void => {
    // RFC 8784 §3: what is in the notify does not matter.
    if (has(answer, NOTIFY.PPK_IDENTITY)) {
      sa.ppk = 'used'
      sa.core.log('CFG', 1, `using PPK for PPK_ID '${formatIdentity(ppkId)}'`, sa)
      return
    }
    if (connection.ppkRequired) throw failed(`PPK required, but the peer does not use it`)
    sa.core.log('CFG', 1, `peer didn't use PPK for PPK_ID '${formatIdentity(ppkId)}'`, sa)
    sa.keys?.[Symbol.dispose]()
    sa.keys = keys
  }
  undo.move()
  return { proof, notifies, settle, [Symbol.dispose]: () => forgetUnused(sa, keys) }
}

/**
 * As responder, with a connection selected: mixes in the PPK that the initiator names, and says which authentication data
 * is to be verified. `base` are the keys without PPK; the SA has those or mixed ones afterwards.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function acceptPpk(sa: IkeSa, base: IkeKeys, notifies: readonly NPayload[], AUTH: AUTHPayload): AUTHPayload {
  const { connection, core } = sa
  assert(connection, 'a connection is selected')
  if (sa.keys !== base) {
    sa.keys?.[Symbol.dispose]()
    sa.keys = base
  }
  if (sa.ppk === 'none') {
    if (connection.ppkRequired) throw failed('PPK required, but the peer does not support it or we have none')
    return AUTH
  }
  sa.ppk = 'agreed'
  const identity = find(notifies, NOTIFY.PPK_IDENTITY)
  if (identity === undefined) throw failed('the peer announced a PPK, but names none')
  const [type, ...rest] = identity.data
  const id = Uint8Array.from(rest)
  const secret =
    type === PPK_ID_TYPE.FIXED && (connection.ppkId === undefined || matches(id, connection.ppkId))
      ? secretFor(core, id)
      : undefined
  if (secret !== undefined) {
    sa.keys = mixed(sa, base, secret)
    sa.ppk = 'used'
    core.log('CFG', 1, `using PPK for PPK_ID '${shown(id)}'`, sa)
    return AUTH
  }
  const without = find(notifies, NOTIFY.NO_PPK_AUTH)
  if (connection.ppkRequired || without === undefined) throw failed(`no PPK for PPK_ID '${shown(id)}' found`)
  core.log('CFG', 1, `no PPK for '${shown(id)}' found, ignored because PPK is not required`, sa)
  core.log('IKE', 1, 'no PPK available, using NO_PPK_AUTH notify', sa)
  return { ...AUTH, data: without.data }
}

/** Wipes keys that are not those of the SA. */
export function forgetUnused(sa: IkeSa, keys: IkeKeys): void {
  if (sa.keys !== keys) keys[Symbol.dispose]()
}

/** As responder: what to answer. */
export function ppkAnswer(sa: IkeSa): NPayload[] {
  return sa.ppk === 'used' ? [notify(NOTIFY.PPK_IDENTITY)] : []
}

function mixed(sa: IkeSa, keys: IkeKeys, secret: SharedSecret): IkeKeys {
  assert(sa.suite, 'IKE_AUTH comes after IKE_SA_INIT')
  // A copy, because a Secret wipes its bytes and the credential stays.
  using ppk = Secret.of(Uint8Array.from(secret.data))
  return mixPpk(sa.suite.prf, keys, ppk)
}

/** The secret whose id is the PPK_ID; one without any id is for all. */
function secretFor(core: Core, id: Uint8Array): SharedSecret | undefined {
  const ppks = core.credentials.secrets.filter(({ type }) => type === 'ppk')
  return (
    ppks.find(({ owners }) => owners.some((owner) => matches(id, owner))) ??
    ppks.find(({ owners }) => owners.length === 0)
  )
}

/** A PPK_ID has no type of its own: it is read as one of the type that it is compared with. */
function matches(id: Uint8Array, pattern: IdentityPattern): boolean {
  if (!('regex' in pattern) && !textual.includes(pattern.type)) {
    return Buffer.compare(id, pattern.data) === 0
  }
  const read: Identity = { type: pattern.type, data: id }
  return matchIdentity(read, pattern) > 0
}

const textual: readonly number[] = [0, ID_TYPE.FQDN, ID_TYPE.RFC822_ADDR]

function shown(id: Uint8Array): string {
  return formatIdentity({ type: ID_TYPE.KEY_ID, data: id })
}

function failed(message: string): Refusal {
  return new Refusal(NOTIFY.AUTHENTICATION_FAILED, message, { endsSa: true })
}
