/** Documents name only what exists: files, commands and tests. */
import { posix } from 'node:path'
import { lineAt, type Source } from './source.ts'

/** Links, paths, commands and names of tests in documents that lead nowhere. */
export function deadReferences(sources: readonly Source[]): readonly string[] {
  const byPath = new Map(sources.map((one) => [one.path, one]))
  const folders = new Set([...byPath.keys()].flatMap(foldersOf))
  const exists = (path: string): boolean =>
    byPath.has(path) || folders.has(path.replace(/\/$/, '')) || path.startsWith('rfc-vectors')
  const named = (name: string): readonly Source[] => sources.filter(({ path }) => `/${path}`.endsWith(`/${name}`))
  const scripts = scriptsOf(byPath.get('package.json'))
  return sources.flatMap((document) => {
    if (!document.path.endsWith('.md')) return []
    const { path, text } = document
    const all = (pattern: RegExp, wrong: (match: RegExpExecArray) => string | undefined): readonly string[] =>
      [...text.matchAll(pattern)].flatMap((match) => {
        const problem = wrong(match)
        return problem === undefined ? [] : [`${path}:${lineAt(text, match.index)}: ${problem}`]
      })
    return [
      ...all(/\]\(([^)\s]+)\)/g, ([, target = '']) => {
        if (/^(?:[a-z]+:|#)/.test(target)) return undefined
        const file = posix.join(posix.dirname(path), target.replace(/#.*/, ''))
        return exists(file) ? undefined : `a link to ${file}`
      }),
      ...all(/\bnpm run ([\w:-]+)/g, ([, name = '']) => {
        const command = scripts.get(name)
        const file = /[\w./-]+\.(?:ts|sh)\b/.exec(command ?? '')?.[0]
        return command !== undefined && (file === undefined || exists(file)) ? undefined : `npm run ${name}`
      }),
      ...all(/`((?:src|test|interop|native|packaging|docs|\.ci)\/[\w./-]+)`/g, ([, name = '']) =>
        exists(name) ? undefined : `a file ${name}`,
      ),
      ...all(/`([\w./-]+\.ts)`/g, ([, name = '']) => (named(name).length > 0 ? undefined : `a file ${name}`)),
      ...all(/`([\w./-]+\.test\.ts)` "([^"]+)"/g, ([, name = '', title = '']) =>
        named(name).some((one) => one.text.includes(title)) ? undefined : `a test "${title}" in ${name}`,
      ),
    ]
  })
}

function foldersOf(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'))
}

/** The commands of `npm run`, by name. */
function scriptsOf(manifest: Source | undefined): ReadonlyMap<string, string> {
  // The manifest is ours: this is an object of names and commands.
  const { scripts = {} } = JSON.parse(manifest?.text ?? '{}') as { readonly scripts?: Readonly<Record<string, string>> }
  return new Map(Object.entries(scripts))
}
