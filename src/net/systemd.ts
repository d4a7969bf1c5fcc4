/** sd_notify(3): tells systemd how the daemon is doing, if systemd asked for it. */
import { DatagramSocket, slab } from './datagram-socket.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2

/** Sends `KEY=value` lines to NOTIFY_SOCKET. Without that variable, or when nobody listens there, nothing happens. */
export function notifySystemd(lines: string, path: string | undefined = process.env['NOTIFY_SOCKET']): void {
  if (path === undefined || path === '') return
  const small = slab(1, 4096)
  using socket = new DatagramSocket(AF_UNIX, SOCK_DGRAM, 0, small, small)
  // A path that begins with @ is an abstract socket: its first octet is zero.
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`, 'utf8')
  const family = new Uint8Array(new Uint16Array([AF_UNIX]).buffer)
  socket.send(Buffer.concat([family, name]), Buffer.from(lines, 'utf8'))
}
