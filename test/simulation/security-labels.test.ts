/** Security labels without any help of the kernel (RFC 9478): what has the same selectors is told apart by them. */
import assert from 'node:assert/strict'
import type { ChildConfig } from '../../src/config/connection.ts'
import { NOTIFY, TS_TYPE } from '../../src/wire/numbers.ts'
import type { Payload, TrafficSelector } from '../../src/wire/payloads/index.ts'
import { child, subnet } from './connection.ts'
import { failed, logged, nothingLeaks, onlyChild, onlySa, sameSingleChild } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { create, esp, names, nonce, selectors, the, up } from './peer.ts'
import { rekey } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const secret = Buffer.from('secret\0')

/**
 *   HDR, SK {... TSi(10.1.0.0/16, secret), TSr(10.2.0.0/16, secret)}  -->
 *                      <--  HDR, SK {... TSi(10.1.0.0/16, secret), TSr(10.2.0.0/16, secret)}
 */
scenario('both sides have the label: it is listed, and rekeying keeps it', () => {
  const world = established({ child: { label: 'secret' } })
  for (const what of ['child', 'IKE SA'] as const) {
    for (const host of world.hosts) {
      rekey(host, what)
      world.wait(6)
      sameSingleChild(world)
      for (const one of world.hosts) assert.deepEqual(onlyChild(one).label, secret)
    }
  }
  for (const host of world.hosts) logged(host, 'selected security label: secret')
})

const without: Readonly<Record<string, PairOptions>> = {
  'another one': { left: { child: { label: 'secret' } }, right: { child: { label: 'public' } } },
  'none here': { right: { child: { label: 'public' } } },
  'none there': { left: { child: { label: 'secret' } } },
}

for (const [name, options] of Object.entries(without)) {
  /**
   *   HDR, SK {... TSi(10.1.0.0/16, secret), TSr(10.2.0.0/16, secret)}  -->
   *                      <--  HDR, SK {... N(TS_UNACCEPTABLE)}
   */
  scenario(`the sides have different labels: ${name}`, () => {
    const world = pair(options)
    const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    failed(answer(), /establishing CHILD_SA 'net' failed/)
    logged(world.left, 'received TS_UNACCEPTABLE notify, no CHILD_SA built')
    for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  })
}

/** Children for the same networks, as for classes of service. */
function twoClasses(): World {
  const nets = (a: string, b: string) => ({ localTs: [subnet(a)], remoteTs: [subnet(b)] })
  const children = (a: string, b: string): ChildConfig[] =>
    ['be', 'ef'].map((name, i) =>
      child({
        name,
        label: name,
        ...nets(a, b),
        markIn: { value: i + 1, mask: 15 },
        markOut: { value: i + 1, mask: 15 },
      }),
    )
  return pair({
    left: { connection: { children: children('10.1.0.0/16', '10.2.0.0/16') } },
    right: { connection: { children: children('10.2.0.0/16', '10.1.0.0/16').reverse() } },
  })
}

scenario('the responder finds the child by its label', () => {
  const world = twoClasses()
  for (const name of ['be', 'ef']) {
    world.left.command({ kind: 'initiate', child: name, timeoutMs: 0 })
    world.settle()
  }
  for (const host of world.hosts) {
    const found = onlySa(host).children.map(({ name, label, markOut }) => [name, `${label}`, markOut?.value])
    assert.deepEqual(found.sort(), [
      ['be', 'be\0', 1],
      ['ef', 'ef\0', 2],
    ])
  }
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
})

function label(text: string): TrafficSelector {
  return { kind: 'other', tsType: TS_TYPE.SECLABEL, protocol: 0, data: Buffer.from(text) }
}

/** The selectors of a peer's request, or of its answer, with labels behind them. */
function labelled(mine: readonly TrafficSelector[], yours: readonly TrafficSelector[], asks = true): Payload[] {
  const [TSi, TSr] = asks ? selectors() : selectors('10.2.0.0/16', '10.1.0.0/16')
  assert.ok(TSi?.type === 'TSi' && TSr?.type === 'TSr')
  return [
    { type: 'TSi', selectors: [...TSi.selectors, ...mine] },
    { type: 'TSr', selectors: [...TSr.selectors, ...yours] },
  ]
}

const configured: PairOptions = { right: { child: { label: 'secret' } } }

/**
 * RFC 9478 §2.2: the initiator may offer several labels, of which the responder takes one; an empty one is ignored.
 *
 *   HDR, SK {... TSi(…, other, secret), TSr(…, secret, )}  -->
 *                      <--  HDR, SK {... TSi(…, secret), TSr(…, secret)}
 */
scenario('of several labels the one that is configured is granted, with and without its zero octet', () => {
  const { peer } = up(configured)
  const granted = create(
    peer,
    { type: 'SA', proposals: [esp] },
    nonce,
    ...labelled([label('other\0'), label('secret')], [label('secret\0'), label('')]),
  )
  for (const type of ['TSi', 'TSr'] as const) {
    const labels = the(type, granted ?? []).selectors.flatMap((one) =>
      one.kind === 'other' ? [Buffer.from(one.data)] : [],
    )
    assert.deepEqual(labels, [secret])
  }
})

for (const [name, mine, yours] of [
  ['for one side only', [label('secret\0')], []],
  ['empty', [label('')], [label('\0')]],
  ['different ones', [label('secret\0')], [label('public\0')]],
] as const) {
  scenario(`labels that do not fit are TS_UNACCEPTABLE: ${name}`, () => {
    const { world, peer } = up(configured)
    const answer = create(peer, { type: 'SA', proposals: [esp] }, nonce, ...labelled(mine, yours))
    assert.equal(the('N', answer ?? []).notify, NOTIFY.TS_UNACCEPTABLE)
    assert.deepEqual(onlySa(world.right).children, [])
  })
}

/** A peer that does not know labels leaves them out: what it has made is deleted. */
for (const [name, mine, yours] of [
  ['none', [], []],
  ['another', [label('public\0')], [label('public\0')]],
] as const) {
  scenario(`the answer has another label than the request: ${name}`, () => {
    const { world, peer } = up(configured)
    world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    peer.answer([{ type: 'SA', proposals: [esp] }, nonce, ...labelled(mine, yours, false)])
    assert.deepEqual(names(peer.asked().payloads), ['D'])
    peer.answer([])
    assert.deepEqual(onlySa(world.right).children, [])
    assert.deepEqual(world.right.kernel.states, [])
  })
}
