/** strongSwan's charon-systemd, from the root's packages. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Running, Side } from './peer.ts'
import { startWithSwanctl } from './swanctl.ts'
import { swanctlPlugins, writeSwanctl } from './swanctl-conf.ts'

/** All plugins of the packages take seconds to load in a guest; these are what scenarios use. */
const charonPlugins =
  'openssl nonce pem pkcs1 pkcs8 x509 pubkey constraints revocation kernel-netlink socket-default vici updown counters'

/** Starts charon with swanctl's configuration of this side. */
export async function startStrongswan(side: Side): Promise<Running> {
  writeSwanctl(
    side,
    `charon {
  load = ${charonPlugins}
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
${swanctlPlugins}
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
    command: side.host.root === '/' ? 'charon-systemd' : `chroot ${side.host.root} charon-systemd`,
    log: () => (existsSync(file) ? readFileSync(file, 'utf8') : ''),
  })
}
