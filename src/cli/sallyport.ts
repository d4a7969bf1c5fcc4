#!/usr/bin/env node
/** The command line: a VICI client that brings tunnels up and down and shows them. */
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { type ConfigFiles, diskFiles } from '../config/files.ts'
import { type ConfSection, confText, readConf } from '../config/grammar.ts'
import { defaultViciUri, strongswanConfPath } from '../config/strongswan.ts'
import { findText, optional, type Tree, value } from '../config/tree.ts'
import { ViciClient, ViciError } from '../vici/client.ts'
import { formatConnection, formatSa } from './status.ts'
import { treeToJson } from './tree-json.ts'

const usage = `usage: sallyport COMMAND [options]

  up NAME         bring up a child (or, if there is none of that name, an IKE SA) and wait for it
  down NAME       close the SAs of a child (or of a connection)
  status [NAME]   list IKE SAs and their children
  list-conns      list the connections that are loaded
  log             follow the daemon's log
  version         versions of this program and of the daemon

  --ike NAME      up, down, status: this connection only
  --child NAME    up, down, status: this child
  --timeout S     up, down: stop waiting after S seconds
  --force         down: do not wait for the peer
  --json          JSON instead of text
  --uri URI       the daemon's socket: unix:///path or tcp://host:port
  --help
`

export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly files: ConfigFiles
}

interface Call {
  readonly client: ViciClient
  readonly io: Io
  readonly names: readonly string[]
  readonly options: Options
}

type Options = ReturnType<typeof parse>['values']

/** What the command line means. Throws what `parseArgs` throws. */
function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      ike: { type: 'string', short: 'i' },
      child: { type: 'string', short: 'c' },
      timeout: { type: 'string', short: 't' },
      force: { type: 'boolean', short: 'f' },
      json: { type: 'boolean' },
      uri: { type: 'string', short: 'u' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}

const commands: Readonly<Record<string, (call: Call) => Promise<number>>> = {
  up,
  down,
  status,
  log,
  version,
  'list-conns': listConns,
}

/**
 * Runs one command line. The result is the exit status, as swanctl's: 0, 1 when the daemon said no or the usage is
 * wrong, else the errno of the connection (2 ENOENT, 111 ECONNREFUSED, …).
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    io.err(`sallyport: ${(error as Error).message}\n\n${usage}`)
    return 1
  }
  const [name = '', ...names] = parsed.positionals
  if (parsed.values.help === true) {
    io.out(usage)
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    io.err(name === '' ? usage : `sallyport: there is no command '${name}'\n\n${usage}`)
    return 1
  }
  const uri = parsed.values.uri ?? configuredUri(io)
  try {
    await using client = await ViciClient.connect(uri)
    return await command({ client, io, names, options: parsed.values })
  } catch (error) {
    return explain(error as NodeJS.ErrnoException, uri, io)
  }
}

async function up(call: Call): Promise<number> {
  const { ike, child } = target(call)
  if (ike === undefined && child === undefined) return wrongUsage(call, 'up wants the name of a child or a connection')
  let response = await withLog(call, 'initiate', [...optional('child', child), ...optional('ike', ike)])
  const unknown = findText(response, 'errmsg') === `CHILD_SA config '${child}' not found`
  if (unknown && call.options.child === undefined && ike === undefined) {
    response = await withLog(call, 'initiate', [...optional('ike', child)])
  }
  return finish(call, 'initiate', response)
}

async function down(call: Call): Promise<number> {
  const { ike, child } = target(call)
  if (ike === undefined && child === undefined)
    return wrongUsage(call, 'down wants the name of a child or a connection')
  const force = call.options.force === true ? [value('force', 'yes')] : []
  let response = await withLog(call, 'terminate', [...optional('child', child), ...optional('ike', ike), ...force])
  if (findText(response, 'matches') === '0' && call.options.child === undefined && ike === undefined) {
    response = await withLog(call, 'terminate', [...optional('ike', child), ...force])
  }
  return finish(call, 'terminate', response)
}

async function status(call: Call): Promise<number> {
  const { client, io, options, names } = call
  const ike = options.ike ?? names[0]
  const found: Tree[] = []
  const message = [...optional('ike', ike), ...optional('child', options.child)]
  await client.stream('list-sas', 'list-sa', message, (event) => found.push(event))
  if (options.json === true) io.out(`${JSON.stringify(found.map(treeToJson))}\n`)
  else if (found.length === 0) io.out(ike === undefined ? 'no IKE SAs\n' : `no IKE SAs of '${ike}'\n`)
  else io.out(`${found.map(formatSa).join('\n')}\n`)
  return 0
}

async function listConns({ client, io, options }: Call): Promise<number> {
  const found: Tree[] = []
  await client.stream('list-conns', 'list-conn', [...optional('ike', options.ike)], (event) => found.push(event))
  if (options.json === true) io.out(`${JSON.stringify(found.map(treeToJson))}\n`)
  else if (found.length === 0) io.out('no connections are loaded\n')
  else io.out(`${found.map(formatConnection).join('\n')}\n`)
  return 0
}

/** Until the daemon ends or we are interrupted. */
async function log({ client, io, options }: Call): Promise<number> {
  await client.listen(['log'], (_name, message) => {
    const thread = (findText(message, 'thread') ?? '').padStart(2, '0')
    const line = `${thread}[${findText(message, 'group')}] ${findText(message, 'msg')}`
    io.out(`${options.json === true ? JSON.stringify(treeToJson(message)) : line}\n`)
  })
  await client.closed()
  io.err('sallyport: the daemon closed the connection\n')
  return 1
}

async function version({ client, io, options }: Call): Promise<number> {
  const answer = await client.request('version')
  const text = (name: string) => findText(answer, name) ?? ''
  if (options.json === true) io.out(`${JSON.stringify(treeToJson(answer))}\n`)
  else io.out(`${text('daemon')} ${text('version')} (${text('sysname')}, ${text('release')}, ${text('machine')})\n`)
  return 0
}

/** The names of a command: `--child`, `--ike`, or one argument that is taken for a child first. */
function target({ options, names }: Call): { readonly ike?: string; readonly child?: string } {
  const child = options.child ?? names[0]
  return { ...(options.ike !== undefined && { ike: options.ike }), ...(child !== undefined && { child }) }
}

/** A blocking command whose log we show while it runs. */
async function withLog({ client, io, options }: Call, command: string, message: Tree): Promise<Tree> {
  const seconds = Number(options.timeout ?? 0)
  if (!Number.isFinite(seconds)) throw new ConfigError(`--timeout wants seconds, not '${options.timeout}'`)
  const arguments_ = [...message, value('timeout', Math.trunc(seconds * 1000)), value('loglevel', 1)]
  return await client.stream(command, 'control-log', arguments_, (event) => {
    const line = `[${findText(event, 'group')}] ${findText(event, 'msg')}`
    io.out(`${options.json === true ? JSON.stringify(treeToJson(event)) : line}\n`)
  })
}

function finish({ io, options }: Call, command: string, response: Tree): number {
  const ok = findText(response, 'success') === 'yes'
  if (options.json === true) io.out(`${JSON.stringify(treeToJson(response))}\n`)
  else if (ok) io.out(`${command} completed successfully\n`)
  else io.err(`${command} failed: ${findText(response, 'errmsg') ?? 'no reason given'}\n`)
  return ok ? 0 : 1
}

function wrongUsage({ io }: Call, message: string): number {
  io.err(`sallyport: ${message}\n\n${usage}`)
  return 1
}

/** As swanctl: `swanctl.socket`, then `swanctl.plugins.vici.socket`; then where the daemon itself would listen. */
function configuredUri({ env, files }: Io): string {
  const path = strongswanConfPath(env)
  let root: ConfSection
  try {
    if (files.stat(path) === undefined) return defaultViciUri
    root = readConf(path, files).root
  } catch {
    // A broken strongswan.conf is the daemon's to complain of; the socket may still be where it usually is.
    return defaultViciUri
  }
  const swanctl = root.sections.get('swanctl')
  const vici = (section: ConfSection | undefined) => section?.sections.get('plugins')?.sections.get('vici')
  const holders = [swanctl, vici(swanctl), vici(root.sections.get('charon-systemd')), vici(root.sections.get('charon'))]
  const found = holders.flatMap((section) => section?.values.get('socket') ?? [])[0]
  return found === undefined ? defaultViciUri : confText(found)
}

function explain(error: NodeJS.ErrnoException, uri: string, io: Io): number {
  const errno = error.code === undefined ? undefined : (constants.errno as Record<string, number>)[error.code]
  if (errno !== undefined && error.syscall === 'connect') {
    const cure =
      error.code === 'EACCES'
        ? 'you may not use this socket: run it as root, or as a member of the group that owns it'
        : "the daemon does not run: start it with 'systemctl start sallyport' or 'sallyportd'"
    io.err(`sallyport: connecting to '${uri}' failed: ${error.code}; ${cure}\n`)
    return errno
  }
  if (!(error instanceof ViciError) && !(error instanceof ConfigError) && errno === undefined) throw error
  io.err(`sallyport: ${error.message}\n`)
  return errno ?? 1
}

if (import.meta.main) {
  // `sallyport status | head`: the reader may go first.
  process.stdout.on('error', () => process.exit(0))
  const exit = await run(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    env: process.env,
    files: diskFiles(),
  })
  process.exitCode = exit
}
