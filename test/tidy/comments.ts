/** What is public is explained, and nothing is left to be done. */
import { lineAt, type Source } from './source.ts'

const declaration = /^export (?:async )?(?:abstract )?(function\*?|class|interface|type) (\w+)/

/**
 * Exported functions, classes and types without any words: of their own, at the top of their file, or for types in
 * their members.
 */
export function docstrings(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text }) => {
    if (!path.startsWith('src/') || path.endsWith('.test.ts')) return []
    const lines = text.split('\n')
    if (/^(?:#!.*\n)?\/\*\*/.test(text)) return []
    return lines.flatMap((line, i) => {
      const [, kind, name] = declaration.exec(line) ?? []
      if (kind === undefined || lines[i - 1]?.trim().endsWith('*/')) return []
      // A further signature of a function that has been explained.
      if (kind === 'function' && lines.slice(0, i).some((other) => other.startsWith(`export function ${name}(`)))
        return []
      if ((kind === 'interface' || kind === 'type') && hasCommentInside(lines, i)) return []
      return [`${path}:${i + 1}: ${kind} ${name} has no docstring`]
    })
  })
}

function hasCommentInside(lines: readonly string[], from: number): boolean {
  for (let i = from + 1; i < lines.length && /^\s/.test(lines[i] ?? ''); i++) {
    if (lines[i]?.trim().startsWith('/**')) return true
  }
  return false
}

// In two parts, so that this file does not find itself.
const leftOver = new RegExp(
  `\\b(?:${['TO', 'FIX', 'XX'].map((part, i) => part + ['DO', 'ME', 'X'][i]).join('|')})\\b`,
  'g',
)

/** Notes to oneself. */
export function leftOvers(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(leftOver)].map((match) => `${path}:${lineAt(text, match.index)}: ${match[0]}`),
  )
}
