/** Waiting for something that tells nobody when it happens. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Looks every few milliseconds until `look` gives something true; after `timeoutMs` throws and names what was awaited. */
export async function poll<T>(
  what: string,
  timeoutMs: number,
  look: () => T | Promise<T>,
): Promise<Exclude<T, false | undefined>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const found = await look()
    if (found !== false && found !== undefined) return found as Exclude<T, false | undefined>
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await sleep(20)
  }
}
