import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { ConfigError } from './config-error.ts'
import { memoryFiles } from './files.ts'
import { glob, matchesWildcard } from './glob.ts'
import { type ConfSection, confText, parseConf, readConf } from './grammar.ts'

/** Sections as nested objects; values as text. */
function plain(section: ConfSection): Record<string, unknown> {
  return Object.fromEntries([
    ...[...section.values].map(([name, value]) => [name, confText(value)] as const),
    ...[...section.sections].map(([name, inner]) => [name, plain(inner)] as const),
  ])
}

const parse = (text: string, files: Record<string, string> = {}) =>
  plain(parseConf(text, '/etc/x.conf', memoryFiles(files)).root)

const values: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ['a setting', 'a = b', { a: 'b' }],
  ['no blanks', 'a=b', { a: 'b' }],
  ['words joined with one space', 'a =  b \t c  ', { a: 'b c' }],
  ['a comment after a value', 'a = %any # dhcp:no\nb = c', { a: '%any', b: 'c' }],
  ['a section on one line', 'a { b = 1 }', { a: { b: '1' } }],
  ['two sections on one line', 'a { b = 1 } c { d = 2 }', { a: { b: '1' }, c: { d: '2' } }],
  ['a brace on the next line', 'a\n# here\n{ b = 1\n}', { a: { b: '1' } }],
  ['equal signs and commas in a value', 'id = C=CH, O=Lab, CN=moon', { id: 'C=CH, O=Lab, CN=moon' }],
  ['an opening brace in a value', 'a = b { c\n', { a: 'b { c' }],
  ['quotes', 'a = "b # { } c"', { a: 'b # { } c' }],
  ['escapes', String.raw`a = "1\n2\t3\\4\"5\x"`, { a: '1\n2\t3\\4"5x' }],
  ['a quoted string over two lines', 'a = "b\nc"', { a: 'b\nc' }],
  ['a backslash at the end of a line', 'a = "b\\\nc"', { a: 'bc' }],
  ['quoted and unquoted words', 'a = "b c" d', { a: 'b c d' }],
  ['an empty string', 'a = ""', { a: '' }],
  ['no value is no setting', 'a =\nb = 1', { b: '1' }],
  ['an empty section', 'a { }', { a: {} }],
  ['merging', 'a { x = 1\n y = 2 }\nb = 0\na { x = 3\n z = 4 }', { b: '0', a: { x: '3', y: '2', z: '4' } }],
  ['CR LF', 'a {\r\n b = 1\r\n}\r\n', { a: { b: '1' } }],
  ['include as a key', 'include = x', { include: 'x' }],
  ['UTF-8', 'a = Zürich', { a: 'Zürich' }],
  [
    'references, own values first, then from left to right',
    'p : base, extra { b = own }\nbase { a = 1\n b = 2 }\nextra { a = 3\n c = 4 }',
    { p: { b: 'own', a: '1', c: '4' }, base: { a: '1', b: '2' }, extra: { a: '3', c: '4' } },
  ],
  ['references to inner sections', 'p : t.s { }\nt { s { a = 1 } }', { p: { a: '1' }, t: { s: { a: '1' } } }],
  [
    'sub-sections are inherited from too',
    'c : t { local { } }\nt { local { id = x } remote { id = y } }',
    { c: { local: { id: 'x' }, remote: { id: 'y' } }, t: { local: { id: 'x' }, remote: { id: 'y' } } },
  ],
  ['a cleared value is not inherited', 'c : t { a = }\nt { a = 1\n b = 2 }', { c: { b: '2' }, t: { a: '1', b: '2' } }],
  ['references of references', 'a : b { }\nb : c { }\nc { x = 1 }', { a: { x: '1' }, b: { x: '1' }, c: { x: '1' } }],
  ['cycles are ignored', 'a : b { x = 1 }\nb : a { y = 2 }', { a: { x: '1', y: '2' }, b: { y: '2', x: '1' } }],
  ['a reference to nothing', 'a : nowhere { x = 1 }', { a: { x: '1' } }],
]

for (const [what, text, expected] of values) test(`grammar: ${what}`, () => assert.deepEqual(parse(text), expected))

test('order is that of first appearance, own entries before inherited ones', () => {
  const conf = parseConf('c : t { b { }\n a { } }\nt { z { }\n a { } }\nc { b { x = 1 } }', '/x', memoryFiles({}))
  assert.deepEqual([...(conf.root.sections.get('c')?.sections.keys() ?? [])], ['b', 'a', 'z'])
})

const errors: readonly (readonly [string, string, RegExp])[] = [
  ['a dot in a name', 'a.b = 1', /^\/etc\/x\.conf:1:2: '=' or '\{' after 'a' is expected.*no dots/],
  ['a quoted name', '"a" = 1', /x\.conf:1:1: .*only values are quoted/],
  ['a section that does not end', 'a {\n b = 1\n', /x\.conf:3:1: section 'a' does not end/],
  ['a brace too many', 'a { }\n}', /x\.conf:2:1: '\}' without a section/],
  ['a string that does not end', 'a = 1\nb = "c\n', /x\.conf:2:5: a quoted string does not end/],
  ['a name alone', 'a\nb = 1', /x\.conf:2:1: '=' or '\{' after 'a' is expected/],
  ['no reference after a colon', 'a : { }', /x\.conf:1:5: the name of a section is expected/],
  ['too deep', 'a { '.repeat(40), /nest deeper than 32/],
  ['a section that inherits from the one around it', 'a { b : a { } }', /references of 'b' have no end/],
]

for (const [what, text, message] of errors) {
  test(`grammar refuses ${what}`, () => {
    assert.throws(
      () => parse(text),
      (error) => error instanceof ConfigError && message.test(error.message),
    )
  })
}

test('includes: relative, absolute, quoted, nested, in sections, sorted, none', () => {
  const files = {
    '/etc/conf.d/b.conf': 'b = 2\nlast = b',
    '/etc/conf.d/a.conf': 'a = 1\nlast = a\ninclude deeper/c?.conf',
    '/etc/conf.d/.hidden.conf': 'hidden = 1',
    '/etc/conf.d/deeper/c1.conf': 'c1 = x',
    '/opt/in side.conf': 'p = q',
  }
  const text = 'include conf.d/*.conf\ns { include "/opt/in side.conf"\n }\ninclude nothing/*\ninclude /missing'
  assert.deepEqual(parse(text, files), { a: '1', last: 'b', c1: 'x', b: '2', s: { p: 'q' } })
})

test('an include cycle is refused with the way round it', () => {
  const files = memoryFiles({ '/a': 'include b', '/b': 'x = 1\ninclude a' })
  assert.throws(() => readConf('/a', files), /\/b:2:1: \/a includes itself: \/a > \/b > \/a/)
})

test('an error in an included file names that file', () => {
  assert.throws(() => parse('include c', { '/etc/c': '\n=' }), /^ConfigError: \/etc\/c:2:1: a name is expected/)
})

test('a missing file is an error that says so', () => {
  assert.throws(() => readConf('/nowhere', memoryFiles({})), /cannot read \/nowhere/)
})

test('bytes of values are kept as they are', () => {
  const conf = parseConf(Uint8Array.of(0x61, 0x3d, 0xff, 0xfe), '/x', memoryFiles({}))
  assert.deepEqual(conf.root.values.get('a')?.bytes, Uint8Array.of(0xff, 0xfe))
})

test('inheriting many times over is refused, not computed', () => {
  const text = `a { ${Array.from({ length: 20 }, (_, n) => `s${n} : a { }`).join('\n')} }`
  assert.throws(() => parse(text), /have no end/)
})

test('any text is a configuration or a ConfigError', () => {
  const piece = fc.constantFrom('a', 'b', ' ', '\n', '{', '}', '=', ':', ',', '.', '"', '\\', '#', 'include ', '*')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        parse(pieces.join(''))
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error))
      }
    }),
    { numRuns: 3000 },
  )
})

test('wildcards', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['a.conf', '*.conf', true],
    ['a.conf.bak', '*.conf', false],
    ['abc', 'a?c', true],
    ['ac', 'a?c', false],
    ['b1', '[a-c][0-9]', true],
    ['d1', '[!a-c]1', true],
    ['a1', '[!a-c]1', false],
    [']', '[]]', true],
    ['[x', '[x', true],
    ['aaaaaaaaaaaaaaaaaaaaaaaaaaab', '*a*a*a*a*a*a*a*c', false],
    ['', '*', true],
  ]
  for (const [name, pattern, expected] of cases) assert.equal(matchesWildcard(name, pattern), expected, pattern)
  const files = memoryFiles({ '/a/1/x': '', '/a/2/x': '', '/a/2/y': '' })
  assert.deepEqual(glob('/a/*/x', files), ['/a/1/x', '/a/2/x'])
})
