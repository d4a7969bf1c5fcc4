import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { parseExpression } from './expression.ts'

test('POSIX extended expressions', () => {
  const cases: readonly (readonly [expression: string, yes: readonly string[], no: readonly string[]])[] = [
    ['^abc$', ['abc', 'ABC'], ['abcd', 'xabc', '']],
    ['^ABC$', ['abc', 'ABC'], ['ab']],
    ['abc', ['xxabcxx'], ['ab c']],
    ['^a*$', ['', 'aaaa'], ['b']],
    ['^a+b?$', ['a', 'aaab'], ['b', 'abb']],
    ['^(a|bc|)d$', ['ad', 'bcd', 'd'], ['abcd']],
    ['^a{2}$', ['aa'], ['a', 'aaa']],
    ['^a{2,}$', ['aa', 'aaaaa'], ['a']],
    ['^a{1,3}$', ['a', 'aaa'], ['', 'aaaa']],
    ['^(ab){2}$', ['abab'], ['ab']],
    ['^[a-c]+$', ['abcABC'], ['abd']],
    ['^[^a-c]+$', ['xyz'], ['xay', 'XAY']],
    ['^[]a]+$', [']a'], ['b']],
    ['^[a-]+$', ['a-a'], ['b']],
    ['^[[:digit:]x]+$', ['12x'], ['1y']],
    ['^[[:alpha:]]$', ['q'], ['1']],
    ['^a\\.b$', ['a.b'], ['axb']],
    ['^.{3}$', ['a.b', '***'], ['ab']],
    ['^$', [''], ['a']],
    ['^(a|b)*c$', ['ababc', 'c'], ['abab']],
    ['(^a|b$)', ['ax', 'xb'], ['xax']],
  ]
  for (const [source, yes, no] of cases) {
    const expression = parseExpression(source)
    for (const text of yes) assert.ok(expression.matches(text), `${source} matches "${text}"`)
    for (const text of no) assert.ok(!expression.matches(text), `${source} does not match "${text}"`)
  }
})

test('broken expressions are refused', () => {
  for (const source of [
    '(',
    ')',
    '[',
    '[a',
    'a{',
    'a{1',
    'a{3,1}',
    'a{999}',
    '*a',
    '\\d',
    '\\',
    '[[:what:]]',
    '[z-a]',
    '('.repeat(99),
  ])
    assert.throws(() => parseExpression(source), DecodeError, source)
})

test('an expression cannot grow without end, and matching does not backtrack', () => {
  for (const source of ['(a{255}){255}', '(((a{99}){99}){99}){99}', '(){255}'.replace('()', '((){255}){255}')])
    assert.throws(() => parseExpression(source), DecodeError, source)
  // a backtracking matcher would need 2^64 steps for this
  assert.ok(!parseExpression('^(a|aa|a*)*$').matches(`${'a'.repeat(64)}b`))
  assert.ok(!parseExpression('^(a+)+$').matches(`${'a'.repeat(1000)}b`))
  assert.ok(!parseExpression('^.*$').matches('a'.repeat(5000)), 'texts beyond the limit never match')
})
