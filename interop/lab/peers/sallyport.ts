/** Our own daemon, from the checkout. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../hosts.ts'
import type { Running, Side } from './peer.ts'
import { startWithSwanctl } from './swanctl.ts'
import { swanctlPlugins, writeSwanctl } from './swanctl-conf.ts'

/** Starts Sallyport with swanctl's configuration of this side; swanctl drives it as it drives charon. */
export function startSallyport(side: Side): Promise<Running> {
  writeSwanctl(side, sallyportConf(side.end.daemon))
  return runSallyport(side.host)
}

/** strongswan.conf for Sallyport. */
export function sallyportConf(lines: readonly string[] = []): string {
  return `charon {
  retransmit_timeout = 1
  retransmit_tries = 3
  ${lines.join('\n  ')}
}
${swanctlPlugins}
`
}

/** Starts Sallyport on a host whose files are written. */
export function runSallyport<Name extends string>(host: Host<Name>): Promise<Running<Name>> {
  const file = join(host.folder, 'run/output.log')
  return startWithSwanctl(host, {
    name: 'sallyport',
    command:
      'SWANCTL_DIR=/etc/swanctl STRONGSWAN_CONF=/etc/strongswan.conf ' +
      '/opt/node/node --no-concurrent-recompilation /sallyport/src/main.ts',
    log: () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').map(plain).join('\n') : ''),
  })
}

/** A line of pino's JSON as a line of charon's log; anything else as it is. */
export function plain(line: string): string {
  if (!line.startsWith('{')) return line
  try {
    const entry: { readonly time?: number | string; readonly group?: string; readonly msg?: string } = JSON.parse(line)
    const time = entry.time === undefined ? '' : `${new Date(entry.time).toISOString().slice(11, 23)} `
    return `${time}00[${(entry.group ?? 'dmn').toUpperCase()}] ${entry.msg ?? line}`
  } catch {
    return line
  }
}
