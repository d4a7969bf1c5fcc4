/** Pairs of hosts with postquantum preshared keys (RFC 8784). */
import type { Connection } from '../../src/config/connection.ts'
import type { Credentials } from '../../src/ike/credentials.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { credentialsFor, type SideName, sharedSecret } from './connection.ts'
import type { PairOptions } from './pair.ts'

/** A connection that uses the PPK `lab-ppk` if the peer has it, and one that does nothing without. */
export const wants: Partial<Connection> = { ppkId: parseIdentity('lab-ppk') }
export const demands: Partial<Connection> = { ...wants, ppkRequired: true }

/** The credentials with a PPK of this text; undefined leaves them as they are. */
export function withPpk(credentials: Credentials, key: string | undefined, owner = 'lab-ppk'): Credentials {
  if (key === undefined) return credentials
  return { ...credentials, secrets: [...credentials.secrets, { ...sharedSecret(key, owner), type: 'ppk' }] }
}

export type PpkChoice =
  | 'both want a PPK'
  | 'both demand a PPK'
  | 'left wants a PPK'
  | 'left wants a PPK that right has not'

/** What the connections say, and which PPK_ID the key of the right one has. */
type PpkSides = Readonly<Record<SideName, Partial<Connection>>> & { readonly owner: string }

/** Who has the PPK and what the connections say of it, such that the two understand each other whoever begins. */
export const ppkChoices: Readonly<Record<PpkChoice, PpkSides>> = {
  'both want a PPK': { left: wants, right: wants, owner: 'lab-ppk' },
  'both demand a PPK': { left: demands, right: demands, owner: 'lab-ppk' },
  'left wants a PPK': { left: wants, right: {}, owner: 'lab-ppk' },
  'left wants a PPK that right has not': { left: wants, right: {}, owner: 'another' },
}

/** The same with PPKs. */
export function withPpks(options: PairOptions, choice: PpkChoice): PairOptions {
  const { owner, ...connections } = ppkChoices[choice]
  const side = (name: SideName) => {
    const its = options[name]
    const given = its?.credentials ?? credentialsFor(name, its?.auth ?? options.auth ?? 'psk')
    return {
      ...its,
      credentials: withPpk(given, 'thirty-two octets that both know', name === 'left' ? 'lab-ppk' : owner),
      connection: { ...its?.connection, ...connections[name] },
    }
  }
  return { ...options, left: side('left'), right: side('right') }
}
