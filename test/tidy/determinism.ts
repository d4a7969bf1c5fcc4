/** The core and the simulated kernel: no clock, no timer, no randomness, nothing that comes later. */
import { lineAt, type Source } from './source.ts'

const forbidden: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  {
    what: 'a clock',
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )\bDate\(|\bperformance\.|\bprocess\.hrtime\b/g,
  },
  { what: 'a timer', pattern: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b|\bprocess\.nextTick\b/g },
  { what: 'something that comes later', pattern: /\basync\b|\bawait\b|\bPromise\b/g },
  {
    what: 'randomness of its own',
    pattern: /\bMath\.random\b|\brandom(?:Bytes|Fill|FillSync|Int|UUID)\b|\bgetRandomValues\b|\bsystemRandom\b/g,
  },
  { what: 'input or output', pattern: /\bconsole\.|\bprocess\.(?:env|stdout|stderr|exit)\b/g },
]

/** All but those that give the same for the same. */
const modules = /'node:(?!(?:crypto|util)')[^']*'/g

/** Dresses the simulated kernel up as one that answers later. */
const exempt: ReadonlySet<string> = new Set(['src/kernel/simulated/asynchronous.ts'])

/** Every place in the deterministic folders that would make the same inputs give other outputs. */
export function determinism(sources: readonly Source[]): readonly string[] {
  return sources.filter(isDeterministic).flatMap(({ path, text, code, uncommented }) => {
    const found = forbidden.flatMap(({ what, pattern }) =>
      [...code.matchAll(pattern)].map((match) => ({ at: match.index, what, text: match[0] })),
    )
    const imported = [...uncommented.matchAll(modules)].map((match) => ({
      at: match.index,
      what: 'a module that it must not need',
      text: match[0],
    }))
    return [...found, ...imported].map(({ at, what, text: word }) => `${path}:${lineAt(text, at)}: ${what}: ${word}`)
  })
}

function isDeterministic({ path }: Source): boolean {
  return /^src\/(?:ike|wire|kernel\/simulated)\//.test(path) && !path.endsWith('.test.ts') && !exempt.has(path)
}
