import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import { Core } from './core.ts'
import { IkeSa } from './ike-sa.ts'

/** RFC 7296 §2.6, §3.1. */
test('SPIs are drawn until one is neither zero nor in use', () => {
  const draws = [1, 0, 1, 2]
  const random = (count: number) => new Uint8Array(count).fill(draws.shift() ?? 3)
  const core = new Core({ random, settings: defaultCoreSettings, strict: true })
  const end = { address: '192.0.2.1', port: 500 }
  const first = core.newSpi()
  new IkeSa(core, { role: 'initiator', spiI: first, spiR: 0n, local: end, remote: end })
  assert.equal(first, 0x0101010101010101n)
  assert.equal(core.newSpi(), 0x0202020202020202n)
})
