import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CPPayload } from '../wire/payloads/index.ts'
import {
  configurationIn,
  configurationReply,
  configurationRequest,
  encodePoolAttribute,
  wishesIn,
} from './configuration.ts'

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

function written({ cfgType, attributes }: CPPayload): string[] {
  return [`${cfgType}`, ...attributes.map(({ type, value }) => `${type} ${Buffer.from(value).toString('hex')}`)]
}

const nothing: CPPayload = { type: 'CP', cfgType: 1, attributes: [] }

test('CFG_REQUEST: any and certain addresses, and name servers of their families', () => {
  assert.deepEqual(written(configurationRequest(['0.0.0.0'])), ['1', '1 ', '3 '])
  assert.deepEqual(written(configurationRequest(['10.0.0.1', '::', 'fec0::1', '0.0.0.0'])), [
    '1',
    '1 0a000001',
    '8 ',
    '8 fec0000000000000000000000000000180',
    '1 ',
    '3 ',
    '10 ',
  ])
})

test('the wishes of a client: an address of zeros, or of a wrong length, is any', () => {
  const attributes = [
    { type: 1, value: hex('') },
    { type: 1, value: hex('00000000') },
    { type: 1, value: hex('0a000001') },
    { type: 1, value: hex('0a0000') },
    { type: 3, value: hex('') },
    { type: 5, value: hex('') }, // INTERNAL_ADDRESS_EXPIRY of RFC 4306: to be ignored
    { type: 8, value: hex('fec00000000000000000000000000001 40') },
    { type: 8, value: hex('fec00000000000000000000000000001') },
    { type: 8, value: hex(`${'00'.repeat(16)} 80`) },
    { type: 16384, value: hex('01') },
  ]
  assert.deepEqual(wishesIn({ ...nothing, attributes }), [
    { family: 4 },
    { family: 4 },
    { family: 4, address: '10.0.0.1' },
    { family: 4 },
    { family: 6, address: 'fec0::1' },
    { family: 6, address: 'fec0::1' },
    { family: 6 },
  ])
})

test('CFG_REPLY: addresses, attributes, and what the client wants to know of us', () => {
  const request = { ...nothing, attributes: [7, 14].map((type) => ({ type, value: hex('') })) }
  const dns = { name: 'dns', values: ['10.2.0.53', 'fec2::53'] }
  assert.deepEqual(written(configurationReply(request, ['10.77.0.1', 'fec7::1'], [dns])), [
    '2',
    '1 0a4d0001',
    '8 fec7000000000000000000000000000180',
    '3 0a020035',
    '10 fec20000000000000000000000000053',
    '7 ',
    '14 000100080007000e',
  ])
  assert.deepEqual(written(configurationReply(nothing, [], [])), ['2'])
})

test('a netmask goes with an IPv4 address, and there is one at most', () => {
  const netmask = { name: 'netmask', values: ['255.255.255.0', '255.255.0.0'] }
  assert.deepEqual(written(configurationReply(nothing, ['10.77.0.1'], [netmask, netmask])), [
    '2',
    '1 0a4d0001',
    '2 ffffff00',
  ])
  assert.deepEqual(written(configurationReply(nothing, ['fec7::1'], [netmask])).slice(2), [])
})

test('what a gateway gives: addresses and name servers; the rest is passed over', () => {
  const attributes = [
    { type: 1, value: hex('0a4d0001') },
    { type: 1, value: hex('') },
    { type: 1, value: hex('00000000') },
    { type: 2, value: hex('ffffffff') },
    { type: 3, value: hex('0a020035') },
    { type: 3, value: hex('0a02') },
    { type: 8, value: hex('fec7000000000000000000000000000140') },
    { type: 10, value: hex('fec20000000000000000000000000053') },
    { type: 30000, value: hex('0a020035') },
  ]
  assert.deepEqual(configurationIn({ ...nothing, attributes }), {
    addresses: ['10.77.0.1', 'fec7::1'],
    nameServers: ['10.2.0.53', 'fec2::53'],
  })
})

const attributes: readonly (readonly [name: string, value: string, written: string])[] = [
  ['address', '10.0.0.1', '1 0a000001'],
  ['address', 'fec0::1', '8 fec0000000000000000000000000000180'],
  ['netmask', '255.255.255.0', '2 ffffff00'],
  ['nbns', '10.0.0.1', '4 0a000001'],
  ['dhcp', '10.0.0.1', '6 0a000001'],
  ['p_cscf', '10.0.0.1', '20 0a000001'],
  ['server', '10.0.0.1', '23456 0a000001'],
  ['subnet', '10.3.0.0/16', '13 0a030000ffff0000'],
  ['subnet', '10.3.4.5/16', '13 0a030000ffff0000'],
  ['subnet', '0.0.0.0/0', '13 0000000000000000'],
  ['subnet', '10.3.4.5', '13 0a030405ffffffff'],
  ['subnet', 'fec3::/64', '15 fec3000000000000000000000000000040'],
  ['split_include', '10.3.0.0/16', '28676 0a030000ffff0000000000000000'],
  ['split_exclude', '10.3.0.0/24', '28677 0a030000ffffff00000000000000'],
  ['28672', 'welcome', '28672 77656c636f6d65'],
]

for (const [name, value, expected] of attributes) {
  test(`pool attribute ${name} = ${value}`, () => {
    const encoded = encodePoolAttribute({ name, values: [value] })
    assert.deepEqual(written({ ...nothing, attributes: encoded }).slice(1), [expected])
  })
}

test('an IPv6 subnet has no form in the attributes of Unity', () => {
  assert.deepEqual(encodePoolAttribute({ name: 'split_include', values: ['fec3::/64'] }), [])
})
