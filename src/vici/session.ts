/** One client of the control socket: its requests in order, its registrations, its queue of packets. */
import type { Socket } from 'node:net'
import type { Tree } from '../config/tree.ts'
import { DecodeError } from '../wire/errors.ts'
import { commands, eventNames } from './commands/index.ts'
import { FrameReader, FrameTooLong, frame } from './framing.ts'
import { decodeMessage } from './message.ts'
import { decodePacket, encodePacket, type Packet } from './packet.ts'
import { type Context, configLog, failure } from './request.ts'

/** A client that leaves this much unread is dropped. */
const maxUnreadBytes = 16 * 1024 * 1024
/** A listing waits while the client has this much unread. */
const highWaterBytes = 256 * 1024
/** Requests that wait while one is carried out; beyond them the socket is not read. */
const maxQueued = 32

export class Session {
  readonly #socket: Socket
  readonly #id: number
  readonly #context: Context
  readonly #frames = new FrameReader()
  /** How often the client registered for an event: that often it gets each one. */
  readonly #registrations = new Map<string, number>()
  readonly #queue: Uint8Array[] = []
  #working = false
  #gone = false

  constructor(socket: Socket, id: number, context: Context, onClose: () => void) {
    this.#socket = socket
    this.#id = id
    this.#context = context
    this.#log(2, `vici client ${id} connected`)
    socket.on('data', (chunk) => this.#received(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#gone = true
      this.#log(2, `vici client ${id} disconnected`)
      onClose()
    })
  }

  registered(event: string): boolean {
    return this.#registrations.has(event)
  }

  /** Sends an encoded EVENT packet as often as the client registered for it. */
  sendEvent(name: string, packet: Uint8Array): void {
    const times = this.#registrations.get(name) ?? 0
    for (let n = 0; n < times; n++) this.#send(packet)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #received(chunk: Uint8Array): void {
    try {
      for (const packet of this.#frames.push(chunk)) this.#queue.push(packet)
    } catch (error) {
      if (!(error instanceof FrameTooLong)) throw error
      this.#log(1, `${error.message}, ignored`)
      this.#socket.destroy()
      return
    }
    if (this.#queue.length > maxQueued) this.#socket.pause()
    if (!this.#working) void this.#work()
  }

  /** Carries out what is queued, one after the other. */
  async #work(): Promise<void> {
    this.#working = true
    for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
      try {
        await this.#handle(bytes)
      } catch (error) {
        // A fault of ours must not leave the client waiting for ever, nor end the daemon.
        this.#log(0, `vici client ${this.#id}: ${(error as Error).message}`)
        this.#socket.destroy()
      }
      if (this.#queue.length <= maxQueued && this.#socket.isPaused()) this.#socket.resume()
    }
    this.#working = false
  }

  async #handle(bytes: Uint8Array): Promise<void> {
    const packet = this.#decode(bytes)
    switch (packet?.type) {
      case undefined:
        return
      case 'CMD_REQUEST':
        await this.#request(packet.name, packet.message)
        return
      case 'EVENT_REGISTER':
        this.#register(packet.name, 1)
        return
      case 'EVENT_UNREGISTER':
        this.#register(packet.name, -1)
        return
      default:
        this.#log(1, `unsupported vici operation: ${bytes[0]}`)
    }
  }

  #decode(bytes: Uint8Array): Packet | undefined {
    try {
      return decodePacket(bytes)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      const what = ['request ', undefined, undefined, 'register ', 'unregister '][bytes[0] ?? 1] ?? ''
      this.#log(1, `invalid vici ${what}message`)
      return undefined
    }
  }

  async #request(name: string, bytes: Uint8Array): Promise<void> {
    const handler = commands.get(name)
    if (handler === undefined) {
      this.#log(1, `vici client ${this.#id} invalid request: ${name}`)
      this.#send(encodePacket('CMD_UNKNOWN'))
      return
    }
    this.#log(2, `vici client ${this.#id} requests: ${name}`)
    const { message, broken } = readMessage(bytes)
    const stream = async (event: string, fields: Tree) => {
      this.#cork()
      if (this.#registrations.has(event)) this.sendEvent(event, encodePacket('EVENT', event, fields))
      if (this.#socket.writableLength > highWaterBytes) await this.#drained()
    }
    const response = await handler({ message, broken, stream }, this.#context)
    this.#send(encodePacket('CMD_RESPONSE', undefined, response), () =>
      encodePacket('CMD_RESPONSE', undefined, failure('the response is longer than VICI allows')),
    )
  }

  #register(event: string, change: 1 | -1): void {
    const times = this.#registrations.get(event) ?? 0
    if (!eventNames.has(event) || times + change < 0) {
      this.#log(1, `vici client ${this.#id} invalid registration: ${event}`)
      this.#send(encodePacket('EVENT_UNKNOWN'))
      return
    }
    if (times + change === 0) this.#registrations.delete(event)
    else this.#registrations.set(event, Math.min(times + change, maxRegistrations))
    this.#log(2, `vici client ${this.#id} ${change > 0 ? 'registered for' : 'unregistered from'}: ${event}`)
    this.#send(encodePacket('EVENT_CONFIRM'))
  }

  #send(packet: Uint8Array, instead?: () => Uint8Array): void {
    if (this.#gone || this.#socket.destroyed) return
    try {
      this.#socket.write(frame(packet))
    } catch (error) {
      if (!(error instanceof FrameTooLong)) throw error
      if (instead !== undefined) this.#send(instead())
      return
    }
    if (this.#socket.writableLength > maxUnreadBytes) {
      // Destroyed first: the log entry may be an event for this very client.
      this.#gone = true
      this.#socket.destroy()
      this.#log(1, `vici client ${this.#id} does not read what it asked for, connection closed`)
    }
  }

  /** What is written until the next turn of the event loop goes out together: a system call for many events. */
  #cork(): void {
    if (this.#socket.writableCorked > 0) return
    this.#socket.cork()
    process.nextTick(() => this.#socket.uncork())
  }

  async #drained(): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
      if (this.#socket.destroyed) done()
    })
  }

  #log(level: 0 | 1 | 2, message: string): void {
    this.#context.daemon.log(configLog(message, level))
  }
}

/** Nobody registers more often for a reason; each registration multiplies what is sent. */
const maxRegistrations = 64

/** Commands look at their arguments or do not: a broken message is an empty one, said to be broken. */
function readMessage(bytes: Uint8Array): { readonly message: Tree; readonly broken: boolean } {
  try {
    return { message: decodeMessage(bytes), broken: false }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { message: [], broken: true }
  }
}
