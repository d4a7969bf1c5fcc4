/** A daemon without a core, for tests: answers what it is told to and records what it is asked. */
import { CredentialSet } from '../config/credential-set.ts'
import type { Command } from '../ike/input.ts'
import type { Answer, Event, LogEntry } from '../ike/output.ts'
import type { Counters, Daemon, Listener } from './daemon.ts'

export interface ScriptedDaemon extends Daemon {
  readonly commands: Command[]
  readonly logged: LogEntry[]
  /** Raises an event or a log entry as the core would. */
  raise(event: Event): void
}

/** `answer` decides on each command; what it leaves undefined is done. */
export function scriptedDaemon(
  answer: (command: Command, tracking: (uniqueId: number) => void) => Answer | Promise<Answer> | undefined = () =>
    undefined,
  counters?: Counters,
): ScriptedDaemon {
  const listeners = new Set<Listener>()
  const commands: Command[] = []
  const logged: LogEntry[] = []
  return {
    program: {
      name: 'charon-systemd',
      version: '6.1.0',
      sysname: 'Linux',
      release: '6.1',
      machine: 'x86_64',
      startedMs: 0,
      threads: 16,
    },
    credentials: new CredentialSet(),
    ...(counters && { counters }),
    commands,
    logged,
    async command(command, tracking = () => undefined) {
      commands.push(command)
      return (await answer(command, tracking)) ?? { kind: 'done' }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    log(entry) {
      logged.push(entry)
      for (const listener of [...listeners]) listener.log?.(entry)
    },
    raise(event) {
      for (const listener of [...listeners]) listener.event?.(event)
    },
    reload: async () => undefined,
    now: () => 200_000,
  }
}
