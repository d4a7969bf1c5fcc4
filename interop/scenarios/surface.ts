/** The unmodified swanctl prints the same for Sallyport and for charon; our own client works; and so does our kernel interface. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const surface: readonly Scenario[] = [
  scenario('swanctl/psk', { expect: { kind: 'same-surface' } }),
  scenario('swanctl/ecdsa-transport', {
    connection: { auth: 'ecdsa', mode: 'transport' },
    expect: { kind: 'same-surface' },
  }),
  scenario('kernel/esp', { expect: { kind: 'test-file', file: 'src/kernel/esp.test.ts' } }),
  scenario('client/up-status-log-down', { expect: { kind: 'own-client' } }),
]
