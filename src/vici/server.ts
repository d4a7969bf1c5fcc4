/** The control socket: accepts clients and hands their requests to the commands. */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { ConfigError } from '../config/config-error.ts'
import { type ConfigFiles, diskFiles } from '../config/files.ts'
import type { Tree } from '../config/tree.ts'
import type { LogEntry } from '../ike/output.ts'
import { logFields } from './commands/control.ts'
import type { Daemon } from './daemon.ts'
import type { Owner } from './owner.ts'
import { encodePacket } from './packet.ts'
import { type Context, configLog } from './request.ts'
import { eventMessage, eventName } from './sas.ts'
import { Session } from './session.ts'
import { listenOptions, parseViciUri } from './uri.ts'

export interface ViciServer {
  /** What the commands share; `loadAll` runs requests of its own with it. */
  readonly context: Context
  /** Ends every client and stops listening. The socket file goes, too. */
  close(): Promise<void>
}

export interface ViciServerOptions {
  readonly uri: string
  readonly daemon: Daemon
  readonly files?: ConfigFiles
  /** Who the UNIX socket belongs to; left out: who made it. */
  readonly owner?: Owner
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Listens at `uri`. A UNIX socket is made with mode 0660; one that lies in the way is removed.
 * @throws ConfigError when it cannot listen there, with the cure
 */
export async function listenVici(options: ViciServerOptions): Promise<ViciServer> {
  const { daemon, env = process.env } = options
  const uri = parseViciUri(options.uri)
  const context: Context = { daemon, files: options.files ?? diskFiles() }
  const sessions = new Set<Session>()
  let lastId = 0
  const server = createServer((socket: Socket) => {
    const session = new Session(socket, ++lastId, context, () => sessions.delete(session))
    sessions.add(session)
  })
  if (uri.kind === 'unix') removeSocket(uri.path)
  try {
    await listening(server, () => server.listen(listenOptions(uri, env)))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const cure = cures[code ?? ''] ?? 'choose another with charon.plugins.vici.socket in strongswan.conf'
    throw new ConfigError(
      `cannot open the control socket ${options.uri}: ${code ?? message}; ${cure}`,
      undefined,
      error,
    )
  }
  if (uri.kind === 'unix') {
    chmodSync(uri.path, 0o660)
    if (options.owner !== undefined) giveTo(uri.path, options.owner, daemon)
  }
  const broadcast = (name: string, message: () => Tree) => {
    let packet: Uint8Array | undefined
    for (const session of sessions) {
      if (!session.registered(name)) continue
      packet ??= encodePacket('EVENT', name, message())
      session.sendEvent(name, packet)
    }
  }
  const unsubscribe = daemon.subscribe({
    log: (entry: LogEntry) => {
      if (entry.level <= 1) broadcast('log', () => logFields(entry, 0))
    },
    event: (event) => broadcast(eventName(event), () => eventMessage(event).message),
  })
  server.on('error', (error) => daemon.log(configLog(`accepting a vici connection failed: ${error.message}`)))
  return {
    context,
    async close() {
      unsubscribe()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const session of sessions) session.destroy()
      await closed
    },
  }
}

const cures: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else is there: remove it, or stop the daemon that listens there',
  // libuv makes ENOENT of bind(2) an EACCES.
  EACCES: 'its directory is missing or may not be written to: create it, or run the daemon as root',
}

/** Without the right to do so the socket stays whose it is: root can use it. */
function giveTo(path: string, { uid, gid }: Owner, daemon: Daemon): void {
  try {
    chownSync(path, uid ?? process.getuid?.() ?? 0, gid ?? process.getgid?.() ?? 0)
  } catch (error) {
    daemon.log(configLog(`changing the owner of ${path} failed: ${(error as Error).message}`))
  }
}

/** Makes the socket without rights for others from the first moment; the umask is the process's, so only for the call. */
async function listening(server: Server, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    const umask = process.umask(0o117)
    try {
      listen()
    } finally {
      process.umask(umask)
    }
  })
}

/** The socket of a daemon that died. Anything else at that path is not ours to remove: listening fails. */
function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path)
}
