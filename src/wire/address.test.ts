import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { familyOf, formatAddress, parseAddress } from './address.ts'
import { formatEndpoint } from './endpoint.ts'

for (const [text, hex, canonical = text] of [
  ['0.0.0.0', '00000000'],
  ['192.0.2.1', 'c0000201'],
  ['255.255.255.255', 'ffffffff'],
  ['::', '00'.repeat(16)],
  ['::1', `${'00'.repeat(15)}01`],
  ['1::', `0001${'00'.repeat(14)}`],
  ['2001:db8::1', '20010db8000000000000000000000001'],
  ['2001:DB8:0:0:0:0:0:1', '20010db8000000000000000000000001', '2001:db8::1'],
  ['2001:0db8::0001', '20010db8000000000000000000000001', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'], // RFC 5952 §4.2.2: not one group alone
  ['2001:db8::1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1::1', '20010000000000010000000000000001'], // §4.2.3: the longer run
  ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'], // §4.2.3: the first of equal ones
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ['::ffff:c000:201', '00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7.8.9.10', '0001000200030004000500060708090a', '1:2:3:4:5:6:708:90a'],
  ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
] as const) {
  test(`address ${text}`, () => {
    const octets = parseAddress(text)
    assert.deepEqual(octets, new Uint8Array(Buffer.from(hex, 'hex')))
    assert.equal(formatAddress(octets), canonical)
  })
}

for (const text of [
  ...[
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.-4',
    '1..2.3',
    '0x1.2.3.4',
    '1.2.3.4/8',
  ],
  ...[
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
  ],
  ...[
    '1.2.3.4::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    'fe80::1%eth0',
    ':1::',
    '::1:',
    `::${'0'.repeat(60)}`,
  ],
]) {
  test(`no address: "${text.slice(0, 30)}"`, () => {
    assert.equal(parseAddress(text), undefined)
    assert.equal(isIP(text.replace('%eth0', '!')), 0) // Node agrees, but for zones
  })
}

test('property: every address reads back from its text, which Node accepts', () => {
  const sparse = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .chain((octets) =>
      fc
        .array(fc.boolean(), { minLength: 8, maxLength: 8 })
        .map((zero) => octets.map((o, i) => (zero[i >> 1] ? 0 : o))),
    )
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), sparse), (octets) => {
      const text = formatAddress(octets)
      assert.deepEqual(parseAddress(text), octets)
      assert.equal(isIP(text), octets.length === 4 ? 4 : 6)
      assert.equal(familyOf(text), familyOf(octets))
      // Node's URL serializer writes RFC 5952, but knows no dotted tails.
      if (octets.length === 16 && !text.includes('.')) assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`)
    }),
  )
})

test('what is no address has no family', () => {
  assert.throws(() => familyOf('moon'), RangeError)
  assert.throws(() => familyOf(new Uint8Array(5)), RangeError)
  assert.throws(() => formatAddress(new Uint8Array(5)), RangeError)
})

test('an endpoint as in the log', () => {
  assert.equal(formatEndpoint({ address: '192.0.2.1', port: 4500 }), '192.0.2.1[4500]')
})
