/** Access to configuration files, as a parameter so that reading can be tested without a disk. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { getSystemErrorMessage } from 'node:util'

export interface ConfigFiles {
  /** The bytes of a file. Throws as `readFileSync` does when it cannot be read. */
  read(path: string): Uint8Array
  /** Names of the entries of a directory; a directory that is not there has none. */
  list(directory: string): readonly string[]
  /** Permission bits and whether it is a regular file; undefined when it is not there. */
  stat(path: string): { readonly mode: number; readonly regular: boolean } | undefined
}

/** The files of this machine. Files above `maxBytes` are refused: no configuration is that long. */
export function diskFiles(maxBytes: number = 16 * 1024 * 1024): ConfigFiles {
  return {
    read(path) {
      const size = statSync(path).size
      if (size > maxBytes) throw new Error(`${path} has ${size} bytes, more than ${maxBytes}`)
      return new Uint8Array(readFileSync(path))
    },
    list(directory) {
      try {
        return readdirSync(directory)
      } catch {
        return []
      }
    },
    stat(path) {
      const found = statSync(path, { throwIfNoEntry: false })
      return found && { mode: found.mode & 0o7777, regular: found.isFile() }
    },
  }
}

/** Why a file could not be read: the words of strerror(3) where the system said no. */
export function reasonOf(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException
  return errno === undefined ? message : strerror(errno)
}

/** The words of strerror(3) for an errno, which Node has as a negative number. */
export function strerror(errno: number): string {
  const text = getSystemErrorMessage(errno)
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Files held in memory, by absolute path; for tests and for the fuzzer. */
export function memoryFiles(contents: Readonly<Record<string, string | Uint8Array>>, mode = 0o600): ConfigFiles {
  const byPath = new Map(Object.entries(contents))
  return {
    read(path) {
      const found = byPath.get(path)
      if (found === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`)
      return typeof found === 'string' ? new TextEncoder().encode(found) : found
    },
    list(directory) {
      const prefix = directory.endsWith('/') ? directory : `${directory}/`
      const names = [...byPath.keys()].filter((path) => path.startsWith(prefix))
      return [...new Set(names.map((path) => path.slice(prefix.length).split('/')[0] ?? ''))]
    },
    stat(path) {
      return byPath.has(path) ? { mode, regular: true } : undefined
    },
  }
}
