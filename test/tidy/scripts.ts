/** A script that is called and not delegated to does nothing, silently: every call must be behind `yield*`. */
import { posix } from 'node:path'
import { lineAt, type Source } from './source.ts'

/**
 * Who takes a script and runs it: `script: () => …`, `core.spawn(…)`, `new Process(…)`, a script that is given one
 * (`yield* other(() => …)`), or a caller that gets it by `return`, with or without a choice.
 */
const handedOver = new RegExp(
  `(?:${[
    /\byield\*\s*\(?/,
    /\byield\*\s*[\w.]+\([^\n]*\(\w*\)\s*=>/,
    /\bscript:\s*\(\w*\)\s*=>/,
    /\bspawn\(/,
    /\bnew Process(?:<[^>]*>)?\(/,
    /\breturn(?:\b[^\n;]*[?:])?/,
  ]
    .map(({ source }) => source)
    .join('|')})\\s*$`,
)

/** Calls of scripts that are neither delegated to nor handed over. */
export function scriptCalls(sources: readonly Source[]): readonly string[] {
  // Scripts are of the core; only the files that put everything together may know them too.
  const code = sources.filter(({ path }) => /^src\/(?:ike\/.*|[^/]*)\.ts$/.test(path) && !path.endsWith('.test.ts'))
  const functions = new Map(code.map((source) => [source.path, scriptFunctions(source)]))
  const methods = new Map(code.flatMap((source) => scriptMethods(source)))
  return code.flatMap((source) => {
    const names = visible(source, functions)
    return calls(source, names, methods).flatMap(({ at, name }) =>
      handedOver.test(source.code.slice(0, at))
        ? []
        : [`${source.path}:${lineAt(source.text, at)}: ${name} without yield*`],
    )
  })
}

function scriptFunctions({ code }: Source): ReadonlySet<string> {
  return new Set(
    [...code.matchAll(/\bfunction\*\s*(\w+)/g)]
      .filter((match) => givesScript(code, match))
      .map(([, name = '']) => name),
  )
}

/** Names of generator methods that give scripts, and whether they take arguments. */
function scriptMethods({ code }: Source): readonly (readonly [string, boolean])[] {
  return [...code.matchAll(/^ +(?:static )?\*\s*(#?\w+)\s*(?:<[^>]*>)?\(/gm)]
    .filter((match) => givesScript(code, match))
    .map((match): readonly [string, boolean] => [match[1] ?? '', code[match.index + match[0].length] !== ')'])
}

/** The return type is written behind the parameters, as every export needs one. */
function givesScript(code: string, match: RegExpExecArray): boolean {
  const open = code.indexOf('(', match.index)
  return /^\s*:\s*Script</.test(code.slice(closing(code, open) + 1))
}

function closing(code: string, open: number): number {
  let depth = 0
  for (let i = open; i < code.length; i++) {
    if (code[i] === '(') depth++
    if (code[i] === ')' && --depth === 0) return i
  }
  return code.length
}

/** What the scripts that a file can call are called in it: its own, imported ones, and `namespace.name`. */
function visible(source: Source, functions: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
  const names = new Set(functions.get(source.path))
  for (const [, clause = '', from = ''] of source.uncommented.matchAll(/\bimport\s+([^'"]*?)\s+from\s+'(\.[^']*)'/g)) {
    const exported = functions.get(posix.join(posix.dirname(source.path), from)) ?? new Set()
    const namespace = /\*\s+as\s+(\w+)/.exec(clause)?.[1]
    for (const name of exported) if (namespace !== undefined) names.add(`${namespace}.${name}`)
    for (const [, name = '', as = name] of clause.matchAll(/(\w+)(?:\s+as\s+(\w+))?/g)) {
      if (exported.has(name)) names.add(as)
    }
  }
  return names
}

function calls(
  { code }: Source,
  names: ReadonlySet<string>,
  methods: ReadonlyMap<string, boolean>,
): readonly { readonly at: number; readonly name: string }[] {
  const chain = /(?<![\w.#])(?:[\w#]+(?:\[[^\]]*\])?\??\.)*#?\w+(?=(?:<[^<>()]*>)?\()/g
  return [...code.matchAll(chain)].flatMap((match) => {
    const [name] = match
    const before = code.slice(0, match.index)
    if (/\bfunction\*?\s*$|^\s*\*\s*$/.test(before.slice(before.lastIndexOf('\n') + 1).replace(/^\s*export\s/, '')))
      return []
    const last = name.slice(name.lastIndexOf('.') + 1)
    const takes = name.includes('.') ? methods.get(last) : undefined
    const open = code.indexOf('(', match.index + name.length)
    // `move()` of a DisposableStack is no `move(sa)` of a Child SA.
    const isMethod = takes !== undefined && takes === !/^\(\s*\)/.test(code.slice(open))
    return names.has(name) || isMethod ? [{ at: match.index, name }] : []
  })
}
