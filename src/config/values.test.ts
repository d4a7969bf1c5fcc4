import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { ConfigError } from './config-error.ts'
import { memoryFiles } from './files.ts'
import { formatConfiguredSelector, parseConfiguredSelector, readServiceNames } from './selectors.ts'
import {
  parseAction,
  parseAddressPattern,
  parseBool,
  parseBytes,
  parseDscp,
  parseIfId,
  parseMark,
  parseSecret,
  parseTime,
  parseUint32,
} from './values.ts'

/** Rows of text and value; ConfigError stands for "is refused". */
function table<T>(parse: (text: string) => T, rows: readonly (readonly [string, T | typeof ConfigError])[]): void {
  for (const [text, expected] of rows) {
    const what = `${parse.name} ${JSON.stringify(text)}`
    if (expected === ConfigError) test(`${what} is refused`, () => assert.throws(() => parse(text), ConfigError))
    else test(what, () => assert.deepEqual(parse(text), expected))
  }
}

table(parseBool, [
  ['yes', true],
  ['TRUE', true],
  ['enabled', true],
  ['1', true],
  ['no', false],
  ['Disabled', false],
  ['0', false],
  ['on', ConfigError],
  ['', ConfigError],
])

table(parseUint32, [
  ['', 0],
  ['10', 10],
  ['010', 8],
  ['0x10', 16],
  ['-1', 0xffffffff],
  ['4294967296', 0],
  ['08', ConfigError],
  ['1.5', ConfigError],
  ['1 ', ConfigError],
  ['%forever', ConfigError],
])

table(parseTime, [
  ['', 0],
  ['0', 0],
  ['3600', 3600],
  ['30s', 30],
  ['5m', 300],
  ['4h', 14400],
  ['1 d', 86400],
  ['2H', 7200],
  ['-1', undefined],
  ['1h30m', ConfigError],
  ['1.5h', ConfigError],
  ['h', ConfigError],
  ['10w', ConfigError],
])

table(parseBytes, [
  ['', 0n],
  ['1k', 1024n],
  ['2M', 2097152n],
  ['3g', 3221225472n],
  ['100', 100n],
  ['1t', ConfigError],
])

table(parseDscp, [
  ['', 0],
  ['000000', 0],
  ['101110', 46],
  ['46', ConfigError],
])

table(parseMark, [
  ['', undefined],
  ['42', { value: 42, mask: 0xffffffff }],
  ['0x1ff/0xff', { value: 0xff, mask: 0xff }],
  ['0', { value: 0, mask: 0xffffffff }],
  ['0xffffffff', { value: '%unique', mask: 0xffffffff }],
  ['0xfffffffe/7', { value: '%unique-dir', mask: 7 }],
  ['%unique', { value: '%unique', mask: 0xffffffff }],
  ['%unique-dir/0xff', { value: '%unique-dir', mask: 255 }],
  ['%same', ConfigError],
  ['x', ConfigError],
])

test('%same is for set_mark, and what is unique is not', () => {
  assert.deepEqual(parseMark('%same/7', true), { value: '%same', mask: 7 })
  assert.deepEqual(parseMark('0xffffffff', true), { value: '%same', mask: 0xffffffff })
  assert.deepEqual(parseMark('0xfffffffe/0xff', true), { value: 0xfe, mask: 0xff })
  assert.throws(() => parseMark('%unique', true), ConfigError)
})

table<number | string | undefined>(parseIfId, [
  ['0', undefined],
  ['7', 7],
  ['%unique', '%unique'],
  ['%Unique-Dir', '%unique-dir'],
  ['0xffffffff', '%unique'],
  ['0xfffffffe', '%unique-dir'],
  ['%same', ConfigError],
])

table(parseAction, [
  ['none', { trap: false, start: false }],
  ['clear', { trap: false, start: false }],
  ['trap', { trap: true, start: false }],
  ['route', { trap: true, start: false }],
  ['Restart', { trap: false, start: true }],
  ['trap|start', { trap: true, start: true }],
  ['trap | start', { trap: true, start: true }],
  ['trap,start', ConfigError],
  ['hold', ConfigError],
])

table(parseAddressPattern, [
  ['%any', { kind: 'any' }],
  ['%any4', { kind: 'any', family: 4 }],
  ['0.0.0.0', { kind: 'any', family: 4 }],
  ['::', { kind: 'any', family: 6 }],
  ['192.0.2.1', { kind: 'host', address: '192.0.2.1' }],
  ['2001:DB8::1', { kind: 'host', address: '2001:db8::1' }],
  ['10.0.0.0/8', { kind: 'range', from: '10.0.0.0', to: '10.255.255.255' }],
  ['10.0.0.3-10.0.0.9', { kind: 'range', from: '10.0.0.3', to: '10.0.0.9' }],
  ['vpn-a.example.org', { kind: 'name', name: 'vpn-a.example.org' }],
  ['', ConfigError],
])

test('secrets: hexadecimal, Base64, literal', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  assert.deepEqual(parseSecret(bytes('0x0aFF')), Uint8Array.of(0x0a, 0xff))
  assert.deepEqual(parseSecret(bytes('0Sc2VjcmV0')), bytes('secret'))
  assert.deepEqual(parseSecret(bytes('se#cret')), bytes('se#cret'))
  // RFC 7296 §2.15: at least 64 ASCII octets, taken as they are.
  const long = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('')
  assert.deepEqual(parseSecret(bytes(long)), bytes(long))
  assert.deepEqual(parseSecret(bytes(`0x${'5a'.repeat(100)}`)), new Uint8Array(100).fill(0x5a))
  assert.throws(() => parseSecret(bytes('0xzz')), ConfigError)
  assert.throws(() => parseSecret(bytes('0secret?')), ConfigError)
})

const names = readServiceNames(
  memoryFiles({
    '/etc/protocols': 'ip 0 IP # pseudo\ntcp\t6\tTCP\nudp 17 UDP\n',
    '/etc/services': 'http 80/tcp www # web\nftp-data 20/tcp\ndomain 53/udp\n',
  }),
)

const selectors: readonly (readonly [string, string | typeof ConfigError])[] = [
  ['dynamic', 'dynamic'],
  ['dynamic[tcp/www]', 'dynamic[tcp/http]'],
  ['10.1.0.0/16', '10.1.0.0/16'],
  ['10.1.2.3/16', '10.1.0.0/16'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['10.5.0.1-10.5.0.9', '10.5.0.1..10.5.0.9'],
  ['10.5.0.0-10.5.0.255', '10.5.0.0/24'],
  ['%any', '0.0.0.0/0'],
  ['::/0', '::/0'],
  ['2001:db8::/32[udp]', '2001:db8::/32[udp]'],
  ['10.3.0.0/16[tcp/80]', '10.3.0.0/16[tcp/http]'],
  ['10.3.0.0/16[6/443]', '10.3.0.0/16[tcp/443]'],
  ['10.0.0.0/8[/80]', '10.0.0.0/8[0/80]'],
  ['0.0.0.0/0[gre/]', '0.0.0.0/0[gre]'],
  ['10.0.0.0/8[any/any]', '10.0.0.0/8'],
  ['10.0.0.0/8[tcp/1024-65535]', '10.0.0.0/8[tcp/1024-65535]'],
  ['10.0.0.0/8[tcp/ftp-data]', '10.0.0.0/8[tcp/ftp-data]'],
  ['10.0.0.0/8[tcp/opaque]', '10.0.0.0/8[tcp/OPAQUE]'],
  ['10.0.0.0/8[200/7]', '10.0.0.0/8[200/7]'],
  ['10.0.0.0/8[icmp]', '10.0.0.0/8[icmp]'],
  ['10.0.0.0/8[icmp/3(1)]', '10.0.0.0/8[icmp/3(1)]'],
  ['10.0.0.0/8 [tcp/80]', ConfigError],
  ['[tcp/80]', ConfigError],
  ['%dynamic', ConfigError],
  ['Dynamic', ConfigError],
  ['10.0.0.0/255.0.0.0', ConfigError],
  ['10.0.0.1..10.0.0.9', ConfigError],
  ['10.0.0.0/33', ConfigError],
  ['10.0.0.9-10.0.0.1', ConfigError],
  ['10.0.0.0/8[tcp/80', ConfigError],
  ['10.0.0.0/8[tcp/99999]', ConfigError],
  ['10.0.0.0/8[tcp/9-]', ConfigError],
  ['10.0.0.0/8[nosuch]', ConfigError],
  ['10.0.0.0/8[256]', ConfigError],
]

for (const [text, expected] of selectors) {
  if (expected === ConfigError) {
    test(`selector ${text} is refused`, () => assert.throws(() => parseConfiguredSelector(text, names), ConfigError))
  } else {
    test(`selector ${text}`, () => {
      assert.equal(formatConfiguredSelector(parseConfiguredSelector(text, names), names), expected)
    })
  }
}

test('any text is a value or a ConfigError', () => {
  const parsers = [
    parseTime,
    parseBytes,
    parseMark,
    parseAction,
    parseAddressPattern,
    (t: string) => parseConfiguredSelector(t, names),
  ]
  const piece = fc.constantFrom(
    '1',
    '0x',
    '-',
    '/',
    '[',
    ']',
    'tcp',
    '10.0.0.1',
    '::',
    '%',
    'any',
    ' ',
    's',
    '|',
    'trap',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      for (const parse of parsers) {
        try {
          parse(pieces.join(''))
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error))
        }
      }
    }),
  )
})
