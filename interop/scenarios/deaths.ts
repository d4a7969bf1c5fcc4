/** A daemon falls silent, or dies and is started again (RFC 7296 §2.4), with strongSwan: lab/deaths.ts. */
import type { Connection, End } from '../lab/connection.ts'
import type { Death } from '../lab/deaths.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const ends = ['ours', 'peer'] as const

/** A probe each second, given up after 1 + 1.8 + 3.24 seconds. */
const end: End = { daemon: ['retransmit_tries = 2', 'half_open_timeout = 10'] }
const probes: Pick<Connection, 'settings' | 'childSettings'> = {
  settings: ['dpd_delay = 1s', 'keyingtries = 0'],
  childSettings: ['dpd_action = restart'],
}

function death(of: Death['of'], how: Death['how'], initiator: Death['of'], start: Connection['start']): Scenario {
  return scenario(`deaths/strongswan-${of}-${how.replaceAll(' ', '-')}-${initiator}-initiated`, {
    initiator,
    limitMs: 180_000,
    ours: end,
    theirs: end,
    connection: { ...probes, start },
    expect: { kind: 'death', of, how },
  })
}

export const deaths: readonly Scenario[] = ends.flatMap((of) => [
  ...ends.map((initiator) => death(of, 'frozen', initiator, 'none')),
  death(of, 'killed', of === 'ours' ? 'peer' : 'ours', 'none'),
  // What has start_action = start begins as soon as it is there again.
  death(of, 'killed and started', of, 'start'),
])
