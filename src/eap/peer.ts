/** The peer of an EAP conversation, RFC 3748 §2: says who it is, and answers a method that it knows. */
import { EapFailure, type EapMethod, type Established, type PeerContext } from './method.ts'
import { CODE, type EapPacket, printable, readEap, TYPE, typeName, writeEap } from './packet.ts'

export interface PeerOptions extends Pick<PeerContext, 'random' | 'user' | 'password'> {
  /** Which methods the server may ask for, the best first. */
  readonly methods: readonly EapMethod[]
  /** A line for the log. */
  readonly log: (message: string) => void
}

/**
 * Yields responses, and gets the server's packets, the first one as an argument; comes back when the server has said that it
 * is content.
 * @throws EapFailure when the server refuses us, or asks for what we do not have
 */
export function* answerEap(options: PeerOptions, first: Uint8Array): Generator<Uint8Array, Established, Uint8Array> {
  const peer = new Peer(options)
  let packet = readEap(first)
  for (let requests = 0; packet.code === CODE.REQUEST && requests < MAX_REQUESTS; requests++) {
    packet = readEap(yield peer.respond(packet))
  }
  if (packet.code === CODE.FAILURE) throw new EapFailure('received EAP_FAILURE, EAP authentication failed')
  if (packet.code !== CODE.SUCCESS) throw new EapFailure('the server sends neither a request nor an outcome')
  return peer.succeeded()
}

class Peer {
  readonly #options: PeerOptions
  #method: { readonly type: number; readonly steps: ReturnType<EapMethod['answer']> } | undefined

  constructor(options: PeerOptions) {
    this.#options = options
  }

  respond(packet: EapPacket): Uint8Array {
    const { user, log } = this.#options
    const { identifier, type = 0, data } = packet
    const answer = (content: Uint8Array): Uint8Array => writeEap(CODE.RESPONSE, identifier, type, content)
    if (type === TYPE.IDENTITY) {
      log(`server requested ${typeName(type)} (id ${id(packet)}), sending '${printable(user)}'`)
      return answer(new Uint8Array(Buffer.from(user)))
    }
    if (type === TYPE.NOTIFICATION) {
      log(`the server says '${printable(Buffer.from(data).toString('utf8'))}'`)
      return answer(new Uint8Array())
    }
    if (this.#method === undefined) return this.#begin(packet) ?? this.#refuse(packet)
    if (type !== this.#method.type) throw new EapFailure('the server asks for another EAP method in the middle of one')
    return answer(this.#go(data))
  }

  /** The server's success is the end of the method, too: one that is not done yet fails here. */
  succeeded(): Established {
    if (this.#method === undefined) throw new EapFailure('the server is content without any EAP method')
    const { type, steps } = this.#method
    const step = steps.next(new Uint8Array())
    if (step.done !== true) throw new EapFailure(`received EAP_SUCCESS in the middle of ${typeName(type)}`)
    this.#options.log(`EAP method ${typeName(type)} succeeded, ${step.value.msk ? '' : 'no '}MSK established`)
    return step.value
  }

  #begin(packet: EapPacket): Uint8Array | undefined {
    const { methods, log } = this.#options
    const { identifier, type = 0, data } = packet
    log(`server requested ${typeName(type)} authentication (id ${id(packet)})`)
    const method = methods.find((each) => each.type === type)
    if (method === undefined) return undefined
    const steps = method.answer({ ...this.#options, identifier: () => identifier }, data)
    this.#method = { type, steps }
    const step = steps.next()
    if (step.done === true) throw new EapFailure(`${typeName(type)} has nothing to say`)
    return writeEap(CODE.RESPONSE, identifier, type, step.value)
  }

  #go(data: Uint8Array): Uint8Array {
    const step = this.#method?.steps.next(data)
    if (step === undefined || step.done === true) throw new EapFailure('the server goes on when the method is done')
    return step.value
  }

  /** RFC 3748 §5.3.1: which types we would have. */
  #refuse({ identifier }: EapPacket): Uint8Array {
    const { methods, log } = this.#options
    const wanted = methods.map(({ type }) => type)
    log(`requesting ${wanted.map(typeName).join(', ')} authentication, sending EAP_NAK`)
    return writeEap(CODE.RESPONSE, identifier, TYPE.NAK, Uint8Array.from(wanted))
  }
}

const id = ({ identifier }: EapPacket): string => `0x${identifier.toString(16).toUpperCase().padStart(2, '0')}`

/** A server that asks for ever would keep the IKE SA half open. */
const MAX_REQUESTS = 32
