/** What the other side of an EAP conversation sends: each input is cut into packets for a server and for a peer. */
import { EapFailure } from '../../src/eap/method.ts'
import { methods } from '../../src/eap/methods.ts'
import { CODE, TYPE, writeEap, writeOutcome } from '../../src/eap/packet.ts'
import { answerEap } from '../../src/eap/peer.ts'
import { serveEap } from '../../src/eap/server.ts'
import type { Target } from './harness.ts'

const random = (length: number): Uint8Array => new Uint8Array(length)
const password = { bytes: new Uint8Array([0x78]), hashed: false }
const name = new Uint8Array([0x61])
const response = (type: number, data: Uint8Array): Uint8Array => writeEap(CODE.RESPONSE, 0, type, data)
const request = (type: number, data: Uint8Array): Uint8Array => writeEap(CODE.REQUEST, 0, type, data)
const mschapResponse = Uint8Array.of(2, 1, 0, 55, 49, ...new Uint8Array(49), 0x61)
const mschapChallenge = Uint8Array.of(1, 1, 0, 22, 16, ...new Uint8Array(16), 0x61)

/** Packets as they stand one behind the other, each with its length in its header. */
function* packets(input: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at + 5 <= input.length; ) {
    const length = Math.max(5, ((input[at + 2] ?? 0) << 8) | (input[at + 3] ?? 0))
    yield input.subarray(at, at + length)
    at += length
  }
}

function drive(conversation: Generator<Uint8Array, unknown, Uint8Array>, input: Iterable<Uint8Array>): void {
  let step = conversation.next()
  for (const packet of input) {
    if (step.done === true) return
    step = conversation.next(packet)
  }
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

export const targets: readonly Target[] = [
  {
    name: 'eap server',
    corpus: [
      join(response(TYPE.IDENTITY, name), response(TYPE.MSCHAPV2, mschapResponse), response(TYPE.MSCHAPV2, name)),
      join(response(TYPE.IDENTITY, name), response(TYPE.NAK, Uint8Array.of(4)), response(TYPE.MD5, mschapResponse)),
      join(response(TYPE.NAK, Uint8Array.of(6)), response(TYPE.GTC, name)),
    ],
    decode(input) {
      const log = (): void => undefined
      const passwordOf = () => password
      const options = { random, name: 'moon', askIdentity: true, user: undefined, methods, passwordOf, log }
      // The identifier that is expected counts up: it is put right, or nothing would come further than the first packet.
      const numbered = function* (): Generator<Uint8Array> {
        let identifier = 0
        for (const packet of packets(input)) {
          const expected = identifier++ & 0xff
          yield Uint8Array.from(packet, (octet, i) => (i === 1 ? expected : octet))
        }
      }
      drive(serveEap(options), numbered())
    },
    allowed: () => false,
  },
  {
    name: 'eap peer',
    corpus: [
      join(
        request(TYPE.IDENTITY, name),
        request(TYPE.MSCHAPV2, mschapChallenge),
        request(TYPE.MSCHAPV2, mschapResponse),
      ),
      join(request(TYPE.MD5, Uint8Array.of(1, 1)), writeOutcome(CODE.SUCCESS, 1)),
      join(request(TYPE.NOTIFICATION, name), request(99, name), request(TYPE.GTC, name), writeOutcome(CODE.FAILURE, 1)),
    ],
    decode(input) {
      const [first = new Uint8Array(5), ...rest] = packets(input)
      const options = { random, user: 'a', password, methods, log: (): void => undefined }
      drive(answerEap(options, first), rest)
    },
    allowed: (error) => error instanceof EapFailure,
  },
]
