/** Rekeying (RFC 7296 §2.8), also from both ends at once (§2.8.1, §2.25), and reauthentication (§2.8.3). */
import type { Step } from '../lab/rekeys.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const ends = ['ours', 'peer'] as const
const inARow = 20

function times<T>(count: number, ...items: readonly T[]): readonly T[] {
  return Array.from({ length: count }, () => items).flat()
}

const crossing: readonly Step[] = [
  ...times<Step>(4, { by: 'both', ours: 'child', peers: 'child' }),
  ...times<Step>(4, { by: 'both', ours: 'ike', peers: 'ike' }),
  ...times<Step>(2, { by: 'both', ours: 'child', peers: 'ike' }, { by: 'both', ours: 'ike', peers: 'child' }),
]

export const rekeys: readonly Scenario[] = ends.flatMap((initiator) => [
  ...ends.map((by) =>
    scenario(`rekeys/strongswan-${inARow}-children-${inARow}-ike-by-${by}-${initiator}-initiated`, {
      initiator,
      limitMs: 300_000,
      expect: {
        kind: 'rekeys',
        stream: true,
        steps: [...times<Step>(inARow, { by, what: 'child' }), ...times<Step>(inARow, { by, what: 'ike' })],
      },
    }),
  ),
  scenario(`rekeys/strongswan-by-both-at-once-${initiator}-initiated`, {
    initiator,
    limitMs: 300_000,
    expect: { kind: 'rekeys', steps: crossing },
  }),
  scenario(`rekeys/strongswan-reauthentication-make-before-break-${initiator}-initiated`, {
    initiator,
    limitMs: 180_000,
    ours: { daemon: ['make_before_break = yes'] },
    theirs: { daemon: ['make_before_break = yes'] },
    expect: {
      kind: 'rekeys',
      // charon sends as responder before its answer has been read; we do not.
      ...(initiator === 'ours' && { loses: 'early packets' as const }),
      steps: times<Step>(5, { by: initiator, what: 'reauthentication' }),
    },
  }),
  scenario(`rekeys/strongswan-reauthentication-break-before-make-${initiator}-initiated`, {
    initiator,
    limitMs: 180_000,
    ours: { daemon: ['make_before_break = no'] },
    theirs: { daemon: ['make_before_break = no'] },
    expect: {
      kind: 'rekeys',
      loses: 'packets between',
      steps: times<Step>(5, { by: initiator, what: 'reauthentication' }),
    },
  }),
])
