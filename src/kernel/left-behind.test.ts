import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leftBehind } from './left-behind.ts'

const us = '192.0.2.1'
const [peer, other] = ['192.0.2.2', '192.0.2.3']
const local = new Set([us])
const spis = { min: 0xc0000000, max: 0xcfffffff }

test('a pair of states of ours and its policies are left behind, whatever SPI the peer has chosen', () => {
  const inbound = { spi: 0xc0000001, source: peer, destination: us, reqid: 1 }
  const outbound = { spi: 0x1234, source: us, destination: peer, reqid: 1 }
  const left = leftBehind([outbound, inbound], local, spis)
  assert.ok(left.hasState(inbound) && left.hasState(outbound))
  assert.ok(left.hasPolicy([{ reqid: 1, source: us, destination: peer }]))
  assert.ok(left.hasPolicy([{ reqid: 1, source: peer, destination: us }]))
  assert.ok(left.hasPolicy([{ reqid: 1 }]), 'transport mode')
  assert.ok(!left.hasPolicy([]), 'a policy that lets pass or blocks')
})

test('what has another reqid, other ends, or was keyed by hand is not ours', () => {
  const inbound = { spi: 0xc0000001, source: peer, destination: us, reqid: 1 }
  const left = leftBehind([inbound], local, spis)
  assert.ok(!left.hasState({ spi: 0xc0000002, source: other, destination: us, reqid: 1 }))
  assert.ok(!left.hasState({ spi: 0xc0000002, source: us, destination: peer, reqid: 2 }))
  assert.ok(!left.hasPolicy([{ reqid: 1, source: us, destination: other }]))
  assert.ok(!left.hasPolicy([{ reqid: 2 }]))
  for (const state of [
    { ...inbound, spi: 0x1000 },
    { ...inbound, reqid: 0 },
    { ...inbound, source: us, destination: peer },
  ]) {
    assert.ok(!leftBehind([state], local, spis).hasState(state), JSON.stringify(state))
  }
})
