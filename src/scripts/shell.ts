/** Runs commands of the configuration in the shell, without waiting in the way of anything else. */
import { spawn } from 'node:child_process'

/** How much of a line charon hands to its log at a time, in octets. */
const lineOctets = 127

export interface ShellOptions {
  /** All that the command sees of the environment, beside PATH. */
  readonly environment?: Readonly<Record<string, string>>
  /** Called for every line that the command writes to standard output or standard error. */
  readonly line: (text: string) => void
}

/**
 * Runs `command` with `/bin/sh -c`. Resolves when it has ended, however that was; what it leaves running in the
 * background is not waited for.
 * @throws Error when there is no shell
 */
export function runShell(command: string, { environment = {}, line }: ShellOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const { PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
    const child = spawn('/bin/sh', ['-c', `exec 2>&1\n${command}`], {
      env: { PATH, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let rest = ''
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const whole of lines) for (const piece of pieces(whole)) line(piece)
      while (rest.length > lineOctets) {
        line(printable(rest.slice(0, lineOctets)))
        rest = rest.slice(lineOctets)
      }
    })
    child.on('error', reject)
    child.on('exit', () => {
      // What is still in the pipe is the command's own; a background process may hold the pipe open for ever.
      setImmediate(() => {
        if (rest !== '') line(printable(rest))
        child.stdout.destroy()
        resolve()
      })
    })
  })
}

function pieces(text: string): readonly string[] {
  const parts: string[] = []
  for (let at = 0; at === 0 || at < text.length; at += lineOctets) {
    parts.push(printable(text.slice(at, at + lineOctets)))
  }
  return parts
}

/** A script repeats what peers say of themselves: nothing of that may steer the terminal of who reads the log. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}
