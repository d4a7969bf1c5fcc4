/** The `sallyport` command as an operator uses it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { poll } from './poll.ts'
import { pingBothWays, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

const client = '/opt/node/node --no-concurrent-recompilation /sallyport/src/cli/sallyport.ts'

/** version, log, up, status, down: each ends well and says what it should. */
export async function proveOwnClient(stage: Stage): Promise<void> {
  const { moon } = stage.ground
  const run = (words: string): Promise<string> => moon.shell.must(`timeout 12 ${client} ${words}`)
  const says = async (words: string, what: RegExp): Promise<void> => {
    const text = await run(words)
    if (!what.test(text)) throw new Error(`sallyport ${words} does not say ${what}: ${text.trim().slice(0, 300)}`)
  }
  await says('version', /\d+\.\d+/)
  await says('list-conns', /\bnet\b/)
  await moon.shell.must(`timeout 30 ${client} log >/run/client.log 2>&1 & log=$!`)
  await says('up net', /\S/)
  await pingBothWays(stage)
  await says('status', /ESTABLISHED[\s\S]*INSTALLED/)
  JSON.parse(await run('status --json'))
  await run('down net')
  const log = join(moon.folder, 'run/client.log')
  await poll('sallyport log to tell of the end', 3000, () => /closed|deleted/i.test(readFileSync(log, 'utf8')))
  await moon.shell.run('kill $log; wait $log')
  await quiet(stage)
}
