import assert from 'node:assert/strict'
import { test } from 'node:test'
import { child, connection } from '../../test/simulation/connection.ts'
import type { AddressPattern } from '../config/connection.ts'
import { Connections } from './connections.ts'

const here = { address: '192.0.2.1', port: 500 }
const there = { address: '192.0.2.2', port: 500 }

function loaded(name: string, remoteAddresses: readonly AddressPattern[], childName = 'net') {
  return connection({ name, remoteAddresses, children: [child({ name: childName })] })
}

const host = (address: string): AddressPattern => ({ kind: 'host', address })

test('the very host goes before a subnet, that before %any, ties in load order', () => {
  const connections = new Connections()
  connections.put(loaded('any-1', [{ kind: 'any' }]))
  connections.put(loaded('any-2', [{ kind: 'any' }]))
  connections.put(loaded('other', [host('192.0.2.3')]))
  connections.put(loaded('subnet', [{ kind: 'range', from: '192.0.2.0', to: '192.0.2.255' }]))
  connections.put(loaded('host', [host('192.0.2.3'), host('192.0.2.2')]))
  const names = () => connections.matching(here, there).map(({ name }) => name)
  assert.deepEqual(names(), ['host', 'subnet', 'any-1', 'any-2'])
  connections.put(loaded('any-1', [{ kind: 'any' }])) // replacing keeps the place
  assert.deepEqual(names(), ['host', 'subnet', 'any-1', 'any-2'])
  connections.put(loaded('host', [host('192.0.2.9')]))
  connections.remove('any-1')
  assert.deepEqual(names(), ['subnet', 'any-2'])
})

test('a child is found in the named connection, else in the first that has it', () => {
  const connections = new Connections()
  connections.put(loaded('a', [host('192.0.2.2')], 'x'))
  connections.put(loaded('b', [host('192.0.2.2')], 'net'))
  connections.put(loaded('c', [host('192.0.2.2')], 'net'))
  assert.equal(connections.findChild('net')?.connection.name, 'b')
  assert.equal(connections.findChild('net', 'c')?.connection.name, 'c')
  assert.equal(connections.findChild('net', 'a'), undefined)
  connections.put(loaded('a', [host('192.0.2.2')], 'net'))
  assert.equal(connections.findChild('net')?.connection.name, 'a')
  assert.equal(connections.findChild('x'), undefined)
})
