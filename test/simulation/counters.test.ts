/** The numbers of VICI's get-counters. */
import assert from 'node:assert/strict'
import { places } from './connection.ts'
import type { Host } from './host.ts'
import { established } from './pair.ts'
import { rekey } from './rekey.ts'
import { scenario } from './scenario.ts'

/** What is not zero. */
function counted(host: Host, name: string): Readonly<Record<string, number>> | undefined {
  const numbers = host.engine.counters.read(name)
  return numbers && Object.fromEntries(Object.entries(numbers).filter(([, count]) => count > 0))
}

scenario('messages are counted by exchange, way and role, rekeyings by who began', () => {
  const world = established()
  assert.deepEqual(counted(world.left, 'lab'), {
    'ike-init-in-resp': 1,
    'ike-init-out-req': 1,
    'ike-auth-in-resp': 1,
    'ike-auth-out-req': 1,
  })
  assert.deepEqual(counted(world.left, ''), counted(world.left, 'lab'))
  // A responder knows the connection only when the peer has said who it is.
  assert.deepEqual(counted(world.right, ''), {
    'ike-init-in-req': 1,
    'ike-init-out-resp': 1,
    'ike-auth-in-req': 1,
    'ike-auth-out-resp': 1,
  })
  assert.deepEqual(counted(world.right, 'lab'), { 'ike-auth-out-resp': 1 })
  rekey(world.left, 'IKE SA')
  world.wait(3)
  rekey(world.right, 'child')
  world.wait(3)
  const left = world.left.engine.counters.read('lab')
  const right = world.right.engine.counters.read('lab')
  assert.deepEqual([left?.['ike-rekey-init'], left?.['ike-rekey-resp'], left?.['child-rekey']], [1, 0, 1])
  assert.deepEqual([right?.['ike-rekey-init'], right?.['ike-rekey-resp'], right?.['child-rekey']], [0, 1, 1])
  assert.deepEqual([left?.['create-child-out-req'], left?.['create-child-in-req']], [1, 1])
})

scenario('retransmissions are not counted; datagrams that nobody can read are', () => {
  const world = established()
  world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.lose()
  world.wait(5)
  assert.equal(counted(world.left, 'lab')?.['create-child-out-req'], 1)
  const { left, right } = places
  world.right.handle({
    kind: 'datagram',
    local: { address: right[4], port: 500 },
    remote: { address: left[4], port: 500 },
    bytes: new Uint8Array(40).fill(0x2f),
  })
  assert.equal(counted(world.right, '')?.['invalid'], 1)
})

scenario('a reset forgets those that it names', () => {
  const world = established()
  const { counters } = world.left.engine
  counters.reset('')
  assert.deepEqual(counted(world.left, ''), {})
  assert.notDeepEqual(counted(world.left, 'lab'), {})
  counters.reset('all')
  assert.equal(counted(world.left, 'lab'), undefined)
  assert.deepEqual(counters.names(), [''])
})
