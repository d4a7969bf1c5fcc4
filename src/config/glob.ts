/** The part of glob(7) that `include` needs: `*`, `?` and `[…]` in any component of a path. */
import type { ConfigFiles } from './files.ts'

/** The paths that match an absolute pattern, sorted in each directory; a path without wildcards if it is there. */
export function glob(pattern: string, files: ConfigFiles): readonly string[] {
  const components = pattern.split('/').filter((component) => component !== '')
  let found = ['']
  for (const [index, component] of components.entries()) {
    const last = index === components.length - 1
    if (!/[*?[]/.test(component)) {
      found = found.map((directory) => `${directory}/${component}`)
      if (last) found = found.filter((path) => files.stat(path) !== undefined)
      continue
    }
    found = found.flatMap((directory) =>
      files
        .list(directory === '' ? '/' : directory)
        .filter((name) => (component.startsWith('.') || !name.startsWith('.')) && matchesWildcard(name, component))
        .toSorted()
        .map((name) => `${directory}/${name}`),
    )
  }
  return found
}

/** Whether a name matches a pattern of `*`, `?`, `[abc]`, `[a-z]`, `[!…]`. Time: at most length × length. */
export function matchesWildcard(name: string, pattern: string): boolean {
  const tokens = parseWildcard(pattern)
  let at = 0
  let token = 0
  /** Where to go on when a literal fails after a star. */
  let retry: { token: number; at: number } | undefined
  while (at < name.length) {
    const current = tokens[token]
    if (current === 'star') {
      retry = { token: token + 1, at }
      token++
    } else if (current?.(name.charAt(at))) {
      at++
      token++
    } else if (retry !== undefined) {
      retry.at++
      at = retry.at
      token = retry.token
    } else {
      return false
    }
  }
  return tokens.slice(token).every((rest) => rest === 'star')
}

type Token = 'star' | ((char: string) => boolean)

function parseWildcard(pattern: string): readonly Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern.charAt(at)
    const close = char === '[' ? pattern.indexOf(']', at + (/[!^]/.test(pattern.charAt(at + 1)) ? 3 : 2)) : -1
    if (char === '*') {
      if (tokens.at(-1) !== 'star') tokens.push('star')
    } else if (char === '?') {
      tokens.push(() => true)
    } else if (close >= 0) {
      tokens.push(parseSet(pattern.slice(at + 1, close)))
      at = close
    } else {
      tokens.push((c) => c === char)
    }
  }
  return tokens
}

function parseSet(set: string): (char: string) => boolean {
  const negated = /^[!^]/.test(set)
  const members = negated ? set.slice(1) : set
  const ranges: (readonly [string, string])[] = []
  for (let at = 0; at < members.length; at++) {
    const from = members.charAt(at)
    if (members.charAt(at + 1) === '-' && at + 2 < members.length) {
      ranges.push([from, members.charAt(at + 2)])
      at += 2
    } else {
      ranges.push([from, from])
    }
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== negated
}
