import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { detectNat, natDetection, natHash } from './nat.ts'
import { notify } from './notifies.ts'

const [spiI, spiR] = [0x0102030405060708n, 0x1112131415161718n]
const local = { address: '192.0.2.1', port: 500 }
const remote = { address: '192.0.2.2', port: 4500 }

test('the hash is SHA-1 of both SPIs, the address and the port', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  // printf 0102030405060708 1112131415161718 c0000201 01f4 | xxd -r -p | sha1sum
  assert.equal(hex(natHash(spiI, spiR, local)), 'd798d986143f878f70765e0e869c80bbc375f701')
  assert.equal(
    hex(natHash(spiI, 0n, { address: '2001:db8::1', port: 4500 })),
    '98c75483db80168697635aa7844504963e87de33',
  )
})

test('each side sends the hash of both ends', () => {
  assert.deepEqual(
    natDetection(spiI, spiR, local, remote, undefined).map(({ notify: type, protocol, spi, data }) => [
      type,
      protocol,
      spi.length,
      data,
    ]),
    [
      [16388, 0, 0, natHash(spiI, spiR, local)],
      [16389, 0, 0, natHash(spiI, spiR, remote)],
    ],
  )
})

/** What the peer says about the two ends; we are at `local`. */
function seen(sources: readonly Uint8Array[], destination: Uint8Array): readonly NPayload[] {
  return [
    ...sources.map((data) => notify(NOTIFY.NAT_DETECTION_SOURCE_IP, data)),
    notify(NOTIFY.NAT_DETECTION_DESTINATION_IP, destination),
  ]
}

const here = natHash(spiI, spiR, local)
const there = natHash(spiI, spiR, remote)
const elsewhere = natHash(spiI, spiR, { address: '10.0.0.1', port: 500 })

for (const [what, notifies, expected] of [
  ['no NAT', seen([there], here), { local: false, remote: false }],
  ['the peer is behind a NAT', seen([elsewhere], here), { local: false, remote: true }],
  ['we are behind a NAT', seen([there], elsewhere), { local: true, remote: false }],
  ['both are', seen([elsewhere], elsewhere), { local: true, remote: true }],
  ['of several sources one matches', seen([elsewhere, there], here), { local: false, remote: false }],
  ['of several sources none matches', seen([elsewhere, here], here), { local: false, remote: true }],
  [
    'the same address with another port',
    seen([natHash(spiI, spiR, { ...remote, port: 1024 })], here),
    { local: false, remote: true },
  ],
] as const) {
  test(what, () =>
    assert.deepEqual(detectNat(notifies, spiI, spiR, local, remote, false), { ...expected, fake: false }),
  )
}

test('a peer that does not send both does no NAT traversal', () => {
  assert.equal(detectNat([], spiI, spiR, local, remote, false), undefined)
  assert.equal(detectNat(seen([], here), spiI, spiR, local, remote, false), undefined)
})
