/** What a child's configuration asks of its states: padding for traffic flow confidentiality, and a shorter ICV. */
import assert from 'node:assert/strict'
import { ENCR, INTEG } from '../../src/wire/numbers.ts'
import { child, encr, espProposal, integ, subnet } from './connection.ts'
import { carries, installed, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, pair } from './pair.ts'
import { rekey, stillWorks } from './rekey.ts'
import { scenario } from './scenario.ts'

/** What the host's states pad to, by direction. */
function padding(host: Host, direction: 'in' | 'out'): (number | undefined)[] {
  return installed(host)
    .filter(({ sa }) => sa?.direction === direction)
    .map(({ sa }) => sa?.tfcPadding)
}

/** Each side pads what it sends, if it wants to; Linux takes padded packets in tunnel mode without being asked. */
scenario('tfc_padding on one side only, and after a rekeying', () => {
  const world = established({ left: { child: { tfcPadding: 1200 } } })
  assert.deepEqual([padding(world.left, 'out'), padding(world.left, 'in')], [[1200], [undefined]])
  assert.deepEqual(padding(world.right, 'out'), [undefined])
  rekey(world.left, 'child')
  world.wait(6)
  assert.deepEqual(padding(world.left, 'out'), [1200])
  stillWorks(world)
})

scenario('tfc_padding = mtu: as far as the path takes', () => {
  const world = established({ right: { child: { tfcPadding: 'mtu' } } })
  assert.deepEqual(padding(world.right, 'out'), [0xffff_ffff])
})

/**
 *   HDR, SK {..., N(USE_TRANSPORT_MODE), N(ESP_TFC_PADDING_NOT_SUPPORTED), SA, TSi, TSr}  -->
 *                      <--  HDR, SK {..., N(USE_TRANSPORT_MODE), N(ESP_TFC_PADDING_NOT_SUPPORTED), SA, TSi, TSr}
 */
scenario('in transport mode nobody pads, and both say that they could not take it', () => {
  const world = established({ mode: 'transport', child: { tfcPadding: 1200 } })
  for (const host of world.hosts) {
    saidToPeer(host, 'N(ESP_TFC_PAD_N)')
    assert.deepEqual(padding(host, 'out'), [undefined])
  }
})

/**
 *   HDR, SK {..., N(ESP_TFC_PADDING_NOT_SUPPORTED), SA, TSi, TSr}  -->      left would rather have transport mode
 *                      <--  HDR, SK {..., SA, TSi, TSr}                     right: a tunnel
 */
scenario('whoever cannot take padding gets none, in tunnel mode too', () => {
  const world = pair({ mode: 'transport', right: { child: { mode: 'tunnel', tfcPadding: 1200 } } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.deliver(3)
  assert.deepEqual(
    installed(world.right).map(({ mode }) => mode),
    ['tunnel', 'tunnel'],
  )
  assert.deepEqual(padding(world.right, 'out'), [undefined])
})

const cbc = [espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)])]

/** It is not negotiated: both ends have to be told. */
scenario('sha256_96 cuts the ICV of HMAC-SHA-256 to 96 bits', () => {
  const world = established({ esp: cbc, child: { sha256_96: true } })
  for (const { sa } of world.hosts.flatMap(installed)) {
    assert.ok(sa?.crypto.kind === 'separate')
    assert.equal(sa.crypto.integrity?.truncationBits, 96)
  }
  stillWorks(world)
})

scenario('sha256_96 on one side only: no packet crosses', () => {
  const world = pair({ esp: cbc, left: { child: { sha256_96: true } } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  for (const host of world.hosts) assert.equal(carries(world, host), 'XfrmInStateProtoError')
})

scenario('sha256_96 changes no other algorithm', () => {
  const world = established({ child: { sha256_96: true } })
  sameSingleChild(world)
})

scenario('icmp: ICMP errors about what the tunnel carries fit its outbound policy and its inbound state', () => {
  const world = established({ left: { child: { icmp: true } } })
  const marks = (host: Host): unknown[] => [
    ...host.kernel.policies.map(({ icmpErrors }) => icmpErrors),
    ...installed(host).map(({ sa }) => `${sa?.direction} ${sa?.icmpErrors ?? 'no'}`),
  ]
  assert.deepEqual(marks(world.left).toSorted(), ['in true', 'out no', true, undefined, undefined])
  assert.deepEqual(marks(world.right).toSorted(), ['in no', 'out no', undefined, undefined, undefined])
})

/** `direction source destination action priority` of the policies of a host. */
function policies(host: Host): string[] {
  return host.kernel.policies
    .map(({ direction, selector: { source, destination }, action, priority }) =>
      [direction, source.address, destination.address, action, priority].join(' '),
    )
    .sort()
}

scenario('policies_fwd_out lets what is forwarded into the tunnel pass a policy that drops', () => {
  const world = established({ left: { child: { policiesFwdOut: true } } })
  assert.deepEqual(policies(world.left), [
    'fwd 10.1.0.0 10.2.0.0 pass 383616',
    'fwd 10.2.0.0 10.1.0.0 protect 383615',
    'in 10.2.0.0 10.1.0.0 protect 383615',
    'out 10.1.0.0 10.2.0.0 protect 383615',
  ])
  rekey(world.left, 'child')
  world.wait(6)
  assert.equal(policies(world.left).length, 4)
  stillWorks(world, world.left)
  world.left.command({ kind: 'shutdown' })
  world.settle()
  assert.deepEqual(policies(world.left), [])
})

scenario('policies_fwd_out in transport mode: nothing is forwarded', () => {
  const world = established({ mode: 'transport', child: { policiesFwdOut: true } })
  assert.equal(policies(world.left).length, 2)
})

scenario('where two tunnels mirror each other, the policy that protects goes before the one that lets pass', () => {
  const mirror = child({
    name: 'mirror',
    localTs: [subnet('10.2.0.0/16')],
    remoteTs: [subnet('10.1.0.0/16')],
    priority: 7,
    startAction: { trap: true, start: false },
  })
  for (const reversed of [false, true]) {
    const net = child({
      localTs: [subnet('10.1.0.0/16')],
      remoteTs: [subnet('10.2.0.0/16')],
      priority: 7,
      policiesFwdOut: true,
      startAction: { trap: true, start: false },
    })
    const world = pair({ left: { connection: { children: reversed ? [mirror, net] : [net, mirror] } } })
    const forwarded = policies(world.left).filter((text) => text.startsWith('fwd'))
    assert.deepEqual(forwarded, ['fwd 10.1.0.0 10.2.0.0 protect 7', 'fwd 10.2.0.0 10.1.0.0 protect 7'])
  }
})

scenario('interface: only what leaves by it meets the policies', () => {
  const world = established({ left: { child: { interface: 'eth0' } } })
  const interfaces = world.left.kernel.policies.map(({ direction, selector }) => [direction, selector.interface])
  assert.deepEqual(Object.fromEntries(interfaces), { out: 'eth0', in: undefined, fwd: undefined })
})

scenario('dscp: IKE packets of the connection say it, before it is known they do not', () => {
  const world = established({ connection: { dscp: 0b101110 } })
  rekey(world.left, 'child')
  world.wait(6)
  assert.deepEqual([...new Set(world.left.sent.map(({ dscp }) => dscp))], [46])
  // A responder knows the connection only when IKE_AUTH has said who asks.
  assert.deepEqual([...new Set(world.right.sent.map(({ dscp }) => dscp))], [undefined, 46])
})
