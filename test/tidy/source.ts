/** Our own sources, as the tidy rules read them: text with and without what is not code. */

/** One file. Positions are the same in all three texts: what is taken out is replaced by spaces. */
export interface Source {
  /** From the root of the repository, with slashes. */
  readonly path: string
  readonly text: string
  /** Without comments. */
  readonly uncommented: string
  /** Without comments and without what is inside strings, templates and regular expressions. */
  readonly code: string
}

/** Reads a file's text into the shapes that rules need. */
export function source(path: string, text: string): Source {
  const comments = [...text]
  const strings = [...text]
  for (const { kind, start, end } of tokens(text)) {
    blank(strings, start, end)
    if (kind === 'comment') blank(comments, start, end)
  }
  return { path, text, uncommented: comments.join(''), code: strings.join('') }
}

/** The number of the line, from 1, that a position is in. */
export function lineAt(text: string, position: number): number {
  let line = 1
  for (let i = 0; i < position; i++) if (text[i] === '\n') line++
  return line
}

interface Token {
  readonly kind: 'comment' | 'string'
  readonly start: number
  readonly end: number
}

/** Comments, and the insides of strings, regular expressions and the literal parts of templates. */
function* tokens(text: string): Generator<Token> {
  /** For each template that is open: how many braces are open in its present `${…}`. */
  const templates: number[] = []
  let significant = ''
  let at = 0
  while (at < text.length) {
    const c = text[at] ?? ''
    const pair = text.slice(at, at + 2)
    if (pair === '//' || pair === '/*') {
      const close = pair === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2) + 2
      const end = close < 2 ? text.length : close
      yield { kind: 'comment', start: at, end }
      at = end
      continue
    }
    if (c === "'" || c === '"') {
      const end = endOf(text, at + 1, c)
      yield { kind: 'string', start: at + 1, end }
      at = end + 1
      significant = c
      continue
    }
    if (c === '/' && beginsExpression(text, at, significant)) {
      const end = endOfRegex(text, at + 1)
      yield { kind: 'string', start: at + 1, end }
      at = end + 1
      significant = '/'
      continue
    }
    const depth = templates.at(-1)
    if (c === '`' || (c === '}' && depth === 0)) {
      if (c === '}') templates.pop()
      const end = endOfTemplate(text, at + 1)
      yield { kind: 'string', start: at + 1, end }
      if (text[end] === '$') templates.push(0)
      at = end + (text[end] === '$' ? 2 : 1)
      significant = '`'
      if (text[end] === '$') significant = '{'
      continue
    }
    if (depth !== undefined && c === '{') templates[templates.length - 1] = depth + 1
    if (depth !== undefined && c === '}') templates[templates.length - 1] = depth - 1
    if (c.trim() !== '') significant = c
    at++
  }
}

/** Whether a slash begins a regular expression: it does where a value may begin. */
function beginsExpression(text: string, at: number, significant: string): boolean {
  if ('(,=:[!&|?{};+-*%<>~^'.includes(significant)) return true
  return /\b(?:return|typeof|case|in|of|yield|await)\s*$/.test(text.slice(Math.max(0, at - 12), at))
}

function endOf(text: string, from: number, quote: string): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === quote || text[i] === '\n') return i
  }
  return text.length
}

function endOfRegex(text: string, from: number): number {
  let inClass = false
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
    else if (text[i] === '\n' || (text[i] === '/' && !inClass)) return i
  }
  return text.length
}

/** The closing backtick, or the `$` of a `${`. */
function endOfTemplate(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '`' || (text[i] === '$' && text[i + 1] === '{')) return i
  }
  return text.length
}

function blank(characters: string[], start: number, end: number): void {
  for (let i = start; i < end; i++) if (characters[i] !== '\n') characters[i] = ' '
}
