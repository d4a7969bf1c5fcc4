import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute, encodeMessage, type NetlinkMessage } from '../netlink/message.ts'
import { decodeEvent } from './events.ts'
import { XFRM_MSG_ACQUIRE, XFRM_MSG_EXPIRE, XFRM_MSG_MAPPING, XFRMA_TMPL } from './numbers.ts'
import { xfrm_user_acquire, xfrm_user_expire, xfrm_user_mapping, xfrm_user_tmpl } from './structs.ts'

const left = Uint8Array.of(192, 0, 2, 1)
const right = Uint8Array.of(192, 0, 2, 2)
const message = (type: number, body: Uint8Array): NetlinkMessage => ({ type, flags: 0, sequence: 0, body })

const acquire = (proto: number, family: number, withTemplate = true) =>
  message(
    XFRM_MSG_ACQUIRE,
    encodeMessage(
      0,
      0,
      0,
      xfrm_user_acquire.encode({
        id: { daddr: right, proto },
        saddr: left,
        sel: {
          daddr: right,
          saddr: left,
          dport: 80,
          dport_mask: 0xffff,
          family,
          prefixlen_d: 32,
          prefixlen_s: 32,
          proto: 6,
        },
        seq: 9,
      }),
      withTemplate ? [attribute(XFRMA_TMPL, xfrm_user_tmpl, { family: 2, reqid: 42 })] : [],
    ).subarray(16),
  )

test('XFRM_MSG_ACQUIRE', () => {
  assert.deepEqual(decodeEvent(acquire(50, 2)), {
    kind: 'acquire',
    reqid: 42,
    protocol: 'ESP',
    source: '192.0.2.1',
    destination: '192.0.2.2',
    packet: {
      family: 4,
      protocol: 6,
      source: { address: '192.0.2.1', prefix: 32, port: 0, portMask: 0 },
      destination: { address: '192.0.2.2', prefix: 32, port: 80, portMask: 0xffff },
    },
    sequence: 9,
  })
  assert.equal(decodeEvent(acquire(108, 2)), undefined) // IPComp
  assert.equal(decodeEvent(acquire(50, 2, false)), undefined)
  assert.throws(() => decodeEvent(acquire(50, 3)), { name: 'DecodeError' })
})

test('XFRM_MSG_EXPIRE', () => {
  const expire = (proto: number, hard: number) =>
    message(
      XFRM_MSG_EXPIRE,
      xfrm_user_expire.encode({ state: { id: { daddr: right, spi: 0xc0000001, proto }, family: 2 }, hard }),
    )
  const event = { kind: 'expire', protocol: 'ESP', spi: 0xc0000001, destination: '192.0.2.2' }
  assert.deepEqual(decodeEvent(expire(50, 0)), { ...event, hard: false })
  assert.deepEqual(decodeEvent(expire(51, 1)), { ...event, protocol: 'AH', hard: true })
  assert.equal(decodeEvent(expire(4, 1)), undefined) // a tunnel of IPComp
  assert.throws(() => decodeEvent(message(XFRM_MSG_EXPIRE, new Uint8Array(231))), { name: 'DecodeError' })
})

test('XFRM_MSG_MAPPING', () => {
  const body = xfrm_user_mapping.encode({
    id: { daddr: right, spi: 5, family: 2, proto: 50 },
    reqid: 42,
    old_saddr: left,
    new_saddr: Uint8Array.of(192, 0, 2, 9),
    old_sport: 4500,
    new_sport: 61000,
  })
  assert.deepEqual(decodeEvent(message(XFRM_MSG_MAPPING, body)), {
    kind: 'mapping',
    spi: 5,
    reqid: 42,
    source: '192.0.2.1',
    newSource: '192.0.2.9',
    newPort: 61000,
  })
})

test('other notifications are nobody’s event', () => {
  assert.equal(decodeEvent(message(0x10, new Uint8Array(0))), undefined)
})
