/** A test file of the sources, run on the kernel of the lab. */
import { spawnSync } from 'node:child_process'

/** Runs the file, relative to the checkout. It fails if a test fails, is skipped, or none is there. */
export async function runTestFile(file: string, timeout: number): Promise<void> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const args = [...process.execArgv, '--test', '--test-reporter=tap', `/sallyport/${file}`]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout, env })
  const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(stdout)?.[1] ?? Number.NaN)
  if (count('pass') > 0 && count('fail') === 0 && count('skipped') === 0 && count('cancelled') === 0) return
  throw new Error(`${file}: ${count('fail')} failed, ${count('skipped')} skipped: ${stdout.slice(-2000)}`)
}
