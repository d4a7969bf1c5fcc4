import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress } from './address.ts'
import type { AddressSelector, TrafficSelector } from './payloads/index.ts'
import {
  contains,
  equal,
  formatSelector,
  formatSelectors,
  fromSubnet,
  intersect,
  narrow,
  parseSelector,
  toSubnet,
  without,
} from './selector.ts'
import { parseServiceNames } from './services.ts'

const names = parseServiceNames(
  '# protocols\ntcp\t6\tTCP\nudp 17 UDP # user datagrams\nicmp 1 ICMP\ngre 47 GRE\nbad x\nicmp6 58 ICMP6\nbig 300\n',
  'http\t80/tcp\twww\t# web\ndomain 53/udp\ndomain 53/tcp\nodd 70000/tcp\nodd eighty\n',
)

for (const [text, printed = text] of [
  ['10.1.0.0/16'],
  ['10.1.2.3/16', '10.1.0.0/16'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['0.0.0.0/0'],
  ['2001:db8::/32'],
  ['2001:db8::1', '2001:db8::1/128'],
  ['10.5.0.1-10.5.0.9', '10.5.0.1..10.5.0.9'],
  ['10.5.0.0-10.5.0.255', '10.5.0.0/24'],
  ['%any', '0.0.0.0/0'],
  ['%any6', '::/0'],
  ['10.3.0.0/16[tcp/http]'],
  ['10.3.0.0/16[tcp/www]', '10.3.0.0/16[tcp/http]'],
  ['10.3.0.0/16[6/80]', '10.3.0.0/16[tcp/http]'],
  ['10.3.0.0/16[TCP/8080]', '10.3.0.0/16[tcp/8080]'],
  ['0.0.0.0/0[gre]'],
  ['0.0.0.0/0[gre/]', '0.0.0.0/0[gre]'],
  ['0.0.0.0/0[gre/any]', '0.0.0.0/0[gre]'],
  ['0.0.0.0/0[99]'],
  ['0.0.0.0/0[any]', '0.0.0.0/0'],
  ['0.0.0.0/0[/80]', '0.0.0.0/0[0/80]'],
  ['0.0.0.0/0[udp/1000-2000]'],
  ['0.0.0.0/0[udp/opaque]', '0.0.0.0/0[udp/OPAQUE]'],
  ['0.0.0.0/0[icmp/8]', '0.0.0.0/0[icmp/8-8(255)]'],
  ['0.0.0.0/0[icmp/2048]', '0.0.0.0/0[icmp/8]'],
  ['0.0.0.0/0[icmp/3(1)]'],
  ['0.0.0.0/0[icmp/3(1)-4(2)]'],
  ['0.0.0.0/0[icmp/3-4]', '0.0.0.0/0[icmp/3-4(255)]'],
  ['::/0[icmp6/128(0)]', '::/0[icmp6/128]'],
  ['dynamic'],
  ['dynamic[udp/domain]'],
] as const) {
  test(`selector ${text} is shown as ${printed}`, () => {
    const selector = parseSelector(text, names)
    assert.ok(selector !== undefined)
    assert.equal(formatSelector(selector, names), printed)
  })
}

for (const text of [
  ...['', 'moon', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/255.0.0.0', '10.0.0.0/8/8', '::/129', '10.0.0.1..10.0.0.9'],
  ...['10.0.0.9-10.0.0.1', '10.0.0.1-::1', '10.0.0.1-10.0.0.2-10.0.0.3', '%dynamic', 'DYNAMIC', '[tcp/80]'],
  ...['10.0.0.0/8 [tcp]', '10.0.0.0/8[tcp', '10.0.0.0/8[tcp]x', '10.0.0.0/8[nothing]', '10.0.0.0/8[256]'],
  ...['10.0.0.0/8[tcp/65536]', '10.0.0.0/8[tcp/2-1]', '10.0.0.0/8[tcp/1-2-3]', '10.0.0.0/8[tcp/nothing]'],
  ...[
    '10.0.0.0/8[udp/http]',
    '10.0.0.0/8[icmp/256(1)]',
    '10.0.0.0/8[icmp/8(256)]',
    '10.0.0.0/8[icmp/x]',
    '10.0.0.0/8[icmp/9-8]',
  ],
]) {
  test(`no selector: "${text}"`, () => {
    assert.equal(parseSelector(text, names), undefined)
  })
}

test('without the files of the host, protocols are known and ports are numbers', () => {
  assert.equal(formatSelector(selector('10.0.0.0/8[tcp/80]')), '10.0.0.0/8[tcp/80]')
  assert.equal(parseSelector('10.0.0.0/8[tcp/http]'), undefined)
})

test('lists, and selectors of other types', () => {
  const label: TrafficSelector = { kind: 'other', tsType: 10, protocol: 0, data: new Uint8Array(3) }
  const strange: TrafficSelector = { ...label, tsType: 99 }
  assert.equal(formatSelectors([selector('10.0.0.0/8'), label, strange]), '10.0.0.0/8 SECLABEL TS(99)')
  assert.equal(intersect(label, label), undefined)
  assert.equal(contains(label, label), false)
  assert.equal(equal(label, { ...label }), true)
  assert.equal(equal(label, strange), false)
  assert.equal(equal(label, selector('10.0.0.0/8')), false)
})

for (const [a, b, common] of [
  ['10.0.0.0/8', '10.1.0.0/16', '10.1.0.0/16'],
  ['10.1.0.0/16', '10.2.0.0/16', undefined],
  ['10.0.0.0/8', '2001:db8::/32', undefined],
  ['10.0.0.5-10.0.1.5', '10.0.0.0/24', '10.0.0.5-10.0.0.255'],
  ['10.0.0.0/8[tcp]', '10.0.0.0/8', '10.0.0.0/8[tcp]'],
  ['10.0.0.0/8[tcp]', '10.0.0.0/8[udp]', undefined],
  ['10.0.0.0/8[tcp/80-90]', '10.0.0.0/8[tcp/85-99]', '10.0.0.0/8[tcp/85-90]'],
  ['10.0.0.0/8[tcp/80]', '10.0.0.0/8[tcp/81]', undefined],
  ['10.0.0.0/8[udp/opaque]', '10.0.0.0/8', '10.0.0.0/8[udp/opaque]'],
  ['10.0.0.0/8[udp/opaque]', '10.0.0.0/8[udp/opaque]', '10.0.0.0/8[udp/opaque]'],
  ['10.0.0.0/8[udp/opaque]', '10.0.0.0/8[udp/80]', undefined],
] as const) {
  test(`${a} and ${b} have in common: ${common ?? 'nothing'}`, () => {
    const expected = common === undefined ? undefined : selector(common)
    assert.deepEqual(intersect(selector(a), selector(b)), expected)
    assert.deepEqual(intersect(selector(b), selector(a)), expected)
  })
}

test('a start above its end selects nothing', () => {
  const [start, end] = [Uint8Array.of(10, 0, 0, 9), Uint8Array.of(10, 0, 0, 1)]
  const reversed: AddressSelector = { ...selector('10.0.0.0/8'), start, end }
  assert.equal(intersect(reversed, selector('0.0.0.0/0')), undefined)
  assert.equal(contains(selector('0.0.0.0/0'), reversed), false)
})

test('narrowing keeps the order of the offer, and nothing that lies within something else', () => {
  const offered = ['10.1.0.5/32[tcp/80]', '10.1.0.0/16', '192.0.2.0/24', '::/0'].map(selector)
  const configured = ['2001:db8::/32', '10.0.0.0/8', '10.1.0.0/16'].map(selector)
  assert.deepEqual(
    narrow(offered, configured).map((each) => formatSelector(each)),
    ['10.1.0.0/16', '2001:db8::/32'],
  )
  assert.deepEqual(narrow(offered, []), [])
})

test('narrowing yields no more than a payload can carry', () => {
  const hosts = Array.from({ length: 400 }, (_, i) => fromSubnet(Uint8Array.of(10, 0, i >> 8, i & 255), 32))
  assert.equal(narrow(hosts, [selector('10.0.0.0/8')]).length, 255)
})

test('subnets: the smallest one around a range, and whether it fits', () => {
  const address = (text: string): Uint8Array => parseAddress(text) ?? assert.fail(text)
  assert.deepEqual(toSubnet(selector('10.1.0.0/16')), { address: address('10.1.0.0'), prefix: 16, exact: true })
  assert.deepEqual(toSubnet(selector('10.0.0.1-10.0.0.9')), { address: address('10.0.0.0'), prefix: 28, exact: false })
  assert.deepEqual(toSubnet(selector('::/0')), { address: address('::'), prefix: 0, exact: true })
  assert.deepEqual(toSubnet(selector('::1')), { address: address('::1'), prefix: 128, exact: true })
  assert.throws(() => fromSubnet(Uint8Array.of(1, 2, 3, 4), 33), RangeError)
  assert.throws(() => fromSubnet(Uint8Array.of(1, 2, 3), 8), RangeError)
})

const anySelector: fc.Arbitrary<AddressSelector> = fc
  .tuple(fc.nat(40), fc.nat(40), fc.constantFrom(0, 6, 17), fc.nat(9), fc.nat(9), fc.boolean())
  .map(([a, b, protocol, p, q, anyPort]) => ({
    kind: 'address',
    family: 4,
    protocol,
    startPort: anyPort ? 0 : Math.min(p, q),
    endPort: anyPort ? 65535 : Math.max(p, q),
    start: Uint8Array.of(10, 0, 0, Math.min(a, b)),
    end: Uint8Array.of(10, 0, 0, Math.max(a, b)),
  }))
const lists = fc.array(anySelector, { maxLength: 6 })

test('property: what is narrowed was offered, and is configured', () => {
  fc.assert(
    fc.property(lists, lists, (offered, configured) => {
      for (const each of narrow(offered, configured)) {
        assert.ok(offered.some((other) => contains(other, each)))
        assert.ok(configured.some((other) => contains(other, each)))
      }
    }),
  )
})

test('property: a packet is in the narrowed set exactly if it is in both', () => {
  const packet = fc.tuple(fc.nat(40), fc.constantFrom(6, 17), fc.nat(9))
  fc.assert(
    fc.property(lists, lists, packet, (offered, configured, [host, protocol, port]) => {
      const address = Uint8Array.of(10, 0, 0, host)
      const one: AddressSelector = fromSubnet(address, 32, { protocol, startPort: port, endPort: port })
      const inside = (list: readonly AddressSelector[]): boolean => list.some((each) => contains(each, one))
      assert.equal(inside(narrow(offered, configured)), inside(offered) && inside(configured))
    }),
    { numRuns: 500 },
  )
})

test('property: a range without protocol reads back from its text', () => {
  const octets = fc.oneof(fc.constant(4), fc.constant(16)).chain((size) => {
    const one = fc.uint8Array({ minLength: size, maxLength: size })
    return fc.tuple(one, one)
  })
  fc.assert(
    fc.property(octets, ([a, b]) => {
      const [start, end] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a]
      const range: AddressSelector = { ...fromSubnet(start, 0), start, end }
      assert.deepEqual(parseSelector(formatSelector(range).replace('..', '-')), range)
    }),
  )
})

function selector(text: string): AddressSelector {
  const parsed = parseSelector(text)
  assert.ok(parsed?.kind === 'address', text)
  return parsed
}

test('what is left without what is taken', () => {
  const range = (text: string): AddressSelector[] => {
    const selector = parseSelector(text)
    return selector?.kind === 'address' ? [selector] : []
  }
  const left = (all: string, ...taken: string[]) => formatSelectors(without(range(all), taken.flatMap(range)))
  assert.equal(left('10.0.0.0/8', '10.0.0.0/8'), '')
  assert.equal(left('10.0.0.0/24', '192.0.2.0/24'), '10.0.0.0/24')
  assert.equal(left('10.0.0.0/24', '10.0.0.0/25'), '10.0.0.128/25')
  assert.equal(
    left('10.0.0.0/24', '10.0.0.5', '10.0.0.9'),
    '10.0.0.0..10.0.0.4 10.0.0.6..10.0.0.8 10.0.0.10..10.0.0.255',
  )
  assert.equal(left('0.0.0.0/0', '0.0.0.0', '255.255.255.255'), '0.0.0.1..255.255.255.254')
  assert.equal(
    left('2001:db8::/64', '2001:db8::ff-2001:db8::ffff'),
    '2001:db8::..2001:db8::fe 2001:db8::1:0..2001:db8::ffff:ffff:ffff:ffff',
  )
  assert.equal(left('10.0.0.0/24', '10.0.0.1[tcp/80]'), '10.0.0.0/32 10.0.0.2..10.0.0.255', 'in whole addresses')
  assert.equal(left('10.0.0.0/24[tcp]', '10.0.0.0/24[udp]'), '10.0.0.0/24[tcp]')
})
