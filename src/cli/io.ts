/** What a command line may touch besides the daemon. */
import type { ConfigFiles } from '../config/files.ts'

export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly files: ConfigFiles
  /** Whether `out` ends at a terminal. */
  readonly terminal?: boolean
  /** Asks the person at the terminal for a secret; undefined when there is none. */
  readonly ask?: (question: string) => Uint8Array | undefined
}
