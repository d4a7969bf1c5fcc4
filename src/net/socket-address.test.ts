import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodePacketInfo,
  decodeSocketAddress,
  encodePacketInfo,
  encodeSocketAddress,
  encodeTrafficClass,
} from './socket-address.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

const v4 = Uint8Array.of(192, 0, 2, 1)
const v6 = bytes('20010db8 00000000 00000000 00000001')
const linkLocal = bytes('fe800000 00000000 00000000 00000001')

test('sockaddr_in and sockaddr_in6', () => {
  assert.equal(hex(encodeSocketAddress(v4, 500, 3)), '020001f4c00002010000000000000000')
  assert.equal(hex(encodeSocketAddress(v6, 4500, 3)), '0a0011940000000020010db800000000000000000000000100000000')
  assert.equal(hex(encodeSocketAddress(linkLocal, 4500, 3)), '0a00119400000000fe80000000000000000000000000000103000000')
})

test('a sockaddr is read back', () => {
  assert.deepEqual(decodeSocketAddress(encodeSocketAddress(v4, 500, 0)), { address: '192.0.2.1', port: 500, scope: 0 })
  assert.deepEqual(decodeSocketAddress(encodeSocketAddress(v6, 1, 9)), { address: '2001:db8::1', port: 1, scope: 0 })
  assert.deepEqual(decodeSocketAddress(encodeSocketAddress(linkLocal, 1, 9)), { address: 'fe80::1', port: 1, scope: 9 })
  assert.equal(decodeSocketAddress(encodeSocketAddress(v4, 500, 0).subarray(0, 15)), undefined)
  assert.equal(decodeSocketAddress(encodeSocketAddress(v6, 500, 0).subarray(0, 27)), undefined)
  assert.equal(decodeSocketAddress(Uint8Array.of(1, 0, 0x2f)), undefined)
  assert.equal(decodeSocketAddress(new Uint8Array(0)), undefined)
})

test('packet information sets the source', () => {
  assert.equal(
    hex(encodePacketInfo(v4, 0)),
    '1c00000000000000' + '00000000' + '08000000' + '00000000' + 'c0000201' + '00000000' + '00000000',
  )
  assert.equal(
    hex(encodePacketInfo(v6, 5)),
    '2400000000000000' + '29000000' + '32000000' + '20010db8000000000000000000000001' + '00000000' + '00000000',
  )
  assert.equal(hex(encodePacketInfo(linkLocal, 5)).slice(64, 72), '05000000')
})

test('a traffic class goes beside the packet information', () => {
  assert.equal(hex(encodeTrafficClass(4, 0xb8)), '1400000000000000' + '00000000' + '01000000' + 'b8000000' + '00000000')
  assert.equal(hex(encodeTrafficClass(6, 0xb8)), '1400000000000000' + '29000000' + '43000000' + 'b8000000' + '00000000')
})

test('packet information tells the destination, behind other control messages', () => {
  const other = bytes('1400000000000000 01000000 1d000000 aabbccdd 00000000') // SOL_SOCKET, 4 octets, padded
  const info = bytes('1c00000000000000 00000000 08000000 02000000 7f000001 c0000201 00000000')
  assert.deepEqual(decodePacketInfo(Buffer.concat([other, info])), { address: '192.0.2.1', ifindex: 2 })
  assert.deepEqual(decodePacketInfo(encodePacketInfo(linkLocal, 7)), { address: 'fe80::1', ifindex: 7 })
  assert.equal(decodePacketInfo(other), undefined)
  assert.equal(decodePacketInfo(info.subarray(0, 27)), undefined)
  assert.equal(decodePacketInfo(new Uint8Array(128)), undefined) // a length of zero must not loop
  assert.equal(decodePacketInfo(new Uint8Array(128).fill(0xff)), undefined)
})
