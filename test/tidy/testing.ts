/** Tests that do not run, and dependencies that nobody has justified. */
import { lineAt, type Source } from './source.ts'

/** Tests that keep others from running or do not run themselves without saying why. */
export function silencedTests(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text, code, uncommented }) => {
    if (!path.endsWith('.test.ts')) return []
    const dotted = [...code.matchAll(/\b(?:test|it|suite|describe|scenario|t)\.(?:only|todo|skip)\b/g)]
    const options = [...uncommented.matchAll(/\b(?:only|todo|skip):\s*(?:true|''|"")/g)]
    // In code, so that a string that contains such an option is not taken for one.
    return [...dotted, ...options.filter(({ index }) => /^\w/.test(code.slice(index)))].flatMap((match) => {
      const reasoned =
        /\.skip$/.test(match[0]) && /^\(\s*'[^']+'/.test(uncommented.slice(match.index + match[0].length))
      return match[0].startsWith('t.') && reasoned ? [] : [`${path}:${lineAt(text, match.index)}: ${match[0]}`]
    })
  })
}

/** Dependencies of package.json that docs/dependencies.md does not name. */
export function unexplainedDependencies(sources: readonly Source[]): readonly string[] {
  const manifest = sources.find(({ path }) => path === 'package.json')
  const page = sources.find(({ path }) => path === 'docs/dependencies.md')?.text ?? ''
  // The manifest is ours: these are objects of names and versions.
  const parsed = JSON.parse(manifest?.text ?? '{}') as Readonly<Record<string, Readonly<Record<string, string>>>>
  const names = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((key) =>
    Object.keys(parsed[key] ?? {}),
  )
  return names
    .filter((name) => !page.includes(`\`${name}\``))
    .map((name) => `docs/dependencies.md: nothing about ${name}`)
}
