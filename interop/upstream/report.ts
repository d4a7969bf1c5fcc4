/** What a person reads: a line for each scenario, what was missed, and the numbers in the end. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Event } from './inside.ts'
import type { Miss } from './play.ts'
import type { Listed } from './scenarios.ts'

export type Outcome = Extract<Event, { kind: 'end' }>

/** Whether all was seen that is to be seen, texts of Sallyport's log aside. */
export function isGreen({ result }: Outcome): boolean {
  return result?.misses.length === 0
}

/** The lines of one scenario. */
export function describe(outcome: Outcome, folder: string): string {
  const { name, ms, result, failure, lacking } = outcome
  if (lacking !== undefined) return `left out: ${name} (the kernel has no ${lacking})`
  const time = `${(ms / 1000).toFixed(1)} s`.padStart(7)
  const texts = result?.logTexts ?? []
  const lines = [`${isGreen(outcome) ? 'ok  ' : 'FAIL'} ${time}  ${name}`]
  if (failure !== undefined) lines.push(`               ${failure}`)
  for (const miss of result?.misses ?? []) lines.push(...missed(miss))
  for (const { host, pattern } of texts) lines.push(`               log text of ${host}: ${pattern}`)
  if (!isGreen(outcome) && existsSync(join(folder, 'logs', name)))
    lines.push(`               ${join(folder, 'logs', name)}`)
  return lines.join('\n')
}

function missed({ host, command, pattern, hits, seen }: Miss): string[] {
  const wanted =
    hits === 'some' ? 'not found' : hits === 'none' ? 'found, but should not be' : `not found ${hits} times`
  const last = seen.split('\n').slice(-3).join(' | ')
  return [
    `               ${host}: ${command.trim()}: ${wanted}: ${pattern}`,
    `                 there was: ${last.length > 600 ? `…${last.slice(-600)}` : last}`,
  ]
}

/** The numbers, and how many are not green that ought to be. */
export function summary(
  outcomes: ReadonlyMap<string, Outcome>,
  wanted: readonly Listed[],
  isLeftOut: (one: Listed) => boolean,
): { readonly text: string; readonly bad: number } {
  const green = [...outcomes.values()].filter(isGreen)
  const lacking = [...outcomes.values()].filter((one) => one.lacking !== undefined)
  const failed = wanted.filter(({ name }) => ![...green, ...lacking].some((one) => one.name === name))
  const bad = failed.filter((one) => !isLeftOut(one)).length
  const texts = [...outcomes.values()].reduce((sum, { result }) => sum + (result?.logTexts.length ?? 0), 0)
  const more = failed.length > bad ? `, ${failed.length - bad} more failed that are not expected to pass` : ''
  const less = lacking.length > 0 ? `, ${lacking.length} not played for want of the kernel` : ''
  return { text: `${green.length} passed, ${bad} failed${more}${less}; ${texts} log texts that are not charon's`, bad }
}
