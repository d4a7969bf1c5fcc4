/** MOBIKE (RFC 4555), NATs that forget, and transport mode through NAT (RFC 7296 §2.23, §2.23.1). */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const both = ['ours', 'peer'] as const

export const roaming: readonly Scenario[] = both.flatMap((initiator) => [
  scenario(`roaming/initiator-moves-${initiator}-initiates`, {
    initiator,
    expect: { kind: 'roams', change: 'initiator moves' },
  }),
  scenario(`roaming/responder-moves-${initiator}-initiates`, {
    initiator,
    expect: { kind: 'roams', change: 'responder moves' },
  }),
  scenario(`roaming/nat-forgets-${initiator}-initiates`, {
    initiator,
    nat: true,
    expect: { kind: 'roams', change: 'nat forgets' },
  }),
  scenario(`roaming/nat-forgets-no-mobike-${initiator}-initiates`, {
    initiator,
    nat: true,
    connection: { settings: ['mobike = no'] },
    expect: { kind: 'roams', change: 'nat forgets' },
  }),
  scenario(`roaming/transport-through-nat-${initiator}-initiates`, {
    initiator,
    nat: true,
    connection: { mode: 'transport' },
    expect: { kind: 'roams', change: 'nothing' },
  }),
])
