/** What a child can ask for beyond a tunnel, with strongSwan (lab/children.ts). */
import { idleSeconds, paddedTo } from '../lab/children.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const both = ['ours', 'peer'] as const

export const children: readonly Scenario[] = [
  ...both.flatMap((initiator) => [
    scenario(`children/ipcomp-${initiator}-initiates`, {
      initiator,
      connection: { childSettings: ['ipcomp = yes'] },
      expect: { kind: 'child', proof: 'compression' },
    }),
    scenario(`children/tfc-padding-${initiator}-initiates`, {
      initiator,
      connection: { childSettings: [`tfc_padding = ${paddedTo}`] },
      expect: { kind: 'child', proof: 'padding' },
    }),
    scenario(`children/sha256-96-${initiator}-initiates`, {
      initiator,
      connection: { esp: { swanctl: 'aes128-sha256', libreswan: '' }, childSettings: ['sha256_96 = yes'] },
      expect: { kind: 'up', kernel: ['auth-trunc hmac(sha256) (key) 96'] },
    }),
  ]),
  scenario('children/inactivity', {
    connection: { childSettings: [`inactivity = ${idleSeconds}s`] },
    expect: { kind: 'child', proof: 'inactivity' },
  }),
]
