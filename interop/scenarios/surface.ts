/** The unmodified swanctl prints the same for Sallyport and for charon. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const surface: readonly Scenario[] = [
  scenario('swanctl/psk', { expect: { kind: 'same-surface' } }),
  scenario('swanctl/ecdsa-transport', {
    connection: { auth: 'ecdsa', mode: 'transport' },
    expect: { kind: 'same-surface' },
  }),
]
