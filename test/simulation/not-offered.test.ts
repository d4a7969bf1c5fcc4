/** Extensions that we do not have are neither announced nor answered, and do no harm (RFC 7296 §3.10). */
import assert from 'node:assert/strict'
import { notify } from '../../src/ike/notifies.ts'
import { EXCHANGE, NOTIFY } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { BareInitiator } from './bare-initiator.ts'
import { hybridEsp, ikeProposal } from './connection.ts'
import { onlySa } from './expect.ts'
import { established, pair } from './pair.ts'
import { scenario } from './scenario.ts'

const types = (payloads: readonly Payload[] = []): number[] =>
  payloads.flatMap((payload) => (payload.type === 'N' ? [payload.notify] : []))

for (const [extension, asked, answers] of [
  [
    'session resumption',
    [NOTIFY.TICKET_REQUEST],
    [NOTIFY.TICKET_LT_OPAQUE, NOTIFY.TICKET_ACK, NOTIFY.TICKET_NACK, NOTIFY.TICKET_OPAQUE],
  ],
  ['per-resource Child SAs', [NOTIFY.SA_RESOURCE_INFO], [NOTIFY.TS_MAX_QUEUE]],
] as const) {
  scenario(`${extension}: the notifies of a peer are ignored`, () => {
    const world = pair({ right: { connection: { proposals: [ikeProposal()] } } })
    const peer = new BareInitiator(world, ikeProposal())
    const more = asked.map((type) => notify(type, Uint8Array.of(1, 2, 3)))
    const heard = types(peer.init({ announces: more }))
    heard.push(...types(peer.auth({ more })), ...types(peer.exchange(EXCHANGE.INFORMATIONAL, more)?.payloads))
    for (const type of [...asked, ...answers]) assert.ok(!heard.includes(type))
    assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  })

  scenario(`${extension} is not asked for`, () => {
    const world = established({ esp: [hybridEsp([])] })
    for (const select of [{ ike: 'lab' }, { child: 'net' }]) {
      world.left.command({ kind: 'rekey', select, reauth: false })
      world.wait(10)
    }
    const labels = world.hosts.flatMap(({ sent }) => sent.map(({ label }) => label))
    assert.ok(labels.length > 8)
    const names = extension === 'session resumption' ? /TKT|TICKET/ : /RESOURCE|RES_INFO/
    assert.deepEqual(
      labels.filter((label) => names.test(label)),
      [],
    )
  })
}

scenario('session resumption: IKE_SESSION_RESUME is not answered', () => {
  const world = pair()
  const octets = Buffer.alloc(28)
  octets.writeBigUInt64BE(1n)
  octets.writeUInt8(0x20, 17)
  octets.writeUInt8(EXCHANGE.IKE_SESSION_RESUME, 18)
  octets.writeUInt8(0x08, 19)
  octets.writeUInt32BE(28, 24)
  world.inject(world.right, { address: '192.0.2.1', port: 500 }, octets)
  assert.deepEqual([world.right.sent, world.right.sas()], [[], []])
})
