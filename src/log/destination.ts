/**
 * Where log lines go: a file or a standard stream, buffered. Nothing is scheduled while nothing is written, so an idle
 * daemon sleeps.
 */
import { closeSync, openSync, writeSync } from 'node:fs'

export interface Destination {
  /** Adds text, whole lines. Never throws: a full disk must not end the daemon. */
  write(text: string): void
  /** Writes out what is buffered. */
  flush(): void
  /** Opens the file again under its name, for log rotation. */
  reopen(): void
  close(): void
}

export interface DestinationOptions {
  /** Keep what is in the file. */
  readonly append: boolean
  /** Write each line at once. */
  readonly flushLine: boolean
}

const bufferBytes = 16 * 1024
const flushAfterMs = 100
/** What may wait for a reader that does not read or a disk that is full; more is lost, and counted. */
const maxWaiting = 4 * 1024 * 1024

/**
 * @param path `stdout`, `stderr` or the path of a file, which is made with mode 0640
 * @throws the error of `open` (EACCES, ENOENT, …)
 */
export function openDestination(path: string, options: DestinationOptions): Destination {
  const standard = path === 'stdout' ? 1 : path === 'stderr' ? 2 : undefined
  const open = (append: boolean) => standard ?? openSync(path, append ? 'a' : 'w', 0o640)
  let fd = open(options.append)
  let waiting: string[] = []
  let waitingLength = 0
  /** Bytes of a line of which a part was written. */
  let unfinished: Uint8Array = new Uint8Array(0)
  let lost = 0
  let timer: NodeJS.Timeout | undefined

  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    if (lost > 0 && waitingLength < maxWaiting) {
      waiting.push(`${lost} log lines were lost: ${path} could not be written\n`)
      lost = 0
    }
    let bytes: Uint8Array = Buffer.concat([unfinished, Buffer.from(waiting.join(''))])
    waiting = []
    try {
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(fd, bytes))
    } catch {
      // EAGAIN of a pipe, ENOSPC: kept for the next time, up to a limit.
      if (bytes.length < maxWaiting) schedule()
    }
    unfinished = bytes
    waitingLength = bytes.length
  }
  const schedule = () => {
    timer ??= setTimeout(flush, flushAfterMs).unref()
  }

  return {
    write(text) {
      if (waitingLength > maxWaiting) {
        lost++
        return
      }
      waiting.push(text)
      waitingLength += text.length
      if (options.flushLine || waitingLength - unfinished.length >= bufferBytes) flush()
      else schedule()
    },
    flush,
    reopen() {
      if (standard !== undefined) return
      flush()
      const fresh = open(true)
      closeSync(fd)
      fd = fresh
    },
    close() {
      flush()
      clearTimeout(timer)
      if (standard === undefined) closeSync(fd)
    },
  }
}
