/** A capture on the wire between the hosts, from the first packet to `stop`. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { poll } from './poll.ts'
import type { Shell } from './shell.ts'

/** A running capture. */
export interface Capture {
  /** The file it is written to. */
  readonly file: string
  /** What is in the file so far. */
  readonly read: () => Buffer
  /** Ends the capture and waits for the last packet to be written. */
  readonly stop: () => Promise<Buffer>
}

/** Starts tcpdump on the bridge and waits until it listens. */
export async function startCapture(wire: Shell, file: string): Promise<Capture> {
  await wire.must(`tcpdump --immediate-mode -U -i wire -s 0 -w ${file} -Z root >${file}.log 2>&1 & capture=$!`)
  await poll('tcpdump to listen', 20_000, () => existsSync(file) && statSync(file).size >= 24)
  return {
    file,
    read: () => readFileSync(file),
    async stop() {
      await wire.run('kill -INT $capture && wait $capture')
      return readFileSync(file)
    },
  }
}
