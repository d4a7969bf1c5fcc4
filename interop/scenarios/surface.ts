/** The unmodified swanctl prints the same for Sallyport and for charon; and our own client works. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const surface: readonly Scenario[] = [
  scenario('swanctl/psk', { expect: { kind: 'same-surface' } }),
  scenario('swanctl/ecdsa-transport', {
    connection: { auth: 'ecdsa', mode: 'transport' },
    expect: { kind: 'same-surface' },
  }),
  scenario('client/up-status-log-down', { expect: { kind: 'own-client' } }),
]
