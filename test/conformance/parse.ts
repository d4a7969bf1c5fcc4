/**
 * Reads the checklists (what the RFCs require, one line each) and the traces (where each is proven, or why it need not
 * be). `checklists/README.md` has the format of the first. A line of a trace is one of
 *
 *   R7296-1-1 = test/simulation/set-up.test.ts: name of a test     proven by this test; `*` stands for any text
 *   R7296-1-1 = interop: name                                      also seen in this scenario of the lab
 *   R7296-1-1 = sweep: name                                        a rule of test/simulation/safety.ts
 *   R7296-1-1 = explore: name                                      a plan of test/explore/plans.ts
 *   R7296-1-1 - reason                                             does not apply
 *   R7296-1-1 - not followed: reason                               a recommendation that we do not follow
 */

/** A file of the project, by its path from the root. */
export interface Text {
  readonly path: string
  readonly text: string
}

export interface Requirement {
  readonly id: string
  /** The number of the RFC. */
  readonly rfc: number
  /** As in the RFC: `MUST`, `SHOULD NOT`, …; `RULE` for what it demands without a keyword. */
  readonly level: string
  readonly requirement: string
}

export interface Checklist {
  readonly rfc: number
  readonly title: string
  readonly requirements: readonly Requirement[]
}

export type Proof =
  | { readonly kind: 'test'; readonly file: string; readonly name: string }
  | { readonly kind: 'interop' | 'sweep' | 'explore'; readonly name: string }

export type Trace = { readonly id: string; readonly where: string } & (
  | Proof
  | { readonly kind: 'reason'; readonly reason: string }
)

const folder = 'test/conformance'

/** The checklists among these files, by the number of their RFC; RFC 7296 first. */
export function readChecklists(files: readonly Text[]): readonly Checklist[] {
  return files
    .flatMap(({ path, text }): Checklist[] => {
      const rfc = /\/checklists\/rfc(\d+)\.md$/.exec(path)?.[1]
      if (rfc === undefined || !path.startsWith(folder)) return []
      const title = /^# (.*)$/m.exec(text)?.[1] ?? path
      return [{ rfc: Number(rfc), title, requirements: text.split('\n').flatMap((line) => requirement(line)) }]
    })
    .sort((a, b) => Number(b.rfc === 7296) - Number(a.rfc === 7296) || a.rfc - b.rfc)
}

function requirement(line: string): readonly Requirement[] {
  const [, id = '', rfc, level = '', words = ''] = /^(R(\d+)-\S+) \| ([^|]+) \| [^|]+ \| (.+)$/.exec(line) ?? []
  return rfc === undefined ? [] : [{ id, rfc: Number(rfc), level, requirement: words }]
}

/** The traces among these files, in the order of files and lines, and the lines that are none. */
export function readTraces(files: readonly Text[]): {
  readonly traces: readonly Trace[]
  readonly problems: readonly string[]
} {
  const traces: Trace[] = []
  const problems: string[] = []
  for (const { path, text } of files) {
    if (!path.startsWith(`${folder}/traces/`)) continue
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue
      const where = `${path}:${i + 1}`
      const read = trace(line, where)
      if (read === undefined) problems.push(`${where}: not a trace: ${line}`)
      else traces.push(read)
    }
  }
  return { traces, problems }
}

function trace(line: string, where: string): Trace | undefined {
  const [, id = '', sign, rest = ''] = /^(R\d+-\S+) ([=-]) (.*\S)\s*$/.exec(line) ?? []
  if (sign === '-') return { id, where, kind: 'reason', reason: rest }
  const [, place = '', name = ''] = /^([^:]+): (.+)$/.exec(rest) ?? []
  if (place === 'interop' || place === 'sweep' || place === 'explore') return { id, where, kind: place, name }
  return place.endsWith('.test.ts') ? { id, where, kind: 'test', file: place, name } : undefined
}
