import {
  attribute,
  attribute32,
  decodeMessages,
  decodeStatus,
  encodeMessage,
} from '../../src/kernel/netlink/message.ts'
import { decodeEvent } from '../../src/kernel/xfrm/events.ts'
import { XFRMA_REPLAY_VAL, XFRMA_TMPL } from '../../src/kernel/xfrm/numbers.ts'
import { decodeState } from '../../src/kernel/xfrm/states.ts'
import {
  xfrm_replay_state,
  xfrm_user_acquire,
  xfrm_user_expire,
  xfrm_user_mapping,
  xfrm_user_tmpl,
  xfrm_usersa_info,
} from '../../src/kernel/xfrm/structs.ts'
import {
  changeAddress,
  changeRoute,
  decodeLink,
  decodeLocalAddress,
  decodeRoute,
  ifinfomsg,
} from '../../src/net/rtnetlink.ts'
import {
  decodePacketInfo,
  decodeSocketAddress,
  encodePacketInfo,
  encodeSocketAddress,
} from '../../src/net/socket-address.ts'
import { DecodeError } from '../../src/wire/errors.ts'
import type { Target } from './harness.ts'

const v4 = Uint8Array.of(192, 0, 2, 1)
const v6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)

const route = changeRoute(
  { family: 4, table: 220, destination: { address: '10.0.0.0', prefix: 8 }, source: '10.1.0.1', gateway: '192.0.2.1' },
  2,
  true,
)
const address = changeAddress('2001:db8::1', 2, true)

const messages: readonly Uint8Array[] = [
  encodeMessage(0x10, 0, 1, xfrm_usersa_info.encode({ id: { spi: 7, proto: 50 }, family: 2 }), [
    attribute(XFRMA_REPLAY_VAL, xfrm_replay_state, { oseq: 1 }),
  ]),
  encodeMessage(0x17, 0, 0, xfrm_user_acquire.encode({ id: { daddr: v4, proto: 50 }, sel: { family: 2 } }), [
    attribute(XFRMA_TMPL, xfrm_user_tmpl, { family: 2, reqid: 4 }),
  ]),
  encodeMessage(0x18, 0, 0, xfrm_user_expire.encode({ state: { id: { daddr: v6, proto: 51 }, family: 10 }, hard: 1 })),
  encodeMessage(0x26, 0, 0, xfrm_user_mapping.encode({ id: { family: 2, proto: 50 }, new_saddr: v4, new_sport: 4501 })),
  encodeMessage(24, 0, 0, route.fixed, route.attributes),
  encodeMessage(20, 0, 0, address.fixed, address.attributes),
  encodeMessage(16, 0, 0, ifinfomsg.encode({ ifi_index: 1 }), [{ type: 3, value: Buffer.from('lo\0') }]),
  encodeMessage(2, 0x300, 1, Uint8Array.of(0xea, 0xff, 0xff, 0xff, 16, ...Array<number>(15).fill(0)), [
    { type: 1, value: Buffer.from('no\0') },
    attribute32(2, 4),
  ]),
]

export const targets: readonly Target[] = [
  {
    name: 'netlink',
    corpus: [...messages, new Uint8Array(Buffer.concat(messages.map(padded)))],
    decode(input) {
      return decodeMessages(input).map((message) => {
        // Every body through the decoder of its type.
        if (message.type === 2) return decodeStatus(message)
        if (message.type === 0x10 && message.body.length < 200) return decodeLink(message)
        if (message.type === 0x10) return decodeState(message)
        if (message.type === 20 || message.type === 21) return decodeLocalAddress(message)
        if (message.type === 24 || message.type === 25) return decodeRoute(message)
        return decodeEvent(message)
      })
    },
    allowed: (error) => error instanceof DecodeError,
  },
  {
    name: 'socket address',
    corpus: [encodeSocketAddress(v4, 500, 0), encodeSocketAddress(v6, 4500, 2)],
    decode: decodeSocketAddress,
    allowed: (error) => error instanceof DecodeError,
  },
  {
    name: 'packet info',
    corpus: [encodePacketInfo(v4, 0), encodePacketInfo(v6, 2)],
    decode: decodePacketInfo,
    allowed: (error) => error instanceof DecodeError,
  },
]

function padded(message: Uint8Array): Uint8Array {
  return Buffer.concat([message, new Uint8Array(-message.length & 3)])
}
