/** The start-scripts and stop-scripts of strongswan.conf. */
import type { Script } from '../config/strongswan.ts'
import type { LogEntry } from '../ike/output.ts'
import { runShell } from './shell.ts'

/**
 * Runs scripts one after the other and logs what they write. They may talk to our own VICI socket: nothing waits for
 * them but the caller. One that fails does not keep the others from running.
 */
export async function runScripts(
  when: 'start' | 'stop',
  scripts: readonly Script[],
  log: (entry: LogEntry) => void,
): Promise<void> {
  const say = (message: string, severity?: 'error'): void =>
    log({ group: 'DMN', level: 1, message, ...(severity && { severity }) })
  for (const { name, command } of scripts) {
    say(`executing ${when} script '${name}' (${command})`)
    try {
      await runShell(command, { line: (text) => say(`${name}: ${text}`) })
    } catch (error) {
      say(`executing ${when} script '${name}' failed: ${error instanceof Error ? error.message : error}`, 'error')
    }
  }
}
