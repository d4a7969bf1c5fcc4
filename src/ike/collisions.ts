/**
 * What happens when requests of both sides cross: the tables of RFC 7296 §2.25.1 and §2.25.2, and the rule of the
 * lowest nonce (§2.8.1, §2.8.2). The two scripts meet in the data below and nowhere else.
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { ChildSa } from './child-sa.ts'
import { Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'

/** The nonces of one CREATE_CHILD_SA exchange. */
export interface Nonces {
  readonly ni: Uint8Array
  readonly nr: Uint8Array
}

/** A rekeying by the peer that we have answered: its nonces and what it made. */
export interface AnsweredRekey<T> {
  readonly nonces: Nonces
  readonly created: T
}

/** Rekeyings of an SA that are in their IKE_FOLLOWUP_KE exchanges (RFC 9370 §2.2.4): they have made nothing yet. */
export interface FollowUps {
  ours: boolean
  /** Of the peer's CREATE_CHILD_SA, which we have answered. */
  theirs: Nonces | undefined
}

/**
 * Which of two crossing rekeyings made the redundant SA: the one with the lowest of the four nonces, compared octet by
 * octet, a prefix being lower than what continues it.
 */
export function loser(ours: Nonces, theirs: Nonces): 'ours' | 'theirs' {
  const lowest = (nonces: Nonces) => (Buffer.compare(nonces.ni, nonces.nr) <= 0 ? nonces.ni : nonces.nr)
  return Buffer.compare(lowest(ours), lowest(theirs)) <= 0 ? 'ours' : 'theirs'
}

/**
 * §2.25.1 and §2.25.2: may a child be created or rekeyed now?
 * @throws Refusal TEMPORARY_FAILURE
 */
export function mayCreateChild(sa: IkeSa): void {
  if (sa.state === 'REKEYING' || sa.state === 'REKEYED') throw temporarily('the IKE_SA is being rekeyed')
  if (sa.state !== 'ESTABLISHED') throw temporarily('the IKE_SA is being closed')
}

/**
 * §2.25.1: may this child be rekeyed by the peer? While we rekey it ourselves the answer is yes.
 * @throws Refusal TEMPORARY_FAILURE
 */
export function mayRekeyChild(child: ChildSa): void {
  if (child.state === 'DELETING' || child.state === 'DELETED') {
    throw temporarily(`CHILD_SA ${child.name}{${child.uniqueId}} is being closed`)
  }
  if (child.state !== 'INSTALLED' && child.state !== 'REKEYING') {
    throw temporarily(`CHILD_SA ${child.name}{${child.uniqueId}} is ${child.state}`)
  }
  // RFC 9370 §2.2.4: the peer has answered our CREATE_CHILD_SA, so the two have not crossed.
  if (child.followUps.ours) throw temporarily(`CHILD_SA ${child.name}{${child.uniqueId}} is being rekeyed`)
}

/**
 * §2.25.1 and §2.25.2: may the IKE SA be rekeyed by the peer? Not while we create, rekey or close a child, nor while
 * we close the IKE SA; while we rekey it ourselves the answer is yes.
 * @throws Refusal TEMPORARY_FAILURE
 */
export function mayRekeyIkeSa(sa: IkeSa): void {
  if (sa.followUps.ours) throw temporarily('the IKE_SA is being rekeyed')
  if (sa.state === 'REKEYING') return
  if (sa.state !== 'ESTABLISHED') throw temporarily('the IKE_SA is being closed')
  if (sa.activeTask?.child !== undefined || sa.activeTask?.names.some((name) => name.startsWith('CHILD_'))) {
    throw temporarily('a CHILD_SA is being created, rekeyed or closed')
  }
}

function temporarily(message: string): Refusal {
  return new Refusal(NOTIFY.TEMPORARY_FAILURE, message)
}
