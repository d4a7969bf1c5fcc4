/** Moments and spans as swanctl prints them. */

/** `Nov 21 09:00:00 2026` in local time, `Nov 21 09:00:00 UTC 2026` in UTC. */
export function momentText(ms: number, isUtc: boolean): string {
  // As if it were UTC, so that one set of getters does.
  const date = isUtc ? new Date(ms) : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000)
  const two = (n: number): string => String(n).padStart(2, '0')
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  return `${months[date.getUTCMonth()]} ${two(date.getUTCDate())} ${clock} ${isUtc ? 'UTC ' : ''}${date.getUTCFullYear()}`
}

/** The largest unit of which there are more than two, cut off. */
export function spanText(ms: number): string {
  const seconds = Math.floor(Math.abs(ms) / 1000)
  const [size, name] = units.find(([unit]) => seconds > 2 * unit) ?? [1, 'second']
  const count = Math.floor(seconds / size)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** When it begins to be valid, and whether it has. */
export function beginText(ms: number, now: number, isUtc: boolean): string {
  const state = now < ms ? `not valid yet (valid in ${spanText(ms - now)})` : 'ok'
  return `${momentText(ms, isUtc)}, ${state}`
}

/** When it ends to be valid, and whether it has. */
export function endText(ms: number, now: number, isUtc: boolean): string {
  const state = now > ms ? `expired (${spanText(now - ms)} ago)` : `ok (expires in ${spanText(ms - now)})`
  return `${momentText(ms, isUtc)}, ${state}`
}

const units: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
]

const months: readonly string[] = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
