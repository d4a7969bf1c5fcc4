/** Against libreswan: PSK and certificates in both roles. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const libreswan: readonly Scenario[] = (['ours', 'peer'] as const).flatMap((initiator) => [
  ...(['psk', 'ecdsa', 'rsa'] as const).map((auth) =>
    scenario(`libreswan/${auth}-tunnel-${initiator}-initiates`, {
      peer: 'libreswan',
      initiator,
      connection: { auth },
    }),
  ),
  scenario(`libreswan/psk-transport-${initiator}-initiates`, {
    peer: 'libreswan',
    initiator,
    connection: { mode: 'transport' },
  }),
])
