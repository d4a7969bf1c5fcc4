/**
 * EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): MS-CHAPv2 (RFC 2759) in EAP. Both sides prove that they know the password.
 *
 *   server                                           peer
 *   Challenge (16 octets, name)            -->
 *                                          <--  Response (challenge, NT-Response, name)
 *   Success (S=…, M=…) or Failure (E=…)    -->
 *                                          <--  Success or Failure
 */
import { sameBytes } from '../crypto/bytes.ts'
import { EapFailure, type EapMethod, type Established, noPassword, passwordFor } from './method.ts'
import { type Answered, authenticatorResponse, mschapv2Msk, ntResponse, passwordHash } from './mschapv2-keys.ts'
import { printable, TYPE } from './packet.ts'

export const mschapv2: EapMethod = {
  type: TYPE.MSCHAPV2,
  name: 'mschapv2',
  *serve(context) {
    const challenge = context.random(16)
    const identifier = context.identifier()
    const response = readResponse(yield writeChallenge(identifier, challenge, context.name), identifier)
    const account = withoutDomain(response.name)
    if (context.user !== undefined && withoutDomain(context.user) !== account) {
      throw new EapFailure(`the response is of '${response.name}', the EAP identity is '${context.user}'`)
    }
    const known = context.passwordOf(context.user ?? response.name) ?? passwordFor(context, account)
    const hash = passwordHash(known)
    try {
      const answered: Answered = {
        authenticatorChallenge: challenge,
        peerChallenge: response.peerChallenge,
        user: account,
        passwordHash: hash,
      }
      if (!sameBytes(response.ntResponse, ntResponse(answered))) {
        yield writeText(OP.FAILURE, identifier, `E=691 R=0 C=${hex(context.random(16))} V=3 M=the password is wrong`)
        throw new EapFailure('the password is wrong')
      }
      const proof = authenticatorResponse(answered, response.ntResponse)
      const [op] = yield writeText(OP.SUCCESS, identifier, `${proof} M=welcome`)
      if (op !== OP.SUCCESS) throw new EapFailure('the peer does not accept our proof')
      return { msk: mschapv2Msk(hash, response.ntResponse), user: context.user ?? response.name }
    } finally {
      hash.fill(0)
    }
  },
  *answer({ user, password, random }, first) {
    if (password === undefined) noPassword(user)
    const { identifier, challenge } = readChallenge(first)
    const hash = passwordHash(password)
    try {
      const peerChallenge = random(16)
      const answered = {
        authenticatorChallenge: challenge,
        peerChallenge,
        user: withoutDomain(user),
        passwordHash: hash,
      }
      const ours = ntResponse(answered)
      const verdict = yield writeResponse(identifier, peerChallenge, ours, user)
      return yield* settle(verdict, authenticatorResponse(answered, ours), () => mschapv2Msk(hash, ours))
    } finally {
      hash.fill(0)
    }
  },
}

/** As peer: believes a success that proves that the server knows the password, too. */
function* settle(
  verdict: Uint8Array,
  proof: string,
  msk: () => NonNullable<Established['msk']>,
): Generator<Uint8Array, Established, Uint8Array> {
  const [op] = verdict
  const message = Buffer.from(verdict.subarray(HEADER)).toString('latin1')
  if (op === OP.FAILURE) {
    yield Uint8Array.of(OP.FAILURE)
    throw new EapFailure(`EAP-MS-CHAPv2 failed: '${printable(message)}'`)
  }
  const given = /^S=[0-9A-Fa-f]{40}/.exec(message)?.[0].toUpperCase() ?? ''
  const same = sameBytes(new Uint8Array(Buffer.from(given)), new Uint8Array(Buffer.from(proof)))
  if (op !== OP.SUCCESS || !same)
    throw new EapFailure('EAP-MS-CHAPv2 verification failed: the server does not know the password')
  yield Uint8Array.of(OP.SUCCESS)
  return { msk: msk() }
}

function writeChallenge(identifier: number, challenge: Uint8Array, name: string): Uint8Array {
  return write(OP.CHALLENGE, identifier, Buffer.concat([Uint8Array.of(16), challenge, Buffer.from(name)]))
}

function readChallenge(data: Uint8Array): { identifier: number; challenge: Uint8Array } {
  const [op, identifier = 0, , , size] = data
  if (op !== OP.CHALLENGE || size !== 16 || data.length < HEADER + 17) {
    throw new EapFailure('received an EAP-MS-CHAPv2 message that is no challenge')
  }
  return { identifier, challenge: data.slice(HEADER + 1, HEADER + 17) }
}

function writeResponse(identifier: number, peerChallenge: Uint8Array, response: Uint8Array, name: string): Uint8Array {
  const value = [Uint8Array.of(49), peerChallenge, new Uint8Array(8), response, Uint8Array.of(0), Buffer.from(name)]
  return write(OP.RESPONSE, identifier, Buffer.concat(value))
}

function readResponse(
  data: Uint8Array,
  expected: number,
): { peerChallenge: Uint8Array; ntResponse: Uint8Array; name: string } {
  const [op, identifier, , , size] = data
  const name = data.subarray(HEADER + 50)
  if (op !== OP.RESPONSE || identifier !== expected || size !== 49 || data.length < HEADER + 50 || name.length > 256) {
    throw new EapFailure('received an EAP-MS-CHAPv2 message that is no response to our challenge')
  }
  return {
    peerChallenge: data.slice(HEADER + 1, HEADER + 17),
    ntResponse: data.slice(HEADER + 25, HEADER + 49),
    name: Buffer.from(name).toString('utf8'),
  }
}

function writeText(op: number, identifier: number, message: string): Uint8Array {
  return write(op, identifier, Buffer.from(message))
}

/** OpCode, MS-CHAPv2-ID, MS-Length over all of it, value. */
function write(op: number, identifier: number, value: Uint8Array): Uint8Array {
  const length = HEADER + value.length
  return new Uint8Array(Buffer.concat([Uint8Array.of(op, identifier, length >> 8, length & 0xff), value]))
}

/** RFC 2759 §4: what is before a backslash is not hashed. */
const withoutDomain = (name: string): string => name.slice(name.lastIndexOf('\\') + 1)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()

const HEADER = 4
const OP = { CHALLENGE: 1, RESPONSE: 2, SUCCESS: 3, FAILURE: 4 } as const
