/** EAP-MD5, RFC 3748 §5.4: a challenge and a hash over it. Makes no key, and tells the peer nothing of the server. */
import { createHash } from 'node:crypto'
import { concat, sameBytes } from '../crypto/bytes.ts'
import { EapFailure, type EapMethod, noPassword, passwordFor } from './method.ts'
import { TYPE } from './packet.ts'

export const md5: EapMethod = {
  type: TYPE.MD5,
  name: 'md5',
  *serve(context) {
    const { user } = context
    if (user === undefined) throw new EapFailure('EAP-MD5 needs the name of the peer')
    const challenge = context.random(16)
    const identifier = context.identifier()
    const response = valueIn(yield value(challenge))
    const { bytes, hashed } = passwordFor(context, user)
    if (hashed) noPassword(user)
    if (!sameBytes(response, hash(identifier, bytes, challenge))) throw new EapFailure('the password is wrong')
    return {}
  },
  *answer({ user, password, identifier }, first) {
    if (password === undefined || password.hashed) noPassword(user)
    yield value(hash(identifier(), password.bytes, valueIn(first)))
    return {}
  },
}

/** Value-Size, Value; a name may follow. */
function value(bytes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(bytes.length), bytes)
}

function valueIn(data: Uint8Array): Uint8Array {
  const [size = 0] = data
  if (size === 0 || data.length < 1 + size) throw new EapFailure('an EAP-MD5 message without a value')
  return data.subarray(1, 1 + size)
}

function hash(identifier: number, password: Uint8Array, challenge: Uint8Array): Uint8Array {
  return createHash('md5').update(Uint8Array.of(identifier)).update(password).update(challenge).digest()
}
