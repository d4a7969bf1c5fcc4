/** A client of the control socket, for our command line and for tests. */
import { connect, type Socket } from 'node:net'
import type { Tree } from '../config/tree.ts'
import { FrameReader, frame } from './framing.ts'
import { decodeMessage } from './message.ts'
import { decodePacket, encodePacket, type Packet } from './packet.ts'
import { connectOptions, parseViciUri } from './uri.ts'

export class ViciError extends Error {
  override readonly name = 'ViciError'
}

export type OnEvent = (name: string, message: Tree) => void

export class ViciClient implements AsyncDisposable {
  readonly #socket: Socket
  readonly #frames = new FrameReader()
  /** Answers come in the order of the requests; nothing else links them. */
  readonly #waiting: { resolve: (packet: Packet) => void; reject: (error: Error) => void }[] = []
  readonly #listeners = new Set<OnEvent>()
  #failure: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#received(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new ViciError('the daemon closed the connection')))
  }

  /** Rejects with the error of the socket (ENOENT, ECONNREFUSED, EACCES) when nobody is there. */
  static async connect(uri: string): Promise<ViciClient> {
    const socket = connect(connectOptions(parseViciUri(uri)))
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    socket.removeAllListeners('error')
    return new ViciClient(socket)
  }

  /** The response to a command. Rejects with ViciError for a command that the daemon does not have. */
  async request(command: string, message: Tree = []): Promise<Tree> {
    const packet = await this.#exchange(encodePacket('CMD_REQUEST', command, message))
    if (packet.type === 'CMD_UNKNOWN') throw new ViciError(`the daemon has no command '${command}'`)
    if (packet.type !== 'CMD_RESPONSE') throw new ViciError(`unexpected ${packet.type} in answer to '${command}'`)
    return decodeMessage(packet.message)
  }

  /** A command whose result comes as events: calls back for each, then gives the response. */
  async stream(command: string, event: string, message: Tree, onEvent: (message: Tree) => void): Promise<Tree> {
    const stop = await this.listen([event], (name, fields) => {
      if (name === event) onEvent(fields)
    })
    try {
      return await this.request(command, message)
    } finally {
      await stop()
    }
  }

  /** Registers for events; the returned function ends that. */
  async listen(events: readonly string[], onEvent: OnEvent): Promise<() => Promise<void>> {
    this.#listeners.add(onEvent)
    for (const event of events) await this.#confirm('EVENT_REGISTER', event)
    return async () => {
      for (const event of events) await this.#confirm('EVENT_UNREGISTER', event)
      this.#listeners.delete(onEvent)
    }
  }

  /** Resolves when the connection has ended, however that came. */
  async closed(): Promise<void> {
    if (this.#socket.closed) return
    await new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.end()
    this.#socket.destroySoon()
    await this.closed()
  }

  async #confirm(type: 'EVENT_REGISTER' | 'EVENT_UNREGISTER', event: string): Promise<void> {
    const packet = await this.#exchange(encodePacket(type, event))
    if (packet.type !== 'EVENT_CONFIRM') throw new ViciError(`the daemon has no event '${event}'`)
  }

  async #exchange(packet: Uint8Array): Promise<Packet> {
    const failure = this.#failure
    if (failure !== undefined) throw failure
    return await new Promise<Packet>((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(frame(packet))
    })
  }

  #received(chunk: Uint8Array): void {
    try {
      for (const bytes of this.#frames.push(chunk)) {
        const packet = decodePacket(bytes)
        if (packet.type === 'EVENT') {
          const message = decodeMessage(packet.message)
          for (const listener of this.#listeners) listener(packet.name, message)
        } else {
          this.#waiting.shift()?.resolve(packet)
        }
      }
    } catch (error) {
      this.#fail(error as Error)
      this.#socket.destroy()
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
