/** What a peer is told while a request of ours is on its way: RFC 7296 §2.25.1 and §2.25.2, sentence by sentence. */
import assert from 'node:assert/strict'
import { proposalOf } from '../../src/ike/proposals.ts'
import { EXCHANGE, KE, NOTIFY, PROTOCOL } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { ikeProposal } from './connection.ts'
import type { Host } from './host.ts'
import { childOf, esp, names, nonce, notify, selectors, spi, type Up, up } from './peer.ts'
import { rekey, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'

/** What the host has asked, and waits for an answer to. */
const ours = {
  'closes the Child SA': (host: Host) => terminate(host, 'child'),
  'rekeys the Child SA': (host: Host) => rekey(host, 'child'),
  'creates a Child SA': (host: Host) => host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 }),
  'rekeys the IKE SA': (host: Host) => rekey(host, 'IKE SA'),
  'closes the IKE SA': (host: Host) => terminate(host, 'IKE SA'),
} as const

const offer: Payload[] = [
  { type: 'SA', proposals: [{ ...esp, spi: Uint8Array.of(5, 5, 5, 5) }] },
  nonce,
  ...selectors(),
]
const value: Payload = { type: 'KE', method: KE.CURVE_25519, data: new Uint8Array(32).fill(9) }
const ike: Payload = { type: 'SA', proposals: [proposalOf(ikeProposal(), 1, new Uint8Array(8).fill(3))] }

/** What the peer asks meanwhile. */
const theirs: Readonly<Record<string, readonly [exchange: number, payloads: readonly Payload[]]>> = {
  'rekey it': [EXCHANGE.CREATE_CHILD_SA, [notify(NOTIFY.REKEY_SA, { protocol: PROTOCOL.ESP, spi }), ...offer]],
  'close it': [EXCHANGE.INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.ESP, spiSize: 4, spis: [spi] }]],
  'create another Child SA': [EXCHANGE.CREATE_CHILD_SA, offer],
  'rekey the IKE SA': [EXCHANGE.CREATE_CHILD_SA, [ike, nonce, value]],
  'close the IKE SA': [EXCHANGE.INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.IKE, spiSize: 0, spis: [] }]],
}

const later = ['N(TEMPORARY_FAILURE)']
const child = ['SA', 'Nonce', 'TSi', 'TSr']

const rules: readonly (readonly [ours: keyof typeof ours, theirs: keyof typeof theirs, told: readonly string[]])[] = [
  ['closes the Child SA', 'rekey it', later],
  ['rekeys the Child SA', 'rekey it', child],
  ['closes the Child SA', 'close it', []],
  ['rekeys the Child SA', 'close it', ['D']],
  ['creates a Child SA', 'rekey the IKE SA', later],
  ['rekeys the Child SA', 'rekey the IKE SA', later],
  ['closes the Child SA', 'rekey the IKE SA', later],
  ['rekeys the IKE SA', 'rekey the IKE SA', ['SA', 'Nonce', 'KE']],
  ['closes the IKE SA', 'rekey the IKE SA', later],
  ['rekeys the IKE SA', 'close the IKE SA', []],
  ['closes the IKE SA', 'close the IKE SA', []],
  ['rekeys the IKE SA', 'create another Child SA', later],
  ['rekeys the IKE SA', 'rekey it', later],
  ['rekeys the IKE SA', 'close it', ['D']],
]

function begin(what: keyof typeof ours): Up {
  const { world, peer } = up({}, what === 'creates a Child SA' ? [] : childOf())
  ours[what](world.right)
  world.finishJobs()
  assert.notEqual(peer.asked().payloads.length, 0)
  return { world, peer }
}

for (const [what, request, told] of rules) {
  /**
   *    |-- ours ---.   .--- theirs --|
   *    |<-----------\-/              |
   *    |-- told      \-------------->|
   */
  scenario(`a host that ${what} is asked to ${request}`, () => {
    const { world, peer } = begin(what)
    const [exchange, payloads] = theirs[request] ?? []
    assert.ok(exchange !== undefined && payloads !== undefined)
    assert.deepEqual(names(peer.exchange(exchange, payloads)?.payloads), told)
    // §2.25.2: a close of the peer ends what we were about.
    if (request === 'close the IKE SA') assert.deepEqual(world.right.sas(), [])
    else assert.ok(world.right.sas().length > 0)
  })
}
