/**
 * `npm run faults -- [--only NAME] [--seeds 400] [--seconds 60]`: plants each fault of table.ts by itself and says what
 * finds it: seeds of the sweep first, then plans of the exploration, for so many seconds. Two at a time. Exit code 1 if
 * one is not found.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Found } from './seek.ts'
import { type Fault, faults } from './table.ts'

const { values } = parseArgs({
  options: { only: { type: 'string' }, seeds: { type: 'string' }, seconds: { type: 'string' } },
})
const chosen = faults.filter(({ name }) => values.only === undefined || name === values.only)
if (chosen.length === 0) {
  console.error(`--only takes one of: ${faults.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
const queue = [...chosen]
const missed: string[] = []
const started = performance.now()
console.log(`${'fault'.padEnd(36)}${'found by'.padEnd(24)}seconds  what was said`)
await Promise.all([work(), work()])
const total = ((performance.now() - started) / 1000).toFixed(0)
console.log(`\n${chosen.length - missed.length} of ${chosen.length} faults found, ${total} s`)
if (missed.length > 0) console.log(`not found: ${missed.join(', ')}`)
process.exitCode = missed.length > 0 ? 1 : 0

async function work(): Promise<void> {
  for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
    const { by, seconds, message } = await seek(fault)
    if (by === undefined) missed.push(fault.name)
    const said = message.slice(0, 90)
    console.log(`${fault.name.padEnd(36)}${(by ?? 'NOT FOUND').padEnd(24)}${seconds.toFixed(1).padStart(7)}  ${said}`)
  }
}

/** @throws Error when the fault cannot be planted any more */
function seek({ name }: Fault): Promise<Found> {
  const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
  const { seeds = '400', seconds = '60' } = values
  const args = [at('seek.ts'), '--fault', name, '--seeds', seeds, '--seconds', seconds]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', at('loader.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [output, errors] = ['', '']
    child.stdout.on('data', (part: Buffer) => {
      output += part
    })
    child.stderr.on('data', (part: Buffer) => {
      errors += part
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0) reject(new Error(`the search for ${name} ended with ${code}:\n${errors}`))
      else resolve(JSON.parse(output) as Found) // seek.ts prints nothing else
    })
  })
}
