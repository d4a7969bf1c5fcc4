/** strongSwan's charon-systemd, from the root's packages. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../hosts.ts'
import type { Running, Side } from './peer.ts'
import { startWithSwanctl } from './swanctl.ts'
import { swanctlPlugins, writeSwanctl } from './swanctl-conf.ts'

/** All plugins of the packages take seconds to load in a guest; these are what scenarios use. */
const charonPlugins =
  'openssl kdf nonce pem pkcs1 pkcs8 x509 pubkey constraints revocation kernel-netlink socket-default vici updown counters'

/** Starts charon with swanctl's configuration of this side. */
export function startStrongswan(side: Side): Promise<Running> {
  writeSwanctl(side, strongswanConf(side.end.daemon))
  return runStrongswan(side.host)
}

/** strongswan.conf for charon. */
export function strongswanConf(lines: readonly string[] = [], morePlugins = ''): string {
  return `charon {
  load = ${charonPlugins} ${morePlugins}
  retransmit_timeout = 1
  retransmit_tries = 3
  ${lines.join('\n  ')}
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
`
}

/** Starts charon on a host whose files are written. */
export function runStrongswan<Name extends string>(host: Host<Name>): Promise<Running<Name>> {
  const file = join(host.folder, 'run/daemon.log')
  return startWithSwanctl(host, {
    name: 'strongswan',
    command: host.root === '/' ? 'charon-systemd' : `chroot ${host.root} charon-systemd`,
    log: () => (existsSync(file) ? readFileSync(file, 'utf8') : ''),
  })
}
