/** Message IDs of an IKE SA that lives for very long (RFC 7296 §2.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection } from '../../test/simulation/connection.ts'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import { seededRandom } from '../crypto/random.ts'
import { EXCHANGE } from '../wire/numbers.ts'
import { Core } from './core.ts'
import { ExchangeTimeout } from './errors.ts'
import { IkeSa } from './ike-sa.ts'
import { scheduleLifetime } from './lifetimes.ts'
import type { Output } from './output.ts'
import { request } from './script.ts'
import { Sending } from './sending.ts'

/** An IKE SA that is never rekeyed by time; without keys, so that its messages can be read. */
function ikeSa(): IkeSa {
  const core = new Core({ random: seededRandom(Buffer.from('ids')), settings: defaultCoreSettings, strict: true })
  const [local, remote] = ['192.0.2.1', '192.0.2.2'].map((address) => ({ address, port: 500 }))
  assert.ok(local && remote)
  const lasting = connection({ name: 'lab', rekeySeconds: 0 })
  const sa = new IkeSa(core, { role: 'initiator', spiI: 1n, spiR: 2n, local, remote, connection: lasting })
  sa.established()
  scheduleLifetime(sa)
  return sa
}

function ask(sa: IkeSa): { error: Error | undefined } {
  const outcome: { error: Error | undefined } = { error: undefined }
  sa.enqueue({
    names: ['IKE_DPD'],
    *script() {
      yield* request(EXCHANGE.INFORMATIONAL, [])
    },
    failed: (error) => {
      outcome.error = error
    },
  })
  return outcome
}

function sentIds(outputs: readonly Output[]): number[] {
  return outputs.flatMap((output) => (output.kind === 'send' ? [Buffer.from(output.bytes).readUInt32BE(20)] : []))
}

const queued = (sa: IkeSa) => sa.dialogue.queuedTasks.map(({ names }) => names[0])

test('the IKE SA is rekeyed before the IDs of our requests come to an end', () => {
  const sa = ikeSa()
  ask(sa)
  assert.deepEqual(queued(sa), [])
  const late = ikeSa()
  late.dialogue.startOver(0xffff_0001)
  ask(late)
  assert.deepEqual(sentIds(late.core.takeOutputs()), [0xffff_0001])
  assert.deepEqual(queued(late), ['IKE_REKEY'])
})

test('the IDs of the requests of the peer count as well, and it is said once', () => {
  const sending = new Sending(ikeSa())
  let said = 0
  sending.whenIdsRunOut = () => void said++
  const answer = { exchange: EXCHANGE.INFORMATIONAL, response: true, payloads: [] }
  sending.encode({ ...answer, messageId: 0xfffe_ffff })
  assert.equal(said, 0)
  for (const messageId of [0xffff_0001, 0xffff_0002]) sending.encode({ ...answer, messageId })
  assert.equal(said, 1)
})

test('after the last ID nothing is asked any more, as if the peer were silent', () => {
  const last = ikeSa()
  last.dialogue.startOver(0xffff_ffff)
  assert.equal(ask(last).error, undefined)
  assert.deepEqual(sentIds(last.core.takeOutputs()), [0xffff_ffff])
  const sa = ikeSa()
  sa.dialogue.startOver(0x1_0000_0000)
  const outcome = ask(sa)
  assert.ok(outcome.error instanceof ExchangeTimeout)
  assert.deepEqual(sentIds(sa.core.takeOutputs()), [])
})
