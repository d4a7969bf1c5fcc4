import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countCrossings } from './rekeys.ts'
import { readPings, readStream } from './traffic.ts'

const reply = (seq: number): string => `64 bytes from 10.2.0.10: icmp_seq=${seq} ttl=64 time=1 ms\n`
const ended = (sent: number): string => `\n${sent} packets transmitted, 0 received\n`

test('a ping that did not come back though a later one did is lost', () => {
  assert.deepEqual(readPings(`${reply(1)}${reply(4)}${reply(3)}${ended(5)}`), { came: 3, lost: [2] })
})

test('pings that are still on their way at the end are not lost, a silent second is', () => {
  assert.deepEqual(readPings(`${reply(1)}${ended(50)}`).lost, [])
  assert.equal(readPings(`${reply(1)}${ended(100)}`).lost.length, 99)
})

test('what a stream lost is summed over its intervals', () => {
  const report = { intervals: [{ sum: { packets: 125, lost_packets: 0 } }, { sum: { packets: 120, lost_packets: 5 } }] }
  assert.deepEqual(readStream(JSON.stringify(report)), { packets: 245, lost: 5 })
})

test('requests cross when the second is sent before the first is answered', () => {
  const message = (from: string, isResponse: boolean) => ({ exchange: 36, isResponse, from })
  const crossing = [message('moon', false), message('sun', false), message('sun', true), message('moon', true)]
  const inTurn = [message('moon', false), message('sun', true), message('sun', false), message('moon', true)]
  assert.equal(countCrossings(crossing), 1)
  assert.equal(countCrossings(inTurn), 0)
  assert.equal(countCrossings([...inTurn, ...crossing, ...crossing]), 2)
})
