/** Sends datagrams to a Unix socket by its path: systemd's notifications, its journal, syslog. */
import { DatagramSocket, slab } from './datagram-socket.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2

export class UnixDatagrams implements Disposable {
  readonly #socket: DatagramSocket
  readonly #address: Uint8Array

  /**
   * @param path a path of the file system; one that begins with @ is an abstract name
   * @param room the longest datagram, in octets
   */
  constructor(path: string, room = 4096) {
    const small = slab(1, room)
    this.#socket = new DatagramSocket(AF_UNIX, SOCK_DGRAM, 0, small, small)
    // The first octet of an abstract name is zero; a path ends with one.
    const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`, 'utf8')
    this.#address = Buffer.concat([new Uint8Array(new Uint16Array([AF_UNIX]).buffer), name])
  }

  /** Returns undefined, or the errno name when nobody took it. Never waits. */
  send(bytes: Uint8Array): string | undefined {
    return this.#socket.send(this.#address, bytes)
  }

  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
