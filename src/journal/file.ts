/** The file of a journal. */
import { openSync, writeSync } from 'node:fs'

/**
 * Begins a new file that only its owner may read; the result writes a line. Each line is in the file before the engine's
 * outputs are carried out, so that the last one is there after a crash.
 * @throws Error when there is such a file already, or it cannot be written
 */
export function openJournal(path: string): (line: string) => void {
  const file = openSync(path, 'wx', 0o600)
  return (line) => void writeSync(file, `${line}\n`)
}
