/** MOBIKE, RFC 4555: hosts that move and keep their Child SAs. */
import assert from 'node:assert/strict'
import { addresses } from './connection.ts'
import { carries, exchanges, logged, notLogged, onlyChild, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { elsewhere, movedTo, readdress, terminated } from './mobike.ts'
import type { Flight } from './network.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { rekey } from './rekey.ts'
import { scenario } from './scenario.ts'

scenario('both announce MOBIKE and their other addresses', () => {
  const world = established()
  for (const host of world.hosts) {
    // In the message with the SA payload, once.
    const [announced, ...others] = host.sent.filter(({ label }) => label.includes('MOBIKE_SUP'))
    assert.match(announced?.label ?? '', /^IKE_AUTH .* SA TSi TSr N\(MOBIKE_SUP\) N\(ADD_4_ADDR\)/)
    assert.deepEqual(others, [])
    logged(host, 'peer supports MOBIKE')
    assert.equal(onlySa(host).local.port, 4500)
    assert.equal(exchanges(host).length, 2, 'nothing comes of the list by itself')
  }
})

scenario('a host with one address has no other to announce', () => {
  const world = established({ left: { kernel: { addresses: ['192.0.2.1'] } } })
  saidToPeer(world.left, 'N(MOBIKE_SUP) N(NO_ADD_ADDR)')
})

for (const side of ['left', 'right'] as const) {
  scenario(`mobike = no on ${side}`, () => {
    const world = established({ [side]: { connection: { mobike: false } } })
    for (const host of world.hosts) notLogged(host, 'peer supports MOBIKE')
    assert.ok(!world.host(side).sent.some(({ label }) => label.includes('MOBIKE_SUP')))
    // Who is not asked does not announce it.
    if (side === 'left') assert.ok(!world.right.sent.some(({ label }) => label.includes('MOBIKE_SUP')))
  })
}

/**
 *     left                                           right
 *     192.0.2.1 -> 203.0.113.9
 *       | N(NATD_S_IP) N(NATD_D_IP)  ------------------> |     is anybody there?
 *       | <------------------  N(NATD_S_IP) N(NATD_D_IP) |
 *       | N(UPD_SA_ADDR) N(COOKIE2) …  ----------------> |
 *       | <-----------------------------  … N(COOKIE2)   |
 *       | <--------------------------------  N(COOKIE2)  |     return routability
 *       | N(COOKIE2)  ---------------------------------> |
 */
scenario('the initiator moves', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  readdress(world.left, elsewhere)
  world.settle()
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  logged(world.left, 'old path is not available anymore, try to find another')
  logged(world.left, 'requesting address change using MOBIKE')
  logged(world.left, `local endpoint changed from 192.0.2.1[4500] to ${elsewhere}[4500]`)
  logged(world.right, `remote endpoint changed from 192.0.2.1[4500] to ${elsewhere}[4500]`)
  saidToPeer(world.left, 'N(UPD_SA_ADDR) N(NATD_S_IP) N(NATD_D_IP) N(COOKIE2)')
  saidToPeer(world.right, 'INFORMATIONAL response 3 [ N(NATD_S_IP) N(NATD_D_IP) N(COOKIE2) ]')
  for (const host of world.hosts) {
    const updates = host.events.filter(({ kind }) => kind === 'ike-update')
    // Who floats to port 4500 says nothing of it, the other end does.
    assert.equal(updates.length, host === world.left ? 1 : 2)
  }
  terminated(world)
})

/** Somebody on the path repeats an update from his own address: he gets the answer again, and nothing moves. */
scenario('an update that somebody else repeats moves nothing', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  readdress(world.left, elsewhere)
  world.settle()
  const update = world.net.past.find(({ label }) => label.includes('UPD_SA_ADDR'))
  assert.ok(update !== undefined)
  world.inject(world.right, { address: '203.0.113.66', port: 4500 }, update.bytes, 4500)
  world.settle()
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
})

/**
 *     left                                           right
 *                                                      192.0.2.2 -> 203.0.113.9
 *       | <--------------------------------  request 0 |     sent on all paths, its answer is lost
 *       | N(NATD_S_IP) N(NATD_D_IP), N(UPD_SA_ADDR) -> |     left has decided: 203.0.113.9
 *       | <----------------------------  request 0     |     only on that path any more
 */
scenario('the responder moves: once the initiator has decided, an answer on another path changes nothing', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  const lost = (flights: readonly Flight[]): void => {
    for (const flight of flights) world.net.remove(flight)
  }
  const aboutRequest0 = ({ label }: Flight): boolean => /^INFORMATIONAL (request|response) 0/.test(label)
  readdress(world.right, elsewhere)
  world.deliver()
  lost(world.net.flights)
  world.wait(3, { deliver: false })
  for (;;) {
    lost(world.net.flights.filter(aboutRequest0))
    if (world.net.flights.length === 0) break
    world.deliver()
  }
  saidToPeer(world.left, 'N(UPD_SA_ADDR)')
  world.wait(3, { deliver: false })
  assert.ok(world.net.flights.length > 0)
  lost(world.net.flights.filter(({ source }) => source.address === elsewhere))
  world.settle()
  world.wait(60)
  movedTo(world, '192.0.2.1', elsewhere, spiIn)
  terminated(world)
})

scenario('the initiator moves in transport mode: the selectors move with the hosts', () => {
  const world = established({ mode: 'transport' })
  const { spiIn } = onlyChild(world.left)
  readdress(world.left, elsewhere)
  world.settle()
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  terminated(world)
})

scenario('the initiator moves to another family', () => {
  const world = established({
    left: { kernel: { addresses: ['192.0.2.1', '10.1.0.1'] } },
    right: { kernel: { addresses: ['192.0.2.2', '2001:db8::2', '10.2.0.1'] } },
  })
  const { spiIn } = onlyChild(world.left)
  world.left.kernel.readdress(['2001:db8::9'])
  world.left.passKernelEvents()
  world.settle()
  movedTo(world, '2001:db8::9', '2001:db8::2', spiIn)
  terminated(world)
})

/** Probes and answers, updates and answers: any of them may get lost. */
for (const lost of [1, 2, 3, 4, 5, 6, 7, 8]) {
  scenario(`the initiator moves, datagram ${lost} of the exchange is lost`, () => {
    const world = established({
      mode: 'transport',
      left: { kernel: { addresses: ['192.0.2.1'] } },
      right: { kernel: { addresses: ['192.0.2.2'] } },
    })
    const { spiIn } = onlyChild(world.left)
    readdress(world.left, elsewhere)
    world.deliver(0)
    for (let i = 1; i < lost && world.net.flights.length > 0; i++) world.deliver(1)
    if (world.net.flights.length > 0) world.lose(1)
    world.settle()
    world.wait(30)
    movedTo(world, elsewhere, '192.0.2.2', spiIn)
    terminated(world)
  })
}

scenario('the initiator moves again while it tells so', () => {
  for (const after of [0, 1, 2, 3, 4, 5]) {
    const world = established()
    const { spiIn } = onlyChild(world.left)
    readdress(world.left, elsewhere)
    for (let i = 0; i < after && world.net.flights.length > 0; i++) world.deliver(1)
    readdress(world.left, '203.0.113.77')
    world.settle()
    world.wait(30)
    movedTo(world, '203.0.113.77', '192.0.2.2', spiIn)
    terminated(world)
  }
})

/**
 *     left                                            right
 *       | N(UPD_SA_ADDR) N(COOKIE2) …  ----------------> |
 *       | <-----------------------------  … N(COOKIE2)   |
 *       |      x - - - - - - - - - - - - -  N(COOKIE2)   |
 *       | CREATE_CHILD_SA request [ SA No KE ]  -------> |     the check goes on under the new keys
 */
scenario('left rekeys the IKE SA before it has answered the path check', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  readdress(world.left, elsewhere)
  world.deliver(3)
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.finishJobs()
  const check = world.net.flights.find(({ from, label }) => from === 'right' && label.includes('INFORMATIONAL request'))
  assert.ok(check)
  assert.match(check.label, /N\(COOKIE2\)/)
  world.net.remove(check)
  world.settle()
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  world.wait(30)
  terminated(world)
})

/**
 *     left                                            right
 *       | <-----------  CREATE_CHILD_SA request [ SA No KE ] |     left computes
 *     192.0.2.1 -> 203.0.113.9
 *       | N(NATD_S_IP) N(NATD_D_IP)  - - x               |     is anybody there?
 *       | CREATE_CHILD_SA response  -------------------> |     the question has been for the old IKE SA
 */
scenario('left moves, and a rekeying of the IKE SA by right overtakes that', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  world.right.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.deliver(0)
  world.holdJobs = true
  world.deliver(1)
  readdress(world.left, elsewhere)
  // The kernel answers, the key exchange takes its time.
  const kernel = () => world.left.jobs.find(({ job }) => job.kind === 'kernel')
  for (let asked = kernel(); asked !== undefined; asked = kernel()) world.left.complete(asked)
  const [question] = world.net.flights
  assert.ok(question?.label.includes('N(NATD_S_IP)'))
  world.lose(1)
  world.holdJobs = false
  world.settle()
  world.wait(30)
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  terminated(world)
})

/**
 *     left                                            right
 *       |                    one address more: which are they? |
 *       |                    a liveness check waits its turn   |
 *       | CREATE_CHILD_SA request [ SA No KE ]  -------------> |
 *       | <--------------------------------------------  … D   |     both wait on the new IKE SA
 *       |      x - - - - - - - - - - - - - - - N(ADD_4_ADDR)   |     15 s without an answer
 */
scenario('a liveness check that waits while the IKE SA is rekeyed is no longer wanted', () => {
  const world = established({ right: { connection: { dpdDelaySeconds: 10 } } })
  const { right } = world
  world.wait(9)
  readdress(right, '192.0.2.2', '203.0.113.2')
  for (const kind of ['route-lookup', 'local-addresses']) {
    const [asked] = right.jobs
    assert.ok(asked?.job.kind === 'kernel' && asked.job.operation.kind === kind)
    right.complete(asked)
  }
  // The task that tells of it asks once more, and waits for the answer.
  world.holdJobs = true
  world.wait(2, { deliver: false })
  assert.deepEqual(onlySa(right).tasksQueued, ['IKE_DPD'])
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.finishJobsOf(world.left)
  world.deliver(1)
  for (const pending of right.jobs) if (pending.job.kind !== 'kernel') right.complete(pending)
  world.net.partitioned = true
  world.holdJobs = false
  world.wait(15)
  world.net.partitioned = false
  world.wait(30)
  sameSingleChild(world)
  terminated(world)
})

/** The window is taken: the request under way is sent again on the new path, then the update follows. */
scenario('the initiator moves while a liveness check is under way', () => {
  const world = established({ left: { connection: { dpdDelaySeconds: 10 } } })
  const { spiIn } = onlyChild(world.left)
  world.wait(11, { deliver: false })
  world.lose(world.net.flights.length)
  readdress(world.left, elsewhere)
  world.settle()
  world.wait(30)
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  logged(world.left, 'path probing attempt 1')
  terminated(world)
})

scenario('the initiator moves while it rekeys the IKE SA', () => {
  for (const delivered of [0, 1]) {
    const world = established()
    const { spiIn } = onlyChild(world.left)
    world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
    world.deliver(delivered)
    readdress(world.left, elsewhere)
    world.settle()
    world.wait(200)
    movedTo(world, elsewhere, '192.0.2.2', spiIn)
    terminated(world)
  }
})

scenario('the initiator moves while the peer rekeys the child', () => {
  const world = established()
  world.right.command({ kind: 'rekey', select: { child: 'net' }, reauth: false })
  world.deliver(1)
  readdress(world.left, elsewhere)
  world.settle()
  world.wait(60)
  movedTo(world, elsewhere, '192.0.2.2', onlyChild(world.left).spiIn)
  terminated(world)
})

/**
 *     left                                        right
 *       | IKE_AUTH request 1  -------------------> |
 *       |   <------------ IKE_AUTH response 1 (late)
 *       |                                    moves |
 *       | <-------------  N(ADD_4_ADDR) request 0  |   not yet: left does not know who that is
 *       |   <------------ IKE_AUTH response 1      |
 */
scenario('the responder moves before its answer has come', () => {
  const world = pair()
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(3)
  const [answer] = world.net.flights
  assert.ok(answer !== undefined)
  readdress(world.right, '203.0.113.2')
  world.finishJobs()
  const [, list] = world.net.flights
  assert.ok(list !== undefined)
  world.deliverThis(list)
  assert.equal(onlySa(world.left).remote.address, '192.0.2.2')
  world.settle()
  world.wait(60)
  movedTo(world, '192.0.2.1', '203.0.113.2', onlyChild(world.left).spiIn)
  terminated(world)
})

/** The initiator decides: the responder tells its list from the new address, and asks by it. */
scenario('the responder moves', () => {
  const world = established()
  const { spiIn } = onlyChild(world.left)
  readdress(world.right, '203.0.113.2')
  world.settle()
  world.wait(30)
  movedTo(world, '192.0.2.1', '203.0.113.2', spiIn)
  logged(world.right, 'sending address list update using MOBIKE, implicitly requesting an address change')
  logged(world.left, 'requesting address change using MOBIKE')
  terminated(world)
})

scenario('both move, each to an address that the other knows', () => {
  const world = established({
    left: { kernel: { addresses: ['192.0.2.1', elsewhere, '10.1.0.1'] } },
    right: { kernel: { addresses: ['192.0.2.2', '203.0.113.2', '10.2.0.1'] } },
  })
  const { spiIn } = onlyChild(world.left)
  readdress(world.left, elsewhere)
  readdress(world.right, '203.0.113.2')
  world.settle()
  world.wait(60)
  movedTo(world, elsewhere, '203.0.113.2', spiIn)
  terminated(world)
})

scenario('an address more: only the list is sent', () => {
  for (const side of ['left', 'right'] as const) {
    const world = established()
    const host = world.host(side)
    const before = exchanges(host).length
    const { spiIn } = onlyChild(world.left)
    readdress(host, onlySa(host).local.address, elsewhere)
    world.settle()
    assert.equal(exchanges(host).length, before + 1)
    assert.match(host.sent.at(-1)?.label ?? '', /^INFORMATIONAL request \d \[ N\(ADD_4_ADDR\) N\(ADD_4_ADDR\) \]$/)
    logged(host, 'sending address list update using MOBIKE')
    movedTo(world, '192.0.2.1', '192.0.2.2', spiIn)
    // The same again is no news.
    readdress(host, onlySa(host).local.address, elsewhere)
    world.settle()
    assert.equal(exchanges(host).length, before + 1)
    terminated(world)
  }
})

scenario('no network for some time: the IKE SA waits', () => {
  const world = established({
    outer: 6,
    mode: 'transport',
    left: { connection: { dpdDelaySeconds: 20 }, kernel: { addresses: ['2001:db8::1'] } },
    right: { kernel: { addresses: ['2001:db8::2'] } },
  })
  const { spiIn } = onlyChild(world.left)
  readdress(world.left)
  world.wait(600)
  logged(world.left, 'old path is not available anymore')
  logged(world.left, 'no route found to reach 2001:db8::2, MOBIKE update deferred')
  readdress(world.left, '2001:db8::9')
  world.settle()
  world.wait(60)
  movedTo(world, '2001:db8::9', '2001:db8::2', spiIn)
  terminated(world)
})

/** left comes home behind a NAT, or goes out from behind it. */
const commuter: PairOptions = {
  nat: 'left',
  left: { connection: { localAddresses: addresses('%any') } },
}

scenario('a NAT appears', () => {
  const world = established({
    ...commuter,
    left: { ...commuter.left, kernel: { addresses: ['192.0.2.1', '10.1.0.1'] } },
  })
  const { spiIn } = onlyChild(world.left)
  assert.equal(onlyChild(world.left).encap, false)
  world.left.kernel.readdress(['10.0.1.2', '10.1.0.1'])
  world.left.passKernelEvents()
  world.settle()
  assert.equal(onlySa(world.left).local.address, '10.0.1.2')
  assert.equal(onlySa(world.right).remote.address, '198.51.100.1')
  assert.equal(onlyChild(world.left).spiIn, spiIn)
  assert.equal(onlyChild(world.left).encap, true)
  logged(world.right, 'remote host is behind NAT')
  sameSingleChild(world)
  terminated(world)
})

scenario('a NAT disappears', () => {
  const world = established(commuter)
  const { spiIn } = onlyChild(world.left)
  assert.equal(onlyChild(world.left).encap, true)
  world.left.kernel.readdress([elsewhere, '10.1.0.1'])
  world.left.passKernelEvents()
  world.settle()
  movedTo(world, elsewhere, '192.0.2.2', spiIn)
  assert.equal(onlyChild(world.right).encap, false)
  terminated(world)
})

/** The host that is not behind a NAT follows no IKE message: the other one notices by its liveness checks. */
scenario('the NAT forgets the mapping: noticed by a liveness check', () => {
  const world = established({ nat: 'left', left: { connection: { dpdDelaySeconds: 10 } } })
  world.wait(15)
  const before = onlySa(world.right).remote
  for (const box of world.net.nats) box.rebind()
  world.wait(15)
  assert.notEqual(onlySa(world.right).remote.port, before.port)
  logged(world.left, 'detected changes in NAT mappings, initiating MOBIKE update')
  assert.equal(carries(world, world.right), 'protected')
  terminated(world)
})

/** What the mapping was at set-up nobody has told us: the first answer may be about another one already. */
scenario('the NAT forgets the mapping before the first liveness check', () => {
  const world = established({ nat: 'left', left: { connection: { dpdDelaySeconds: 10 } } })
  const before = onlySa(world.right).remote
  for (const box of world.net.nats) box.rebind()
  world.wait(12)
  assert.notEqual(onlySa(world.right).remote.port, before.port)
  assert.equal(carries(world, world.right), 'protected')
  terminated(world)
})

scenario('without MOBIKE a host that moves begins anew', () => {
  const world = established({
    left: { connection: { mobike: false, localAddresses: addresses('%any') } },
    right: { connection: { remoteAddresses: addresses('%any') } },
  })
  readdress(world.left, elsewhere)
  world.settle()
  logged(world.left, 'reauthenticating IKE_SA due to address change')
  assert.equal(onlySa(world.left).local.address, elsewhere)
  assert.equal(carries(world, world.left), 'protected')
})

scenario('without MOBIKE and with a fixed address nothing is done', () => {
  const world = pair({ connection: { mobike: false } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  const before = exchanges(world.left).length
  readdress(world.left, elsewhere)
  world.settle()
  assert.equal(exchanges(world.left).length, before)
  logged(world.left, 'keeping statically configured path 192.0.2.1 - 192.0.2.2')
})

/**
 *     left                                            right
 *       | <---------------------------------  SA No KE   |     right rekeys the IKE SA
 *       | SA No KE  ---x                                 |     lost, and left moves
 *     192.0.2.1 -> 203.0.113.9
 *       | N(NATD_S_IP) N(NATD_D_IP)  ------------------> |     on the old IKE SA: right has no other yet
 *       | N(UPD_SA_ADDR) N(COOKIE2) …  ----------------> |
 *       | <---------------------------------  SA No KE   |     once more, to where left is
 *       | SA No KE  -----------------------------------> |
 *       | <----------------------------------  D(IKE)    |
 *       | N(NATD_S_IP) N(NATD_D_IP), N(UPD_SA_ADDR) … -> |     on the new one, with the children
 */
for (const side of ['left', 'right'] as const) {
  scenario(`${side} moves when it has answered a rekeying of the IKE SA, and the answer is lost`, () => {
    const world = established({ connection: { dpdDelaySeconds: 30 } })
    const { spiIn } = onlyChild(world.left)
    const host = world.host(side)
    rekey(world.peer(host), 'IKE SA')
    world.deliver()
    world.lose()
    readdress(host, elsewhere)
    world.settle()
    world.wait(60)
    if (side === 'left') movedTo(world, elsewhere, '192.0.2.2', spiIn)
    else movedTo(world, '192.0.2.1', elsewhere, spiIn)
    terminated(world)
  })

  scenario(`${side} moves and comes home again when its answer to a rekeying of the IKE SA is lost`, () => {
    const world = established({ connection: { dpdDelaySeconds: 30 } })
    const { spiIn } = onlyChild(world.left)
    const host = world.host(side)
    const home = onlySa(host).local.address
    rekey(world.peer(host), 'IKE SA')
    world.deliver()
    world.lose()
    readdress(host, elsewhere)
    world.settle()
    readdress(host, home)
    world.settle()
    world.wait(60)
    movedTo(world, '192.0.2.1', '192.0.2.2', spiIn)
    terminated(world)
  })
}
