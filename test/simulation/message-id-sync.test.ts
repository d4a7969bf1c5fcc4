/**
 * A cluster whose members take over from each other (RFC 6311), with us as its peer. The names say which requirement of
 * the list of RFC 6311 a scenario is about.
 */
import assert from 'node:assert/strict'
import { notify } from '../../src/ike/notifies.ts'
import { EXCHANGE, NOTIFY, PROTOCOL } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { BareInitiator } from './bare-initiator.ts'
import { ikeProposal } from './connection.ts'
import { logged, nothingLeaks } from './expect.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const supported = [notify(NOTIFY.IKEV2_MESSAGE_ID_SYNC_SUPPORTED), notify(NOTIFY.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED)]
const nonce = Buffer.from('c0ffee07', 'hex')

function sync(m1: number, p1: number): Payload {
  const data = Buffer.alloc(12)
  data.set(nonce)
  data.writeUInt32BE(m1, 4)
  data.writeUInt32BE(p1, 8)
  return notify(NOTIFY.IKEV2_MESSAGE_ID_SYNC, data)
}

/** The cluster has set up an IKE SA with requests 0 and 1. */
function cluster(
  announced: readonly Payload[] = supported,
  connection = {},
): { readonly world: World; readonly peer: BareInitiator } {
  const world = pair({ right: { settings: { messageIdSync: true, windowSize: 4 }, connection } })
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  const answer = peer.auth({ withoutIntAuth: true, more: announced })
  assert.ok(answer?.some(({ type }) => type === 'AUTH'))
  return { world, peer }
}

const said = (world: World): string[] => world.right.sent.map(({ label }) => label)

/** Asks with message ID 0; P2 and M2 of the answer. */
function ask(peer: BareInitiator, ...payloads: readonly Payload[]): readonly [number, number] | undefined {
  const answer = peer.exchange(EXCHANGE.INFORMATIONAL, payloads, { messageId: 0 })?.payloads
  if (answer === undefined) return undefined
  const [only, ...more] = answer
  assert.ok(only?.type === 'N' && more.length === 0, 'one notify')
  assert.equal(only.notify, NOTIFY.IKEV2_MESSAGE_ID_SYNC)
  const data = Buffer.from(only.data)
  assert.deepEqual(data.subarray(0, 4), nonce)
  return [data.readUInt32BE(4), data.readUInt32BE(8)]
}

const announcement = 'N(MSG_ID_SYN_SUP) N(RPL_CTR_SYN_SUP)'

scenario('R6311-5-1, R6311-6.1-1, R6311-6.2-1: both announce it in IKE_AUTH', () => {
  const world = established({ settings: { messageIdSync: true } })
  for (const host of world.hosts) {
    const announced = host.sent.filter(({ label }) => label.includes(announcement))
    assert.deepEqual(
      announced.map(({ label }) => label.replace(/ .*/, '')),
      ['IKE_AUTH'],
    )
  }
})

scenario('R6311-5-2: what the initiator does not announce the responder does not', () => {
  for (const [left, right] of [
    [false, false],
    [false, true],
    [true, false],
  ] as const) {
    const world = established({
      left: { settings: { messageIdSync: left } },
      right: { settings: { messageIdSync: right } },
    })
    assert.equal(
      world.left.sent.some(({ label }) => label.includes('SYN_SUP')),
      left,
    )
    assert.ok(said(world).every((label) => !label.includes('SYN_SUP')))
  }
})

/**
 *    |-- INFORMATIONAL request 0 [ N(MSG_ID_SYN)(nonce, 10, 7) ] -->|
 *    |<- INFORMATIONAL response 0 [ N(MSG_ID_SYN)(nonce, 7, 10) ] --|
 */
scenario(
  'R6311-5-6, R6311-5-7, R6311-5.1-6, R6311-5.1-7, R6311-5.1-8, R6311-5.1-11, R6311-6.3-1: both go on with the higher message IDs',
  () => {
    const { world, peer } = cluster()
    assert.deepEqual(ask(peer, sync(10, 7)), [7, 10])
    assert.match(said(world).at(-1) ?? '', /^INFORMATIONAL response 0/)
    assert.ok(peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId: 10 }))
    // R6311-8.1-1
    const before = said(world).length
    for (const messageId of [2, 9]) peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId })
    assert.equal(said(world).length, before)
    world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    assert.match(said(world).at(-1) ?? '', /^CREATE_CHILD_SA request 7/)
  },
)

scenario('R6311-5.1-7: we have used higher message IDs than the cluster knows', () => {
  const { world, peer } = cluster()
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  assert.deepEqual(ask(peer, sync(10, 0)), [1, 10])
})

scenario('R6311-5.1-5: a value that was seen is dropped silently, also one of an earlier synchronization', () => {
  const { world, peer } = cluster()
  assert.equal(ask(peer, sync(1, 0)), undefined) // IKE_AUTH
  assert.deepEqual(ask(peer, sync(10, 7)), [7, 10])
  assert.equal(ask(peer, sync(10, 7)), undefined)
  assert.equal(ask(peer, sync(9, 20)), undefined)
  peer.exchange(EXCHANGE.INFORMATIONAL, [], { messageId: 12 }) // in the window, before 10 and 11
  assert.equal(ask(peer, sync(12, 7)), undefined)
  assert.deepEqual(ask(peer, sync(13, 7)), [7, 13])
  logged(world.right, 'ignoring a synchronization of message IDs')
})

scenario('R6311-5.1-10, R6311-11-2: with anything else in it, or of another form, it is nothing', () => {
  const { peer } = cluster()
  const good = sync(10, 7)
  assert.ok(good.type === 'N')
  const cases: readonly (readonly Payload[])[] = [
    [good, good],
    [good, notify(NOTIFY.INITIAL_CONTACT)],
    [good, { type: 'D', protocol: PROTOCOL.IKE, spiSize: 0, spis: [] }],
    [{ ...good, data: good.data.slice(0, 11) }],
    [{ ...good, data: Uint8Array.of(...good.data, 0) }],
    [sync(0xffff_ffff, 7)],
    [sync(10, 0xffff_ffff)],
  ]
  for (const [i, payloads] of cases.entries()) assert.equal(ask(peer, ...payloads), undefined, `case ${i}`)
  assert.deepEqual(ask(peer, good), [7, 10])
})

scenario('R6311-5-3: without the announcement of both sides it is nothing', () => {
  const { world, peer } = cluster([])
  const before = said(world).length
  peer.exchange(EXCHANGE.INFORMATIONAL, [sync(10, 7)], { messageId: 0 })
  assert.equal(said(world).length, before)
})

scenario('R6311-W-8: a fragmented one is nothing', () => {
  const { world, peer } = cluster()
  const before = said(world).length
  peer.exchange(EXCHANGE.INFORMATIONAL, [sync(10, 7)], { messageId: 0, pieces: 10 })
  assert.equal(said(world).length, before)
})

scenario('R6311-6.1-2: an announcement with data or an SPI is none', () => {
  for (const wrong of [{ data: Uint8Array.of(1) }, { spi: Uint8Array.of(1, 2, 3, 4), protocol: PROTOCOL.ESP }]) {
    const { world } = cluster(supported.map((announced) => ({ ...announced, ...wrong })))
    assert.ok(said(world).every((label) => !label.includes('SYN_SUP')))
  }
})

scenario('R6311-5.2-3: message IDs first: a message that is dropped for them raises no counters', () => {
  const { world, peer } = cluster()
  const counters = notify(NOTIFY.IPSEC_REPLAY_COUNTER_SYNC, Uint8Array.of(0, 1, 0, 0))
  const raised = (): number =>
    world.right.logs.filter(({ message }) => message.startsWith('raising the sequence numbers')).length
  assert.equal(ask(peer, sync(1, 0), counters), undefined)
  assert.equal(raised(), 0)
  assert.deepEqual(ask(peer, counters, sync(10, 7)), [7, 10])
  assert.equal(raised(), 1)
})

/** A liveness check is on its way: the member that it went to has failed, and nobody will answer it. */
scenario('R6311-9-1: a question that is outstanding is asked again with a new message ID', () => {
  const { world, peer } = cluster(supported, { dpdDelaySeconds: 30 })
  world.wait(31, { deliver: false })
  assert.match(said(world).at(-1) ?? '', /^INFORMATIONAL request 0 /)
  peer.exchange(EXCHANGE.INFORMATIONAL, [sync(10, 7)], { messageId: 0 })
  assert.deepEqual(
    said(world)
      .slice(-2)
      .map((label) => label.replace(/ \[.*/, '')),
    ['INFORMATIONAL response 0', 'INFORMATIONAL request 7'],
  )
})

scenario('R6311-9-1: a Child SA that is being made is not: its creation fails, and the next one works', () => {
  const { world, peer } = cluster()
  const answer = world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  assert.deepEqual(ask(peer, sync(10, 7)), [7, 10])
  world.finishJobs()
  assert.equal(answer()?.kind, 'failed')
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  assert.match(said(world).at(-1) ?? '', /^CREATE_CHILD_SA request 7/)
  world.right.command({ kind: 'terminate', select: { ike: 'lab' }, force: true, timeoutMs: 0 })
  world.wait(200)
  nothingLeaks(world)
})
