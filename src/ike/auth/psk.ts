/** Authentication by a pre-shared key (RFC 7296 §2.15, method 2). */
import { timingSafeEqual } from 'node:crypto'
import type { SharedSecret } from '../../config/connection.ts'
import { pskAuth } from '../../crypto/keys.ts'
import { Secret } from '../../crypto/secret.ts'
import { formatIdentity, type Identity, matchIdentity } from '../../pki/identity.ts'
import { AUTH_METHOD } from '../../wire/numbers.ts'
import type { AUTHPayload } from '../../wire/payloads/index.ts'
import { assert, LocalFailure } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { authenticationFailed } from './auth.ts'

/** @throws LocalFailure when no secret is for these two identities */
export function provePsk(sa: IkeSa, us: Identity, peer: Identity | undefined, octets: Uint8Array): AUTHPayload {
  const [secret] = candidates(sa.core.credentials.secrets, us, peer)
  if (secret === undefined) throw new LocalFailure(noneFound(us, peer))
  sa.core.log('IKE', 1, `authentication of '${formatIdentity(us)}' (myself) with pre-shared key`, sa)
  const data = mac(sa, secret, octets)
  return { type: 'AUTH', method: AUTH_METHOD.SHARED_KEY_MESSAGE_INTEGRITY_CODE, data }
}

/**
 * Tries every secret that may be meant, so that an old and a new one can be valid at once.
 * @throws Refusal AUTHENTICATION_FAILED
 */
export function verifyPsk(sa: IkeSa, peer: Identity, received: Uint8Array, octets: Uint8Array): void {
  const us = sa.localId
  assert(us, 'our identity is known before the peer is verified')
  const secrets = candidates(sa.core.credentials.secrets, us, peer)
  for (const secret of secrets) {
    const expected = mac(sa, secret, octets)
    if (expected.length === received.length && timingSafeEqual(expected, received)) {
      sa.core.log('IKE', 1, `authentication of '${formatIdentity(peer)}' with pre-shared key successful`, sa)
      return
    }
  }
  const who = `'${formatIdentity(us)}' - '${formatIdentity(peer)}'`
  throw authenticationFailed(
    secrets.length === 0
      ? noneFound(us, peer)
      : `tried ${secrets.length} shared key${secrets.length === 1 ? '' : 's'} for ${who}, but MAC mismatched`,
  )
}

/** Secrets with an owner among the two, the best fit for the peer first, then the best for us. */
function candidates(secrets: readonly SharedSecret[], us: Identity, peer: Identity | undefined): SharedSecret[] {
  const scored = secrets.flatMap((secret) => {
    if (secret.type !== 'ike') return []
    if (secret.owners.length === 0) return [{ secret, theirs: 1, mine: 1 }]
    const best = (id: Identity | undefined) =>
      id === undefined ? 0 : Math.max(...secret.owners.map((owner) => matchIdentity(id, owner)))
    const [theirs, mine] = [best(peer), best(us)]
    return theirs + mine > 0 ? [{ secret, theirs, mine }] : []
  })
  return scored.sort((a, b) => b.theirs - a.theirs || b.mine - a.mine).map(({ secret }) => secret)
}

function mac(sa: IkeSa, secret: SharedSecret, octets: Uint8Array): Uint8Array {
  assert(sa.suite, 'authentication comes after IKE_SA_INIT')
  // A copy, because a Secret wipes its bytes and the credential stays.
  using key = Secret.of(Uint8Array.from(secret.data))
  return pskAuth(sa.suite.prf, key, octets)
}

function noneFound(us: Identity, peer: Identity | undefined): string {
  const them = peer === undefined ? '%any' : formatIdentity(peer)
  return `no shared key found for '${formatIdentity(us)}' - '${them}': add one to secrets, with an id of either side`
}
