/** What stands in the messages of each exchange, and in which order (RFC 7296 §1.2 to §1.4, §2.5). */
import assert from 'node:assert/strict'
import type { Host } from './host.ts'
import { established } from './pair.ts'
import { pfs, rekey, terminate, withTwoChildren } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

/** What a host has said since `from`, without the status notifies that are allowed anywhere. */
function said(host: Host, from = 0): string[] {
  return host.sent.slice(from).map(({ label }) => label.replaceAll(/ N\((?!REKEY_SA|USE_TRANSP)[A-Z0-9_]+\)/g, ''))
}

function everything(): World {
  const world = established({ auth: 'p256', ...withTwoChildren({ esp: pfs }) })
  world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.settle()
  rekey(world.left, 'child')
  world.wait(6)
  rekey(world.left, 'IKE SA')
  world.wait(6)
  terminate(world.left, 'child')
  terminate(world.left, 'IKE SA')
  world.wait(6)
  return world
}

scenario('the requests of all exchanges, payload by payload in the order of the figures', () => {
  assert.deepEqual(said(everything().left), [
    'IKE_SA_INIT request 0 [ SA KE No ]',
    'IKE_AUTH request 1 [ IDi CERT CERTREQ IDr AUTH SA TSi TSr ]',
    'CREATE_CHILD_SA request 2 [ SA No KE TSi TSr ]',
    'CREATE_CHILD_SA request 3 [ N(REKEY_SA) SA No KE TSi TSr ]',
    'INFORMATIONAL request 4 [ D ]',
    'CREATE_CHILD_SA request 5 [ SA No KE ]',
    'INFORMATIONAL request 6 [ D ]',
    // The new IKE SA counts from 0 again.
    'INFORMATIONAL request 0 [ D ]',
    'INFORMATIONAL request 1 [ D ]',
  ])
})

scenario('the responses of all exchanges, payload by payload in the order of the figures', () => {
  assert.deepEqual(said(everything().right), [
    'IKE_SA_INIT response 0 [ SA KE No CERTREQ ]',
    'IKE_AUTH response 1 [ IDr CERT AUTH SA TSi TSr ]',
    'CREATE_CHILD_SA response 2 [ SA No KE TSi TSr ]',
    'CREATE_CHILD_SA response 3 [ SA No KE TSi TSr ]',
    'INFORMATIONAL response 4 [ D ]',
    'CREATE_CHILD_SA response 5 [ SA No KE ]',
    'INFORMATIONAL response 6 [ ]',
    'INFORMATIONAL response 0 [ D ]',
    'INFORMATIONAL response 1 [ ]',
  ])
})

scenario('transport mode is asked for and granted by USE_TRANSPORT_MODE, also in a rekeying', () => {
  const world = established({ mode: 'transport' })
  const before = world.hosts.map(({ sent }) => sent.length)
  assert.deepEqual(said(world.left).at(-1), 'IKE_AUTH request 1 [ IDi IDr AUTH N(USE_TRANSP) SA TSi TSr ]')
  assert.deepEqual(said(world.right).at(-1), 'IKE_AUTH response 1 [ IDr AUTH N(USE_TRANSP) SA TSi TSr ]')
  rekey(world.left, 'child')
  world.wait(6)
  assert.deepEqual(
    said(world.left, before[0])[0],
    'CREATE_CHILD_SA request 2 [ N(REKEY_SA) N(USE_TRANSP) SA No TSi TSr ]',
  )
  assert.deepEqual(said(world.right, before[1])[0], 'CREATE_CHILD_SA response 2 [ N(USE_TRANSP) SA No TSi TSr ]')
})

scenario('NON_FIRST_FRAGMENTS_ALSO is never sent', () => {
  const all = everything()
  for (const { label } of all.hosts.flatMap(({ sent }) => sent)) {
    assert.doesNotMatch(label, /N\(NON_FIRST_FRAG/)
  }
})

scenario('headers have version 2.0, and no flags that are reserved', () => {
  for (const { bytes } of everything().hosts.flatMap(({ sent }) => sent)) {
    const message = bytes.subarray(bytes.subarray(0, 4).every((octet) => octet === 0) ? 4 : 0)
    assert.equal(message[17], 0x20)
    // Initiator and Response: the version flag is reserved as well, as there is no higher version that we speak.
    assert.equal((message[19] ?? 0xff) & ~0x28, 0)
  }
})
