import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from './errors.ts'
import { decodeRedirect, encodeRedirect, type Gateway, parseGateway } from './redirect.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

const known: readonly (readonly [string, Gateway, string])[] = [
  ['an IPv4 address', { kind: 'address', address: '192.0.2.7' }, '01 04 c0000207'],
  ['an IPv6 address', { kind: 'address', address: '2001:db8::7' }, '02 10 20010db8000000000000000000000007'],
  ['a name', { kind: 'name', name: 'gw.lab' }, '03 06 67772e6c6162'],
]

for (const [what, gateway, hex] of known) {
  test(`${what}, alone and with a nonce behind it`, () => {
    assert.deepEqual(new Uint8Array(encodeRedirect(gateway)), bytes(hex))
    assert.deepEqual(decodeRedirect(bytes(hex)), { gateway, nonce: new Uint8Array() })
    const nonce = bytes('0102030405060708090a0b0c0d0e0f10')
    assert.deepEqual(decodeRedirect(encodeRedirect(gateway, nonce)), { gateway, nonce })
  })
}

for (const [what, hex] of [
  ['nothing', ''],
  ['a type that is not known', '04 04 c0000207'],
  ['an IPv4 address of three octets', '01 03 c00002'],
  ['an IPv6 address of four octets', '02 04 c0000207'],
  ['less than its length says', '03 06 6777'],
  ['an empty name', '03 00'],
  ['a name with a blank', '03 03 612062'],
  ['a name with a zero octet', '03 03 610062'],
] as const) {
  test(`no gateway: ${what}`, () => {
    assert.throws(() => decodeRedirect(bytes(hex)), DecodeError)
  })
}

test('gateways as an operator writes them', () => {
  assert.deepEqual(parseGateway('192.0.2.7'), { kind: 'address', address: '192.0.2.7' })
  assert.deepEqual(parseGateway('2001:DB8:0::7'), { kind: 'address', address: '2001:db8::7' })
  assert.deepEqual(parseGateway('gw2.lab.org'), { kind: 'name', name: 'gw2.lab.org' })
  for (const text of ['', '%any', '192.0.2.256', 'gw@lab', '-gw', 'a b', 'C=CH, CN=gw', 'a..b']) {
    assert.equal(parseGateway(text), undefined, text)
  }
})
