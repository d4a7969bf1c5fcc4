/**
 * What happens when requests of both sides cross: the tables of RFC 7296 §2.25.1 and §2.25.2, and the rule of the
 * lowest nonce (§2.8.1, §2.8.2). The two scripts meet in the data below and nowhere else.
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { ChildSa } from './child-sa.ts'
import { Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import type { ChildSaState, IkeSaState } from './view.ts'

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

/** What the peer is told. Closing something "without Delete" is an empty answer. */
export type Outcome = 'as usual' | 'without Delete' | 'TEMPORARY_FAILURE' | 'CHILD_SA_NOT_FOUND'

/** How we stand to a Child SA when a request of the peer names it. */
export type ChildSituation =
  | 'installed'
  /** Our own request to rekey it is on its way. */
  | 'rekeying'
  /** The peer has answered that, and additional key exchanges follow: the two can cross no more (RFC 9370 §2.2.4). */
  | 'rekeying on'
  /** It has been rekeyed by the peer, which has yet to delete it. */
  | 'replaced'
  /** Our own request to delete it is on its way. */
  | 'closing'
  | 'unknown'
  /** Unknown, but a request of ours to make one is on its way: its answer may have been overtaken. */
  | 'in the making'

export type ChildRequest = 'rekey' | 'close'

/** §2.25.1, row by row. What it leaves open: of what was replaced, or may be in the making, a rekeying has to wait. */
export const childCollisions: Readonly<Record<ChildSituation, Readonly<Record<ChildRequest, Outcome>>>> = {
  installed: { rekey: 'as usual', close: 'as usual' },
  rekeying: { rekey: 'as usual', close: 'as usual' },
  'rekeying on': { rekey: 'TEMPORARY_FAILURE', close: 'as usual' },
  replaced: { rekey: 'TEMPORARY_FAILURE', close: 'as usual' },
  closing: { rekey: 'TEMPORARY_FAILURE', close: 'without Delete' },
  unknown: { rekey: 'CHILD_SA_NOT_FOUND', close: 'without Delete' },
  'in the making': { rekey: 'TEMPORARY_FAILURE', close: 'without Delete' },
}

/** What we are doing with an IKE SA when a request of the peer comes. */
export type IkeSituation =
  | 'established'
  /** A request of ours to create, rekey or close a Child SA is on its way. */
  | 'changing a child'
  /** Our own request to rekey it is on its way. */
  | 'rekeying'
  /** The peer has answered that, and additional key exchanges follow (RFC 9370 §2.2.4). */
  | 'rekeying on'
  /** Its successor has taken over; it is there to be deleted. */
  | 'replaced'
  /** Our own request to delete it is on its way. */
  | 'closing'

export type IkeRequest = 'create or rekey a child' | 'close a child' | 'rekey' | 'close'

/** The last rule of §2.25.1 and all of §2.25.2. What one side is about to give up takes nothing new. */
export const ikeCollisions: Readonly<Record<IkeSituation, Readonly<Record<IkeRequest, Outcome>>>> = {
  established: {
    'create or rekey a child': 'as usual',
    'close a child': 'as usual',
    rekey: 'as usual',
    close: 'as usual',
  },
  'changing a child': {
    'create or rekey a child': 'as usual',
    'close a child': 'as usual',
    rekey: 'TEMPORARY_FAILURE',
    close: 'as usual',
  },
  rekeying: {
    'create or rekey a child': 'TEMPORARY_FAILURE',
    'close a child': 'as usual',
    rekey: 'as usual',
    close: 'as usual',
  },
  'rekeying on': {
    'create or rekey a child': 'TEMPORARY_FAILURE',
    'close a child': 'as usual',
    rekey: 'TEMPORARY_FAILURE',
    close: 'as usual',
  },
  replaced: {
    'create or rekey a child': 'TEMPORARY_FAILURE',
    'close a child': 'as usual',
    rekey: 'TEMPORARY_FAILURE',
    close: 'as usual',
  },
  closing: {
    'create or rekey a child': 'TEMPORARY_FAILURE',
    'close a child': 'as usual',
    rekey: 'TEMPORARY_FAILURE',
    close: 'as usual',
  },
}

/** The row of `childCollisions` for a Child SA; undefined is one that we do not have, but perhaps are `making`. */
export function childSituation(
  child: Pick<ChildSa, 'state' | 'deleteSent' | 'followUps'> | undefined,
  making = false,
): ChildSituation {
  if (child === undefined) return making ? 'in the making' : 'unknown'
  if (child.state === 'DELETED') return 'unknown' // one that lingers for its last packets is gone
  if (child.deleteSent) return 'closing'
  const row = childRows[child.state]
  return row === 'rekeying' && child.followUps.ours ? 'rekeying on' : row
}

const childRows: Readonly<Record<Exclude<ChildSaState, 'DELETED'>, ChildSituation>> = {
  CREATED: 'replaced',
  ROUTED: 'replaced',
  INSTALLING: 'replaced',
  INSTALLED: 'installed',
  UPDATING: 'installed',
  REKEYING: 'rekeying',
  REKEYED: 'replaced',
  RETRYING: 'replaced',
  DELETING: 'closing',
  DESTROYING: 'closing',
}

/** What the tables have to know of an IKE SA. */
type Busy = Pick<IkeSa, 'state' | 'activeTasks' | 'followUps'>

/** The row of `ikeCollisions` for an IKE SA. */
export function ikeSituation(sa: Busy): IkeSituation {
  const row = ikeRows[sa.state]
  if (row === 'rekeying' && sa.followUps.ours) return 'rekeying on'
  const changing = sa.activeTasks.some(
    ({ child, names }) => child !== undefined || names.some((name) => name.startsWith('CHILD_')),
  )
  return row === 'established' && changing ? 'changing a child' : row
}

const ikeRows: Readonly<Record<IkeSaState, IkeSituation>> = {
  CREATED: 'closing',
  CONNECTING: 'closing',
  ESTABLISHED: 'established',
  REKEYING: 'rekeying',
  REKEYED: 'replaced',
  DELETING: 'closing',
  DESTROYING: 'closing',
}

/**
 * May the peer create or rekey a child now?
 * @throws Refusal TEMPORARY_FAILURE
 */
export function mayCreateChild(sa: Busy): void {
  const situation = ikeSituation(sa)
  if (ikeCollisions[situation]['create or rekey a child'] !== 'as usual')
    throw temporarily(`the IKE_SA is ${situation}`)
}

/**
 * May the peer rekey this child now? `unknown` is thrown for one that we do not have.
 * @throws Refusal TEMPORARY_FAILURE or CHILD_SA_NOT_FOUND
 */
export function mayRekeyChild(sa: Pick<IkeSa, 'activeTasks'>, child: ChildSa | undefined, unknown: Refusal): void {
  const making = sa.activeTasks.some(({ names }) => names.includes('CHILD_CREATE') || names.includes('CHILD_REKEY'))
  const situation = childSituation(child, making)
  switch (childCollisions[situation].rekey) {
    case 'CHILD_SA_NOT_FOUND':
      throw unknown
    case 'TEMPORARY_FAILURE':
      throw temporarily(`CHILD_SA ${child ? `${child.name}{${child.uniqueId}} ` : ''}is ${situation}`)
    default:
  }
}

/**
 * May the peer rekey the IKE SA now?
 * @throws Refusal TEMPORARY_FAILURE
 */
export function mayRekeyIkeSa(sa: Busy): void {
  const situation = ikeSituation(sa)
  if (ikeCollisions[situation].rekey === 'as usual') return
  throw temporarily(`the IKE_SA is ${situation}`)
}

/**
 * Which of two crossing rekeyings made the redundant SA: the one with the lowest of the four nonces, compared octet by
 * octet, a prefix being lower than what continues it.
 */
export function loser(ours: Nonces, theirs: Nonces): 'ours' | 'theirs' {
  const lowest = (nonces: Nonces) => (Buffer.compare(nonces.ni, nonces.nr) <= 0 ? nonces.ni : nonces.nr)
  return Buffer.compare(lowest(ours), lowest(theirs)) <= 0 ? 'ours' : 'theirs'
}

function temporarily(message: string): Refusal {
  return new Refusal(NOTIFY.TEMPORARY_FAILURE, message)
}
