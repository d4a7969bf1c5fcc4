/** Default lifetimes: what charon computes for the limits that a configuration leaves out. Unset is undefined. */
import type { Lifetime } from './connection.ts'

export interface LifetimeDraft<N> {
  rekey?: N | undefined
  life?: N | undefined
  rand?: N | undefined
}

/** Soft limit, by default `unset` or life / 1.1; hard limit, by default rekey × 1.1; jitter, by default the difference. */
export function childLifetime(draft: LifetimeDraft<number>, unset: number): Lifetime<number> {
  const rekey = draft.rekey ?? (draft.life === undefined ? unset : Math.trunc(draft.life / 1.1))
  const life = draft.life ?? Math.trunc(rekey * 1.1)
  return { rekey, life, rand: draft.rand ?? Math.max(0, life - rekey) }
}

/** The same for bytes and packets. The arithmetic is that of doubles, as in charon. */
export function childVolume(draft: LifetimeDraft<bigint>): Lifetime<bigint> {
  const scale = (n: bigint, factor: number) => BigInt(Math.trunc(Number(n) * factor))
  const rekey = draft.rekey ?? (draft.life === undefined ? 0n : BigInt(Math.trunc(Number(draft.life) / 1.1)))
  const life = draft.life ?? scale(rekey, 1.1)
  return { rekey, life, rand: draft.rand ?? (life > rekey ? life - rekey : 0n) }
}

export interface IkeTimes {
  readonly rekeySeconds: number
  readonly reauthSeconds: number
  readonly overSeconds: number
  readonly randSeconds: number
}

/** 4 h of rekey_time if neither is set; over_time a tenth of the longer; rand_time over_time, at most half a limit. */
export function ikeTimes(draft: {
  readonly rekeySeconds?: number | undefined
  readonly reauthSeconds?: number | undefined
  readonly overSeconds?: number | undefined
  readonly randSeconds?: number | undefined
}): IkeTimes {
  const neither = draft.rekeySeconds === undefined && draft.reauthSeconds === undefined
  const rekeySeconds = draft.rekeySeconds ?? (neither ? 4 * 3600 : 0)
  const reauthSeconds = draft.reauthSeconds ?? 0
  const overSeconds = draft.overSeconds ?? Math.trunc(Math.max(rekeySeconds, reauthSeconds) / 10)
  const halves = [rekeySeconds, reauthSeconds].filter((limit) => limit > 0).map((limit) => Math.trunc(limit / 2))
  return {
    rekeySeconds,
    reauthSeconds,
    overSeconds,
    randSeconds: draft.randSeconds ?? Math.min(overSeconds, ...halves),
  }
}
