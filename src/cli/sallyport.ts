#!/usr/bin/env node
/**
 * The command line: a VICI client with the commands of swanctl, and some of its own. Called by the name `swanctl` (a
 * link will do) it has swanctl's commands alone and says what swanctl says.
 */
import { basename } from 'node:path'
import { ConfigError } from '../config/config-error.ts'
import { diskFiles, strerror } from '../config/files.ts'
import { ViciClient, ViciError } from '../vici/client.ts'
import { surfaceVersion } from '../vici/versions.ts'
import { askAtTerminal } from './ask.ts'
import type { Command, Options, Persona } from './command.ts'
import { type CommandLine, isSwanctl, optionWords, parseCommandLine } from './command-line.ts'
import { commands } from './commands.ts'
import type { Io } from './io.ts'
import { type Format, printer } from './printer.ts'
import { configuredUri, connectCure, errnoOf } from './socket.ts'
import { commandUsage, usage } from './usage.ts'
import { UsageError } from './usage-error.ts'

/**
 * Runs one command line. The result is the exit status, as swanctl's: 0, 1 when the daemon said no or the usage is
 * wrong, 22 (EINVAL) when something could not be loaded, else the errno of the connection (2 ENOENT, 111
 * ECONNREFUSED, …).
 */
export async function run(argv: readonly string[], io: Io, persona: Persona = 'sallyport'): Promise<number> {
  const own = persona === 'swanctl' ? commands.filter(isSwanctl) : commands
  let line: CommandLine
  try {
    line = parseCommandLine(argv, own, persona, (file) => wordsOf(file, io))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return misused(error, own, persona, io)
  }
  const { command, options, operands } = line
  if (command === undefined || options.has('help')) {
    io.out(command === undefined ? `${heading(persona)}${usage(persona, own)}` : commandUsage(persona, command))
    return persona === 'sallyport' && argv.length === 0 ? 1 : 0
  }
  const given = options.get('uri')
  const uri = typeof given === 'string' ? given : configuredUri(io)
  let client: ViciClient | undefined
  const daemon = async (): Promise<ViciClient> => (client ??= await ViciClient.connect(uri))
  try {
    return await command.run({ command, persona, io, print: printer(io, formatOf(options)), options, operands, daemon })
  } catch (error) {
    if (error instanceof UsageError) return misused(error, own, persona, io)
    const wanted = typeof given === 'string' ? given : 'default'
    if (persona === 'swanctl') return explainAsSwanctl(error as NodeJS.ErrnoException, uri, wanted, command, io)
    return explain(error as NodeJS.ErrnoException, uri, io)
  } finally {
    await client?.[Symbol.asyncDispose]()
  }
}

/** swanctl is known by its link; everything else is us. */
export function personaOf(program: string | undefined): Persona {
  return basename(program ?? '') === 'swanctl' ? 'swanctl' : 'sallyport'
}

/** As swanctl has it, `--pretty` wins over `--raw`. */
function formatOf(options: Options): Format {
  if (options.has('json')) return 'json'
  return options.has('pretty') ? 'pretty' : options.has('raw') ? 'raw' : 'text'
}

function heading(persona: Persona): string {
  return persona === 'swanctl' ? `strongSwan ${surfaceVersion} swanctl\n` : ''
}

function wordsOf(file: string, { files }: Io): readonly string[] {
  try {
    return optionWords(Buffer.from(files.read(file)).toString('utf8'))
  } catch (error) {
    throw new UsageError('invalid --options', undefined, `cannot read '${file}': ${(error as Error).message}`)
  }
}

function misused(error: UsageError, own: readonly Command[], persona: Persona, io: Io): number {
  if (error.complaint !== undefined) io.err(`${error.complaint}\n`)
  const help = error.command === undefined ? usage(persona, own) : commandUsage(persona, error.command)
  if (persona === 'swanctl') io.err(`${heading(persona)}${help}error: ${error.message}\n`)
  else io.err(`${error.complaint === undefined ? `sallyport: ${error.message}\n` : ''}\n${help}`)
  return 1
}

function explain(error: NodeJS.ErrnoException, uri: string, io: Io): number {
  const errno = errnoOf(error)
  if (errno !== undefined && error.syscall === 'connect') {
    io.err(`sallyport: connecting to '${uri}' failed: ${error.code}; ${connectCure(error)}\n`)
    return errno
  }
  if (!(error instanceof ViciError) && !(error instanceof ConfigError) && errno === undefined) throw error
  io.err(`sallyport: ${error.message}\n`)
  return errno ?? 1
}

/** What swanctl says when it cannot talk to the daemon. */
function explainAsSwanctl(error: NodeJS.ErrnoException, uri: string, wanted: string, command: Command, io: Io): number {
  const isUri = !(error instanceof ConfigError)
  const errno = isUri ? errnoOf(error) : noEntry
  if (isUri && (errno === undefined || error.syscall !== 'connect')) {
    if (!(error instanceof ViciError) && errno === undefined) throw error
    io.err(`${error.message}\n`)
    return errno ?? 1
  }
  if (isUri) io.err(`connecting to '${uri}' failed: ${strerror(-(errno ?? noEntry))}\n`)
  io.err(`${heading('swanctl')}${commandUsage('swanctl', command)}`)
  io.err(`error: connecting to '${wanted}' URI failed: ${strerror(-(errno ?? noEntry))}\n`)
  return errno ?? noEntry
}

/** ENOENT, which is also what becomes of a URI that is none. */
const noEntry = 2

if (import.meta.main) {
  // `sallyport status | head`: the reader may go first.
  process.stdout.on('error', () => process.exit(0))
  const persona = personaOf(process.argv[1])
  if (persona === 'swanctl') {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        process.stderr.write('disconnecting...\n')
        process.exit(0)
      })
    }
  }
  const exit = await run(
    process.argv.slice(2),
    {
      out: (text) => process.stdout.write(text),
      err: (text) => process.stderr.write(text),
      env: process.env,
      files: diskFiles(),
      terminal: process.stdout.isTTY === true,
      ask: askAtTerminal,
    },
    persona,
  )
  process.exitCode = exit
}
