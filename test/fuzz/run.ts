/**
 * Fuzzes every decoder: `npm run fuzz -- [--seed N] [--runs N] [--only PART]`. Takes the targets of all modules beside it.
 * Prints one line for each target; ends with status 1 at the first input that a decoder neither took nor refused.
 */
import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { FuzzFailure, fuzz, type Outcome, type Target } from './harness.ts'

const NOT_TARGETS = ['harness.ts', 'run.ts']

const { values } = parseArgs({
  options: { seed: { type: 'string' }, runs: { type: 'string' }, only: { type: 'string' } },
})
const seed = wholeNumber('seed', values.seed) ?? Math.floor(Math.random() * 0x1_0000_0000)
const runs = wholeNumber('runs', values.runs) ?? 1_000_000
const targets = (await allTargets()).filter(({ name }) => name.includes(values.only ?? ''))

console.log(`seed ${seed}, ${runs} inputs for each of ${targets.length} decoders`)
if (targets.length === 0) fail(`no decoder is called ${values.only ?? 'anything'}`)
for (const target of targets) {
  const before = performance.now()
  try {
    console.log(report(await fuzz({ ...target, seed, runs }), performance.now() - before))
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error
    fail(error.message)
  }
}
console.log(`peak memory of the whole run: ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`)

async function allTargets(): Promise<readonly Target[]> {
  const here = new URL('.', import.meta.url)
  const names = readdirSync(here).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !NOT_TARGETS.includes(name),
  )
  // The names of targets begin with that of their module, so that the others need not be loaded.
  const [first] = (values.only ?? '').split(' ')
  const files = names.includes(`${first}.ts`) ? [`${first}.ts`] : names
  const found: Target[] = []
  for (const file of files.sort()) {
    const module = (await import(new URL(file, here).href)) as { readonly targets?: readonly Target[] }
    if (module.targets === undefined) fail(`${file} exports no targets`)
    found.push(...module.targets)
  }
  return found
}

function report(outcome: Outcome, totalMs: number): string {
  const { name, decoded, refused, slowestMs, slowest, growth } = outcome
  const times = growth.map(({ bytes, ms }) => `${bytes / 1024}K ${ms.toFixed(1)}`).join(', ')
  return [
    `${name.padEnd(32)} ${outcome.runs} inputs: ${decoded} decoded, ${refused} refused`,
    `${(totalMs / 1000).toFixed(1)} s, slowest ${slowestMs.toFixed(1)} ms (${slowest.length} octets)`,
    `large (ms): ${times}`,
  ].join('; ')
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) fail(`--${option} ${text} is no whole number`)
  return Number(text)
}

function fail(reason: string): never {
  console.error(reason)
  process.exit(1)
}
