/** EAP-GTC, RFC 3748 §5.6: the password itself, which only the encryption of IKE protects. Makes no key. */
import { createHash } from 'node:crypto'
import { sameBytes } from '../crypto/bytes.ts'
import { EapFailure, type EapMethod, noPassword, passwordFor } from './method.ts'
import { TYPE } from './packet.ts'

export const gtc: EapMethod = {
  type: TYPE.GTC,
  name: 'gtc',
  *serve(context) {
    const { user } = context
    if (user === undefined) throw new EapFailure('EAP-GTC needs the name of the peer')
    const response = yield new Uint8Array(Buffer.from('password'))
    const { bytes, hashed } = passwordFor(context, user)
    if (hashed) noPassword(user)
    // Hashes have one length, so that the comparison tells nothing of that of the password.
    if (!sameBytes(digest(response), digest(bytes))) throw new EapFailure('the password is wrong')
    return {}
  },
  *answer({ user, password }) {
    if (password === undefined || password.hashed) noPassword(user)
    yield Uint8Array.from(password.bytes)
    return {}
  },
}

const digest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()
