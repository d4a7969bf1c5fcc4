/** The example of the README is a configuration that the daemon takes as it is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { memoryFiles } from '../src/config/files.ts'
import { loadConnection } from '../src/config/load-conn.ts'
import { readSwanctl } from '../src/config/swanctl.ts'
import { formatTree } from '../src/config/tree.ts'

test('the example of the README', () => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```\n(connections \{[\s\S]*?)```/.exec(text)?.[1] ?? ''
  assert.ok(example.trim().split('\n').length <= 10, 'it is short')
  const reading = readSwanctl('/etc/swanctl', memoryFiles({ '/etc/swanctl/swanctl.conf': example }))
  assert.deepEqual([...reading.problems, ...reading.warnings], [])
  assert.deepEqual(
    reading.requests.map(({ command, message }) => `${command} ${formatTree(message)}`),
    [
      'load-shared id=ike-office type=ike data=a long random secret owners=[]',
      'load-conn office {remote_addrs=[vpn.example.org] local {auth=psk} remote {auth=psk} ' +
        'children {net {remote_ts=[10.1.0.0/16]}}}',
    ],
  )
  const office = reading.requests.at(-1)?.message[0]
  assert.ok(office?.kind === 'section')
  const { connection, notes } = loadConnection(office.name, office.items)
  assert.deepEqual(notes, [])
  assert.equal(connection.children[0]?.name, 'net')
})
