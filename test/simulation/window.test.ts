/**
 * Windows above 1 (RFC 7296 §2.3). The names say which requirement of the list of RFC 7296 or RFC 6311 a scenario is
 * about.
 */
import assert from 'node:assert/strict'
import type { ChildConfig } from '../../src/config/connection.ts'
import { notify } from '../../src/ike/notifies.ts'
import { EXCHANGE, NOTIFY, PROTOCOL } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { BareInitiator } from './bare-initiator.ts'
import { child, espProposal, ikeProposal, subnet } from './connection.ts'
import { exchanges, logged, nothingLeaks, onlySa } from './expect.ts'
import type { Host } from './host.ts'
import type { Flight } from './network.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { closesClean, rekey, terminate } from './rekey.ts'
import { watchSafety } from './safety.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const names = ['net', 'more', 'third', 'fourth'] as const

/** Four children between other subnets; each side takes so many requests at once. */
function withWindows(left: number, right: number, options: Partial<ChildConfig> = {}): PairOptions {
  const children = (side: 1 | 2): ChildConfig[] =>
    names.map((name, i) =>
      child({
        name,
        espProposals: [espProposal()],
        localTs: [subnet(`10.${side}.${i}.0/24`)],
        remoteTs: [subnet(`10.${3 - side}.${i}.0/24`)],
        ...options,
      }),
    )
  return {
    left: { settings: { windowSize: left }, connection: { children: children(1) } },
    right: { settings: { windowSize: right }, connection: { children: children(2) } },
  }
}

/** `net` is up, and what is sent from now on is looked at. */
function upWith(left: number, right: number, options: Partial<ChildConfig> = {}): World {
  const world = established(withWindows(left, right, options))
  watchSafety(world)
  return world
}

function initiate(host: Host, ...children: readonly string[]): void {
  for (const one of children) host.command({ kind: 'initiate', child: one, timeoutMs: 0 })
}

/** What a host has in flight: `request 2`. */
function inFlight(world: World, host: Host): string[] {
  return world.net.flights.filter(({ from }) => from === host.name).map(({ label }) => idOf(label))
}

function idOf(label: string): string {
  return label.replace(/^\S+ (\S+ \d+).*/, '$1')
}

function flight(world: World, host: Host, id: string): Flight {
  const found = world.net.flights.find(({ from, label }) => from === host.name && idOf(label) === id)
  assert.ok(found, `${id} of ${host.name} is not in flight, but ${inFlight(world, host)}`)
  return found
}

function allUp(world: World, count: number): void {
  for (const host of world.hosts) {
    const { children } = onlySa(host)
    assert.deepEqual(
      children.map(({ state }) => state),
      Array.from({ length: count }, () => 'INSTALLED'),
    )
  }
}

scenario('R7296-2.3-1, R6311-W-1: four octets, big endian, in both messages of IKE_AUTH', () => {
  const world = established(withWindows(3, 4))
  for (const host of world.hosts) {
    const labels = host.sent.filter(({ label }) => label.includes('N(SET_WINSIZE)')).map(({ label }) => label)
    assert.equal(labels.length, 1)
    assert.match(labels[0] ?? '', /^IKE_AUTH/)
  }
  logged(world.left, 'peer takes 4 requests at once')
  logged(world.right, 'peer takes 3 requests at once')
})

scenario('a window of 1 is not announced', () => {
  const world = established()
  for (const host of world.hosts) assert.ok(host.sent.every(({ label }) => !label.includes('SET_WINSIZE')))
})

/**
 *    |-- IKE_SA_INIT request 0 -->|   all four children were asked for at once
 *    |<---------------------------|
 *    |-- IKE_AUTH request 1 ----->|
 *    |<---------------------------|   now the window is open
 *    |-- CREATE_CHILD_SA 2, 3, 4 >|
 */
scenario('R7296-2.3-2: the window is 1 until the initial exchanges are over', () => {
  const world = pair(withWindows(4, 4))
  watchSafety(world)
  initiate(world.left, ...names)
  for (const id of ['request 0', 'request 1']) {
    world.finishJobs()
    assert.deepEqual(inFlight(world, world.left), [id])
    world.deliver(2)
  }
  world.finishJobs()
  assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3', 'request 4'])
  world.settle()
  allUp(world, 4)
  closesClean(world)
})

scenario('R7296-2.3-3: to a peer that announces nothing one request at a time', () => {
  const world = upWith(4, 1)
  initiate(world.left, 'more', 'third', 'fourth')
  world.finishJobs()
  assert.deepEqual(inFlight(world, world.left), ['request 2'])
  assert.deepEqual(onlySa(world.left).tasksActive, ['CHILD_CREATE'])
  world.settle()
  allUp(world, 4)
})

scenario('R7296-2.3-4: several requests at once to a peer that takes them; tasks-active shows all', () => {
  const world = upWith(1, 4)
  initiate(world.left, 'more', 'third', 'fourth')
  world.finishJobs()
  assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3', 'request 4'])
  assert.deepEqual(onlySa(world.left).tasksActive, ['CHILD_CREATE', 'CHILD_CREATE', 'CHILD_CREATE'])
  assert.deepEqual(onlySa(world.left).tasksQueued, [])
  world.settle()
  allUp(world, 4)
  closesClean(world)
})

/**
 *    |-- request 2 - - - - - - - .   late
 *    |-- request 3 ------------->|
 *    |<-- response 3 ------------|   does not make room for request 4: 2 is not answered
 *    |                           '->|
 *    |<-- response 2 ------------|
 *    |-- request 4 ------------->|
 */
scenario(
  'R7296-2.3-6, R7296-2.3-7, R6311-4-1, R6311-W-2: never more than the peer takes, counted from the oldest',
  () => {
    const world = upWith(1, 2)
    initiate(world.left, 'more', 'third', 'fourth')
    world.finishJobs()
    assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3'])
    world.deliverThis(flight(world, world.left, 'request 3'))
    world.deliverThis(flight(world, world.right, 'response 3'))
    assert.deepEqual(inFlight(world, world.left), ['request 2'])
    const { tasksActive, tasksQueued } = onlySa(world.left)
    assert.equal(tasksActive.length + tasksQueued.length, 2)
    world.deliverThis(flight(world, world.left, 'request 2'))
    assert.deepEqual(inFlight(world, world.left), [])
    world.deliverThis(flight(world, world.right, 'response 2'))
    assert.deepEqual(inFlight(world, world.left), ['request 4'])
    world.settle()
    allUp(world, 4)
  },
)

scenario('R7296-2.3-5: a request is answered while several of ours are outstanding', () => {
  const world = upWith(4, 4)
  initiate(world.left, 'more', 'third')
  initiate(world.right, 'fourth')
  world.finishJobs()
  world.deliverThis(flight(world, world.right, 'request 0'))
  world.deliverThis(flight(world, world.left, 'response 0'))
  assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3'])
  world.settle()
  allUp(world, 4)
})

/** Both requests are lost and sent again, each by itself; the answers that were given come from the cache. */
scenario(
  'R7296-2.3-8, R7296-2.3-9: each request is kept until its response comes, each response as long as it may be asked for',
  () => {
    const world = upWith(1, 3)
    initiate(world.left, 'more', 'third', 'fourth')
    world.finishJobs()
    world.net.remove(flight(world, world.left, 'request 3')) // lost
    world.deliverThis(flight(world, world.left, 'request 4'))
    world.deliverThis(flight(world, world.left, 'request 2'))
    world.lose(2) // the responses
    world.wait(5, { deliver: false })
    assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3', 'request 4'])
    const before = world.right.sent.length
    world.settle()
    allUp(world, 4)
    const said = world.right.sent.slice(before).map(({ label }) => idOf(label))
    assert.deepEqual(said, ['response 2', 'response 3', 'response 4'])
    for (const id of ['response 2', 'response 4']) {
      const [first, again] = world.right.sent.filter(({ label }) => idOf(label) === id)
      assert.ok(first && again)
      assert.deepEqual(first.bytes, again.bytes)
    }
    closesClean(world)
  },
)

for (const order of [
  ['2', '3', '4'],
  ['2', '4', '3'],
  ['3', '2', '4'],
  ['3', '4', '2'],
  ['4', '2', '3'],
  ['4', '3', '2'],
]) {
  scenario(`R7296-2.3-11, R6311-W-4: requests come in the order ${order}, responses in the opposite one`, () => {
    const world = upWith(4, 4)
    initiate(world.left, 'more', 'third', 'fourth')
    world.finishJobs()
    for (const id of order) world.deliverThis(flight(world, world.left, `request ${id}`))
    for (const id of order.toReversed()) world.deliverThis(flight(world, world.right, `response ${id}`))
    allUp(world, 4)
    rekey(world.right, 'IKE SA')
    world.wait(6)
    allUp(world, 4)
    closesClean(world)
  })
}

scenario('R6311-W-7: fragments of several requests come mixed', () => {
  const options = withWindows(4, 4)
  const world = established({ ...options, settings: { fragmentSize: 150 } })
  watchSafety(world)
  initiate(world.left, 'more', 'third')
  world.finishJobs()
  const both = ['request 2', 'request 3'].map((id) => world.net.flights.filter(({ label }) => idOf(label) === id))
  const [first = [], second = []] = both
  assert.ok(first.length > 1 && second.length > 1)
  for (const [i, one] of first.entries()) {
    world.deliverThis(one)
    const other = second[i]
    if (other !== undefined) world.deliverThis(other)
  }
  const received = world.right.logs.filter(({ message }) => message.startsWith('parsed CREATE_CHILD_SA request'))
  assert.ok(received.some(({ message }) => message.startsWith('parsed CREATE_CHILD_SA request 2 [ SA')))
  assert.ok(received.some(({ message }) => message.startsWith('parsed CREATE_CHILD_SA request 3 [ SA')))
  world.settle()
  allUp(world, 3)
})

/**
 *    |-- CREATE_CHILD_SA request 2 (rekeys the IKE SA) -->|
 *    |<---------------------------------------------------|
 *    |-- INFORMATIONAL N(SET_WINDOW_SIZE), on the new one, both ways
 */
scenario('R7296-2.3-10: after a rekeying the window is 1 until it is announced anew', () => {
  const world = upWith(4, 4)
  rekey(world.left, 'IKE SA')
  initiate(world.left, 'more', 'third')
  world.finishJobs()
  world.deliver(2)
  // The new IKE SA is there. What waited for it goes out alone, before the announcements.
  const [request] = world.net.flights.filter(({ from, label }) => from === 'left' && /request 0/.test(label))
  assert.match(request?.label ?? '', /CREATE_CHILD_SA/)
  assert.deepEqual(onlyNew(world.left).tasksActive, ['CHILD_CREATE'])
  world.settle()
  initiate(world.left, 'fourth')
  rekey(world.left, 'child')
  world.finishJobs()
  assert.equal(inFlight(world, world.left).length, 2)
  world.settle()
  world.wait(6)
  allUp(world, 4)
  assert.equal(exchanges(world.right).filter((name) => name.startsWith('INFORMATIONAL request')).length, 1)
  closesClean(world)
})

function onlyNew(host: Host): ReturnType<Host['sas']>[number] {
  const found = host.sas().filter(({ state }) => state === 'ESTABLISHED')
  assert.equal(found.length, 1)
  return found[0] as (typeof found)[number] // there is one
}

scenario('a rekeying or deletion of the IKE SA waits until all else is over, and all else for it', () => {
  for (const what of ['rekeyed', 'closed'] as const) {
    const world = upWith(4, 4)
    initiate(world.left, 'more', 'third')
    if (what === 'rekeyed') rekey(world.left, 'IKE SA')
    else terminate(world.left, 'IKE SA')
    initiate(world.right, 'fourth')
    world.finishJobs()
    assert.deepEqual(inFlight(world, world.left), ['request 2', 'request 3'])
    world.deliverThis(flight(world, world.left, 'request 3'))
    world.deliverThis(flight(world, world.right, 'response 3'))
    assert.deepEqual(inFlight(world, world.left), ['request 2'])
    world.settle()
    world.wait(20)
    if (what === 'rekeyed') allUp(world, 4)
    closesClean(world)
  }
})

scenario('several children are rekeyed and closed at once', () => {
  const world = upWith(4, 4)
  initiate(world.left, 'more', 'third', 'fourth')
  world.settle()
  for (const name of names) {
    const host = name === 'third' ? world.right : world.left
    if (name === 'fourth') host.command({ kind: 'terminate', select: { child: name }, force: false, timeoutMs: 0 })
    else host.command({ kind: 'rekey', select: { child: name }, reauth: false })
  }
  world.finishJobs()
  assert.deepEqual([inFlight(world, world.left).length, inFlight(world, world.right).length], [3, 1])
  world.settle()
  world.wait(6)
  allUp(world, 3)
  closesClean(world)
})

scenario('two commands for one child do not overlap', () => {
  const world = upWith(4, 4)
  rekey(world.left, 'child')
  terminate(world.left, 'child')
  world.finishJobs()
  assert.equal(inFlight(world, world.left).length, 1)
  world.settle()
  world.wait(6)
  allUp(world, 0)
  closesClean(world)
})

/**
 *   HDR, SK {SA, Ni, TSi, TSr}  2  -->      lost, again and again
 *   HDR, SK {SA, Ni, TSi, TSr}  3  -->  <-- answered
 *   HDR, SK {SA, Ni, TSi, TSr}  4           waits: the peer takes 2 and 3
 */
scenario('R7296-2.3-4: a request that is given up makes no room for the next: that is outside the window', () => {
  const world = upWith(1, 2)
  const { left } = world
  initiate(left, 'more', 'third', 'fourth')
  world.finishJobs()
  assert.deepEqual(inFlight(world, left), ['request 2', 'request 3'])
  world.lose()
  world.deliver(2)
  world.finishJobs()
  world.net.partitioned = true
  world.wait(400)
  logged(left, 'giving up after 5 retransmits')
  assert.deepEqual(left.sas(), [])
  const asked = left.sent.map(({ label }) => idOf(label))
  assert.equal(asked.includes('request 3'), true)
  assert.equal(asked.includes('request 4'), false)
})

scenario('the peer answers none of several requests: the IKE SA is given up once', () => {
  const world = upWith(4, 4)
  initiate(world.left, 'more', 'third')
  world.finishJobs()
  world.net.partitioned = true
  world.lose(2)
  world.wait(200)
  assert.deepEqual(world.left.sas(), [])
  assert.equal(world.left.logs.filter(({ message }) => message.startsWith('giving up')).length, 1)
  terminate(world.right, 'IKE SA')
  world.wait(200)
  nothingLeaks(world)
})

// --- a peer that does as it likes -------------------------------------------------------------------------------------

function bare(windowSize: number): { readonly world: World; readonly peer: BareInitiator } {
  const world = pair(withWindows(1, windowSize))
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  const answer = peer.auth({ withoutIntAuth: true })
  assert.ok(answer?.some(({ type }) => type === 'AUTH'))
  return { world, peer }
}

const said = (world: World): string[] => world.right.sent.map(({ label }) => label)

scenario(
  'R7296-2.3-12, R7296-2.3-13, R7296-2.3-14, R6311-W-6: beyond the window: no answer, but an INFORMATIONAL of our own',
  () => {
    const { world, peer } = bare(2)
    const before = said(world).length
    peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId: 4 })
    world.finishJobs()
    assert.deepEqual(said(world).slice(before), ['INFORMATIONAL request 0 [ N(INVAL_MID) ]'])
    peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId: 3 })
    assert.match(said(world).at(-1) ?? '', /^INFORMATIONAL response 3/)
  },
)

scenario('R7296-2.3-15: INVALID_MESSAGE_ID once in a minute', () => {
  const { world, peer } = bare(1)
  for (let id = 10; id < 30; id++) peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId: id })
  assert.equal(said(world).filter((label) => label.includes('INVAL_MID')).length, 1)
})

scenario('R6311-W-6: what is not authentic is not reported', () => {
  const world = established()
  const request = world.left.sent.at(-1)
  assert.ok(request)
  const forged = Uint8Array.from(request.bytes)
  forged[4 + 20] = 0x11 // the message ID
  world.inject(world.right, { address: '192.0.2.1', port: 4500 }, forged, 4500)
  assert.ok(said(world).every((label) => !label.includes('INVAL_MID')))
})

/**
 *    |-- INFORMATIONAL request 3 (deletes the IKE SA) -->|   answered at once, nothing else is being answered
 *
 * and while a CREATE_CHILD_SA is being worked on it waits for that one's answer.
 */
scenario('a request that deletes the IKE SA is answered after those that came before it', () => {
  const world = upWith(4, 4)
  initiate(world.left, 'more')
  world.finishJobs()
  world.holdJobs = true
  world.deliverThis(flight(world, world.left, 'request 2'))
  assert.deepEqual(onlySa(world.right).tasksPassive, ['CHILD_CREATE'])
  // The only way of an honest left to say it now: it goes without waiting.
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
  world.deliverThis(flight(world, world.left, 'request 3'))
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  world.holdJobs = false
  world.settle()
  const answers = world.right.sent.map(({ label }) => idOf(label)).filter((id) => /response [23]/.test(id))
  assert.deepEqual(answers, ['response 2', 'response 3'])
  world.wait(6)
  nothingLeaks(world)
})

scenario('R7296-2.3-1: data of SET_WINDOW_SIZE that is not four octets, or no window, is not heard', () => {
  const cases: readonly [readonly number[], number][] = [
    [[], 1],
    [[4], 1],
    [[0, 0, 4], 1],
    [[0, 0, 0, 0, 4], 1],
    [[0, 0, 0, 0], 1],
    [[0, 0, 0, 3], 3],
  ]
  for (const [data, expected] of cases) {
    const { world, peer } = bare(1)
    peer.exchange(EXCHANGE.INFORMATIONAL, [notify(NOTIFY.SET_WINDOW_SIZE, Uint8Array.from(data))])
    initiate(world.right, ...names)
    world.finishJobs()
    const own = said(world).filter((label) => /CREATE_CHILD_SA request/.test(label))
    assert.equal(own.length, expected, `after ${data}`)
  }
})

scenario('R7296-2.3-10: a smaller window announced later changes nothing', () => {
  const { world, peer } = bare(4)
  const size = (n: number): Payload => notify(NOTIFY.SET_WINDOW_SIZE, Uint8Array.of(0, 0, 0, n))
  peer.exchange(EXCHANGE.INFORMATIONAL, [size(4)], { messageId: 2 })
  peer.exchange(EXCHANGE.INFORMATIONAL, [size(1)], { messageId: 3 })
  peer.exchange(EXCHANGE.INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [] }], { messageId: 6 })
  assert.match(said(world).at(-1) ?? '', /^INFORMATIONAL response 6/)
})
