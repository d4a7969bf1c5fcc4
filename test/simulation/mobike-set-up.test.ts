/** An IKE SA that is still being set up when its host moves, or when a NAT is in the way (RFC 4555 §3.1, §3.9). */
import assert from 'node:assert/strict'
import { NOTIFY } from '../../src/wire/numbers.ts'
import { addresses } from './connection.ts'
import { exchanges, failed, logged, nothingLeaks, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { elsewhere, movedTo, readdress, terminated } from './mobike.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const mobile: PairOptions = {
  left: { connection: { localAddresses: addresses('%any') }, kernel: { addresses: ['192.0.2.1'] } },
  right: { connection: { remoteAddresses: addresses('%any') }, kernel: { addresses: ['192.0.2.2'] } },
  mode: 'transport',
}

/**
 *     left                                            right
 *       | IKE_SA_INIT request 0, or IKE_AUTH request 1   |
 *     192.0.2.1 -> 203.0.113.9
 *       | IKE_SA_INIT request 0  ----------------------> |     at once, and with other SPIs
 */
for (const delivered of [0, 1, 2, 3, 4]) {
  scenario(`the initiator moves during the set-up, after ${delivered} datagrams`, () => {
    const world = pair(mobile)
    const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.deliver(delivered)
    readdress(world.left, elsewhere)
    world.settle()
    assert.deepEqual(answer(), { kind: 'done' })
    const ours = world.left.sas().filter(({ state }) => state === 'ESTABLISHED')
    assert.equal(ours.length, 1)
    assert.equal(ours[0]?.local.address, elsewhere)
    // What right has kept of the first attempt ends by itself.
    world.wait(31)
    movedTo(world, elsewhere, '192.0.2.2', onlyChild(world.left).spiIn)
    terminated(world)
  })
}

scenario('the initiator moves while it computes', () => {
  const world = pair(mobile)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(1)
  world.holdJobs = true
  world.deliver(1)
  assert.deepEqual(
    world.left.jobs.map(({ job }) => job.kind),
    ['key-exchange-finish'],
  )
  readdress(world.left, elsewhere)
  const [, lookup] = world.left.jobs
  assert.ok(lookup)
  world.left.complete(lookup)
  world.holdJobs = false
  world.settle()
  logged(world.left, '192.0.2.1 is not available anymore, trying again')
  world.wait(31)
  movedTo(world, elsewhere, '192.0.2.2', onlyChild(world.left).spiIn)
  terminated(world)
})

scenario('without any other address the set-up waits for one', () => {
  const world = pair(mobile)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.lose(1)
  readdress(world.left)
  world.wait(10)
  assert.equal(onlySa(world.left).state, 'CONNECTING')
  readdress(world.left, elsewhere)
  world.settle()
  world.wait(31)
  movedTo(world, elsewhere, '192.0.2.2', onlyChild(world.left).spiIn)
})

scenario('a set-up from an address that is configured does not use another', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  world.lose(1)
  readdress(world.left, elsewhere)
  world.settle()
  assert.deepEqual(exchanges(world.left), ['IKE_SA_INIT request 0'])
})

/** The answer to IKE_SA_INIT as a peer without NAT traversal gives it: it has no NAT detection. */
function withoutNatTraversal(world: World): void {
  const answer = world.net.flights.find(({ label }) => label.startsWith('IKE_SA_INIT response'))
  assert.ok(answer)
  const { bytes } = answer
  for (const type of [NOTIFY.NAT_DETECTION_SOURCE_IP, NOTIFY.NAT_DETECTION_DESTINATION_IP]) {
    // A notify without SPI: protocol, SPI size and type follow the generic header of 4 + 20 octets and 4.
    const at = Buffer.from(bytes).indexOf(Uint8Array.of(0, 28, 0, 0, type >> 8, type & 0xff))
    assert.ok(at > 0)
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(at + 4, 40_000)
  }
}

/**
 *     left                                 NAT        right
 *       | IKE_AUTH request 1 [ … N(NO_NATS) ]  --------> |
 *       | <----  IKE_AUTH response 1 [ N(UNEXPECT_NAT) ]  |
 *       | IKE_SA_INIT request 0  ----------------------> |     5 s later, and so on
 */
scenario('a NAT and a peer without NAT traversal: UNEXPECTED_NAT_DETECTED, and again from the start', () => {
  const world = pair({ nat: 'left' })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  for (let attempt = 0; attempt < 4; attempt++) {
    world.deliver(1)
    withoutNatTraversal(world)
    world.settle()
    if (attempt < 3) world.wait(5, { deliver: false })
  }
  saidToPeer(world.left, 'N(NO_NATS)')
  saidToPeer(world.right, 'IKE_AUTH response 1 [ N(UNEXPECT_NAT) ]')
  logged(world.left, 'trying again (3/3)')
  logged(world.left, 'received UNEXPECTED_NAT_DETECTED notify error')
  failed(answer(), /failed/)
  nothingLeaks(world)
})

scenario('the NAT is gone by the second attempt', () => {
  const world = pair({ nat: 'left', left: { connection: { localAddresses: addresses('%any') } } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(1)
  withoutNatTraversal(world)
  world.settle()
  world.left.kernel.readdress([elsewhere, '10.1.0.1'])
  world.left.passKernelEvents()
  world.wait(5)
  assert.equal(onlySa(world.left).local.address, elsewhere)
  sameSingleChild(world)
})

scenario('a peer with NAT traversal is not told of NO_NATS_ALLOWED', () => {
  const world = established({ nat: 'left' })
  assert.ok(!world.left.sent.some(({ label }) => label.includes('NO_NATS')))
})
