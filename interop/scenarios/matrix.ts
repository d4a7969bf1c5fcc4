/** {PSK, ECDSA, RSA, Ed25519} × {ours initiates, peer initiates} × {tunnel, transport} against strongSwan. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const matrix: readonly Scenario[] = (['psk', 'ecdsa', 'rsa', 'ed25519'] as const).flatMap((auth) =>
  (['tunnel', 'transport'] as const).flatMap((mode) =>
    (['ours', 'peer'] as const).map((initiator) =>
      scenario(`strongswan/${auth}-${mode}-${initiator}-initiates`, { initiator, connection: { auth, mode } }),
    ),
  ),
)
