/** Where the daemon listens, and why it cannot be reached. */
import { constants } from 'node:os'
import { type ConfSection, confText, readConf } from '../config/grammar.ts'
import { defaultHostSettings } from '../config/host-options.ts'
import { strongswanConfPath } from '../config/strongswan.ts'
import type { Io } from './io.ts'

/** As swanctl: `swanctl.socket`, then `swanctl.plugins.vici.socket`; then where the daemon itself would listen. */
export function configuredUri({ env, files }: Io): string {
  const path = strongswanConfPath(env)
  let root: ConfSection
  try {
    if (files.stat(path) === undefined) return defaultHostSettings.viciUri
    root = readConf(path, files).root
  } catch {
    // A broken strongswan.conf is the daemon's to complain of; the socket may still be where it usually is.
    return defaultHostSettings.viciUri
  }
  const swanctl = root.sections.get('swanctl')
  const vici = (section: ConfSection | undefined) => section?.sections.get('plugins')?.sections.get('vici')
  const holders = [swanctl, vici(swanctl), vici(root.sections.get('charon-systemd')), vici(root.sections.get('charon'))]
  const found = holders.flatMap((section) => section?.values.get('socket') ?? [])[0]
  return found === undefined ? defaultHostSettings.viciUri : confText(found)
}

/** The errno of a socket's error, which is the exit status; undefined for other errors. */
export function errnoOf(error: NodeJS.ErrnoException): number | undefined {
  return error.code === undefined ? undefined : (constants.errno as Record<string, number>)[error.code]
}

/** What an operator can do about it. */
export function connectCure(error: NodeJS.ErrnoException): string {
  return error.code === 'EACCES'
    ? 'you may not use this socket: run it as root, or as a member of the group that owns it'
    : "the daemon does not run: start it with 'systemctl start sallyport' or 'sallyportd'"
}
