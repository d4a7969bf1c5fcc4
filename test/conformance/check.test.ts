/** The checker finds what is wrong. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { run, test } from 'node:test'
import { brokenTraces, missing, tracesById, unknownIds } from './check.ts'
import { Listener } from './outcomes.ts'
import { counts, page } from './page.ts'
import { readChecklists, readTraces, type Text } from './parse.ts'

const checklist: Text = {
  path: 'test/conformance/checklists/rfc7296.md',
  text: [
    '# RFC 7296',
    'Columns: id | level | who | requirement',
    'R7296-1-1 | MUST | B | One | two',
    'R7296-1-2 | SHOULD NOT | I | Three',
  ].join('\n'),
}

const lists = { interop: new Set(['matrix/a']), sweep: new Set(['twins']), explore: new Set(['a | b']) }

function read(...lines: readonly string[]) {
  const files = [checklist, { path: 'test/conformance/traces/a.txt', text: lines.join('\n') }]
  const checklists = readChecklists(files)
  const { traces, problems } = readTraces(files)
  const open = missing(checklists, tracesById(traces)).map(({ id }) => id)
  return { files, checklists, traces, problems, open, unknown: unknownIds(checklists, traces) }
}

test('a requirement has its id, its level and all of its words', () => {
  const [one, two] = read().checklists[0]?.requirements ?? []
  assert.deepEqual(one, { id: 'R7296-1-1', rfc: 7296, level: 'MUST', requirement: 'One | two' })
  assert.equal(two?.level, 'SHOULD NOT')
})

test('a requirement without proof and reason is missing', () => {
  assert.deepEqual(read('R7296-1-2 = a.test.ts: b').open, ['R7296-1-1'])
  assert.deepEqual(read('R7296-1-1 = a.test.ts: b: c', '', '# no trace', 'R7296-1-2 - not used').open, [])
})

test('a MUST needs more than the lab, and is followed', () => {
  assert.deepEqual(read('R7296-1-1 = interop: matrix/a', 'R7296-1-2 = interop: matrix/a').open, ['R7296-1-1'])
  const refused = read('R7296-1-1 - not followed: why', 'R7296-1-2 - not followed: why')
  assert.deepEqual(refused.open, ['R7296-1-1'])
  const byId = tracesById(refused.traces)
  assert.deepEqual(
    counts(refused.checklists, byId).map(({ level, by }) => [level, by['not followed'], by.missing]),
    [
      ['MUST', 0, 1],
      ['SHOULD NOT', 1, 0],
    ],
  )
})

test('an unknown id is found, and a line that is no trace', () => {
  assert.deepEqual(read('R7296-9-9 - a reason').unknown, [
    'test/conformance/traces/a.txt:1: no checklist has R7296-9-9',
  ])
  assert.equal(read('R7296-1-1: a', 'R7296-1-1 = somewhere: a', 'R7296-1-1 = a.test.ts').problems.length, 3)
})

test('a trace to a test that does not exist, fails or is skipped is found', async () => {
  const folder = mkdtempSync(`${tmpdir()}/conformance-`)
  try {
    writeFileSync(
      `${folder}/a.test.mjs`,
      [
        "import { suite, test } from 'node:test'",
        "test('good', () => {})",
        "test('bad', () => { throw new Error() })",
        "suite('outer', () => { test('good 1 (x)', () => {}); test('good 2', () => {}) })",
        "test('left out', { skip: 'why' }, () => {})",
      ].join('\n'),
    )
    const outcomes = new Listener(folder)
    // Else `run` thinks that this file runs itself again.
    delete process.env['NODE_TEST_CONTEXT']
    const stream = run({ files: [`${folder}/a.test.mjs`] })
    outcomes.listen(stream)
    await new Promise((resolve) => stream.on('close', resolve).resume())
    const names = [
      'good',
      'outer > good 1 (x)',
      'good 1 (x)',
      'outer > good *',
      'good*',
      'left out',
      'bad',
      '*d',
      'goo',
      'good x',
    ]
    const { traces } = readTraces([
      {
        path: 'test/conformance/traces/a.txt',
        text: names.map((name) => `R7296-1-1 = a.test.ts: ${name}`).join('\n'),
      },
    ])
    const renamed = { of: (file: string, name: string) => outcomes.of(file.replace('.ts', '.mjs'), name) }
    const { broken, skipped } = brokenTraces(traces, lists, renamed)
    assert.deepEqual(
      broken.map((line) => line.split(':')[1]),
      ['7', '8', '9', '10'],
    )
    assert.deepEqual(
      skipped.map((line) => line.split(':')[1]),
      ['6'],
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('scenarios of the lab, rules of the sweep and plans of the exploration must exist', () => {
  const { traces } = read(
    'R7296-1-1 = interop: matrix/a',
    'R7296-1-1 = interop: matrix/b',
    'R7296-1-1 = sweep: twins',
    'R7296-1-1 = sweep: triplets',
    'R7296-1-1 = explore: a | b',
    'R7296-1-1 = explore: b | a',
  )
  assert.equal(brokenTraces(traces, lists, new Listener('')).broken.length, 3)
})

test('the page has every requirement, and cells that end where they should', () => {
  const { files } = read('R7296-1-1 = a/b.test.ts: c | d_e', 'R7296-1-1 = interop: matrix/a')
  const rows = page(files).split('\n')
  assert.ok(rows.includes('| R7296-1-1 | MUST | One \\| two | `a/b.test.ts`: c \\| d\\_e<br>lab: matrix/a |'))
  assert.ok(rows.includes('| R7296-1-2 | SHOULD NOT | Three | **missing** |'))
  assert.ok(rows.includes('| 7296 | MUST | 1 | 1 | 0 | 0 | 0 |'))
})
