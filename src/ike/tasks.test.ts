import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayOverlap, type Task } from './tasks.ts'

function task(names: readonly string[], more: Partial<Task> = {}): Task {
  return { names, *script() {}, failed() {}, ...more }
}

const tasks = {
  'set-up': task(['IKE_VENDOR', 'IKE_INIT', 'CHILD_CREATE'], { child: 'net', alone: true }),
  'create net': task(['CHILD_CREATE'], { child: 'net' }),
  'create more': task(['CHILD_CREATE'], { child: 'more' }),
  'rekey net': task(['CHILD_REKEY'], { changes: 'net' }),
  'rekey more': task(['CHILD_REKEY'], { changes: 'more' }),
  'delete net': task(['CHILD_DELETE'], { changes: 'net' }),
  liveness: task(['IKE_DPD']),
  'rekey IKE SA': task(['IKE_REKEY']),
  'delete IKE SA': task(['IKE_DELETE']),
  addresses: task(['IKE_MOBIKE']),
} satisfies Record<string, Task>
type Name = keyof typeof tasks

/** All that may be under way together; every other pair may not. */
const together: readonly (readonly [Name, Name])[] = [
  ['create net', 'create more'],
  ['create net', 'rekey more'],
  ['create more', 'rekey net'],
  ['create more', 'delete net'],
  ['rekey net', 'rekey more'],
  ['rekey more', 'delete net'],
  ['create net', 'liveness'],
  ['create more', 'liveness'],
  ['rekey net', 'liveness'],
  ['rekey more', 'liveness'],
  ['delete net', 'liveness'],
]

test('which tasks of one IKE SA may be under way together', () => {
  const names = Object.keys(tasks) as Name[] // Object.keys forgets the names' type
  for (const a of names) {
    for (const b of names) {
      const expected = together.some(([one, other]) => (one === a && other === b) || (one === b && other === a))
      assert.equal(mayOverlap(tasks[a], tasks[b]), expected, `${a}, ${b}`)
    }
  }
})
