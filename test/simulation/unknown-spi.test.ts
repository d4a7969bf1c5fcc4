/** INVALID_IKE_SPI without protection: sent now and then, believed never (RFC 7296 §2.21.4). */
import assert from 'node:assert/strict'
import { decodeMessage, encodeMessage } from '../../src/wire/message.ts'
import { EXCHANGE, NOTIFY } from '../../src/wire/numbers.ts'
import { exchanges, logged, notLogged, onlyChild, onlySa, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
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

const esp = Uint8Array.from({ length: 60 }, (_, i) => [0xc0, 0xff, 0xee, 0x11][i] ?? i)
const stranger = { address: '203.0.113.9', port: 4711 }

/** What a host has sent in clear since `before`: notifies with their data. */
function notifiesSince(host: Host, before: number): { type: number; data: string; messageId: number; spiI: bigint }[] {
  return host.sent.slice(before).map(({ bytes }) => {
    const { payloads, messageId, spiI, flags, exchange } = decodeMessage(bytes.subarray(4))
    assert.deepEqual([flags, exchange], [{ initiator: true, response: false }, EXCHANGE.INFORMATIONAL])
    const [said] = payloads
    assert.ok(said?.type === 'N')
    return { type: said.notify, data: Buffer.from(said.data).toString('hex'), messageId, spiI }
  })
}

/**
 *   ESP in UDP, SPI c0ffee11  -->
 *                      <--  HDR(0, 0), N(INVALID_SPI)      to the port that it came from, once in ten seconds
 */
scenario('ESP with an unknown SPI from somebody without an IKE SA', () => {
  const world = established()
  const before = world.left.sent.length
  for (let i = 0; i < 5; i++) world.inject(world.left, stranger, esp, 4500)
  const said = { type: NOTIFY.INVALID_SPI, data: 'c0ffee11', messageId: 0, spiI: 0n }
  assert.deepEqual(notifiesSince(world.left, before), [said])
  world.wait(10)
  world.inject(world.left, stranger, esp, 4500)
  assert.deepEqual(notifiesSince(world.left, before), [said, said])
  sameSingleChild(world)
})

scenario('no answer to keepalives, reserved SPIs, short packets, our own SPIs, or when it is switched off', () => {
  const world = established()
  const before = world.left.sent.length
  const own = Buffer.alloc(60)
  own.writeUInt32BE(onlyChild(world.left).spiIn)
  for (const bytes of [Uint8Array.of(0xff), Uint8Array.of(0, 0, 0, 255, ...esp), esp.slice(0, 15), own]) {
    world.inject(world.left, stranger, bytes, 4500)
  }
  const silent = established({ settings: { sendInvalidIkeSpi: false } })
  silent.inject(silent.left, stranger, esp, 4500)
  notLogged(silent.left, 'sending INVALID_SPI')
  assert.equal(world.left.sent.length, before)
})

/** It is believed by nobody who gets it, and answered by nobody (RFC 7296 §1.5). */
scenario('a peer that gets it asks whether we are there, and nothing else', () => {
  const world = established()
  const before = [exchanges(world.left).length, exchanges(world.right).length]
  const message = encodeMessage({
    spiI: 0n,
    spiR: 0n,
    major: 2,
    minor: 0,
    exchange: EXCHANGE.INFORMATIONAL,
    flags: { initiator: true, response: false },
    messageId: 0,
    payloads: [{ type: 'N', protocol: 0, spi: new Uint8Array(), notify: NOTIFY.INVALID_SPI, data: esp.slice(0, 4) }],
  })
  for (let i = 0; i < 5; i++) world.inject(world.left, right, message)
  world.settle()
  assert.deepEqual(exchanges(world.left).slice(before[0]), ['INFORMATIONAL request 2'])
  assert.deepEqual(exchanges(world.right).slice(before[1]), ['INFORMATIONAL response 2'])
  sameSingleChild(world)
})

/**
 *   ESP in UDP, SPI c0ffee11  -->
 *                      <--  HDR, SK {N(INVALID_SPI)}
 *   HDR, SK {}  -->
 */
scenario("inside an IKE SA, once: of an SPI that is not the sender's either nothing comes", () => {
  const world = established()
  world.wait(31)
  const { spiIn } = onlyChild(world.left)
  for (let i = 0; i < 3; i++) world.inject(world.right, { address: '192.0.2.1', port: 4500 }, esp, 4500)
  world.wait(5)
  assert.equal(world.right.sent.filter(({ label }) => label.includes('N(INVAL_SPI)')).length, 1)
  logged(world.left, 'received INVALID_SPI notify error')
  assert.equal(onlyChild(world.left).spiIn, spiIn)
  sameSingleChild(world)
})
