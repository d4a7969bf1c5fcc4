/** What goes between the ports of UDP-encapsulated ESP (RFC 3948). */
import assert from 'node:assert/strict'
import { proposalOf } from '../../src/ike/proposals.ts'
import { BareInitiator } from './bare-initiator.ts'
import { espProposal, ikeProposal } from './connection.ts'
import { installed, onlySa, saidToPeer } from './expect.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'

scenario('the non-ESP marker is in front of all that goes to port 4500, fragments and retransmissions too', () => {
  const world = pair({ nat: 'left', auth: 'rsa2048', settings: { fragmentSize: 400 } })
  const seen = { 500: 0, 4500: 0 }
  world.onSend = (_from, local, bytes) => {
    const marker = bytes.subarray(0, 4).every((octet) => octet === 0)
    assert.ok(local.port === 500 || local.port === 4500)
    assert.equal(marker, local.port === 4500)
    seen[local.port]++
  }
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.deliver(2)
  world.lose(world.net.flights.length)
  world.wait(10)
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
  assert.equal(seen[500], 2)
  assert.ok(seen[4500] > 8)
})

scenario('a keepalive is one octet between the ports of ESP', () => {
  const world = established({ nat: 'left' })
  world.wait(21, { deliver: false })
  const [keepalive] = world.net.flights
  assert.ok(keepalive)
  assert.deepEqual([...keepalive.bytes], [0xff])
  const { local, remote } = onlySa(world.left)
  assert.deepEqual([local.port, keepalive.destination], [4500, remote])
  // The NAT shows the same port as for ESP.
  assert.deepEqual(keepalive.source, onlySa(world.right).remote)
})

/** left is gone; somebody, or its NAT, sends keepalives in its place. */
scenario('keepalives of a peer are ignored, and are no sign of life', () => {
  const world = established({ right: { connection: { dpdDelaySeconds: 10 } } })
  const before = world.right.sent.length
  world.inject(world.right, onlySa(world.right).remote, Uint8Array.of(0xff), 4500)
  assert.equal(world.right.sent.length, before)
  world.net.partitioned = true
  for (let seconds = 0; seconds < 200; seconds += 5) {
    world.wait(5)
    world.inject(world.right, { address: '192.0.2.1', port: 4500 }, Uint8Array.of(0xff), 4500)
  }
  assert.deepEqual(world.right.sas(), [])
})

scenario('an SPI of ESP is never zero: the one of a peer is refused', () => {
  const world = pair({ mode: 'transport', right: { connection: { proposals: [ikeProposal()] } } })
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  const host = (last: number) => {
    const address = Uint8Array.of(192, 0, 2, last)
    return [
      {
        kind: 'address' as const,
        family: 4 as const,
        protocol: 0,
        startPort: 0,
        endPort: 65535,
        start: address,
        end: address,
      },
    ]
  }
  peer.auth({
    more: [
      { type: 'SA', proposals: [proposalOf(espProposal(), 1, new Uint8Array(4))] },
      { type: 'TSi', selectors: host(1) },
      { type: 'TSr', selectors: host(2) },
    ],
  })
  saidToPeer(world.right, 'IKE_AUTH response 1 [ IDr AUTH')
  assert.ok(!world.right.sent.some(({ label }) => / SA /.test(label) && label.startsWith('IKE_AUTH')))
  assert.deepEqual(installed(world.right), [])
  assert.deepEqual(world.right.kernel.policies, [])
})
