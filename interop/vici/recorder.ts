/**
 * Sits between the clients of a control socket and the daemon and keeps what they say:
 *
 *     client ── listen ── recorder ── daemon ── charon, or Sallyport
 *
 * Bytes are handed on as they come, so that what a client does to a daemon (halves of frames, frames that are too long)
 * it does here, too; the packets are cut from a copy.
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { FrameReader, FrameTooLong } from '../../src/vici/framing.ts'
import type { Entry } from './recording.ts'

/** A recorder at work. */
export interface Recorder {
  /** Grows while clients talk. */
  readonly entries: readonly Entry[]
  /** Ends all connections and stops listening. */
  readonly close: () => Promise<void>
}

/** Listens at the path `listen` and connects each client of its own to the socket at the path `daemon`. */
export async function record(listen: string, daemon: string): Promise<Recorder> {
  const entries: Entry[] = []
  const sockets = new Set<Socket>()
  const begin = performance.now()
  let clients = 0
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const client = ++clients
    const far = connect({ path: daemon, allowHalfOpen: true })
    const say = (from: Entry['from'], bytes?: Uint8Array): void => {
      entries.push({ atMs: Math.round(performance.now() - begin), client, from, bytes })
    }
    join(near, far, (bytes) => say('client', bytes))
    join(far, near, (bytes) => say('daemon', bytes))
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
  })
  rmSync(listen, { force: true })
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(listen, done)
  })
  return {
    entries,
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Hands on what comes from one side to the other, and its end; says each packet, and undefined for the end. */
function join(from: Socket, to: Socket, say: (bytes?: Uint8Array) => void): void {
  const frames = new FrameReader()
  let follows = true
  from.on('data', (chunk: Buffer) => {
    if (follows) {
      try {
        for (const packet of frames.push(chunk)) say(packet)
      } catch (error) {
        if (!(error instanceof FrameTooLong)) throw error
        follows = false
      }
    }
    if (!to.destroyed) to.write(chunk)
  })
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    say()
    to.end()
  }
  from.on('end', end)
  from.on('close', end)
  from.on('error', () => to.destroy())
}
