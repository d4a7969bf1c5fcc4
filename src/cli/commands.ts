/** All commands. */
import type { Command } from './command.ts'
import { certificateCommands } from './commands/certificates.ts'
import { controlCommands } from './commands/control.ts'
import { daemonCommands } from './commands/daemon.ts'
import { friendlyCommands } from './commands/friendly.ts'
import { listingCommands } from './commands/listings.ts'
import { loadCommands } from './commands/load.ts'
import { completion } from './completion.ts'

/** The order of swanctl's help, and of what it proposes for an abbreviation. */
const order: readonly string[] = [
  ...['counters', 'initiate', 'terminate', 'rekey', 'redirect', 'uninstall', 'install'],
  ...['list-sas', 'monitor-sa', 'list-pols', 'list-authorities', 'list-conns', 'list-certs', 'list-pools', 'list-algs'],
  ...['flush-certs', 'load-all', 'load-authorities', 'load-conns', 'load-creds', 'load-pools'],
  ...['log', 'version', 'stats', 'reload-settings'],
]

/** Our own first, then swanctl's. */
export const commands: readonly Command[] = [
  ...friendlyCommands,
  {
    name: 'completion',
    help: 'print a script that makes bash complete these words',
    options: [],
    run: async ({ io }) => {
      io.out(completion(commands))
      return 0
    },
  },
  ...[...certificateCommands, ...controlCommands, ...daemonCommands, ...listingCommands, ...loadCommands].toSorted(
    (a, b) => order.indexOf(a.name) - order.indexOf(b.name),
  ),
]
