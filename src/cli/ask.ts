/** Asks the person at the terminal for a secret. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'

/**
 * Prints the question on the controlling terminal and reads a line from it, without showing what is typed. Without a
 * terminal the question goes to standard error and the line comes from standard input. Undefined when that has ended.
 */
export function askAtTerminal(question: string): Uint8Array | undefined {
  let terminal: number
  try {
    terminal = openSync('/dev/tty', 'r+')
  } catch {
    writeSync(2, question)
    return readLine(0)
  }
  const stty = (mode: string): unknown => spawnSync('stty', [mode], { stdio: [terminal, 'ignore', 'ignore'] })
  try {
    writeSync(terminal, question)
    stty('-echo')
    return readLine(terminal)
  } finally {
    stty('echo')
    writeSync(terminal, '\n')
    closeSync(terminal)
  }
}

/** A line without its end; byte by byte, so that nothing of the next line is taken. */
function readLine(terminal: number): Uint8Array | undefined {
  const line = new Uint8Array(MAX_LINE)
  const one = new Uint8Array(1)
  for (let length = 0; ; ) {
    if (!readOne(terminal, one)) return length === 0 ? undefined : line.slice(0, length)
    if (one[0] === NEWLINE) {
      const secret = line.slice(0, length)
      line.fill(0)
      return secret
    }
    if (length < MAX_LINE) line[length++] = one[0] ?? 0
  }
}

/** Whether there was one; what cannot be read has ended. */
function readOne(terminal: number, one: Uint8Array): boolean {
  try {
    return readSync(terminal, one) > 0
  } catch {
    return false
  }
}

const NEWLINE = 10
const MAX_LINE = 1024
