/** The server of an EAP conversation, RFC 3748 §2: asks who the peer is if it is to, then runs a method. */
import { EapFailure, type EapMethod, type Established, type ServerContext } from './method.ts'
import { CODE, type EapPacket, printable, readEap, TYPE, typeName, writeEap, writeOutcome } from './packet.ts'

export interface ServerOptions extends Pick<ServerContext, 'random' | 'name' | 'passwordOf'> {
  /** Ask the peer for its EAP identity. */
  readonly askIdentity: boolean
  /** Who the peer is if it is not asked or does not say; undefined if a method has to find out. */
  readonly user: string | undefined
  /** Which methods may be used, in this order; a peer may refuse one for another. */
  readonly methods: readonly EapMethod[]
  /** A line for the log. */
  readonly log: (message: string) => void
}

/** How it ended: the last packet, and what was found out; or why it failed. */
export type Served =
  | ({ readonly ok: true; readonly packet: Uint8Array } & Established)
  | { readonly ok: false; readonly packet: Uint8Array; readonly reason: string }

type Conversation<T> = Generator<Uint8Array, T, Uint8Array>

/** Yields requests, and gets the responses. Never throws for what the peer sends. */
export function* serveEap(options: ServerOptions): Conversation<Served> {
  const server = new Server(options)
  try {
    if (options.askIdentity) yield* server.askIdentity()
    const established = yield* server.authenticate()
    return { ok: true, packet: server.outcome(CODE.SUCCESS), ...established }
  } catch (error) {
    if (!(error instanceof EapFailure)) throw error
    const reason = `${server.method} failed for peer ${printable(server.user ?? '%any')}: ${error.message}`
    return { ok: false, packet: server.outcome(CODE.FAILURE), reason }
  }
}

class Server {
  user: string | undefined
  /** What is under way, for messages. */
  method = 'EAP'
  readonly #options: ServerOptions
  /** Of the request that is made next. */
  #identifier: number

  constructor(options: ServerOptions) {
    this.#options = options
    this.user = options.user
    this.#identifier = options.random(1)[0] ?? 0
  }

  /** Has the identifier of the last request, RFC 3748 §4.2. */
  outcome(code: number): Uint8Array {
    return writeOutcome(code, (this.#identifier - 1) & 0xff)
  }

  *askIdentity(): Conversation<void> {
    this.#begin(TYPE.IDENTITY)
    const { type, data } = yield* this.#request(TYPE.IDENTITY, new Uint8Array())
    if (type === TYPE.IDENTITY && data.length > 0 && data.length <= MAX_IDENTITY) {
      this.user = Buffer.from(data).toString('utf8')
      this.#options.log(`received EAP identity '${printable(this.user)}'`)
    } else {
      this.#options.log(`client did not send an EAP identity, assume IKE identity '${printable(this.user ?? '%any')}'`)
    }
  }

  /** One method after the other, as long as the peer asks for another one. */
  *authenticate(): Conversation<Established> {
    let left = this.#options.methods
    for (let method = left[0]; method !== undefined; method = left[0]) {
      const tried = method
      const outcome = yield* this.#run(tried)
      if (!('wanted' in outcome)) return outcome
      left = left.filter((other) => other !== tried && outcome.wanted.includes(other.type))
    }
    throw new EapFailure('the peer accepts none of the EAP methods that it may use')
  }

  *#run(method: EapMethod): Conversation<Established | { readonly wanted: readonly number[] }> {
    this.#begin(method.type)
    const { random, name, passwordOf } = this.#options
    const steps = method.serve({ random, name, passwordOf, user: this.user, identifier: () => this.#identifier })
    let step = steps.next()
    for (let first = true; step.done !== true; first = false) {
      const { type, data } = yield* this.#request(method.type, step.value)
      if (first && type === TYPE.NAK) {
        this.#options.log(`received EAP_NAK, the peer asks for ${[...data].map(typeName).join(', ')}`)
        return { wanted: [...data] }
      }
      if (type !== method.type) throw new EapFailure('the response is of another EAP method')
      step = steps.next(data)
    }
    const { msk, user = this.user } = step.value
    this.#options.log(`EAP method ${typeName(method.type)} succeeded, ${msk ? '' : 'no '}MSK established`)
    return { ...(msk && { msk }), ...(user !== undefined && { user }) }
  }

  #begin(type: number): void {
    const id = this.#identifier.toString(16).toUpperCase().padStart(2, '0')
    this.#options.log(`initiating ${typeName(type)} method (id 0x${id})`)
    if (type !== TYPE.IDENTITY) this.method = `EAP method ${typeName(type)}`
  }

  *#request(type: number, data: Uint8Array): Conversation<EapPacket> {
    const sent = this.#identifier
    this.#identifier = (sent + 1) & 0xff
    const response = readEap(yield writeEap(CODE.REQUEST, sent, type, data))
    if (response.code === CODE.RESPONSE && response.identifier === sent) return response
    throw new EapFailure('this is no response to our EAP request')
  }
}

const MAX_IDENTITY = 1024
