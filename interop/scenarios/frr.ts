/** FRRouting's nhrpd drives Sallyport through VICI. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const frr: readonly Scenario[] = [
  scenario('frr/dmvpn-shortcut', { also: 'frr', limitMs: 300_000, expect: { kind: 'dmvpn' } }),
]
