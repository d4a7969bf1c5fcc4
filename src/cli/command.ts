/** What a sub-command is, and what it is given. */
import { optional, type Tree, type TreeItem, value } from '../config/tree.ts'
import type { ViciClient } from '../vici/client.ts'
import type { Io } from './io.ts'
import type { Printer } from './printer.ts'

export interface OptionSpec {
  readonly name: string
  /** One letter. */
  readonly short: string
  /** What stands for its value in the help; without it the option has none. */
  readonly argument?: string
  readonly help: string
}

export interface Command {
  readonly name: string
  /** One letter; those without one are sallyport's own. */
  readonly short?: string
  readonly help: string
  readonly options: readonly OptionSpec[]
  /** What its words without dashes are called in the help; commands without it take none. */
  readonly operand?: string
  /** The result is the exit status: 0, 1 when the daemon said no, 22 (EINVAL) when something could not be loaded. */
  readonly run: (call: Call) => Promise<number>
}

/** By whose words the program goes: as `swanctl` it has swanctl's commands and says what swanctl says, nothing else. */
export type Persona = 'sallyport' | 'swanctl'

/** Options by their names, those without a value as `true`. */
export type Options = ReadonlyMap<string, string | true>

/** One command line that was understood. */
export interface Call {
  readonly command: Command
  readonly persona: Persona
  readonly io: Io
  readonly print: Printer
  readonly options: Options
  readonly operands: readonly string[]
  /** The connection to the daemon, made at the first call. */
  readonly daemon: () => Promise<ViciClient>
}

/** The value of an option. */
export function text({ options }: Call, name: string): string | undefined {
  const found = options.get(name)
  return found === true ? undefined : found
}

/** Whether an option is given. */
export function has({ options }: Call, name: string): boolean {
  return options.has(name)
}

/** Options as the arguments of the same names; those without a value become `yes`. */
export function options(call: Call, ...names: readonly string[]): TreeItem[] {
  return names.flatMap((name) =>
    call.options.get(name) === true ? [value(name, 'yes')] : optional(name, text(call, name)),
  )
}

/** A whole number as C's `atoi` has it: what does not begin with one is 0. */
export function count(digits: string): number {
  return Number(/^\s*[+-]?\d+/.exec(digits)?.[0] ?? 0)
}

/** The request that most commands are: options as arguments, the response printed. */
export async function request(call: Call, command: string, message: Tree = []): Promise<Tree> {
  const client = await call.daemon()
  return await client.request(command, message)
}
