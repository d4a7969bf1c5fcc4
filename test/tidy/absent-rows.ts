/** The options of charon that nobody reads here, one by one, with the reason. */
import { absentOptions, whyAbsent } from '../../src/config/absent-options.ts'
import type { Source } from './source.ts'

/** The part of the matrix for them, and what is wrong with the list. */
export function absentRows(list: Source): { readonly text: string; readonly problems: readonly string[] } {
  const options = list.text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', ...rest] = line.split(' =')
      return { name, default: rest.join(' =').trim() }
    })
  const problems = [
    ...options.flatMap(({ name }) => (whyAbsent(name) === undefined ? [`${list.path}: why is ${name} not read?`] : [])),
    ...Object.keys(absentOptions).flatMap((begins) =>
      options.some(({ name }) => name.startsWith(begins)) ? [] : [`${list.path}: no option begins with ${begins}`],
    ),
  ]
  const rows = options.map(({ name, default: byDefault }) => {
    const [, why] = Object.entries(absentOptions).find(([begins]) => name.startsWith(begins)) ?? []
    return `| \`${name}\` | ${byDefault.replaceAll('|', '\\|').replaceAll('<', '&lt;')} | ${words[why ?? ''] ?? `not here: ${why}`} |`
  })
  const text = ['## Not here', '', '| option | default in charon | support |', '|---|---|---|', ...rows].join('\n')
  return { text, problems }
}

const words: Readonly<Record<string, string>> = {
  IKEv1: 'no effect with IKEv2, as in charon',
  'nothing to do': 'nothing to do: how charon is built, or so in any case',
}
