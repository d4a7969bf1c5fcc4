import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChildSa } from './child-sa.ts'
import {
  type ChildRequest,
  type ChildSituation,
  childCollisions,
  childSituation,
  type IkeRequest,
  type IkeSituation,
  ikeCollisions,
  ikeSituation,
  loser,
  mayCreateChild,
  mayRekeyChild,
  mayRekeyIkeSa,
  type Outcome,
} from './collisions.ts'
import { Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Task } from './tasks.ts'
import type { ChildSaState, IkeSaState } from './view.ts'

// RFC 7296 §2.25.1, sentence by sentence.
const childRules: readonly [ChildSituation, ChildRequest, Outcome][] = [
  ['closing', 'rekey', 'TEMPORARY_FAILURE'],
  ['rekeying', 'rekey', 'as usual'],
  ['unknown', 'rekey', 'CHILD_SA_NOT_FOUND'],
  ['closing', 'close', 'without Delete'],
  ['rekeying', 'close', 'as usual'],
  ['unknown', 'close', 'without Delete'],
  // Not in the RFC: the peer's request may have overtaken its answer to ours.
  ['in the making', 'rekey', 'TEMPORARY_FAILURE'],
  ['in the making', 'close', 'without Delete'],
  ['installed', 'rekey', 'as usual'],
  ['installed', 'close', 'as usual'],
  // RFC 9370 §2.2.4
  ['rekeying on', 'rekey', 'TEMPORARY_FAILURE'],
  ['rekeying on', 'close', 'as usual'],
  // Not in the RFC: a second rekeying of what has been replaced has to wait for its end.
  ['replaced', 'rekey', 'TEMPORARY_FAILURE'],
  ['replaced', 'close', 'as usual'],
]

// The last sentence of §2.25.1 and those of §2.25.2.
const ikeRules: readonly [IkeSituation, IkeRequest, Outcome][] = [
  ['changing a child', 'rekey', 'TEMPORARY_FAILURE'],
  ['rekeying', 'rekey', 'as usual'],
  ['closing', 'rekey', 'TEMPORARY_FAILURE'],
  ['rekeying', 'close', 'as usual'],
  ['closing', 'close', 'as usual'],
  ['rekeying', 'create or rekey a child', 'TEMPORARY_FAILURE'],
  ['rekeying', 'close a child', 'as usual'],
  ['rekeying on', 'create or rekey a child', 'TEMPORARY_FAILURE'],
  ['rekeying on', 'close a child', 'as usual'],
  ['rekeying on', 'rekey', 'TEMPORARY_FAILURE'],
  ['rekeying on', 'close', 'as usual'],
  ['established', 'create or rekey a child', 'as usual'],
  ['established', 'close a child', 'as usual'],
  ['established', 'rekey', 'as usual'],
  ['established', 'close', 'as usual'],
  ['changing a child', 'create or rekey a child', 'as usual'],
  ['changing a child', 'close a child', 'as usual'],
  ['changing a child', 'close', 'as usual'],
  ['replaced', 'create or rekey a child', 'TEMPORARY_FAILURE'],
  ['replaced', 'close a child', 'as usual'],
  ['replaced', 'rekey', 'TEMPORARY_FAILURE'],
  ['replaced', 'close', 'as usual'],
  ['closing', 'create or rekey a child', 'TEMPORARY_FAILURE'],
  ['closing', 'close a child', 'as usual'],
]

test('every cell of both tables', () => {
  for (const [situation, request, outcome] of childRules) {
    assert.equal(childCollisions[situation][request], outcome, `a child that is ${situation}: ${request}`)
  }
  for (const [situation, request, outcome] of ikeRules) {
    assert.equal(ikeCollisions[situation][request], outcome, `an IKE SA that is ${situation}: ${request}`)
  }
  const cells = (table: object) => Object.values(table).flatMap((row: object) => Object.keys(row)).length
  assert.equal(cells(childCollisions), childRules.length)
  assert.equal(cells(ikeCollisions), ikeRules.length)
})

function child(state: ChildSaState, deleteSent = false, following = false): ChildSa {
  // What the tables read of a Child SA, and its name for the message.
  return { state, deleteSent, followUps: { ours: following, theirs: undefined }, name: 'net', uniqueId: 1 } as ChildSa
}

function ikeSa(
  state: IkeSaState,
  names: readonly string[] = [],
  following = false,
): Pick<IkeSa, 'state' | 'activeTasks' | 'followUps'> {
  const activeTasks = names.length > 0 ? [{ names } as Task] : []
  return { state, activeTasks, followUps: { ours: following, theirs: undefined } }
}

const unknown = new Refusal(44, 'not found')
const said = (look: () => void): number | undefined => {
  try {
    look()
    return undefined
  } catch (error) {
    assert.ok(error instanceof Refusal)
    return error.notify
  }
}

test('which row a Child SA is in, and what its rekeyer is told', () => {
  const rows: readonly [ChildSa | undefined, ChildSituation, number | undefined][] = [
    [undefined, 'unknown', 44],
    [child('DELETED'), 'unknown', 44],
    [child('DELETED', true), 'unknown', 44],
    [child('INSTALLED'), 'installed', undefined],
    [child('REKEYING'), 'rekeying', undefined],
    [child('REKEYING', false, true), 'rekeying on', 43],
    [child('REKEYED'), 'replaced', 43],
    [child('REKEYED', true), 'closing', 43],
    [child('DELETING'), 'closing', 43],
    [child('DELETING', true), 'closing', 43],
  ]
  for (const [one, situation, notify] of rows) {
    assert.equal(childSituation(one), situation)
    assert.equal(
      said(() => mayRekeyChild(ikeSa('ESTABLISHED'), one, unknown)),
      notify,
    )
  }
  assert.equal(childSituation(undefined, true), 'in the making')
  for (const task of ['CHILD_CREATE', 'CHILD_REKEY']) {
    assert.equal(
      said(() => mayRekeyChild(ikeSa('ESTABLISHED', [task]), undefined, unknown)),
      43,
    )
    assert.equal(
      said(() => mayRekeyChild(ikeSa('ESTABLISHED', [task]), child('DELETED'), unknown)),
      44,
    )
  }
})

test('which row an IKE SA is in, and what the peer is told that creates a child or rekeys it', () => {
  const rows: readonly [Parameters<typeof ikeSituation>[0], IkeSituation, number | undefined, number | undefined][] = [
    [ikeSa('ESTABLISHED'), 'established', undefined, undefined],
    [ikeSa('ESTABLISHED', ['IKE_DPD']), 'established', undefined, undefined],
    [ikeSa('ESTABLISHED', ['CHILD_CREATE']), 'changing a child', undefined, 43],
    [ikeSa('ESTABLISHED', ['CHILD_REKEY']), 'changing a child', undefined, 43],
    [ikeSa('ESTABLISHED', ['CHILD_DELETE']), 'changing a child', undefined, 43],
    [ikeSa('REKEYING', ['IKE_REKEY']), 'rekeying', 43, undefined],
    [ikeSa('REKEYING', ['IKE_REKEY'], true), 'rekeying on', 43, 43],
    [ikeSa('REKEYED'), 'replaced', 43, 43],
    [ikeSa('DELETING', ['IKE_DELETE']), 'closing', 43, 43],
  ]
  for (const [one, situation, create, rekey] of rows) {
    assert.equal(ikeSituation(one), situation)
    assert.equal(
      said(() => mayCreateChild(one)),
      create,
    )
    assert.equal(
      said(() => mayRekeyIkeSa(one)),
      rekey,
    )
  }
})

test('the lowest of four nonces, octet by octet', () => {
  const nonces = (ni: string, nr: string) => ({ ni: Buffer.from(ni, 'hex'), nr: Buffer.from(nr, 'hex') })
  assert.equal(loser(nonces('00ff', '80ff'), nonces('01ff', '7fff')), 'ours')
  assert.equal(loser(nonces('80ff', '00ff'), nonces('01ff', '7fff')), 'ours')
  assert.equal(loser(nonces('01ff', '7fff'), nonces('00ff', '80ff')), 'theirs')
  assert.equal(loser(nonces('01ff', '7fff'), nonces('80ff', '00ff')), 'theirs')
  assert.equal(loser(nonces('01fe', '7fff'), nonces('01ff', '80ff')), 'ours')
  // Octets are compared without sign, and a prefix is lower than what continues it.
  assert.equal(loser(nonces('7f', 'ff'), nonces('80', 'ff')), 'ours')
  assert.equal(loser(nonces('0102', 'ff'), nonces('010203', 'ff')), 'ours')
  assert.equal(loser(nonces('010203', 'ff'), nonces('0102', 'ff')), 'theirs')
})
