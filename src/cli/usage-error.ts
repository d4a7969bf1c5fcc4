import type { Command } from './command.ts'

/** A command line that has no meaning; the help of `command`, or all of it, goes with it. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly command: Command | undefined
  /** What the parser has to say of it, before the help. */
  readonly complaint: string | undefined

  constructor(message: string, command: Command | undefined, complaint?: string) {
    super(message)
    this.command = command
    this.complaint = complaint
  }
}
