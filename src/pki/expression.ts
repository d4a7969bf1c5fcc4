import { DecodeError } from '../wire/errors.ts'

/**
 * POSIX extended regular expressions (IEEE 1003.1 §9.4), any case, for identities. The expression comes from the
 * configuration but the text from a peer that is not authenticated yet, so matching takes time proportional to the text:
 * all alternatives are followed at once (Thompson's construction) and nothing is ever tried a second time.
 */
export interface Expression {
  matches(text: string): boolean
}

/** Compiles an expression. Throws DecodeError with the place of the fault. */
export function parseExpression(source: string): Expression {
  const parser: Parser = { source, at: 0, depth: 0, emitted: 0 }
  const node = alternatives(parser)
  if (parser.at < source.length) fail(parser, 'a ) without its (')
  const program: Instruction[] = []
  emit(node, program, parser)
  program.push({ op: 'match' })
  return { matches: (text) => run(program, text) }
}

function run(program: readonly Instruction[], text: string): boolean {
  if (text.length > MAX_TEXT) return false
  let threads = new Set<number>()
  for (let at = 0; at <= text.length; at++) {
    follow(program, 0, threads, at, text.length)
    if (threads.has(program.length - 1)) return true
    const next = new Set<number>()
    const char = text.charAt(at)
    const both = [char.toLowerCase(), char.toUpperCase()] as const
    for (const thread of threads) {
      const instruction = program[thread]
      if (at < text.length && instruction?.op === 'char' && both.some(instruction.fits))
        follow(program, thread + 1, next, at + 1, text.length)
    }
    threads = next
  }
  return threads.has(program.length - 1)
}

/** Adds everything that can be reached from `start` without reading a character. */
function follow(program: readonly Instruction[], start: number, threads: Set<number>, at: number, end: number): void {
  const waiting = [start]
  for (let thread = waiting.pop(); thread !== undefined; thread = waiting.pop()) {
    if (threads.has(thread)) continue
    threads.add(thread)
    const instruction = program[thread]
    if (instruction?.op === 'either') waiting.push(instruction.second, instruction.first)
    else if (instruction?.op === 'jump') waiting.push(instruction.to)
    else if ((instruction?.op === 'begin' && at === 0) || (instruction?.op === 'end' && at === end))
      waiting.push(thread + 1)
  }
}

type Instruction =
  | { readonly op: 'char'; readonly fits: Fits }
  | { readonly op: 'begin' | 'end' | 'match' }
  | { op: 'jump'; to: number }
  | { op: 'either'; first: number; second: number }

type Node =
  | { readonly kind: 'char'; readonly fits: Fits }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'sequence' | 'alternatives'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly least: number; readonly most: number }

type Fits = (char: string) => boolean

interface Parser {
  readonly source: string
  at: number
  depth: number
  /** Nodes turned into instructions so far: repetitions of nothing cost work but no instruction. */
  emitted: number
}

function emit(node: Node, program: Instruction[], parser: Parser): void {
  if (program.length > MAX_PROGRAM || ++parser.emitted > 4 * MAX_PROGRAM) fail(parser, 'the expression is too large')
  switch (node.kind) {
    case 'char':
      program.push({ op: 'char', fits: node.fits })
      return
    case 'begin':
    case 'end':
      program.push({ op: node.kind })
      return
    case 'sequence':
      for (const part of node.nodes) emit(part, program, parser)
      return
    case 'alternatives':
      emitAlternatives(node.nodes, program, parser)
      return
    case 'repeat':
      emitRepeat(node.node, node.least, node.most, program, parser)
      return
  }
}

function emitAlternatives(nodes: readonly Node[], program: Instruction[], parser: Parser): void {
  const jumps: { to: number }[] = []
  for (const [i, alternative] of nodes.entries()) {
    const last = i === nodes.length - 1
    const either = { op: 'either' as const, first: program.length + 1, second: 0 }
    if (!last) program.push(either)
    emit(alternative, program, parser)
    if (last) break
    const jump = { op: 'jump' as const, to: 0 }
    program.push(jump)
    jumps.push(jump)
    either.second = program.length
  }
  for (const jump of jumps) jump.to = program.length
}

function emitRepeat(node: Node, least: number, most: number, program: Instruction[], parser: Parser): void {
  for (let i = 0; i < least; i++) emit(node, program, parser)
  if (most === Number.POSITIVE_INFINITY) {
    const either = { op: 'either' as const, first: program.length + 1, second: 0 }
    const start = program.push(either) - 1
    emit(node, program, parser)
    program.push({ op: 'jump', to: start })
    either.second = program.length
    return
  }
  const ends: { second: number }[] = []
  for (let i = least; i < most; i++) {
    const either = { op: 'either' as const, first: program.length + 1, second: 0 }
    program.push(either)
    ends.push(either)
    emit(node, program, parser)
  }
  for (const either of ends) either.second = program.length
}

function alternatives(parser: Parser): Node {
  if (++parser.depth > MAX_DEPTH) fail(parser, `more than ${MAX_DEPTH} levels of ( )`)
  const nodes = [sequence(parser)]
  while (accept(parser, '|')) nodes.push(sequence(parser))
  parser.depth--
  return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { kind: 'alternatives', nodes }
}

function sequence(parser: Parser): Node {
  const nodes: Node[] = []
  while (parser.at < parser.source.length && !'|)'.includes(parser.source.charAt(parser.at))) {
    let node = atom(parser)
    for (let times = repetition(parser); times !== undefined; times = repetition(parser)) {
      if (node.kind === 'repeat' && ++parser.depth > MAX_DEPTH) fail(parser, 'too many repetitions of repetitions')
      node = { kind: 'repeat', node, ...times }
    }
    nodes.push(node)
  }
  return { kind: 'sequence', nodes }
}

function atom(parser: Parser): Node {
  const char = parser.source.charAt(parser.at++)
  switch (char) {
    case '(': {
      const inner = alternatives(parser)
      if (!accept(parser, ')')) fail(parser, 'a ( without its )')
      return inner
    }
    case '.':
      return { kind: 'char', fits: () => true }
    case '^':
      return { kind: 'begin' }
    case '$':
      return { kind: 'end' }
    case '[':
      return { kind: 'char', fits: bracket(parser) }
    case '\\': {
      const escaped = parser.source.charAt(parser.at++)
      if (escaped === '' || /[a-z0-9]/i.test(escaped)) fail(parser, `\\${escaped} has no meaning here`)
      return { kind: 'char', fits: (c) => c === escaped }
    }
    case '*':
    case '+':
    case '?':
      return fail(parser, `nothing in front of ${char}`)
    default:
      return { kind: 'char', fits: (c) => c === char || c === char.toLowerCase() }
  }
}

function repetition(parser: Parser): { least: number; most: number } | undefined {
  if (accept(parser, '*')) return { least: 0, most: Number.POSITIVE_INFINITY }
  if (accept(parser, '+')) return { least: 1, most: Number.POSITIVE_INFINITY }
  if (accept(parser, '?')) return { least: 0, most: 1 }
  if (parser.source.charAt(parser.at) !== '{') return undefined
  const counts = /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(parser.source.slice(parser.at, parser.at + 9))
  if (counts === null) return fail(parser, 'a { must be followed by one or two numbers and }')
  parser.at += counts[0].length
  const least = Number(counts[1])
  const most = counts[2] === undefined ? least : counts[3] === '' ? Number.POSITIVE_INFINITY : Number(counts[3])
  if (most < least || least > MAX_COUNT || (most > MAX_COUNT && most !== Number.POSITIVE_INFINITY))
    fail(parser, `a repetition must be in order and not above ${MAX_COUNT}`)
  return { least, most }
}

function bracket(parser: Parser): Fits {
  const negated = accept(parser, '^')
  const parts: Fits[] = []
  for (let first = true; ; first = false) {
    const char = parser.source.charAt(parser.at)
    if (char === '') fail(parser, 'a [ without its ]')
    if (char === ']' && !first) break
    const named = /^\[:([a-z]{1,10}):\]/.exec(parser.source.slice(parser.at, parser.at + 15))
    if (named !== null) {
      parser.at += named[0].length
      parts.push(CLASSES.get(named[1] ?? '') ?? fail(parser, `there is no class ${named[0]}`))
      continue
    }
    if (/^\[[.=]/.test(parser.source.slice(parser.at, parser.at + 2)))
      fail(parser, 'collating elements are not supported')
    parser.at++
    const range = parser.source.charAt(parser.at) === '-' && !['', ']'].includes(parser.source.charAt(parser.at + 1))
    const last = range ? parser.source.charAt(parser.at + 1) : char
    if (range) parser.at += 2
    if (last < char) fail(parser, `the range ${char}-${last} is empty`)
    parts.push((c) => c >= char && c <= last)
  }
  parser.at++
  // in any case: both forms of the letter are asked, so a negated set must refuse if either is in it
  return negated
    ? (c) => ![c.toLowerCase(), c.toUpperCase()].some((form) => parts.some((fits) => fits(form)))
    : (c) => parts.some((fits) => fits(c))
}

function accept(parser: Parser, char: string): boolean {
  if (parser.source.charAt(parser.at) !== char) return false
  parser.at++
  return true
}

function fail(parser: Parser, reason: string): never {
  throw new DecodeError('regular expression', parser.at, `"${parser.source}": ${reason}`)
}

const MAX_TEXT = 1024
const MAX_PROGRAM = 4096
const MAX_DEPTH = 32
const MAX_COUNT = 255

const CLASSES: ReadonlyMap<string, Fits> = new Map(
  Object.entries({
    alpha: /[A-Za-z]/,
    digit: /[0-9]/,
    alnum: /[A-Za-z0-9]/,
    upper: /[A-Z]/,
    lower: /[a-z]/,
    space: /\s/,
    blank: /[ \t]/,
    punct: /[!-/:-@[-`{-~]/,
    print: /[ -~]/,
    graph: /[!-~]/,
    xdigit: /[0-9A-Fa-f]/,
    cntrl: /\p{Cc}/u,
  }).map(([name, set]) => [name, (c: string) => set.test(c)]),
)
