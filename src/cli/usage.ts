/** The help. */
import type { Command, OptionSpec, Persona } from './command.ts'
import { commonOptions, formatOptions, helpOption, isSwanctl } from './command-line.ts'

/** The help of the program. */
export function usage(persona: Persona, commands: readonly Command[]): string {
  const own = commands.filter((one) => !isSwanctl(one))
  const line = ({ name, short = '', help }: Command): string => `  --${name.padEnd(17)}-${short}   ${help}`
  const word = ({ name, operand, help }: Command): string =>
    `  ${[name, ...(operand ? [operand] : [])].join(' ').padEnd(24)}${help}`
  return [
    `usage: ${persona} COMMAND [options]; '${persona} COMMAND --help' tells its options`,
    '',
    ...(persona === 'sallyport' ? [...own.map(word), '', "These are swanctl's; the dashes may be left out:", ''] : []),
    ...commands.filter(isSwanctl).map(line),
    `  --${'help'.padEnd(17)}-h   ${helpOption.help}`,
    '',
    ...commonOptions.map(optionLine),
    '',
  ].join('\n')
}

/** The help of one command. */
export function commandUsage(persona: Persona, { name, short, operand, options, help }: Command): string {
  const call = persona === 'swanctl' ? `--${name}` : name
  const words = [persona, call, ...(operand ? [operand] : []), '[options]'].join(' ')
  return [
    `${help.charAt(0).toUpperCase()}${help.slice(1)}.`,
    `usage: ${words}${short === undefined ? '' : ` (or -${short})`}`,
    '',
    ...[...options, ...formatOptions(persona), helpOption, ...commonOptions].map(optionLine),
    '',
  ].join('\n')
}

function optionLine({ name, short, argument = '', help }: OptionSpec): string {
  return `  ${short === '' ? '  ' : `-${short}`}  --${`${name} ${argument}`.trim().padEnd(20)} ${help}`
}
