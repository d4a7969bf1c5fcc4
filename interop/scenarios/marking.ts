/** Marks, interface ids and labels, with strongSwan: what moon chooses, sun does not notice (lab/marking.ts). */
import { interfaceScript } from '../lab/marking.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const both = ['ours', 'peer'] as const
const unique = ['mark_in = %unique', 'mark_out = %unique', 'set_mark_in = %same']

/** Whatever goes from the network behind moon to others and is in no tunnel. */
const dropping = `nothing-else {
    remote_addrs = 127.0.0.1
    children {
      nothing-else {
        mode = drop
        local_ts = 10.1.0.0/16
        remote_ts = 10.0.0.0/8
        policies_fwd_out = yes
        start_action = trap
      }
    }
  }`

export const marking: readonly Scenario[] = [
  scenario('marking/unique-marks-of-a-trap', {
    connection: { start: 'trap' },
    ours: { childSettings: ['mark_in = %unique', 'mark_out = %unique'] },
    expect: { kind: 'marking', proof: 'trap' },
  }),
  ...both.flatMap((initiator) => [
    scenario(`marking/unique-marks-${initiator}-initiates`, {
      initiator,
      ours: { childSettings: unique },
      expect: { kind: 'marking', proof: 'marks' },
    }),
    scenario(`marking/interface-of-the-connection-${initiator}-initiates`, {
      initiator,
      clients: true,
      needs: 'xfrm-interfaces',
      ours: {
        settings: ['if_id_in = %unique', 'if_id_out = %unique'],
        childSettings: [`updown = ${interfaceScript}`],
      },
      expect: { kind: 'marking', proof: 'interface' },
    }),
    scenario(`marking/fwd-out-${initiator}-initiates`, {
      initiator,
      clients: true,
      ours: { childSettings: ['policies_fwd_out = yes'], connections: [dropping] },
      expect: { kind: 'marking', proof: 'forwarded' },
    }),
    scenario(`marking/label-${initiator}-initiates`, {
      initiator,
      connection: { childSettings: ['label = lab-secret', 'label_mode = simple'] },
      expect: { kind: 'up', says: 'selected security label: lab-secret', rekeys: ['child', 'ike'] },
    }),
    scenario(`marking/other-label-${initiator}-initiates`, {
      initiator,
      ours: { childSettings: ['label = lab-secret'] },
      theirs: { childSettings: ['label = public'] },
      expect: { kind: 'refused', initiator: /TS_UNACCEPT/, responder: /traffic selectors .* unacceptable/ },
    }),
  ]),
]
