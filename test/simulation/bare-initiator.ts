/**
 * An initiator that does what a scenario tells it, step by step, right or wrong. It computes AUTH and IntAuth itself, and
 * holds the keys: what it sends is authentic. Once it is authenticated it may be asked as well, and answers at will.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { ConfiguredProposal } from '../../src/config/connection.ts'
import { keyExchange } from '../../src/crypto/key-exchange/key-exchange.ts'
import { type IkeKeys, type IkeSuite, ikeKeys, skeyseed, updateSkeyseed } from '../../src/crypto/keys.ts'
import { type Random, seededRandom } from '../../src/crypto/random.ts'
import { open, seal } from '../../src/crypto/sealed.ts'
import type { Secret } from '../../src/crypto/secret.ts'
import { notify } from '../../src/ike/notifies.ts'
import { proposalOf, suiteOf } from '../../src/ike/proposals.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from '../../src/wire/message.ts'
import { EXCHANGE, KE, NOTIFY } from '../../src/wire/numbers.ts'
import type { Payload } from '../../src/wire/payloads/index.ts'
import { defaultSecret } from './connection.ts'
import type { World } from './world.ts'

const initiatorFlag = 0x08
const responseFlag = 0x20

/** How a message goes out; everything as usual by default. */
export interface Manner {
  readonly messageId?: number
  /** In fragments of so many octets. */
  readonly pieces?: number
  /** In place of a public value. */
  readonly data?: Uint8Array
  /** Reserved flags of the header of the first datagram, which a receiver ignores but IntAuth covers. */
  readonly reserved?: number
}

export interface InitOptions {
  readonly method?: number
  readonly announces?: readonly Payload[]
  /** In place of a public value. */
  readonly data?: Uint8Array
}

const usual: readonly Payload[] = [
  notify(NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED),
  notify(NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED),
]

export class BareInitiator {
  readonly #world: World
  readonly #random: Random = seededRandom(Buffer.from('bare initiator'))
  readonly #from: Endpoint
  readonly #suite: IkeSuite
  readonly #proposal: ConfiguredProposal
  readonly #spiI = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])
  #spiR = new Uint8Array(8)
  #keys: IkeKeys | undefined
  #nonces: readonly [Uint8Array, Uint8Array] = [new Uint8Array(), new Uint8Array()]
  #init: readonly [Uint8Array, Uint8Array] = [new Uint8Array(), new Uint8Array()]
  #intAuth: [Uint8Array, Uint8Array] = [new Uint8Array(), new Uint8Array()]
  #nextId = 1

  /** Talks to the right host of `world`; `proposal` has one transform of each type. */
  constructor(world: World, proposal: ConfiguredProposal, from: Endpoint = { address: '192.0.2.1', port: 500 }) {
    this.#world = world
    this.#from = from
    this.#proposal = proposal
    const { transforms } = proposal
    this.#suite = suiteOf({ protocol: 'IKE', number: 1, spi: new Uint8Array(), transforms })
  }

  /** IKE_SA_INIT; without an answer that has a KE payload nothing comes of it. Returns the payloads of the answer. */
  init({ method = KE.CURVE_25519, announces = usual, data }: InitOptions = {}): readonly Payload[] {
    const algorithm = keyExchange(method)
    assert.ok(algorithm)
    const pair = algorithm.generate(this.#random)
    const ni = this.#random(32)
    const request = encodeMessage({
      spiI: Buffer.from(this.#spiI).readBigUInt64BE(),
      spiR: 0n,
      major: 2,
      minor: 0,
      exchange: EXCHANGE.IKE_SA_INIT,
      flags: { initiator: true, response: false },
      messageId: 0,
      payloads: [
        { type: 'SA', proposals: [proposalOf(this.#proposal, 1, new Uint8Array())] },
        { type: 'KE', method, data: data ?? pair.public },
        { type: 'Nonce', nonce: ni },
        ...announces,
      ],
    })
    const [response] = this.#send([request])
    assert.ok(response, 'no answer to IKE_SA_INIT')
    const { payloads } = decodeMessage(response)
    const theirs = payloads.find(({ type }) => type === 'KE')
    const nonce = payloads.find(({ type }) => type === 'Nonce')
    if (theirs?.type !== 'KE' || nonce?.type !== 'Nonce') return payloads
    this.#spiR = response.slice(8, 16)
    this.#nonces = [ni, nonce.nonce]
    this.#init = [request, response]
    using shared = algorithm.finish(pair.private, theirs.data)
    this.#derive(skeyseed(this.#suite.prf, ni, nonce.nonce, shared))
    return payloads
  }

  /** One IKE_INTERMEDIATE with its change of keys; without an answer that has a KE payload nothing changes. */
  intermediate(method: number, manner: Manner = {}): readonly Payload[] | undefined {
    const algorithm = keyExchange(method)
    assert.ok(algorithm)
    const pair = algorithm.generate(this.#random)
    const { data = pair.public } = manner
    const sent = this.exchange(EXCHANGE.IKE_INTERMEDIATE, [{ type: 'KE', method, data }], manner)
    const theirs = sent?.payloads.find(({ type }) => type === 'KE')
    if (sent === undefined || theirs?.type !== 'KE') return sent?.payloads
    const { d, pi, pr } = this.keys
    this.#intAuth = [
      hmac(pi, this.#intAuth[0], sent.request.head, sent.request.inner),
      hmac(pr, this.#intAuth[1], sent.response.head, sent.response.inner),
    ]
    using shared = algorithm.finish(pair.private, theirs.data)
    this.#derive(updateSkeyseed(this.#suite.prf, d, shared, ...this.#nonces))
    return sent.payloads
  }

  /** IKE_AUTH with the pre-shared key, with a Child SA only if it is among `more`; checks the responder's AUTH. */
  auth(options: AuthOptions = {}): readonly Payload[] | undefined {
    const { data, type } = parseIdentity('left.lab')
    const { pi, pr } = this.keys
    const mid = Buffer.alloc(4)
    mid.writeUInt32BE(this.#nextId)
    const intermediates = this.#intAuth[0].length > 0
    const intAuth = options.withoutIntAuth || !intermediates ? Buffer.alloc(0) : Buffer.concat([...this.#intAuth, mid])
    const id = (idType: number, value: Uint8Array, reserved: Uint8Array = new Uint8Array(3)): Buffer =>
      Buffer.concat([Buffer.of(idType), reserved, value])
    const proof = (message: Uint8Array, nonce: Uint8Array, key: Secret, body: Uint8Array): Uint8Array => {
      const padded = createHmac('sha256', defaultSecret).update('Key Pad for IKEv2').digest()
      return createHmac('sha256', padded).update(message).update(nonce).update(hmac(key, body)).update(intAuth).digest()
    }
    const ours = proof(this.#init[0], this.#nonces[1], pi, id(type, data, options.covered ?? options.reserved))
    const request: Payload[] = [
      { type: 'IDi', idType: type, data, ...(options.reserved && { reserved: options.reserved }) },
      ...(options.withoutAuth ? [] : [{ type: 'AUTH', method: 2, data: ours } as const]),
      ...(options.more ?? []),
    ]
    const answer = this.exchange(EXCHANGE.IKE_AUTH, options.reversed ? request.reverse() : request)
    const theirId = answer?.payloads.find((payload) => payload.type === 'IDr')
    const theirs = answer?.payloads.find((payload) => payload.type === 'AUTH')
    if (theirId?.type === 'IDr' && theirs?.type === 'AUTH' && !options.signed) {
      const expected = proof(this.#init[1], this.#nonces[0], pr, id(theirId.idType, theirId.data))
      assert.deepEqual(Buffer.from(theirs.data), Buffer.from(expected), 'the AUTH of the responder')
    }
    return answer?.payloads
  }

  get keys(): IkeKeys {
    assert.ok(this.#keys, 'IKE_SA_INIT comes first')
    return this.#keys
  }

  #derive(seed: Secret): void {
    this.#keys = ikeKeys(this.#suite, seed, ...this.#nonces, this.#spiI, this.#spiR)
  }

  /** A request with these payloads, under the keys of the IKE SA, and the host's answer if there is one. */
  exchange(exchange: number, payloads: readonly Payload[], manner: Manner = {}): Exchanged | undefined {
    const { messageId = this.#nextId, pieces, reserved = 0 } = manner
    const { ei, ai } = this.keys
    const inner = encodePayloads(payloads)
    const suite = this.#sealer
    const flags = initiatorFlag | reserved
    const header = { spiI: this.#spiI, spiR: this.#spiR, exchange, flags, messageId }
    const common = { suite, keyE: ei, keyA: ai, header }
    const total = pieces === undefined ? 1 : Math.ceil(inner.bytes.length / pieces)
    const datagrams =
      pieces === undefined
        ? [seal({ ...common, inner, iv: this.#random(8) })]
        : Array.from({ length: total }, (_, i) =>
            seal({
              ...common,
              header: i === 0 ? header : { ...header, flags: initiatorFlag },
              inner: { first: inner.first, bytes: inner.bytes.subarray(i * pieces, (i + 1) * pieces) },
              fragment: { number: i + 1, total },
              iv: this.#random(8),
            }),
          )
    const answers = this.#send(datagrams).filter(({ 19: flags = 0 }) => (flags & responseFlag) !== 0)
    const [first] = answers
    if (first === undefined) return undefined
    this.#nextId++
    const plain = answers.map((message) => {
      const fragment = message[16] === 53
      return open({ suite, keyE: this.keys.er, keyA: this.keys.ar, message, start: 28, fragment })
    })
    const response = Buffer.concat(plain)
    const firstInner = first[28] ?? 0
    return {
      payloads: decodePayloads(firstInner, response),
      request: { head: whole(datagrams[0] ?? first, inner.bytes.length), inner: inner.bytes },
      response: { head: whole(first, response.length), inner: response },
    }
  }

  /** What the host has asked last. */
  asked(): Asked {
    const message = this.#world.right.sent.findLast(({ bytes }) => ((bytes[19] ?? 0) & responseFlag) === 0)?.bytes
    assert.ok(message, 'the host has asked nothing')
    const bytes = open({
      suite: this.#sealer,
      keyE: this.keys.er,
      keyA: this.keys.ar,
      message,
      start: 28,
      fragment: false,
    })
    const view = new DataView(message.buffer, message.byteOffset)
    return {
      exchange: message[18] ?? 0,
      messageId: view.getUint32(20),
      payloads: decodePayloads(message[28] ?? 0, bytes),
    }
  }

  /** Answers what the host has asked last. */
  answer(payloads: readonly Payload[]): void {
    const { exchange, messageId } = this.asked()
    const header = { spiI: this.#spiI, spiR: this.#spiR, exchange, flags: initiatorFlag | responseFlag, messageId }
    const { ei: keyE, ai: keyA } = this.keys
    const inner = encodePayloads(payloads)
    this.#send([seal({ suite: this.#sealer, keyE, keyA, header, inner, iv: this.#random(8) })])
  }

  get #sealer(): Parameters<typeof seal>[0]['suite'] {
    const { encr, encrKeyBits, integ } = this.#suite
    return { encr, keyBits: encrKeyBits, integ }
  }

  /** Sends, and gives what the host says to it. */
  #send(datagrams: readonly Uint8Array[]): Uint8Array[] {
    const { right } = this.#world
    const before = right.sent.length
    for (const bytes of datagrams) this.#world.inject(right, this.#from, bytes)
    return right.sent.slice(before).map(({ bytes }) => bytes)
  }
}

export interface AuthOptions {
  readonly withoutIntAuth?: boolean
  readonly withoutAuth?: boolean
  /** The responder signs, which is not checked here. */
  readonly signed?: boolean
  /** Payloads behind AUTH. */
  readonly more?: readonly Payload[]
  /** All payloads in the opposite order. */
  readonly reversed?: boolean
  /** The reserved octets of IDi, and what AUTH covers in their place. */
  readonly reserved?: Uint8Array
  readonly covered?: Uint8Array
}

/** A request of the host. */
export interface Asked {
  readonly exchange: number
  readonly messageId: number
  readonly payloads: readonly Payload[]
}

/** A request and the answer to it: payloads, and the octets that are in SK, behind the header. */
export interface Exchanged {
  readonly payloads: readonly Payload[]
  readonly request: { readonly head: Uint8Array; readonly inner: Uint8Array }
  readonly response: { readonly head: Uint8Array; readonly inner: Uint8Array }
}

/** RFC 9242 §3.3.2: the header and the generic header of SK, as if all were one message in clear. */
function whole(first: Uint8Array, innerBytes: number): Uint8Array {
  const head = Buffer.from(first.subarray(0, 32))
  head[16] = 46
  head.writeUInt32BE(32 + innerBytes, 24)
  head.writeUInt16BE(4 + innerBytes, 30)
  return head
}

function hmac(key: Secret, ...data: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key.bytes())
  for (const bytes of data) mac.update(bytes)
  return mac.digest()
}
