/** Where the lab keeps what it builds: outside the checkout, shared by all checkouts of a user. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The lab's cache folder: `SALLYPORT_LAB_CACHE`, else `sallyport/lab` below the user's cache folder. */
export function cacheFolder(): string {
  const { SALLYPORT_LAB_CACHE: own, XDG_CACHE_HOME: xdg } = process.env
  const folder = own || join(xdg || join(homedir(), '.cache'), 'sallyport', 'lab')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** A new folder for one run. Of earlier runs the last twenty are kept. */
export function runFolder(label: string): string {
  const runs = join(cacheFolder(), 'runs')
  mkdirSync(runs, { recursive: true })
  for (const old of readdirSync(runs).sort().slice(0, -20)) rmSync(join(runs, old), { recursive: true, force: true })
  const folder = join(runs, `${new Date().toISOString().replaceAll(':', '')}-${label}-${process.pid}`)
  mkdirSync(folder)
  return folder
}

/**
 * Runs `work` while no other process holds the lock `name`. The lock belongs to a `flock` process and so ends with us,
 * however we end.
 */
export async function locked<T>(name: string, waiting: () => void, work: () => Promise<T>): Promise<T> {
  const file = join(cacheFolder(), `${name}.lock`)
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const impatient = setTimeout(waiting, 1000)
  try {
    await new Promise<void>((held, failed) => {
      holder.stdout.once('data', () => held())
      holder.once('error', failed)
      holder.once('exit', (code) => failed(new Error(`flock ended with ${code}`)))
    })
    clearTimeout(impatient)
    return await work()
  } finally {
    clearTimeout(impatient)
    holder.stdin.end()
  }
}
