import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../crypto/random.ts'
import { Secret } from '../../crypto/secret.ts'
import type { KernelPolicy, KernelSa, KernelSelector, PolicyDirection, SaCrypto } from '../operations.ts'
import type { EspPacket, Packet } from './packet.ts'
import { ReplayWindow } from './replay.ts'
import { SimulatedKernel } from './simulated-kernel.ts'

const left = '192.0.2.1'
const right = '192.0.2.2'
const spiRight = 0xc2000002

const gcm = (fill = 1): SaCrypto => ({
  kind: 'aead',
  name: 'rfc4106(gcm(aes))',
  key: Secret.of(new Uint8Array(20).fill(fill)),
  icvBits: 128,
})

const sa = (change: Partial<KernelSa> = {}): KernelSa => ({
  protocol: 'ESP',
  spi: spiRight,
  source: left,
  destination: right,
  direction: 'out',
  reqid: 1,
  mode: 'tunnel',
  crypto: gcm(),
  esn: false,
  replayWindow: 32,
  limits: {},
  copyDf: true,
  copyEcn: true,
  copyDscp: 'out',
  ...change,
})

const net = (source: string, destination: string, protocol = 0): KernelSelector => ({
  family: 4,
  protocol,
  source: { address: source, prefix: 16, port: 0, portMask: 0 },
  destination: { address: destination, prefix: 16, port: 0, portMask: 0 },
})

const policy = (direction: PolicyDirection, change: Partial<KernelPolicy> = {}): KernelPolicy => {
  return {
    direction,
    selector: net('10.1.0.0', '10.2.0.0'),
    action: 'protect',
    priority: 375423,
    templates: [{ protocol: 'ESP', mode: 'tunnel', reqid: 1, source: left, destination: right }],
    ...change,
  }
}

const packet = (change: Partial<Packet> = {}): Packet => ({
  family: 4,
  source: '10.1.0.10',
  destination: '10.2.0.10',
  protocol: 17,
  sourcePort: 1000,
  destinationPort: 2000,
  length: 100,
  id: 1,
  ...change,
})

const kernel = (address: string, more: object = {}): SimulatedKernel =>
  new SimulatedKernel({ addresses: [address], random: seededRandom(1), ...more })

/** Two kernels with one tunnel from left to right. */
function oneWay(outbound: Partial<KernelSa> = {}, inbound: Partial<KernelSa> = {}): [SimulatedKernel, SimulatedKernel] {
  const a = kernel(left)
  const b = kernel(right)
  a.perform({ kind: 'install-sa', sa: sa(outbound), larval: false }, 0)
  a.perform({ kind: 'install-policy', policy: policy('out'), replace: false }, 0)
  b.perform({ kind: 'install-sa', sa: sa({ direction: 'in', ...inbound }), larval: false }, 0)
  for (const direction of ['in', 'fwd'] as const) {
    b.perform({ kind: 'install-policy', policy: policy(direction), replace: false }, 0)
  }
  return [a, b]
}

function seal(from: SimulatedKernel, what: Packet = packet(), now = 0): EspPacket {
  const sent = from.send(what, now)
  assert.equal(sent.kind, 'sealed')
  assert.ok(sent.kind === 'sealed')
  return sent.packet
}

const refusal = (errno: string): { readonly name: string; readonly errno: string } => ({ name: 'KernelError', errno })

describe('what Linux refuses', () => {
  test('a second state with the same SPI, destination and protocol', () => {
    const [a] = oneWay()
    assert.throws(() => a.perform({ kind: 'install-sa', sa: sa(), larval: false }, 0), refusal('EEXIST'))
    a.perform({ kind: 'install-sa', sa: sa({ destination: '192.0.2.9' }), larval: false }, 0)
  })

  test('UPDSA without a larval state, DELSA of a missing one', () => {
    const a = kernel(left)
    assert.throws(() => a.perform({ kind: 'install-sa', sa: sa(), larval: true }, 0), refusal('ESRCH'))
    assert.throws(() => a.perform({ kind: 'delete-sa', id: sa() }, 0), refusal('ESRCH'))
    assert.throws(() => a.perform({ kind: 'move-sa', id: sa(), sa: sa() }, 0), refusal('ESRCH'))
    assert.equal(a.perform({ kind: 'query-sa', id: sa() }, 0), undefined)
  })

  test('ESP where there is none, with the cure', () => {
    const a = kernel(left, { protocols: [{ protocol: 'ESP', family: 6 }] })
    assert.throws(() => a.perform({ kind: 'install-sa', sa: sa(), larval: false }, 0), {
      errno: 'EPROTONOSUPPORT',
      message: 'install-sa failed: EPROTONOSUPPORT: the kernel has no ESP for IPv4: load esp4',
    })
  })

  const key = (length: number): Secret => Secret.of(new Uint8Array(length))
  const sha256 = { name: 'hmac(sha256)', key: key(32), truncationBits: 128 }
  for (const [what, change, errno] of [
    ['an unknown AEAD', { crypto: { kind: 'aead', name: 'gcm(aes)', key: key(20), icvBits: 128 } }, 'ENOSYS'],
    [
      'an AEAD key without salt',
      { crypto: { kind: 'aead', name: 'rfc4106(gcm(aes))', key: key(16), icvBits: 128 } },
      'EINVAL',
    ],
    ['a wrong ICV', { crypto: { kind: 'aead', name: 'rfc4106(gcm(aes))', key: key(20), icvBits: 100 } }, 'EINVAL'],
    ['an unknown cipher', { crypto: { kind: 'separate', encryption: { name: 'cbc(rot13)', key: key(16) } } }, 'ENOSYS'],
    [
      'a wrong cipher key',
      { crypto: { kind: 'separate', encryption: { name: 'cbc(aes)', key: key(20) }, integrity: sha256 } },
      'EINVAL',
    ],
    ['ESP without encryption', { crypto: { kind: 'separate', integrity: sha256 } }, 'EINVAL'],
    ['AH with AEAD', { protocol: 'AH' }, 'EINVAL'],
    ['too large a window', { replayWindow: 4097 }, 'EINVAL'],
    ['inbound ESN without a window', { direction: 'in', esn: true, replayWindow: 0 }, 'EINVAL'],
    ['SPI 0', { spi: 0 }, 'EINVAL'],
    ['endpoints of two families', { destination: '2001:db8::2' }, 'EINVAL'],
  ] as const satisfies readonly (readonly [string, Partial<KernelSa>, string])[]) {
    test(what, () => {
      const a = kernel(left)
      assert.throws(() => a.perform({ kind: 'install-sa', sa: sa(change), larval: false }, 0), refusal(errno))
      assert.deepEqual(a.states, [])
    })
  }

  test('a second policy for one selector, unless it replaces', () => {
    const a = kernel(left)
    const install = (replace: boolean, priority: number): undefined =>
      a.perform({ kind: 'install-policy', policy: policy('out', { priority }), replace }, 0)
    install(false, 1)
    assert.throws(() => install(false, 2), refusal('EEXIST'))
    install(true, 3)
    assert.deepEqual(
      a.policies.map(({ priority }) => priority),
      [3],
    )
    a.perform({ kind: 'delete-policy', key: policy('out') }, 0)
    assert.throws(() => a.perform({ kind: 'delete-policy', key: policy('out') }, 0), refusal('ENOENT'))
  })

  test('routes and addresses that are there, or are not', () => {
    const a = kernel(left)
    const route = { family: 4, table: 220, destination: { address: '10.2.0.0', prefix: 16 } } as const
    a.perform({ kind: 'add-route', route }, 0)
    assert.throws(() => a.perform({ kind: 'add-route', route }, 0), refusal('EEXIST'))
    a.perform({ kind: 'delete-route', route }, 0)
    assert.throws(() => a.perform({ kind: 'delete-route', route }, 0), refusal('ESRCH'))
    assert.throws(() => a.perform({ kind: 'delete-address', address: left }, 0), refusal('EADDRNOTAVAIL'))
    for (const address of [left, '10.77.0.1', '10.77.0.1']) a.perform({ kind: 'add-address', address, peer: right }, 0)
    assert.deepEqual(a.addresses, [left, '10.77.0.1'])
    for (const address of [left, '10.77.0.1']) a.perform({ kind: 'delete-address', address }, 0)
    assert.deepEqual(a.addresses, [left, '10.77.0.1'])
    a.perform({ kind: 'delete-address', address: '10.77.0.1' }, 0)
    assert.deepEqual(a.addresses, [left])
  })

  test('the second installation, by order of the test', () => {
    const a = kernel(left)
    a.refuse({ kind: 'install-sa', nth: 2, errno: 'ENOMEM' })
    a.perform({ kind: 'install-sa', sa: sa(), larval: false }, 0)
    const other = sa({ spi: 7 })
    assert.throws(() => a.perform({ kind: 'install-sa', sa: other, larval: false }, 0), refusal('ENOMEM'))
    a.perform({ kind: 'install-sa', sa: other, larval: false }, 0)
  })
})

describe('packets', () => {
  test('cross a tunnel, and are counted at both ends', () => {
    const [a, b] = oneWay()
    assert.deepEqual(b.receive(seal(a), 5), { kind: 'delivered', packet: packet(), spi: spiRight })
    assert.deepEqual(b.perform({ kind: 'query-sa', id: sa() }, 6), { bytes: 100n, packets: 1n, lastUsedMs: 5 })
    assert.deepEqual(a.perform({ kind: 'query-sa', id: sa() }, 6), { bytes: 100n, packets: 1n, lastUsedMs: 0 })
  })

  for (const [what, outbound, inbound, counter] of [
    ['other keys', {}, { crypto: gcm(2) }, 'XfrmInStateProtoError'],
    ['another ICV length', {}, { crypto: { ...gcm(), icvBits: 64 } as SaCrypto }, 'XfrmInStateProtoError'],
    ['an unknown SPI', {}, { spi: 9 }, 'XfrmInNoStates'],
    [
      'UDP encapsulation on one side',
      {},
      { encapsulation: { sourcePort: 4500, destinationPort: 4500 } },
      'XfrmInStateMismatch',
    ],
    ['another reqid than the policy', {}, { reqid: 2 }, 'XfrmInTmplMismatch'],
    ['another mode', {}, { mode: 'transport' }, 'XfrmInStateModeError'],
    ['a source that the policy does not name', {}, { source: '192.0.2.77' }, 'XfrmInTmplMismatch'],
  ] as const satisfies readonly (readonly [string, Partial<KernelSa>, Partial<KernelSa>, string])[]) {
    test(`are dropped: ${what}`, () => {
      const [a, b] = oneWay(outbound, inbound)
      assert.deepEqual(b.receive(seal(a), 0), { kind: 'dropped', counter })
      assert.equal(b.counters.get(counter), 1)
    })
  }

  test('are dropped when replayed, changed, or without the policy that a tunnel needs', () => {
    const [a, b] = oneWay()
    const first = seal(a)
    const second = seal(a)
    b.receive(second, 0)
    assert.equal(b.receive(first, 0).kind, 'delivered')
    assert.deepEqual(b.receive(first, 0), { kind: 'dropped', counter: 'XfrmInStateSeqError' })
    const changed = { ...seal(a), inner: packet({ destination: '10.2.0.11' }) }
    assert.deepEqual(b.receive(changed, 0), { kind: 'dropped', counter: 'XfrmInStateProtoError' })
    b.perform({ kind: 'delete-policy', key: policy('fwd') }, 0)
    assert.deepEqual(b.receive(seal(a), 0), { kind: 'dropped', counter: 'XfrmInNoPols' })
  })

  test('without protection are dropped where a policy demands it, and pass elsewhere', () => {
    const [, b] = oneWay()
    assert.deepEqual(b.receivePlain(packet(), 0), { kind: 'dropped', counter: 'XfrmInTmplMismatch' })
    assert.equal(b.receivePlain(packet({ source: '10.9.0.1' }), 0).kind, 'delivered')
  })

  test('meet the policy with the lowest priority number', () => {
    const [a] = oneWay()
    const selector = net('10.1.0.0', '10.2.0.0', 17)
    const shunt = { ...policy('out'), selector, templates: [], priority: 1 }
    a.perform({ kind: 'install-policy', policy: { ...shunt, action: 'pass' }, replace: false }, 0)
    assert.equal(a.send(packet(), 0).kind, 'plain')
    assert.equal(a.send(packet({ protocol: 6 }), 0).kind, 'sealed')
    a.perform({ kind: 'install-policy', policy: { ...shunt, action: 'drop' }, replace: true }, 0)
    assert.deepEqual(a.send(packet(), 0), { kind: 'dropped', counter: 'XfrmOutPolBlock' })
  })

  test('meet policies with their mark and their interface only', () => {
    const a = kernel(left)
    a.perform({ kind: 'install-policy', policy: policy('out', { mark: { value: 1, mask: 1 } }), replace: false }, 0)
    a.perform({ kind: 'install-policy', policy: policy('out', { ifId: 5 }), replace: false }, 0)
    assert.equal(a.send(packet(), 0).kind, 'plain')
    assert.equal(a.send(packet({ mark: 3 }), 0).kind, 'dropped')
    assert.equal(a.send(packet({ ifId: 5 }), 0).kind, 'dropped')
  })

  test('from behind a new mapping are delivered and reported', () => {
    const encapsulation = { sourcePort: 4500, destinationPort: 4500 }
    const [a, b] = oneWay({ encapsulation }, { encapsulation })
    const mapped = { ...seal(a), source: '198.51.100.1', encapsulation: { sourcePort: 1024, destinationPort: 4500 } }
    assert.equal(b.receive(mapped, 0).kind, 'delivered')
    assert.deepEqual(b.drain(), [
      { kind: 'mapping', spi: spiRight, reqid: 1, source: left, newSource: '198.51.100.1', newPort: 1024 },
    ])
  })

  test('in transport mode carry the outer addresses and match the selector of the state', () => {
    const host = (protocol: number): KernelSelector => ({
      family: 4,
      protocol,
      source: { address: left, prefix: 32, port: 0, portMask: 0 },
      destination: { address: right, prefix: 32, port: 0, portMask: 0 },
    })
    const templates = [{ protocol: 'ESP', mode: 'transport', reqid: 1, source: '', destination: '' }] as const
    const a = kernel(left)
    const b = kernel(right)
    const transport = sa({ mode: 'transport', selector: host(17) })
    a.perform({ kind: 'install-sa', sa: transport, larval: false }, 0)
    a.perform({ kind: 'install-policy', policy: policy('out', { selector: host(0), templates }), replace: false }, 0)
    b.perform({ kind: 'install-sa', sa: { ...transport, direction: 'in' }, larval: false }, 0)
    b.perform({ kind: 'install-policy', policy: policy('in', { selector: host(0), templates }), replace: false }, 0)
    const inside = packet({ source: left, destination: right })
    assert.equal(b.receive(seal(a, inside), 0).kind, 'delivered')
    // The state does not take TCP, so a second state is asked for.
    assert.deepEqual(a.send({ ...inside, protocol: 6 }, 0), { kind: 'dropped', counter: 'XfrmOutNoStates' })
  })
})

describe('time', () => {
  test('a larval state lives 165 seconds', () => {
    const b = kernel(right)
    const allocate = { protocol: 'ESP', source: left, destination: right, reqid: 1, min: 256, max: 300 } as const
    const { spi } = b.perform({ kind: 'allocate-spi', ...allocate }, 1000)
    assert.ok(spi >= 256 && spi <= 300)
    assert.equal(b.deadline, 166_000)
    b.advance(165_999)
    assert.equal(b.states.length, 1)
    b.advance(166_000)
    assert.deepEqual(b.states, [])
    assert.deepEqual(b.drain(), [{ kind: 'expire', protocol: 'ESP', spi, destination: right, hard: true }])
  })

  test('a larval state becomes an SA once', () => {
    const b = kernel(right)
    const allocate = { protocol: 'ESP', source: left, destination: right, reqid: 1, min: 1, max: 9 } as const
    const { spi } = b.perform({ kind: 'allocate-spi', ...allocate }, 0)
    b.perform({ kind: 'install-sa', sa: sa({ spi, direction: 'in' }), larval: true }, 0)
    assert.throws(() => b.perform({ kind: 'install-sa', sa: sa({ spi }), larval: true }, 0), refusal('EEXIST'))
    assert.equal(b.deadline, undefined)
  })

  test('an SPI range that is used up', () => {
    const b = kernel(right)
    const allocate = { protocol: 'ESP', source: left, destination: right, reqid: 1, min: 7, max: 7 } as const
    b.perform({ kind: 'allocate-spi', ...allocate }, 0)
    assert.throws(() => b.perform({ kind: 'allocate-spi', ...allocate }, 0), refusal('ENOENT'))
  })

  test('one acquire for all packets of a policy, again after 165 seconds, ended by the SA', () => {
    const a = kernel(left)
    a.perform({ kind: 'install-policy', policy: policy('out'), replace: false }, 0)
    const acquires = (now: number): number => {
      assert.deepEqual(a.send(packet(), now), { kind: 'dropped', counter: 'XfrmOutNoStates' })
      assert.deepEqual(a.send(packet({ protocol: 6 }), now), { kind: 'dropped', counter: 'XfrmOutNoStates' })
      return a.drain().filter((event) => event.kind === 'acquire').length
    }
    assert.equal(acquires(0), 1)
    assert.equal(acquires(164_999), 0)
    assert.equal(acquires(165_000), 1)
    a.perform({ kind: 'install-sa', sa: sa(), larval: false }, 165_000)
    assert.deepEqual(
      a.states.map(({ kind }) => kind),
      ['valid'],
    )
    assert.equal(a.send(packet(), 165_000).kind, 'sealed')
  })

  test('an acquire names the policy, the endpoints and the packet', () => {
    const a = kernel(left)
    a.perform({ kind: 'install-policy', policy: policy('out'), replace: false }, 0)
    a.send(packet(), 0)
    assert.deepEqual(a.drain(), [
      {
        kind: 'acquire',
        reqid: 1,
        protocol: 'ESP',
        source: left,
        destination: right,
        sequence: 1,
        packet: {
          family: 4,
          protocol: 17,
          source: { address: '10.1.0.10', prefix: 32, port: 1000, portMask: 0xffff },
          destination: { address: '10.2.0.10', prefix: 32, port: 2000, portMask: 0xffff },
        },
      },
    ])
  })

  test('soft and hard limits in seconds', () => {
    const a = kernel(left)
    a.perform({ kind: 'install-sa', sa: sa({ limits: { softSeconds: 10, hardSeconds: 12 } }), larval: false }, 0)
    const expire = { kind: 'expire', protocol: 'ESP', spi: spiRight, destination: right }
    a.advance(10_000)
    a.advance(11_000)
    assert.deepEqual(a.drain(), [{ ...expire, hard: false }])
    a.advance(12_000)
    assert.deepEqual(a.drain(), [{ ...expire, hard: true }])
    assert.deepEqual(a.states, [])
  })

  test('soft and hard limits in packets and bytes', () => {
    const [a] = oneWay({ limits: { softPackets: 1n, hardBytes: 200n } })
    const expired = (): boolean[] => a.drain().flatMap((event) => (event.kind === 'expire' ? [event.hard] : []))
    seal(a)
    assert.deepEqual(expired(), [])
    seal(a)
    assert.deepEqual(expired(), [false])
    assert.deepEqual(a.send(packet(), 0), { kind: 'dropped', counter: 'XfrmOutStateExpired' })
    assert.deepEqual(expired(), [true])
  })

  test('of two SAs the younger one carries, unless it is dying', () => {
    const [a] = oneWay()
    a.perform({ kind: 'install-sa', sa: sa({ spi: 5, limits: { softSeconds: 10 } }), larval: false }, 1000)
    assert.equal(seal(a, packet(), 1000).spi, 5)
    assert.equal(seal(a, packet(), 11_000).spi, spiRight)
  })

  test('skipped sequence numbers are not used', () => {
    const [a, b] = oneWay()
    b.receive(seal(a), 0)
    a.perform({ kind: 'skip-sequence', id: sa(), by: 100n }, 0)
    const next = seal(a)
    assert.equal(next.sequence, 102)
    assert.equal(b.receive(next, 0).kind, 'delivered')
    assert.throws(() => a.perform({ kind: 'skip-sequence', id: sa({ spi: 99 }), by: 1n }, 0), refusal('ESRCH'))
  })

  test('a moved SA keeps counters and sequence numbers', () => {
    const [a, b] = oneWay()
    b.receive(seal(a), 0)
    const moved = sa({ source: '192.0.2.8' })
    a.perform({ kind: 'move-sa', id: sa(), sa: moved }, 1)
    b.perform({ kind: 'move-sa', id: sa(), sa: { ...moved, direction: 'in' } }, 1)
    const templates = [{ protocol: 'ESP', mode: 'tunnel', reqid: 1, source: '192.0.2.8', destination: right }] as const
    a.perform({ kind: 'install-policy', policy: policy('out', { templates }), replace: true }, 1)
    b.perform({ kind: 'install-policy', policy: policy('fwd', { templates }), replace: true }, 1)
    const second = seal(a)
    assert.equal(second.sequence, 2)
    assert.equal(b.receive(second, 2).kind, 'delivered')
    assert.equal(b.perform({ kind: 'query-sa', id: moved }, 2)?.packets, 2n)
  })
})

describe('replay window', () => {
  test('takes each number once, and none from before the window', () => {
    const window = new ReplayWindow(4, false)
    for (const [sequence, fits] of [
      [0, false],
      [1, true],
      [1, false],
      [10, true],
      [7, true],
      [6, false],
      [7, false],
      [9, true],
    ] as const) {
      assert.equal(window.fits(sequence), fits, `${sequence}`)
      if (fits) window.accept(sequence)
    }
  })

  test('guesses the high half of extended numbers', () => {
    const window = new ReplayWindow(32, true)
    window.accept(0xffff_fff0)
    assert.equal(window.whole(0xffff_fffa), 0xffff_fffa)
    assert.equal(window.whole(5), 0x1_0000_0005)
    window.accept(0x1_0000_0005)
    assert.equal(window.whole(0xffff_fffa), 0xffff_fffa)
    assert.equal(window.whole(6), 0x1_0000_0006)
  })
})
