import assert from 'node:assert/strict'
import test from 'node:test'
import { list, section, type Tree, type TreeItem, value } from '../../config/tree.ts'
import { bytesText, durationText, painter, statusLines } from './status.ts'

const plain = painter(false, {})

function values(fields: Readonly<Record<string, string | number>>): TreeItem[] {
  return Object.entries(fields).map(([name, content]) => value(name, content))
}

function child(name: string, fields: Readonly<Record<string, string | number>>): TreeItem {
  const all = { name, uniqueid: 3, state: 'INSTALLED', mode: 'TUNNEL', protocol: 'ESP', ...fields }
  return section(`${name}-3`, [
    ...values(all),
    list('local-ts', ['10.1.0.0/16']),
    list('remote-ts', ['10.2.0.0/16', '10.3.0.0/16']),
  ])
}

function ikeSa(name: string, fields: Readonly<Record<string, string | number>>, ...children: TreeItem[]): Tree {
  const all = { uniqueid: 1, state: 'ESTABLISHED', 'local-host': '192.0.2.1', 'remote-host': '192.0.2.2', ...fields }
  return [section(name, [...values(all), section('child-sas', children)])]
}

test('peers and children in columns, with units', () => {
  const gw = ikeSa(
    'gw',
    { 'remote-id': 'sun', established: 7500, 'rekey-time': -3, 'encr-alg': 'AES_GCM_16', 'encr-keysize': 256 },
    child('net', { 'bytes-in': 2_621_440, 'use-in': 3, 'bytes-out': 999, 'packets-in': 3, 'rekey-time': 185 }),
    child('other', { state: 'REKEYING', encap: 'yes' }),
  )
  const long = ikeSa('a-longer-name', { uniqueid: 12, 'remote-id': 'carol', 'nat-remote': 'yes' }, child('x', {}))
  assert.equal(
    `\n${statusLines([gw, long], plain).join('\n')}\n`,
    `
gw #1              ESTABLISHED  192.0.2.1 → 192.0.2.2  sun    up 2h 5m
  AES_GCM_16-256, rekeying is due
  net #3    INSTALLED  10.1.0.0/16 ↔ 10.2.0.0/16 10.3.0.0/16  ESP tunnel         ↓ 2.5 MiB (3s ago)  ↑ 999 B  rekeying in 3m 5s
  other #3  REKEYING   10.1.0.0/16 ↔ 10.2.0.0/16 10.3.0.0/16  ESP tunnel in UDP
a-longer-name #12  ESTABLISHED  192.0.2.1 → 192.0.2.2  carol
  the peer is behind a NAT
  x #3      INSTALLED  10.1.0.0/16 ↔ 10.2.0.0/16 10.3.0.0/16  ESP tunnel
`,
  )
})

test('hints for the usual trouble', () => {
  const hint = (sa: Tree) => statusLines([sa], plain).at(-1) ?? ''
  assert.match(hint(ikeSa('a', { state: 'CONNECTING', 'responder-spi': '0000000000000000' })), /no answer yet: .*500/)
  assert.match(hint(ikeSa('a', { state: 'CONNECTING', 'responder-spi': '00000000000000a0' })), /not authenticated yet/)
  assert.match(hint(ikeSa('a', {})), /no child: .*TS_UNACCEPTABLE/)
  const oneWay = { 'packets-in': 0, 'packets-out': 5, 'install-time': 60 }
  assert.match(hint(ikeSa('a', {}, child('net', oneWay))), /net: packets leave and none come back: does ESP /)
  assert.match(hint(ikeSa('a', {}, child('net', { ...oneWay, encap: 'yes' }))), /UDP port 4500/)
  assert.doesNotMatch(hint(ikeSa('a', {}, child('net', { ...oneWay, 'packets-in': 1 }))), /come back/)
  assert.doesNotMatch(hint(ikeSa('a', {}, child('net', { ...oneWay, 'install-time': 3 }))), /come back/)
})

test('colours on a terminal that wants them, and nowhere else', () => {
  const up = ikeSa('gw', {}, child('net', {}))
  const text = (paint: ReturnType<typeof painter>) => statusLines([up], paint).join('\n')
  const coloured = text(painter(true, { TERM: 'xterm', NO_COLOR: '' }))
  assert.ok(coloured.startsWith('\u001b[1mgw #1\u001b[0m  \u001b[32mESTABLISHED\u001b[0m'), coloured)
  for (const paint of [plain, painter(true, { NO_COLOR: '1' }), painter(true, { TERM: 'dumb' })]) {
    assert.ok(!text(paint).includes('\u001b'))
  }
})

test('units', () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [10_240, '10 KiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
  ]
  for (const [bytes, text] of sizes) assert.equal(bytesText(bytes), text)
  const spans: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [59, '59s'],
    [3600, '1h'],
    [3725, '1h 2m'],
    [90_061, '1d 1h'],
  ]
  for (const [seconds, text] of spans) assert.equal(durationText(seconds), text)
})
