import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCapture } from './pcap.ts'

const fileHeader = 'd4c3b2a1020004000000000000000000000004000100000'.padEnd(48, '0')

/** A file with one IPv4 packet of the given protocol. */
function captured(protocol: number, body: string): Buffer {
  const length = 20 + body.length / 2
  const word = (n: number): string => n.toString(16).padStart(4, '0')
  const ip = `4500${word(length)}00000000ff${protocol.toString(16).padStart(2, '0')}0000c0a80001c0a80002`
  const frame = Buffer.from(`020000000002020000000001${'0800'}${ip}${body}`, 'hex')
  const record = Buffer.alloc(16)
  record.writeUInt32LE(frame.length, 8)
  record.writeUInt32LE(frame.length, 12)
  return Buffer.concat([Buffer.from(fileHeader, 'hex'), record, frame])
}

test('ESP is counted by its source', () => {
  assert.deepEqual(readCapture(captured(50, 'c1234567000000010011223344')).esp, ['192.168.0.1'])
})

test('an ICMP packet is something that should have been protected', () => {
  assert.deepEqual(readCapture(captured(1, '0800000000000000')).plain, ['ICMP from 192.168.0.1 to 192.168.0.2'])
})

test('an ICMP error about a datagram to an IKE port is none of it', () => {
  const about = (port: string): string =>
    `0303000000000000${'4500002c000000004011000'.padEnd(40, '0')}1194${port}00000000`
  assert.deepEqual(readCapture(captured(1, about('1194'))).plain, [])
  assert.equal(readCapture(captured(1, about('0035'))).plain.length, 1)
})

test('ESP in UDP and IKE on port 4500 differ by the non-ESP marker', () => {
  const udp = '1194119400640000'
  const esp = readCapture(captured(17, `${udp}c123456700000001${'00'.repeat(40)}`))
  assert.deepEqual([esp.espInUdp.length, esp.ike.length], [1, 0])
  const header = `${'11'.repeat(8)}${'22'.repeat(8)}352023080000000100000050`
  const ike = readCapture(captured(17, `${udp}00000000${header}${'00'.repeat(20)}`))
  assert.deepEqual([ike.espInUdp.length, ike.ike.length], [0, 1])
  assert.deepEqual([ike.ike[0]?.exchange, ike.ike[0]?.isFragment, ike.ike[0]?.messageId], [35, true, 1])
})

test('the notifies of a response in the clear are listed', () => {
  const notify = '0000000a00000011001f'
  const header = `${'11'.repeat(8)}${'22'.repeat(8)}2920222000000000${'00000026'}`
  const seen = readCapture(captured(17, `01f401f4002e0000${header}${notify}`))
  assert.deepEqual(seen.ike[0]?.notifies, [17])
  assert.equal(seen.ike[0]?.isResponse, true)
})

test('a last frame that is cut is left out', () => {
  const file = captured(50, 'c123456700000001')
  assert.deepEqual(readCapture(file.subarray(0, file.length - 1)).esp, [])
})
