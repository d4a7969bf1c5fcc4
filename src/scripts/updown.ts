/** Runs the updown scripts of Child SAs: those of one IKE SA one after the other, those of different ones side by side. */
import { networkInterfaces } from 'node:os'
import type { LogEntry, UpdownScript } from '../ike/output.ts'
import { runShell } from './shell.ts'

export interface UpdownOptions {
  readonly log: (entry: LogEntry) => void
  /** The name of the interface that has an address, if one has. */
  readonly interfaceOf?: (address: string) => string | undefined
  readonly run?: typeof runShell
}

export class UpdownScripts {
  readonly #log: UpdownOptions['log']
  readonly #interfaceOf: NonNullable<UpdownOptions['interfaceOf']>
  readonly #run: typeof runShell
  /** The last script of each IKE SA that has any to run. */
  readonly #last = new Map<number, Promise<void>>()
  /** The interface that a child came up with: at its end the address may be gone. By reqid, which rekeying keeps. */
  readonly #interfaces = new Map<number, string>()

  constructor({ log, interfaceOf = interfaceWith, run = runShell }: UpdownOptions) {
    this.#log = log
    this.#interfaceOf = interfaceOf
    this.#run = run
  }

  /** Runs a script once for each pair of selectors, after those that its IKE SA has asked for before. */
  perform(script: UpdownScript): void {
    const { uniqueId } = script.ikeSa
    const interfaceName = this.#interface(script)
    const done = (this.#last.get(uniqueId) ?? Promise.resolve()).then(() => this.#runAll(script, interfaceName))
    this.#last.set(uniqueId, done)
    void done.then(() => {
      if (this.#last.get(uniqueId) === done) this.#last.delete(uniqueId)
    })
  }

  /** Resolves when all scripts have ended. */
  async settled(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values())
  }

  #interface({ up, child: { reqid }, local }: UpdownScript): string {
    if (up) {
      const found = this.#interfaceOf(local)
      if (found !== undefined) this.#interfaces.set(reqid, found)
      return found ?? 'unknown'
    }
    const known = this.#interfaces.get(reqid) ?? 'unknown'
    this.#interfaces.delete(reqid)
    return known
  }

  async #runAll({ command, ikeSa, runs }: UpdownScript, interfaceName: string): Promise<void> {
    const say = (message: string, severity?: 'error'): void =>
      this.#log({ group: 'CHD', level: 1, message, ikeSa, ...(severity && { severity }) })
    for (const variables of runs) {
      try {
        await this.#run(command, {
          environment: { ...variables, PLUTO_INTERFACE: interfaceName },
          line: (text) => say(`updown: ${text}`),
        })
      } catch (error) {
        say(`running the updown script failed: ${error instanceof Error ? error.message : error}`, 'error')
      }
    }
  }
}

function interfaceWith(address: string): string | undefined {
  const found = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((entry) => entry.address === address),
  )
  return found?.[0]
}
