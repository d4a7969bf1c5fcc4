import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../crypto/secret.ts'
import { attribute, decodeAttributes, encodeMessage } from '../netlink/message.ts'
import type { NetlinkRequest } from '../netlink/netlink-socket.ts'
import type { KernelSa } from '../operations.ts'
import { XFRMA_LASTUSED, XFRMA_LTIME_VAL, XFRMA_REPLAY_ESN_VAL, XFRMA_REPLAY_VAL } from './numbers.ts'
import { installPolicy } from './policies.ts'
import {
  compressionOf,
  decodeState,
  deleteState,
  installCompression,
  installState,
  replaceReplayState,
  skipAhead,
} from './states.ts'
import {
  xfrm_replay_state,
  xfrm_replay_state_esn,
  xfrm_user_tmpl,
  xfrm_userpolicy_info,
  xfrm_usersa_info,
} from './structs.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

const sa: KernelSa = {
  protocol: 'ESP',
  spi: 0xc1020304,
  source: '192.0.2.1',
  destination: '192.0.2.2',
  direction: 'in',
  reqid: 5,
  mode: 'tunnel',
  crypto: {
    kind: 'separate',
    encryption: { name: 'cbc(aes)', key: Secret.of(new Uint8Array(16).fill(0xee)) },
    integrity: { name: 'hmac(sha256)', key: Secret.of(new Uint8Array(32).fill(0xaa)), truncationBits: 128 },
  },
  encapsulation: { sourcePort: 4500, destinationPort: 4501 },
  esn: false,
  replayWindow: 32,
  limits: { softSeconds: 10.5, hardBytes: 0x1000n },
  copyDf: true,
  copyEcn: true,
  copyDscp: 'out',
}

/** The attributes of a request, as hexadecimal text by their number. */
function attributesOf({ fixed, attributes }: NetlinkRequest): Record<number, string> {
  const message = encodeMessage(0, 0, 0, fixed, attributes)
  return Object.fromEntries(
    [...decodeAttributes(message, 16 + fixed.length)].map(([type, value]) => [type, hex(value)]),
  )
}

test('XFRM_MSG_NEWSA, octet by octet', () => {
  const { type, flags, fixed } = installState(sa, false)
  assert.deepEqual([type, flags], [0x10, 0x600])
  const inf = 'ff'.repeat(8)
  const none = '00'.repeat(8)
  const expected = [
    '00'.repeat(56), // no selector in tunnel mode
    `c0000202 ${'00'.repeat(12)} c1020304 32 000000`, // id
    `c0000201 ${'00'.repeat(12)}`, // saddr
    `${inf} 0010000000000000 ${inf} ${inf}`, // octets soft and hard, packets soft and hard
    `0b00000000000000 ${none} ${none} ${none}`, // seconds since added, since used
    '00'.repeat(32 + 12), // counters
    '00000000 05000000 0200 01 20 20', // seq, reqid, family, mode, replay window, flags
    '00'.repeat(7),
  ]
  assert.equal(hex(fixed), expected.join('').replaceAll(' ', ''))
})

test('ICMP errors are a flag of a state and a flag of a policy', () => {
  const flagsAt = 223 - 7 // the last octet before the padding of xfrm_usersa_info
  const flags = [sa, { ...sa, icmpErrors: true as const }].map((one) => installState(one, false).fixed[flagsAt])
  assert.deepEqual(flags, [0x20, 0x30])
  const side = { address: '10.0.0.0', prefix: 8, port: 0, portMask: 0 }
  const selector = { family: 4, protocol: 0, source: side, destination: side } as const
  const policy = { direction: 'out', selector, action: 'protect', priority: 1, templates: [] } as const
  const octets = [policy, { ...policy, icmpErrors: true as const }].map((one) => installPolicy(one, false).fixed)
  assert.deepEqual(
    octets.map((fixed) => xfrm_userpolicy_info.decode(fixed).flags),
    [0, 2],
  )
})

test('AH on IPv4 is a multiple of 32 bits, as RFC 4302 has it, on IPv6 of 64', () => {
  const integrity = { name: 'hmac(sha256)', key: Secret.of(new Uint8Array(32)), truncationBits: 128 }
  const { encapsulation: _, ...plain } = sa
  const ah: KernelSa = { ...plain, protocol: 'AH', crypto: { kind: 'separate', integrity } }
  const ah6: KernelSa = { ...ah, source: '2001:db8::1', destination: '2001:db8::2' }
  const flags = [ah, ah6].map((one) => xfrm_usersa_info.decode(installState(one, false).fixed).flags)
  assert.deepEqual(flags, [0x60, 0x20])
})

test('algorithms carry their name, the length of the key in bits, and what is sent of the ICV', () => {
  const name = (text: string) => hex(Buffer.from(text)).padEnd(128, '0')
  assert.deepEqual(attributesOf(installState(sa, true)), {
    2: `${name('cbc(aes)')}80000000${'ee'.repeat(16)}`,
    20: `${name('hmac(sha256)')}0001000080000000${'aa'.repeat(32)}`,
    4: `0200119411950000${'00'.repeat(16)}`,
  })
  const gcm = {
    kind: 'aead',
    name: 'rfc4106(gcm(aes))',
    key: Secret.of(new Uint8Array(20).fill(7)),
    icvBits: 96,
  } as const
  const { encapsulation: _, ...plain } = sa
  assert.deepEqual(attributesOf(installState({ ...plain, crypto: gcm }, false)), {
    18: `${name('rfc4106(gcm(aes))')}a000000060000000${'07'.repeat(20)}`,
  })
})

test('the replay window: a number up to 32, a bitmap beyond and with ESN', () => {
  const replay = (more: Partial<KernelSa>) => {
    const request = installState({ ...sa, ...more }, false)
    const { replay_window, flags } = xfrm_usersa_info.decode(request.fixed)
    return { replay_window, esn: (flags & 128) !== 0, bitmap: attributesOf(request)[XFRMA_REPLAY_ESN_VAL] }
  }
  const bitmap = (words: number, window: number) =>
    hex(Uint8Array.of(words, 0, 0, 0, ...Array<number>(16).fill(0), window & 255, window >> 8, 0, 0)) +
    '00'.repeat(4 * words)
  assert.deepEqual(replay({ replayWindow: 0 }), { replay_window: 0, esn: false, bitmap: undefined })
  assert.deepEqual(replay({ replayWindow: 33 }), { replay_window: 0, esn: false, bitmap: bitmap(2, 33) })
  assert.deepEqual(replay({ esn: true }), { replay_window: 0, esn: true, bitmap: bitmap(1, 32) })
  // Only the receiver checks; the sender needs the attribute to count beyond 32 bits.
  assert.deepEqual(replay({ direction: 'out', replayWindow: 4096 }), {
    replay_window: 0,
    esn: false,
    bitmap: undefined,
  })
  assert.deepEqual(replay({ direction: 'out', esn: true, replayWindow: 4096 }), {
    replay_window: 0,
    esn: true,
    bitmap: bitmap(1, 32),
  })
  // XFRMA_REPLAY_ESN_MAX
  assert.deepEqual(replay({ replayWindow: 9999 }), { replay_window: 0, esn: false, bitmap: bitmap(128, 4096) })
})

test('XFRM_MSG_DELSA names the state by destination, SPI, protocol, source and mark', () => {
  const request = deleteState({ ...sa, mark: { value: 0x1ff, mask: 0xff } })
  assert.equal(request.type, 0x11)
  assert.equal(hex(request.fixed), `c0000202${'00'.repeat(12)}c102030402003200`)
  assert.deepEqual(attributesOf(request), { 13: `c0000201${'00'.repeat(12)}`, 21: 'ff000000ff000000' })
})

test('a state is read back with counters and what moves along', () => {
  const info = xfrm_usersa_info.encode({
    id: { spi: 7, proto: 50 },
    family: 2,
    reqid: 5,
    curlft: { bytes: 3000n, packets: 2n, add_time: 11n, use_time: 12n },
  })
  const replay = xfrm_replay_state.encode({ oseq: 1, seq: 2, bitmap: 3 })
  const attributes = [
    { type: XFRMA_LASTUSED, value: bytes('8096986700000000') },
    { type: XFRMA_REPLAY_VAL, value: replay },
  ]
  const body = encodeMessage(0x10, 0, 1, info, attributes).subarray(16)
  const state = decodeState({ type: 0x10, flags: 0, sequence: 1, body })
  assert.deepEqual(state.usage, { bytes: 3000n, packets: 2n, lastUsedMs: 0x67989680 * 1000 })
  assert.equal(state.spi, 7)
  assert.deepEqual(state.carried, [
    { type: XFRMA_REPLAY_VAL, value: replay },
    { type: XFRMA_LTIME_VAL, value: bytes('b80b000000000000 0200000000000000 0b00000000000000 0c00000000000000') },
  ])
  const unused = { type: 0x10, flags: 0, sequence: 1, body: info }
  assert.equal(decodeState(unused).usage.lastUsedMs, undefined)
  assert.throws(() => decodeState({ ...unused, body: info.subarray(1) }), { name: 'DecodeError' })
})

test('XFRM_MSG_NEWAE names the state and carries its replay state alone', () => {
  const replay = attribute(XFRMA_REPLAY_VAL, xfrm_replay_state, { oseq: 1, seq: 2, bitmap: 3 })
  const id = { protocol: 'ESP', spi: 0xc0000001, source: '192.0.2.1', destination: '192.0.2.2' } as const
  const request = replaceReplayState(id, [{ type: XFRMA_LTIME_VAL, value: new Uint8Array(32) }, replay])
  assert.deepEqual([request.type, request.flags], [0x1e, 0x100])
  assert.deepEqual(request.attributes, [replay])
  assert.deepEqual(
    request.fixed,
    bytes(
      // daddr, spi, family, proto; saddr, flags, reqid
      'c0000202 00000000 00000000 00000000 c0000001 0200 32 00' +
        'c0000201 00000000 00000000 00000000 00000000 00000000',
    ),
  )
})

test('no sequence number is used twice by a moved state', () => {
  const old = (oseq: number) => attribute(XFRMA_REPLAY_VAL, xfrm_replay_state, { oseq, seq: 9, bitmap: 1 })
  assert.deepEqual(skipAhead([old(100)]), [old(4196)])
  assert.deepEqual(skipAhead([old(0xffff_fff0)]), [old(0xffff_ffff)]) // exhausted, never wrapped
  const esn = (oseq: number, oseq_hi: number) => {
    const head = xfrm_replay_state_esn.encode({ bmp_len: 1, oseq, oseq_hi, seq: 9, replay_window: 32 })
    return { type: XFRMA_REPLAY_ESN_VAL, value: Uint8Array.of(...head, 1, 2, 3, 4) }
  }
  assert.deepEqual(skipAhead([esn(100, 1)]), [esn(4196, 1)])
  assert.deepEqual(skipAhead([esn(0xffff_ffff, 1)]), [esn(4095, 2)])
  assert.deepEqual(skipAhead([old(100)], 0x1_0000n), [old(0x1_0064)])
  assert.deepEqual(skipAhead([old(100)], 0xffff_ffffn), [old(0xffff_ffff)])
  assert.deepEqual(skipAhead([esn(100, 1)], 0x2_0000_0001n), [esn(101, 3)])
  assert.deepEqual(skipAhead([esn(100, 0xffff_ffff)], 0xffff_ffff_ffff_ffffn), [esn(0xffff_ffff, 0xffff_ffff)])
  assert.deepEqual(skipAhead([{ type: XFRMA_REPLAY_VAL, value: new Uint8Array(3) }]), [
    { type: XFRMA_REPLAY_VAL, value: new Uint8Array(3) },
  ])
})

test('IPComp: its state has the tunnel, and the other is in transport mode around it', () => {
  const compressed: KernelSa = { ...sa, cpi: 0xabcd, mark: { value: 7, mask: 0xff }, ifId: 9 }
  const outer = xfrm_usersa_info.decode(installState(compressed, true).fixed)
  assert.deepEqual([outer.mode, outer.flags, outer.id.proto], [0, 0, 50])
  const request = installCompression(compressed, true)
  assert.equal(request.type, 0x1a)
  const inner = xfrm_usersa_info.decode(request.fixed)
  assert.deepEqual([inner.mode, inner.flags, inner.id.proto, inner.id.spi], [1, 0x20, 108, 0xabcd])
  assert.deepEqual([inner.reqid, inner.lft.hard_byte_limit, inner.replay_window], [5, 0xffff_ffff_ffff_ffffn, 0])
  assert.deepEqual(attributesOf(request), {
    3: `${Buffer.from('deflate').toString('hex').padEnd(128, '0')}00000000`,
    21: '07000000ff000000',
    31: '09000000',
  })
  const id = compressionOf(compressed)
  assert.ok(id !== undefined)
  assert.equal(hex(deleteState(id).fixed), `c0000202${'00'.repeat(12)}0000abcd02006c00`)
  assert.equal(compressionOf(sa), undefined)
})

for (const direction of ['out', 'in'] as const) {
  test(`IPComp: a policy ${direction} has two templates`, () => {
    const side = { address: '10.0.0.0', prefix: 8, port: 0, portMask: 0 }
    const { attributes } = installPolicy(
      {
        direction,
        selector: { family: 4, protocol: 0, source: side, destination: side },
        action: 'protect',
        priority: 1,
        templates: [
          { protocol: 'ESP', mode: 'tunnel', reqid: 3, source: '192.0.2.1', destination: '192.0.2.2', ipcomp: true },
        ],
      },
      false,
    )
    const value = attributes?.find(({ type }) => type === 5)?.value ?? new Uint8Array()
    assert.equal(value.length, 2 * xfrm_user_tmpl.size)
    const [first, second] = [0, 1].map((i) => xfrm_user_tmpl.decode(value.subarray(i * 64, (i + 1) * 64)))
    assert.deepEqual(
      [first?.id.proto, first?.mode, first?.optional, first?.reqid],
      [108, 1, direction === 'out' ? 0 : 1, 3],
    )
    assert.deepEqual([second?.id.proto, second?.mode, second?.optional, second?.reqid], [50, 0, 0, 3])
  })
}
