/** Reads what `swanctl … --pretty` prints: the messages of VICI, one element per line. */

/** A section: its entries in order, names may come twice. */
export interface Section {
  readonly entries: readonly (readonly [name: string, value: Value])[]
}

export type Value = string | readonly string[] | Section

/** Tells sections from values and lists. */
export function isSection(value: Value): value is Section {
  return typeof value === 'object' && 'entries' in value && typeof value.entries !== 'function'
}

/** The messages printed, each a section named by its label (`list-sa event`). */
export function readPretty(text: string): Section {
  const lines = text.split('\n').map((line) => line.trim())
  let at = 0
  const section = (): Section => {
    const entries: [string, Value][] = []
    while (at < lines.length) {
      const line = lines[at++] ?? ''
      if (line === '}') break
      const opens = /^(.*) \{$/.exec(line)
      const list = /^(.*?) = \[$/.exec(line)
      const pair = /^(.*?) = (.*)$/.exec(line)
      if (opens) entries.push([opens[1] ?? '', section()])
      else if (list) entries.push([list[1] ?? '', items()])
      else if (pair) entries.push([pair[1] ?? '', pair[2] ?? ''])
      else if (/^(.*) \{\}$/.test(line)) entries.push([line.slice(0, -3), { entries: [] }])
    }
    return { entries }
  }
  const items = (): string[] => {
    const found: string[] = []
    while (at < lines.length && lines[at] !== ']') found.push(lines[at++] ?? '')
    at++
    return found
  }
  return section()
}

/** The first section of that name. */
export function child(of: Section | undefined, name: string | RegExp): Section | undefined {
  for (const [key, value] of of?.entries ?? []) {
    if (isSection(value) && (typeof name === 'string' ? key === name : name.test(key))) return value
  }
  return undefined
}

/** The first value of that name. */
export function value(of: Section | undefined, name: string): string | undefined {
  const found = of?.entries.find(([key, v]) => key === name && typeof v === 'string')?.[1]
  return typeof found === 'string' ? found : undefined
}

/** The items of the first list of that name. */
export function list(of: Section | undefined, name: string): readonly string[] {
  const found = of?.entries.find(([key, v]) => key === name && typeof v !== 'string' && !isSection(v))?.[1]
  return found === undefined || typeof found === 'string' || isSection(found) ? [] : found
}

/** The fields of a section, in order and with those of its sections, as dotted names without numbers. */
export function fieldNames(of: Section, prefix = ''): string[] {
  return of.entries.flatMap(([name, v]) => {
    const path = `${prefix}${name.replace(/-\d+$/, '-#')}`
    if (typeof v === 'string') return [path]
    return isSection(v) ? [`${path}{}`, ...fieldNames(v, `${path}.`)] : [`${path}[]`]
  })
}
