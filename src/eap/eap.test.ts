import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Secret } from '../crypto/secret.ts'
import { md4 } from './md4.ts'
import { EapFailure, type Established, type Password } from './method.ts'
import { isMethod, methods, methodsFor } from './methods.ts'
import { authenticatorResponse, mschapv2Msk, ntResponse, passwordHash } from './mschapv2-keys.ts'
import { CODE, readEap, TYPE, writeEap, writeOutcome } from './packet.ts'
import { answerEap, type PeerOptions } from './peer.ts'
import { type Served, type ServerOptions, serveEap } from './server.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()
const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value))
const password = (value: string): Password => ({ bytes: text(value), hashed: false })

test('MD4: the suite of RFC 1320', () => {
  for (const [message, digest] of [
    ['', '31D6CFE0D16AE931B73C59D7E0C089C0'],
    ['a', 'BDE52CB31DE33E46245E05FBDBD6FB24'],
    ['abc', 'A448017AAF21D8525FC10AE87AA6729D'],
    ['message digest', 'D9130A8164549FE818874806E1C7014B'],
    ['abcdefghijklmnopqrstuvwxyz', 'D79E1C308AA5BBCDEEA8ED63DF412DA9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043F8582F241DB351CE627E153E7F0E4'],
    ['1234567890'.repeat(8), 'E33B4DDC9C38F2199C3E7B164FCC0536'],
  ] as const)
    assert.equal(hex(md4(text(message))), digest)
})

test('MS-CHAPv2: the vectors of RFC 2759 §9.2 and RFC 3079 §3.5.3', () => {
  const hash = passwordHash(password('clientPass'))
  assert.equal(hex(hash), '44EBBA8D5312B8D611474411F56989AE')
  const answered = {
    authenticatorChallenge: octets('5B5D7C7D7B3F2F3E3C2C602132262628'),
    peerChallenge: octets('21402324255E262A28295F2B3A337C7E'),
    user: 'User',
    passwordHash: hash,
  }
  const response = ntResponse(answered)
  assert.equal(hex(response), '82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF')
  assert.equal(authenticatorResponse(answered, response), 'S=407A5589115FD0D6209F510FE9C04566932CDA56')
  using msk = mschapv2Msk(hash, response)
  // What the server sends with, and the client receives with.
  assert.equal(hex(msk.bytes().subarray(16, 32)), '8B7CDC149B993A1BA118CB153F56DCCB')
  assert.equal(msk.length, 64)
})

interface Ended {
  readonly served: Served
  readonly peer: Established | EapFailure
  readonly log: readonly string[]
}

const alice = password('Ar3etTnp')

/** A whole conversation; `twist` changes a packet on its way to the server. */
function talk(
  server: Partial<ServerOptions> = {},
  peer: Partial<PeerOptions> = {},
  twist: (response: Uint8Array, count: number) => Uint8Array = (response) => response,
): Ended {
  const log: string[] = []
  let seed = 0
  const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => (seed = (seed * 31 + 7) & 0xff))
  const serving = serveEap({
    random,
    name: 'moon',
    askIdentity: true,
    user: undefined,
    methods,
    passwordOf: (user) => (user === 'alice' ? alice : undefined),
    log: (line) => void log.push(line),
    ...server,
  })
  let step = serving.next()
  if (step.done === true) return { served: step.value, peer: new EapFailure('nothing was asked'), log }
  const options = {
    random,
    user: 'alice',
    password: alice,
    methods,
    log: (line: string) => void log.push(line),
    ...peer,
  }
  const answering = answerEap(options, step.value)
  try {
    let answer = answering.next()
    for (let count = 0; answer.done !== true; count++) {
      if (step.done === true) break
      step = serving.next(twist(answer.value, count))
      answer = answering.next(step.done === true ? step.value.packet : step.value)
    }
    assert.ok(step.done === true && answer.done === true)
    return { served: step.value, peer: answer.value, log }
  } catch (error) {
    if (!(error instanceof EapFailure)) throw error
    return {
      served: step.done === true ? step.value : { ok: false, packet: new Uint8Array(), reason: '' },
      peer: error,
      log,
    }
  }
}

const keyOf = (msk: Secret | undefined): string => hex(msk?.bytes() ?? new Uint8Array())

for (const method of methods) {
  test(`${method.name}: with the right password both sides are content, and have the same key or none`, () => {
    const { served, peer } = talk({ methods: [method] })
    assert.ok(served.ok && !(peer instanceof EapFailure))
    assert.equal(served.user, 'alice')
    assert.equal(keyOf(served.msk), keyOf(peer.msk))
    assert.equal(served.msk !== undefined, method.name === 'mschapv2')
  })

  test(`${method.name}: with a wrong password nobody is`, () => {
    const { served, peer } = talk({ methods: [method] }, { password: password('guess') })
    assert.ok(!served.ok && peer instanceof EapFailure)
    assert.match(served.reason, /failed for peer alice: the password is wrong/)
    assert.equal(readEap(served.packet).code, CODE.FAILURE)
  })

  test(`${method.name}: somebody that has no secret`, () => {
    const { served } = talk({ methods: [method] }, { user: 'mallory' })
    assert.ok(!served.ok)
    assert.match(served.reason, /no EAP key found for 'mallory'/)
  })
}

test('mschapv2: the hash of the password does as well, and a domain is not part of the name', () => {
  const hashed: Password = { bytes: passwordHash(alice), hashed: true }
  assert.ok(talk({ methods: methodsFor('mschapv2'), passwordOf: () => hashed }).served.ok)
  assert.ok(talk({ methods: methodsFor('mschapv2') }, { user: 'LAB\\alice' }).served.ok)
  const { served } = talk({ methods: methodsFor('md5'), passwordOf: () => hashed })
  assert.ok(!served.ok)
})

test('mschapv2: the name in the response must be the EAP identity; without one it is who the peer is', () => {
  const { served } = talk({ methods: methodsFor('mschapv2'), askIdentity: false, user: 'bob' })
  assert.ok(!served.ok && served.reason.includes("the response is of 'alice', the EAP identity is 'bob'"))
  const unknown = talk({ methods: methodsFor('mschapv2'), askIdentity: false }).served
  assert.ok(unknown.ok && unknown.user === 'alice')
})

test('mschapv2: a server that does not know the password is found out', () => {
  const { peer } = talk({
    methods: [
      {
        ...(methodsFor('mschapv2')[0] ?? assert.fail()),
        *serve() {
          yield Uint8Array.of(1, 7, 0, 21, 16, ...new Uint8Array(16))
          yield new Uint8Array([3, 7, 0, 46, ...text(`S=${'0'.repeat(40)}`)])
          return {}
        },
      },
    ],
  })
  assert.ok(peer instanceof EapFailure && peer.message.includes('the server does not know the password'))
})

test('a peer asks for another method, and gets it if it may', () => {
  const { served, log } = talk({}, { methods: methodsFor('md5') })
  assert.ok(served.ok)
  assert.ok(log.includes('requesting EAP_MD5 authentication, sending EAP_NAK'))
  const refused = talk({ methods: methodsFor('gtc') }, { methods: methodsFor('md5') }).served
  assert.ok(!refused.ok && refused.reason.includes('accepts none of the EAP methods'))
})

test('nonsense from the peer fails the conversation', () => {
  const twists = [
    (packet: Uint8Array) => Uint8Array.from(packet, (octet, i) => (i === 1 ? octet ^ 1 : octet)),
    (packet: Uint8Array) => Uint8Array.from(packet, (octet, i) => (i === 0 ? CODE.REQUEST : octet)),
    (packet: Uint8Array) => writeEap(CODE.RESPONSE, packet[1] ?? 0, 99, new Uint8Array()),
    (packet: Uint8Array) => writeEap(CODE.RESPONSE, packet[1] ?? 0, packet[4] ?? 0, new Uint8Array()),
  ]
  for (const method of methods)
    for (const twist of twists) {
      const { served } = talk({ methods: [method] }, {}, (packet, count) => (count === 1 ? twist(packet) : packet))
      assert.equal(served.ok, false)
    }
})

test('a server that is content too early, or without a method, is not believed', () => {
  const peer = (packets: readonly Uint8Array[]): unknown => {
    const [first = new Uint8Array(), ...rest] = packets
    const options = { random: (n: number) => new Uint8Array(n), user: 'alice', password: alice, methods, log: () => {} }
    const answering = answerEap(options, first)
    let step = answering.next()
    for (const packet of rest) if (step.done !== true) step = answering.next(packet)
    return step.value
  }
  const success = writeOutcome(CODE.SUCCESS, 1)
  const challenge = writeEap(CODE.REQUEST, 1, TYPE.MSCHAPV2, Uint8Array.of(1, 1, 0, 21, 16, ...new Uint8Array(16)))
  assert.throws(() => peer([success]), /without any EAP method/)
  assert.throws(() => peer([challenge, success]), EapFailure)
  assert.throws(() => peer([writeOutcome(CODE.FAILURE, 1)]), /received EAP_FAILURE/)
  const identity = writeEap(CODE.REQUEST, 1, TYPE.IDENTITY, new Uint8Array())
  assert.throws(() => peer(Array(64).fill(identity)), /neither a request nor an outcome/)
})

test('methods by name', () => {
  assert.ok(['md5', 'mschapv2', 'gtc', '26', 'dynamic'].every(isMethod))
  assert.ok(!['tls', 'ttls', 'sim', '13', 'radius'].some(isMethod))
  assert.equal(methodsFor(undefined).length, 3)
})
