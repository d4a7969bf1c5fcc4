/** INVALID_IKE_SPI without protection: sent now and then, believed never (RFC 7296 §2.21.4). */
import assert from 'node:assert/strict'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import { EXCHANGE, NOTIFY } from '../../src/wire/numbers.ts'
import { exchanges, logged, notLogged, onlySa, sameSingleChild } from './expect.ts'
import { established } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

/** An unprotected notify, as anybody could send it. */
function unprotected(world: World, type: number, exchange: number = EXCHANGE.INFORMATIONAL): Uint8Array {
  const { spiI, spiR } = onlySa(world.left)
  return encodeMessage({
    spiI,
    spiR,
    major: 2,
    minor: 0,
    exchange,
    flags: { initiator: false, response: true },
    messageId: 2,
    payloads: [{ type: 'N', protocol: 0, spi: new Uint8Array(), notify: type, data: new Uint8Array() }],
  })
}

const right = { address: '192.0.2.2', port: 500 }

/**
 *   HDR(A, B), SK {}  -->
 *                      <--  HDR(A, B), N(INVALID_IKE_SPI)    B has forgotten everything
 */
scenario('a restarted peer answers once in ten seconds', () => {
  const world = established({ left: { connection: { dpdDelaySeconds: 30 } } })
  world.right.restart()
  world.wait(31)
  logged(world.right, 'sending INVALID_IKE_SPI to 192.0.2.1')
  const sent = (): number => world.right.sent.filter(({ bytes }) => bytes[18] === 37 || bytes[22] === 37).length
  assert.equal(sent(), 1)
  world.wait(5) // one retransmission, too early for another answer
  assert.equal(sent(), 1)
  world.wait(8) // the next one
  assert.equal(sent(), 2)
  assert.equal(onlySa(world.left).state, 'ESTABLISHED', 'nothing has been believed')
  world.wait(160)
  assert.deepEqual(world.left.sas(), [])
})

/** RFC 7296 §1.5: as a response, with the SPIs, the exchange and the message ID of the request. */
scenario('the answer without protection has the numbers of its request, and no data', () => {
  const world = established()
  const request = Buffer.from(world.left.sent.at(-1)?.bytes.subarray(4) ?? [])
  request[8] = (request[8] ?? 0) ^ 0xff
  world.inject(world.right, { address: '192.0.2.1', port: 500 }, request)
  const answer = Buffer.from(world.right.sent.at(-1)?.bytes ?? [])
  assert.deepEqual(answer.subarray(0, 16), request.subarray(0, 16))
  assert.deepEqual([...answer.subarray(16, 28)], [41, 0x20, 35, 0x20, 0, 0, 0, 1, 0, 0, 0, 36])
  assert.deepEqual([...answer.subarray(28)], [0, 0, 0, 8, 0, 0, 0, 4])
})

/** §2.21.4: to where the request came from, with its SPIs and message ID, without protection, and nothing else in it. */
scenario('what the answer says', () => {
  const world = established()
  const asked = { spiI: 0x0102n, spiR: 0x0304n, major: 2, minor: 0, exchange: EXCHANGE.INFORMATIONAL, messageId: 77 }
  const request = encodeMessage({ ...asked, flags: { initiator: true, response: false }, payloads: [] })
  request[16] = 46 // SK: the rest is never looked at
  const answers = () => world.net.flights.filter(({ from }) => from === 'left')
  const stranger = { address: '203.0.113.5', port: 1234 }
  world.inject(world.left, stranger, request)
  const [answer] = answers()
  assert.ok(answer)
  assert.deepEqual(answer.destination, stranger)
  const said = { type: 'N', protocol: 0, spi: new Uint8Array(), notify: NOTIFY.INVALID_IKE_SPI, data: new Uint8Array() }
  assert.deepEqual(decodeMessage(answer.bytes), {
    ...asked,
    flags: { initiator: false, response: true },
    payloads: [said],
  })
})

/** §2.21.4: the same octets with the Response flag are not answered. */
scenario('a response for an unknown IKE SA is not answered', () => {
  const world = established()
  const before = world.left.sent.length
  for (const initiator of [true, false]) {
    const message = encodeMessage({
      spiI: 1n,
      spiR: 2n,
      major: 2,
      minor: 0,
      exchange: EXCHANGE.INFORMATIONAL,
      flags: { initiator, response: true },
      messageId: 0,
      payloads: [],
    })
    message[16] = 46
    world.inject(world.left, { address: '203.0.113.5', port: 500 }, message)
  }
  assert.equal(world.left.sent.length, before)
})

scenario('not when it is switched off', () => {
  const world = established({
    left: { connection: { dpdDelaySeconds: 30 } },
    right: { settings: { sendInvalidIkeSpi: false } },
  })
  world.right.restart()
  world.wait(60)
  notLogged(world.right, 'INVALID_IKE_SPI')
})

/**
 *                      <--  HDR(A, B), N(INVALID_IKE_SPI)    from anybody
 *   HDR, SK {}  -->
 *                      <--  HDR, SK {}
 */
for (const type of ['INVALID_IKE_SPI', 'INVALID_SPI'] as const) {
  scenario(`an unprotected ${type} makes us ask the peer, and nothing else`, () => {
    const world = established()
    const before = exchanges(world.left).length
    world.inject(world.left, right, unprotected(world, NOTIFY[type]))
    logged(world.left, `received unprotected ${type} from 192.0.2.2, checking the peer`)
    world.settle()
    assert.deepEqual(exchanges(world.left).slice(before), ['INFORMATIONAL request 2'])
    for (let i = 0; i < 10; i++) world.inject(world.left, right, unprotected(world, NOTIFY[type]))
    world.settle()
    assert.equal(exchanges(world.left).length, before + 1, 'once is enough')
    sameSingleChild(world)
  })
}

/** RFC 7296 §1.5: somebody without an IKE SA tells that ESP came under an SPI that it does not know. */
scenario('an INVALID_SPI in a request without protection is a hint as well, and is not answered', () => {
  const world = established()
  const before = exchanges(world.left).length
  const message = encodeMessage({
    spiI: 0n,
    spiR: 0n,
    major: 2,
    minor: 0,
    exchange: EXCHANGE.INFORMATIONAL,
    flags: { initiator: true, response: false },
    messageId: 0,
    payloads: [{ type: 'N', protocol: 3, spi: new Uint8Array(), notify: NOTIFY.INVALID_SPI, data: new Uint8Array(4) }],
  })
  world.inject(world.left, right, message)
  assert.deepEqual(exchanges(world.left).slice(before), ['INFORMATIONAL request 2'])
  world.settle()
  assert.equal(exchanges(world.left).length, before + 1)
  sameSingleChild(world)
})

scenario('it says nothing about a peer at another address', () => {
  const world = established()
  world.inject(world.left, { address: '203.0.113.9', port: 500 }, unprotected(world, NOTIFY.INVALID_IKE_SPI))
  notLogged(world.left, 'checking the peer')
})

scenario('other unprotected errors are dropped as before', () => {
  const world = established()
  const before = exchanges(world.left).length
  world.inject(world.left, right, unprotected(world, NOTIFY.AUTHENTICATION_FAILED))
  world.inject(world.left, right, unprotected(world, NOTIFY.INVALID_SYNTAX, EXCHANGE.IKE_AUTH))
  world.settle()
  assert.equal(exchanges(world.left).length, before)
  sameSingleChild(world)
})

scenario('a flood from many addresses gets twenty answers', () => {
  const world = established()
  const message = encodeMessage({
    spiI: 1n,
    spiR: 2n,
    major: 2,
    minor: 0,
    exchange: EXCHANGE.INFORMATIONAL,
    flags: { initiator: true, response: false },
    messageId: 0,
    payloads: [],
  })
  message[16] = 46 // SK: the rest is never looked at
  const before = world.left.sent.length
  for (let i = 0; i < 200; i++) world.inject(world.left, { address: `203.0.113.${i}`, port: 500 }, message)
  assert.equal(world.left.sent.length - before, 20)
})
