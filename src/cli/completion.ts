import type { Command } from './command.ts'
import { commonOptions, formatOptions, helpOption, isSwanctl } from './command-line.ts'

/**
 * A script that makes bash complete the words of `sallyport`, and those of `swanctl` where that is a link to it.
 */
export function completion(commands: readonly Command[]): string {
  const words = [...commands.map(({ name }) => name), 'help']
  const dashed = [...commands.filter(isSwanctl).map(({ name }) => `--${name}`), '--help']
  const common = [...formatOptions('sallyport'), helpOption, ...commonOptions]
  const cases = commands.map(({ name, options }) => {
    const names = [...options, ...common].map((option) => `--${option.name}`)
    return `    ${name}) options='${names.join(' ')}' ;;`
  })
  return `# bash completion of sallyport: source <(sallyport completion)
_sallyport() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]#--} options
  case $previous in
    --file | --options | -f | -+)
      COMPREPLY=($(compgen -f -- "$current"))
      return
      ;;
  esac
  if ((COMP_CWORD == 1)); then
    options='${words.join(' ')}'
    [[ $current == -* || $1 == *swanctl ]] && options='${dashed.join(' ')}'
    COMPREPLY=($(compgen -W "$options" -- "$current"))
    return
  fi
  case $command in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$options" -- "$current"))
}
complete -F _sallyport sallyport
if [[ $(readlink -f "$(command -v swanctl)" 2>/dev/null) == *sallyport* ]]; then complete -F _sallyport swanctl; fi
`
}
