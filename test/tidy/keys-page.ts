/**
 * Makes docs/swanctl-conf.md and docs/strongswan-conf.md from the tables of keys in src/config, the meanings in test/keys/*.txt
 * and the tests of the keys: `node test/tidy/keys-page.ts`. The tidy test says when that has been forgotten, which key has
 * no meaning or no test, and which meaning or test is of no key.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { scenarios } from '../../interop/scenarios/all.ts'
import { absentRows } from './absent-rows.ts'
import { type Section, strongswanSections, swanctlSections } from './key-rows.ts'
import { type Source, source } from './source.ts'

/** A matrix: where it is, where its meanings are, and its rows. */
export interface Page {
  readonly path: string
  readonly data: string
  /** What charon has beside that, and where that is. */
  readonly absent?: string
  readonly head: string
  readonly sections: readonly Section[]
}

interface Meaning {
  readonly where: string
  readonly text: string
  readonly proofs: readonly Proof[]
}

interface Proof {
  readonly file: string
  readonly name: string
}

export const pages: readonly Page[] = [
  {
    path: 'docs/swanctl-conf.md',
    data: 'test/keys/swanctl-conf.txt',
    head: `# Keys of swanctl.conf

Each key that charon knows, and what becomes of it here. A key that is in no table, or a value that cannot be, is refused by
name with file, line and the cure. The same keys come over VICI.`,
    sections: swanctlSections,
  },
  {
    path: 'docs/strongswan-conf.md',
    data: 'test/keys/strongswan-conf.txt',
    absent: 'test/keys/strongswan-absent.txt',
    head: `# Options of strongswan.conf

Each is looked up in \`charon-systemd\`, then in \`charon\`, then in \`libstrongswan\`. A value that cannot be is warned of at
start with its place, and the default stays; options that nobody reads are listed in one line, with their places. \`SIGHUP\`
and \`swanctl --reload-settings\` read the file again: the core's options and the loggers hold from then on, sockets and the
kernel's at the next start. Sections of other programs (\`swanctl\`, \`pki\`, \`pool\`, …) are theirs.`,
    sections: strongswanSections,
  },
]

/** What is wrong with the pages, the meanings and the tests of keys. */
export function keysPage(sources: readonly Source[], matrices: readonly Page[] = pages): readonly string[] {
  const tests = testsOf(sources)
  return [...strayTests(tests, matrices), ...matrices.flatMap((page) => pageProblems(page, tests, sources))]
}

/** Tests of keys that are in no matrix. */
function strayTests(tests: readonly Titles[], matrices: readonly Page[]): readonly string[] {
  const keys = matrices.flatMap(({ sections }) => sections.flatMap(({ rows }) => rows.flatMap(({ key }) => sides(key))))
  return tests.flatMap(({ file, titles }) =>
    titles.flatMap((title) => (keys.some((key) => fits(title, key)) ? [] : [`${file}: there is no key ${title.key}`])),
  )
}

function pageProblems(page: Page, tests: readonly Titles[], sources: readonly Source[]): readonly string[] {
  const { meanings, problems } = readMeanings(sources.find(({ path }) => path === page.data))
  const keys = new Set(page.sections.flatMap(({ rows }) => rows.map(({ key }) => key)))
  const unknown = [...meanings].flatMap(([key, { where }]) =>
    keys.has(key) ? [] : [`${where}: there is no key ${key}`],
  )
  const broken = [...meanings.values()].flatMap(({ where, proofs }) =>
    proofs.filter((proof) => !leads(proof, sources)).map(({ file, name }) => `${where}: ${file} has no test "${name}"`),
  )
  const bare = [...keys].flatMap((key) => [
    ...(meanings.has(key) ? [] : [`${page.data}: no meaning of ${key}`]),
    ...(proofsOf(key, tests, meanings).length > 0 ? [] : [`${page.data}: no test of ${key}`]),
  ])
  const absent = absentOf(page, sources)
  const stale = sources.find(({ path }) => path === page.path)?.text !== render(page, tests, meanings, absent?.text)
  return [
    ...problems,
    ...(absent?.problems ?? []),
    ...unknown,
    ...broken,
    ...bare,
    ...(stale ? [`${page.path}: not as the tables say; run: node test/tidy/keys-page.ts`] : []),
  ]
}

function absentOf({ absent }: Page, sources: readonly Source[]): ReturnType<typeof absentRows> | undefined {
  const list = sources.find(({ path }) => path === absent)
  return list && absentRows(list)
}

function render(
  page: Page,
  tests: readonly Titles[],
  meanings: ReadonlyMap<string, Meaning>,
  absent: string | undefined,
): string {
  const parts = page.sections.map(({ title, intro, rows }) => {
    const lines = rows.map(({ key, default: byDefault, support }) => {
      const proofs = proofsOf(key, tests, meanings).map(({ file, name }) => proofText(file, name))
      const cells = [
        `\`${shortKey(key, title)}\``,
        byDefault,
        meanings.get(key)?.text ?? '',
        support,
        proofs.join('; '),
      ]
      return `| ${cells.map(cell).join(' | ')} |`
    })
    const head = ['| key | default | meaning | support | shown by |', '|---|---|---|---|---|']
    return [`## \`${title}\``, ...(intro === undefined ? [] : ['', intro]), '', ...head, ...lines].join('\n')
  })
  return `${page.head}\n\nGenerated by \`node test/tidy/keys-page.ts\`.\n\n${[...parts, ...(absent === undefined ? [] : [absent])].join('\n\n')}\n`
}

function shortKey(key: string, title: string): string {
  return key.startsWith(`${title}.`) ? key.slice(title.length + 1) : key
}

function proofText(file: string, name: string): string {
  if (file === 'interop') return `lab: ${name}`
  return `[${file.slice(file.lastIndexOf('/') + 1)}](../${file}): ${name}`
}

function cell(text: string): string {
  // In code a `<` stands for itself.
  const parts = text.split('`').map((part, i) => (i % 2 === 1 ? part : part.replaceAll('<', '&lt;')))
  return parts.join('`').replaceAll('|', '\\|')
}

/** The tests whose names begin with the key, then those that its line names. */
function proofsOf(key: string, tests: readonly Titles[], meanings: ReadonlyMap<string, Meaning>): readonly Proof[] {
  const named = sides(key).flatMap((name) =>
    tests.flatMap(({ file, titles }) =>
      titles.filter((title) => fits(title, name)).map(({ what }) => ({ file, name: what })),
    ),
  )
  const first = new Map(named.map((proof) => [proof.file, proof]))
  return [...first.values(), ...(meanings.get(key)?.proofs ?? [])]
}

/** A key of rounds is one of either side. */
function sides(key: string): readonly string[] {
  return key.includes('local|remote') ? ['local', 'remote'].map((side) => key.replace('local|remote', side)) : [key]
}

interface Titles {
  readonly file: string
  readonly titles: readonly Title[]
}

interface Title {
  readonly key: string
  /** The loop that it is in. */
  readonly around: string
  readonly what: string
}

/** `key('name', 'what', …)` in the tests of this folder; parts of a name may be put in. */
function testsOf(sources: readonly Source[]): readonly Titles[] {
  return sources.flatMap(({ path, text }) => {
    if (!/^test\/keys\/.*\.test\.ts$/.test(path)) return []
    const titles = [...text.matchAll(/\bkey\(\s*(['`])(.+?)\1,\s*(?:(['`"])(.*?)\3|(\w+)),/g)].map((match) => {
      const [, , key = '', , what, variable = ''] = match
      const around = text.slice(text.lastIndexOf('\nfor (', match.index), match.index)
      return { key, around, what: (what ?? `each ${variable}`).replace(/\$\{[^}]*\}/g, '…') }
    })
    return [{ file: path, titles }]
  })
}

/** Whether a test has this key in its name; what is put in must stand in the loop around it as a text. */
function fits({ key, around }: Title, name: string): boolean {
  if (!key.includes('${')) return key === name
  const pattern = new RegExp(
    `^${key
      .split(/\$\{(?:[^{}]|\{[^}]*\})*\}/)
      .map(RegExp.escape)
      .join('(.+)')}$`,
  )
  const put = pattern.exec(name)?.slice(1)
  return put?.every((part) => around.includes(`'${part}'`)) ?? false
}

function leads({ file, name }: Proof, sources: readonly Source[]): boolean {
  if (file === 'interop') return scenarios.some((one) => one.name === name)
  const test = new RegExp(`\\b(?:test|scenario|suite)\\(\\s*['"\`].*${RegExp.escape(name)}`)
  return test.test(sources.find(({ path }) => path === file)?.text ?? '')
}

function readMeanings(data: Source | undefined): {
  readonly meanings: ReadonlyMap<string, Meaning>
  readonly problems: readonly string[]
} {
  const meanings = new Map<string, Meaning>()
  const problems: string[] = []
  for (const [i, line] of (data?.text ?? '').split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue
    const where = `${data?.path}:${i + 1}`
    const [key = '', text, ...tests] = line.split(' | ')
    const proofs = tests.map((test) => {
      const [, file = '', name = ''] = /^([^:]+): (.+)$/.exec(test) ?? []
      return { file, name }
    })
    if (text === undefined || meanings.has(key)) problems.push(`${where}: no meaning, or a second one: ${line}`)
    else meanings.set(key, { where, text, proofs })
  }
  return { meanings, problems }
}

if (import.meta.main) {
  const root = new URL('../../', import.meta.url)
  const paths = globSync(['{src,test}/**/*.test.ts', 'test/keys/*.txt'], { cwd: root.pathname })
  const sources = paths.map((path) => source(path, readFileSync(new URL(path, root), 'utf8')))
  const tests = testsOf(sources)
  for (const page of pages) {
    const { meanings } = readMeanings(sources.find(({ path }) => path === page.data))
    writeFileSync(new URL(page.path, root), render(page, tests, meanings, absentOf(page, sources)?.text))
  }
  for (const problem of keysPage(sources)) if (!problem.includes('run: node')) console.log(problem)
}
