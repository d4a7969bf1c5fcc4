/** Addresses of the control socket. */
import type { ListenOptions, NetConnectOpts } from 'node:net'
import { ConfigError } from '../config/config-error.ts'

export type ViciUri =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** Socket activation: the file descriptor that systemd gives under this name. */
  | { readonly kind: 'systemd'; readonly name: string }

/** `unix:///path`, `tcp://host:port`, `systemd://name`. @throws ConfigError */
export function parseViciUri(text: string): ViciUri {
  const unix = /^unix:\/\/(\/.+)$/.exec(text)
  if (unix !== null) return { kind: 'unix', path: unix[1] ?? '' }
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\d{1,5})$/.exec(text)
  const port = Number(tcp?.[2])
  if (tcp !== null && port <= 65535) return { kind: 'tcp', host: (tcp[1] ?? '').replace(/[[\]]/g, ''), port }
  const systemd = /^systemd:\/\/(.+)$/.exec(text)
  if (systemd !== null) return { kind: 'systemd', name: systemd[1] ?? '' }
  throw new ConfigError(`'${text}' is no address of a VICI socket; write unix:///path or tcp://host:port`)
}

/** Where to listen. `env` is the environment that systemd gave us. @throws ConfigError */
export function listenOptions(uri: ViciUri, env: Readonly<Record<string, string | undefined>>): ListenOptions {
  switch (uri.kind) {
    case 'unix':
      return { path: uri.path }
    case 'tcp':
      return { host: uri.host, port: uri.port }
    case 'systemd': {
      const names = (env['LISTEN_FDNAMES'] ?? '').split(':')
      const at = names.indexOf(uri.name)
      // sd_listen_fds(3): descriptors begin at 3.
      if (at < 0) throw new ConfigError(`systemd gave no socket named '${uri.name}'; name it in the socket unit`)
      return { fd: 3 + at } as ListenOptions
    }
  }
}

/** Where to connect to. @throws ConfigError */
export function connectOptions(uri: ViciUri): NetConnectOpts {
  if (uri.kind === 'unix') return { path: uri.path }
  if (uri.kind === 'tcp') return { host: uri.host, port: uri.port }
  throw new ConfigError('systemd:// is for the daemon; clients connect to unix:// or tcp://')
}
