/**
 * npm run demo
 *
 * Brings up a tunnel between two hosts on this machine, Sallyport and strongSwan, draws the exchange as it happens,
 * pings through it and takes it down again. `--peer-only` puts strongSwan in Sallyport's place,
 * `--sallyport-only` Sallyport in strongSwan's.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runFolder } from './lab/cache.ts'
import type { DemoEvent, DemoPlan } from './lab/demo-inside.ts'
import { findGround, type Ground, runInside } from './lab/guest.ts'
import { rootFolder } from './lab/root.ts'

const { values: options } = parseArgs({
  options: { 'peer-only': { type: 'boolean' }, 'sallyport-only': { type: 'boolean' } },
})
process.exitCode = await demo()

async function demo(): Promise<number> {
  const begin = Date.now()
  const root = await rootFolder('strongswan', console.log).catch((error: Error) => error)
  const ground: Ground =
    typeof root === 'string' ? await findGround(root, console.log) : { kind: 'none', missing: root.message }
  if (typeof root !== 'string' || ground.kind === 'none') {
    console.log(`The demo cannot run; missing: ${ground.kind === 'none' ? ground.missing : ''}`)
    return 1
  }
  console.log(
    ground.kind === 'host'
      ? 'The kernel of this machine has ESP: the hosts stand on it.'
      : 'The kernel of this machine has no ESP: the hosts stand on a guest kernel (user-mode Linux).',
  )
  const work = runFolder('demo')
  const plan: DemoPlan = {
    moon: options['peer-only'] ? 'strongswan' : 'sallyport',
    sun: options['sallyport-only'] ? 'sallyport' : 'strongswan',
  }
  let failure: string | undefined = 'the guest ended before the demo did'
  const job = { program: 'interop/lab/demo-inside.ts', plan, work, root, lanes: 1, silenceMs: 60_000 }
  await runInside(ground, job, (event) => {
    const it = event as DemoEvent // written by demo-inside.ts
    if (it.kind === 'line') console.log(it.text)
    else failure = it.failure
  })
  if (failure !== undefined) {
    console.log(`\nThe demo failed: ${failure}\nThe console of the guest: ${join(work, 'console.log')}`)
    return 1
  }
  rmSync(work, { recursive: true, force: true })
  console.log(`\nDone in ${((Date.now() - begin) / 1000).toFixed(0)} s.`)
  return 0
}
