import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import test from 'node:test'
import { commands } from './commands.ts'
import { completion } from './completion.ts'

const isMissing = existsSync('/bin/bash') ? false : 'there is no bash here'

/** What bash proposes for a command line whose last word is being typed. */
function proposals(...words: readonly string[]): readonly string[] {
  const line = words.map((word) => `'${word}'`).join(' ')
  const script = `${completion(commands)}
COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _sallyport '${words[0]}'
printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('/bin/bash', ['--norc', '-c', script], { encoding: 'utf8' }).trim().split('\n')
}

test('commands with and without dashes, and the options of a command', { skip: isMissing }, () => {
  assert.deepEqual(proposals('sallyport', 'list-c'), ['list-conns', 'list-certs'])
  assert.deepEqual(proposals('sallyport', '--list-c'), ['--list-conns', '--list-certs'])
  assert.deepEqual(proposals('swanctl', ''), proposals('swanctl', '--'))
  assert.deepEqual(proposals('sallyport', 'list-sas', '--i'), ['--ike', '--ike-id'])
  assert.deepEqual(proposals('sallyport', '--terminate', '--f'), ['--force'])
  assert.ok(proposals('sallyport', 'status', '--').includes('--json'))
})
