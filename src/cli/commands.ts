/** All commands, in the order of the help. */
import type { Command } from './command.ts'
import { controlCommands } from './commands/control.ts'
import { daemonCommands } from './commands/daemon.ts'
import { friendlyCommands } from './commands/friendly.ts'
import { listingCommands } from './commands/listings.ts'
import { loadCommands } from './commands/load.ts'

export const commands: readonly Command[] = [
  ...friendlyCommands,
  ...controlCommands,
  ...listingCommands,
  ...loadCommands,
  ...daemonCommands,
]
