import type { Secret } from '../crypto/secret.ts'

/** The peer, or what it says, is not what it should be. The message is for the log. */
export class EapFailure extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'EapFailure'
  }
}

/** A password, or the hash of one: 16 octets, MD4 of its UTF-16 form. */
export interface Password {
  readonly bytes: Uint8Array
  readonly hashed: boolean
}

/** What a method's server needs. */
export interface ServerContext {
  /** Octets from the random generator. */
  readonly random: (length: number) => Uint8Array
  /** The name of the server, as it tells peers. */
  readonly name: string
  /** The peer's name, if it has said one. */
  readonly user: string | undefined
  /** The password of a peer by its name; undefined if there is none. */
  readonly passwordOf: (user: string) => Password | undefined
  /** Identifier of the request that is made next. */
  readonly identifier: () => number
}

/** What a method's peer needs. */
export interface PeerContext {
  readonly random: (length: number) => Uint8Array
  readonly user: string
  readonly password: Password | undefined
  /** Identifier of the request that was received. */
  readonly identifier: () => number
}

/** What comes of a method: the key that it has made (MSK, 64 octets), and who the peer is where the method says it. */
export interface Established {
  readonly msk?: Secret
  readonly user?: string
}

/**
 * An EAP method as two scripts over the data behind the type. The server yields requests and gets responses, the peer gets
 * its first request as an argument and yields responses. Either throws EapFailure.
 */
export interface EapMethod {
  readonly type: number
  /** As in `auth = eap-NAME`. */
  readonly name: string
  serve(context: ServerContext): Generator<Uint8Array, Established, Uint8Array>
  /** Goes on until the method is done; a peer that is done has yielded its last response. */
  answer(context: PeerContext, first: Uint8Array): Generator<Uint8Array, Established, Uint8Array>
}

/** @throws EapFailure when there is no password */
export function passwordFor({ passwordOf }: ServerContext, user: string): Password {
  return passwordOf(user) ?? noPassword(user)
}

/** @throws EapFailure always */
export function noPassword(user: string): never {
  throw new EapFailure(`no EAP key found for '${user}': add a secret eap with this id`)
}
