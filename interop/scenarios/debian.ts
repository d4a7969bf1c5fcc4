/** Our Debian package in place of charon-systemd, under systemd: lab/debian.ts. */
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

export const debian: readonly Scenario[] = (['debian-12', 'debian-13'] as const).flatMap((release) =>
  (['package', 'restarts'] as const).map((proof) =>
    scenario(`debian/${release.slice(-2)}-${proof}`, {
      also: release,
      limitMs: 1_800_000,
      expect: { kind: 'debian', debian: release, proof },
    }),
  ),
)
