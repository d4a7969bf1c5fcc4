/** Pairs of hosts that authenticate themselves twice: as a machine, and as its user. */
import type { AuthRound } from '../../src/config/connection.ts'
import type { Credentials } from '../../src/ike/credentials.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { publicKeyId } from '../../src/pki/keys.ts'
import {
  type AuthName,
  authRound,
  credentialsFor,
  defaultAuthority,
  roundOf,
  type SideName,
  sharedSecret,
} from './connection.ts'
import type { PairOptions } from './pair.ts'
import { testAuthority, testCertificate, testKey } from './test-keys.ts'

/** Who has a second round. */
export type Twice = SideName | 'both'

/** `who` authenticates by `first` as usual, and then by `second` as its user. */
export function machineAndUser(who: Twice, first: AuthName, second: AuthName): PairOptions {
  const side = (name: SideName) => {
    const other = name === 'left' ? 'right' : 'left'
    return {
      auth: first,
      credentials: withUser(name, first, second),
      connection: { local: roundsOf(name, who, first, second), remote: roundsOf(other, who, first, second) },
    }
  }
  return { auth: first, left: side('left'), right: side('right') }
}

/** The second identity of a side. */
export function userOf(side: SideName): string {
  return `user.${side}.lab`
}

/** Whether that side has a second round. */
export function hasSecondRound(who: Twice, side: SideName): boolean {
  return who === 'both' || who === side
}

function roundsOf(side: SideName, who: Twice, first: AuthName, second: AuthName): AuthRound[] {
  const user = authRound({ class: second === 'psk' ? 'psk' : 'pubkey', id: parseIdentity(userOf(side)) })
  return [roundOf(side, first), ...(hasSecondRound(who, side) ? [user] : [])]
}

function withUser(side: SideName, first: AuthName, second: AuthName): Credentials {
  const base = credentialsFor(side, first)
  const secrets = [...base.secrets, sharedSecret('the secret of the users', userOf('left'), userOf('right'))]
  if (second === 'psk') return { ...base, secrets }
  const key = testKey(second, `user of ${side}`)
  const certificate = testCertificate({ name: userOf(side), key, issuer: testAuthority(defaultAuthority) })
  return {
    ...base,
    secrets,
    certificates: [...base.certificates, certificate],
    privateKeys: new Map([...base.privateKeys, [publicKeyId(key), key]]),
  }
}
