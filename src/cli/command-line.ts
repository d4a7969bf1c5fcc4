/**
 * Command lines as getopt_long(3) reads them: the command is the first option, long ones may be abbreviated and may have
 * their value behind `=`, short ones may be joined. As `sallyport`, the command may also be a word.
 */
import type { Command, OptionSpec, Options, Persona } from './command.ts'
import { UsageError } from './usage-error.ts'

export interface CommandLine {
  /** Undefined when no command is given, which is a call for help. */
  readonly command: Command | undefined
  readonly options: Options
  readonly operands: readonly string[]
}

/** Options that every command has, and that may stand before the command. */
export const commonOptions: readonly OptionSpec[] = [
  { name: 'debug', short: 'v', argument: 'LEVEL', help: 'accepted for compatibility; the daemon has its own levels' },
  { name: 'options', short: '+', argument: 'FILE', help: 'more arguments, from a file' },
  { name: 'uri', short: 'u', argument: 'URI', help: "the daemon's socket: unix:///path or tcp://host:port" },
]

/** How to print; every command has these, too. */
export function formatOptions(persona: Persona): readonly OptionSpec[] {
  const json = { name: 'json', short: '', help: 'print JSON' }
  return [
    { name: 'raw', short: 'r', help: 'print the messages of the daemon, one per line' },
    { name: 'pretty', short: 'P', help: 'print the messages of the daemon, indented' },
    ...(persona === 'sallyport' ? [json] : []),
  ]
}

/** The one option that is also a command. */
export const helpOption: OptionSpec = { name: 'help', short: 'h', help: 'this help' }

/** @throws UsageError */
export function parseCommandLine(
  argv: readonly string[],
  commands: readonly Command[],
  persona: Persona,
  readWords: (file: string) => readonly string[],
): CommandLine {
  const options = new Map<string, string | true>()
  const operands: string[] = []
  let command: Command | undefined
  const names = new Map(commands.map((one) => [one.name, one]))
  /** Before the command, the commands are options. */
  const known = (): readonly OptionSpec[] => [
    ...(command === undefined
      ? [
          ...commands.filter(isSwanctl).map(commandOption),
          ...formatOptions(persona).filter(({ short }) => short === ''),
        ]
      : [...command.options, ...formatOptions(persona)]),
    helpOption,
    ...commonOptions,
  ]
  /** Before the command, an option may be one; of letters that are joined the last one counts. */
  const take = (option: OptionSpec, argument: string | undefined, before: Command | undefined): void => {
    const chosen = before === undefined ? names.get(option.name) : undefined
    if (chosen !== undefined) command = chosen
    else if (option.name === 'options') words.unshift(...included(argument ?? ''))
    else options.set(option.name, argument ?? true)
  }
  const included = (file: string): readonly string[] => {
    if (++files > maxOptionFiles) throw new UsageError('invalid --options', command)
    return readWords(file)
  }
  let files = 0
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const next = (complaint: string, of = command): string => words.shift() ?? refuse(persona, of, complaint)
    if (word === '--') {
      operands.push(...words.splice(0))
    } else if (word.startsWith('--')) {
      const at = word.indexOf('=')
      const given = at < 0 ? word.slice(2) : word.slice(2, at)
      const option = longOption(given, known(), persona, command)
      const name = `--${option.name}`
      if (option.argument === undefined) {
        if (at >= 0) refuse(persona, command, `option '${name}' doesn't allow an argument`)
        take(option, undefined, command)
      } else {
        take(option, at >= 0 ? word.slice(at + 1) : next(`option '${name}' requires an argument`), command)
      }
    } else if (word.startsWith('-') && word.length > 1) {
      const before = command
      const choice = known()
      for (let at = 1; at < word.length; at++) {
        const letter = word.charAt(at)
        const option = choice.find(({ short }) => short === letter)
        if (option === undefined) refuse(persona, before, `invalid option -- '${letter}'`)
        if (option.argument === undefined) take(option, undefined, before)
        else {
          take(option, word.slice(at + 1) || next(`option requires an argument -- '${letter}'`, before), before)
          break
        }
      }
    } else if (persona === 'sallyport' && command === undefined && word !== 'help') {
      command = names.get(word)
      if (command === undefined) throw new UsageError(`there is no command '${word}'`, undefined)
    } else if (word === 'help' && persona === 'sallyport') {
      options.set('help', true)
    } else {
      operands.push(word)
    }
  }
  return { command, options, operands }
}

/** The words of a file of options: separated by blanks, quoted if they have some, `#` begins a comment. */
export function optionWords(text: string): readonly string[] {
  const words: string[] = []
  for (const [token] of text.matchAll(/#[^\n]*|"[^"\n]*"|'[^'\n]*'|[^\s"'#][^\s]*/g)) {
    if (token.startsWith('#')) continue
    words.push(/^["']/.test(token) ? token.slice(1, -1) : token)
  }
  return words
}

/** Whether swanctl has the command, too. */
export function isSwanctl({ short }: Command): boolean {
  return short !== undefined
}

function commandOption({ name, short = '', help }: Command): OptionSpec {
  return { name, short, help }
}

/** The option of that name, or the only one that begins like that. */
function longOption(
  given: string,
  known: readonly OptionSpec[],
  persona: Persona,
  command: Command | undefined,
): OptionSpec {
  const found = known.filter(({ name }) => name.startsWith(given))
  const exact = found.find(({ name }) => name === given)
  const only = exact ?? (found.length === 1 ? found[0] : undefined)
  if (only !== undefined) return only
  if (found.length === 0) refuse(persona, command, `unrecognized option '--${given}'`)
  const possible = found.map(({ name }) => `'--${name}'`).join(' ')
  refuse(persona, command, `option '--${given}' is ambiguous; possibilities: ${possible}`)
}

function refuse(persona: Persona, command: Command | undefined, complaint: string): never {
  const summary = command === undefined ? 'invalid command' : `invalid --${command.name} option`
  throw new UsageError(summary, command, `${persona}: ${complaint}`)
}

const maxOptionFiles = 16
