/**
 * npm run interop:upstream -- --source TREE [filter…] [--host NAME | --all | --control] [--left-out] [--beyond] [--list] [--keep]
 *
 * Plays strongSwan's own test scenarios (testing/tests of the source tree TREE) with Sallyport in charon's place on moon,
 * or on sun where moon has no daemon. `--host` names another host, `--all` means every host, `--control` none: is it the
 * lab? Only scenarios of the list beside this file are played, those whose names contain one of the filters; `--left-out`
 * adds those that the list gives a reason for, `--beyond` those of the tree that are in no list (IKEv2 by swanctl). What is looked for in Sallyport's own log in charon's words, and is not
 * there, is counted apart. The status is 1 if one that is to be green is not.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runFolder } from '../lab/cache.ts'
import { type FoundGround, findGround, groundWithInterfaces, runInside } from '../lab/guest.ts'
import { rootFolder } from '../lab/root.ts'
import type { Event, Plan } from './inside.ts'
import { describe, summary } from './report.ts'
import { type Listed, scenarios } from './scenarios.ts'
import { prepareSource, swanctlScenarios } from './source.ts'

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    source: { type: 'string' },
    host: { type: 'string' },
    all: { type: 'boolean' },
    control: { type: 'boolean' },
    'left-out': { type: 'boolean' },
    beyond: { type: 'boolean' },
    list: { type: 'boolean' },
    keep: { type: 'boolean' },
  },
})

const stand = options.control ? 'none' : options.all ? 'all' : (options.host ?? 'moon')
const isNamed = (name: string): boolean => filters.length === 0 || filters.some((filter) => name.includes(filter))
const named: Listed[] = scenarios.filter(({ name }) => isNamed(name))
if (options.beyond && options.source !== undefined) {
  const unlisted = swanctlScenarios(options.source).filter((name) => !scenarios.some((one) => one.name === name))
  named.push(
    ...unlisted.filter(isNamed).map((name) => ({ name, lacks: { who: 'lab', what: 'not in the list' } as const })),
  )
}
const isLeftOut = ({ lacks }: Listed): boolean => lacks !== undefined && (lacks.who === 'lab' || stand !== 'none')
const isBeyond = ({ name }: Listed): boolean => !scenarios.some((one) => one.name === name)
const chosen = named.filter((one) => options['left-out'] || isBeyond(one) || !isLeftOut(one))

if (options.list) {
  for (const { name, lacks } of named) console.log(lacks === undefined ? name : `${name} (${lacks.what})`)
} else if (options.source === undefined) {
  console.log('--source says where a strongSwan source tree is')
  process.exitCode = 2
} else {
  process.exitCode = await main(options.source, chosen)
}

async function main(source: string, wanted: readonly Listed[]): Promise<number> {
  const report = (line: string): void => console.log(line)
  const root = await rootFolder('upstream', report)
  const prepared = await prepareSource(source, root, report)
  const ground = await findGround(root, report)
  if (ground.kind === 'none') {
    console.log(`nothing can run; missing: ${ground.missing}`)
    return 1
  }
  const work = runFolder('upstream')
  const isDemanding = ({ needs }: Listed): boolean => needs !== undefined
  const special = wanted.some(isDemanding) ? await groundWithInterfaces(ground, root) : undefined
  // Where there is no other kernel the guest finds out what is missing, and leaves the scenario out.
  const apart = special === undefined ? [] : wanted.filter(isDemanding)
  const usual = wanted.filter((one) => !apart.includes(one))
  const outcomes = new Map([
    ...(await runAll(ground, root, prepared, join(work, 'usual'), usual)),
    ...(special === undefined ? [] : await runAll(special, root, prepared, join(work, 'demanding'), apart)),
  ])
  for (const one of named.filter((each) => !wanted.includes(each)))
    console.log(`left out: ${one.name} (${one.lacks?.what})`)
  const { text, bad } = summary(outcomes, wanted, isLeftOut)
  console.log(text)
  if (bad === 0 && !options.keep) rmSync(work, { recursive: true, force: true })
  else console.log(`logs, captures and kernel contents: ${work}`)
  return bad === 0 ? 0 : 1
}

/** Runs all in one guest; in another one, what a guest that fell silent had not come to. */
async function runAll(
  ground: FoundGround,
  root: string,
  prepared: string,
  work: string,
  wanted: readonly Listed[],
): Promise<ReadonlyMap<string, Extract<Event, { kind: 'end' }>>> {
  const outcomes = new Map<string, Extract<Event, { kind: 'end' }>>()
  for (let guest = 1; ; guest++) {
    const names = wanted.map(({ name }) => name).filter((name) => !outcomes.has(name))
    if (names.length === 0) return outcomes
    const folder = join(work, `guest-${guest}`)
    mkdirSync(folder, { recursive: true })
    let current = names[0] ?? ''
    const needs = Object.fromEntries(
      wanted.flatMap(({ name, needs: need }) => (need === undefined ? [] : [[name, need]])),
    )
    const plan: Plan = { names, needs, stand }
    const ending = await runInside(
      ground,
      {
        program: 'interop/upstream/inside.ts',
        plan,
        work: folder,
        root,
        others: { scenarios: prepared },
        lanes: 1,
        silenceMs: 300_000,
      },
      (event) => {
        const it = event as Event // written by inside.ts
        current = it.name
        if (it.kind === 'start') return
        outcomes.set(it.name, it)
        console.log(describe(it, folder))
      },
    )
    rmSync(join(folder, 'checkout'), { recursive: true, force: true })
    if (outcomes.has(current) && names.every((name) => outcomes.has(name))) continue
    const failure = `the guest ${ending === 'silent' ? 'was silent' : 'ended'} (see ${join(folder, 'console.log')})`
    const lost = outcomes.has(current) ? (names.find((name) => !outcomes.has(name)) ?? current) : current
    const end = { kind: 'end', name: lost, ms: 0, failure } as const
    outcomes.set(lost, end)
    console.log(describe(end, folder))
  }
}
