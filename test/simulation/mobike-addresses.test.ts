/** Where Child SAs are while their hosts move, and what moves them (RFC 4555 §3.3, §3.5, §3.7, §3.8). */
import assert from 'node:assert/strict'
import { installed, onlyChild, onlySa, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { elsewhere, movedTo, readdress, terminated } from './mobike.ts'
import { established } from './pair.ts'
import { scenario } from './scenario.ts'

const stranger = '203.0.113.66'

/** The outer addresses of the states in a kernel. */
function outer(host: Host): string[] {
  return [...new Set(installed(host).flatMap(({ source, destination }) => [source, destination]))].sort()
}

/**
 *     left                                            right
 *       | N(NATD_S_IP) N(NATD_D_IP)  ------------------> |
 *       | <------------------  N(NATD_S_IP) N(NATD_D_IP) |     left sends ESP from its new address
 *       | N(UPD_SA_ADDR) …  ---------------------------> |
 *       | <-----------------------------  … N(COOKIE2)   |
 *       | <--------------------------------  N(COOKIE2)  |
 *       | N(COOKIE2)  ---------------------------------> |     and now right sends it there
 */
scenario('the initiator moves its Child SAs at once, the responder after the check of the path', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  const before = ['192.0.2.1', '192.0.2.2']
  const after = ['192.0.2.2', elsewhere]
  readdress(world.left, elsewhere)
  world.deliver(1)
  assert.deepEqual(outer(world.left), before)
  world.deliver(1)
  assert.deepEqual(outer(world.left), after)
  world.deliver(2)
  assert.equal(onlySa(world.right).remote.address, elsewhere, 'the IKE SA is there already')
  assert.deepEqual(outer(world.right), before)
  world.settle()
  assert.deepEqual(outer(world.right), after)
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  terminated(world)
})

/** Somebody on the path sends left's messages from his own address. */
for (const side of ['left', 'right'] as const) {
  scenario(`a request of ${side} that comes from elsewhere is answered there, and moves nothing`, () => {
    const world = established()
    const [host, peer] = [world.host(side), world.peer(world.host(side))]
    const { remote } = onlySa(peer)
    readdress(host, onlySa(host).local.address, elsewhere)
    world.finishJobs()
    const [list] = world.net.flights
    assert.ok(list)
    assert.match(list.label, /^INFORMATIONAL request/)
    world.net.remove(list)
    world.inject(peer, { address: stranger, port: 4500 }, list.bytes, 4500)
    const [answer] = world.net.flights
    assert.deepEqual(answer?.destination, { address: stranger, port: 4500 })
    assert.deepEqual(onlySa(peer).remote, remote)
    world.wait(10)
    sameSingleChild(world)
    terminated(world)
  })
}

/** RFC 4555 §3.3: the header of the message that asks for a Child SA does not say where that is. */
scenario('a Child SA is where the IKE SA is, wherever the request for it came from', () => {
  const world = established()
  world.left.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.finishJobs()
  const [request] = world.net.flights
  assert.ok(request)
  assert.match(request.label, /^CREATE_CHILD_SA request/)
  world.net.remove(request)
  world.inject(world.right, { address: stranger, port: 4500 }, request.bytes, 4500)
  assert.equal(installed(world.right).length, 3)
  assert.deepEqual(outer(world.right), ['192.0.2.1', '192.0.2.2'])
  world.wait(10)
  sameSingleChild(world)
  terminated(world)
})
