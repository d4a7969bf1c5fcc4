/** Reads our own sources. Every rule is also shown what it must find, so that it can fail. */
import assert from 'node:assert/strict'
import { globSync, readFileSync, statSync } from 'node:fs'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { docstrings, leftOvers } from './tidy/comments.ts'
import { conformancePage } from './tidy/conformance-page.ts'
import { determinism } from './tidy/determinism.ts'
import { deadReferences } from './tidy/documents.ts'
import { importDirections } from './tidy/imports.ts'
import { keysPage, type Page, pages } from './tidy/keys-page.ts'
import { places } from './tidy/places.ts'
import { scriptCalls } from './tidy/scripts.ts'
import { type Source, source } from './tidy/source.ts'
import { silencedTests, unexplainedDependencies } from './tidy/testing.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const project = ours()

interface Rule {
  readonly name: string
  readonly check: (sources: readonly Source[]) => readonly string[]
  /** Files by path, with violations in them, and how many the rule must find in all. */
  readonly planted: Readonly<Record<string, string>>
  readonly finds: number
}

const later = ['await', 'async'].join(' ')
const few: Page = {
  path: 'docs/few.md',
  data: 'few.txt',
  head: '',
  sections: [{ title: 'a', rows: ['a.b', 'a.c'].map((key) => ({ key, default: '', support: 'yes' })) }],
}

const rules: readonly Rule[] = [
  {
    name: 'imports point inward',
    check: importDirections,
    planted: {
      'src/wire/a.ts': "import { Engine } from '../ike/engine.ts'\nimport { b } from './b.ts'\n",
      'src/pki/a.ts': "import type { Engine } from '../ike/engine.ts'\nimport { concat } from '../crypto/bytes.ts'\n",
      'src/ike/a.ts':
        "import { Performer } from '../kernel/performer.ts'\nimport { Kernel } from '../kernel/operations.ts'\n",
      'src/ike/exchanges/b.ts': "const net = await import('../../net/ike-sockets.ts')\n",
      'src/vici/a.ts': "import type { Input } from '../ike/input.ts'\nimport { IkeSa } from '../ike/ike-sa.ts'\n",
      'src/unheard/a.ts': '',
      'src/main.ts': "import { Engine } from './ike/engine.ts'\n",
      'src/wire/a.test.ts': "import { Engine } from '../ike/engine.ts'\n",
    },
    finds: 6,
  },
  {
    name: 'the core has no clock, no timer, no promise and no randomness',
    check: determinism,
    planted: {
      'src/ike/a.ts':
        "// Date.now() in a comment, and\nconst text = 'Math.random()'\nconst at = Date.now()\nconst then = new Date(0)\n",
      'src/ike/b.ts': `const now = new Date()\nsetTimeout(f, 1)\n${later} x\nconst p: Promise<void> = q\n`,
      'src/kernel/simulated/c.ts':
        "import { randomBytes } from 'node:crypto'\nimport { readFileSync } from 'node:fs'\n",
      'src/ike/d.ts': `const t = \`\${performance.now()} and Math.random() in a template\`\n`,
      'src/loop.ts': 'const now = Date.now()\n',
    },
    finds: 9,
  },
  {
    name: 'no script is called without yield*',
    check: scriptCalls,
    planted: {
      'src/ike/script.ts': 'export function* request(a: () => void): Script<void> {\n  yield a\n}\n',
      'src/ike/sa.ts':
        'export class Sa {\n  *install(sa: Sa): Script<void> {}\n  *#part(a: A): Script<void> {\n    this.#part(a)\n  }\n  *all(): Generator<A> {}\n}\n',
      'src/ike/use.ts': [
        "import { request as ask } from './script.ts'",
        "import * as script from './script.ts'",
        'function* own(): Script<void> {',
        '  yield* ask(() => f(1))',
        '  ask(x)',
        '  const y = script.request(x)',
        '  if (!child.install(sa)) return',
        '  const z = (yield* child.install(sa)).z',
        '  held.install()',
        '  for (const a of sa.all()) f(a)',
        '}',
        'const task = { script: () => own(), done: () => own() }',
        'core.spawn(',
        '  own(),',
        ')',
        'new Process<void>(own(), performer)',
      ].join('\n'),
    },
    finds: 5,
  },
  {
    name: 'what is exported is explained',
    check: docstrings,
    planted: {
      'src/wire/a.ts': 'export function silent(): void {}\nexport interface Silent {\n  readonly a: number\n}\n',
      'src/wire/b.ts': '/** The file. */\nexport function fine(): void {}\n',
      'src/wire/c.ts':
        '/** Fine. */\nexport function fine(): void {}\nexport type T = {\n  /** Fine. */\n  a: number\n}\n',
      'src/wire/d.ts': 'export class Silent {}\nexport function* script(): Script<void> {}\n',
    },
    finds: 4,
  },
  {
    name: 'nothing is left to be done',
    check: leftOvers,
    planted: { 'src/a.ts': `// ${'TO'}${'DO'}: later\n`, 'docs/a.md': `${'FIX'}${'ME'} and methods` },
    finds: 2,
  },
  {
    name: 'no machine and no registry is named',
    check: places,
    planted: {
      'docs/a.md': `see /${'home'}/somebody/notes and https://${'packages.intranet'}/x and https://www.rfc-editor.org/rfc/rfc7296`,
      'package-lock.json': `      "resolved": "https://${'packages.intranet'}/x.tgz",\n`,
      '.npmrc': 'registry=https://example.com/\n@a:registry = https://example.com/\n',
    },
    finds: 5,
  },
  {
    name: 'every dependency is explained',
    check: unexplainedDependencies,
    planted: {
      'package.json': '{ "dependencies": { "known": "1", "new": "1" }, "devDependencies": { "newer": "1" } }',
      'docs/dependencies.md': '| `known` | is needed |',
    },
    finds: 2,
  },
  {
    name: 'documents name only what exists',
    check: deadReferences,
    planted: {
      'package.json': '{ "scripts": { "known": "node --x src/a.test.ts", "gone": "node gone.ts" } }',
      'src/a.test.ts': "test('known', () => {})",
      'docs/a.md': [
        '[fine](../src/a.test.ts) [dead](b.md) [outside](https://www.rfc-editor.org) `src` `src/a.test.ts` `src/b/`',
        'npm run known, npm run unknown, npm run gone, `a.test.ts` "known", `a.test.ts` "unknown", `b.ts`',
      ].join('\n'),
    },
    finds: 6,
  },
  {
    name: 'the matrices of keys are up to date, and every key has a meaning and a test',
    check: (sources) => keysPage(sources, sources.some(({ path }) => path === few.path) ? [few] : pages),
    planted: {
      'docs/few.md': '# Few\n',
      'few.txt': 'a.b | means something\na.d | is not there\na.c | is said\na.c | is said again\n',
      'test/keys/a.test.ts': "key('a.b', 'works', () => {})\nkey('a.e', 'is not there', () => {})\n",
    },
    // A meaning and a test of no key, a meaning said twice, a key without a test, an old page.
    finds: 5,
  },
  {
    name: 'the page of conformance is up to date, every requirement is traced, and traces are of requirements that exist',
    check: conformancePage,
    planted: {
      'test/conformance/checklists/rfc1.md': '# RFC 1\nR1-1-1 | MUST | B | Be there\nR1-1-3 | MAY | B | Be forgotten\n',
      'test/conformance/traces/rfc1.txt': 'R1-1-1 = a.test.ts: is there\nR1-1-2 - nowhere\nno trace\n',
      'docs/conformance.md': '# Conformance\n',
    },
    finds: 4,
  },
  {
    name: 'no test is silenced without a reason',
    check: silencedTests,
    planted: {
      'src/a.test.ts': [
        `test${'.only'}('a', () => {})`,
        `test${'.skip'}('a', () => {})`,
        `test('a', { ${'skip'}: true }, () => {})`,
        `test('a', { ${'todo'}: true }, () => {})`,
        "test('a', { skip: 'needs root' }, (t) => t.skip('needs root'))",
        "test('a', (t) => t.skip())",
      ].join('\n'),
    },
    finds: 5,
  },
]

for (const { name, check, planted, finds } of rules) {
  suite(name, () => {
    test('in this repository', () => {
      const found = check(project)
      assert.equal(found.length, 0, `\n  ${found.join('\n  ')}`)
    })
    test('and it finds what is wrong', () => {
      const found = check(Object.entries(planted).map(([path, text]) => source(path, text)))
      assert.equal(found.length, finds, `found ${found.length}:\n  ${found.join('\n  ')}`)
    })
  })
}

test('the project has been read', () => {
  const paths = new Set(project.map(({ path }) => path))
  for (const path of ['src/ike/engine.ts', 'test/tidy.test.ts', 'package.json']) assert.ok(paths.has(path), path)
})

test('comments, strings, templates and regular expressions are told from code', () => {
  const text = `a('b//c') // d\nx = /['"]/.test(y) / 2 /* e\n */ + \`f \${g({ h: \`i \${j}\` })} k\` + '\\'l'`
  const { code, uncommented } = source('x.ts', text)
  const words = (of: string): string[] => of.match(/[a-z]+/g) ?? []
  assert.deepEqual(words(code), ['a', 'x', 'test', 'y', 'g', 'h', 'j'])
  assert.deepEqual(words(uncommented), ['a', 'b', 'c', 'x', 'test', 'y', 'f', 'g', 'h', 'i', 'j', 'k', 'l'])
  assert.equal(code.length, text.length)
})

/** All text files of the project but the vectors, which are other people's. */
function ours(): readonly Source[] {
  const inFolders = globSync('{src,test,interop,docs,native,packaging,.ci,.github}/**/*', { cwd: root })
  const paths = [...inFolders, ...globSync('{*,.*}', { cwd: root })].filter(
    (path) => !/\.(?:node|o|log|pcap|png)$/.test(path) && statSync(`${root}${path}`).isFile(),
  )
  return paths.map((path) => source(path, readFileSync(`${root}${path}`, 'utf8')))
}
