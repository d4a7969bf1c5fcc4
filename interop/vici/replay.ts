/** Says to one daemon what clients have said to another (recording.ts), and keeps what it answers. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FrameReader, frame } from '../../src/vici/framing.ts'
import { type Entry, read } from './recording.ts'

/** How long an answer may take that the first daemon has given. */
const patienceMs = 60_000

/** A client that was silent for longer is not waited for any longer: what was under way at the first daemon was over. */
const longestPauseMs = 2000

/**
 * Plays the clients of a recording at the socket with the path `daemon`: the same connections, the same packets in the same
 * order and at the same pace. A packet waits until there are as many answers on each connection as there had been when it
 * was said first, so that what was one after the other stays so, and what was at once is at once. Gives the recording of
 * that.
 * @throws Error when an answer does not come
 */
export async function replay(recorded: readonly Entry[], daemon: string): Promise<Entry[]> {
  const entries: Entry[] = []
  const clients = new Map<number, Client>()
  const begin = performance.now()
  const say = (client: number, from: Entry['from'], bytes?: Uint8Array): void => {
    entries.push({ atMs: Math.round(performance.now() - begin), client, from, bytes })
  }
  try {
    for (const [n, entry] of recorded.entries()) {
      if (entry.from === 'daemon') {
        if (isAnswer(entry)) await clients.get(entry.client)?.answered(describe(entry))
        continue
      }
      const pauseMs = entry.atMs - (recorded[n - 1]?.atMs ?? entry.atMs)
      if (pauseMs > 0) await sleep(Math.min(pauseMs, longestPauseMs))
      const client = clients.get(entry.client) ?? (await Client.connect(daemon, entry.client, say))
      clients.set(entry.client, client)
      say(entry.client, 'client', entry.bytes)
      client.send(entry.bytes)
    }
  } finally {
    for (const client of clients.values()) client.destroy()
  }
  return entries
}

/** Events come when they come; everything else answers a packet, or ends a connection. */
function isAnswer(entry: Entry): boolean {
  return entry.bytes !== undefined && read(entry).type !== 'EVENT'
}

function describe(entry: Entry): string {
  return `${read(entry).type} to client ${entry.client}, which came after ${entry.atMs} ms`
}

class Client {
  readonly #socket: Socket
  readonly #frames = new FrameReader()
  #answers = 0
  #awaited = 0
  #wake: () => void = () => {}
  #over = false

  private constructor(
    socket: Socket,
    number: number,
    say: (client: number, from: 'daemon', bytes?: Uint8Array) => void,
  ) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const bytes of this.#frames.push(chunk)) {
        const entry: Entry = { atMs: 0, client: number, from: 'daemon', bytes }
        say(number, 'daemon', bytes)
        if (isAnswer(entry)) this.#answers++
      }
      this.#wake()
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#over = true
      say(number, 'daemon')
      this.#wake()
    })
  }

  static async connect(
    path: string,
    number: number,
    say: (client: number, from: 'daemon', bytes?: Uint8Array) => void,
  ): Promise<Client> {
    const socket = connect(path)
    await new Promise<void>((done, failed) => {
      socket.once('connect', done)
      socket.once('error', failed)
    })
    return new Client(socket, number, say)
  }

  /** Undefined closes the connection. */
  send(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#socket.end()
    else this.#socket.write(frame(bytes))
  }

  /** Waits for one answer more than before. */
  async answered(what: string): Promise<void> {
    this.#awaited++
    const late = setTimeout(() => this.#wake(), patienceMs)
    const until = performance.now() + patienceMs
    try {
      while (this.#answers < this.#awaited) {
        if (this.#over || performance.now() >= until) throw new Error(`no answer in place of ${what}`)
        await new Promise<void>((wake) => {
          this.#wake = wake
        })
      }
    } finally {
      clearTimeout(late)
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
