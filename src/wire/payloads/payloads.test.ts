import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodePayloads, encodePayloads, payloadNumber } from '../message.ts'
import type { Payload } from './index.ts'

/** Literal bodies, behind the generic header, and what they say. */
const bodies: readonly [what: string, hex: string, payload: Payload][] = [
  [
    'SA: an IKE proposal with AES-CBC-128 and an ESP proposal with two transforms',
    `02 00 002c 01 01 00 04
       03 00 000c 01 00 000c 800e 0080
       03 00 0008 02 00 0005
       03 00 0008 03 00 000c
       00 00 0008 04 00 0013
     00 00 0024 02 03 04 02 c1c2c3c4
       03 00 0010 01 00 0014 800e 0100 8001 0203
       00 00 0008 05 00 0001`,
    {
      type: 'SA',
      proposals: [
        {
          number: 1,
          protocol: 1,
          spi: bytes(''),
          transforms: [
            { type: 1, id: 12, keyBits: 128 },
            { type: 2, id: 5 },
            { type: 3, id: 12 },
            { type: 4, id: 19 },
          ],
        },
        {
          number: 2,
          protocol: 3,
          spi: bytes('c1c2c3c4'),
          transforms: [
            {
              type: 1,
              id: 20,
              keyBits: 256,
              unknownAttributes: [{ type: 1, value: bytes('0203'), short: true }],
            },
            { type: 5, id: 1 },
          ],
        },
      ],
    },
  ],
  [
    'SA: a second Key Length, and one in the long form, are attributes that we do not know',
    `00 00 0023 01 03 04 01 00000001
       00 00 0017 01 00 0014 800e 0080 800e 0100 000e 0003 010203`,
    {
      type: 'SA',
      proposals: [
        {
          number: 1,
          protocol: 3,
          spi: bytes('00000001'),
          transforms: [
            {
              type: 1,
              id: 20,
              keyBits: 128,
              unknownAttributes: [
                { type: 14, value: bytes('0100'), short: true },
                { type: 14, value: bytes('010203'), short: false },
              ],
            },
          ],
        },
      ],
    },
  ],
  ['SA: no proposal', '', { type: 'SA', proposals: [] }],
  ['KE', '001f 0000 aabbcc', { type: 'KE', method: 31, data: bytes('aabbcc') }],
  ['IDi: an address', '01 000000 c0000201', { type: 'IDi', idType: 1, data: bytes('c0000201') }],
  ['IDr: a name', '02 000000 6d6f6f6e', { type: 'IDr', idType: 2, data: bytes('6d6f6f6e') }],
  [
    'IDr: an IPv6 address',
    '05 000000 20010db8000000000000000000000001',
    { type: 'IDr', idType: 5, data: bytes('20010db8000000000000000000000001') },
  ],
  ['IDi: ID_NULL', '0d 000000', { type: 'IDi', idType: 13, data: bytes('') }],
  ['CERT', '04 3082', { type: 'CERT', encoding: 4, data: bytes('3082') }],
  ['CERTREQ', '04 0102', { type: 'CERTREQ', encoding: 4, data: bytes('0102') }],
  ['AUTH', '0e 000000 0c30', { type: 'AUTH', method: 14, data: bytes('0c30') }],
  ['Nonce: 16 octets', '11'.repeat(16), { type: 'Nonce', nonce: bytes('11'.repeat(16)) }],
  ['Nonce: 256 octets', '11'.repeat(256), { type: 'Nonce', nonce: bytes('11'.repeat(256)) }],
  [
    'N: REKEY_SA for an ESP SPI',
    '03 04 4009 c1c2c3c4',
    { type: 'N', protocol: 3, spi: bytes('c1c2c3c4'), notify: 16393, data: bytes('') },
  ],
  ['N: a cookie', '00 00 4006 0102', { type: 'N', protocol: 0, spi: bytes(''), notify: 16390, data: bytes('0102') }],
  ['D: the IKE SA', '01 00 0000', { type: 'D', protocol: 1, spiSize: 0, spis: [] }],
  [
    'D: two ESP SAs',
    '03 04 0002 00000001 00000002',
    { type: 'D', protocol: 3, spiSize: 4, spis: [bytes('00000001'), bytes('00000002')] },
  ],
  ['V', '4d79', { type: 'V', data: bytes('4d79') }],
  [
    'TSi: a subnet with TCP port 80, one IPv6 host, and a security label',
    `03 000000
       07 06 0010 0050 0050 0a010000 0a01ffff
       08 00 0028 0000 ffff 20010db8000000000000000000000001 20010db8000000000000000000000001
       0a 00 0007 010203`,
    {
      type: 'TSi',
      selectors: [
        {
          kind: 'address',
          family: 4,
          protocol: 6,
          startPort: 80,
          endPort: 80,
          start: bytes('0a010000'),
          end: bytes('0a01ffff'),
        },
        {
          kind: 'address',
          family: 6,
          protocol: 0,
          startPort: 0,
          endPort: 65535,
          start: bytes('20010db8000000000000000000000001'),
          end: bytes('20010db8000000000000000000000001'),
        },
        { kind: 'other', tsType: 10, protocol: 0, data: bytes('010203') },
      ],
    },
  ],
  [
    'TSr: a start above the end, and OPAQUE ports, are kept',
    '01 000000 07 00 0010 ffff 0000 0a01ffff 0a010000',
    {
      type: 'TSr',
      selectors: [
        {
          kind: 'address',
          family: 4,
          protocol: 0,
          startPort: 65535,
          endPort: 0,
          start: bytes('0a01ffff'),
          end: bytes('0a010000'),
        },
      ],
    },
  ],
  [
    'CP: a request with an empty and a filled attribute',
    '01 000000 0001 0000 0003 0004 01010101',
    {
      type: 'CP',
      cfgType: 1,
      attributes: [
        { type: 1, value: bytes('') },
        { type: 3, value: bytes('01010101') },
      ],
    },
  ],
  ['EAP: a request for the identity', '01 07 0005 01', { type: 'EAP', data: bytes('0107000501') }],
  ['EAP: success', '03 07 0004', { type: 'EAP', data: bytes('03070004') }],
]

for (const [what, hex, payload] of bodies) {
  test(what, () => {
    const chain = generic(bytes(hex))
    assert.deepEqual(decodePayloads(payloadNumber(payload), chain), [payload])
    assert.deepEqual(encodePayloads([payload]), { first: payloadNumber(payload), bytes: chain })
  })
}

/** Bodies that have not the form of their payload, and the place and reason that the error names. */
const refused: readonly [what: string, number: number, hex: string, message: string][] = [
  ['a proposal cut off', 33, '00 00 0008 01 01 00', 'SA at offset 8: 4 octets wanted, 3 left'],
  ['a proposal too short', 33, '00 00 0003', 'SA at offset 8: proposal 0 is 3 octets long'],
  ['a proposal without its own fields', 33, '00 00 0004', 'SA.proposal[0] at offset 8: 1 octets wanted, 0 left'],
  [
    'a last proposal that says there are more',
    33,
    '02 00 0008 01 01 00 00',
    'SA at offset 12: "last substructure" is 2 with 0 octets left',
  ],
  [
    'a proposal behind the last one',
    33,
    '00 00 0008 01 01 00 00 00 00 0008 01 01 00 00',
    'SA at offset 12: "last substructure" is 0 with 8 octets left',
  ],
  [
    'fewer transforms than announced',
    33,
    '00 00 0008 01 01 00 01',
    'SA.proposal[0] at offset 12: 0 transforms, not the 1 announced',
  ],
  [
    'more transforms than announced',
    33,
    '00 00 0010 01 01 00 00 00 00 0008 01 00 000c',
    'SA.proposal[0] at offset 20: more transforms than the 0 announced',
  ],
  [
    'an ESP SPI of three octets',
    33,
    '00 00 000b 01 03 03 00 010203',
    'SA.proposal[0] at offset 12: an SPI of 3 octets for protocol 3',
  ],
  [
    'an attribute that is longer than its transform',
    33,
    '00 00 0014 01 01 00 01 00 00 000c 01 00 000c 0001 0001',
    'SA.proposal[0].transform[0] at offset 24: 1 octets wanted, 0 left',
  ],
  [
    'a transform with 17 attributes that we do not know',
    33,
    `00 00 0054 01 01 00 01 00 00 004c 01 00 000c ${'80010000'.repeat(17)}`,
    'SA.proposal[0].transform[0] at offset 88: more than 16 odd attributes',
  ],
  ['a KE payload without a method', 34, '00', 'KE at offset 4: 2 octets wanted, 1 left'],
  [
    'an identification that is no IPv4 address',
    35,
    '01 000000 c00002',
    'IDi at offset 8: an address of 3 octets in an identification of type 1',
  ],
  ['a certificate without encoding', 37, '', 'CERT at offset 4: 1 octets wanted, 0 left'],
  ['an AUTH payload cut off', 39, '0e 0000', 'AUTH at offset 5: 3 octets wanted, 2 left'],
  ['a nonce too short', 40, '11'.repeat(15), 'Nonce at offset 4: a nonce has 16 to 256 octets, not 15'],
  ['a nonce too long', 40, '11'.repeat(257), 'Nonce at offset 4: a nonce has 16 to 256 octets, not 257'],
  ['a notify with a longer SPI than there is', 41, '03 04 4009 c1c2c3', 'N at offset 8: 4 octets wanted, 3 left'],
  [
    'a delete of an IKE SA with an SPI',
    42,
    '01 08 0001 0102030405060708',
    'D at offset 8: SPIs of 8 octets for protocol 1',
  ],
  ['65,535 deletes of nothing', 42, '05 00 ffff', 'D at offset 8: 65535 SPIs of no octets'],
  ['a delete with fewer SPIs than announced', 42, '03 04 0002 00000001', 'D at offset 8: 4 octets for 2 SPIs of 4'],
  ['fewer selectors than announced', 44, '01 000000', 'TSi at offset 8: 1 octets wanted, 0 left'],
  ['more selectors than announced', 45, '00 000000 07', 'TSr at offset 8: 1 octets too many'],
  ['a selector too short', 44, '01 000000 07 00 0003', 'TSi at offset 12: selector 0 is 3 octets long'],
  [
    'an IPv4 selector with an octet too many',
    44,
    '01 000000 07 00 0011 0000 ffff 0a010000 0a01ffff 00',
    'TSi.selector[0] at offset 24: 1 octets too many',
  ],
  [
    'an IPv4 selector that is short',
    44,
    '01 000000 07 00 0008 0000 ffff',
    'TSi.selector[0] at offset 16: 4 octets wanted, 0 left',
  ],
  ['a configuration value that is cut off', 47, '01 000000 0001 0004 0a', 'CP at offset 12: 4 octets wanted, 1 left'],
  [
    '1,001 configuration attributes',
    47,
    `01 000000${'00010000'.repeat(1001)}`,
    'CP at offset 4008: more than 1000 attributes',
  ],
  [
    'an EAP length that is not the payload',
    48,
    '01 07 0006 01',
    'EAP.packet at offset 8: an EAP length of 6 in a packet of 5 octets',
  ],
  ['an EAP request without type', 48, '01 07 0004', 'EAP.packet at offset 8: EAP code 1 without a type'],
  ['an EAP success with data', 48, '03 07 0005 01', 'EAP.packet at offset 8: EAP code 3 with data'],
  ['an unknown EAP code', 48, '07 07 0005 01', 'EAP.packet at offset 8: EAP code 7'],
  ['an empty EAP payload', 48, '', 'EAP.packet at offset 4: 1 octets wanted, 0 left'],
]

for (const [what, number, hex, message] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(() => decodePayloads(number, generic(bytes(hex))), { name: 'DecodeError', message })
  })
}

test('refused: more proposals than any peer offers', () => {
  const one = '02 00 0008 01 01 00 00'
  assert.equal(decodePayloads(33, generic(bytes(one.repeat(199) + one.replace('02', '00')))).length, 1)
  assert.throws(() => decodePayloads(33, generic(bytes(one.repeat(200) + one.replace('02', '00')))), {
    message: /^SA at offset \d+: more than 200 proposals$/,
  })
})

test('reserved fields and the critical bit of known payloads are ignored, and written as zero', () => {
  const chain = bytes('22 ff 0009 0e ffffff 6d  00 80 0009 001f ffff aa')
  const payloads = decodePayloads(39, chain)
  assert.deepEqual(payloads, [
    { type: 'AUTH', method: 14, data: bytes('6d') },
    { type: 'KE', method: 31, data: bytes('aa') },
  ])
  assert.deepEqual(encodePayloads(payloads).bytes, bytes('22 00 0009 0e 000000 6d  00 00 0009 001f 0000 aa'))
})

/** RFC 7296 §2.15: AUTH covers the payload as it was sent. */
for (const [type, number] of [
  ['IDi', 35],
  ['IDr', 36],
] as const) {
  test(`reserved octets of ${type} say nothing and are kept for AUTH; ours are zero`, () => {
    const identity = { type, idType: 2, data: bytes('6d') }
    const received = generic(bytes('02 0102ff 6d'))
    assert.deepEqual(decodePayloads(number, received), [{ ...identity, reserved: bytes('0102ff') }])
    assert.deepEqual(encodePayloads(decodePayloads(number, received)).bytes, received)
    assert.deepEqual(encodePayloads([identity]).bytes, generic(bytes('02 000000 6d')))
    assert.deepEqual(decodePayloads(number, generic(bytes('02 000000 6d'))), [identity])
  })
}

/** Chains with every reserved octet and bit set, and what they are when we write them. */
const reserved: readonly (readonly [what: string, number: number, set: string, clear: string])[] = [
  [
    'SA',
    33,
    '02 ff 0014 01 01 00 01  00 ff 000c 01 ff 000c 800e 0080  00 ff 0010 02 01 00 01  00 ff 0008 02 ff 0005',
    '02 00 0014 01 01 00 01  00 00 000c 01 00 000c 800e 0080  00 00 0010 02 01 00 01  00 00 0008 02 00 0005',
  ],
  ['KE', 34, '001f ffff aa', '001f 0000 aa'],
  ['AUTH', 39, '0e ffffff 0c30', '0e 000000 0c30'],
  ['TSi', 44, '01 ffffff 07 00 0010 0000 ffff 0a010000 0a01ffff', '01 000000 07 00 0010 0000 ffff 0a010000 0a01ffff'],
  ['TSr', 45, '01 ffffff 07 00 0010 0000 ffff 0a010000 0a01ffff', '01 000000 07 00 0010 0000 ffff 0a010000 0a01ffff'],
  ['CP', 47, '01 ffffff 8001 0000 8003 0004 01010101', '01 000000 0001 0000 0003 0004 01010101'],
]

for (const [what, number, set, clear] of reserved) {
  test(`reserved octets and bits of ${what} are ignored, and written as zero`, () => {
    const expected = generic(bytes(clear))
    assert.deepEqual(encodePayloads(decodePayloads(number, generic(bytes(set)))).bytes, expected)
    assert.deepEqual(encodePayloads(decodePayloads(number, expected)).bytes, expected)
  })
}

test('what a payload cannot say is a mistake of ours', () => {
  const spi = bytes('010203')
  const wrong: readonly Payload[] = [
    { type: 'D', protocol: 3, spiSize: 4, spis: [spi] },
    { type: 'CP', cfgType: 1, attributes: [{ type: 0x8000, value: spi }] },
    { type: 'V', data: new Uint8Array(65532) },
    { type: 'N', protocol: 0, spi: new Uint8Array(256), notify: 1, data: spi },
  ]
  for (const payload of wrong) assert.throws(() => encodePayloads([payload]), RangeError)
})

/** A generic payload header before `body`: the last of its chain. */
function generic(body: Uint8Array): Uint8Array {
  return Uint8Array.from([0, 0, (body.length + 4) >>> 8, (body.length + 4) & 0xff, ...body])
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/\s+/g, ''), 'hex'))
}
