/** strongSwan's charon-systemd, from the root's packages. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Running, Side } from './peer.ts'
import { startWithSwanctl } from './swanctl.ts'
import { writeSwanctl } from './swanctl-conf.ts'

/** Starts charon with swanctl's configuration of this side. */
export async function startStrongswan(side: Side): Promise<Running> {
  writeSwanctl(
    side,
    `charon {
  load_modular = yes
  plugins {
    include /etc/strongswan.d/charon/*.conf
  }
  retransmit_timeout = 1
  retransmit_tries = 3
  ${(side.end.daemon ?? []).join('\n  ')}
  filelog {
    lab {
      path = /run/daemon.log
      time_format = %H:%M:%S
      time_precision = ms
      flush_line = yes
      default = 1
    }
  }
}
charon-systemd {
  journal {
    default = -1
  }
}
`,
  )
  const file = join(side.host.folder, 'run/daemon.log')
  return startWithSwanctl(side, {
    name: 'strongswan',
    command: 'charon-systemd',
    log: () => (existsSync(file) ? readFileSync(file, 'utf8') : ''),
  })
}
