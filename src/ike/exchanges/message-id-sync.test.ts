import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { seededRandom } from '../../crypto/random.ts'
import { ENCR, ESN, NOTIFY, TRANSFORM_TYPE } from '../../wire/numbers.ts'
import type { ChildSa } from '../child-sa.ts'
import { Core } from '../core.ts'
import { IkeSa } from '../ike-sa.ts'
import { notify } from '../notifies.ts'
import { sleep } from '../script.ts'
import { synchronizeCounters } from './message-id-sync.ts'

const outbound = (spi: number) => ({ protocol: 'ESP', spi, source: '192.0.2.1', destination: '192.0.2.2' }) as const

/** An IKE SA with two children; one is not installed yet. */
function ikeSa(esn: number): { readonly core: Core; readonly sa: IkeSa } {
  const core = new Core({ random: seededRandom(Buffer.from('sync')), settings: defaultCoreSettings, strict: true })
  const remote = { address: '192.0.2.2', port: 500 }
  const sa = new IkeSa(core, {
    role: 'initiator',
    spiI: 1n,
    spiR: 2n,
    local: { address: '192.0.2.1', port: 500 },
    remote,
  })
  sa.state = 'ESTABLISHED'
  sa.sync = { messageIds: true, replayCounters: true }
  const transforms = [
    { type: TRANSFORM_TYPE.ENCR, id: ENCR.AES_GCM_16, keyBits: 128 },
    { type: TRANSFORM_TYPE.ESN, id: esn },
  ]
  for (const spi of [7, 8, undefined]) {
    // What is read of a Child SA.
    const child = {
      uniqueId: spi ?? 0,
      name: 'net',
      outboundId: spi === undefined ? undefined : outbound(spi),
      agreement: { selected: { protocol: 'ESP', number: 1, spi: new Uint8Array(), transforms } },
    } as unknown as ChildSa
    sa.children.set(child.uniqueId, child)
  }
  sa.enqueue({ names: ['IKE_OTHER'], script: () => sleep(1000), failed() {} }) // whatever comes waits behind it
  return { core, sa }
}

function skipped(core: Core): [number, bigint][] {
  return core.takeOutputs().flatMap((output) => {
    if (output.kind !== 'job' || output.job.kind !== 'kernel') return []
    const { operation } = output.job
    return operation.kind === 'skip-sequence' ? [[operation.id.spi, operation.by] as [number, bigint]] : []
  })
}

const asking = (...data: number[]) => [notify(NOTIFY.IPSEC_REPLAY_COUNTER_SYNC, Uint8Array.from(data))]

test('R6311-5-8, R6311-5.2-4, R6311-6.4-1: the sequence numbers of all Child SAs go up by what is asked for', () => {
  for (const [esn, data, by] of [
    [ESN.NO_ESN, [0, 1, 0, 2], 0x1_0002n],
    [ESN.ESN, [0, 0, 0, 1, 0, 0, 0, 2], 0x1_0000_0002n],
  ] as const) {
    const { core, sa } = ikeSa(esn)
    synchronizeCounters(sa, asking(...data))
    assert.deepEqual(skipped(core), [
      [7, by],
      [8, by],
    ])
    assert.equal(sa.queuedTasks.length, by >= 1n << 30n ? 2 : 0, 'after a large jump they are rekeyed')
    synchronizeCounters(sa, asking(...data.slice(1)))
    assert.deepEqual(skipped(core), [], 'of another length than the sequence numbers')
  }
})

test('R6311-5-3: what was not agreed on changes nothing', () => {
  const { core, sa } = ikeSa(ESN.NO_ESN)
  sa.sync = { messageIds: true, replayCounters: false }
  synchronizeCounters(sa, asking(0, 1, 0, 2))
  assert.deepEqual(skipped(core), [])
})
