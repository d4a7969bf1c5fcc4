/**
 * The grammar of strongswan.conf and swanctl.conf: sections, settings, references, includes.
 *
 *   name { … }                  a section
 *   name : base, extra.sub { }  one that inherits from other sections, by their paths from the root
 *   name = value                a setting; without a value it hides an inherited one
 *   include conf.d/*.conf       relative to the file it stands in
 *
 * Sections and settings that occur twice are merged, the later value at the place of the first. Values are bytes,
 * because a secret may be any.
 */
import { dirname } from 'node:path'
import { ConfigError, type Place } from './config-error.ts'
import type { ConfigFiles } from './files.ts'
import { glob } from './glob.ts'

export interface ConfValue {
  readonly bytes: Uint8Array
  readonly place: Place
}

/** A section with everything that it inherits, its own entries first. */
export interface ConfSection {
  readonly name: string
  readonly place: Place
  readonly values: ReadonlyMap<string, ConfValue>
  readonly sections: ReadonlyMap<string, ConfSection>
}

export interface Conf {
  readonly root: ConfSection
  /** The files read, the first one first. */
  readonly files: readonly string[]
  /** Sections at the outermost level that others inherit from. */
  readonly templates: ReadonlySet<string>
  /** What is allowed and ignored but hardly meant: references to sections that are not there. */
  readonly warnings: readonly string[]
}

/** The text of a value. */
export function confText(value: ConfValue): string {
  return Buffer.from(value.bytes).toString('utf8')
}

/**
 * Reads a file and all that it includes.
 * @throws ConfigError at the first thing that does not follow the grammar, or when a file cannot be read
 */
export function readConf(path: string, files: ConfigFiles): Conf {
  const loader: Loader = { files, read: [], open: [], bytes: 0, sections: 0 }
  const root = newSection('', { file: path, line: 1 })
  readInto(root, path, loader, undefined)
  const warnings: string[] = []
  const templates = new Set<string>()
  return { root: resolve(root, warnings, templates), files: loader.read, templates, warnings }
}

/** The same for text that is at hand; `path` is what errors call it and what its includes are relative to. */
export function parseConf(text: string | Uint8Array, path: string, files: ConfigFiles): Conf {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  return readConf(path, { ...files, read: (wanted) => (wanted === path ? bytes : files.read(wanted)) })
}

/** A section as written: what it inherits is still a list of paths. */
interface RawSection {
  readonly name: string
  readonly place: Place
  /** A value of undefined hides an inherited one. */
  readonly values: Map<string, ConfValue | undefined>
  readonly sections: Map<string, RawSection>
  readonly references: { readonly path: string; readonly place: Place }[]
}

interface Loader {
  readonly files: ConfigFiles
  readonly read: string[]
  /** Files being read right now, for cycles. */
  readonly open: string[]
  bytes: number
  sections: number
}

const maxTotalBytes = 64 * 1024 * 1024
const maxFiles = 10_000
const maxIncludeDepth = 16
const maxSectionDepth = 32
const maxSections = 200_000

function newSection(name: string, place: Place): RawSection {
  return { name, place, values: new Map(), sections: new Map(), references: [] }
}

function readInto(section: RawSection, path: string, loader: Loader, from: Place | undefined): void {
  if (loader.open.includes(path)) {
    throw new ConfigError(`${path} includes itself: ${[...loader.open, path].join(' > ')}; remove one include`, from)
  }
  if (loader.open.length === maxIncludeDepth) {
    throw new ConfigError(`includes nest deeper than ${maxIncludeDepth} files; include ${path} from further up`, from)
  }
  let bytes: Uint8Array
  try {
    bytes = loader.files.read(path)
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`, from)
  }
  loader.bytes += bytes.length
  loader.read.push(path)
  if (loader.bytes > maxTotalBytes || loader.read.length > maxFiles) {
    throw new ConfigError(`more than ${maxTotalBytes} bytes or ${maxFiles} files of configuration`, from)
  }
  loader.open.push(path)
  new Parser(bytes, path, loader).parse(section)
  loader.open.pop()
}

class Parser {
  /** One character per byte. */
  readonly #text: string
  readonly #file: string
  readonly #loader: Loader
  #at = 0
  #line = 1
  #lineStart = 0

  constructor(bytes: Uint8Array, file: string, loader: Loader) {
    this.#text = Buffer.from(bytes).toString('latin1')
    this.#file = file
    this.#loader = loader
  }

  parse(section: RawSection): void {
    this.#entries(section, 0)
  }

  /** Settings, sections and includes up to the end of the file or, inside a section, the closing brace. */
  #entries(section: RawSection, depth: number): void {
    for (;;) {
      this.#skipSpace()
      const char = this.#text.charAt(this.#at)
      if (char === '') {
        if (depth === 0) return
        this.#fail(`section '${decode(section.name)}' does not end; add a '}'`)
      }
      if (char === '}') {
        if (depth === 0) this.#fail("'}' without a section; remove it")
        this.#at++
        return
      }
      this.#entry(section, depth)
    }
  }

  #entry(section: RawSection, depth: number): void {
    const place = this.#place()
    const name = this.#match(nameChars)
    if (name === '') this.#unexpected('a name')
    if (name.length > 256) this.#fail('a name is longer than 256 characters')
    const blank = this.#match(blanks)
    const next = this.#text.charAt(this.#at)
    if (next === '=') {
      this.#at++
      const bytes = this.#value()
      section.values.set(decode(name), bytes && { bytes, place })
      return
    }
    if (name === 'include' && (blank !== '' || next === '"') && next !== '{' && next !== ':') {
      this.#include(section, place)
      return
    }
    this.#skipSpace()
    const references = this.#text.charAt(this.#at) === ':' ? this.#references() : []
    if (this.#text.charAt(this.#at) !== '{') {
      this.#unexpected(references.length > 0 ? "'{'" : `'=' or '{' after '${decode(name)}'`)
    }
    this.#at++
    if (depth === maxSectionDepth) this.#fail(`sections nest deeper than ${maxSectionDepth}`)
    let inner = section.sections.get(decode(name))
    if (inner === undefined) {
      if (++this.#loader.sections > maxSections) this.#fail(`more than ${maxSections} sections`)
      inner = newSection(decode(name), place)
      section.sections.set(decode(name), inner)
    }
    inner.references.push(...references)
    this.#entries(inner, depth + 1)
  }

  #references(): { path: string; place: Place }[] {
    const references: { path: string; place: Place }[] = []
    do {
      this.#at++
      this.#skipSpace()
      const place = this.#place()
      const path = this.#match(referenceChars)
      if (path === '') this.#unexpected('the name of a section')
      references.push({ path: decode(path), place })
      this.#skipSpace()
    } while (this.#text.charAt(this.#at) === ',')
    return references
  }

  /** Words and quoted strings up to the end of the line, joined with one space; undefined when there are none. */
  #value(): Uint8Array | undefined {
    const words: string[] = []
    for (;;) {
      this.#match(blanks)
      const char = this.#text.charAt(this.#at)
      if (char === '"') words.push(this.#quoted())
      else {
        const word = this.#match(wordChars)
        if (word === '') return words.length === 0 ? undefined : new Uint8Array(Buffer.from(words.join(' '), 'latin1'))
        words.push(word)
      }
    }
  }

  #quoted(): string {
    const start = this.#place()
    const parts: string[] = []
    this.#at++
    for (;;) {
      parts.push(this.#match(quotedChars))
      const char = this.#text.charAt(this.#at++)
      if (char === '"') return parts.join('')
      if (char === '') throw new ConfigError("a quoted string does not end; add a '\"'", start)
      if (char === '\n') {
        this.#newLine()
        parts.push(char)
        continue
      }
      const escaped = this.#text.charAt(this.#at++)
      if (escaped === '\n') this.#newLine()
      else parts.push(escapes[escaped] ?? escaped)
    }
  }

  #include(section: RawSection, place: Place): void {
    const quoted = this.#text.charAt(this.#at) === '"'
    const pattern = decode(quoted ? this.#quoted() : this.#match(wordChars))
    if (pattern === '') this.#unexpected('the name of a file')
    const absolute = pattern.startsWith('/') ? pattern : `${dirname(this.#file)}/${pattern}`
    for (const path of glob(absolute, this.#loader.files)) readInto(section, path, this.#loader, place)
  }

  /** Takes what a sticky pattern matches here; it may be empty. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #skipSpace(): void {
    for (;;) {
      this.#match(blanks)
      const char = this.#text.charAt(this.#at)
      if (char === '#') this.#match(comment)
      else if (char === '\n') {
        this.#at++
        this.#newLine()
      } else return
    }
  }

  /** Called when the character before `#at` was a newline. */
  #newLine(): void {
    this.#line++
    this.#lineStart = this.#at
  }

  #place(): Place {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #unexpected(wanted: string): never {
    const char = this.#text.charAt(this.#at)
    const seen = char === '' ? 'the file ends' : char === '\n' ? 'the line ends' : `there is '${decode(char)}'`
    const hint = char === '.' ? '; names have no dots' : char === '"' ? '; only values are quoted' : ''
    this.#fail(`${wanted} is expected, but ${seen}${hint}`)
  }

  #fail(reason: string): never {
    throw new ConfigError(reason, this.#place())
  }
}

const nameChars = /[^#{}:.,="\s]*/y
const referenceChars = /[^#{}:,="\s]*/y
const wordChars = /[^#}"\s]*/y
const quotedChars = /[^"\\\n]*/y
const blanks = /[ \t\r\f\v]*/y
const comment = /[^\n]*/y
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function decode(binary: string): string {
  return Buffer.from(binary, 'latin1').toString('utf8')
}

/**
 * Own entries win over references, which win from left to right. A sub-section inherits from the sub-sections of the
 * same name of all that its parent inherits from.
 */
function resolve(root: RawSection, warnings: string[], templates: Set<string>): ConfSection {
  let budget = maxSections
  const warned = new Set<string>()

  const find = (reference: RawSection['references'][number]): RawSection | undefined => {
    let found: RawSection | undefined = root
    const names = reference.path.split('.')
    for (const name of names) found = found?.sections.get(name)
    if (found !== undefined) templates.add(names[0] ?? '')
    const warning = `${reference.place.file}:${reference.place.line}: no section '${reference.path}' to inherit from`
    if (found === undefined && !warned.has(warning)) {
      warned.add(warning)
      warnings.push(warning)
    }
    return found
  }

  /** The sections themselves and what they inherit from, in order of precedence; each once, which ends cycles. */
  const chain = (sections: readonly RawSection[]): readonly RawSection[] => {
    const seen = new Set<RawSection>()
    const stack = sections.toReversed()
    for (let section = stack.pop(); section !== undefined; section = stack.pop()) {
      if (seen.has(section)) continue
      seen.add(section)
      for (const reference of section.references.toReversed()) {
        const found = find(reference)
        if (found !== undefined) stack.push(found)
      }
    }
    return [...seen]
  }

  const merge = (sections: readonly RawSection[], depth: number): ConfSection => {
    const sources = chain(sections)
    const first = sources[0] ?? root
    budget -= sources.length
    if (budget < 0 || depth > maxSectionDepth) {
      throw new ConfigError(
        `the references of '${first.name}' have no end; a section inherits from one around it`,
        first.place,
      )
    }
    const values = new Map<string, ConfValue | undefined>()
    const inner = new Map<string, RawSection[]>()
    for (const source of sources) {
      for (const [name, value] of source.values) if (!values.has(name)) values.set(name, value)
      for (const [name, section] of source.sections) {
        const same = inner.get(name)
        if (same === undefined) inner.set(name, [section])
        else same.push(section)
      }
    }
    const set = new Map<string, ConfValue>()
    for (const [name, value] of values) if (value !== undefined) set.set(name, value)
    return {
      name: first.name,
      place: first.place,
      values: set,
      sections: new Map([...inner].map(([name, found]) => [name, merge(found, depth + 1)])),
    }
  }

  return merge([root], 0)
}
