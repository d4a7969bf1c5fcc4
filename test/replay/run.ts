/**
 * `npm run replay -- FILE…`: gives the inputs of each journal to a fresh engine and compares all that it puts out, octet
 * for octet. Prints the first difference with what led to it; exit code 1 if there is one. docs/replay.md.
 */
import { readFileSync } from 'node:fs'
import { replay } from '../../src/journal/replay.ts'

/** Inputs before the difference that are shown, and how much of each line. */
const shownInputs = 5
const shownCharacters = 400

const files = process.argv.slice(2)
if (files.length === 0) {
  console.error('npm run replay -- FILE…')
  process.exit(2)
}
for (const file of files) {
  const lines = readFileSync(file, 'utf8').split('\n')
  const { inputs, outputs, difference } = replay(lines)
  if (difference === undefined) {
    console.log(`${file}: ${inputs} inputs, ${outputs} outputs, all the same`)
    continue
  }
  process.exitCode = 1
  const { line, what, recorded, replayed } = difference
  const from = apart(recorded, replayed)
  console.log(`${file}:${line}: ${what} differs after ${inputs} inputs`)
  for (let i = Math.max(2, line - shownInputs); i <= line; i++) console.log(`  ${i}: ${inputOf(lines[i - 1] ?? '')}`)
  console.log(`  recorded: ${around(recorded, from)}`)
  console.log(`  replayed: ${around(replayed, from)}`)
}

function inputOf(line: string): string {
  const { now, input } = JSON.parse(line) as { now: number; input: unknown } // replay has read this line
  return `${new Date(now).toISOString()} ${JSON.stringify(input)}`.slice(0, shownCharacters)
}

/** Where two texts part. */
function apart(a: string, b: string): number {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}

function around(text: string, at: number): string {
  const start = Math.max(0, at - 80)
  return `${start > 0 ? '…' : ''}${text.slice(start, start + shownCharacters)}`
}
